"""Pairs go in; composites come out, alike from outside: one encoder, one size, names and times that say nothing."""

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgeval.images import Picture, encode_png, read_rgb, resize

GREY = 128  # around images that are not square
NAME_BYTES = 16
TIME = 1_000_000_000  # of every file, in seconds since 1970: the order of writing is nobody's business


@dataclass(frozen=True)
class Composites:
    """The files of one pair, by where the real image is."""

    left: str
    right: str


def fitted(path: Path, size_px: int) -> Picture:
    """uint8 [size, size, 3]: the image, enlarged or reduced until it touches two sides, in the middle of grey."""
    picture = read_rgb(path)
    height, width = picture.shape[:2]
    scale = size_px / max(height, width)
    new = max(1, round(width * scale)), max(1, round(height * scale))
    if (width, height) != new:
        picture = resize(picture, *new, "bicubic")
    tile = np.full((size_px, size_px, 3), GREY, np.uint8)
    top, left = (size_px - new[1]) // 2, (size_px - new[0]) // 2
    tile[top : top + new[1], left : left + new[0]] = picture
    return tile


def noise(seed: str, size_px: int) -> Picture:
    """uint8 [size, size, 3]: what nobody who looks takes for a photograph."""
    source = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    return source.integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)


def write_composites(folder: Path, real: Picture, fake: Picture, kept: Callable[[str, str], object]) -> Composites:
    """Both of a pair, the real image left and right; kept: told each file's name and digest."""
    made = {"left": np.concatenate([real, fake], axis=1), "right": np.concatenate([fake, real], axis=1)}
    names = {}
    for side, picture in made.items():
        name, data = f"{secrets.token_hex(NAME_BYTES)}.png", encode_png(picture)
        path = folder / name
        path.write_bytes(data)
        os.utime(path, (TIME, TIME))
        kept(name, hashlib.sha256(data).hexdigest())
        names[side] = name
    return Composites(**names)
