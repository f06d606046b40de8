"""A run translates every image of a split or folder, each by itself, rounded exactly, into a sealed set."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cgeval.errors import ConfigError, ImageError, LayoutError, RunError
from cgeval.images import read_rgb, resize
from cgeval.runs import Run
from cyclegan import state
from cyclegan.config import TrainConfig
from cyclegan.step import TrainStep
from cyclegan.translate import Generators, folder_translation, load_generators, plan, refuse_sealed, translate_into_run

LIVELY = "networks.init_std=0.5"  # weights as trained ones: with 0.02 every output is nearly grey
PIX2PIX = ["translator=pix2pix", "optimiser.pool_size=0", "networks.norm=batch", "objective.gan=vanilla"]
UNET = ["networks.generator=unet128", "data.load_px=128", "data.crop_px=128"]


def make_run(folder: Path, config: TrainConfig, steps: Sequence[int] = (3,), **facts: object) -> Run:
    """A run as training leaves it, its weights as initialised, another seed for each checkpoint."""
    for number, at in enumerate(steps):
        step = TrainStep(config.model_copy(update={"seed": number}), torch.device("cpu"))
        content = state.capture(step, state.Position(at, 1, "digest"), [state.process_state(step)])
        rule = config.checkpoints.model_copy(update={"keep": "all"})
        state.save(folder / "checkpoints", content, metric=None, is_best=number == 0, rule=rule)
    dataset = {"name": "images", "path": config.data.path} | facts
    return Run.create(folder, method=config.translator, dataset=dataset, producer={"name": "a test"})


@pytest.fixture
def run(small: Callable[..., TrainConfig], tmp_path: Path) -> Run:
    return make_run(tmp_path / "run", small(LIVELY))


def translate(run: Run, *, batch_size: int = 8, **options: object) -> list[Path]:
    """What `cyclegan translate` does, and the folders of the sets it made."""
    wanted = {"split": "test", "folder": None, "direction": None, "data": None}
    more = {key: options.pop(key) for key in ("overwrite", "export") if key in options}
    generators = load_generators(run.path, str(options.pop("checkpoint", "newest")))
    work = plan(run, generators, **(wanted | options))
    for translation in work:
        translate_into_run(run, generators, translation, batch_size=batch_size, **more)
    return [run.path / "images" / translation.set_name for translation in work]


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.relative_to(folder).as_posix(): read_rgb(path) for path in sorted(folder.rglob("*.png"))}


class Fixed(nn.Module):
    """A generator whose every pixel is a given number in [-1, 1]."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value), requires_grad=False)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        return self.value.expand_as(image)


class Same(Fixed):
    """A generator that leaves its input as it is."""

    def forward(self, image: Tensor) -> Tensor:
        return image + 0 * self.value


def with_network(generators: Generators, network: nn.Module) -> Generators:
    return replace(generators, by_direction=dict.fromkeys(("AtoB", "BtoA"), network))


# --- what comes out


def test_both_directions_are_sealed_and_every_output_has_its_inputs_name(run, images):
    sets = translate(run)
    assert [folder.name for folder in sets] == ["test_AtoB", "test_BtoA"]
    there = {image_set.name: image_set for image_set in Run.open(run.path).image_sets()}
    assert [row.id for row in there["test_AtoB"].rows] == ["a0", "a1"]
    assert [row.id for row in there["test_BtoA"].rows] == ["b0", "b1", "b2"]
    assert all(row.source == row.id and row.target is None for row in there["test_BtoA"].rows)
    for image_set in there.values():
        image_set.verify()
        assert (image_set.checkpoint, image_set.split) == ("step-00000003.pt", "test")
        assert image_set.extra == {"step": 3, "size_px": 32, "source": str(images)}


def test_a_direction_may_be_named(run):
    assert [folder.name for folder in translate(run, direction="ba")] == ["test_BtoA"]


def test_translation_is_the_generator_applied_to_the_squashed_picture(run, images):
    (folder,) = translate(run, direction="ab")
    network = load_generators(run.path).by_direction["AtoB"]
    squashed = resize(read_rgb(images / "testA" / "a1.png"), 32, 32, "bicubic")
    with torch.no_grad():
        made = network(torch.from_numpy(squashed.transpose(2, 0, 1)[None].astype(np.float32)) / 127.5 - 1)
    expected = np.round((made[0].double().numpy().transpose(1, 2, 0) + 1) * 127.5)
    found = read_rgb(folder / "a1.png").astype(float)
    assert np.ptp(found) > 100
    assert np.abs(found - expected).max() <= 1
    assert (found == expected).mean() > 0.999


def test_batched_equals_one_by_one(run):
    one_by_one = {folder.name: pictures(folder) for folder in translate(run, batch_size=1)}
    batched = {folder.name: pictures(folder) for folder in translate(run, batch_size=3, overwrite=True)}
    assert one_by_one.keys() == batched.keys()
    for name, outputs in one_by_one.items():
        for file, picture in outputs.items():
            assert np.abs(picture.astype(int) - batched[name][file]).max() <= 1, (name, file)


# value in [-1, 1] that the network gives, grey level that is written; the reference truncates: 63 of 256 are off by one
GREY_LEVELS = [
    (-1.0, 0),
    (-1.5, 0),
    (-1 + 0.49 / 127.5, 0),
    (-1 + 0.51 / 127.5, 1),
    (-0.5, 64),
    (-0.001 / 127.5, 127),
    (0.001 / 127.5, 128),
    (0.5, 191),
    (1 - 0.51 / 127.5, 254),
    (1 - 0.49 / 127.5, 255),
    (1.0, 255),
    (2.0, 255),
]


@pytest.mark.parametrize(("value", "level"), GREY_LEVELS)
def test_rounding_is_to_the_nearest_level(run, value, level):
    generators = with_network(load_generators(run.path), Fixed(value))
    (work,) = plan(run, generators, split="test", folder=None, direction="ab", data=None)
    translate_into_run(run, generators, work)
    assert np.unique(read_rgb(run.path / "images" / "test_AtoB" / "a0.png")).tolist() == [level]


def test_every_grey_level_survives_the_way_in_and_out(run, tmp_path):
    folder = tmp_path / "levels"
    folder.mkdir()
    levels = np.arange(256, dtype=np.uint8).repeat(4).reshape(32, 32, 1).repeat(3, axis=2)
    Image.fromarray(levels).save(folder / "levels.png")
    generators = with_network(load_generators(run.path), Same(0.0))
    translate_into_run(run, generators, folder_translation(folder, "AtoB", 32))
    assert np.array_equal(read_rgb(run.path / "images" / "levels_AtoB" / "levels.png"), levels)


def test_there_is_no_silent_limit(run, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        Image.new("RGB", (8, 8), (number, 0, 255)).save(folder / f"{number}.bmp")
    generators = with_network(load_generators(run.path), Same(0.0))
    assert translate_into_run(run, generators, folder_translation(folder, "BtoA", 32), batch_size=7) == 60
    rows = run.image_set("many_BtoA").rows
    assert [row.id for row in rows] == [str(number) for number in range(60)]
    assert read_rgb(run.path / "images" / "many_BtoA" / "59.png")[0, 0].tolist() == [59, 0, 255]


def test_paired_data_names_the_truth(small, images, tmp_path):
    for split in ("train", "test"):
        for number, path in enumerate(sorted((images / f"{split}B").iterdir())):
            path.rename(path.with_name(f"a{number}.png"))
        for path in sorted((images / f"{split}B").iterdir())[len(list((images / f"{split}A").iterdir())) :]:
            path.unlink()
    (images / "dataset.toml").write_text("paired = true\n")
    run = make_run(tmp_path / "run", small())
    translate(run)
    assert [row.target for row in run.image_set("test_BtoA").rows] == ["a0", "a1"]


# --- pix2pix


@pytest.fixture
def pix2pix(small: Callable[..., TrainConfig], tmp_path: Path) -> Run:
    return make_run(tmp_path / "pix2pix", small(LIVELY, *PIX2PIX, *UNET), paired=True)


def test_pix2pix_keeps_dropout_and_the_images_own_statistics(pix2pix):
    network = load_generators(pix2pix.path).by_direction["AtoB"]
    assert network.training
    picture = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        torch.manual_seed(1)
        one, other = network(picture), network(picture)
        torch.manual_seed(1)
        again = network(picture)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_pix2pix_gives_an_image_the_same_translation_in_any_company(pix2pix, images):
    folders = translate(pix2pix)
    assert [folder.name for folder in folders] == ["test_AtoB"]
    together = pictures(folders[0])
    (images / "testA" / "a0.png").unlink()
    alone = pictures(translate(pix2pix, overwrite=True, batch_size=1)[0])
    assert np.array_equal(together["a1.png"], alone["a1.png"])


def test_pix2pix_draws_other_noise_for_another_id(pix2pix, images):
    (images / "testA" / "copy.png").write_bytes((images / "testA" / "a0.png").read_bytes())
    outputs = pictures(translate(pix2pix)[0])
    assert not np.array_equal(outputs["a0.png"], outputs["copy.png"])


def test_translating_leaves_the_callers_random_state(pix2pix):
    generators = load_generators(pix2pix.path)
    (work,) = plan(pix2pix, generators, split="test", folder=None, direction="ab", data=None)
    before = torch.get_rng_state()
    translate_into_run(pix2pix, generators, work)
    assert torch.equal(before, torch.get_rng_state())


def test_cyclegan_with_dropout_is_quiet_at_test_time(small, tmp_path):
    run = make_run(tmp_path / "run", small(LIVELY, "networks.dropout=true"))
    assert not load_generators(run.path).by_direction["AtoB"].training


# --- folders


def test_a_folder_of_any_name_is_translated(run, tmp_path):
    folder = tmp_path / "my photos (new), 2. Teil"
    (folder / "deep er").mkdir(parents=True)
    Image.new("RGB", (20, 30), "red").save(folder / "deep er" / "Bild 1.JPG")
    (made,) = translate(run, folder=folder, direction="ba")
    assert made.name == "my-photos-new-2.-Teil_BtoA"
    assert [row.id for row in run.image_set(made.name).rows] == ["deep er/Bild 1"]
    assert run.image_set(made.name).extra["source"] == str(folder)


@pytest.mark.parametrize(("name", "expected"), [("фото", "input"), (".hidden", "hidden"), ("-x-", "x"), ("a", "a")])
def test_names_that_cannot_name_a_set_are_replaced(tmp_path, name, expected):
    (tmp_path / name).mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / name / "x.png")
    assert folder_translation(tmp_path / name, "AtoB", 32).split == expected


def label_map(path: Path, colours: Sequence[tuple[int, int, int]]) -> None:
    rng = np.random.default_rng(len(colours))
    blocks = rng.integers(len(colours), size=(6, 6)).repeat(20, axis=0).repeat(20, axis=1)
    Image.fromarray(np.array(colours, dtype=np.uint8)[blocks]).save(path)


def test_label_maps_of_a_folder_are_recognised_and_never_interpolated(run, tmp_path):
    folder, colours = tmp_path / "labels", [(0, 0, 142), (128, 64, 128), (70, 130, 180)]
    folder.mkdir()
    label_map(folder / "x.png", colours)
    generators = with_network(load_generators(run.path), Same(0.0))
    work = folder_translation(folder, "AtoB", 32)
    assert work.load.filter == "nearest"
    translate_into_run(run, generators, work)
    found = {tuple(colour) for colour in read_rgb(run.path / "images" / "labels_AtoB" / "x.png").reshape(-1, 3)}
    assert found == set(colours)


def test_a_run_that_knows_its_label_domain_says_so_for_a_folder(small, tmp_path):
    run = make_run(tmp_path / "run", small(), label_domain="A")
    folder = tmp_path / "many-colours"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / "x.png")
    for direction, filter_name in (("ab", "nearest"), ("ba", "bicubic")):
        (work,) = plan(run, load_generators(run.path), split="x", folder=folder, direction=direction, data=None)
        assert work.load.filter == filter_name


# --- mistakes


def test_wrong_folders_are_named(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.png").write_bytes(b"")
    for name, words in (("none", "not there"), ("file.png", "a file"), ("empty", "no images")):
        with pytest.raises(LayoutError, match=words):
            translate(run, folder=tmp_path / name, direction="ab")
    with pytest.raises(ConfigError, match="--direction ab or --direction ba"):
        translate(run, folder=tmp_path)


def test_a_direction_that_the_run_lacks_is_refused_before_anything_is_translated(pix2pix):
    with pytest.raises(ConfigError, match="translates AtoB and not BtoA"):
        translate(pix2pix, direction="both")
    assert Run.open(pix2pix.path).image_sets() == []


def test_a_broken_image_in_the_middle_leaves_no_half_set(run, images):
    whole = (images / "testB" / "b1.png").read_bytes()
    (images / "testB" / "b1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"b1\.png"):
        translate(run, direction="ba", batch_size=1)
    assert Run.open(run.path).image_sets() == []
    assert [path for path in (run.path / "images").iterdir() if path.is_dir()] == []


def test_a_run_that_was_trained_without_broken_files_is_translated_without_them(small, images, tmp_path):
    run = make_run(tmp_path / "run", small("data.skip_broken=true"))
    (images / "testB" / "b1.png").write_bytes(b"\x89PNG broken")
    translate(run, direction="ba")
    assert [row.id for row in run.image_set("test_BtoA").rows] == ["b0", "b2"]


class Interrupted(Fixed):
    """A generator that is interrupted at its second batch, as by Ctrl-C."""

    calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return super().forward(image)


@pytest.mark.parametrize("there_before", [False, True])
def test_interruption_leaves_what_was_there_before(run, tmp_path, there_before):
    if there_before:
        translate(run, direction="ab", export=tmp_path / "results")
    before = {path: path.read_bytes() for path in run.path.rglob("*.png")}
    results = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()}
    generators = with_network(load_generators(run.path), Interrupted(0.0))
    (work,) = plan(run, generators, split="test", folder=None, direction="ab", data=None)
    with pytest.raises(KeyboardInterrupt):
        translate_into_run(run, generators, work, batch_size=1, overwrite=True, export=tmp_path / "results")
    assert {path: path.read_bytes() for path in run.path.rglob("*.png")} == before
    assert {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()} == results
    assert not list(run.path.rglob(".writing*"))
    assert not list((tmp_path / "results").glob(".writing*"))


def test_a_sealed_set_is_replaced_only_when_told_to(run):
    first = pictures(translate(run, direction="ab")[0])
    generators = load_generators(run.path)
    work = plan(run, generators, split="test", folder=None, direction=None, data=None)
    with pytest.raises(RunError, match=r"sealed set test_AtoB: add --overwrite"):
        refuse_sealed(run, work)
    refuse_sealed(run, work[1:])
    with pytest.raises(RunError, match="--overwrite"):
        translate(run, direction="ab")
    translate_into_run(run, with_network(generators, Fixed(1.0)), work[0], overwrite=True)
    assert not np.array_equal(first["a0.png"], pictures(run.path / "images" / "test_AtoB")["a0.png"])
    run.image_set("test_AtoB").verify()


def test_a_moved_dataset_is_asked_for_and_given(run, images, tmp_path):
    images.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match=r"no longer at .*images: .*--data DIR"):
        translate(run)
    assert len(translate(run, data=tmp_path / "moved")) == 2


def test_a_run_without_a_dataset_asks_for_one(small, tmp_path):
    run = make_run(tmp_path / "run", small(), path="")
    with pytest.raises(ConfigError, match=r"--data DIR or --input DIR"):
        translate(run)


def test_unknown_splits_and_checkpoints_are_named_with_those_there_are(run):
    with pytest.raises(LayoutError, match=r"no split 'val'; there: train, test"):
        translate(run, split="val")
    with pytest.raises(RunError, match=r"no checkpoint '7'; there: 3, newest, best"):
        translate(run, checkpoint="7")


def test_a_checkpoint_may_be_chosen_by_its_step_or_as_the_best(small, tmp_path):
    run = make_run(tmp_path / "run", small(LIVELY), steps=(3, 7, 9))
    outputs = []
    for which, file in (("newest", 9), ("best", 3), ("7", 7)):
        (folder,) = translate(run, direction="ab", checkpoint=which, overwrite=True)
        assert run.image_set("test_AtoB").checkpoint == f"step-{file:08d}.pt"
        outputs.append(pictures(folder)["a0.png"])
    assert not np.array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[1], outputs[2])


def test_a_checkpoint_without_generators_is_named(run):
    path = state.find(run.path / "checkpoints")
    content = state.load(path)
    content["networks"] = {name: value for name, value in content["networks"].items() if name.startswith("disc")}
    torch.save(content, path)
    with pytest.raises(RunError, match="holds no generator"):
        load_generators(run.path)


# --- the reference's results layout


def test_the_references_results_layout(run, tmp_path):
    results = tmp_path / "results"
    (results / ".writing-run-test_AtoB").mkdir(parents=True)  # as a kill may leave it
    translate(run, export=results)
    folder = results / "run" / "test_latest" / "images"
    names = {f"a{i}_{kind}.png" for i in range(2) for kind in ("real_A", "fake_B", "rec_A")}
    names |= {f"b{i}_{kind}.png" for i in range(3) for kind in ("real_B", "fake_A", "rec_B")}
    found = pictures(folder)
    assert found.keys() == names
    sealed = pictures(run.path / "images" / "test_AtoB")
    assert np.array_equal(found["a0_fake_B.png"], sealed["a0.png"])
    assert [path.name for path in results.iterdir()] == ["run"]


def test_the_way_back_is_the_other_generator_on_the_translation(run, images, tmp_path):
    translate(run, export=tmp_path, direction="ab")
    networks = load_generators(run.path).by_direction
    real = resize(read_rgb(images / "testA" / "a0.png"), 32, 32, "bicubic")
    batch = torch.from_numpy(real.transpose(2, 0, 1)[None].astype(np.float32)) / 127.5 - 1
    with torch.no_grad():
        back = networks["BtoA"](networks["AtoB"](batch))[0].numpy().transpose(1, 2, 0)
    found = pictures(tmp_path / "run" / "test_latest" / "images")
    assert np.array_equal(found["a0_real_A.png"], real)
    assert np.abs(found["a0_rec_A.png"] - np.round((back + 1) * 127.5)).max() <= 1


def test_results_of_a_chosen_checkpoint_are_named_after_it(small, tmp_path):
    run = make_run(tmp_path / "run", small(), steps=(3, 7))
    translate(run, export=tmp_path / "results", direction="ab", checkpoint="3")
    assert [path.name for path in (tmp_path / "results" / "run").iterdir()] == ["test_3"]


def test_pix2pix_results_have_no_way_back(pix2pix, tmp_path):
    translate(pix2pix, export=tmp_path / "results")
    names = pictures(tmp_path / "results" / "pix2pix" / "test_latest" / "images")
    assert set(names) == {f"a{i}_{kind}.png" for i in range(2) for kind in ("real_A", "fake_B")}


def test_the_set_says_what_it_is(run):
    (folder,) = translate(run, direction="ab")
    seal = json.loads((folder / "set.json").read_text())
    assert (seal["direction"], seal["split"], seal["count"]) == ("AtoB", "test", 2)
