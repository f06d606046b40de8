"""Labelled photos go in; batches to train on come out, each a pure function of the seed and the step.

A picture is brought to a random zoom of the training size, a window of the training size is cut out at random, flipped
fairly and changed in colour; where the window leaves the picture, its border is repeated and the truth is void. Class
maps only ever meet the nearest-neighbour filter. Every draw belongs to (seed, epoch, picture): a batch has no history.
"""

import math
import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from cgeval.datasets import ImageFile, read_picture
from cgeval.images import Picture, image_size, resize
from cgeval.labels import LabelSet
from cgeval.truth import read_truth

ClassMap = NDArray[np.uint8]
Size = tuple[int, int]
LabelledFile = tuple[str, ImageFile, Path]

ORDER_STREAM, PICTURE_STREAM = 1, 2
MOST_BYTES = 6 << 30
AHEAD = 4
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # Rec. 601 luma
GREY_AXIS = np.full(3, 1 / math.sqrt(3), dtype=np.float32)
MOST_TURN = math.pi / 6  # of the hue, at jitter 1


@dataclass(frozen=True)
class Photos:
    """Labelled photos and how many pixels of each class they show. held: decoded, or None: decoded when asked for.

    photo_px: size that photos are kept at; truth_px: the same of class maps; None: their own. pixels: int64 [n, K + 1].
    """

    files: Sequence[LabelledFile]
    labels: LabelSet
    photo_px: Size | None
    truth_px: Size | None
    pixels: NDArray[np.int64]
    held: Sequence[tuple[Picture, ClassMap]] | None

    def __len__(self) -> int:
        return len(self.files)

    def at(self, place: int) -> tuple[Picture, ClassMap]:
        """Photo uint8 [h, w, 3] and class map uint8 [h, w] of one picture."""
        if self.held is not None:
            return self.held[place]
        photo, truth = _read(self.files[place], self.labels)
        return _brought(photo, self.photo_px), _brought(truth, self.truth_px)

    def first(self, count: int) -> "Photos":
        """The first few of them."""
        held = None if self.held is None else self.held[:count]
        return replace(self, files=self.files[:count], pixels=self.pixels[:count], held=held)


def load_photos(
    files: Sequence[LabelledFile],
    labels: LabelSet,
    photo_px: Size | None,
    truth_px: Size | None,
    *,
    most_bytes: int = MOST_BYTES,
    progress: bool = False,
) -> Photos:
    """Read every photo and class map once, several at a time, and keep them if they fit into `most_bytes`.

    A photo and its map may differ in size: they show the same, side to side. Raises ImageError or DataError naming a
    file that cannot be read.
    """
    fits = _bytes_of(files, photo_px, truth_px) <= most_bytes
    size = len(labels.classes) + 1

    def read(file: LabelledFile) -> tuple[NDArray[np.int64], tuple[Picture, ClassMap] | None]:
        photo, truth = _read(file, labels)
        counts = np.bincount(truth.ravel(), minlength=size).astype(np.int64)
        return counts, (_brought(photo, photo_px), _brought(truth, truth_px)) if fits else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hidden = None if progress else True  # None: shown where there is a terminal
        found = list(tqdm(pool.map(read, files), total=len(files), desc="reading", unit="img", disable=hidden))
    held = [pair for _, pair in found if pair is not None]
    pixels = np.stack([counts for counts, _ in found]) if found else np.zeros((0, size), dtype=np.int64)
    return Photos(files, labels, photo_px, truth_px, pixels, held if fits else None)


@dataclass(frozen=True)
class Samples:
    """Batches of random windows of size_px (width, height), by step. Settings as in `Recipe`."""

    photos: Photos
    size_px: Size
    window_px: Size
    zoom: tuple[float, float]
    flip: bool
    jitter: float
    batch_size: int
    seed: int
    void: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "void", len(self.photos.labels.classes))

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every photo is seen; the last batch is filled up from the epoch's beginning."""
        return math.ceil(len(self.photos) / self.batch_size)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """uint8 [batch_size, 3, h, w] and the class maps uint8 [batch_size, h, w] of window_px."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = _stream(self.seed, ORDER_STREAM, epoch, 0).permutation(len(self.photos))
        numbers = range(place * self.batch_size, (place + 1) * self.batch_size)
        drawn = [self._picture(epoch, number, int(order[number % len(order)])) for number in numbers]
        photos = np.stack([photo for photo, _ in drawn]).transpose(0, 3, 1, 2)
        truths = np.stack([truth for _, truth in drawn])
        return torch.from_numpy(photos), torch.from_numpy(truths)

    def _picture(self, epoch: int, number: int, place: int) -> tuple[Picture, ClassMap]:
        rng = _stream(self.seed, PICTURE_STREAM, epoch, number)
        photo, truth = self._window(rng, *self.photos.at(place))
        if self.flip and rng.random() < 0.5:
            photo, truth = photo[:, ::-1], truth[:, ::-1]
        return recoloured(photo, rng, self.jitter), truth

    def _window(self, rng: np.random.Generator, photo: Picture, truth: ClassMap) -> tuple[Picture, ClassMap]:
        """The same window of both, zoomed alike; the zoom is uniform in its logarithm."""
        zoom = math.exp(rng.uniform(*np.log(self.zoom)))
        across = _Span.drawn(rng, self.size_px[0] * zoom, self.window_px[0])
        down = _Span.drawn(rng, self.size_px[1] * zoom, self.window_px[1])
        return _cut_photo(photo, across, down), _cut_map(truth, across, down, self.void)


@dataclass(frozen=True)
class _Span:
    """One axis of a window. start, end: fractions of the picture; px: their length in the window; before, after: room
    that the picture leaves there."""

    start: float
    end: float
    px: int
    before: int
    after: int

    @classmethod
    def drawn(cls, rng: np.random.Generator, picture_px: float, window_px: int) -> "_Span":
        whole = max(1, round(picture_px))
        if whole <= window_px:
            before = int(rng.integers(window_px - whole + 1))
            return cls(0.0, 1.0, whole, before, window_px - whole - before)
        start = int(rng.integers(whole - window_px + 1))
        return cls(start / whole, (start + window_px) / whole, window_px, 0, 0)


def photo_size(file: ImageFile) -> Size:
    """Width and height of a photo, which may be half of an aligned picture, from the header alone."""
    width, height = image_size(file.path)
    return (width // 2 if file.half else width), height


def batches(samples: Samples, first: int, end: int, workers: int) -> Generator[tuple[Tensor, Tensor], None, None]:
    """The batches of the steps first .. end - 1, made by threads a few steps ahead; close it to end them."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="samples")
    ahead: deque[Future[tuple[Tensor, Tensor]]] = deque()
    try:
        for step in range(first, end + AHEAD):
            if step < end:
                ahead.append(pool.submit(samples.batch, step))
            if step >= first + AHEAD or step >= end:
                if not ahead:
                    return
                yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def recoloured(photo: Picture, rng: np.random.Generator, strength: float) -> Picture:
    """The photo in other light: brightness, contrast, saturation, and the hue turned about the grey axis.

    Each factor lies in 1 - strength .. 1 + strength; all four are one matrix on RGB, and what leaves 0 .. 255 is cut.
    """
    if strength == 0:
        return photo
    brightness, contrast, saturation = (1 + strength * rng.uniform(-1, 1, 3)).astype(np.float32)
    turned = _turn(np.float32(strength * MOST_TURN * rng.uniform(-1, 1)))
    mixed = saturation * turned + (1 - saturation) * np.outer(np.ones(3, dtype=np.float32), GREY)
    middle = float(photo.reshape(-1, 3).mean(axis=0) @ GREY)
    matrix = (brightness * contrast * mixed).astype(np.float32)
    changed = photo.reshape(-1, 3).astype(np.float32) @ matrix.T + np.float32(brightness * (1 - contrast) * middle)
    levels: Picture = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return levels.reshape(photo.shape)


def class_weights(pixels: NDArray[np.int64], name: str) -> NDArray[np.float32]:
    """float32 [K]: what a pixel of each class weighs; 1 for a class that no photo shows. pixels: int64 [n, K + 1].

    median_frequency: the median class frequency by the class's own, over the photos that show it (Eigen and Fergus
    2015, arXiv 1411.4734, section 4.3); enet: 1 / ln(1.02 + its share) (Paszke et al. 2016, arXiv 1606.02147).
    """
    scored = pixels[:, :-1]
    seen = scored.sum(axis=0) > 0
    weights = np.ones(scored.shape[1])
    if name == "median_frequency":
        all_pixels = scored.sum(axis=1, keepdims=True) * (scored > 0)
        frequency = scored.sum(axis=0)[seen] / all_pixels.sum(axis=0)[seen]
        weights[seen] = np.median(frequency) / frequency
    elif name == "enet":
        share = scored.sum(axis=0)[seen] / scored.sum()
        weights[seen] = 1 / np.log(1.02 + share)
    return weights.astype(np.float32)


def _stream(seed: int, kind: int, epoch: int, number: int) -> np.random.Generator:
    """A random generator that depends on nothing but these four numbers."""
    return np.random.Generator(np.random.Philox(key=[seed, kind], counter=[0, 0, number, epoch]))


def _turn(angle: np.float32) -> NDArray[np.float32]:
    """The rotation of RGB about the grey axis (Rodrigues' formula)."""
    x, y, z = GREY_AXIS
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=np.float32)
    turned: NDArray[np.float32] = np.eye(3, dtype=np.float32) + np.sin(angle) * cross
    turned += (1 - np.cos(angle)) * (cross @ cross)
    return turned


def _cut_photo(photo: Picture, across: _Span, down: _Span) -> Picture:
    """The window, with PIL's bilinear filter; outside the photo its border is repeated."""
    height, width = photo.shape[:2]
    box = (across.start * width, down.start * height, across.end * width, down.end * height)
    size = (across.px, down.px)
    inside = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR, box=box), dtype=np.uint8)
    window: Picture = np.pad(inside, (*_room(across, down), (0, 0)), mode="edge")
    return window


def _cut_map(truth: ClassMap, across: _Span, down: _Span, void: int) -> ClassMap:
    """The window, pixel under each pixel's centre; outside the map it is void."""
    height, width = truth.shape
    inside = truth[_nearest(down, height)[:, None], _nearest(across, width)[None, :]]
    window: ClassMap = np.pad(inside, _room(across, down), constant_values=void)
    return window


def _room(across: _Span, down: _Span) -> tuple[tuple[int, int], tuple[int, int]]:
    return (down.before, down.after), (across.before, across.after)


def _nearest(span: _Span, length: int) -> NDArray[np.intp]:
    """The picture's pixel under the centre of each of the window's."""
    centres = (span.start + (np.arange(span.px) + 0.5) * (span.end - span.start) / span.px) * length
    return np.minimum(centres.astype(np.intp), length - 1)


def _read(file: LabelledFile, labels: LabelSet) -> tuple[Picture, ClassMap]:
    _, image, path = file
    return np.ascontiguousarray(read_picture(image)), read_truth(path, labels)


def _brought(picture: NDArray[np.uint8], size: Size | None) -> NDArray[np.uint8]:
    if size is None:
        return picture
    return resize(picture, *size, "nearest" if picture.ndim == 2 else "bilinear")


def _bytes_of(files: Sequence[LabelledFile], photo_px: Size | None, truth_px: Size | None) -> int:
    """Bytes of all photos and maps in memory, taking the first for all where they keep their own size."""
    if not files:
        return 0
    _, image, path = files[0]
    photo, truth = photo_px or photo_size(image), truth_px or image_size(path)
    return len(files) * (3 * photo[0] * photo[1] + truth[0] * truth[1])
