"""A report goes in; STUDY/records/fooling_rate.jsonl has its rates, for `cgeval compare`. Records are only added.

A rate belongs to images by their seal, so only an algorithm whose images were a run's sealed set gets a record.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgeval.errors import CgevalError
from cgeval.images import image_id
from cgeval.records import Record, append_records, current, read_records
from cgeval.runs import Run, now
from study_server.analysis.analysis import Estimate
from study_server.judged import Judged
from study_server.manifest import Source
from study_server.reporting.report import Report
from study_server.reporting.wording import level

PROTOCOL = METRIC = "fooling_rate"


def refuse_records(folder: Path) -> None:
    """Raise RecordError where records are there that cannot be read, before anything is written."""
    read_records(folder, PROTOCOL)


def record_rates(report: Report) -> list[str]:
    """Add a record for each rate that is not there yet, all or none. Returns a sentence on what was done.

    Raises RecordError where the file that is there cannot be read.
    """
    folder = report.judged.folder
    estimates, sources = report.analysis.estimates, report.judged.sources
    sealed = [name for name in estimates if name in sources and sources[name].index_sha256]
    made = [_record(report, sources[name], estimates[name]) for name in sealed]
    known = read_records(folder, PROTOCOL)
    fresh = [record for record in made if not _is_known(record, known)]
    if fresh:
        append_records(folder, fresh)
    return _told(report, made, fresh)


def _record(report: Report, source: Source, found: Estimate) -> Record:
    return Record(
        protocol=PROTOCOL,
        metric=METRIC,
        value=found.rate,
        n=found.counts.participants,
        run_id=source.run_id,
        image_set=source.image_set,
        index_sha256=source.index_sha256,
        created_at=now(),
        producer=f"study-server {report.version}",
        low=found.interval.low,
        high=found.interval.high,
        interval=_interval(report),
        convention=_convention(report),
        extra=_extra(report, source, found),
    )


def _interval(report: Report) -> str:
    """The method; whoever sees the number in a comparison also has to know what it is worth."""
    method = f"Korn-Graubard over participants, {level(report.analysis.choices.level)}"
    worth = [
        *(["simulated participants"] if _is_simulated(report.judged) else []),
        *(["the study is not finished"] if report.judged.unfinished else []),
    ]
    return "; ".join([method, *worth])


def _convention(report: Report) -> dict[str, Any]:
    judged = report.judged
    rules = "; ".join(each.meaning for each in report.analysis.excluded)
    exposure = {"exposure": f"{judged.config.exposure.shown_ms} ms"} if judged.config else {}
    return {
        "preset": judged.preset,
        "asked": judged.asked,
        **exposure,
        "exclusions": rules or "none",
        "level": report.analysis.choices.level,
    }


def _extra(report: Report, source: Source, found: Estimate) -> dict[str, Any]:
    judged, ids = report.judged, _ids(source)
    pairs = judged.manifest.by_id if judged.manifest else {}
    files = {image.image: pairs[image.image].fake for image in found.closer.images}
    per_image = {
        ids.get(files[image.image], image_id(Path(files[image.image]), Path())): [image.fooled, image.trials]
        for image in found.closer.images
    }
    return {
        "study": judged.study_id,
        "preset": judged.preset,
        "participants": found.counts.participants,
        "trials": found.counts.total,
        "per_participant": found.counts.rates.tolist(),
        "per_image": per_image,
        "icc": found.icc,
        "design_effect": found.design_effect,
        "finished": not judged.unfinished,
        "simulated": _is_simulated(judged),
    }


def _ids(source: Source) -> Mapping[str, str]:
    """By file, as the set's index has them, where the set is still there; else names of files without their suffix."""
    path = Path(source.where).resolve()
    try:
        image_set = Run.open(path.parent.parent).image_set(path.name)
    except (CgevalError, OSError):
        return {}
    return {row.file: row.id for row in image_set.rows} if image_set.index_sha256 == source.index_sha256 else {}


def _is_simulated(judged: Judged) -> bool:
    return judged.manifest is not None and judged.manifest.is_simulated


def _is_known(record: Record, known: list[Record]) -> bool:
    """Whether the last one of the same images and choices says the same."""
    alike = [each for each in known if (each.run_id, each.index_sha256) == (record.run_id, record.index_sha256)]
    last = next((each.record for each in current(alike) if each.record.key == record.key), None)
    return last is not None and _said(last) == _said(record)


def _said(record: Record) -> Any:
    """The content as it comes back from a file, but for when and by whom it was written."""
    told = {name: value for name, value in vars(record).items() if name not in ("created_at", "producer")}
    return json.loads(json.dumps(told, default=dict))


def _told(report: Report, made: list[Record], fresh: list[Record]) -> list[str]:
    estimates, sources = report.analysis.estimates, report.judged.sources
    without = [name for name in estimates if name not in sources or not sources[name].index_sha256]
    lines = []
    if fresh:
        path = report.judged.folder / "records" / f"{PROTOCOL}.jsonl"
        lines.append(f"records: {len(fresh)} added to {path}, for `cgeval compare`.")
    elif made:
        lines.append("records: the rates are as they were recorded last time; none was added.")
    if without and report.judged.manifest is None:
        lines.append("records: none, since an import knows no images that `cgeval compare` could tell.")
    elif without:
        lines.append(
            f"records: none of {', '.join(without)}, whose images are not a run's sealed set, so that `cgeval compare` "
            "could not tell them; build a study from runs for that."
        )
    return lines
