"""From settings to batches: what is opened, what is shown, what validates, and what other or vanished data is told."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cgeval.datasets import ImageFile
from cgeval.errors import ConfigError, DataError, ImageError, LayoutError, RunError
from cgeval.files import cache_folder
from cyclegan import inputs as module
from cyclegan.config import load_config
from cyclegan.data import cache
from cyclegan.distributed import World
from cyclegan.inputs import dataset_of, open_inputs, spread


def no_decoder(path: Path) -> np.ndarray:
    raise AssertionError(f"{path} was decoded again")


def noise(path: Path, seed: int, width: int = 40, height: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


# What is trained on


def test_batches_come_from_the_configured_folder_at_the_configured_size(small):
    inputs = open_inputs(small("optimiser.batch_size=2"), World())
    a, b = inputs.training.batch(0, 0)
    assert a.shape == b.shape == (2, 3, 32, 32)
    assert (len(inputs.training.a), len(inputs.training.b)) == (5, 7)
    assert inputs.training.a.pixels.shape[1:3] == (36, 36)
    assert inputs.training.steps_per_epoch == 4


def test_an_epoch_after_the_first_reads_no_image_file(small, images, monkeypatch):
    """Proved twice: the decoder refuses to work, and the files are gone."""
    inputs = open_inputs(small(), World())
    first = [inputs.training.batch(0, step) for step in range(inputs.training.steps_per_epoch)]
    monkeypatch.setattr(cache, "read_picture", no_decoder)
    shutil.rmtree(images)
    for step, (a, b) in enumerate(first):
        again = inputs.training.batch(0, step)
        assert torch.equal(a, again[0])
        assert torch.equal(b, again[1])
    inputs.training.batch(1, 0)


def test_a_later_run_decodes_no_training_image(small, images, monkeypatch):
    open_inputs(small(), World())
    read = cache.read_picture

    def only_test_images(file: ImageFile) -> np.ndarray:
        assert file.path.parent.name.startswith("test"), file
        return read(file)

    monkeypatch.setattr(cache, "read_picture", only_test_images)
    monkeypatch.setattr(module, "domain_load", lambda _dataset, _domain, px: cache.Load(px, "bicubic"))
    open_inputs(small(), World())


def test_two_folders_by_path_are_trained_on(small, images):
    config = small(f"data.path={images}/trainB", f"data.path_b={images}/trainA")
    inputs = open_inputs(config, World())
    assert (len(inputs.training.a), len(inputs.training.b)) == (7, 5)


def test_processes_share_the_cache_and_see_each_their_part(small):
    config = small("optimiser.batch_size=1")
    alone = open_inputs(small("optimiser.batch_size=2"), World())
    parts = [open_inputs(config, World()).training for _ in range(2)]
    ranks = [type(part)(**vars(part) | {"rank": rank, "world": 2}) for rank, part in enumerate(parts)]
    together = torch.cat([rank.batch(0, 1)[0] for rank in ranks])
    assert torch.equal(together, alone.training.batch(0, 1)[0])
    assert len([path for path in cache_folder().iterdir() if not path.name.startswith(".")]) == 2


@pytest.mark.parametrize("translator", ["cyclegan", "pix2pix"])
def test_only_a_translator_that_needs_pairs_draws_pairs(small, tmp_path, translator):
    for i in range(6):
        noise(tmp_path / "pairs" / "train" / f"{i}.png", i, 80, 40)
    inputs = open_inputs(small(f"data.path={tmp_path / 'pairs'}", f"translator={translator}"), World())
    assert inputs.training.paired == (translator == "pix2pix")
    assert inputs.training.a.ids == inputs.training.b.ids


def test_pix2pix_refuses_data_without_pairs(small, images):
    with pytest.raises(ConfigError, match=r"images is not paired: give aligned A\|B pictures, or .*paired = true"):
        open_inputs(small("translator=pix2pix"), World())


def test_pairs_that_fall_apart_while_they_are_read_are_refused(small, tmp_path, monkeypatch):
    """A file that breaks between the check and the decoding would otherwise shift all pairs after it."""
    for domain in "AB":
        for i in range(3):
            noise(tmp_path / "data" / f"train{domain}" / f"{i}.png", i)
    (tmp_path / "data" / "dataset.toml").write_text("paired = true\n")
    opened = module.open_dataset

    def then_break_one(*arguments: object, **options: object) -> object:
        dataset = opened(*arguments, **options)
        (tmp_path / "data" / "trainA" / "1.png").write_bytes(b"")
        return dataset

    monkeypatch.setattr(module, "open_dataset", then_break_one)
    monkeypatch.setattr(module, "domain_load", lambda _dataset, _domain, px: cache.Load(px, "bicubic"))
    with pytest.raises(LayoutError, match="its pairs no longer match"):
        open_inputs(small(f"data.path={tmp_path / 'data'}", "data.skip_broken=true"), World())


@pytest.mark.parametrize("empty", ["trainA", "trainB"])
def test_a_domain_without_training_images_is_refused(small, images, empty):
    for path in (images / empty).iterdir():
        path.unlink()
    with pytest.raises(LayoutError, match=r"has \d images of domain A and \d of B to train on"):
        open_inputs(small(), World())


def test_no_dataset_at_all_is_told_how_to_name_one():
    with pytest.raises(ConfigError, match="give --data DIR"):
        dataset_of(load_config("small"))


# Broken files


def test_a_broken_training_image_is_named_or_skipped(small, images):
    bad = noise(images / "trainB" / "b3.png", 0)
    bad.write_bytes(bad.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"trainB/b3\.png is broken"):
        open_inputs(small(), World())
    inputs = open_inputs(small("data.skip_broken=true"), World())
    assert "b3" not in inputs.training.b.ids
    assert inputs.dataset.skipped == (bad,)


# What is shown


def test_samples_are_test_images_squashed_whole(small, images):
    inputs = open_inputs(small("logging.sample_rows=2"), World())
    for batch, domain in zip(inputs.samples, "ab", strict=True):
        assert batch.shape == (2, 3, 32, 32)
        picture = Image.open(images / f"test{domain.upper()}" / f"{domain}0.png").resize(
            (32, 32), Image.Resampling.BICUBIC
        )
        theirs = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1) / np.float32(127.5) - 1)
        torch.testing.assert_close(batch[0], theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("emptied", ["testA", "testB", "both"])
def test_samples_are_training_images_where_the_test_split_lacks_a_domain(small, images, emptied):
    for name in ("testA", "testB"):
        if emptied == "both":
            shutil.rmtree(images / name)
        elif name == emptied:
            for path in (images / name).iterdir():
                path.unlink()
    inputs = open_inputs(small("logging.sample_rows=1"), World())
    first = inputs.dataset.split("train").a[0]
    assert torch.equal(inputs.samples[0], inputs.whole([first], "A"))


@pytest.mark.parametrize(("count", "rows", "shown"), [(10, 2, [0, 5]), (3, 5, [0, 1, 2, 0, 1]), (4, 4, [0, 1, 2, 3])])
def test_rows_are_spread_evenly_and_start_again(count, rows, shown):
    files = [ImageFile(str(i), Path(f"{i}.png")) for i in range(count)]
    assert [int(file.id) for file in spread(files, rows)] == shown


def test_one_decision_per_domain_holds_for_training_samples_and_validation(small, tmp_path):
    """A test image of few colours among photos must not be resized otherwise than the photos."""
    root = tmp_path / "data"
    for i in range(10):
        noise(root / "trainA" / f"{i}.png", i)
        noise(root / "trainB" / f"{i}.png", 10 + i)
    flat = np.zeros((40, 40, 3), np.uint8)
    flat[:, 20:] = 255
    for domain in "AB":
        noise(root / f"test{domain}" / "1.png", 30)
        Image.fromarray(flat).save(root / f"test{domain}" / "0.png")
    inputs = open_inputs(small(f"data.path={root}"), World())
    assert {domain: load.filter for domain, load in inputs.loads.items()} == {"A": "bicubic", "B": "bicubic"}
    theirs = np.asarray(Image.fromarray(flat).resize((32, 32), Image.Resampling.BICUBIC))
    assert len(np.unique(theirs)) > 2
    shown = np.rint((inputs.samples[0][0].numpy() + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
    assert np.array_equal(shown, theirs)


def test_label_maps_stay_label_maps_from_file_to_batch(small, tmp_path):
    colours = np.array([(128, 64, 128), (70, 70, 70), (70, 130, 180)], np.uint8)
    for domain in "AB":
        for split in ("train", "test"):
            for i in range(3):
                noise(tmp_path / "data" / f"{split}{domain}" / f"{i}.png", i)
    for path in (tmp_path / "data").glob("*A/*.png"):
        areas = np.kron(np.random.default_rng(0).integers(0, 3, (9, 9)), np.ones((7, 7), int))
        Image.fromarray(colours[areas]).save(path)
    inputs = open_inputs(small(f"data.path={tmp_path / 'data'}"), World())
    for batch in (*(inputs.training.batch(0, step)[0] for step in range(3)), inputs.samples[0]):
        found = np.rint((batch.numpy() + 1) * 127.5).astype(int).transpose(0, 2, 3, 1).reshape(-1, 3)
        assert {tuple(colour) for colour in found.tolist()} <= {tuple(colour) for colour in colours.tolist()}


# What validates

VALIDATE = ("checkpoints.best_by=cycle_l1", "checkpoints.validation_split=test")


def test_validation_sees_whole_images_and_the_shorter_domain_starts_again(small):
    batches = list(open_inputs(small(*VALIDATE), World()).validation)
    assert len(batches) == 3
    assert all(a.shape == b.shape == (1, 3, 32, 32) for a, b in batches)
    assert torch.equal(batches[0][0], batches[2][0])
    assert not torch.equal(batches[0][0], batches[1][0])
    assert len(list(open_inputs(small(*VALIDATE, "checkpoints.validation_images=1"), World()).validation)) == 1


def test_without_a_metric_nothing_validates(small):
    assert list(open_inputs(small(), World()).validation) == []


def test_a_split_that_cannot_validate_is_refused_before_training(small, images):
    with pytest.raises(LayoutError, match="no split 'val'; there: train, test"):
        open_inputs(small("checkpoints.best_by=cycle_l1"), World())
    for path in (images / "testB").iterdir():
        path.unlink()
    with pytest.raises(LayoutError, match="split 'test' with images of one domain only"):
        open_inputs(small(*VALIDATE), World())


# Other data than before


def test_the_digest_is_of_the_images_and_not_of_where_they_lie(small, images, tmp_path):
    before = open_inputs(small(), World()).digest
    images.rename(tmp_path / "moved")
    assert open_inputs(small(f"data.path={tmp_path / 'moved'}"), World()).digest == before


def test_one_changed_picture_among_hundreds_changes_the_digest(small, tmp_path):
    root = tmp_path / "many"
    for i in range(200):
        noise(root / "trainA" / f"{i}.png", i, 4, 4)
    noise(root / "trainB" / "0.png", 0, 4, 4)
    config = small(f"data.path={root}")
    before = open_inputs(config, World()).digest
    for changed in (1, 100, 199):
        noise(root / "trainA" / f"{changed}.png", 1000 + changed, 4, 4)
        after = open_inputs(config, World())
        assert after.digest != before
        with pytest.raises(RunError, match=rf"{root} no longer holds the images.*give the original folder with --data"):
            after.refuse_other_data(before)
        before = after.digest
    open_inputs(config, World()).refuse_other_data(before)


def test_another_id_or_order_changes_the_digest(small, images):
    before = open_inputs(small(), World()).digest
    (images / "trainA" / "a4.png").rename(images / "trainA" / "a5.png")  # the same place in the order
    renamed = open_inputs(small(), World()).digest
    (images / "trainA" / "a5.png").rename(images / "trainA" / "a.png")  # the first
    assert len({before, renamed, open_inputs(small(), World()).digest}) == 3


# Vanished data


def test_a_folder_that_is_gone_is_one_sentence(small, images):
    open_inputs(small(), World())
    shutil.rmtree(images)
    with pytest.raises(LayoutError, match=r"images is not there: expected a folder with trainA and trainB"):
        open_inputs(small(), World())


def test_a_file_that_is_gone_is_other_data(small, images):
    before = open_inputs(small(), World()).digest
    (images / "trainB" / "b3.png").unlink()
    with pytest.raises(RunError, match="no longer holds the images"):
        open_inputs(small(), World()).refuse_other_data(before)


def test_a_file_that_goes_while_it_is_read_is_named(small, images, monkeypatch):
    opened = module.open_dataset

    def then_lose_one(*arguments: object, **options: object) -> object:
        dataset = opened(*arguments, **options)
        (images / "trainB" / "b3.png").unlink()
        return dataset

    monkeypatch.setattr(module, "open_dataset", then_lose_one)
    with pytest.raises(DataError, match=r"trainB/b3\.png (was there and is gone|does not exist)"):
        open_inputs(small(), World())


def test_a_validation_image_that_goes_during_training_is_named(small, images):
    validation = open_inputs(small(*VALIDATE), World()).validation
    next(validation)
    (images / "testA" / "a1.png").unlink()
    with pytest.raises(ImageError, match=r"a1\.png does not exist"):
        next(validation)


# Where the cache lies


def test_the_cache_lies_where_the_environment_says(monkeypatch):
    for name in ("CGEVAL_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/cgeval")
    monkeypatch.setenv("XDG_CACHE_HOME", "/fast")
    assert cache_folder() == Path("/fast/cgeval")
    monkeypatch.setenv("CGEVAL_CACHE", "/mine")
    assert cache_folder() == Path("/mine")
