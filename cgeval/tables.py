"""Heads and rows of text go in; a table in columns comes out, for a terminal."""

import unicodedata
from collections.abc import Sequence

import click


def table_lines(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> list[str]:
    """One line for the heads and each row; numbers: the columns that are set to the right."""
    widths = [max(_width(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    return [
        "  ".join(_set(cell, widths[i], i in numbers) for i, cell in enumerate(row)).rstrip() for row in (heads, *rows)
    ]


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> None:
    """Print the table, or say that there is nothing yet."""
    for line in table_lines(heads, rows, numbers):
        click.echo(line)
    if not rows:
        click.echo("(none yet)")


def _set(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """Columns that a terminal gives the text: two for a wide sign, none for one that combines."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
