"""A report goes in; Markdown as GitHub reads it comes out."""

from collections.abc import Iterable, Sequence

from cgeval.compare.renderers.markdown import escaped, prose
from study_server.reporting.facts import cautions, facts, notes, title
from study_server.reporting.report import Report
from study_server.reporting.tables import Table, tables


def as_markdown(report: Report) -> str:
    """What to be careful of, every table with its notes, and what is to be known beside."""
    lines = [f"# {escaped(title(report))}", ""]
    lines += [f"- {escaped(heading)}: {prose(text)}" for heading, text in facts(report)]
    lines += _listed("Careful", cautions(report))
    for table in tables(report):
        lines += ["", *_table(table)]
    lines += _listed("Notes", notes(report))
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    marks = ["---" if i < table.words else "---:" for i in range(len(table.heads))]
    rows = [_row([escaped(cell) for cell in row]) for row in (table.heads, *table.rows)]
    told = [prose(" ".join(table.notes))] if table.notes else []
    return [f"## {escaped(table.title)}", "", rows[0], _row(marks), *rows[1:], "", *told]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listed(heading: str, sentences: Iterable[str]) -> list[str]:
    lines = [f"- {prose(sentence)}" for sentence in sentences]
    return ["", f"## {heading}", "", *lines] if lines else []
