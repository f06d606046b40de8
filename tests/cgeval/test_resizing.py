"""Label maps are told from photos by their colours and flat areas, in pictures from all over that lost nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgeval.datasets import ImageFile
from cgeval.resizing import are_flat, filter_for


def save(path: Path, picture: np.ndarray, **options: object) -> ImageFile:
    Image.fromarray(picture).save(path, **options)
    return ImageFile(path.stem, path)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def label_map(seed: int, px: int = 96) -> np.ndarray:
    """Large areas of few colours, as label maps have."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (12, 3), dtype=np.uint8)
    return colours[np.kron(rng.integers(0, 12, (px // 12, px // 12)), np.ones((12, 12), int))]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_label_maps_are_recognised_in_every_lossless_format(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    assert are_flat([save(tmp_path / f"{i}.{suffix}", label_map(i), **options) for i in range(10)])


def test_camvids_maps_are_recognised_and_its_photos_are_not(shared_data):
    for name, expected in (("label", True), ("photo", False)):
        paths = sorted((shared_data / "camvid" / "train" / name).iterdir())
        assert are_flat([ImageFile(path.stem, path) for path in paths]) is expected


@pytest.mark.parametrize("levels", [16, 32, 64])
def test_dark_photos_of_few_grey_levels_are_not_label_maps(shared_data, tmp_path, levels):
    """A thermal or night photo may use 64 of the 256 levels; nearest would make it rough."""
    paths = sorted((shared_data / "camvid" / "train" / "photo").iterdir())[::40]
    dark = [np.asarray(Image.open(path).convert("L")) // (256 // levels) for path in paths]
    assert all(len(np.unique(picture)) <= 64 for picture in dark)
    assert not are_flat([save(tmp_path / f"{i}.png", picture) for i, picture in enumerate(dark)])


def test_a_few_flat_pictures_at_the_beginning_do_not_decide(tmp_path):
    """Medical slices and videos begin nearly empty."""
    flat = [save(tmp_path / f"{i:02d}.png", label_map(i)) for i in range(10)]
    assert are_flat(flat)
    assert not are_flat(flat + [save(tmp_path / f"{i:02d}.png", noise(i)) for i in range(10, 40)])


def test_jpeg_and_pictures_of_one_colour_are_no_label_maps(tmp_path):
    assert not are_flat([save(tmp_path / "m.jpg", label_map(0))])
    assert not are_flat([save(tmp_path / "black.png", np.zeros((9, 9, 3), np.uint8))])
    assert not are_flat([save(tmp_path / "dot.png", np.zeros((1, 1, 3), np.uint8))])
    assert not are_flat([])


def test_what_is_declared_needs_no_look(tmp_path):
    gone = [ImageFile("gone", tmp_path / "gone.png")]
    assert filter_for(gone, declared=True) == "nearest"
    assert filter_for([save(tmp_path / "noise.png", noise(0))], declared=False) == "bicubic"
    assert filter_for([save(tmp_path / "map.png", label_map(0))], declared=False) == "nearest"
