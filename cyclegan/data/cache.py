"""Image files and a load size go in; one memory-mapped uint8 array of them, decoded once, comes out.

The resize precedes the random crop, so the decoded images can be kept: from the second epoch on, and in every
later run, no JPEG is read. A cache is a folder named by a digest of what is in it: `pixels.npy`, `ids.json`.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cgeval.datasets import Dataset, ImageFile, read_picture, with_way_out
from cgeval.errors import ImageError, OutputError
from cgeval.files import write_atomic
from cgeval.images import Picture, ResizeFilter, resize
from cgeval.resizing import domain_filter, filter_for

BUILDING = ".building-"
ABANDONED_S = 24 * 3600


@dataclass(frozen=True)
class Load:
    """How a picture is brought to size: squashed to size_px x size_px with a named filter."""

    size_px: int
    filter: ResizeFilter


@dataclass(frozen=True)
class DecodedImages:
    """pixels: uint8 [n, size_px, size_px, 3]; ids in the same order; skipped: ids of broken files left out."""

    pixels: NDArray[np.uint8]
    ids: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


def load_for(files: Sequence[ImageFile], is_label_domain: bool, size_px: int) -> Load:
    """Of these pictures together: `cgeval.resizing.filter_for`; raises ImageError."""
    try:
        return Load(size_px, filter_for(files, declared=is_label_domain))
    except ImageError as error:
        raise with_way_out(error) from None


def domain_load(dataset: Dataset, domain: str, size_px: int) -> Load:
    """Of a whole domain: `cgeval.resizing.domain_filter`; raises ImageError."""
    try:
        return Load(size_px, domain_filter(dataset, domain))
    except ImageError as error:
        raise with_way_out(error) from None


def _picture_of(file: ImageFile) -> Picture:
    try:
        return read_picture(file)
    except ImageError as error:
        raise with_way_out(error) from None


def decode(file: ImageFile, load: Load) -> Picture:
    """uint8 [size_px, size_px, 3] of one image; raises ImageError naming the file."""
    picture: Picture = resize(np.ascontiguousarray(_picture_of(file)), load.size_px, load.size_px, load.filter)
    return picture


def cached_images(
    files: Sequence[ImageFile], load: Load, cache_dir: Path, *, skip_broken: bool = False, progress: bool = True
) -> DecodedImages:
    """Open the cache of these files, building it first where it is missing.

    skip_broken: leave out files that cannot be decoded instead of raising ImageError. Several processes may
    build the same cache; the first to finish wins, and nothing half-built is ever opened.
    """
    folder = cache_dir / _key(files, load, skip_broken)
    found = _opened(folder)
    if found is None:
        _build(folder, files, load, skip_broken, progress)
        found = _opened(folder)
    if found is None:
        raise OutputError(f"{folder} was written and cannot be read: set CGEVAL_CACHE to another folder.")
    return found


def _opened(folder: Path) -> DecodedImages | None:
    """The cache in that folder; None where there is none or it is not whole, as after a power cut or a clean-up."""
    try:
        names = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        return DecodedImages(pixels, tuple(names["ids"]), tuple(names["skipped"]))
    except (OSError, EOFError, ValueError, KeyError):
        return None


def _key(files: Sequence[ImageFile], load: Load, skip_broken: bool) -> str:
    digest = hashlib.sha256(f"2 {load} {skip_broken}\n".encode())
    for file in files:
        try:
            facts = file.path.stat()
        except OSError as error:
            raise ImageError(
                f"{file.path} was there and is gone ({error.strerror}): restore it, or start again."
            ) from None
        line = f"{file.id}\0{file.path.resolve()}\0{file.half}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _build(folder: Path, files: Sequence[ImageFile], load: Load, skip_broken: bool, progress: bool) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder.parent, BUILDING)
        work = Path(tempfile.mkdtemp(prefix=BUILDING, dir=folder.parent))
    except OSError as error:
        raise OutputError(
            f"decoded images cannot be kept in {folder.parent} ({error.strerror}): set CGEVAL_CACHE to another folder."
        ) from None
    try:
        _fill(work / "whole", files, load, skip_broken, progress)
        if folder.exists() and _opened(folder) is None:
            folder.rename(work / "unreadable")
        (work / "whole").rename(folder)
    except OSError as error:
        if _opened(folder) is None:
            raise OutputError(
                f"decoded images cannot be written to {folder.parent} ({error.strerror or error}): free some space, "
                "or set CGEVAL_CACHE to another folder."
            ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove work folders of that prefix that a killed process left there more than a day ago."""
    for folder in parent.glob(f"{prefix}*"):
        if folder.is_dir() and folder.stat().st_mtime < time.time() - ABANDONED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _fill(whole: Path, files: Sequence[ImageFile], load: Load, skip_broken: bool, progress: bool) -> None:
    """Write picture after picture: on a full disk that is an error, where writing into a mapped file is a crash."""
    whole.mkdir()
    ids, skipped = [], []
    bar = tqdm(_decoded(files, load), total=len(files), desc="decoding", unit="img", disable=not progress)
    with (whole / "pixels.npy").open("wb") as file_of_pixels:
        _write_header(file_of_pixels, len(files), load)
        for file, picture in bar:
            if isinstance(picture, ImageError):
                if not skip_broken:
                    raise picture
                skipped.append(file.id)
            else:
                file_of_pixels.write(picture.tobytes())
                ids.append(file.id)
        if not ids:
            raise ImageError(f"none of the {len(files)} images can be read{_first(skipped)}.")
        file_of_pixels.seek(0)
        _write_header(file_of_pixels, len(ids), load)
        file_of_pixels.flush()
        os.fsync(file_of_pixels.fileno())
    write_atomic(whole / "ids.json", json.dumps({"ids": ids, "skipped": skipped}).encode())


def _first(skipped: Sequence[str]) -> str:
    return f" (first: {skipped[0]!r})" if skipped else ""


def _write_header(file: BinaryIO, count: int, load: Load) -> None:
    """numpy's header of uint8 [count, size_px, size_px, 3]; it has the same length for every count (NEP 1)."""
    shape = (count, load.size_px, load.size_px, 3)
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)


def _decoded(files: Sequence[ImageFile], load: Load) -> Iterator[tuple[ImageFile, Picture | ImageError]]:
    def attempt(file: ImageFile) -> Picture | ImageError:
        try:
            return decode(file, load)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        step = 64
        for first in range(0, len(files), step):
            part = files[first : first + step]
            yield from zip(part, pool.map(attempt, part), strict=True)
