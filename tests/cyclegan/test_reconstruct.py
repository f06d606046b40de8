"""How well a run brings its inputs back: from the images that are sealed, by the checkpoint that made them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from cgeval.errors import ConfigError, DataError, LayoutError, RunError, SealError
from cgeval.images import read_rgb, resize
from cgeval.metrics import Interval, bootstrap_mean
from cgeval.records import current, read_records
from cgeval.runs import Run
from cyclegan.config import TrainConfig
from cyclegan.reconstruct import plan_back, reconstruct, write_results
from cyclegan.translate import load_generators
from tests.cyclegan.test_translate import LIVELY, PIX2PIX, UNET, Fixed, Same, make_run, translate


@pytest.fixture
def run(small: Callable[..., TrainConfig], tmp_path: Path) -> Run:
    """A run whose test images are translated both ways, a0 and a1, b0 to b2."""
    made = make_run(tmp_path / "run", small(LIVELY))
    translate(made)
    return made


def sealed(run: Run, name: str, pictures: dict[str, np.ndarray], checkpoint: str | None = "step-00000003.pt") -> None:
    """An image set made by hand."""
    direction, split = name.rpartition("_")[2], name.rpartition("_")[0]
    with run.write_image_set(name, direction=direction, split=split, checkpoint=checkpoint, overwrite=True) as writer:
        for image_id, picture in pictures.items():
            writer.add(image_id, picture, source=image_id, target=None)


def squashed(path: Path, filter: str = "bicubic") -> np.ndarray:
    return resize(read_rgb(path), 32, 32, filter)


# --- the number


def test_it_is_the_mean_difference_of_levels_between_0_and_1(run, images):
    """A generator that answers everything with level 127.5 brings back half of white."""
    (way, _) = plan_back(run, "test")
    found = reconstruct(replace(way, network=Fixed(0.0)))
    by_hand = {name: np.abs(0.5 - squashed(images / "testA" / f"{name}.png") / 255).mean() for name in ("a0", "a1")}
    assert found.per_image == {name: pytest.approx(value, abs=6e-7) for name, value in by_hand.items()}
    assert found.value == pytest.approx(np.mean(list(by_hand.values())), abs=6e-7)


def test_the_other_generator_leads_back_from_the_sealed_image(run, images):
    networks = load_generators(run.path).by_direction
    for way, back, domain in zip(plan_back(run, "test"), ("BtoA", "AtoB"), "AB", strict=True):
        for name, value in reconstruct(way).per_image.items():
            made = read_rgb(run.path / "images" / way.image_set.name / f"{name}.png")
            with torch.no_grad():
                batch = torch.from_numpy(made.transpose(2, 0, 1)[None].astype(np.float32)) / 127.5 - 1
                levels = (networks[back](batch)[0].double().numpy().transpose(1, 2, 0) + 1) / 2
            expected = np.abs(levels - squashed(images / f"test{domain}" / f"{name}.png") / 255).mean()
            assert value == pytest.approx(expected, abs=2e-6)
            assert 0.05 < value < 1


def test_what_comes_back_whole_is_0(run, images):
    sealed(run, "test_AtoB", {name: squashed(images / "testA" / f"{name}.png") for name in ("a0", "a1")})
    (way, _) = plan_back(run, "test")
    found = reconstruct(replace(way, network=Same(0.0)))
    assert found.per_image == {"a0": 0.0, "a1": 0.0}
    assert found.interval == Interval(0.0, 0.0)


class Hidden(Fixed):
    """A generator that leaves its input as it is but for a signal of a third of a grey level."""

    def forward(self, image: Tensor) -> Tensor:
        return image + self.value / 127.5


def test_a_signal_that_only_float_images_carry_does_not_count(run, images, monkeypatch):
    """Back by floats the signal would lead to the input exactly; from the sealed image it is missing."""
    networks = {"AtoB": Hidden(1 / 3), "BtoA": Hidden(-1 / 3)}
    generators = replace(load_generators(run.path), by_direction=networks)
    monkeypatch.setattr("tests.cyclegan.test_translate.load_generators", lambda *_: generators)
    monkeypatch.setattr("cyclegan.reconstruct.load_generators", lambda *_: generators)
    translate(run, direction="ab", overwrite=True)
    seen = torch.from_numpy(squashed(images / "testA" / "a0.png").copy()) / 127.5 - 1
    assert torch.allclose(networks["BtoA"](networks["AtoB"](seen)), seen, atol=1e-6)
    (way, _) = plan_back(run, "test")
    assert reconstruct(way).value == pytest.approx(1 / 3 / 255, abs=1e-6)


def test_batched_equals_one_by_one(run):
    for way in plan_back(run, "test"):
        alone, together = (reconstruct(way, batch_size).per_image for batch_size in (1, 8))
        assert alone.keys() == together.keys()
        assert alone == {name: pytest.approx(value, abs=5e-6) for name, value in together.items()}


def test_label_maps_are_compared_as_the_network_saw_them(small, images, tmp_path):
    """Squashed by nearest: a bicubic one would differ from what was translated."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for path in (images / f"{split}A").iterdir():
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    (images / "dataset.toml").write_text('label_domain = "A"\nlabel_set = "camvid11"\n')
    run = make_run(tmp_path / "run", small(LIVELY))
    sealed(run, "test_AtoB", {"a0": squashed(images / "testA" / "a0.png", "nearest")})
    (way,) = plan_back(run, "test")
    assert reconstruct(replace(way, network=Same(0.0))).value == 0


# --- the interval


def test_the_interval_is_that_of_means_of_images_drawn_with_replacement():
    values = np.random.default_rng(1).gamma(2, 0.03, 50)
    rng = np.random.default_rng(2)
    means = sorted(np.mean([values[rng.integers(50)] for _ in range(50)]) for _ in range(4000))
    found = bootstrap_mean(values)
    width = means[3900] - means[100]
    assert found.low == pytest.approx(means[100], abs=0.06 * width)
    assert found.high == pytest.approx(means[3900], abs=0.06 * width)
    assert found == bootstrap_mean(values)


def test_one_image_has_no_interval_and_images_that_are_alike_have_a_narrow_one():
    assert bootstrap_mean(np.array([0.3])) is None
    value = 0.1 + 0.2  # its mean over seven is rounded
    found = bootstrap_mean(np.full(7, value))
    assert found.low <= float(np.mean(np.full(7, value))) <= found.high
    assert found.high - found.low < 1e-12


def test_many_images_are_drawn_in_parts(monkeypatch):
    values = np.random.default_rng(1).random(300)
    whole = bootstrap_mean(values)
    monkeypatch.setattr("cgeval.metrics.bootstrap.DRAWS_AT_ONCE", 1000)
    found = bootstrap_mean(values)
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high), rel=1e-12)  # sums in another order


# --- the record


def test_each_direction_is_one_record(run, images):
    found = [reconstruct(way) for way in plan_back(run, "test")]
    write_results(run, found)
    first, second = read_records(run.path, "reconstruction")
    assert (first.image_set, second.image_set) == ("test_AtoB", "test_BtoA")
    assert first.index_sha256 == run.image_set("test_AtoB").index_sha256
    assert (first.metric, first.n, second.n) == ("reconstruction_l1", 2, 3)
    assert first.convention == {"reconstructed from": "sealed 8-bit images", "levels": "[0, 1]"}
    assert first.interval == "bootstrap over images, percentile, 95 %, 2000 resamples"
    assert first.low < first.value == np.mean(list(first.extra["per_image"].values())) < first.high
    told = {key: first.extra[key] for key in ("direction", "dataset", "split", "size_px", "checkpoint")}
    assert told == {
        "direction": "A -> B",
        "dataset": "images",
        "split": "test",
        "size_px": [32, 32],
        "checkpoint": "step-00000003.pt",
    }
    assert first.extra["per_image"] == {name: round(value, 6) for name, value in found[0].per_image.items()}


def test_measured_again_it_supersedes(run):
    for _ in range(2):
        write_results(run, [reconstruct(way) for way in plan_back(run, "test")])
    assert [entry.superseded for entry in current(read_records(run.path))] == [1, 1]


def test_one_image_has_a_record_without_an_interval(run, images):
    sealed(run, "test_AtoB", {"a0": squashed(images / "testA" / "a0.png")})
    record = write_results(run, [reconstruct(plan_back(run, "test")[0])])[0]
    assert (record.n, record.low, record.high, record.interval) == (1, None, None, None)


def test_a_run_that_knows_nothing_of_its_dataset_learns_it_from_the_folder(small, images, tmp_path):
    (images / "dataset.toml").write_text('name = "animals"\ndomains = ["horse", "zebra"]\n')
    run = make_run(tmp_path / "run", small())
    translate(run)
    info = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(info | {"dataset": {}}))
    ways = plan_back(Run.open(run.path), "test", data=images)
    assert [(way.words, way.dataset) for way in ways] == [("horse -> zebra", "animals"), ("zebra -> horse", "animals")]


# --- which checkpoint


@pytest.fixture
def twice(small: Callable[..., TrainConfig], tmp_path: Path) -> Run:
    """A run with checkpoints at 3 (the best) and 7; the first made B's images, the second A's."""
    made = make_run(tmp_path / "twice", small(LIVELY), steps=(3, 7))
    translate(made, direction="ab", checkpoint="best")
    translate(made, direction="ba")
    return made


def test_the_checkpoint_that_made_the_images_leads_back(twice):
    for way, step, back in zip(plan_back(twice, "test"), ("3", "7"), ("BtoA", "AtoB"), strict=True):
        expected = load_generators(twice.path, step).by_direction[back].state_dict()
        found = way.network.state_dict()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_another_checkpoint_is_refused(twice):
    with pytest.raises(RunError, match=r"test_BtoA was made by step-00000007\.pt and not by the checkpoint 'best'"):
        plan_back(twice, "test", checkpoint="best")
    with pytest.raises(RunError, match=r"no checkpoint '4'; there: 3, 7, newest, best"):
        plan_back(twice, "test", checkpoint="4")


def test_images_of_a_checkpoint_that_is_gone_are_named(run):
    folder = run.path / "checkpoints"
    index = json.loads((folder / "index.json").read_text())
    index["checkpoints"][0] |= {"file": "step-00000009.pt", "step": 9}
    (folder / "index.json").write_text(json.dumps(index | {"best": None}))
    (folder / "step-00000003.pt").rename(folder / "step-00000009.pt")
    with pytest.raises(RunError, match=r"made by step-00000003\.pt, .* \(step-00000009\.pt\): translate again"):
        plan_back(run, "test")


def test_images_that_no_checkpoint_made_are_named(run, images):
    sealed(run, "test_AtoB", {"a0": squashed(images / "testA" / "a0.png")}, checkpoint=None)
    with pytest.raises(RunError, match=r"test_AtoB was made by no checkpoint"):
        plan_back(run, "test")


# --- mistakes


def test_a_run_of_one_direction_has_no_way_back(small, tmp_path):
    run = make_run(tmp_path / "pix2pix", small(LIVELY, *PIX2PIX, *UNET), paired=True)
    translate(run)
    with pytest.raises(RunError, match=r"pix2pix translates AtoB alone, and a reconstruction needs .* the way back"):
        plan_back(run, "test")


def test_a_split_that_was_not_translated_is_named_with_the_sets_there_are(run, small, tmp_path):
    with pytest.raises(RunError, match=r"no image set of split 'val' \(sealed are: test_AtoB, test_BtoA\).*translate"):
        plan_back(run, "val")
    with pytest.raises(RunError, match=r"none is sealed yet.*`cyclegan translate .*new --split test`"):
        plan_back(make_run(tmp_path / "new", small()), "test")


def test_images_that_were_changed_after_sealing_are_named(run):
    path = run.path / "images" / "test_BtoA" / "b1.png"
    Image.fromarray(255 - read_rgb(path)).save(path)
    with pytest.raises(SealError, match=r"b1\.png was changed"):
        plan_back(run, "test")


def test_inputs_that_are_gone_are_named(run, images):
    (images / "testB" / "b1.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 images of .*test_BtoA .* lacks \(first: 'b1'\).*--data"):
        plan_back(run, "test")


def test_a_folder_that_was_called_like_no_split_is_named(run, images, tmp_path):
    images.joinpath("testA").rename(tmp_path / "views")
    translate(run, folder=tmp_path / "views", direction="ab")
    (images / "testA").mkdir()
    with pytest.raises(LayoutError, match=r"no split 'views'"):
        plan_back(run, "views")


def test_a_moved_dataset_is_asked_for_and_given(run, images, tmp_path):
    images.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match=r"no longer at .*--data DIR"):
        plan_back(run, "test")
    assert len(plan_back(run, "test", data=tmp_path / "moved")) == 2


def test_images_of_another_size_are_named(run, images):
    sealed(run, "test_AtoB", {"a0": read_rgb(images / "testA" / "a0.png")})
    with pytest.raises(RunError, match=r"a0\.png is 40x40 px, and its checkpoint makes 32x32"):
        reconstruct(plan_back(run, "test")[0])
