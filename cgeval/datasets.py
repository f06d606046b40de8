"""A folder goes in; a `Dataset` comes out: which files are domain A and B of which split, and which belong together.

Read, in this order: the folders `trainA trainB testA testB` (any case, any nesting inside, also `valA` and the
like); aligned pictures `A|B` in `train/ test/ val/`, split in the middle; two plain folders given by path. An
optional `dataset.toml` adds name, domains, pairing and label set; a key that is not in FACTS is an error.
"""

import os
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from cgeval.errors import ConfigError, ImageError, LayoutError
from cgeval.images import Picture, find_images, image_id, image_size, read_rgb
from cgeval.labels import label_set

Half = Literal["left", "right"]
FACTS: Mapping[str, type] = {
    "name": str,
    "domains": list,
    "paired": bool,
    "label_set": str,
    "label_domain": str,
    "truth": str,
    "layout": str,
    "source": str,
    "generator": str,
    "seed": int,
    "size_px": int,
}
TOML_NAMES = {str: "a text", bool: "true or false", int: "a whole number", list: "a list"}
EXPECTED = "trainA and trainB, or train/ with aligned A|B pictures, or two plain folders"


@dataclass(frozen=True)
class ImageFile:
    """One image: a file, or the left (A) or right (B) half of an aligned one."""

    id: str
    path: Path
    half: Half | None = None


@dataclass(frozen=True)
class Split:
    """The images of both domains; in paired data equally long and in the same order of ids."""

    name: str
    a: tuple[ImageFile, ...]
    b: tuple[ImageFile, ...]


@dataclass(frozen=True)
class Dataset:
    """A dataset as found on disk. domains: names of A and B; skipped: broken files left out at the user's wish.

    label_set: a known name, or the path of a TOML file, which dataset.toml names relative to its own folder.
    """

    root: Path
    name: str
    paired: bool
    domains: tuple[str, str]
    label_set: str | None
    label_domain: Literal["A", "B"] | None
    splits: Mapping[str, Split]
    skipped: tuple[Path, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_facts(self) -> dict[str, Any]:
        """What a run remembers of its dataset (docs/run-directory.md)."""
        return {
            "name": self.name,
            "path": str(self.root.resolve()),
            "paired": self.paired,
            "domains": {"A": self.domains[0], "B": self.domains[1]},
            "label_set": self.label_set,
            "label_domain": self.label_domain,
        }

    def split(self, name: str) -> Split:
        """The split of that name; raises LayoutError naming those there are."""
        if name not in self.splits:
            raise LayoutError(f"{self.root} has no split {name!r}; there: {', '.join(self.splits)}.")
        return self.splits[name]


def open_dataset(path: Path, path_b: Path | None = None, *, skip_broken: bool = False) -> Dataset:
    """Find the images and check that each can be opened; raises LayoutError or ImageError in one sentence.

    skip_broken: decode every picture, and leave broken files out (with their counterparts, in paired data).
    """
    found = find_dataset(path, path_b)
    if skip_broken:
        return without(found, broken_files(found))
    for file in _all_files(found):
        try:
            _refuse_unaligned(file, found)
        except ImageError as error:
            raise with_way_out(error) from None
    return found


def find_dataset(path: Path, path_b: Path | None = None) -> Dataset:
    """The dataset as its folders and names tell it, no picture opened; raises LayoutError."""
    for folder in (path, path_b):
        if folder is not None and not folder.is_dir():
            what = "a file" if folder.exists() else "not there"
            raise LayoutError(f"{folder} is {what}: expected a folder with {EXPECTED}.")
        if folder is not None and not _is_unicode(str(folder.resolve())):
            raise LayoutError(f"the folder name {str(folder)!r} is not UTF-8: rename the folder.")
    facts = _facts(path)
    if path_b is not None:
        splits, aligned = {"train": Split("train", _files(path), _files(path_b))}, False
    else:
        splits, aligned = _find_splits(path, declared="paired" in facts)
    paired = bool(facts.get("paired", aligned))
    if paired and not aligned:
        splits = {name: _pair(split, path) for name, split in splits.items()}
    _refuse_empty(splits, path)
    names = facts.get("domains", ["A", "B"])
    return Dataset(
        path,
        str(facts.get("name", path.resolve().name)),
        paired,
        (str(names[0]), str(names[1])),
        facts.get("label_set"),
        None if facts.get("label_domain") == "none" else facts.get("label_domain"),
        splits,
        facts=facts,
    )


def read_picture(file: ImageFile) -> Picture:
    """uint8 [h, w, 3]: the whole file, or its left or right half; raises ImageError naming the file."""
    picture = read_rgb(file.path)
    middle = picture.shape[1] // 2
    return {None: picture, "left": picture[:, :middle], "right": picture[:, middle:]}[file.half]


def broken_files(dataset: Dataset, *, progress: bool = False) -> dict[Path, ImageError]:
    """What is wrong with each file that cannot be decoded; all are read to the last byte, several at a time.

    progress: show a bar, where there is a terminal to show it on. Raises LayoutError for what is no aligned picture.
    """

    def wrong_with(file: ImageFile) -> ImageError | None:
        try:
            _refuse_unaligned(file, dataset)
            read_rgb(file.path)
        except ImageError as error:
            return error
        return None

    files = _all_files(dataset)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hidden = None if progress else True
        done = tqdm(pool.map(wrong_with, files), total=len(files), desc="reading", unit="img", disable=hidden)
        return {file.path: error for file, error in zip(files, done, strict=True) if error}


def without(dataset: Dataset, broken: Collection[Path]) -> Dataset:
    """The dataset without these files, and in paired data without their counterparts; raises LayoutError if empty."""
    splits = {name: _left(split, broken, dataset.paired) for name, split in dataset.splits.items()}
    _refuse_empty(splits, dataset.root)
    return replace(dataset, splits=splits, skipped=tuple(sorted(broken)))


def with_way_out(error: ImageError) -> ImageError:
    """The same mistake, with how training goes on without the broken file."""
    way_out = "in training, leave such files out with --set data.skip_broken=true"
    return ImageError(f"{str(error).rstrip('.')}, or, {way_out}.")


def _facts(path: Path) -> dict[str, Any]:
    file = path / "dataset.toml"
    if not file.is_file():
        return {}
    try:
        facts = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LayoutError(f"{file} is not valid TOML: {error}.") from None
    _refuse_unknown(facts, file)
    names = facts.get("domains", ["A", "B"])
    if not (len(names) == 2 and all(isinstance(name, str) for name in names)):
        raise LayoutError(f"{file}: domains is {names!r}, and two names are expected, such as ['labels', 'photos'].")
    if facts.get("label_domain") not in (None, "A", "B", "none"):
        raise LayoutError(f"{file}: label_domain is {facts['label_domain']!r}, and 'A', 'B' or 'none' is expected.")
    return facts | _label_set(facts, file)


def _refuse_unknown(facts: Mapping[str, Any], file: Path) -> None:
    for key, value in facts.items():
        if key not in FACTS:
            raise LayoutError(f"{file}: unknown key {key!r}; the known ones are {', '.join(FACTS)}.")
        if type(value) is not FACTS[key]:
            raise LayoutError(f"{file}: {key} is {value!r}, and {TOML_NAMES[FACTS[key]]} is expected.")


def _label_set(facts: Mapping[str, Any], file: Path) -> dict[str, str]:
    """The label set, if one is named: a TOML file lies beside dataset.toml."""
    if "label_set" not in facts:
        return {}
    own = file.parent / facts["label_set"]
    name = str(own.resolve()) if own.is_file() else facts["label_set"]
    try:
        label_set(name)
    except ConfigError as error:
        raise LayoutError(f"{file}: {error}") from None
    return {"label_set": name}


def _find_splits(path: Path, declared: bool) -> tuple[dict[str, Split], bool]:
    folders = {child.name: child for child in sorted(path.iterdir()) if child.is_dir()}
    halves: dict[str, dict[str, Path]] = {}
    for name, folder in folders.items():
        match = re.fullmatch(r"(train|test|val)[_-]?(a|b)", name, re.IGNORECASE)
        if match:
            _add(halves.setdefault(match[1].lower(), {}), match[2].upper(), folder)
    if halves:
        _refuse_lone_domain(halves, path)
        return {name: Split(name, _files(two["A"]), _files(two["B"])) for name, two in _in_order(halves)}, False
    aligned: dict[str, Path] = {}
    for name, folder in folders.items():
        if name.lower() in ("train", "test", "val"):
            _add(aligned, name.lower(), folder)
    if not aligned:
        there = ", ".join(folders) or f"{len(find_images(path))} images and no folder"
        raise LayoutError(f"{path} holds {there}: expected {EXPECTED} (--data A --data-b B).")
    if not declared:
        _refuse_folder_pair(aligned.values())
    return {name: _aligned(name, folder) for name, folder in _in_order(aligned)}, True


def _add(places: MutableMapping[str, Path], key: str, folder: Path) -> None:
    if key in places:
        raise LayoutError(f"{places[key]} and {folder} mean the same split and domain: rename or remove one.")
    places[key] = folder


def _in_order(splits: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, splits[name]) for name in ("train", "val", "test") if name in splits]


def _refuse_lone_domain(halves: Mapping[str, Mapping[str, Path]], path: Path) -> None:
    for name, two in halves.items():
        if len(two) == 1:
            (there,) = two.values()
            missing = "B" if "A" in two else "A"
            raise LayoutError(f"{path} has {there.name} and no {name}{missing}: both domains of a split are needed.")


def _files(folder: Path) -> tuple[ImageFile, ...]:
    files = tuple(ImageFile(image_id(path, folder), path) for path in find_images(folder))
    seen: dict[str, Path] = {}
    for file in files:
        if not _is_unicode(file.id):
            raise LayoutError(f"the file name {str(file.path)!r} is not UTF-8, and ids are text: rename the file.")
        if file.id in seen:
            raise LayoutError(f"{seen[file.id]} and {file.path} have the same id {file.id!r}: rename or remove one.")
        seen[file.id] = file.path
    return files


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _aligned(name: str, folder: Path) -> Split:
    files = _files(folder)
    return Split(name, tuple(replace(f, half="left") for f in files), tuple(replace(f, half="right") for f in files))


def _refuse_folder_pair(splits: Iterable[Path]) -> None:
    """Two folders inside, of domain A and B or with mostly the same names, hold whole pictures and not A|B ones."""
    for folder in splits:
        inside = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
        if len(inside) != 2 or not all(child.is_dir() for child in inside):
            continue
        one, other = ({image_id(path, child) for path in find_images(child)} for child in inside)
        if {child.name.lower() for child in inside} == {"a", "b"} or len(one & other) * 2 > max(len(one), len(other)):
            raise LayoutError(
                f"{folder} holds the folders {inside[0].name} and {inside[1].name}, where aligned A|B pictures are "
                "expected: name two folders by path (--data A --data-b B), rename them trainA and trainB, use "
                "`cyclegan data prepare` for photos with label maps, or say paired = true in dataset.toml."
            )


def _refuse_unaligned(file: ImageFile, dataset: Dataset) -> None:
    """Raise ImageError where even the size cannot be read, LayoutError where it is not one of two halves."""
    width, height = image_size(file.path)
    may_be_square = "paired" in dataset.facts
    if file.half and (width % 2 or width < height or (width == height and not may_be_square)):
        raise LayoutError(
            f"{file.path} is {width} x {height} pixels: an aligned picture holds A and B of equal width side by side; "
            "name folders of whole pictures trainA and trainB, or of square pairs say paired = true in dataset.toml."
        )


def _pair(split: Split, path: Path) -> Split:
    a, b = {f.id: f for f in split.a}, {f.id: f for f in split.b}
    if a.keys() != b.keys():
        lone = sorted(a.keys() ^ b.keys())
        raise LayoutError(
            f"{path} is declared paired, and {len(lone)} ids of {split.name} are in one domain only "
            f"(first: {lone[0]!r}): give both images of a pair the same name, or set paired = false."
        )
    return Split(split.name, split.a, tuple(b[f.id] for f in split.a))


def _left(split: Split, broken: Collection[Path], paired: bool) -> Split:
    lost = {file.id for file in (*split.a, *split.b) if file.path in broken} if paired else set()
    a, b = (tuple(f for f in files if f.path not in broken and f.id not in lost) for files in (split.a, split.b))
    return Split(split.name, a, b)


def _all_files(dataset: Dataset) -> list[ImageFile]:
    return list({file.path: file for split in dataset.splits.values() for file in (*split.a, *split.b)}.values())


def _refuse_empty(splits: Mapping[str, Split], path: Path) -> None:
    if not any(split.a or split.b for split in splits.values()):
        raise LayoutError(f"{path} holds no images (jpg, png, bmp, tif, webp): expected {EXPECTED}.")
