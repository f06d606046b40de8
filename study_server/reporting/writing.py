"""A report goes in; a folder of files comes out, whole or not at all, in the place of the one before."""

from pathlib import Path

from study_server.building.place import refuse_foreign, replaced_whole
from study_server.reporting.latex import as_latex
from study_server.reporting.markdown import as_markdown
from study_server.reporting.page import write_page
from study_server.reporting.report import Report
from study_server.reporting.sheets import as_csv, as_json
from study_server.reporting.text import as_text

FOLDER = "report"
PAGE = "report.html"
FILES = ("report.html", "report.txt", "report.md", "report.tex", "report.json")
TABLES = ("rates.csv", "contrasts.csv", "images.csv")


def refuse_place(folder: Path) -> None:
    """Raise OutputError where something stands that is no report of ours."""
    refuse_foreign(folder, {*FILES, *TABLES}, "report")


def write_report(report: Report, folder: Path) -> list[str]:
    """All files; returns their names. Raises OutputError where something else stands, or nothing can be written."""
    with replaced_whole(folder, {*FILES, *TABLES}, "report") as work:
        texts = {
            "report.txt": as_text(report),
            "report.md": as_markdown(report),
            "report.tex": as_latex(report),
            "report.json": as_json(report),
            **as_csv(report),
        }
        for name, text in texts.items():
            (work / name).write_text(text, encoding="utf-8")
        write_page(work / PAGE, report)
    return [*FILES, *TABLES]
