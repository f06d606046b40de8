"""A table of the comparison goes in; the parts of the page that show it come out: one for each block of groups.

The digits are those of every other rendering (`cgeval.compare.renderers`); beside each stands the exact value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cgeval.compare.comparison import Comparison, Kind, Row, Table
from cgeval.compare.renderers.facts import Fact, facts, group_names
from cgeval.compare.renderers.sheets import Sheet, number_sheets, shared_n
from cgeval.compare.renderers.wording import (
    NOTES,
    UNSURE,
    Column,
    columns,
    difference_words,
    group_words,
    metric_words,
    number_words,
    one_line,
    p_words,
)
from cgeval.compare.report.charts import DotPlot, dot_plot


@dataclass(frozen=True)
class NumberCell:
    """A number as it is shown. exact: the value behind the digits; None for an n."""

    digits: str
    interval: str = ""
    exact: float | None = None
    best: bool = False
    unsure: bool = False


@dataclass(frozen=True)
class DifferenceCell:
    """A difference with its interval, p and Holm's p, as they are shown; told: whether it is told from 0."""

    digits: str
    interval: str
    exact: float
    p_value: str
    holm: str
    told: bool


@dataclass(frozen=True)
class NumberRow:
    """note: what the row is, where that is no method; opens: it is the first of a section."""

    label: str
    kind: Kind
    note: str
    opens: bool
    cells: tuple[NumberCell | None, ...]


@dataclass(frozen=True)
class DifferenceRow:
    """A method's differences to the main one; None where there is none."""

    label: str
    cells: tuple[DifferenceCell | None, ...]


@dataclass(frozen=True)
class Head:
    """Of a column. group: what it belongs to, where the block has several groups."""

    text: str
    group: str = ""


@dataclass(frozen=True)
class Part:
    """A block of a table. title: of its only group, or its metrics; size: n and pixels, where all share them.

    plot: the same numbers drawn; without: labels that have no number here; facts: how each group was measured, under
    its name where there are several.
    """

    title: str
    size: str
    heads: tuple[Head, ...]
    rows: tuple[NumberRow, ...]
    difference_heads: tuple[Head, ...]
    differences: tuple[DifferenceRow, ...]
    plot: DotPlot | None
    facts: tuple[tuple[str, tuple[Fact, ...]], ...]
    without: tuple[str, ...]

    @property
    def has_best(self) -> bool:
        """Whether a number of it is marked."""
        return any(cell.best for row in self.rows for cell in row.cells if cell)


@dataclass(frozen=True)
class Section:
    """A table of the comparison, block by block. main: what its differences are to; is_printed: copied from papers."""

    title: str
    parts: tuple[Part, ...]
    footnotes: tuple[str, ...]
    main: str
    is_printed: bool


def section(comparison: Comparison, table: Table, *, drawn: bool) -> Section:
    """The table's parts; drawn: with their numbers as dots, too."""
    sheets = number_sheets(table, shared=True)
    unsure = (f"?: {UNSURE}.",) if any(sheet.has_unsure for sheet in sheets) else ()
    return Section(
        title=one_line(table.title),
        parts=tuple(_part(sheet, drawn=drawn) for sheet in sheets),
        footnotes=(*unsure, *map(one_line, table.footnotes)),
        main=one_line(comparison.main),
        is_printed=bool(table.rows) and all(row.kind == "published" for row in table.rows),
    )


def _part(sheet: Sheet, *, drawn: bool) -> Part:
    table, places = sheet.table, sheet.places
    compared = [
        column
        for place in places
        for column in columns(table, place)
        if any(column.key in row.differences for row in table.rows)
    ]
    title, size = _title(sheet)
    return Part(
        title=title,
        size=size,
        heads=tuple(_heads(sheet)),
        rows=tuple(_rows(sheet)),
        difference_heads=tuple(Head(column.head, _group(sheet, column.place)) for column in compared),
        differences=tuple(_differences(sheet, compared)),
        plot=dot_plot(table, places) if drawn else None,
        facts=tuple(_facts(table, places)),
        without=tuple(sheet.without),
    )


def _facts(table: Table, places: Sequence[int]) -> list[tuple[str, tuple[Fact, ...]]]:
    names = group_names(table.groups)
    return [(names[place] if len(places) > 1 else "", tuple(facts(table, [place]))) for place in places]


def _title(sheet: Sheet) -> tuple[str, str]:
    """Its group, and over what; of several groups, their metrics."""
    if len(sheet.places) > 1:
        metrics = (metric for place in sheet.places for metric in sheet.table.groups[place].metrics)
        return " and ".join(dict.fromkeys(map(metric_words, metrics))), ""
    place = sheet.places[0]
    title, *more = group_words(sheet.table.groups[place], shared_n(sheet.table, place))
    return title, ", ".join(more)


def _heads(sheet: Sheet) -> list[Head]:
    return [Head(column.head, _group(sheet, column.place)) for column in sheet.columns]


def _group(sheet: Sheet, place: int) -> str:
    """What stands over a column; nothing where the block is of one group, which its title says."""
    words = group_words(sheet.table.groups[place], shared_n(sheet.table, place))
    return ", ".join(words) if len(sheet.places) > 1 else ""


def _rows(sheet: Sheet) -> list[NumberRow]:
    opening = {part[0] for part in sheet.sections[1:]}
    return [
        NumberRow(one_line(row.label), row.kind, _note(row), i in opening, tuple(_cells(sheet, i, row)))
        for i, row in enumerate(sheet.rows)
    ]


def _note(row: Row) -> str:
    return one_line(row.note or NOTES.get(row.kind, ""))


def _cells(sheet: Sheet, i: int, row: Row) -> list[NumberCell | None]:
    """In the order of the sheet's columns: an n as it stands there, numbers with their exact values."""
    metrics = iter([column for place in sheet.places for column in columns(sheet.table, place)])
    cells: list[NumberCell | None] = []
    for column in sheet.columns:
        count = column.cells[i] if column.is_count else None
        cells.append(NumberCell(count) if isinstance(count, str) else _number(row, next(metrics)))
    return cells


def _number(row: Row, column: Column) -> NumberCell | None:
    number = row.numbers.get(column.key)
    if number is None:
        return None
    words = number_words(number, column)
    return NumberCell(words.value, words.interval, number.value, words.best, words.unsure)


def _differences(sheet: Sheet, compared: Sequence[Column]) -> list[DifferenceRow]:
    rows = [row for row in sheet.table.rows if any(column.key in row.differences for column in compared)]
    return [DifferenceRow(one_line(row.label), tuple(_difference(row, column) for column in compared)) for row in rows]


def _difference(row: Row, column: Column) -> DifferenceCell | None:
    found = row.differences.get(column.key)
    if found is None:
        return None
    words = difference_words(found, column)
    told = found.low is not None and found.high is not None and (found.low > 0 or found.high < 0)
    return DifferenceCell(words.value, words.interval, found.value, p_words(found.p_value), p_words(found.holm), told)
