"""Photos with label maps go in; a paired dataset of the wanted size comes out, A = colour-coded labels, B = photos.

The maps of ids are kept at their original size in `<split>_ids/`, so that scores use the true ids. Label pictures
are resized with nearest, photos with bicubic. The folder appears only when it is whole.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from tqdm import tqdm

from cgeval.errors import ConfigError, DataError, ImageError, OutputError
from cgeval.files import write_atomic
from cgeval.images import encode_png, read_rgb, resize
from cgeval.labelled import LabelledPhoto, Source, pair_folders
from cgeval.labels import KNOWN, Label, LabelSet, label_set
from cgeval.truth import read_label_ids
from cyclegan.data.cache import remove_abandoned

THREADS = 4
OWN_LABEL_SET = "label_set.toml"


@dataclass(frozen=True)
class Prepared:
    """skipped: a sentence for each pair left out; shares: of all pixels, of each class present, the largest first."""

    skipped: tuple[str, ...]
    shares: Mapping[Label, float]


def find_folders(name: str, photos: Path, labels: Path, label_set_name: str, test_share: float) -> Source:
    """Any folder of photos and one of label maps with the same names; the test split is spread evenly over them.

    name: what tables will call the dataset, as the folders tell nothing of it.
    """
    pairs = pair_folders(photos, labels)
    if not 0 < test_share < 1:
        raise ConfigError(f"--test-share is {test_share}, and a number between 0 and 1 is expected, such as 0.1.")
    picked = {i for i in range(len(pairs)) if int((i + 1) * test_share) > int(i * test_share)}
    if not picked and len(pairs) > 1:
        picked = {len(pairs) - 1}
    test = [pair for i, pair in enumerate(pairs) if i in picked]
    train = [pair for i, pair in enumerate(pairs) if i not in picked]
    return Source(name, label_set(label_set_name), label_set_name, {"train": train, "test": test})


def prepare(source: Source, out: Path, size_px: int, *, skip_broken: bool = False) -> Prepared:
    """Write the dataset; tells which pairs were skipped and which classes there are. Raises if `out` exists."""
    with whole_folder(out) as work:
        done = [
            outcome
            for name, pairs in source.splits.items()
            for outcome in _split(source, name, pairs, work, size_px, skip_broken)
        ]
        skipped = tuple(outcome for outcome in done if isinstance(outcome, str))
        if len(skipped) == len(done):
            raise DataError(f"none of {len(skipped)} pairs can be used; the first was {skipped[0]}")
        name = source.label_set_name
        if name not in KNOWN:
            write_atomic(work / OWN_LABEL_SET, Path(name).read_bytes())
            name = OWN_LABEL_SET
        write_atomic(work / "dataset.toml", tomli_w.dumps(describe(source.name, name, size_px)).encode())
    return Prepared(skipped, _shares(source.labels, (outcome for outcome in done if isinstance(outcome, Counter))))


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` when the block has ended well; raises OutputError if `out` exists."""
    if out.exists():
        raise OutputError(f"{out} exists already: name another folder, or remove it.")
    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".preparing-{out.name}-"
    remove_abandoned(out.parent, prefix)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=out.parent))
    work.chmod(0o755)
    try:
        yield work
        if out.exists():
            raise OutputError(f"{out} came into being meanwhile and is left as it is: name another folder.")
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def describe(name: str, label_set_name: str, size_px: int) -> dict[str, Any]:
    """Content of dataset.toml of a labels <-> photos dataset."""
    return {
        "name": name,
        "domains": ["labels", "photos"],
        "paired": True,
        "label_set": label_set_name,
        "label_domain": "A",
        "truth": "{split}_ids",
        "size_px": size_px,
    }


def write_pair(root: Path, split: str, image_id: str, pictures: tuple[Any, Any, Any]) -> None:
    """Write (label colours, photo, ids) of one pair to their three folders."""
    for folder, picture in zip((f"{split}A", f"{split}B", f"{split}_ids"), pictures, strict=True):
        path = root / folder / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(picture))


def _split(
    source: Source, name: str, pairs: Sequence[LabelledPhoto], work: Path, size_px: int, skip_broken: bool
) -> list[str | Counter[int]]:
    """Of each pair, how many pixels each id has, or the sentence why it was skipped."""

    def one(pair: LabelledPhoto) -> str | Counter[int]:
        try:
            pictures = _pictures(source.labels, pair, size_px)
            write_pair(work, name, pair.id, pictures)
        except DataError as error:
            if not skip_broken:
                raise
            return f"skipped {pair.id}: {error}"
        present, counts = np.unique(pictures[2], return_counts=True)
        return Counter(dict(zip(present.tolist(), counts.tolist(), strict=True)))

    with ThreadPoolExecutor(THREADS) as pool:
        return list(tqdm(pool.map(one, pairs), total=len(pairs), desc=name, unit="pair"))


def _shares(labels: LabelSet, counts: Iterable[Counter[int]]) -> dict[Label, float]:
    pixels: Counter[int] = sum(counts, Counter())
    return {labels.by_id[class_id]: count / pixels.total() for class_id, count in pixels.most_common()}


def _pictures(labels: LabelSet, pair: LabelledPhoto, size_px: int) -> tuple[Any, Any, Any]:
    photo, ids = read_rgb(pair.photo), read_label_ids(pair.labels, labels)
    if photo.shape[:2] != ids.shape:
        raise ImageError(
            f"{pair.photo} is {photo.shape[1]} x {photo.shape[0]} and its label map {ids.shape[1]} x {ids.shape[0]}: "
            "both must show the same."
        )
    coloured = resize(labels.colours_of(ids), size_px, size_px, "nearest")
    return coloured, resize(photo, size_px, size_px, "bicubic"), ids
