"""Photos with label maps go in; a paired dataset of the wanted size comes out, A = colour-coded labels, B = photos.

The maps of ids are kept at their original size in `<split>_ids/`, so that scores use the true ids. Label pictures
are resized with nearest, photos with bicubic. The folder appears only when it is whole.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from tqdm import tqdm

from cgeval.errors import ConfigError, DataError, ImageError, LayoutError, OutputError
from cgeval.files import write_atomic
from cgeval.images import encode_png, find_images, image_id, read_ids, read_rgb, resize
from cgeval.labels import LabelSet, label_set

THREADS = 4


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and its label map (ids, or colours of the label set), under one id."""

    id: str
    photo: Path
    labels: Path


@dataclass(frozen=True)
class Source:
    """What to prepare: pairs by split, and the label set that their maps are in."""

    name: str
    labels: LabelSet
    label_set_name: str
    splits: Mapping[str, Sequence[LabelledPhoto]]
    facts: Mapping[str, Any] = field(default_factory=dict)


def find_cityscapes(root: Path) -> Source:
    """leftImg8bit/{train,val}/<city>/ with gtFine/...; val becomes the test split, as in the paper."""
    splits = {}
    for name, ours in (("train", "train"), ("val", "test")):
        photos = find_images(root / "leftImg8bit" / name)
        splits[ours] = [_cityscapes_pair(root, name, photo) for photo in photos]
    return Source("cityscapes", label_set("cityscapes"), "cityscapes", splits)


def find_camvid(root: Path) -> Source:
    """{train,val,test}/{photo,label} with maps of the eleven classes' ids."""
    splits = {name: pair_folders(root / name / "photo", root / name / "label") for name in ("train", "val", "test")}
    return Source("camvid", label_set("camvid11"), "camvid11", splits)


def find_folders(photos: Path, labels: Path, label_set_name: str, test_share: float) -> Source:
    """Any folder of photos and one of label maps with the same names; every k-th pair becomes the test split."""
    pairs = pair_folders(photos, labels)
    if not 0 < test_share < 1:
        raise ConfigError(f"--test-share is {test_share}, and a number between 0 and 1 is expected, such as 0.1.")
    every = max(2, round(1 / test_share))
    test = pairs[every - 1 :: every]
    train = [pair for i, pair in enumerate(pairs) if (i + 1) % every]
    return Source(
        photos.resolve().parent.name, label_set(label_set_name), label_set_name, {"train": train, "test": test}
    )


def detect(root: Path) -> Source:
    """Cityscapes or CamVid by the folders that are there; raises LayoutError naming both layouts."""
    if (root / "leftImg8bit").is_dir():
        return find_cityscapes(root)
    if (root / "train" / "photo").is_dir() and (root / "train" / "label").is_dir():
        return find_camvid(root)
    raise LayoutError(
        f"{root} is neither Cityscapes (leftImg8bit/ and gtFine/) nor CamVid (train/photo and train/label): "
        "name a folder pair by --photos DIR --labels DIR."
    )


def pair_folders(photos: Path, labels: Path) -> list[LabelledPhoto]:
    """Pairs by name below both folders; raises LayoutError naming the first photo or map that is alone."""
    for folder in (photos, labels):
        if not folder.is_dir():
            raise LayoutError(f"{folder} is not a folder: photos and label maps are expected in two folders.")
    by_id = [{image_id(path, folder): path for path in find_images(folder)} for folder in (photos, labels)]
    lone = sorted(by_id[0].keys() ^ by_id[1].keys())
    if lone:
        where = photos if lone[0] in by_id[0] else labels
        raise LayoutError(f"{len(lone)} pictures have no counterpart of the same name (first: {lone[0]!r} in {where}).")
    if not by_id[0]:
        raise LayoutError(f"{photos} holds no images (jpg, png, bmp, tif, webp).")
    return [LabelledPhoto(name, path, by_id[1][name]) for name, path in by_id[0].items()]


def prepare(source: Source, out: Path, size_px: int, *, skip_broken: bool = False) -> list[str]:
    """Write the dataset; returns one sentence for each pair that was skipped. Raises if `out` exists."""
    if out.exists():
        raise OutputError(f"{out} exists already: name another folder, or remove it.")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    work.chmod(0o755)
    try:
        skipped = [
            line
            for name, pairs in source.splits.items()
            for line in _split(source, name, pairs, work, size_px, skip_broken)
        ]
        write_atomic(
            work / "dataset.toml", tomli_w.dumps(describe(source.name, source.label_set_name, size_px)).encode()
        )
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return skipped


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


def _cityscapes_pair(root: Path, split: str, photo: Path) -> LabelledPhoto:
    city, frame = photo.parent.name, photo.stem.removesuffix("_leftImg8bit")
    labels = root / "gtFine" / split / city / f"{frame}_gtFine_labelIds.png"
    if not labels.is_file():
        raise LayoutError(f"{photo} has no label map {labels}: unpack gtFine beside leftImg8bit.")
    return LabelledPhoto(f"{city}/{frame}", photo, labels)


def _split(
    source: Source, name: str, pairs: Sequence[LabelledPhoto], work: Path, size_px: int, skip_broken: bool
) -> list[str]:
    def one(pair: LabelledPhoto) -> str | None:
        try:
            write_pair(work, name, pair.id, _pictures(source.labels, pair, size_px))
        except DataError as error:
            if not skip_broken:
                raise
            return f"skipped {pair.id}: {error}"
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        done = tqdm(pool.map(one, pairs), total=len(pairs), desc=name, unit="pair")
        return [sentence for sentence in done if sentence is not None]


def _pictures(labels: LabelSet, pair: LabelledPhoto, size_px: int) -> tuple[Any, Any, Any]:
    photo, ids = read_rgb(pair.photo), _ids(labels, pair.labels)
    if photo.shape[:2] != ids.shape:
        raise ImageError(
            f"{pair.photo} is {photo.shape[1]} x {photo.shape[0]} and its label map {ids.shape[1]} x {ids.shape[0]}: "
            "both must show the same."
        )
    coloured = resize(labels.colours_of(ids), size_px, size_px, "nearest")
    return coloured, resize(photo, size_px, size_px, "bicubic"), ids


def _ids(labels: LabelSet, path: Path) -> Any:
    """Ids as stored, or found by colour where the map is a colour picture."""
    try:
        ids = read_ids(path)
    except ImageError:
        try:
            return labels.ids_of(read_rgb(path))
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
    unknown = set(ids.ravel().tolist()) - labels.by_id.keys()
    if unknown:
        raise DataError(
            f"{path} holds the id {min(unknown)} ({len(unknown)} unknown), which {labels.name!r} does not have: "
            "name the right set with --label-set."
        )
    return ids
