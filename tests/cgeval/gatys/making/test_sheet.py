"""The contact sheet: something to look at, whatever shapes the pictures have."""

import numpy as np

from cgeval.gatys.making.sheet import CELL, DPI, Block, Column, mosaic, spread, write_sheet
from cgeval.images import read_rgb
from tests.cgeval.gatys.pictures import photo


def red(width, height):
    return np.broadcast_to(np.array((200, 0, 0), np.uint8), (height, width, 3))


def blue(width, height):
    return np.broadcast_to(np.array((0, 0, 200), np.uint8), (height, width, 3))


def has(picture, colour):
    return bool((np.abs(picture.astype(int) - colour).max(axis=-1) < 8).any())


def test_contents_on_the_left_results_beside_them_styles_above(tmp_path):
    block = Block("test AtoB", [red(40, 40)], [Column("night", blue(40, 40), [photo(1)])])
    write_sheet(tmp_path / "sheet.png", [block])
    sheet = read_rgb(tmp_path / "sheet.png")
    height, width = sheet.shape[:2]
    lower_left, upper_right = sheet[height // 2 :, : width // 2], sheet[: height // 2, width // 2 :]
    assert has(lower_left, (200, 0, 0))
    assert has(upper_right, (0, 0, 200))
    assert not has(lower_left, (0, 0, 200))


def test_a_style_without_a_picture_and_odd_shapes_are_no_problem(tmp_path):
    columns = [Column("only its average is left", None, [photo(1, 5, 90)]), Column("x" * 99, red(90, 5), [photo(2)])]
    write_sheet(tmp_path / "a.png", [Block("one", [photo(3, 200, 10)], columns), Block("two", [photo(4)], columns[:1])])
    assert read_rgb(tmp_path / "a.png").shape[1] > 3 * CELL * DPI


def test_tiles_of_a_collection():
    assert mosaic([photo(i) for i in range(12)], 90).shape == (90, 90, 3)
    three = mosaic([red(30, 60), blue(60, 30), blue(30, 30)], 40)
    corners = [three[y, x].tolist() for y in (5, 35) for x in (5, 35)]
    assert corners == [[200, 0, 0], [0, 0, 200], [0, 0, 200], [255, 255, 255]]
    assert mosaic([red(30, 60)], 40).shape == (40, 40, 3)


def test_some_from_all_over():
    assert spread(3) == [0, 1, 2]
    assert spread(100, 4) == [0, 25, 50, 75]
