"""A comparison goes in; Markdown as GitHub reads it comes out. Its source is set in columns, to be read as text too."""

import re
from collections.abc import Sequence

from cgeval.compare.comparison import Comparison, Table
from cgeval.compare.renderers.grid import text_width
from cgeval.compare.renderers.parts import Parts, parts_of
from cgeval.compare.renderers.sheets import Sheet, SheetColumn, Words, number_sheets
from cgeval.compare.renderers.wording import (
    NO_NUMBERS,
    UNSURE,
    DifferenceWords,
    NumberWords,
    best_words,
    heading,
    one_line,
)

SPECIAL = re.compile(r"([\\`*_\[\]<|~$&#])")
FIRST = re.compile(r"^(?:[-+=>]|\d+(?=[.)]))")  # would begin a list, a quotation or a heading
CODE = re.compile(r"(`[^`]+`)")
SET_APART = ("ceiling", "sanity")


def as_markdown(comparison: Comparison) -> str:
    """Every table with what is to be known of it; best numbers are bold, labels of what does not compete slanted."""
    lines = [f"## {escaped(heading(comparison))}"]
    if marked := best_words(comparison.tables):
        lines += ["", f"**Bold**: {prose(marked)}."]
    for table in comparison.tables:
        lines += _table(comparison, table)
    if comparison.notes:
        lines += ["", "### Notes", "", *(f"- {prose(note)}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """The text in one line, such that Markdown shows it as it is, in a table's cell too."""
    return SPECIAL.sub(r"\\\1", one_line(text))


def prose(text: str) -> str:
    """A sentence of ours: as `escaped`, but what stands between backticks is code, and no list begins."""
    parts = CODE.split(one_line(text))
    whole = "".join(part if i % 2 else SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))
    return FIRST.sub(lambda found: found[0] + "\\" if found[0].isdigit() else "\\" + found[0], whole)


def _table(comparison: Comparison, table: Table) -> list[str]:
    """The title; numbers, then differences, then what is to be known."""
    parts = parts_of(comparison, table, number_sheets(table))
    lines = ["", f"### {escaped(parts.title)}"] if parts.title else []
    lines += [] if parts.sheets else ["", NO_NUMBERS]
    for sheet in parts.sheets:
        lines += ["", *_sheet(sheet)]
        without = "; ".join(escaped(label) for label in sheet.without)
        lines += ["", f"No numbers: {without}"] if without else []
    lines += ["", prose(parts.over_differences)] if parts.differences else []
    for sheet in parts.differences:
        lines += ["", *_sheet(sheet)]
    known = _known(parts)
    return [*lines, *(["", *known] if known else [])]


def _sheet(sheet: Sheet) -> list[str]:
    """What stands over the group, and its columns."""
    ((head, columns),) = sheet.groups
    labels = [_label(row.kind, label) for row, label in zip(sheet.rows, sheet.labels, strict=True)]
    found = [["", *labels], *(cells for column in columns for cells in _columns(column))]
    over = ", ".join([f"**{escaped(head[0])}**", *(escaped(part) for part in head[1:])])
    return [over, "", *_set(list(zip(*found, strict=True)))]


def _label(kind: str, label: str) -> str:
    text = escaped(label)
    return f"*{text}*" if kind in SET_APART and text else text


def _columns(column: SheetColumn) -> list[list[str]]:
    """Head and cells; both p-values of differences have a column of their own."""
    cells = [escaped(column.head), *(_cell(words) for words in column.cells)]
    p_values = [words.p_values if isinstance(words, DifferenceWords) else "-" for words in column.cells]
    is_difference = any(isinstance(words, DifferenceWords) for words in column.cells)
    return [cells, ["p (Holm)", *p_values]] if is_difference else [cells]


def _cell(words: Words) -> str:
    if isinstance(words, NumberWords):
        value = f"**{words.value}**" if words.best else words.value
        return f"{value}{'?' if words.unsure else ''} {words.interval}".rstrip()
    if isinstance(words, DifferenceWords):
        return f"{words.value} {words.interval}".rstrip()
    return words or "-"


def _set(rows: Sequence[Sequence[str]]) -> list[str]:
    """The table, the first row its heads, numbers set to the right."""
    widths = [max(3, *(text_width(row[i]) for row in rows)) for i in range(len(rows[0]))]
    marks = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [_line(row, widths) for row in (rows[0], marks, *rows[1:])]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    blanks = [" " * (width - text_width(cell)) for cell, width in zip(cells, widths, strict=True)]
    first, *others = zip(cells, blanks, strict=True)
    return f"| {' | '.join([''.join(first), *(blank + cell for cell, blank in others)])} |"


def _known(parts: Parts) -> list[str]:
    items = list[str]()
    for fact in parts.facts:
        of = f" ({'; '.join(fact.groups)})" if fact.groups else ""
        items.append(f"- {escaped(fact.heading + of)}: {prose(fact.text)}")
    items += [f"- ?: {prose(UNSURE)}"] if parts.is_unsure else []
    return items + [f"- {prose(footnote)}" for footnote in parts.footnotes]
