"""How long a million judgements take: read from a study's database, and analysed; and how much memory.

    python -m benchmarks.analysis_speed --json benchmarks/results/analysis_speed.json

A study of two algorithms with 20,000 finished sessions of 50 trials (10 practice, 40 scored) is written into its SQLite
database by bulk inserts. A process of its own then reads and analyses it, with all resamples that a report has.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from cgeval.files import write_json_atomic
from cgeval.runs import now
from study_server.analysis.analysis import Choices, analyse
from study_server.judged import read_judged
from study_server.manifest import Manifest, read_manifest
from study_server.store.engine import claim, open_database
from study_server.store.models import Answer, Session, Trial
from tests.study_server.small_study import small_study

SESSIONS, PRACTICE, SCORED = 20_000, 10, 40
TRIALS = PRACTICE + SCORED
RATES = {"one": 0.2, "two": 0.3}
ICC = 0.15
AT_ONCE = 1000  # sessions
AT = "2026-01-01T00:00:00.000000Z"


@dataclass(frozen=True)
class Result:
    """Seconds of each part, and the largest resident memory of the process."""

    judgements: int
    read_seconds: float
    analyse_seconds: float
    peak_bytes: int
    rates: dict[str, float]

    @property
    def seconds(self) -> float:
        """Of both."""
        return self.read_seconds + self.analyse_seconds


def build(place: Path, sessions: int = SESSIONS) -> Path:
    """The study with its answers."""
    people = {"per_algorithm": sessions // 2}
    folder = small_study(place, tuple(RATES), TRIALS + 10, participants=people)
    manifest = read_manifest(folder)
    source = np.random.default_rng(0)
    with closing(open_database(folder)) as database:
        claim(database, manifest.study_id)
        for first in range(0, sessions, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, sessions))
            trials = [row for number in numbers for row in _trials(manifest, number, source)]
            with database.writing() as found:
                found.execute(insert(Session), [_session(manifest, number) for number in numbers])
                found.execute(insert(Trial), [trial for trial, _ in trials])
                found.execute(insert(Answer), [answer for _, answer in trials])
    return folder


def _session(manifest: Manifest, number: int) -> dict[str, Any]:
    names = {name: f"{name}-{number}" for name in ("public_id", "identity", "token_sha256", "client")}
    times = dict.fromkeys(("entered_at", "consented_at", "ended_at"), AT)
    place = {"state": "DONE", "arm": manifest.arms[number % 2], "position": TRIALS}
    return {"id": number + 1, "platform": "open", "language": "en"} | names | times | place


def _trials(
    manifest: Manifest, number: int, source: np.random.Generator
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """One session's, with their answers; its participant is fooled at a rate of their own."""
    arm = manifest.arms[number % 2]
    spread = 1 / ICC - 1
    fooled = source.random(TRIALS) < source.beta(RATES[arm] * spread, (1 - RATES[arm]) * spread)
    times = source.lognormal(6.6, 0.4, TRIALS)
    pairs = manifest.pairs_of(arm)
    for place, which in enumerate(source.permutation(len(pairs))[:TRIALS].tolist()):
        row = number * TRIALS + place + 1
        real, chose_real = ("left", "right")[row % 2], not fooled[place]
        clicked = real if chose_real else {"left": "right", "right": "left"}[real]
        trial = {"id": row, "session_id": number + 1, "position": place, "pair_id": pairs[which].id, "asked": "real"}
        trial |= {"phase": "practice" if place < PRACTICE else "scored", "real_side": real, "token": f"t{row}"}
        answer = {"id": row, "trial_id": row, "session_id": number + 1, "attempt": f"a{row}", "answered_at": AT}
        measured = {"rt_ms": round(float(times[place]), 1), "shown_ms": 1000.0, "flags": [], "measurements": {}}
        yield trial, answer | measured | {"clicked": clicked, "chose_real": bool(chose_real)}


def measure(folder: Path) -> Result:
    """In this process, whose memory is told."""
    began = time.perf_counter()
    judged = read_judged(folder)
    read = time.perf_counter()
    found = analyse(judged.judgements, Choices(judged.rules, margin=0.1))
    ended = time.perf_counter()
    rates = {arm: estimate.rate for arm, estimate in found.estimates.items()}
    return Result(len(judged.judgements), read - began, ended - read, _peak_bytes(), rates)


def _peak_bytes() -> int:
    """Of this program alone: getrusage's figure starts with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def measure_apart(folder: Path) -> Result:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.analysis_speed", "--of", str(folder)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Result(**json.loads(told))


def main() -> None:
    """Print what was measured; --json writes it with the hardware."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--of", type=Path, help="measure the study in this folder, in this process, as JSON")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    if options.of:
        print(json.dumps(asdict(measure(options.of))))
        return
    from benchmarks.train_step import hardware  # brings torch, which would be measured too

    with tempfile.TemporaryDirectory() as place:
        found = measure_apart(build(Path(place), options.sessions))
    parts = f"read in {found.read_seconds:.1f} s, analysed in {found.analyse_seconds:.1f} s"
    print(f"{found.judgements:,} judgements: {parts}, {found.peak_bytes / 1e9:.2f} GB on {hardware()}")
    if options.json:
        write_json_atomic(options.json, {"measured_at": now(), "hardware": hardware()} | asdict(found))


if __name__ == "__main__":
    main()
