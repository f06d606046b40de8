"""A report goes in; one HTML file comes out that asks for nothing else, written whole or not at all.

No script, no font, no style and no picture from elsewhere: a content security policy in the file itself forbids them,
and lets pass the one style sheet whose digest it names. Pictures are in the file. Charts are SVG from small templates.
"""

import re
from pathlib import Path
from typing import Any

from cgeval.errors import OutputError
from cgeval.files import write_atomic
from cgeval.pages import render
from study_server.analysis.analysis import Estimate
from study_server.judged import Judged
from study_server.reporting import page_figures as figures
from study_server.reporting import page_summary as summary
from study_server.reporting import page_tables as tables
from study_server.reporting.page_methods import made, terms
from study_server.reporting.page_pictures import Extremes, extremes
from study_server.reporting.page_words import NBSP, day, level, p_value
from study_server.reporting.report import Report

TEMPLATES = Path(__file__).with_name("templates")
PERCENT = re.compile(r"(?<=\d) ?%")
PAGE, STYLE = "study.html.j2", "study.css"


def write_page(path: Path, report: Report) -> None:
    """Write the report as a page to the path. Raises OutputError where it cannot be written."""
    page = render(TEMPLATES / PAGE, TEMPLATES / STYLE, _content(report), {"set": _set})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, page.encode(errors="replace"))
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): name another place for the report.") from None


def _content(report: Report) -> dict[str, Any]:
    """Everything that the page shows."""
    judged, analysis = report.judged, report.analysis
    found = analysis.estimates
    shown_ms = judged.config.exposure.shown_ms if judged.config else None
    return {
        "name": _name(judged),
        "version": report.version,
        "date": day(report.created_at),
        "level": level(analysis.choices.level),
        "margin": analysis.choices.margin,
        "participants": sum(each.counts.participants for each in found.values()),
        "protocol": summary.protocol(judged),
        "headlines": summary.headlines(report),
        "comparison": summary.comparison(report),
        "cautions": summary.cautions(report),
        "notes": summary.notes(report),
        "arms": [arm.name for arm in analysis.arms],
        "told": list(found),
        "forest": figures.forest(analysis),
        "heads": tables.HEADS,
        "rates": tables.rates(analysis),
        "pairs": [(pair, p_value(pair.p_value), p_value(pair.adjusted)) for pair in analysis.contrasts],
        "differences": figures.differences(analysis.contrasts) if analysis.contrasts else None,
        "strips": figures.strips(analysis),
        "flow": tables.flow(report),
        "unused_rules": tables.unused_rules(judged),
        "closer": tables.closer(analysis, shown_ms),
        "sessions": figures.sessions(analysis),
        "times": figures.reaction_times(analysis),
        "of_images": summary.of_images(analysis),
        "extremes": [_extremes(name, each, report) for name, each in found.items()],
        "images": [(name, tables.images(each.closer.images, judged.manifest)) for name, each in found.items()],
        "terms": terms(report),
        "made": made(report),
    }


def _extremes(name: str, found: Estimate, report: Report) -> tuple[Extremes, list[tables.Line], list[tables.Line]]:
    """The most and the least convincing images, and for where there are no pictures, as lines of tables."""
    judged = report.judged
    shown = extremes(name, found.closer.images, judged, len(report.analysis.estimates))
    most, least = (tables.images((each.rate for each in part), judged.manifest) for part in (shown.most, shown.least))
    return shown, most, least


def _name(judged: Judged) -> str:
    return judged.folder.resolve().name or judged.study_id


def _set(text: str) -> str:
    """ "95 %" and "95%" as one, without a break before the sign."""
    return PERCENT.sub(f"{NBSP}%", text)
