"""Images go in; a `Style` comes out: the Gram matrix of each layer, of one image or averaged over a collection.

The average over a whole domain is what the CycleGAN paper compares with (section 5.2, figures 15 and 16). It is a sum
in float64, divided once, so that the order of the images decides no more than last digits.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cgeval.datasets import ImageFile, read_picture
from cgeval.errors import DataError
from cgeval.gatys.gram import gram
from cgeval.gatys.settings import gram_key, parse_gram_key
from cgeval.images import Picture, ResizeFilter, resize
from cgeval.networks.features import FeatureNetwork

StyleKind = Literal["image", "images", "collection"]
Seen = Callable[[], None]
READERS, AHEAD = 2, 4
ROUNDS = 100  # of k-means, which ends by itself long before


@dataclass(frozen=True)
class Style:
    """What images look like to a network. digest: SHA-256 of the images as they were seen, in any order.

    grams: float32 [c, c], F F^T / (H W), averaged over n images, by `cgeval.gatys.settings.gram_key`: a coarse stage
    is after the style's look at its own scale. At the full size alone it would aim at strokes of twice their size.
    """

    name: str
    kind: StyleKind
    n: int
    grams: Mapping[str, Tensor]
    digest: str


@dataclass(frozen=True)
class Look:
    """How images are looked at. layers: which Gram matrices are wanted, by key; size_px: the longer side, or both."""

    layers: tuple[str, ...]
    size_px: int
    filter: ResizeFilter = "bicubic"
    squashed: bool = False

    def read(self, file: ImageFile) -> Picture:
        """uint8 [h, w, 3] of that size; raises ImageError naming the file."""
        picture = np.ascontiguousarray(read_picture(file))
        times = self.size_px / max(picture.shape[:2])
        height, width = (max(1, round(side * times)) for side in picture.shape[:2])
        if self.squashed:
            height = width = self.size_px
        resized: Picture = resize(picture, width, height, self.filter)
        return resized


def average_style(
    network: FeatureNetwork,
    files: Sequence[ImageFile],
    look: Look,
    *,
    name: str,
    kind: StyleKind,
    seen: Seen = lambda: None,
) -> Style:
    """The mean Gram matrices of the images, each looked at alone; seen: called after each.

    Raises DataError where there are none or one is too small, ImageError for one that cannot be read.
    """
    if not files:
        raise DataError(f"the style {name!r} has no images.")
    sums: dict[str, Tensor] = {}
    digests = []
    for picture in _pictures(files, look):
        for layer, found in _grams(network, picture, look.layers).items():
            sums[layer] = sums[layer] + found if layer in sums else found
        digests.append(_digest(picture))
        seen()
    grams = {layer: (sums[layer] / len(files)).float() for layer in look.layers}
    return Style(name, kind, len(files), grams, _digest_of_all(digests))


def style_of(network: FeatureNetwork, picture: Picture, layers: Sequence[str], name: str) -> Style:
    """The style of one picture, uint8 [h, w, 3], at the size it has."""
    grams = {layer: found.float() for layer, found in _grams(network, picture, layers).items()}
    return Style(name, "image", 1, grams, _digest_of_all([_digest(picture)]))


def representatives(
    network: FeatureNetwork, files: Sequence[ImageFile], count: int, look: Look, *, seen: Seen = lambda: None
) -> list[ImageFile]:
    """So many images that stand for all: those nearest to the centres that k-means finds, the largest group's first.

    An image is described by the roots of its Gram diagonals (how strongly each filter answers), all layers weighing the
    same. Deterministic: the first centre starts at the image nearest to the mean, each other one far from those before.
    """
    if not 1 <= count <= len(files):
        raise DataError(f"{count} representative images are wanted of {len(files)}.")
    full = [key for key in look.layers if parse_gram_key(key)[1] == 1]
    rows = []
    for picture in _pictures(files, look):
        rows.append(_description(_grams(network, picture, full)))
        seen()
    return [files[i] for i in nearest_to_centres(_weighed(rows), count)]


def nearest_to_centres(points: NDArray[np.float64], count: int) -> list[int]:
    """Rows of [n, features] nearest to the centres of k-means, no row twice, the largest group's first."""
    centres = points[_far_apart(points, count)]
    groups = np.full(len(points), -1)
    for _ in range(ROUNDS):
        now = _squared_distances(points, centres).argmin(axis=1)
        if (now == groups).all():
            break
        groups = now
        centres = np.stack([_centre(points[groups == k], centres[k]) for k in range(count)])
    distances = _squared_distances(points, centres)
    sizes = np.bincount(groups, minlength=count)
    chosen: list[int] = []
    for k in sorted(range(count), key=lambda k: -sizes[k]):
        order = distances[:, k].argsort(kind="stable")
        chosen.append(next(int(i) for i in order if int(i) not in chosen))
    return chosen


def to_tensor(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 [n, h, w, 3] to float32 [n, 3, h, w] in 0..255, channels last in memory, as networks are fastest with."""
    return torch.from_numpy(pictures.astype(np.float32)).to(device).permute(0, 3, 1, 2)


def device_of(network: FeatureNetwork) -> torch.device:
    """Where the network is."""
    return next(network.parameters()).device


def resized(images: Tensor, scale: float) -> Tensor:
    """[n, 3, h, w] at that part of its size, filtered against aliases; the same at scale 1."""
    if scale == 1:
        return images
    size = [max(1, round(side * scale)) for side in images.shape[2:]]
    return functional.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)


def _grams(network: FeatureNetwork, picture: Picture, keys: Sequence[str]) -> dict[str, Tensor]:
    """float64 on the host, so that sums of many lose nothing."""
    image = to_tensor(picture[None], device_of(network))
    by_scale: dict[float, list[str]] = {}
    for layer, scale in map(parse_gram_key, keys):
        by_scale.setdefault(scale, []).append(layer)
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for scale, layers in by_scale.items():
            features = network(resized(image, scale), layers)
            found |= {gram_key(layer, scale): gram(features[layer])[0].double().cpu() for layer in layers}
    return {key: found[key] for key in keys}


def _pictures(files: Sequence[ImageFile], look: Look) -> Iterator[Picture]:
    """The images in order, decoded by threads a few ahead of the network."""
    rest = iter(files)
    with ThreadPoolExecutor(READERS) as pool:
        waiting = deque(pool.submit(look.read, file) for file in islice(rest, AHEAD))
        while waiting:
            picture = waiting.popleft().result()
            waiting.extend(pool.submit(look.read, file) for file in islice(rest, 1))
            yield picture


def _digest(picture: Picture) -> str:
    return hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()


def _digest_of_all(digests: Sequence[str]) -> str:
    """The same in any order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _description(grams: Mapping[str, Tensor]) -> list[NDArray[np.float64]]:
    """By layer, how strongly each filter answers: the root of the mean square of its features."""
    return [found.diagonal().clamp(min=0).sqrt().numpy() for found in grams.values()]


def _weighed(rows: Sequence[Sequence[NDArray[np.float64]]]) -> NDArray[np.float64]:
    """[n, features]; each layer's part has the variance 1 in all, whatever its scale and its number of filters."""
    parts = [np.stack([row[i] for row in rows]) for i in range(len(rows[0]))]
    spread = [np.sqrt(part.var(axis=0).sum()) for part in parts]
    return np.concatenate([part / max(size, 1e-12) for part, size in zip(parts, spread, strict=True)], axis=1)


def _far_apart(points: NDArray[np.float64], count: int) -> list[int]:
    """The row nearest to the mean, then always the one farthest from all taken so far."""
    taken = [int(_squared_distances(points, points.mean(axis=0)[None]).argmin())]
    while len(taken) < count:
        nearest = _squared_distances(points, points[taken]).min(axis=1)
        nearest[taken] = -1
        taken.append(int(nearest.argmax()))
    return taken


def _centre(points: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    return points.mean(axis=0) if len(points) else before


def _squared_distances(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
