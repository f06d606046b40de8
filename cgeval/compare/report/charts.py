"""Numbers go in; places on a drawing come out, in percent of its width or in a box of 1000 by 1000.

The templates draw them: what is placed in percent needs no script to fit any width, and its letters keep their size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cgeval.compare.comparison import Kind, Row, Table
from cgeval.compare.renderers.sheets import COMPETING
from cgeval.compare.renderers.wording import PERCENT, Column, columns, number_words, one_line

EDGE = 3.0  # percent that stay free on either side, so that a mark at the end of the axis is whole
MOST_STEPS = 5
BOX = 1000  # side of the box in which curves are drawn
LOG_FROM = 15.0  # largest by smallest, from which on a logarithmic axis helps
FROM_ZERO = 0.5  # an axis begins at 0 unless its smallest value is above this part of its largest
FEWEST = 2  # methods, from which on there is something to see
SHOWN = ("ceiling", "main", "method", "ablation", "sanity")


@dataclass(frozen=True)
class Tick:
    """at: percent of the axis, from the low end; text: what stands there."""

    at: float
    text: str
    value: float


@dataclass(frozen=True)
class Axis:
    """From low to high; scale: a value is multiplied by it before it is placed (100 for percent)."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    is_log: bool = False
    scale: float = 1.0

    def at(self, value: float) -> float:
        """Percent of the axis, the edges left free."""
        return EDGE + (100 - 2 * EDGE) * self.share(value)

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high one; values beyond an end are at it."""
        low, high, here = self.low, self.high, value * self.scale
        if self.is_log:
            low, high, here = math.log(low), math.log(high), math.log(max(here, low))
        return min(1.0, max(0.0, (here - low) / (high - low)))


@dataclass(frozen=True)
class Dot:
    """A value with its interval, in percent of the axis. text: the same in words."""

    at: float
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class DotColumn:
    """A metric's panel. ceiling, main: where their lines are drawn, None without one."""

    head: str
    axis: Axis
    ceiling: float | None
    main: float | None


@dataclass(frozen=True)
class DotRow:
    """A row of the table, drawn: a dot in each column, None where it has no number."""

    label: str
    kind: Kind
    dots: tuple[Dot | None, ...]


@dataclass(frozen=True)
class DotPlot:
    """Every number of some groups with its interval, one panel for each metric."""

    columns: tuple[DotColumn, ...]
    rows: tuple[DotRow, ...]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of rows that occur, in the order of a key."""
        present = {row.kind for row in self.rows}
        kinds: tuple[Kind, ...] = ("ceiling", "main", "method", "ablation", "sanity")
        return tuple(kind for kind in kinds if kind in present)


def linear_axis(values: Sequence[float], *, scale: float = 1.0, most: int = MOST_STEPS) -> Axis:
    """An axis with round ends that holds the values, from 0 where that is not far."""
    low, high = min(values) * scale, max(values) * scale
    if low >= 0 and low < FROM_ZERO * high:
        low = 0.0
    if high <= low:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
    step = _round_step((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    axis = Axis(first * step, last * step, scale=scale)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    marks = (i * step for i in range(first, last + 1))
    ticks = tuple(Tick(axis.at(mark / scale), f"{mark + 0.0:,.{places}f}", mark / scale) for mark in marks)
    return Axis(axis.low, axis.high, ticks, scale=scale)


def fitting_axis(values: Sequence[float]) -> Axis:
    """A logarithmic axis where all values are positive and far apart, else a linear one."""
    low, high = min(values), max(values)
    if low <= 0 or high / low < LOG_FROM:
        return linear_axis(values, most=4)
    axis = Axis(low, high, is_log=True)
    decades = math.log10(high / low)
    steps = (1,) if decades > 2.5 else (1, 3) if decades > 1.2 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
    return Axis(low, high, tuple(Tick(axis.at(mark), f"{mark:g}", mark) for mark in marks), is_log=True)


def dot_plot(table: Table, places: Sequence[int]) -> DotPlot | None:
    """The numbers of these groups as dots, a panel for each metric that two methods have; None where there is none."""
    shown = [column for place in places for column in columns(table, place) if _methods(table, column) >= FEWEST]
    if not shown:
        return None
    rows = [row for row in table.rows if row.kind in SHOWN and any(column.key in row.numbers for column in shown)]
    panels = [_panel(table, column, several=len(places) > 1) for column in shown]
    return DotPlot(
        tuple(panels),
        tuple(
            DotRow(
                one_line(row.label),
                row.kind,
                tuple(_dot(row, column, panel.axis) for column, panel in zip(shown, panels, strict=True)),
            )
            for row in rows
        ),
    )


def curve(points: Iterable[tuple[float, float]], across: Axis, up: Axis) -> str:
    """The path of a curve in the box, whose origin is at the top left."""
    return "M" + " ".join(f"{BOX * across.share(x):.0f} {BOX * (1 - up.share(y)):.0f}" for x, y in points)


def _methods(table: Table, column: Column) -> int:
    """How many have a number there."""
    return sum(row.kind in COMPETING and column.key in row.numbers for row in table.rows)


def _panel(table: Table, column: Column, *, several: bool) -> DotColumn:
    axis = linear_axis(_values(table, column), scale=100.0 if column.metric in PERCENT else 1.0)
    group = one_line(table.groups[column.place].title)
    return DotColumn(
        f"{column.head}: {group}" if several else column.head,
        axis,
        _line(table, column, "ceiling", axis),
        _line(table, column, "main", axis),
    )


def _line(table: Table, column: Column, kind: Kind, axis: Axis) -> float | None:
    found = [row.numbers[column.key].value for row in table.rows if row.kind == kind and column.key in row.numbers]
    return axis.at(found[0]) if found else None


def _values(table: Table, column: Column) -> list[float]:
    cells = [row.numbers[column.key] for row in table.rows if row.kind in SHOWN and column.key in row.numbers]
    return [value for cell in cells for value in (cell.value, cell.low, cell.high) if value is not None]


def _dot(row: Row, column: Column, axis: Axis) -> Dot | None:
    cell = row.numbers.get(column.key)
    if cell is None:
        return None
    words = number_words(cell, column)
    low, high = (None if end is None else axis.at(end) for end in (cell.low, cell.high))
    text = f"{one_line(row.label)}, {column.head}: {words.value} {words.interval}".rstrip()
    return Dot(axis.at(cell.value), low, high, text)


def _round_step(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= step * (1 - 1e-9))
