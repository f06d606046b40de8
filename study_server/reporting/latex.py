r"""A report goes in; LaTeX tables come out, set with booktabs, to be put into a paper by \input."""

import re

from cgeval.compare.renderers.latex import escaped, prose
from study_server.reporting.facts import cautions, title
from study_server.reporting.report import Report
from study_server.reporting.tables import Table, tables

SIGNED = re.compile(r"(?<![\w.])[-+](?=\d)|<(?=0\.)")


def as_latex(report: Report) -> str:
    r"""One `table` for each; captions say what stands there and how it was computed. Needs \usepackage{booktabs}."""
    name = re.sub(r"[^a-z0-9]+", "-", title(report).lower()).strip("-")
    lines = [f"% {_comment(title(report))}, {report.judged.study_id}; needs \\usepackage{{booktabs}}"]
    lines += [f"% Careful: {_comment(each)}" for each in cautions(report)]
    for table in tables(report):
        lines += ["", *_table(table, f"tab:{name}-{table.name}")]
    return "\n".join(lines) + "\n"


def _table(table: Table, label: str) -> list[str]:
    columns = "l" * table.words + "r" * (len(table.heads) - table.words)
    return [
        r"\begin{table}[tb]",
        r"  \centering\small",
        f"  \\caption{{{prose(table.title + '. ' + ' '.join(table.notes))}}}",
        f"  \\label{{{label}}}",
        r"  \smallskip",
        f"  \\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"    \toprule",
        f"    {' & '.join(_head(head) for head in table.heads)} \\\\",
        r"    \midrule",
        *(f"    {_row(row, table.words)} \\\\" for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]


def _head(head: str) -> str:
    return re.sub(r"^([np])(?= |$)", r"$\1$", escaped(head))


def _row(row: tuple[str, ...], words: int) -> str:
    return " & ".join(escaped(cell) if i < words else _number(cell) for i, cell in enumerate(row))


def _number(cell: str) -> str:
    r"""Digits with the signs of mathematics; a bracket at the beginning of a row would be the argument of \\."""
    return "--" if cell == "-" else SIGNED.sub(r"$\g<0>$", cell.replace("[", "{[}").replace("]", "{]}"))


def _comment(text: str) -> str:
    return " ".join(text.split())
