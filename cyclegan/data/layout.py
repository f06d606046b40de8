"""A folder goes in; a `Dataset` comes out: which files are domain A and B of which split, and which belong together.

Read, in this order: the folders `trainA trainB testA testB` (any case, any nesting inside, also `valA` and the
like); aligned pictures `A|B` in `train/ test/ val/`, split in the middle; two plain folders given by path. An
optional `dataset.toml` adds name, domains, pairing and label set.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cgeval.errors import ImageError, LayoutError
from cgeval.images import find_images, image_id, image_size, read_rgb

Half = Literal["left", "right"]
FACTS = {
    "name",
    "domains",
    "paired",
    "label_set",
    "label_domain",
    "truth",
    "layout",
    "source",
    "generator",
    "seed",
    "size_px",
}
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
    """A dataset as found on disk. domains: names of A and B; skipped: broken files left out at the user's wish."""

    root: Path
    name: str
    paired: bool
    domains: tuple[str, str]
    label_set: str | None
    label_domain: Literal["A", "B"] | None
    splits: Mapping[str, Split]
    skipped: tuple[Path, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """The split of that name; raises LayoutError naming those there are."""
        if name not in self.splits:
            raise LayoutError(f"{self.root} has no split {name!r}; there: {', '.join(self.splits)}.")
        return self.splits[name]


def open_dataset(path: Path, path_b: Path | None = None, *, skip_broken: bool = False) -> Dataset:
    """Find the images and check that each can be opened; raises LayoutError or ImageError in one sentence.

    skip_broken: leave broken files out (with their counterparts, in paired data) instead of refusing them.
    """
    for folder in (path, path_b):
        if folder is not None and not folder.is_dir():
            what = "a file" if folder.exists() else "not there"
            raise LayoutError(f"{folder} is {what}: expected a folder with {EXPECTED}.")
    facts = _facts(path)
    if path_b is not None:
        splits, aligned = {"train": Split("train", _files(path), _files(path_b))}, False
    else:
        splits, aligned = _find_splits(path)
    paired = bool(facts.get("paired", aligned))
    if paired and not aligned:
        splits = {name: _pair(split, path) for name, split in splits.items()}
    splits, skipped = _without_broken(splits, paired, skip_broken)
    _refuse_empty(splits, path)
    names = facts.get("domains", ["A", "B"])
    return Dataset(
        path,
        str(facts.get("name", path.resolve().name)),
        paired,
        (str(names[0]), str(names[1])),
        facts.get("label_set"),
        facts.get("label_domain"),
        splits,
        skipped,
        facts,
    )


def _facts(path: Path) -> dict[str, Any]:
    file = path / "dataset.toml"
    if not file.is_file():
        return {}
    try:
        facts = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LayoutError(f"{file} is not valid TOML: {error}.") from None
    names = facts.get("domains", ["A", "B"])
    if not (isinstance(names, list) and len(names) == 2):
        raise LayoutError(f"{file}: domains is {names!r}, and two names are expected, such as ['labels', 'photos'].")
    if facts.get("label_domain") not in (None, "A", "B"):
        raise LayoutError(f"{file}: label_domain is {facts['label_domain']!r}, and 'A' or 'B' is expected.")
    return facts


def _find_splits(path: Path) -> tuple[dict[str, Split], bool]:
    folders = {child.name: child for child in sorted(path.iterdir()) if child.is_dir()}
    halves: dict[str, dict[str, Path]] = {}
    for name, folder in folders.items():
        match = re.fullmatch(r"(train|test|val)[_-]?(a|b)", name, re.IGNORECASE)
        if match:
            halves.setdefault(match[1].lower(), {})[match[2].upper()] = folder
    if halves:
        _refuse_lone_domain(halves, path)
        return {name: Split(name, _files(two["A"]), _files(two["B"])) for name, two in _in_order(halves)}, False
    aligned = {name.lower(): folder for name, folder in folders.items() if name.lower() in ("train", "test", "val")}
    if not aligned:
        there = ", ".join(folders) or f"{len(find_images(path))} images and no folder"
        raise LayoutError(f"{path} holds {there}: expected {EXPECTED} (--data A --data-b B).")
    return {name: _aligned(name, folder) for name, folder in _in_order(aligned)}, True


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
        if file.id in seen:
            raise LayoutError(f"{seen[file.id]} and {file.path} have the same id {file.id!r}: rename or remove one.")
        seen[file.id] = file.path
    return files


def _aligned(name: str, folder: Path) -> Split:
    files = _files(folder)
    for file in files[:3]:
        width, height = image_size(file.path)
        if width % 2 or width < height:
            raise LayoutError(
                f"{file.path} is {width} x {height} pixels: an aligned picture holds A and B "
                "of equal width side by side; "
                "for unpaired pictures name the folders trainA and trainB."
            )
    return Split(name, tuple(replace(f, half="left") for f in files), tuple(replace(f, half="right") for f in files))


def _pair(split: Split, path: Path) -> Split:
    a, b = {f.id: f for f in split.a}, {f.id: f for f in split.b}
    if a.keys() != b.keys():
        lone = sorted(a.keys() ^ b.keys())
        raise LayoutError(
            f"{path} is declared paired, and {len(lone)} ids of {split.name} are in one domain only "
            f"(first: {lone[0]!r}): give both images of a pair the same name, or set paired = false."
        )
    return Split(split.name, split.a, tuple(b[f.id] for f in split.a))


def _without_broken(splits: Mapping[str, Split], paired: bool, skip: bool) -> tuple[dict[str, Split], tuple[Path, ...]]:
    broken: set[Path] = set()
    for file in _all_files(splits.values()):
        try:
            image_size(file.path)
            if skip:
                read_rgb(file.path)
        except ImageError:
            if not skip:
                raise
            broken.add(file.path)
    if not broken:
        return dict(splits), ()
    return {name: _left(split, broken, paired) for name, split in splits.items()}, tuple(sorted(broken))


def _left(split: Split, broken: set[Path], paired: bool) -> Split:
    lost = {file.id for file in (*split.a, *split.b) if file.path in broken} if paired else set()
    a, b = (tuple(f for f in files if f.path not in broken and f.id not in lost) for files in (split.a, split.b))
    return Split(split.name, a, b)


def _all_files(splits: Iterable[Split]) -> list[ImageFile]:
    return list({file.path: file for split in splits for file in (*split.a, *split.b)}.values())


def _refuse_empty(splits: Mapping[str, Split], path: Path) -> None:
    if not any(split.a or split.b for split in splits.values()):
        raise LayoutError(f"{path} holds no images (jpg, png, bmp, tif, webp): expected {EXPECTED}.")
