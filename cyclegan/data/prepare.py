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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from tqdm import tqdm

from cgeval.errors import ConfigError, DataError, ImageError, LayoutError, OutputError
from cgeval.files import write_atomic
from cgeval.images import encode_png, find_images, image_id, read_ids, read_rgb, resize
from cgeval.labels import CHANNEL, KNOWN, Label, LabelSet, label_set
from cyclegan.data.cache import remove_abandoned

THREADS = 4
OWN_LABEL_SET = "label_set.toml"


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


@dataclass(frozen=True)
class Prepared:
    """skipped: a sentence for each pair left out; shares: of all pixels, of each class present, the largest first."""

    skipped: tuple[str, ...]
    shares: Mapping[Label, float]


def find_cityscapes(root: Path) -> Source:
    """leftImg8bit/{train,val}/<city>/ with gtFine/...; val becomes the test split, as in the paper."""
    splits = {}
    for name, ours in (("train", "train"), ("val", "test")):
        photos = find_images(root / "leftImg8bit" / name)
        if not photos:
            raise LayoutError(
                f"{root / 'leftImg8bit' / name} holds no photos: unpack leftImg8bit_trainvaltest.zip there."
            )
        splits[ours] = [_cityscapes_pair(root, name, photo) for photo in photos]
    return Source("cityscapes", label_set("cityscapes"), "cityscapes", splits)


def find_camvid(root: Path) -> Source:
    """{train,val,test}/{photo,label} with maps of the eleven classes' ids."""
    splits = {name: pair_folders(root / name / "photo", root / name / "label") for name in ("train", "val", "test")}
    return Source("camvid", label_set("camvid11"), "camvid11", splits)


def find_folders(photos: Path, labels: Path, label_set_name: str, test_share: float) -> Source:
    """Any folder of photos and one of label maps with the same names; the test split is spread evenly over them."""
    pairs = pair_folders(photos, labels)
    if not 0 < test_share < 1:
        raise ConfigError(f"--test-share is {test_share}, and a number between 0 and 1 is expected, such as 0.1.")
    picked = {i for i in range(len(pairs)) if int((i + 1) * test_share) > int(i * test_share)}
    if not picked and len(pairs) > 1:
        picked = {len(pairs) - 1}
    test = [pair for i, pair in enumerate(pairs) if i in picked]
    train = [pair for i, pair in enumerate(pairs) if i not in picked]
    return Source(
        photos.resolve().parent.name, label_set(label_set_name), label_set_name, {"train": train, "test": test}
    )


def detect(root: Path) -> Source:
    """Cityscapes or CamVid by the folders that are there; raises LayoutError naming both layouts."""
    if not root.is_dir():
        what = "a file" if root.exists() else "not there"
        raise LayoutError(f"{root} is {what}: expected the folder of Cityscapes, of CamVid, or of a folder pair.")
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
    by_id = [_by_id(folder) for folder in (photos, labels)]
    lone = sorted(by_id[0].keys() ^ by_id[1].keys())
    if lone:
        where = photos if lone[0] in by_id[0] else labels
        raise LayoutError(f"{len(lone)} pictures have no counterpart of the same name (first: {lone[0]!r} in {where}).")
    if not by_id[0]:
        raise LayoutError(f"{photos} holds no images (jpg, png, bmp, tif, webp).")
    return [LabelledPhoto(name, path, by_id[1][name]) for name, path in by_id[0].items()]


def _by_id(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = image_id(path, folder)
        if name in found:
            raise LayoutError(f"{found[name]} and {path} have the same id {name!r}: rename or remove one.")
        found[name] = path
    return found


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


def _cityscapes_pair(root: Path, split: str, photo: Path) -> LabelledPhoto:
    city, frame = photo.parent.name, photo.stem.removesuffix("_leftImg8bit")
    labels = root / "gtFine" / split / city / f"{frame}_gtFine_labelIds.png"
    if not labels.is_file():
        raise LayoutError(f"{photo} has no label map {labels}: unpack gtFine beside leftImg8bit.")
    return LabelledPhoto(f"{city}/{frame}", photo, labels)


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
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise ImageError(f"{path} is a JPEG, which changes ids and colours: label maps are expected as PNG.")
    colours = read_rgb(path)
    try:
        ids = read_ids(path)
    except ImageError:
        return _by_colour(labels, colours, path)
    if _is_colour_picture(labels, ids, colours):
        return _by_colour(labels, colours, path)
    unknown = set(ids.ravel().tolist()) - labels.by_id.keys()
    if unknown:
        raise DataError(
            f"{path} holds the id {min(unknown)} ({len(unknown)} unknown), which {labels.name!r} does not have: "
            "name the right set with --label-set."
        )
    _refuse_other_palette(labels, ids, colours, path)
    return ids


def _by_colour(labels: LabelSet, colours: Any, path: Path) -> Any:
    try:
        return labels.ids_of(colours)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _is_colour_picture(labels: LabelSet, ids: Any, colours: Any) -> bool:
    """Whether a palette's colours, and not its numbers, are what the label set knows.

    Programs that shrink PNG files turn a colour-coded map into a palette in any order, whose numbers are no ids.
    """
    if _is_grey(colours):
        return False
    known = {_packed(label.colour) for label in labels.labels}
    pairs = _palette_in_use(ids, colours)
    agree = all(i in labels.by_id and _packed(labels.by_id[i].colour) == colour for i, colour in pairs)
    return not agree and all(colour in known for _, colour in pairs)


def _refuse_other_palette(labels: LabelSet, ids: Any, colours: Any, path: Path) -> None:
    """Raise DataError where a map of ids shows each of them in another colour than the set's: it is in another set.

    Grey says nothing, and neither does black, which nearly every palette begins with.
    """
    if _is_grey(colours):
        return
    pairs = [(_packed(labels.by_id[i].colour), colour) for i, colour in _palette_in_use(ids, colours)]
    if not any(ours == colour != 0 for ours, colour in pairs):
        raise DataError(
            f"{path}: the palette's colours are not those of {labels.name!r}: name the label set that these maps are "
            "in, or store them without a palette."
        )


def _is_grey(colours: Any) -> bool:
    return bool((colours == colours[..., :1]).all())


def _packed(colour: Any) -> int:
    return int(np.array(colour, dtype=np.int64) @ CHANNEL)


def _palette_in_use(ids: Any, colours: Any) -> list[tuple[int, int]]:
    """Each id in the map with the colour, as one number, that the file shows it in."""
    return [divmod(int(pair), 1 << 24) for pair in np.unique((ids.astype(np.int64) << 24) | colours @ CHANNEL)]
