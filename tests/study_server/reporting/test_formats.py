"""Text, Markdown and LaTeX show the same tables; what a study or an algorithm is called breaks none of them."""

import re
from dataclasses import replace

import pytest

from study_server.analysis.analysis import Analysis
from study_server.reporting.latex import as_latex
from study_server.reporting.markdown import as_markdown
from study_server.reporting.report import make_report
from study_server.reporting.tables import tables
from study_server.reporting.text import as_text


@pytest.fixture(scope="module")
def report(judged):
    return make_report(judged, margin=0.1)


def renamed(report, name):
    """With the first algorithm called otherwise."""
    first, *others = report.analysis.arms
    compared = tuple(replace(each, one=name) for each in report.analysis.contrasts)
    found = Analysis((replace(first, name=name), *others), compared, (), report.analysis.icc, report.analysis.choices)
    return replace(report, analysis=found)


def test_a_terminal_sees_the_headline_first_and_all_of_it_when_asked(report):
    short, full = as_text(report, full=False), as_text(report)
    assert short.index("Fooling rate") < short.index("DEFF: the") < short.index("Differences")
    assert "Behind the rates" not in short
    assert all(table.title in full for table in tables(report))
    assert max(len(line) for line in short.splitlines()) <= 110


def test_every_format_has_every_table(report):
    markdown, latex = as_markdown(report), as_latex(report)
    assert markdown.count("\n## ") >= len(tables(report))
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == len(tables(report))
    assert latex.count(r"\toprule") == len(tables(report))
    assert all(f"tab:study-noise-{table.name}" in latex for table in tables(report))


def test_rows_of_markdown_have_as_many_cells_as_their_heads(report):
    widths = [line.count(" | ") for line in as_markdown(report).splitlines() if line.startswith("|")]
    expected = [len(table.heads) - 1 for table in tables(report) for _ in range(len(table.rows) + 2)]
    assert widths == expected


def test_signs_of_a_name_are_shown_as_they_are(report):
    name = "a_b|c$d&e*f"
    shown = renamed(report, name)
    assert name in as_text(shown)
    assert r"a\_b\|c\$d\&e\*f" in as_markdown(shown)
    assert r"a\_b\textbar{}c\$d\&e{*}f" in as_latex(shown)


def test_rows_of_latex_have_as_many_cells_as_columns(report):
    for tabular in re.findall(
        r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}(.*?)\\end\{tabular\}", as_latex(report), re.DOTALL
    ):
        rows = [line for line in tabular[1].splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(tabular[0])}


def test_numbers_of_latex_are_set_as_numbers(report):
    latex = as_latex(report)
    assert "$+$43.8" in latex
    assert "$n$ & $p$ & $p$ (Holm)" in latex
    assert "{[}" in latex
    assert "±" not in latex


def test_the_reasons_for_no_rate_are_told(study):
    text = as_text(make_report(study, unfinished=True), full=False)
    assert text.index("unfinished one has 0 of 4, two has 0 of 4") < text.index("Fooling rate")
    assert "not finished" in text
    assert "nobody has finished" in text
