"""The image files of a side go in; what each of them shows comes out, in numbers to hold against another side's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from cgeval.errors import DataError, ImageError
from cgeval.images import Header, Picture, image_header, read_rgb
from study_server.checking.measures import (
    GRID,
    GRID_SMALLEST,
    Luma,
    block_step,
    border,
    digest,
    is_coarse,
    is_grey,
    jpeg_grid,
    luma,
    middle,
    sharpness,
)
from study_server.checking.sides import Side

T = TypeVar("T")

FLAT = 3.0  # grey levels of standard deviation; the least of 1,213 photos measured has 17.6


@dataclass(frozen=True)
class Measures:
    """What is measured on a sample. grid: has it JPEG's grid, None for an image too small to tell.

    step (at the edges of the grid's blocks; 0 without a grid), sharpness, brightness: in grey levels, 0 .. 255.
    """

    grid: bool | None
    step: float
    coarse: bool
    sharpness: float
    brightness: float


@dataclass(frozen=True)
class Seen:
    """What one image shows. border_px: width of a constant frame; spread: standard deviation in grey levels."""

    name: str
    header: Header
    width: int
    height: int
    digest: str
    grey: bool
    border_px: int
    spread: float
    measures: Measures | None

    @property
    def size(self) -> str:
        """Width x height in pixels, such as 256x128."""
        return f"{self.width}x{self.height}"

    @property
    def flat(self) -> bool:
        """Almost one grey all over."""
        return self.spread < FLAT

    @property
    def framed(self) -> bool:
        """Has it a constant border with a picture inside?"""
        return self.border_px > 0 and not self.flat


@dataclass(frozen=True)
class ImagesSeen:
    """One side of a study: the images that could be read, and a sentence for each that could not."""

    name: str
    folder: Path
    images: tuple[Seen, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def measured(self) -> list[Measures]:
        """Of the images in the sample."""
        return [image.measures for image in self.images if image.measures]

    @property
    def grids(self) -> list[bool]:
        """Has the image the grid of JPEG? Of those in the sample that are large enough to tell."""
        return [m.grid for m in self.measured if m.grid is not None]

    @property
    def steps(self) -> list[float]:
        """Grey levels at the edges of blocks, of the same images."""
        return [m.step for m in self.measured if m.grid is not None]


def each(of: Callable[[Seen], T], real: ImagesSeen, fake: ImagesSeen) -> tuple[list[T], list[T]]:
    """The same of every image, those of the real side first."""
    return [of(image) for image in real.images], [of(image) for image in fake.images]


def look_at(side: Side, sample: int, seed: int, seen: Callable[[int], object]) -> ImagesSeen:
    """Read every image of the side and measure `sample` of them; those that cannot be read are named in the result.

    seen: called with 1 after each image, for progress. Raises DataError where no image can be read.
    """
    chosen = _draw(len(side.files), sample, seed)
    images, unreadable = [], []
    for index, path in enumerate(side.files):
        name = path.relative_to(side.folder).as_posix()
        try:
            images.append(look(name, image_header(path), read_rgb(path), measure=index in chosen))
        except ImageError as error:
            unreadable.append(str(error))
        seen(1)
    if not images:
        raise DataError(f"none of the {len(side.files)} image files in {side.folder} can be read: {unreadable[0]}")
    return ImagesSeen(side.name, side.folder, tuple(images), tuple(unreadable))


def look(name: str, header: Header, picture: Picture, *, measure: bool) -> Seen:
    """What uint8 [h, w, 3] shows; `measure` adds the slower measures."""
    height, width = picture.shape[:2]
    grey = luma(picture)
    measures = _measure(picture, grey) if measure else None
    spread = float(grey.std())
    return Seen(name, header, width, height, digest(picture), is_grey(picture), border(grey), spread, measures)


def _measure(picture: Picture, grey: Luma) -> Measures:
    grid, step = _grid_and_step(middle(grey))
    return Measures(grid, step, is_coarse(picture), sharpness(grey), float(grey.mean()))


def _grid_and_step(grey: Luma) -> tuple[bool | None, float]:
    if min(grey.shape) < GRID_SMALLEST:
        return None, 0.0
    lead, origin = jpeg_grid(grey)
    return (True, block_step(grey, origin)) if lead >= GRID else (False, 0.0)


def _draw(count: int, sample: int, seed: int) -> frozenset[int]:
    """Which of `count` images are measured; the same seed draws the same."""
    drawn = np.random.default_rng(seed).choice(count, size=min(sample, count), replace=False)
    return frozenset(drawn.tolist())
