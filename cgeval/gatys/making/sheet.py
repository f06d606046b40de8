"""Contents, styles and results go in; one picture for people to look at comes out (RUN/gatys/styles.png)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cgeval.files import write_atomic
from cgeval.images import Picture, resize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL, GAP, MARGIN, HEAD = 1.9, 0.06, 0.12, 0.28  # inches
DPI = 120
TEXT = 8.0  # points
LETTERS = 30  # of a name above a column
INK, FAINT = "#222222", "#7f7f7f"
MOST_ROWS = 4
TILES = 3  # a collection is shown by so many times so many of its images


@dataclass(frozen=True)
class Column:
    """One style: its name, a picture of it (None where only its average is left), and its results row by row."""

    name: str
    style: Picture | None
    results: Sequence[Picture]


@dataclass(frozen=True)
class Block:
    """One direction: the contents row by row, and what each style made of them."""

    title: str
    contents: Sequence[Picture]
    columns: Sequence[Column]


def spread(count: int, most: int = MOST_ROWS) -> list[int]:
    """Places of so many out of `count`, from all over."""
    return [i * count // most for i in range(most)] if count > most else list(range(count))


def mosaic(pictures: Sequence[Picture], side_px: int = 384) -> Picture:
    """Up to nine of the pictures as tiles of one square, each cropped to its middle; what stays empty is white."""
    shown = pictures[: TILES * TILES]
    across = math.ceil(math.sqrt(len(shown)))
    px = side_px // across
    page = np.full((across * px, across * px, 3), 255, dtype=np.uint8)
    for i, picture in enumerate(shown):
        y, x = i // across * px, i % across * px
        page[y : y + px, x : x + px] = resize(_middle(picture), px, px, "bicubic")
    return page


def write_sheet(path: Path, blocks: Sequence[Block]) -> None:
    """Write the picture, whole or not at all; each block has its styles in its first row, its contents on the left."""
    from matplotlib.figure import Figure

    across = max(1 + len(block.columns) for block in blocks)
    width = 2 * MARGIN + across * (CELL + GAP) - GAP
    height = 2 * MARGIN + sum(HEAD + sum(_row_heights(block)) for block in blocks)
    figure = Figure((width, height), dpi=DPI, facecolor="white")
    top = MARGIN
    for block in blocks:
        top = _draw(figure, block, top)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())


def _draw(figure: "Figure", block: Block, top: float) -> float:
    """Returns where the next block begins, in inches from above."""
    for i, words in enumerate((block.title, *(column.name for column in block.columns))):
        short = words if len(words) <= LETTERS else f"{words[: LETTERS - 1]}…"
        _words(figure, MARGIN + i * (CELL + GAP) + CELL / 2, top + HEAD / 2, short)
    top += HEAD
    first, *heights = _row_heights(block)
    for i, column in enumerate(block.columns, 1):
        if column.style is not None:
            _place(figure, column.style, (i, top, first))
    top += first
    for y, (content, height) in enumerate(zip(block.contents, heights, strict=True)):
        for i, picture in enumerate((content, *(column.results[y] for column in block.columns))):
            _place(figure, picture, (i, top, height))
        top += height
    return top


def _row_heights(block: Block) -> list[float]:
    """Of the styles' row and of each content's, with the gap below it."""
    styles = [column.style for column in block.columns if column.style is not None]
    tallest = min(1.0, max((_shape(style) for style in styles), default=0.0))
    return [CELL * tallest + GAP, *(CELL * _shape(content) + GAP for content in block.contents)]


def _shape(picture: Picture) -> float:
    """Height over width, no column being taller than 1.6 of its width."""
    return min(1.6, float(picture.shape[0] / picture.shape[1]))


def _place(figure: "Figure", picture: Picture, cell: tuple[int, float, float]) -> None:
    """In the middle of a cell: its column, its upper edge and its height with the gap, in inches."""
    column, top, tall = cell
    width, height = figure.get_size_inches()
    times = min(CELL / picture.shape[1], (tall - GAP) / picture.shape[0])
    wide, high = picture.shape[1] * times, picture.shape[0] * times
    left = MARGIN + column * (CELL + GAP) + (CELL - wide) / 2
    upper = top + (tall - GAP - high) / 2
    axes = figure.add_axes((left / width, 1 - (upper + high) / height, wide / width, high / height))
    axes.imshow(picture, aspect="auto", interpolation="lanczos")
    axes.set_axis_off()


def _words(figure: "Figure", x: float, y: float, words: str) -> None:
    width, height = figure.get_size_inches()
    placed: dict[str, Any] = {"ha": "center", "va": "center", "color": INK, "parse_math": False}
    figure.text(x / width, 1 - y / height, words, fontsize=TEXT, **placed)


def _middle(picture: Picture) -> Picture:
    """The largest square in the middle."""
    height, width = picture.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(picture[y : y + side, x : x + side])
