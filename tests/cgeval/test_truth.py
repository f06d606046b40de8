"""The truth is read as what it is, or refused: a wrong truth would be a wrong number that looks right."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgeval.errors import DataError, ImageError
from cgeval.labels import label_set
from cgeval.truth import is_colour_coded, read_label_ids, read_truth

CITY = label_set("cityscapes")
IDS = np.array([[0, 7, 8, 11], [23, 24, 26, 33]], np.uint8)
CLASSES = [[19, 0, 1, 2], [10, 11, 13, 18]]


def saved(path: Path, picture: np.ndarray, mode: str | None = None, **options: object) -> Path:
    Image.fromarray(picture, mode).save(path, **options) if mode else Image.fromarray(picture).save(path, **options)
    return path


def test_ids_become_scored_classes_and_the_rest_void(tmp_path):
    truth = read_truth(saved(tmp_path / "ids.png", IDS), CITY)
    assert truth.dtype == np.uint8
    assert truth.tolist() == CLASSES


def test_colours_of_the_palette_say_the_same(tmp_path):
    path = saved(tmp_path / "colours.png", CITY.colours_of(IDS))
    assert is_colour_coded(path)
    assert read_truth(path, CITY).tolist() == CLASSES
    transparent = np.dstack([CITY.colours_of(IDS), np.full(IDS.shape, 255, np.uint8)])  # as gtFine's own _color.png
    assert read_truth(saved(tmp_path / "rgba.png", transparent), CITY).tolist() == CLASSES


def test_a_palette_that_a_program_reordered_is_read_by_its_colours(tmp_path):
    picture = Image.fromarray(CITY.colours_of(IDS)).quantize(8, dither=Image.Dither.NONE)
    picture.save(tmp_path / "p.png")
    assert read_truth(tmp_path / "p.png", CITY).tolist() == CLASSES


def test_blurred_colours_are_refused_with_the_count_and_the_reason(tmp_path):
    large = np.kron(CITY.colours_of(IDS), np.ones((8, 8, 1), np.uint8))
    small = Image.fromarray(large).resize((20, 10), Image.Resampling.BILINEAR)
    small.save(tmp_path / "small.png")
    with pytest.raises(DataError, match=r"small\.png: .*% of the pixels have \d+ colours .* interpolating filter"):
        read_truth(tmp_path / "small.png", CITY)


def test_another_palette_is_refused(tmp_path):
    foreign = (255 - CITY.colours_of(IDS) // 2).astype(np.uint8)
    with pytest.raises(DataError, match="coloured with another palette"):
        read_truth(saved(tmp_path / "x.png", np.repeat(foreign, 30, axis=0)), CITY)


def test_a_jpeg_is_no_truth(tmp_path):
    with pytest.raises(ImageError, match="is a JPEG, which changes ids and colours"):
        read_truth(saved(tmp_path / "x.jpg", IDS), CITY)


def test_sixteen_bit_maps_of_objects_are_told_from_ids(tmp_path):
    objects = IDS.astype(np.uint16) * 1000
    with pytest.raises(DataError, match=r"7 ids, such as 7000, that .*16-bit maps count objects .*instanceIds"):
        read_truth(saved(tmp_path / "x.png", objects), CITY)
    assert read_truth(saved(tmp_path / "y.png", IDS.astype(np.uint16)), CITY).tolist() == CLASSES


@pytest.mark.parametrize("read", [read_truth, read_label_ids])
def test_an_id_out_of_range_is_named(tmp_path, read):
    with pytest.raises(DataError, match=r"x\.png holds the id 34 that label set 'cityscapes' does not have"):
        read(saved(tmp_path / "x.png", np.where(IDS == 33, 34, IDS).astype(np.uint8)), CITY)
