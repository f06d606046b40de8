"""A run and a user's choices go in; what is to be scored comes out, checked before any image is looked at.

Each sealed set of the split is one `Job`: labels -> photo is judged by a segmentation network, photo -> labels by
colour. A job knows its images, their truths, and what stands beside the score: the ceiling, and rows for sanity.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cgeval.errors import DataError, LayoutError, RunError
from cgeval.images import image_size
from cgeval.labelled import Labelled, LabelledSplit, open_labelled
from cgeval.labels import LabelSet
from cgeval.protocols.by_colour import ByColour
from cgeval.protocols.pictures_in import Item, Looked, Noise, RealPhoto, Sealed, Size, TrueColours
from cgeval.runs import ImageSet, Row, Run
from cgeval.scorers.choosing import choose_scorer
from cgeval.scorers.store import FOLDER, ScorerFile

Direction = Literal["labels -> photo", "photo -> labels"]
REAL_PHOTOS, SHUFFLED, NOISE = "real photos", "shuffled photos", "noise"
TRUE_LABELS, SHUFFLED_LABELS = "true labels", "shuffled labels"


@dataclass(frozen=True)
class Choices:
    """What a user may choose. None: what the run, the dataset or the scorer says.

    direction: "ab", "ba" or "both"; protocol: "paper" or "scorer-size"; sanity: rows of shuffled photos and noise too.
    """

    dataset: Path | None = None
    label_set: str | None = None
    split: str | None = None
    direction: str = "both"
    scorer: str | None = None
    protocol: str | None = None
    distance: Literal["L1", "L2"] = "L2"
    palette: Literal["scored", "all"] = "scored"
    classified_at: str = "output"
    sanity: bool = False


@dataclass(frozen=True)
class Ruler:
    """How labels -> photo is measured: a scorer, the protocol by which it is used, and the classes that it tells."""

    scorer: ScorerFile
    protocol: str
    labels: LabelSet


@dataclass(frozen=True)
class Job:
    """One image set to score. size_px: width and height of its images; way: what judges them.

    beside: other pictures of the same truths, by what they are, the ceiling first.
    """

    run: Run
    image_set: ImageSet
    labelled: Labelled
    items: tuple[Item, ...]
    size_px: Size
    way: Ruler | ByColour
    beside: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)

    @property
    def direction(self) -> Direction:
        """What was made of what."""
        return "labels -> photo" if isinstance(self.way, Ruler) else "photo -> labels"

    @property
    def protocol(self) -> str:
        """The protocol as records and tables call it."""
        return f"fcn-score-{self.way.protocol}" if isinstance(self.way, Ruler) else "label-score"

    @property
    def ceiling(self) -> str:
        """What the first row beside the score is of."""
        return REAL_PHOTOS if isinstance(self.way, Ruler) else TRUE_LABELS


def plan(run: Run, choices: Choices) -> list[Job]:
    """One job for each image set of the split that was asked for, labels -> photo first.

    Raises RunError, LayoutError, DataError, WeightsError or SealError in one sentence; nothing is written.
    """
    sets = _sets(run, choices)
    labelled = open_labelled(_dataset_path(run, choices), choices.label_set)
    label_domain = run.info.dataset.get("label_domain") or labelled.label_domain
    makes_photos = {image_set.name: image_set.direction[0] == label_domain for image_set in sets}
    in_order = sorted(sets, key=lambda image_set: not makes_photos[image_set.name])
    return [
        _photo_job(run, each, labelled, choices)
        if makes_photos[each.name]
        else _label_job(run, each, labelled, choices)
        for each in in_order
    ]


def _photo_job(run: Run, image_set: ImageSet, labelled: Labelled, choices: Choices) -> Job:
    """labels -> photo: the truth is the label map that an image was made from."""
    image_set.verify()
    rows, split = image_set.rows, labelled.split(image_set.split)
    truths = _truths(image_set, split, {row.id: row.source for row in rows})
    scorer = choose_scorer(choices.scorer, labelled, _scorer_folders(run.path))
    ruler = Ruler(scorer, choices.protocol or scorer.info.protocol, labelled.labels)
    size = _one_size(image_set, rows)
    beside = _photos_beside(rows, truths, split, size, choices.sanity)
    return Job(run, image_set, labelled, _sealed(image_set, rows, truths), size, ruler, beside)


def _label_job(run: Run, image_set: ImageSet, labelled: Labelled, choices: Choices) -> Job:
    """photo -> labels: the truth is the label map that an image aims at, which in paired data has the photo's id."""
    image_set.verify()
    rows, split = image_set.rows, labelled.split(image_set.split)
    aims = {row.id: row.target or (row.source if split.paired else "") for row in rows}
    if not all(aims.values()):
        raise DataError(
            f"{image_set.path} was made of unpaired photos, for which no label map is known: photo -> labels can be "
            "scored only where the label map of each photo is; use --direction for the other way alone, or say paired "
            "= true in dataset.toml if equal names are the same scene."
        )
    truths, size = _truths(image_set, split, aims), _one_size(image_set, rows)
    by_colour = ByColour(labelled.labels, choices.distance, choices.palette, choices.classified_at)
    colours: dict[str, Looked] = {row.id: TrueColours(truths[row.id], labelled.labels, size) for row in rows}
    beside = {TRUE_LABELS: _items(rows, truths, colours)}
    if choices.sanity:
        beside[SHUFFLED_LABELS] = _items(rows, truths, _shuffled(colours))
        beside[NOISE] = _noise(rows, truths, size)
    return Job(run, image_set, labelled, _sealed(image_set, rows, truths), size, by_colour, beside)


def _scorer_folders(run_path: Path) -> list[Path]:
    """Here, and beside the folder that holds the run."""
    beside = run_path.resolve().parent.parent / FOLDER
    return [FOLDER] if beside.resolve() == FOLDER.resolve() else [FOLDER, beside]


def _sets(run: Run, choices: Choices) -> list[ImageSet]:
    """The sealed sets of one split and the directions asked for; raises RunError naming those there are."""
    sealed = run.image_sets()
    if not sealed:
        raise RunError(_no_sealed_set(run))
    splits = sorted({image_set.split for image_set in sealed})
    split = choices.split or ("test" if "test" in splits else splits[0] if len(splits) == 1 else None)
    if split is None:
        raise RunError(f"{run.path} holds image sets of {', '.join(splits)}: name one of them by --split.")
    directions = {"ab": ["AtoB"], "ba": ["BtoA"], "both": ["AtoB", "BtoA"]}[choices.direction]
    found = [image_set for image_set in sealed if image_set.split == split and image_set.direction in directions]
    if not found:
        there = ", ".join(image_set.name for image_set in sealed)
        way = "" if choices.direction == "both" else f" in the direction {directions[0]}"
        raise RunError(f"{run.path} holds no image set of split {split!r}{way}; sealed are: {there}.")
    return found


def _no_sealed_set(run: Run) -> str:
    begun = [path.name for path in sorted((run.path / "images").glob("*")) if path.is_dir() and path.name[0] != "."]
    if begun:
        return (
            f"{run.path / 'images' / begun[0]} is not sealed: it has no set.json, so it was not written to its end, or "
            "not by a program that seals; translate again, or make a run of foreign results by `cgeval adopt`."
        )
    return f"{run.path} holds no sealed image set yet: `cyclegan translate {run.path} --split test` makes them."


def _dataset_path(run: Run, choices: Choices) -> Path:
    if choices.dataset is not None:
        return choices.dataset
    remembered = run.info.dataset.get("path")
    if not remembered:
        raise LayoutError(f"{run.path} does not say where its dataset is: name the folder by --dataset DIR.")
    if not Path(remembered).is_dir():
        raise LayoutError(f"the dataset of {run.path} is no longer at {remembered}: say where it is by --dataset DIR.")
    return Path(remembered)


def _truths(image_set: ImageSet, split: LabelledSplit, named: Mapping[str, str]) -> dict[str, Path]:
    """The label map of each image; named: the label map's id by the image's."""
    missing = [name for name in named.values() if name not in split.truth]
    if missing:
        there = ", ".join(map(repr, list(split.truth)[:2]))
        told = f"label maps there: {there}, ..." if there else "its folder of label maps is empty or not there"
        raise DataError(
            f"{len(missing)} of {len(named)} images of {image_set.path} have no label map in split {split.name!r} of "
            f"the dataset (first: {missing[0]!r}; {told}): "
            "complete the label maps, name the right --dataset, or pair foreign names by `cgeval adopt`."
        )
    return {image_id: split.truth[name] for image_id, name in named.items()}


def _one_size(image_set: ImageSet, rows: Sequence[Row]) -> Size:
    sizes = {row.id: image_size(image_set.path / row.file) for row in rows}
    different = sorted(set(sizes.values()))
    if len(different) > 1:
        example = {size: name for name, size in sizes.items()}
        told = ", ".join(f"{w}x{h} ({example[w, h]})" for w, h in different[:3])
        raise DataError(
            f"{image_set.path} holds images of {len(different)} sizes, such as {told}: a score is of one size; make "
            "sets of one size each."
        )
    return different[0]


def _sealed(image_set: ImageSet, rows: Sequence[Row], truths: Mapping[str, Path]) -> tuple[Item, ...]:
    return _items(rows, truths, {row.id: Sealed(image_set.path / row.file, row.sha256) for row in rows})


def _items(rows: Iterable[Row], truths: Mapping[str, Path], pictures: Mapping[str, Looked]) -> tuple[Item, ...]:
    return tuple(Item(row.id, pictures[row.id], truths[row.id], row.source) for row in rows if row.id in pictures)


def _photos_beside(
    rows: Sequence[Row], truths: Mapping[str, Path], split: LabelledSplit, size: Size, sanity: bool
) -> dict[str, tuple[Item, ...]]:
    """The real photos of the same label maps, where they are known; for sanity photos of other maps, and noise."""
    aims = {row.id: row.target or (row.source if split.paired else "") for row in rows}
    photos: dict[str, Looked] = {
        image_id: RealPhoto(split.photos[name], size) for image_id, name in aims.items() if name in split.photos
    }
    beside = {REAL_PHOTOS: _items(rows, truths, photos)} if photos else {}
    if sanity and photos:
        beside[SHUFFLED] = _items(rows, truths, _shuffled(photos))
    if sanity:
        beside[NOISE] = _noise(rows, truths, size)
    return beside


def _noise(rows: Sequence[Row], truths: Mapping[str, Path], size: Size) -> tuple[Item, ...]:
    return _items(rows, truths, {row.id: Noise(row.id, size) for row in rows})


def _shuffled(pictures: Mapping[str, Looked]) -> dict[str, Looked]:
    """Each id with the picture of another, the same ones every time."""
    names = list(pictures)
    random.Random(0).shuffle(names)
    return {name: pictures[names[(i + 1) % len(names)]] for i, name in enumerate(names)}
