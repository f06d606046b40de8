"""Rates of single images go in; pictures of the most and least convincing ones come out, as data URIs.

They are cut out of the study's own composites, so that they show what participants saw.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgeval.errors import CgevalError
from cgeval.files import sha256_file
from cgeval.images import Picture, encode_png, read_rgb, resize
from study_server.analysis.closer import ImageRate
from study_server.judged import Judged
from study_server.manifest import STIMULI, Manifest
from study_server.reporting.extremes import convincing

EACH = 6
MOST_PX, FEWER_PX = 128, 96
MANY_ARMS = 4  # above it, pictures are smaller, so that the page stays one that can be sent


@dataclass(frozen=True)
class Shown:
    """An image with its real one. fake, real: data URIs of pictures with size_px to a side, "" where there are none;
    why: then, what is wrong with the file; names: of both."""

    rate: ImageRate
    fake: str
    real: str
    size_px: int
    fake_name: str
    real_name: str
    why: str = ""


@dataclass(frozen=True)
class Extremes:
    """Of one arm. most, least: convincing, the most extreme first."""

    name: str
    most: tuple[Shown, ...]
    least: tuple[Shown, ...]

    @property
    def have_pictures(self) -> bool:
        """Whether there is any."""
        return any(each.fake or each.why for each in (*self.most, *self.least))


def extremes(name: str, images: Sequence[ImageRate], judged: Judged, arms: int) -> Extremes:
    """At most six of each, none twice."""
    most, least = convincing(images, EACH)
    size_px = MOST_PX if arms <= MANY_ARMS else FEWER_PX
    return Extremes(name, *(tuple(_shown(each, judged, size_px) for each in part) for part in (most, least)))


def names_of(image: str, manifest: Manifest | None) -> tuple[str, str]:
    """Of the generated image and the real one beside it; an imported study knows one name alone."""
    pair = manifest.by_id.get(image) if manifest else None
    return (pair.fake, pair.real) if pair else (image, "")


def _shown(rate: ImageRate, judged: Judged, size_px: int) -> Shown:
    fake_name, real_name = names_of(rate.image, judged.manifest)
    if not real_name or judged.manifest is None:
        return Shown(rate, "", "", size_px, fake_name, real_name)
    found = _composite(judged.folder, judged.manifest, rate.image)
    if isinstance(found, str):
        return Shown(rate, "", "", size_px, fake_name, real_name, found)
    middle = found.shape[1] // 2
    size_px = min(size_px, middle)
    return Shown(
        rate, _uri(found[:, middle:], size_px), _uri(found[:, :middle], size_px), size_px, fake_name, real_name
    )


def _composite(folder: Path, manifest: Manifest, pair_id: str) -> Picture | str:
    """uint8 [size, 2 size, 3], the real image left; or in a few words why there is none."""
    name = manifest.by_id[pair_id].stimulus("left")
    path = folder / STIMULI / name
    try:
        if sha256_file(path) != manifest.stimuli.get(name):
            return "changed after the study was built"
        return read_rgb(path)
    except OSError:
        return "the file is gone"
    except CgevalError:
        return "the file is broken"


def _uri(picture: Picture, size_px: int) -> str:
    """Of a square picture, made smaller where it is larger."""
    if picture.shape[1] > size_px:
        picture = resize(picture, size_px, size_px, "lanczos")
    return f"data:image/png;base64,{base64.b64encode(encode_png(np.ascontiguousarray(picture))).decode()}"
