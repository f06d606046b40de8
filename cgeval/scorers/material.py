"""A labelled dataset and a recipe go in; what training sees comes out: photos to learn from, and photos to validate on.

Validation photos are the val split's, or a tenth of the train split, held out at random; the test split is not touched.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cgeval.errors import DataError
from cgeval.images import image_size
from cgeval.labelled import Labelled
from cgeval.scorers.recipe import STEP_PX, Recipe, default_size
from cgeval.scorers.samples import LabelledFile, Photos, Samples, Size, load_photos, photo_size

Say = Callable[[str], None]

HELD_OUT = 10  # one in so many train photos validates where there is no val split
FEWEST_PHOTOS = 2


@dataclass(frozen=True)
class Source:
    """Which photos are trained on, and which validate; validation_split: the split's name, or "train (held out)"."""

    train: list[LabelledFile]
    validation: list[LabelledFile]
    validation_split: str


@dataclass(frozen=True)
class Material:
    """What training sees: random windows of the train photos, and the validation photos at the scorer's size.

    validation_photo_px: width and height of the validation photos as they lie in the dataset, None where they differ.
    """

    samples: Samples
    validation: Photos
    validation_split: str
    validation_photo_px: Size | None
    size_px: tuple[int, int]


def choose_photos(labelled: Labelled, seed: int) -> Source:
    """The train split, and val or a tenth of train held out at random; raises DataError where that is too little."""
    train = labelled.split("train").pairs()
    validation = labelled.splits["val"].pairs() if "val" in labelled.splits else []
    if len(train) < FEWEST_PHOTOS:
        raise DataError(
            f"{labelled.root} has {len(train)} train photos with a label map: a scorer is trained on {FEWEST_PHOTOS} "
            "at least, and on some hundreds to be of use."
        )
    if validation:
        return Source(train, validation, "val")
    order = np.random.default_rng(seed).permutation(len(train))
    held = set(order[: max(1, len(train) // HELD_OUT)].tolist())
    return Source(
        [file for place, file in enumerate(train) if place not in held],
        [train[place] for place in sorted(held)],
        "train (held out)",
    )


def load_material(labelled: Labelled, source: Source, recipe: Recipe, say: Say, *, progress: bool) -> Material:
    """Read every photo once; says what the scorer cannot learn, and where memory does not suffice."""
    _, photo, truth = source.train[0]
    size = recipe.size_px or default_size(*photo_size(photo))
    train = load_photos(
        source.train,
        labelled.labels,
        _kept(photo_size(photo), size, recipe.zoom[1]),
        _kept(image_size(truth), size, recipe.zoom[1]),
        progress=progress,
    )
    validation = load_photos(source.validation, labelled.labels, size, None, progress=progress)
    _tell_limits(labelled, train, source, say)
    window = (_filled_up(size[0]), _filled_up(size[1]))
    samples = Samples(train, size, window, recipe.zoom, recipe.flip, recipe.jitter, recipe.batch_size, recipe.seed)
    own_sizes = {photo_size(file) for _, file, _ in source.validation}
    own_size = own_sizes.pop() if len(own_sizes) == 1 else None
    return Material(samples, validation, source.validation_split, own_size, size)


def counted(count: int, what: str) -> str:
    """ "1 step", "1,200 steps"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _kept(own: Size, size: Size, zoom: float) -> Size | None:
    """The size at which pictures are kept: none larger than the highest zoom shows; None: their own."""
    width, height = (math.ceil(side * max(1.0, zoom)) for side in size)
    return (width, height) if width * height < own[0] * own[1] else None


def _filled_up(side: int) -> int:
    """The side of a window, which every network takes."""
    return -(-side // STEP_PX) * STEP_PX


def _tell_limits(labelled: Labelled, train: Photos, source: Source, say: Say) -> None:
    classes = [label.name for label in labelled.labels.classes]
    shown = train.pixels[:, :-1].sum(axis=0) > 0
    if not shown.any():
        raise DataError(
            f"the label maps of {labelled.root} show no scored class of {labelled.labels.name!r}: name the label set "
            "that they are in with --label-set."
        )
    alone = len(labelled.split("train").photos) - len(labelled.split("train").pairs())
    if alone:
        say(f"{counted(alone, 'train photo')} without a label map {'is' if alone == 1 else 'are'} left out.")
    unseen = [name for name, there in zip(classes, shown, strict=True) if not there]
    if unseen:
        them = "it" if len(unseen) == 1 else "them"
        say(f"No train photo shows {', '.join(map(repr, unseen))}: the scorer will not know {them}.")
    if train.held is None:
        say(f"The {len(train)} train photos do not fit into memory and are decoded anew for each step, which is slow.")
    if source.validation_split != "val":
        say(f"There is no val split, so {len(source.validation)} of the train photos are held out to validate.")
