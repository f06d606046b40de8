"""What a comparison is: tables of rows and groups of columns. Only values; others make them, and others show them.

Numbers stand in one group only if they were measured alike: same protocol, same choices, same images of the same size.
What was measured otherwise stands in a table of its own, and its heading says what differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cgeval.metrics import Coefficient
from cgeval.records import Record
from cgeval.runs import ImageSet, Run

Kind = Literal["ceiling", "main", "method", "ablation", "sanity", "published", "agreement"]
Direction = Literal["AtoB", "BtoA"]


@dataclass(frozen=True)
class Subject:
    """What is compared: the images of one run, and of a run with several variants (styles, ...) those of one.

    label: as tables call it, unique in a comparison; sets: the sealed image set of each direction there is.
    elsewhere: of a method that knows one direction only, the second run, by the direction that it has.
    """

    run: Run
    label: str
    kind: Literal["main", "method", "ablation"]
    sets: Mapping[Direction, ImageSet]
    elsewhere: Mapping[Direction, Run] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, ...]:
        """One, or two where each has one direction."""
        return (self.run, *self.elsewhere.values())

    def run_of(self, direction: Direction) -> Run:
        """The one that holds the images of the direction."""
        return self.elsewhere.get(direction, self.run)

    def by_run(self) -> "tuple[Subject, ...]":
        """As many subjects of the same label as there are runs, each with the directions of its own."""
        return tuple(replace(self, run=run, sets=self._sets_of(run), elsewhere={}) for run in self.runs)

    def _sets_of(self, run: Run) -> dict[Direction, ImageSet]:
        return {way: image_set for way, image_set in self.sets.items() if self.run_of(way) is run}


@dataclass(frozen=True)
class Measure:
    """What numbers must have in common to stand in one group of columns.

    title: in words, such as "labels -> photo"; metrics: names as records have them, in the order of columns;
    n: images that each number is over, of people's answers the images shown, as each Number has its own n there;
    convention: every named choice; size_px: width and height of the images that were judged, None where there is no
    such; facts: what a reader wants to know of it, heading by heading ("protocol", "scorer", "intervals", ...).
    """

    title: str
    protocol: str
    direction: Direction | None
    metrics: tuple[str, ...]
    n: int
    convention: Mapping[str, Any]
    size_px: tuple[int, int] | None
    higher_is_better: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Number:
    """One cell. value, low, high: in the record's unit, a fraction where the metric is one; n: 0 where it is not known.

    best: it is the best of its column, or not told from the best (see `compare.best`); record: where it is from, None
    for what stood beside another record and for what is printed elsewhere; unsure: printed, and read in one place only.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    best: bool = False
    record: Record | None = None
    unsure: bool = False


@dataclass(frozen=True)
class Difference:
    """A row minus the main one, over the same images; p_value: two-sided, holm: adjusted for all of the table."""

    value: float
    low: float | None
    high: float | None
    p_value: float | None
    holm: float | None


@dataclass(frozen=True)
class Row:
    """One row. numbers, differences: by (place of the group in the table, metric); note: a word beside the label."""

    label: str
    kind: Kind
    numbers: Mapping[tuple[int, str], Number]
    differences: Mapping[tuple[int, str], Difference] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Table:
    """title: what is in it, and for further tables what differs from the first; footnotes: one sentence each."""

    title: str
    groups: tuple[Measure, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """A method or an image. value: of the automatic number; rate: people's, a fraction; judgements: behind the rate.

    value_ends, rate_ends: of the intervals, None where there is none.
    """

    label: str
    value: float
    rate: float
    judgements: int
    value_ends: tuple[float, float] | None = None
    rate_ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Agreement:
    """How far an automatic number puts methods, or the images of one method, into people's order.

    study: the measure of the fooling rate; over: "methods", or the label of the method whose images are the points;
    name: of the number, as rows call it. rho, tau: above 0 where what the number calls better fools more; None where
    why says why not. p_value: of rho, over methods only.
    """

    study: Measure
    over: str
    metric: str
    name: str
    higher_is_better: bool
    points: tuple[Point, ...]
    rho: Coefficient | None = None
    tau: Coefficient | None = None
    p_value: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """Everything that is known about the runs of one dataset.

    dataset: the `dataset` of the main run's run.json; main: label of the row that the others are compared with;
    tables: the first is the comparison, others hold what was measured otherwise, how automatic numbers agree with
    people, and what is printed elsewhere; agreements: what stands in the tables of that, point by point;
    notes: sentences for the reader, such as what is missing and by which command it comes.
    """

    dataset: Mapping[str, Any]
    split: str
    main: str
    subjects: tuple[Subject, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    dataset_path: Path | None = None
    agreements: tuple[Agreement, ...] = ()

    @property
    def name(self) -> str:
        """Of the dataset."""
        return str(self.dataset.get("name", "?"))
