"""A scorer, a picture and a protocol go in; the predicted class map is found again, or kept, by what decides it.

The key of a prediction is a digest of the picture, the scorer's file, the protocol, the truth's size and the versions
of the programs that compute. Each map is written whole under its key, so an interrupted score goes on where it was, and
a second one runs no network.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import ImageError, OutputError
from cgeval.files import cache_folder, write_atomic
from cgeval.images import encode_png, read_ids
from cgeval.protocols.pictures_in import Size
from cgeval.scorers.store import ScorerFile

PROGRAMS = ("pillow", "torch", "torchvision", "segmentation-models-pytorch", "timm")
FORMAT = 1  # another number when the way from a picture to its prediction changes


@dataclass(frozen=True)
class PredictionCache:
    """Class maps in a folder. rule: all that decides a prediction but the picture and the truth's size."""

    folder: Path
    rule: str

    def place(self, picture: str, truth_size: Size) -> Path:
        """File of the prediction for a picture of that identity."""
        text = f"{FORMAT}\n{self.rule}\n{picture}\n{truth_size}"
        key = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.png"

    def get(self, place: Path, truth_size: Size) -> NDArray[np.uint8] | None:
        """The class map uint8 [h, w] kept there, or None where there is none that is whole."""
        if not place.is_file():
            return None
        try:
            kept = read_ids(place).astype(np.uint8)
        except ImageError:
            return None
        width, height = truth_size
        return kept if kept.shape == (height, width) else None

    def put(self, place: Path, prediction: NDArray[np.uint8]) -> None:
        """Keep a class map; raises OutputError where the cache cannot be written."""
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, encode_png(prediction))
        except OSError as error:
            raise OutputError(
                f"predictions cannot be kept in {self.folder} ({error.strerror}): set CGEVAL_CACHE to another folder."
            ) from None


def predictions_of(scorer: ScorerFile, protocol: str) -> PredictionCache:
    """Where a scorer's predictions by a protocol are kept; the folder may be deleted when nothing is being scored."""
    folder = cache_folder() / "predictions" / f"{scorer.info.name}-{scorer.sha256[:12]}"
    return PredictionCache(folder, f"{scorer.sha256} {protocol} {_programs()}")


@cache
def _programs() -> str:
    """Versions of what decodes, resizes and computes: another one may round otherwise."""
    return " ".join(f"{name} {_version(name)}" for name in PROGRAMS)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
