"""How many durable answers a second a study's server takes, and how long participants wait.

    python -m benchmarks.study_load --json benchmarks/results/study_load.json        the table of docs/performance.md
    python -m benchmarks.study_load --cases flat --database sqlite

The server is `study-server serve` as a program of its own on loopback, as it comes, with SQLite flushed to the disk at
every commit (synchronous=FULL), or with a private PostgreSQL (its own defaults, fsync on). Participants go all the way
from entry to the last page, but fetch no images; each trial is two requests, a begin and an answer.

flat: 32 participants at once who answer without thinking, 240 trials each; what is told is the time in which all
of them are answering.
pace: 1,000 participants at once, an answer every 3 s each (1.5 to 4.5), who arrive over half a minute; what is told is
the minute after that.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.train_step import hardware
from cgeval.files import write_json_atomic
from cgeval.runs import now
from study_server.config import read_config
from study_server.manifest import CONFIG, read_manifest
from study_server.rehearsal.client import Measured, attend
from study_server.rehearsal.people import Crowd, Told, Truth, take_part
from study_server.rehearsal.rehearse import serving
from study_server.sessions.study import open_study
from tests.study_server.postgres import private_server
from tests.study_server.small_study import small_study

ARRIVE_S, MINUTE_S = 30.0, 60.0
USUAL, LONG = {"practice": 10, "scored": 40}, {"practice": 0, "scored": 240}  # trials


@dataclass(frozen=True)
class Result:
    """One line of the table. lost: acknowledged answers that are not stored; failed: requests not answered as asked."""

    case: str
    database: str
    participants: int
    answers: int
    answers_per_second: float
    p50_ms: float
    p99_ms: float
    begin_p99_ms: float
    failed: int
    lost: int


def flat(database: str, participants: int = 32) -> Result:
    """So many at once, without thinking."""
    measured, lost = _attend(database, participants, participants, Crowd({}, preload=False), trials=LONG)
    begin_s, end_s = max(measured.at["ready"]), min(measured.at["questionnaire"])
    return _result("flat", database, participants, measured, (begin_s, end_s), lost)


def pace(database: str, participants: int = 1000) -> Result:
    """A thousand people who look, think and answer."""
    crowd = Crowd({}, think_s=3.0, arrive_s=ARRIVE_S, preload=False)
    measured, lost = _attend(database, participants, participants, crowd, limit_s=ARRIVE_S + MINUTE_S)
    return _result("pace", database, participants, measured, (ARRIVE_S, ARRIVE_S + MINUTE_S), lost)


def _result(
    case: str, database: str, participants: int, measured: Measured, between_s: tuple[float, float], lost: int
) -> Result:
    count = len(measured.between("answer", *between_s))
    times = [("answer", 0.5), ("answer", 0.99), ("begin", 0.99)]
    waits = [1000 * measured.percentile(kind, share, *between_s) for kind, share in times]
    failed = sum(measured.failed.values())
    rate = count / (between_s[1] - between_s[0])
    return Result(case, database, participants, count, rate, waits[0], waits[1], waits[2], failed, lost)


def _attend(
    database: str,
    sessions: int,
    at_once: int,
    crowd: Crowd,
    limit_s: float = float("inf"),
    trials: Mapping[str, int] = USUAL,
) -> tuple[Measured, int]:
    """What was measured, and how many acknowledged answers are not in the database."""
    with tempfile.TemporaryDirectory() as place, _database(database, Path(place)) as url:
        pairs = trials["practice"] + trials["scored"]
        people_wanted = {"per_algorithm": sessions}
        folder = small_study(Path(place), pairs=pairs, participants=people_wanted, trials=dict(trials))
        config, manifest, told = read_config(folder / CONFIG), read_manifest(folder), Told()
        truth = Truth(manifest)
        people = (take_part(config, truth, crowd, {}, i, told) for i in range(sessions))
        with serving(folder, *(("--database-url", url) if url else ())) as (host, port):
            measured = attend(people, host, port, at_once, limit_s=limit_s)
        study = open_study(folder, url)
        lines = len((folder / "answers.jsonl").read_bytes().splitlines())
        study.close()
        return measured, max(0, told.answers - lines)


@contextmanager
def _database(kind: str, place: Path) -> Iterator[str | None]:
    server = private_server(place / "postgres", durable=True) if kind == "postgresql" else nullcontext(None)
    with server as url:
        yield url


def main() -> None:
    """Print the table; --json writes the figures with the hardware."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="flat,pace")
    parser.add_argument("--database", default="sqlite,postgresql")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    print(f"on {hardware()}", flush=True)
    heads = f"{'case':6}{'database':12}{'people':>7}{'answers/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'begin p99':>11}"
    print(f"{heads}  failed, lost", flush=True)
    results = []
    for case in options.cases.split(","):
        for database in options.database.split(","):
            found = {"flat": flat, "pace": pace}[case](database)
            results.append(found)
            rest = f"{found.p50_ms:>9.1f}{found.p99_ms:>9.1f}{found.begin_p99_ms:>11.1f}  {found.failed}, {found.lost}"
            line = f"{case:6}{database:12}{found.participants:>7}{found.answers_per_second:>11.1f}{rest}"
            print(line, flush=True)
    if options.json:
        about = {"measured_at": now(), "hardware": hardware(), "load_average": os.getloadavg()[0]}
        write_json_atomic(options.json, about | {"results": [asdict(each) for each in results]})


if __name__ == "__main__":
    main()
