"""A report goes in; its numbers come out for programs: JSON, and CSV for rates, differences and images.

Rates are fractions, times milliseconds; what is not known is null, or an empty cell.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from study_server.analysis.analysis import Arm, Estimate
from study_server.analysis.closer import ImageRate
from study_server.analysis.contrasts import Contrast
from study_server.judged import Judged
from study_server.reporting.facts import cautions, notes
from study_server.reporting.report import Report
from study_server.reporting.tables import image_name

SCHEMA = 1
CONTRASTS = tuple(field.name for field in fields(Contrast))
IMAGES = ("algorithm", "pair", "image", "fooled", "judged", "rate", "low", "high")


def as_json(report: Report) -> str:
    """Everything that the report knows, with a final newline."""
    content = {
        "schema": SCHEMA,
        "made": {"created_at": report.created_at, "version": report.version, "command": report.command},
        "study": _study(report.judged),
        "analysis": _analysis(report),
        "deviations": list(report.deviations),
        "cautions": list(cautions(report)),
        "notes": list(notes(report)),
        "arms": [_arm(arm, report.judged) for arm in report.analysis.arms],
        "contrasts": [asdict(each) for each in report.analysis.contrasts],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(report: Report) -> dict[str, str]:
    """By name of the file. Every row says of which study and by which protocol it is."""
    return {
        "rates.csv": _csv(report, [_rates_row(arm) for arm in report.analysis.arms]),
        "contrasts.csv": _csv(report, [asdict(each) for each in report.analysis.contrasts], CONTRASTS),
        "images.csv": _csv(
            report,
            [
                {"algorithm": name} | _image(image, report.judged)
                for name, each in report.analysis.estimates.items()
                for image in each.closer.images
            ],
            IMAGES,
        ),
    }


def _study(judged: Judged) -> dict[str, Any]:
    exposure = {"shown_ms": judged.config.exposure.shown_ms} if judged.config else {}
    return {
        "id": judged.study_id,
        "name": judged.folder.resolve().name,
        "created_at": judged.created_at,
        "preset": judged.preset,
        "asked": judged.asked,
        **exposure,
        "wanted": judged.wanted or None,
        "finished": not judged.unfinished,
        "lacking": {arm: judged.wanted - done for arm, done in judged.unfinished.items()},
        "simulated": judged.manifest is not None and judged.manifest.is_simulated,
        "states": dict(judged.states),
        "first_at": judged.first_at or None,
        "last_at": judged.last_at or None,
        "registration": judged.registration or None,
        "looks": list(judged.looks),
    }


def _analysis(report: Report) -> dict[str, Any]:
    choices = report.analysis.choices
    told = {name: getattr(choices, name) for name in ("level", "margin", "seed", "resamples", "permutations")}
    rules = [{"rule": each.rule, "meaning": each.meaning} for each in report.analysis.excluded]
    return told | {"interval": "Korn-Graubard over participants", "exclusions": rules, "icc": report.analysis.icc}


def _arm(arm: Arm, judged: Judged) -> dict[str, Any]:
    source = judged.sources.get(arm.name)
    told = {
        "algorithm": arm.name,
        "finished": arm.finished,
        "excluded": dict(arm.excluded),
        "without_scored_answer": arm.without,
        "source": asdict(source) if source else None,
    }
    return told | {"estimate": _estimate(arm.estimate, judged) if arm.estimate else None}


def _estimate(found: Estimate, judged: Judged) -> dict[str, Any]:
    closer = {name: _plain(value) for name, value in vars(found.closer).items() if name != "images"}
    return {
        "fooling_rate": found.rate,
        "interval": asdict(found.interval),
        "participants": found.counts.participants,
        "trials": found.counts.total,
        "effective_trials": found.effective,
        "clustered_error": found.error,
        "clustered_interval": _plain(found.clustered),
        "amt_plus_minus": found.amt,
        "bootstrap_interval": _plain(found.bootstrap),
        "icc": found.icc,
        "design_effect": found.design_effect,
        "gee": _plain(found.gee),
        "two_way": _plain(found.two_way),
        "equivalence": _plain(found.equivalence),
        "per_participant": [
            {"fooled": int(fooled), "trials": int(trials)}
            for fooled, trials in zip(found.counts.fooled, found.counts.trials, strict=True)
        ],
        "closer": closer,
        "images": [_image(image, judged) for image in found.closer.images],
    }


def _image(image: ImageRate, judged: Judged) -> dict[str, Any]:
    told = {"pair": image.image, "image": image_name(judged, image.image), "fooled": image.fooled}
    return told | {"judged": image.trials, "rate": image.rate, "low": image.interval.low, "high": image.interval.high}


def _plain(value: Any) -> Any:
    """Values of the analysis as JSON has them."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _rates_row(arm: Arm) -> dict[str, Any]:
    told = {"algorithm": arm.name, "finished": arm.finished, "excluded": sum(arm.excluded.values())}
    told |= {f"excluded: {rule}": count for rule, count in arm.excluded.items()}
    found = arm.estimate
    names = ("participants", "trials", "fooling_rate", "low", "high", "clustered_error", "amt_plus_minus", "icc")
    values: Sequence[Any] = (0, 0, *(None,) * 7)
    if found is not None:
        ends = (found.interval.low, found.interval.high)
        values = (found.counts.participants, found.counts.total, found.rate, *ends, found.error, found.amt)
        values = (*values, found.icc, found.design_effect)
    return told | dict(zip((*names, "design_effect"), values, strict=True))


def _csv(report: Report, rows: Sequence[Mapping[str, Any]], heads: Sequence[str] = ()) -> str:
    """heads: of the rows, for where there is none."""
    judged, level = report.judged, report.analysis.choices.level
    whose = {"study": judged.study_id, "preset": judged.preset, "asked": judged.asked, "level": level}
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([*whose, *(rows[0] if rows else heads)])
    writer.writerows([*whose.values(), *("" if value is None else value for value in row.values())] for row in rows)
    return written.getvalue()
