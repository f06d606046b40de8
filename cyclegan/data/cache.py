"""Image files and a load size go in; one memory-mapped uint8 array of them, decoded once, comes out.

The resize precedes the random crop, so the decoded images can be kept: from the second epoch on, and in every
later run, no JPEG is read. A cache is a folder named by a digest of what is in it: `pixels.npy`, `ids.json`.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cgeval.errors import ImageError, OutputError
from cgeval.images import Picture, ResizeFilter, distinct_colours, read_rgb, resize
from cyclegan.data.layout import ImageFile

FLAT_COLOURS = 64
LOOKED_AT = 4


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
    """Nearest for label maps, declared or recognised by few exact colours, bicubic (the reference's) for photos."""
    return Load(size_px, "nearest" if is_label_domain or are_flat(files) else "bicubic")


def are_flat(files: Sequence[ImageFile]) -> bool:
    """Whether the first few pictures are losslessly stored and have at most 64 colours, as label maps do."""
    looked_at = files[:LOOKED_AT]
    lossless = all(file.path.suffix.lower() not in (".jpg", ".jpeg", ".webp") for file in looked_at)
    colours = (distinct_colours(half_of(file), FLAT_COLOURS + 1) for file in looked_at)
    return bool(looked_at) and lossless and all(1 < count <= FLAT_COLOURS for count in colours)


def half_of(file: ImageFile) -> Picture:
    """The picture of an `ImageFile`: the whole file, or its left or right half."""
    picture = read_rgb(file.path)
    middle = picture.shape[1] // 2
    return {None: picture, "left": picture[:, :middle], "right": picture[:, middle:]}[file.half]


def decode(file: ImageFile, load: Load) -> Picture:
    """uint8 [size_px, size_px, 3] of one image; raises ImageError naming the file."""
    picture: Picture = resize(np.ascontiguousarray(half_of(file)), load.size_px, load.size_px, load.filter)
    return picture


def cached_images(
    files: Sequence[ImageFile], load: Load, cache_dir: Path, *, skip_broken: bool = False, progress: bool = True
) -> DecodedImages:
    """Open the cache of these files, building it first where it is missing.

    skip_broken: leave out files that cannot be decoded instead of raising ImageError. Several processes may
    build the same cache; the first to finish wins, and nothing half-built is ever opened.
    """
    folder = cache_dir / _key(files, load, skip_broken)
    if not (folder / "ids.json").is_file():
        _build(folder, files, load, skip_broken, progress)
    names = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    return DecodedImages(pixels, tuple(names["ids"]), tuple(names["skipped"]))


def _key(files: Sequence[ImageFile], load: Load, skip_broken: bool) -> str:
    digest = hashlib.sha256(f"1 {load} {skip_broken}\n".encode())
    for file in files:
        facts = file.path.stat()
        line = f"{file.id}\0{file.path.resolve()}\0{file.half}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
        digest.update(line.encode())
    return digest.hexdigest()[:32]


def _build(folder: Path, files: Sequence[ImageFile], load: Load, skip_broken: bool, progress: bool) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    except OSError as error:
        raise OutputError(
            f"decoded images cannot be kept in {folder.parent} ({error.strerror}): set CGEVAL_CACHE to another folder."
        ) from None
    try:
        _fill(work, files, load, skip_broken, progress)
        if not folder.exists():
            work.rename(folder)
    except OSError as error:
        if not (folder / "ids.json").is_file():
            raise OutputError(
                f"decoded images cannot be written to {folder.parent} ({error.strerror or error}): free some space, "
                "or set CGEVAL_CACHE to another folder."
            ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fill(work: Path, files: Sequence[ImageFile], load: Load, skip_broken: bool, progress: bool) -> None:
    shape = (len(files), load.size_px, load.size_px, 3)
    pixels = np.lib.format.open_memmap(work / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
    ids, skipped = [], []
    bar = tqdm(_decoded(files, load), total=len(files), desc="decoding", unit="img", disable=not progress)
    for file, picture in bar:
        if isinstance(picture, ImageError):
            if not skip_broken:
                raise picture
            skipped.append(file.id)
        else:
            pixels[len(ids)] = picture
            ids.append(file.id)
    pixels.flush()
    del pixels
    if skipped:
        np.save(work / "kept.npy", np.load(work / "pixels.npy", mmap_mode="r")[: len(ids)])
        (work / "kept.npy").replace(work / "pixels.npy")
    (work / "ids.json").write_text(json.dumps({"ids": ids, "skipped": skipped}), encoding="utf-8")


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
