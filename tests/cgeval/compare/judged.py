"""Runs go in; a study comes out that says of each how its participants and its images fared, as a real one does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgeval.records import Record, append_records
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import LATE, WORDS, a_run, reconstruct, score

METHODS = {"streets": "cyclegan", "pix2pix": "pix2pix", "cycle_alone": "cyclegan:cycle_alone", "other": "CoGAN"}
SKILLS = (0.6, 0.8, 0.4, 0.3)
RATES = (0.25, 0.35, 0.15, 0.05)
IDS = tuple(f"street/{i:03}" for i in range(12))


def a_study(folder: Path, count: int = 4, *, ids: Sequence[str] = IDS, **extra: Any) -> Path:
    """So many methods in `folder/runs`, scored, with reconstruction errors, and judged in `folder/studies/streets`.

    The order of the rates is that of the skills; extra: more of every record, None takes something away.
    """
    one_way = {"ids": ids, "directions": ("AtoB",)}
    runs = [a_run(folder / "runs" / name, method, **one_way) for name, method in list(METHODS.items())[:count]]
    for run, skill in zip(runs, SKILLS, strict=False):
        score(run, skill=skill)
        reconstruct(run, error=0.3 * (1 - skill) ** 3)
    study = folder / "studies" / "streets"
    judge(study, dict(zip(list(METHODS)[:count], RATES, strict=False)), **extra)
    return study


def judge(path: Path, rates: Mapping[str, float], *, participants: int = 20, **extra: Any) -> None:
    """Add a record for each run's labels -> photo, by the run's name: people of about its rate, 10 for each image."""
    runs = path.parents[1] / "runs"
    append_records(path, [_record(Run.open(runs / name), rate, participants, extra) for name, rate in rates.items()])


def _record(run: Run, rate: float, participants: int, extra: Mapping[str, Any]) -> Record:
    image_set = run.image_set("test_AtoB")
    spread = np.linspace(-0.04, 0.04, participants)
    fooled = {row.id: [round(10 * rate) + i % 3, 10] for i, row in enumerate(image_set.rows)}
    told = {
        "direction": WORDS["AtoB"],
        "study": "9f2c",
        "preset": "zhu2017",
        "participants": participants,
        "per_participant": (rate + spread).tolist(),
        "per_image": fooled,
    }
    return Record(
        protocol="fooling_rate",
        metric="fooling_rate",
        value=rate,
        n=participants,
        run_id=run.info.run_id,
        image_set=image_set.name,
        index_sha256=image_set.index_sha256,
        created_at=LATE,
        producer="study-server 0",
        low=rate - 0.03,
        high=rate + 0.04,
        interval="Korn-Graubard over participants, 95 %",
        convention={"asked": "real"},
        extra={name: value for name, value in (told | dict(extra)).items() if value is not None},
    )
