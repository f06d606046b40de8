"""A score goes in; records, the matrices behind them, and JSON for programs come out. Records are only added to."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import OutputError
from cgeval.files import write_atomic
from cgeval.matrices import Matrices, write_matrices
from cgeval.metrics import METRICS, Interval
from cgeval.protocols.planning import Job, Ruler
from cgeval.protocols.scoring import Line, Score
from cgeval.records import Record, append_records
from cgeval.runs import now

PER_CLASS = "************ Per class numbers below ************"  # as readers of the released script's file expect
DIGEST_LETTERS = 12  # of how many pixels of each class the truth of each image has


def write_results(score: Score) -> list[Record]:
    """Keep the matrices, then add one record for each metric to the run; returns the records."""
    job = score.job
    lines = {"run": score.line} | {line.name: line for line in score.beside}
    sets = {name: Matrices(line.measured.ids, line.measured.matrices) for name, line in lines.items()}
    file = write_matrices(job.run.path, f"{job.protocol}-{job.image_set.name}", sets)
    records = [_record(score, metric, file) for metric in METRICS]
    append_records(job.run.path, records)
    return records


def as_json(score: Score) -> dict[str, Any]:
    """All of a score that a program may want; fractions, null where there is no number."""
    job = score.job
    return {
        "run": str(job.run.path),
        "run_id": job.run.info.run_id,
        "method": job.run.info.method,
        "direction": job.direction,
        "protocol": job.protocol,
        "image_set": job.image_set.name,
        "index_sha256": job.image_set.index_sha256,
        "interval": score.sampling.interval,
        "convention": convention(score),
        "classes": class_names(job),
        "rows": [_row(line) for line in (score.line, *score.beside)],
        "traps": [{"name": trap.name, "sentence": trap.sentence} for trap in score.traps],
        "records": str(job.run.path / "records" / f"{job.protocol}.jsonl"),
    } | _facts(score)


def evaluation_results(score: Score, folder: Path) -> Path:
    """The numbers as the script released with pix2pix writes them, at `<folder>/<set>/evaluation_results.txt`.

    Fractions; a class without a value is nan, or 0 under the convention "reference", as there. Raises OutputError where
    it cannot be written.
    """
    line, job = score.line, score.job
    heads = ("Mean pixel accuracy", "Mean class accuracy", "Mean class IoU")
    means = [f"{head}: {line.value(metric):f}" for head, metric in zip(heads, METRICS, strict=True)]
    by_class = zip(class_names(job), line.scores.accuracies, line.scores.ious, strict=True)
    classes = [f"{name:15}: acc = {accuracy:f}, iou = {iou:f}" for name, accuracy, iou in by_class]
    path = folder / job.image_set.name / "evaluation_results.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, ("\n".join([*means, PER_CLASS, *classes]) + "\n").encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): name another --evaluation-results.") from None
    return path


def convention(score: Score) -> dict[str, Any]:
    """Every named choice that changes the number: two records with other ones are two numbers."""
    way, matrices = score.job.way, score.line.measured.matrices
    true_pixels = np.ascontiguousarray(matrices.sum(axis=-1)).astype("<i8").tobytes()
    shared = {
        "absent class": score.sampling.convention,
        "label set": score.job.labelled.labels.name,
        "truth": hashlib.sha256(true_pixels).hexdigest()[:DIGEST_LETTERS],
    }
    if isinstance(way, Ruler):
        return shared | {"scorer": way.scorer.info.name, "scorer_sha256": way.scorer.sha256}
    return shared | {"colours": way.choice, "distance": way.distance, "classified at": f"{way.classified_at} size"}


def class_names(job: Job) -> list[str]:
    """Of the scored classes, in their order."""
    return [label.name for label in job.labelled.labels.classes]


def _record(score: Score, metric: str, matrices: str) -> Record:
    job, line, interval = score.job, score.line, score.line.intervals[metric]
    return Record(
        protocol=job.protocol,
        metric=metric,
        value=line.value(metric),
        n=len(line.measured.ids),
        run_id=job.run.info.run_id,
        image_set=job.image_set.name,
        index_sha256=job.image_set.index_sha256,
        created_at=now(),
        producer=f"cgeval {version('cgeval')}",
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval=score.sampling.interval if interval else None,
        convention=convention(score),
        extra=_facts(score) | _of_metric(score, metric) | {"matrices": matrices},
    )


def _facts(score: Score) -> dict[str, Any]:
    """What a reader of the number may ask next."""
    job = score.job
    return {
        "direction": job.direction,
        "dataset": job.labelled.name,
        "split": job.image_set.split,
        "size_px": list(job.size_px),
        "truth_size_px": [list(size) for size in sorted(score.line.measured.truth_sizes)],
        "scorer_validation": dict(job.way.scorer.info.validation) if isinstance(job.way, Ruler) else {},
        "resamples": score.sampling.resamples,
        "seed": score.sampling.seed,
    }


def _of_metric(score: Score, metric: str) -> dict[str, Any]:
    """The same number of what stands beside, by class, and under the other convention."""
    other, scores = score.other
    by_class = _by_class(score.line, metric)
    return {
        "beside": {line.name: _number(line, metric) for line in score.beside},
        "by_class": dict(zip(class_names(score.job), by_class, strict=True)) if by_class else {},
        "other_convention": {other: float(getattr(scores, metric))},
        "traps": [trap.name for trap in score.traps],
    }


def _row(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        **{metric: _number(line, metric) for metric in METRICS},
        "by_class": {metric: _by_class(line, metric) for metric in METRICS[1:]},
        "confusion_matrix": line.counts.tolist(),
    }


def _number(line: Line, metric: str) -> dict[str, Any]:
    return {"value": line.value(metric), "n": len(line.measured.ids), **_ends(line.intervals[metric])}


def _by_class(line: Line, metric: str) -> list[dict[str, Any]]:
    """Value and interval of each class; none for the pixel accuracy, which has no classes."""
    values, intervals = {
        "class_accuracy": (line.scores.accuracies, line.by_class.accuracies),
        "class_iou": (line.scores.ious, line.by_class.ious),
    }.get(metric, (np.empty(0), ()))
    return [{"value": _or_none(value), **_ends(ends)} for value, ends in zip(_list(values), intervals, strict=True)]


def _ends(interval: Interval | None) -> dict[str, Any]:
    return {"low": interval.low if interval else None, "high": interval.high if interval else None}


def _list(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
