"""A comparison goes in; text for a terminal comes out, as wide as that is.

Groups stand side by side where they fit, else each has a table of its own. Intervals stand behind their numbers where
they fit, else below. Differences to the main row are tables under the numbers they are of.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cgeval.compare.comparison import Comparison, Table
from cgeval.compare.renderers.grid import Cell, Grid, GridColumn, GridGroup, text_width, wrapped
from cgeval.compare.renderers.parts import Parts, parts_of
from cgeval.compare.renderers.sheets import Sheet, SheetColumn, Words, number_sheet, number_sheets
from cgeval.compare.renderers.wording import (
    NO_NUMBERS,
    UNSURE,
    DifferenceWords,
    NumberWords,
    best_words,
    heading,
    one_line,
)

WIDEST = 140  # beyond, eyes lose the line
NARROWEST = 60  # below, lines are longer than the terminal
ELSE = 100  # where nobody knows the terminal's width
LABELS_AT_LEAST = 20
BEST, NOT_SURE = "*", "?"
P_VALUES = len("<0.001 (0.002)")
SHAPES = (0, 1, 2)  # of cells: all in one line, p-values below, everything below each other


@dataclass(frozen=True)
class Page:
    """Where text is set. width: in columns; bold: whether the best stands out by more than its sign."""

    width: int
    bold: bool

    def fits(self, grid: Grid) -> bool:
        """Whether the numbers fit beside labels that are wrapped, but still read well."""
        return grid.numbers_width + min(grid.label_width, LABELS_AT_LEAST) <= self.width

    def set(self, sheet: Sheet) -> list[str]:
        """The sheet in the widest shape that fits, or the narrowest."""
        grids = [_grid(sheet, shape) for shape in SHAPES]
        grid = next((grid for grid in grids if self.fits(grid)), grids[-1])
        labels = min(grid.label_width, max(LABELS_AT_LEAST, self.width - grid.numbers_width))
        return grid.lines(labels, bold=self.bold)

    def paragraph(self, text: str, head: str = "") -> list[str]:
        """The text after `head`, further lines set in as far."""
        lines = wrapped(one_line(text), self.width - len(head))
        return [(head if i == 0 else " " * len(head)) + line for i, line in enumerate(lines)]


def as_text(comparison: Comparison, width: int | None = None, *, bold: bool | None = None) -> str:
    """Every table with what is to be known of it; no line feed at the end.

    width: in columns, None for the terminal's, at most 140; bold: whether the best stands out by more than its sign,
    None for whether standard output is a terminal.
    """
    found = min(width or shutil.get_terminal_size((ELSE, 24)).columns, WIDEST)
    page = Page(max(NARROWEST, found), sys.stdout.isatty() if bold is None else bold)
    marked = best_words(comparison.tables)
    lines = page.paragraph(heading(comparison)) + (page.paragraph(marked, f"{BEST} ") if marked else [])
    for table in comparison.tables:
        lines += _table(comparison, table, page)
    if comparison.notes:
        lines += ["", *(line for note in comparison.notes for line in page.paragraph(note, "note: "))]
    return "\n".join(lines)


def _table(comparison: Comparison, table: Table, page: Page) -> list[str]:
    """The title underlined; numbers, then differences; what is to be known."""
    parts = parts_of(comparison, table, _sheets(table, page))
    title = parts.title
    lines = ["", *page.paragraph(title), "=" * min(page.width, text_width(title))] if title else []
    for sheet in parts.sheets:
        lines += ["", *page.set(sheet)]
        lines += page.paragraph("; ".join(sheet.without), "no numbers: ") if sheet.without else []
    lines += ["", *page.paragraph(parts.over_differences)] if parts.differences else []
    for sheet in parts.differences:
        lines += ["", *page.set(sheet)]
    return [*lines, "", *(_known(parts, page) if parts.sheets else [NO_NUMBERS])]


def _sheets(table: Table, page: Page) -> list[Sheet]:
    """All groups in one where their numbers fit beside each other."""
    together = number_sheet(table, range(len(table.groups)))
    fits = together.rows and page.fits(_grid(together, SHAPES[0]))
    return [together] if fits else number_sheets(table, shared=True)


def _grid(sheet: Sheet, shape: int) -> Grid:
    groups = (GridGroup(head, tuple(_column(column, shape) for column in columns)) for head, columns in sheet.groups)
    return Grid(sheet.labels, tuple(groups), frozenset(part[0] for part in sheet.sections))


def _column(column: SheetColumn, shape: int) -> GridColumn:
    """Digits below digits; where a number of the column has a sign behind it, the others have a blank."""
    numbers = [words for words in column.cells if isinstance(words, NumberWords)]
    widest = max((len(words.value) for words in numbers), default=0)
    blank = " " if any(words.best or words.unsure for words in numbers) else ""
    return GridColumn(
        column.head, tuple(_cell(words, shape, widest, blank) for words in column.cells), right=column.is_count
    )


def _cell(words: Words, shape: int, widest: int, blank: str) -> Cell:
    if isinstance(words, NumberWords):
        sign = BEST if words.best else NOT_SURE if words.unsure else blank
        value = words.value.rjust(widest)
        return _shaped([value + sign, words.interval], below=shape > 1, bold=len(value) if words.best else 0)
    if isinstance(words, DifferenceWords):
        p_values = words.p_values.rjust(P_VALUES) if words.p_values else ""
        if shape == 1:
            return Cell((f"{words.value} {words.interval}".rstrip(), p_values))
        return _shaped([words.value, words.interval, p_values], below=shape > 1)
    return Cell((words or "-",))


def _shaped(parts: Sequence[str], *, below: bool, bold: int = 0) -> Cell:
    there = tuple(part for part in parts if part)
    return Cell(there if below else (" ".join(there),), bold)


def _known(parts: Parts, page: Page) -> list[str]:
    """The facts in two columns, then what signs mean, and footnotes."""
    lines = list[str]()
    margin = max((len(fact.heading) for fact in parts.facts), default=0) + 2
    before = ""
    for fact in parts.facts:
        head = "" if fact.heading == before else fact.heading
        of = f"{'; '.join(fact.groups)}: " if fact.groups else ""
        lines += page.paragraph(of + fact.text, head.ljust(margin))
        before = fact.heading
    lines += page.paragraph(UNSURE, f"{NOT_SURE} ") if parts.is_unsure else []
    return lines + [line for footnote in parts.footnotes for line in page.paragraph(footnote)]
