"""A folder of labelled photos of any known layout goes in; photos and their label maps, by id and split, come out.

Known are our own layout (docs/datasets.md), Cityscapes as it comes (val is the test split, as in the paper) and CamVid
as it comes. The ids are those of the dataset that `cyclegan data prepare` makes of the same folder.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cgeval.datasets import Dataset, ImageFile, find_dataset
from cgeval.errors import ConfigError, LayoutError
from cgeval.images import find_images, image_id
from cgeval.labels import LabelSet, label_set


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and its label map (ids, or colours of the label set), under one id."""

    id: str
    photo: Path
    labels: Path


@dataclass(frozen=True)
class Source:
    """Pairs by split as they come, and the label set that their maps are in."""

    name: str
    labels: LabelSet
    label_set_name: str
    splits: Mapping[str, Sequence[LabelledPhoto]]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledSplit:
    """Photos and label maps by id. paired: whether a photo and a map of one id show the same scene."""

    name: str
    photos: Mapping[str, ImageFile]
    truth: Mapping[str, Path]
    paired: bool = True

    def pairs(self) -> list[tuple[str, ImageFile, Path]]:
        """(id, photo, label map) of every photo that has one, in the order of the photos.

        Raises LayoutError for unpaired data, in which equal names mean nothing.
        """
        if not self.paired:
            raise LayoutError(
                "the dataset is unpaired, so that no photo is known to show what a label map shows: say paired = true "
                "in its dataset.toml if equal names are the same scene."
            )
        return [(name, photo, self.truth[name]) for name, photo in self.photos.items() if name in self.truth]


@dataclass(frozen=True)
class Labelled:
    """A labelled dataset. label_domain: the domain, in the trainer's sense, that holds the label maps."""

    root: Path
    name: str
    labels: LabelSet
    label_set_name: str
    label_domain: Literal["A", "B"]
    splits: Mapping[str, LabelledSplit]

    def split(self, name: str) -> LabelledSplit:
        """The split of that name; raises LayoutError naming those there are."""
        if name not in self.splits:
            raise LayoutError(f"{self.root} has no labelled split {name!r}; there: {', '.join(self.splits) or 'none'}.")
        return self.splits[name]

    def digest(self, name: str) -> str:
        """SHA-256 over the ids, sizes and names of a split's files: another content of a file's is not seen."""
        lines = (
            f"{image_id}\0{photo.path.stat().st_size}\0{truth.stat().st_size}\n"
            for image_id, photo, truth in self.split(name).pairs()
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def open_labelled(path: Path, label_set_name: str | None = None) -> Labelled:
    """The labelled dataset in a folder; raises LayoutError or ConfigError in one sentence.

    label_set_name: where the dataset does not say it; another one than it says is refused.
    """
    if (path / "leftImg8bit").is_dir():
        return _of_source(path, find_cityscapes(path, whole=False), label_set_name)
    if (path / "train" / "photo").is_dir():
        return _of_source(path, detect(path), label_set_name)
    return _of_dataset(find_dataset(path), label_set_name)


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


def find_cityscapes(root: Path, *, whole: bool = True) -> Source:
    """leftImg8bit/{train,val}/<city>/ with gtFine/...; val becomes the test split, as in the paper.

    whole: both must be there; else one of them is enough.
    """
    splits: dict[str, list[LabelledPhoto]] = {}
    for name, ours in (("train", "train"), ("val", "test")):
        photos = find_images(root / "leftImg8bit" / name)
        if not photos and not whole and (name == "train" or splits):
            continue
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


def _cityscapes_pair(root: Path, split: str, photo: Path) -> LabelledPhoto:
    city, frame = photo.parent.name, photo.stem.removesuffix("_leftImg8bit")
    labels = root / "gtFine" / split / city / f"{frame}_gtFine_labelIds.png"
    if not labels.is_file():
        raise LayoutError(f"{photo} has no label map {labels}: unpack gtFine beside leftImg8bit.")
    return LabelledPhoto(f"{city}/{frame}", photo, labels)


def _of_source(root: Path, source: Source, label_set_name: str | None) -> Labelled:
    splits = {
        name: LabelledSplit(
            name,
            {pair.id: ImageFile(pair.id, pair.photo) for pair in pairs},
            {pair.id: pair.labels for pair in pairs},
        )
        for name, pairs in source.splits.items()
    }
    name = source.label_set_name
    return Labelled(root, source.name, _agreed(root, name, label_set_name), name, "A", splits)


def _agreed(root: Path, own: str, wanted: str | None) -> LabelSet:
    """The label set that the dataset says; raises ConfigError where another one is wanted."""
    labels = label_set(own)
    if wanted is not None and label_set(wanted).labels != labels.labels:
        raise ConfigError(
            f"the label maps of {root} are in label set {labels.name!r} and not in {wanted!r}, as the dataset says: "
            "leave out --label-set, or correct the dataset."
        )
    return labels


def _of_dataset(dataset: Dataset, label_set_name: str | None) -> Labelled:
    name = dataset.label_set or label_set_name
    domain = dataset.label_domain
    if name is None or domain is None:
        raise LayoutError(
            f"{dataset.root} does not say which label set its label maps are in and which domain holds them: add "
            'label_set = "cityscapes" and label_domain = "A" to its dataset.toml (docs/datasets.md).'
        )
    splits = {split: _of_split(dataset, split, domain) for split in dataset.splits}
    return Labelled(dataset.root, dataset.name, _agreed(dataset.root, name, label_set_name), name, domain, splits)


def _of_split(dataset: Dataset, name: str, domain: Literal["A", "B"]) -> LabelledSplit:
    split = dataset.splits[name]
    maps, photos = (split.a, split.b) if domain == "A" else (split.b, split.a)
    template = dataset.facts.get("truth")
    truth = _truth_folder(dataset, template, name) if template else _colour_coded(dataset, maps)
    return LabelledSplit(name, {photo.id: photo for photo in photos}, truth, dataset.paired)


def _truth_folder(dataset: Dataset, template: str, split: str) -> dict[str, Path]:
    """Label maps by id; an empty mapping where the split has none, which is told when it is asked for."""
    folder = dataset.root / template.replace("{split}", split)
    return _by_id(folder) if folder.is_dir() else {}


def _colour_coded(dataset: Dataset, maps: Sequence[ImageFile]) -> dict[str, Path]:
    if any(file.half for file in maps):
        raise LayoutError(
            f"{dataset.root} holds aligned pictures, whose label halves were made smaller: keep the original maps of "
            'ids in a folder and name it by truth = "{split}_ids" in dataset.toml.'
        )
    return {file.id: file.path for file in maps}
