"""A comparison goes in; one HTML file comes out that asks for nothing else, written whole or not at all.

No script, no font, no style and no picture from elsewhere: a content security policy in the file itself forbids them,
and lets pass the one style sheet whose digest it names. Pictures are in the file. Charts are SVG from small templates.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cgeval.compare.agreement_tables import is_agreement
from cgeval.compare.comparison import Comparison
from cgeval.compare.renderers.wording import one_line
from cgeval.compare.report.agreement import agreement_sections
from cgeval.compare.report.caution import cautions
from cgeval.compare.report.classes import class_plots
from cgeval.compare.report.examples import figures
from cgeval.compare.report.explain import sources, terms
from cgeval.compare.report.losses import loss_curves
from cgeval.compare.report.provenance import how_it_was_made
from cgeval.compare.report.summary import summary
from cgeval.compare.report.tables import section
from cgeval.errors import OutputError
from cgeval.files import write_atomic
from cgeval.pages import render

TEMPLATES = Path(__file__).with_name("templates")
PAGE, STYLE = "report.html.j2", "report.css"
CODE = re.compile(r"`([^`]+)`")
SIZE = re.compile(r"(?<=\d)x(?=\d)")
PERCENT = re.compile(r"(?<=\d) %")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def write_report(
    comparison: Comparison,
    path: Path,
    *,
    examples: int = 4,
    seed: int = 0,
    ids: Sequence[str] | None = None,
    command: str,
) -> Path:
    """Write the report to the path; returns it.

    examples: rows of the figures, drawn by the seed; ids: the rows by name instead; command: what made this report.
    Raises DataError for ids that no compared set has, OutputError where the file cannot be written.
    """
    shown = figures(comparison, examples=examples, seed=seed, ids=ids)
    page = render(TEMPLATES / PAGE, TEMPLATES / STYLE, _content(comparison, command) | {"figures": shown}, FILTERS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, page.encode(errors="replace"))
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): name another place for the report.") from None
    return path


def _content(comparison: Comparison, command: str) -> dict[str, Any]:
    """Everything the page shows but the pictures."""
    told = [table for table in comparison.tables if not is_agreement(table)]
    sections = [section(comparison, table, drawn=i == 0) for i, table in enumerate(told)]
    explained = terms(comparison)
    return {
        "name": one_line(comparison.name),
        "split": comparison.split,
        "main": one_line(comparison.main),
        "date": _date(datetime.now(UTC)),
        "version": version("cgeval"),
        "command": command,
        "cautions": cautions(comparison),
        "summary": summary(comparison),
        "notes": [one_line(note) for note in comparison.notes],
        "subjects": len(comparison.subjects),
        "first": sections[0] if sections else None,
        "others": [each for each in sections[1:] if not each.is_printed],
        "printed": [each for each in sections[1:] if each.is_printed],
        "agreements": agreement_sections(comparison),
        "classes": class_plots(comparison),
        "losses": loss_curves(comparison),
        "terms": explained,
        "sources": sources(comparison, explained),
        "made": how_it_was_made(comparison),
    }


def _set(text: str) -> str:
    """What the records call "labels -> photo, 128x128 px, 95 %" as it is set."""
    return PERCENT.sub("\u00a0%", SIZE.sub("×", text.replace(" -> ", " → ")))


def _minus(digits: str) -> str:
    """Differences with a true minus sign, as wide as the plus."""
    return digits.replace("-", "−")


def _parts(text: str) -> list[tuple[str, bool]]:
    """The sentence in parts: whether each is code, which stands between backticks."""
    return [(part, i % 2 == 1) for i, part in enumerate(CODE.split(text)) if part]


def _colour(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _date(day: datetime) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


FILTERS: Mapping[str, Callable[..., Any]] = {"set": _set, "minus": _minus, "parts": _parts, "colour": _colour}
