"""A run and a user's choices go in; what is to be scored comes out, checked before any image is looked at.

Each sealed set of the split is one `Job`: labels -> photo is judged by a segmentation network, photo -> labels by
colour. A job knows its images, their truths, and what stands beside the score: the ceiling, and rows for sanity.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cgeval.errors import DataError, LayoutError, RunError, WeightsError
from cgeval.images import image_size
from cgeval.labelled import Labelled, LabelledSplit, open_labelled
from cgeval.labels import LabelSet
from cgeval.protocols.by_colour import ByColour
from cgeval.protocols.pictures_in import Item, Looked, Noise, RealPhoto, Sealed, Size, TrueColours
from cgeval.runs import ImageSet, Row, Run
from cgeval.scorers.store import FOLDER, ScorerFile, find_scorers, fitting, open_scorer, refuse_other_classes

Direction = Literal["labels -> photo", "photo -> labels"]
REAL_PHOTOS, SHUFFLED, NOISE, TRUE_LABELS = "real photos", "shuffled photos", "noise", "true labels"


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
    """A scorer, the protocol by which it is used, and the label set whose classes it tells."""

    scorer: ScorerFile
    protocol: str
    labels: LabelSet


@dataclass(frozen=True)
class Job:
    """One image set to score. beside: other images of the same truths, by what they are, the ceiling first.

    scorer and protocol are for labels -> photo, by_colour for photo -> labels. size_px: width and height of the images.
    """

    run: Run
    image_set: ImageSet
    labelled: Labelled
    direction: Direction
    items: tuple[Item, ...]
    size_px: Size
    beside: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    scorer: ScorerFile | None = None
    protocol: str = ""
    by_colour: ByColour | None = None

    @property
    def protocol_name(self) -> str:
        """The protocol as records and tables call it."""
        return "label-score" if self.scorer is None else f"fcn-score-{self.protocol}"

    @property
    def ruler(self) -> Ruler | None:
        """What measures labels -> photo; None for photo -> labels."""
        return Ruler(self.scorer, self.protocol, self.labelled.labels) if self.scorer else None

    @property
    def ceiling(self) -> str:
        """What the first row beside the score is of."""
        return TRUE_LABELS if self.scorer is None else REAL_PHOTOS


def plan(run: Run, choices: Choices) -> list[Job]:
    """One job for each image set of the split that was asked for, labels -> photo first.

    Raises RunError, LayoutError, DataError, WeightsError or SealError in one sentence; nothing is written.
    """
    sets = _sets(run, choices)
    labelled = open_labelled(_dataset_path(run, choices), choices.label_set)
    split = labelled.split(sets[0].split)
    jobs = [_job(run, image_set, labelled, split, choices) for image_set in sets]
    return sorted(jobs, key=lambda job: job.scorer is None)


def _job(run: Run, image_set: ImageSet, labelled: Labelled, split: LabelledSplit, choices: Choices) -> Job:
    image_set.verify()
    rows = image_set.rows
    truths = _truths(image_set, rows, split)
    size = _one_size(image_set, rows)
    items = _items(rows, truths, {row.id: Sealed(image_set.path / row.file, row.sha256) for row in rows})
    if image_set.direction[0] != labelled.label_domain:
        colours: dict[str, Looked] = {row.id: TrueColours(truths[row.id], labelled.labels, size) for row in rows}
        by_colour = ByColour(labelled.labels, choices.distance, choices.palette, choices.classified_at)
        beside = {TRUE_LABELS: _items(rows, truths, colours)}
        return Job(run, image_set, labelled, "photo -> labels", items, size, beside, by_colour=by_colour)
    scorer = choose_scorer(choices.scorer, labelled, run.path)
    beside = _photos_beside(rows, truths, split, size, choices.sanity)
    protocol = choices.protocol or scorer.info.protocol
    return Job(run, image_set, labelled, "labels -> photo", items, size, beside, scorer, protocol)


def choose_scorer(wanted: str | None, labelled: Labelled, run_path: Path) -> ScorerFile:
    """The scorer that was named, or the only one at hand whose classes are the label set's; raises WeightsError."""
    folders = _scorer_folders(run_path)
    if wanted is not None:
        named = [folder for folder in folders if (folder / wanted).is_dir()]
        scorer = open_scorer(wanted, named[0] if named else FOLDER)
        refuse_other_classes(scorer.info, labelled.labels)
        return scorer
    found = [scorer for folder in folders if folder.is_dir() for scorer in find_scorers(folder)[0]]
    fit = fitting(found, labelled.labels)
    if len(fit) == 1:
        return fit[0]
    own = [scorer for scorer in fit if scorer.info.trained_on.get("name") == labelled.name]
    if len(own) == 1:
        return own[0]
    if fit:
        names = ", ".join(str(scorer.path.parent) for scorer in fit)
        raise WeightsError(f"{len(fit)} scorers have the classes of {labelled.name} ({names}): name one by --scorer.")
    raise WeightsError(
        f"no scorer in {' or '.join(map(str, folders))} has the {len(labelled.labels.classes)} classes of label set "
        f"{labelled.labels.name!r}: make one by `cgeval scorer train {labelled.root} {FOLDER / labelled.name}` (or "
        f"`cgeval scorer import-caffe` for the paper's), or name one by --scorer."
    )


def _scorer_folders(run_path: Path) -> list[Path]:
    """Here, and beside the folder that holds the run."""
    beside = run_path.resolve().parent.parent / FOLDER
    return [FOLDER] if beside == FOLDER.resolve() else [FOLDER, beside]


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
        raise RunError(f"{run.path} holds no image set of split {split!r} in that direction; sealed are: {there}.")
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


def _truths(image_set: ImageSet, rows: Sequence[Row], split: LabelledSplit) -> dict[str, Path]:
    """The label map of each image: that of the image it was made from, or of the one it aims at."""
    found = {row.id: split.truth.get(row.source) or split.truth.get(row.target or "") for row in rows}
    missing = [name for name, truth in found.items() if truth is None]
    if missing:
        there = ", ".join(map(repr, list(split.truth)[:2])) or "none"
        raise DataError(
            f"{len(missing)} of {len(rows)} images of {image_set.path} have no label map in split {split.name!r} of "
            f"the dataset (first: {missing[0]!r}; label maps there: {there}, ...): "
            "complete the label maps, name the right --dataset, or pair foreign names by `cgeval adopt`."
        )
    return {name: truth for name, truth in found.items() if truth is not None}


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


def _items(rows: Iterable[Row], truths: Mapping[str, Path], pictures: Mapping[str, Looked]) -> tuple[Item, ...]:
    return tuple(Item(row.id, pictures[row.id], truths[row.id]) for row in rows if row.id in pictures)


def _photos_beside(
    rows: Sequence[Row], truths: Mapping[str, Path], split: LabelledSplit, size: Size, sanity: bool
) -> dict[str, tuple[Item, ...]]:
    """The real photos of the same label maps; for sanity also photos of other maps, and noise."""
    photo_of = {row.id: split.photos.get(row.target or row.source) for row in rows}
    photos: dict[str, RealPhoto] = {name: RealPhoto(file, size) for name, file in photo_of.items() if file is not None}
    beside = {REAL_PHOTOS: _items(rows, truths, photos)} if photos else {}
    if sanity and photos:
        beside[SHUFFLED] = _items(rows, truths, _shuffled(photos))
    if sanity:
        beside[NOISE] = _items(rows, truths, {row.id: Noise(row.id, size) for row in rows})
    return beside


def _shuffled(photos: Mapping[str, RealPhoto]) -> dict[str, RealPhoto]:
    """Each id with the photo of another, the same ones every time."""
    names = list(photos)
    random.Random(0).shuffle(names)
    return {name: photos[names[(i + 1) % len(names)]] for i, name in enumerate(names)}
