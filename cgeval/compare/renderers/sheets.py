"""A table and some of its groups go in; sheets come out: rows and columns of words, for any renderer to set.

Numbers are one sheet, differences to the main row another; rows without either are left out of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from cgeval.compare.comparison import Row, Table
from cgeval.compare.renderers.wording import (
    Column,
    DifferenceWords,
    NumberWords,
    columns,
    counted,
    difference_words,
    group_words,
    label_words,
    number_words,
)

SECTIONS = {"ceiling": 0, "main": 1, "method": 1, "ablation": 2, "sanity": 3, "published": 4, "agreement": 5}
COMPETING = ("main", "method", "ablation")

Words = NumberWords | DifferenceWords | str | None  # text: an n; None: there is no number


@dataclass(frozen=True)
class SheetColumn:
    """place: of its group in the table; cells: one for each row of the sheet."""

    place: int
    head: str
    cells: tuple[Words, ...]

    @property
    def is_count(self) -> bool:
        """Whether it says what the numbers beside it are over."""
        return any(isinstance(words, str) for words in self.cells)


@dataclass(frozen=True)
class Sheet:
    """rows: those that have something in it; columns: in the order of the groups."""

    table: Table
    rows: tuple[Row, ...]
    columns: tuple[SheetColumn, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the rows."""
        return tuple(label_words(row) for row in self.rows)

    @property
    def places(self) -> tuple[int, ...]:
        """Of its groups in the table."""
        return tuple(dict.fromkeys(column.place for column in self.columns))

    @property
    def groups(self) -> tuple[tuple[tuple[str, ...], tuple[SheetColumn, ...]], ...]:
        """What stands over each group, in parts, and its columns."""
        return tuple(
            (
                group_words(self.table.groups[place], shared_n(self.table, place)),
                tuple(column for column in self.columns if column.place == place),
            )
            for place in self.places
        )

    @property
    def sections(self) -> tuple[tuple[int, ...], ...]:
        """The rows, by number, in parts that are set apart: real images, methods, ablations, what should be bad."""
        parts = groupby(range(len(self.rows)), key=lambda i: SECTIONS[self.rows[i].kind])
        return tuple(tuple(part) for _, part in parts)

    @property
    def has_unsure(self) -> bool:
        """Whether a number of it is marked as unsure."""
        return any(isinstance(words, NumberWords) and words.unsure for each in self.columns for words in each.cells)

    @property
    def without(self) -> tuple[str, ...]:
        """Labels of what competes in the table and is not in the sheet."""
        there = {id(row) for row in self.rows}
        return tuple(label_words(row) for row in self.table.rows if row.kind in COMPETING and id(row) not in there)


def number_sheets(table: Table, *, shared: bool = False) -> list[Sheet]:
    """One for each group that has numbers; shared: groups of one column share it with neighbours of one column."""
    narrow = [shared and len(group.metrics) == 1 for group in table.groups]
    parts = groupby(range(len(narrow)), key=lambda place: -1 if narrow[place] else place)
    sheets = (number_sheet(table, tuple(places)) for _, places in parts)
    return [sheet for sheet in sheets if sheet.rows]


def number_sheet(table: Table, places: Sequence[int]) -> Sheet:
    """The numbers of those of these groups that have any; a column for n where not all of a group have the same."""
    rows = tuple(row for row in table.rows if any(key[0] in places for key in row.numbers))
    found = []
    for place in places:
        counts = _counts(table, place)
        if len(counts) > 1:
            found.append(
                SheetColumn(place, counted(table.groups[place]) or "n", tuple(_n_words(row, place) for row in rows))
            )
        if counts:
            found += [SheetColumn(place, column.head, _numbers(rows, column)) for column in columns(table, place)]
    return Sheet(table, rows, tuple(found))


def difference_sheet(sheet: Sheet) -> Sheet | None:
    """The differences to the main row in the groups of a sheet of numbers; None where there are none."""
    table, places = sheet.table, sheet.places
    rows = tuple(row for row in table.rows if any(key[0] in places for key in row.differences))
    found = tuple(
        SheetColumn(place, column.head, _differences(rows, column))
        for place in places
        for column in columns(table, place)
        if any(column.key in row.differences for row in rows)
    )
    return Sheet(table, rows, found) if found else None


def shared_n(table: Table, place: int) -> int | None:
    """n where it is the same in every cell of the group, and known."""
    counts = _counts(table, place)
    return counts.pop() if len(counts) == 1 and min(counts) > 0 else None


def _counts(table: Table, place: int) -> set[int]:
    return {cell.n for row in table.rows for key, cell in row.numbers.items() if key[0] == place}


def _n_words(row: Row, place: int) -> str:
    """What the row's numbers in the group are over: several where they differ, "?" where nobody said."""
    found = dict.fromkeys(cell.n for key, cell in row.numbers.items() if key[0] == place)
    return "/".join(str(n) if n > 0 else "?" for n in found) or "-"


def _numbers(rows: Sequence[Row], column: Column) -> tuple[Words, ...]:
    cells = (row.numbers.get(column.key) for row in rows)
    return tuple(number_words(cell, column) if cell else None for cell in cells)


def _differences(rows: Sequence[Row], column: Column) -> tuple[Words, ...]:
    cells = (row.differences.get(column.key) for row in rows)
    return tuple(difference_words(cell, column) if cell else None for cell in cells)
