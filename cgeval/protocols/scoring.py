"""A job goes in; its score comes out: numbers with intervals for the run and for what stands beside it, and traps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import ConfigError
from cgeval.images import Picture
from cgeval.labels import LabelSet
from cgeval.metrics import (
    ClassIntervals,
    Interval,
    SegmentationScores,
    bootstrap_classes,
    bootstrap_scores,
    interval_name,
    segmentation_scores,
)
from cgeval.protocols.colours import classify_colours, palette
from cgeval.protocols.measuring import Measured
from cgeval.protocols.pictures_in import Item
from cgeval.protocols.planning import SHUFFLED, SHUFFLED_LABELS, Job, Ruler
from cgeval.protocols.traps import Colours, Evidence, Number, Standing, Trap, find_traps
from cgeval.truth import is_colour_coded

LOOKED_AT = 5  # label maps whose kind is looked at: a dataset's are all of one kind
SAMPLED, SAMPLED_SIDE = 8, 64  # images whose colours are looked at, and about how many pixels of each side
Measure = Callable[[str, tuple[Item, ...]], Measured]


@dataclass(frozen=True)
class Sampling:
    """How numbers are made of matrices. convention: what an absent class counts; resamples, seed: of the bootstrap."""

    convention: str = "cityscapes"
    resamples: int = 2000
    seed: int = 0

    @property
    def interval(self) -> str:
        """Name of the intervals, as records have it."""
        return interval_name(self.resamples)


@dataclass(frozen=True)
class Line:
    """One row of a score's table: of what, over which images, its numbers and their intervals by metric."""

    name: str
    measured: Measured
    scores: SegmentationScores
    intervals: Mapping[str, Interval | None]
    by_class: ClassIntervals

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 [K + 1, K + 1] over all images."""
        total: NDArray[np.int64] = self.measured.matrices.sum(axis=0)
        return total

    def value(self, metric: str) -> float:
        """Of one of `cgeval.metrics.METRICS`, a fraction."""
        return float(getattr(self.scores, metric))


@dataclass(frozen=True)
class Score:
    """What was measured of one image set. other: the numbers of the run under the other convention, by its name."""

    job: Job
    sampling: Sampling
    line: Line
    beside: tuple[Line, ...]
    other: tuple[str, SegmentationScores]
    traps: tuple[Trap, ...]

    @property
    def ceiling(self) -> Line | None:
        """The row of real photos, or of true labels; None where the dataset has none."""
        return next((line for line in self.beside if line.name == self.job.ceiling), None)


def score(job: Job, measure: Measure, sampling: Sampling) -> Score:
    """Measure the job's images and what stands beside them; raises what `measure` raises."""
    line = line_of(job.run.info.method, measure("images", job.items), sampling)
    beside = [line_of(name, measure(name, items), sampling) for name, items in job.beside.items()]
    other = "reference" if sampling.convention == "cityscapes" else "cityscapes"
    traps = tuple(find_traps(_evidence(job, line, beside)))
    return Score(job, sampling, line, tuple(beside), (other, segmentation_scores(line.counts, other)), traps)


def line_of(name: str, measured: Measured, sampling: Sampling) -> Line:
    """The numbers of one row, with their intervals."""
    convention, resamples, seed = sampling.convention, sampling.resamples, sampling.seed
    scores = segmentation_scores(measured.matrices.sum(axis=0), convention)
    intervals = bootstrap_scores(measured.matrices, convention, resamples=resamples, seed=seed)
    by_class = bootstrap_classes(measured.matrices, convention, resamples=resamples, seed=seed)
    return Line(name, measured, scores, intervals, by_class)


def _evidence(job: Job, line: Line, beside: Sequence[Line]) -> Evidence:
    measured, scorer = line.measured, job.way.scorer.info if isinstance(job.way, Ruler) else None
    formats = job.image_set.extra.get("source_formats", {})
    ceiling = _over_the_same(line, beside, job.ceiling)
    shuffled = _over_the_same(line, beside, SHUFFLED, SHUFFLED_LABELS)
    return Evidence(
        direction=job.direction,
        protocol=job.way.protocol if isinstance(job.way, Ruler) else "",
        labels=job.labelled.labels,
        dataset=job.labelled.name,
        image_sizes={job.size_px},
        truth_sizes=measured.truth_sizes,
        counts=line.counts,
        scorer_kind=scorer.kind if scorer else None,
        scorer_size_px=scorer.size_px if scorer else None,
        scorer_dataset=str(scorer.trained_on.get("name", "")) if scorer else None,
        source_formats=formats if isinstance(formats, Mapping) else {},
        truth_is_colour_coded=any(is_colour_coded(item.truth) for item in job.items[:LOOKED_AT]),
        predicted=measured.thumbnails,
        truth=measured.truth_thumbnails,
        own=_standing(line),
        ceiling=_standing(ceiling) if ceiling else None,
        shuffled=_standing(shuffled) if shuffled else None,
        as_the_ceiling=_as_the_ceiling(line, ceiling) if ceiling else None,
        colours=_colours(job.items, job.labelled.labels),
        missing=_missing(job.image_set.extra),
    )


def _over_the_same(line: Line, beside: Sequence[Line], *names: str) -> Line | None:
    """The row of one of the names, if it is over the images of the line: else its numbers say little of these."""
    found = (each for each in beside if each.name in names and each.measured.ids == line.measured.ids)
    return next(found, None)


def _standing(line: Line) -> Standing:
    return Standing(_number(line, "pixel_accuracy"), _number(line, "class_iou"))


def _number(line: Line, metric: str) -> Number:
    interval = line.intervals[metric]
    return Number(line.value(metric), interval.low if interval else None, interval.high if interval else None)


def _as_the_ceiling(line: Line, ceiling: Line) -> tuple[int, int]:
    """How many images have the ceiling's matrix; a single class seen in both may be an accident."""
    ours, theirs = line.measured.matrices, ceiling.measured.matrices
    various = ours.any(axis=1).sum(axis=1) > 1
    same = (ours == theirs).all(axis=(1, 2)) & various
    return int(same.sum()), len(same)


def _colours(items: Sequence[Item], labels: LabelSet) -> Colours | None:
    """Of a few of the images and of their pixels; None for a palette of more colours than are told apart."""
    try:
        known, _ = palette(labels, "all")
    except ConfigError:
        return None
    chosen = sorted({i * len(items) // SAMPLED for i in range(SAMPLED)})
    pixels = np.concatenate([_stepped(items[i].picture.pixels()) for i in chosen])
    nearest = classify_colours(pixels[None], known)[0]
    distances = np.linalg.norm(pixels.astype(np.float64) - known[nearest], axis=1)
    exact = distances == 0
    return Colours(float(np.median(distances)), float(exact.mean()), len(np.unique(nearest[exact])))


def _stepped(picture: Picture) -> Picture:
    """uint8 [n, 3]: every few pixels, as they are."""
    down, across = (max(1, side // SAMPLED_SIDE) for side in picture.shape[:2])
    return picture[::down, ::across].reshape(-1, 3)


def _missing(extra: Mapping[str, Any]) -> tuple[int, int] | None:
    """What `cgeval adopt --partial` left out, and the images of the split."""
    missing, split = extra.get("missing_count"), extra.get("split_count")
    return (missing, split) if isinstance(missing, int) and isinstance(split, int) else None
