"""A report goes in; text for a terminal comes out: the headline first, all of it where that is asked for."""

import textwrap
from collections.abc import Iterable

from cgeval.tables import table_lines
from study_server.reporting.facts import BRIEFLY, cautions, facts, notes, title
from study_server.reporting.report import Report
from study_server.reporting.tables import Table, headline, tables

WIDEST = 110  # characters of a line of words


def as_text(report: Report, *, full: bool = True) -> str:
    """full: every table, and what is to be known beside; else the rates, their differences and what is grave."""
    shown = tables(report) if full else headline(report)
    lines = [title(report)]
    for heading, text in facts(report):
        lines += _set(f"{heading:<11}", text) if full or heading in BRIEFLY else []
    for table in shown:
        lines += ["", *_table(table)]
    lines += _listed("Careful", cautions(report))
    lines += _listed("Notes", notes(report)) if full else []
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    numbers = range(table.words, len(table.heads))
    lines = [table.title, "", *table_lines(table.heads, table.rows, numbers), ""]
    return [*lines, *(line for note in table.notes for line in _set("", note))]


def _listed(heading: str, sentences: Iterable[str]) -> list[str]:
    lines = [line for sentence in sentences for line in _set("- ", sentence)]
    return ["", f"{heading}:", *lines] if lines else []


def _set(before: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDEST,
        initial_indent=before,
        subsequent_indent=" " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )
