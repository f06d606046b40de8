"""What a score looks at, one value per kind: each says what it is, for the cache, and gives its pixels.

A translated image comes from a sealed set. The others answer what a number is worth: the real photo at the size of
the translations (the ceiling), noise, the colours of the true labels.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgeval.datasets import ImageFile, read_picture
from cgeval.errors import SealError
from cgeval.files import sha256_file
from cgeval.images import Picture, read_rgb, resize
from cgeval.labels import LabelSet
from cgeval.truth import read_label_ids

Size = tuple[int, int]


@dataclass(frozen=True)
class Sealed:
    """An image of a sealed set, of which the digest is known."""

    path: Path
    sha256: str

    def identity(self) -> str:
        """Text that changes with the pixels."""
        return self.sha256

    def pixels(self) -> Picture:
        """uint8 [h, w, 3]; raises SealError where the file is no longer the one that was sealed."""
        picture = read_rgb(self.path)
        if sha256_file(self.path) != self.sha256:
            raise SealError(f"{self.path} was changed while it was being scored: score the run again.")
        return picture


@dataclass(frozen=True)
class RealPhoto:
    """A photo of the dataset, squashed with the bicubic filter to size_px, as a trainer reads it; None: as it is."""

    file: ImageFile
    size_px: Size | None

    def identity(self) -> str:
        """Text that changes with the pixels."""
        return f"{sha256_file(self.file.path)} {self.file.half} bicubic {self.size_px}"

    def pixels(self) -> Picture:
        """uint8 [h, w, 3]."""
        picture = np.ascontiguousarray(read_picture(self.file))
        return resize(picture, *self.size_px, "bicubic") if self.size_px else picture


@dataclass(frozen=True)
class Noise:
    """Uniform noise, decided by its name."""

    name: str
    size_px: Size

    def identity(self) -> str:
        """Text that changes with the pixels."""
        return f"noise {self.name} {self.size_px}"

    def pixels(self) -> Picture:
        """uint8 [h, w, 3]."""
        seed = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big")
        width, height = self.size_px
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@dataclass(frozen=True)
class TrueColours:
    """The colours of a true label map, brought to size_px with the nearest filter."""

    truth: Path
    labels: LabelSet
    size_px: Size

    def identity(self) -> str:
        """Text that changes with the pixels."""
        return f"{sha256_file(self.truth)} colours of {self.labels} {self.size_px}"

    def pixels(self) -> Picture:
        """uint8 [h, w, 3]."""
        ids = resize(read_label_ids(self.truth, self.labels), *self.size_px, "nearest")
        return self.labels.colours_of(ids)


Looked = Sealed | RealPhoto | Noise | TrueColours


@dataclass(frozen=True)
class Item:
    """One image to score: its id, what is looked at, the label map that is the truth, and the id it was made from."""

    id: str
    picture: Looked
    truth: Path
    source: str = ""
