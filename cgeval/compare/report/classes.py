"""The records of a comparison go in; bars of every class come out, method by method, with the ceiling.

What a method's class scored stands in its records (`by_class`). The ceiling's is counted again from the matrices that
the main run's record quotes; where these are gone, there are bars without it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cgeval.compare.comparison import Comparison, Kind, Measure, Number, Row, Table
from cgeval.compare.renderers.wording import metric_words, one_line
from cgeval.compare.report.charts import Tick
from cgeval.errors import ConfigError, RecordError
from cgeval.labels import Colour, label_set
from cgeval.matrices import read_matrices
from cgeval.metrics import CONVENTIONS, segmentation_scores
from cgeval.records import Record

METRICS = {"class_iou": "ious", "class_accuracy": "accuracies"}
SHORT = {"class_iou": "IoU", "class_accuracy": "accuracy"}
CEILINGS = ("real photos", "true labels")
ACROSS = 6  # methods side by side
TICKS = (Tick(0, "0", 0), Tick(50, "0.5", 0.5), Tick(100, "1", 1))

ByClass = Mapping[str, float]


@dataclass(frozen=True)
class Bar:
    """A class of one method, in percent of the axis. value: digits; text: all of it in words; None: no value."""

    at: float | None
    low: float | None
    high: float | None
    ceiling: float | None
    value: str
    text: str
    exact: float | None = None


@dataclass(frozen=True)
class ClassLine:
    """One metric of one class: a bar for each method."""

    metric: str
    word: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class ClassRow:
    """A class. colour: the label set's, None where the set is not known; share: of the truth's pixels."""

    name: str
    colour: Colour | None
    share: str
    lines: tuple[ClassLine, ...]


@dataclass(frozen=True)
class ClassPlot:
    """All classes of some methods of one group. heads: labels and kinds of the methods."""

    title: str
    heads: tuple[tuple[str, Kind], ...]
    rows: tuple[ClassRow, ...]
    ticks: tuple[Tick, ...]
    has_ceiling: bool
    n: int


@dataclass(frozen=True)
class _Ceiling:
    """By metric and class; shares: of the truth's pixels, by class."""

    values: Mapping[str, ByClass]
    shares: Mapping[str, float]


def class_plots(comparison: Comparison) -> list[ClassPlot]:
    """The classes of each group of the first table whose records have any, at most six methods side by side.

    Where there are more, the main one stands in every part, so that each is read beside it.
    """
    if not comparison.tables:
        return []
    table = comparison.tables[0]
    return [plot for place in range(len(table.groups)) for plot in _of_group(comparison, table, place)]


def _of_group(comparison: Comparison, table: Table, place: int) -> list[ClassPlot]:
    rows = [row for row in table.rows if _classes(row, place)]
    if not rows:
        return []
    main = next((row for row in rows if row.kind == "main"), rows[0])
    ceiling = _ceiling(comparison, main, place)
    names = _classes(main, place)
    return [_plot(table.groups[place], place, part, names, ceiling) for part in _parts(rows, main)]


def _parts(rows: Sequence[Row], main: Row) -> list[Sequence[Row]]:
    """As few as there can be, about as long as each other, the main row first in each."""
    others = [row for row in rows if row is not main]
    if len(rows) <= ACROSS:
        return [rows]
    size = math.ceil(len(others) / math.ceil(len(others) / (ACROSS - 1)))
    return [[main, *others[i : i + size]] for i in range(0, len(others), size)]


def _plot(group: Measure, place: int, rows: Sequence[Row], names: Sequence[str], ceiling: _Ceiling | None) -> ClassPlot:
    colours = _colours(group)
    metrics = [metric for metric in METRICS if metric in group.metrics]
    drawn = tuple(
        ClassRow(
            name,
            colours.get(name),
            _share(ceiling, name),
            tuple(
                ClassLine(metric, SHORT[metric], tuple(_bar(row, (place, metric), name, ceiling) for row in rows))
                for metric in metrics
            ),
        )
        for name in names
    )
    heads = tuple((one_line(row.label), row.kind) for row in rows)
    return ClassPlot(one_line(group.title), heads, drawn, TICKS, ceiling is not None, group.n)


def _classes(row: Row, place: int) -> list[str]:
    """Names of the classes that the row's records tell, in their order."""
    for metric in METRICS:
        found = _by_class(row.numbers.get((place, metric)))
        if found:
            return list(found)
    return []


def _by_class(number: Number | None) -> Mapping[str, Any]:
    record = number.record if number else None
    found = record.extra.get("by_class") if record else None
    return found if isinstance(found, Mapping) else {}


def _bar(row: Row, key: tuple[int, str], name: str, ceiling: _Ceiling | None) -> Bar:
    found = _by_class(row.numbers.get(key)).get(name) or {}
    value, ends = found.get("value"), (found.get("low"), found.get("high"))
    best = ceiling.values[key[1]].get(name) if ceiling else None
    line = None if best is None else 100 * best
    about = f"{one_line(row.label)}, {name}, {metric_words(key[1])}"
    if value is None:
        return Bar(None, None, None, line, "", f"{about}: no value")
    low, high = (None if end is None else 100 * end for end in ends)
    interval = "" if None in ends else f" [{ends[0]:.3f}, {ends[1]:.3f}]"
    above = f"; the ceiling {best:.3f}" if best is not None else ""
    text = f"{about}: {value:.3f}{interval}{above}"
    return Bar(100 * value, low, high, line, f"{value:.2f}", text, value)


def _ceiling(comparison: Comparison, main: Row, place: int) -> _Ceiling | None:
    """From the matrices of the record behind the row; None where they are gone, or have no ceiling."""
    records = [number.record for key, number in main.numbers.items() if key[0] == place and number.record]
    subject = next((each for each in comparison.subjects if each.label == main.label), None)
    record = next((each for each in records if _by_class_of(each)), None)
    if record is None or subject is None:
        return None
    way = comparison.tables[0].groups[place].direction
    try:
        found = read_matrices((subject.run_of(way) if way else subject.run).path, record)
    except RecordError:  # a run may be copied without them; the bars need only the records
        return None
    matrices = next((found[name] for name in CEILINGS if name in found), None)
    convention = record.convention.get("absent class")
    if matrices is None or convention not in CONVENTIONS:
        return None
    return _counted(matrices.matrices.sum(axis=0), list(_by_class_of(record)), str(convention))


def _by_class_of(record: Record) -> Mapping[str, Any]:
    found = record.extra.get("by_class")
    return found if isinstance(found, Mapping) else {}


def _counted(counts: "np.ndarray[Any, np.dtype[np.int64]]", names: Sequence[str], convention: str) -> _Ceiling | None:
    if len(counts) != len(names) + 1:
        return None
    scores = segmentation_scores(counts, convention)
    values = {
        metric: {
            name: float(value)
            for name, value in zip(names, getattr(scores, field), strict=True)
            if not math.isnan(value)
        }
        for metric, field in METRICS.items()
    }
    pixels = counts[:-1].sum(axis=1)
    return _Ceiling(values, dict(zip(names, (pixels / pixels.sum()).tolist(), strict=True)))


def _share(ceiling: _Ceiling | None, name: str) -> str:
    if ceiling is None:
        return ""
    percent = 100 * ceiling.shares[name]
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def _colours(group: Measure) -> dict[str, Colour]:
    """Of the label set's classes; none where the set was a file that is not known here."""
    try:
        return {label.name: label.colour for label in label_set(str(group.convention.get("label set"))).classes}
    except ConfigError:
        return {}
