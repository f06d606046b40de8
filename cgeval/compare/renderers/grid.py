"""Cells of one or more lines go in; lines in columns come out, for a terminal."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

GAP = 2  # blanks between columns
GROUP_GAP = 4  # blanks between groups of columns
HEAD_AT_MOST = 26  # columns that a part of a head may claim for narrow numbers
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True)
class Cell:
    """lines: from the top; bold: how many signs at the beginning of the first line are."""

    lines: tuple[str, ...] = ("",)
    bold: int = 0


@dataclass(frozen=True)
class GridColumn:
    """head: text, wrapped to the cells' width; cells: one for each row; right: set to the right."""

    head: str
    cells: tuple[Cell, ...]
    right: bool = False

    @property
    def width(self) -> int:
        """Of the widest cell, or of the longest word of the head."""
        parts = [line for cell in self.cells for line in cell.lines] + self.head.split()
        return max((text_width(part) for part in parts), default=0)


@dataclass(frozen=True)
class GridGroup:
    """head: parts of what stands over all of the group's columns; a part is broken only if it is very long."""

    head: tuple[str, ...]
    columns: tuple[GridColumn, ...]

    @property
    def own_width(self) -> int:
        """Of its columns with the gaps between them."""
        return sum(column.width for column in self.columns) + GAP * (len(self.columns) - 1)

    @property
    def width(self) -> int:
        """Of its columns, or of the longest part of its head."""
        longest = max((text_width(part) for part in self.head), default=0)
        return max(self.own_width, min(longest, HEAD_AT_MOST))

    @property
    def head_lines(self) -> tuple[str, ...]:
        """The head, as few lines as it fits in."""
        lines = [""]
        for part in self.head:
            joined = f"{lines[-1]}, {part}" if lines[-1] else part
            if text_width(joined) <= self.width:
                lines[-1] = joined
            else:
                lines += wrapped(part, self.width)
        return tuple(lines if lines[0] or len(lines) == 1 else lines[1:])


@dataclass(frozen=True)
class Grid:
    """labels: of the rows; rules: the rows over which a rule is drawn."""

    labels: tuple[str, ...]
    groups: tuple[GridGroup, ...]
    rules: frozenset[int] = frozenset()

    @property
    def label_width(self) -> int:
        """Of the longest label."""
        return max((text_width(label) for label in self.labels), default=0)

    @property
    def numbers_width(self) -> int:
        """Of everything but the labels."""
        return sum(group.width for group in self.groups) + GROUP_GAP * (len(self.groups) - 1) + GAP

    def lines(self, label_width: int, *, bold: bool = False) -> list[str]:
        """Heads of the groups, heads of the columns, and the rows; labels are wrapped to that width."""
        places = list(_places(self.groups))
        found = _heads(self.groups, label_width, places)
        rule = "-" * (label_width + self.numbers_width)
        for i, label in enumerate(self.labels):
            if i == 0 or i in self.rules:
                found.append(rule)
            cells = [Cell(tuple(wrapped(label, label_width)))] + [column.cells[i] for column, _ in places]
            widths = [label_width, *(column.width for column, _ in places)]
            rights = [False, *(column.right for column, _ in places)]
            found += _row(cells, widths, [0, *(gap for _, gap in places)], rights, bold=bold)
        return found


def text_width(text: str) -> int:
    """Columns that a terminal gives the text: two for a wide sign, none for one that joins the sign before it."""
    return len(text) if text.isascii() and text.isprintable() else sum(_sign_width(sign) for sign in text)


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most so many columns, broken between words, and within a word that is too long."""
    lines = [""]
    for word in text.split(" "):
        for i, part in enumerate(_parts(word, columns)):
            joined = f"{lines[-1]} {part}" if lines[-1] else part
            if i == 0 and text_width(joined) <= columns:
                lines[-1] = joined
            else:
                lines.append(part)
    return lines if lines[0] or len(lines) == 1 else lines[1:]


def _places(groups: Sequence[GridGroup]) -> Iterator[tuple[GridColumn, int]]:
    """Each column with the gap before it."""
    left_over = 0
    for i, group in enumerate(groups):
        for j, column in enumerate(group.columns):
            yield column, GROUP_GAP + left_over if i and not j else GAP
        left_over = group.width - group.own_width


def _heads(groups: Sequence[GridGroup], label_width: int, places: Sequence[tuple[GridColumn, int]]) -> list[str]:
    """The groups' heads begin on one line, the columns' heads end on one."""
    over = [Cell(group.head_lines) for group in groups]
    gaps = [0, GAP] + [GROUP_GAP] * (len(groups) - 1)
    lines = _row([Cell(), *over], [label_width, *(group.width for group in groups)], gaps)
    heads = [wrapped(column.head, column.width) for column, _ in places]
    height = max(len(head) for head in heads)
    cells = [Cell(("",) * (height - len(head)) + tuple(head)) for head in heads]
    widths, rights = [column.width for column, _ in places], [column.right for column, _ in places]
    return lines + _row([Cell(), *cells], [label_width, *widths], [0, *(gap for _, gap in places)], [False, *rights])


def _row(
    cells: Sequence[Cell],
    widths: Sequence[int],
    gaps: Sequence[int],
    rights: Sequence[bool] = (),
    *,
    bold: bool = False,
) -> list[str]:
    """As many lines as the tallest cell has."""
    parts = list(zip(cells, widths, gaps, rights or [False] * len(cells), strict=True))
    height = max(len(cell.lines) for cell in cells)
    return [
        "".join(" " * gap + _line(cell, i, width, right, bold=bold) for cell, width, gap, right in parts).rstrip()
        for i in range(height)
    ]


def _line(cell: Cell, i: int, width: int, right: bool, *, bold: bool) -> str:
    text = cell.lines[i] if i < len(cell.lines) else ""
    blanks = " " * (width - text_width(text))
    if bold and cell.bold and i == 0:
        text = f"{BOLD}{text[: cell.bold]}{PLAIN}{text[cell.bold :]}"
    return blanks + text if right else text + blanks


def _parts(word: str, columns: int) -> list[str]:
    """The word in pieces that fit; a sign that joins the one before it stays with it."""
    parts = [""]
    for sign in word:
        if parts[-1] and text_width(parts[-1] + sign) > columns and _sign_width(sign):
            parts.append("")
        parts[-1] += sign
    return parts


def _sign_width(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
