"""A job goes in; its score comes out: numbers with intervals for the run and for what stands beside it, and traps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cgeval.metrics import (
    ClassIntervals,
    Interval,
    SegmentationScores,
    bootstrap_classes,
    bootstrap_scores,
    interval_name,
    segmentation_scores,
)
from cgeval.protocols.measuring import Measured
from cgeval.protocols.pictures_in import Item
from cgeval.protocols.planning import Job, Ruler
from cgeval.protocols.traps import Evidence, Trap, find_traps
from cgeval.truth import is_colour_coded

LOOKED_AT = 5  # label maps whose kind is looked at: a dataset's are all of one kind
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
    traps = tuple(find_traps(_evidence(job, line)))
    return Score(job, sampling, line, tuple(beside), (other, segmentation_scores(line.counts, other)), traps)


def line_of(name: str, measured: Measured, sampling: Sampling) -> Line:
    """The numbers of one row, with their intervals."""
    convention, resamples, seed = sampling.convention, sampling.resamples, sampling.seed
    scores = segmentation_scores(measured.matrices.sum(axis=0), convention)
    intervals = bootstrap_scores(measured.matrices, convention, resamples=resamples, seed=seed)
    by_class = bootstrap_classes(measured.matrices, convention, resamples=resamples, seed=seed)
    return Line(name, measured, scores, intervals, by_class)


def _evidence(job: Job, line: Line) -> Evidence:
    measured, scorer = line.measured, job.way.scorer.info if isinstance(job.way, Ruler) else None
    formats = job.image_set.extra.get("source_formats", {})
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
        source_formats=formats if isinstance(formats, Mapping) else {},
        truth_is_colour_coded=any(is_colour_coded(item.truth) for item in job.items[:LOOKED_AT]),
        predicted=measured.thumbnails,
        truth=measured.truth_thumbnails,
    )
