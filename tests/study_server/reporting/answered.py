"""A built study goes in; finished sessions stand in its database afterwards, at once, as they are wanted."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from study_server.config import read_config
from study_server.manifest import CONFIG, read_manifest
from study_server.store.engine import claim, open_database
from study_server.store.models import Answer, Session, Trial

AT = "2026-01-01T00:00:00.000000Z"


def answer(folder: Path, people: Mapping[str, Sequence[int]], database_url: str | None = None, **seen: Any) -> Path:
    """By arm: in how many of the scored trials each participant is fooled, the first ones; in practice in none.

    The real image is left in every other trial. seen: columns of every answer, such as rt_ms.
    """
    manifest, config = read_manifest(folder), read_config(folder / CONFIG)
    sessions, trials, answers = [], [], []
    for arm, fooled in people.items():
        pairs = manifest.pairs_of(arm)
        for number, often in enumerate(fooled):
            key = len(sessions) + 1
            sessions.append(_session(key, arm))
            for position in range(config.trials.practice + config.trials.scored):
                scored = position - config.trials.practice
                side = ("left", "right")[position % 2]
                row = {"id": len(trials) + 1, "session_id": key}
                pair = pairs[(2 * number + position) % len(pairs)].id
                trials.append(
                    row
                    | _trial(len(trials), position, pair, side, "scored" if scored >= 0 else "practice", config.asked)
                )
                answers.append(row | _answer(row["id"], side, 0 <= scored < often, config.asked) | seen)
    with closing(open_database(folder, database_url)) as database:
        claim(database, manifest.study_id)
        with database.write() as found:
            for table, rows in ((Session, sessions), (Trial, trials), (Answer, answers)):
                found.execute(insert(table), rows)
    return folder


def _session(key: int, arm: str) -> dict[str, Any]:
    told = {"id": key, "public_id": f"s{key}", "platform": "open", "token_sha256": f"t{key}", "client": "page"}
    times = {"entered_at": AT, "consented_at": AT, "ended_at": AT}
    return told | times | {"state": "DONE", "arm": arm, "language": "en", "flags": [], "device": {}, "replies": {}}


def _trial(key: int, position: int, pair: str, side: str, phase: str, asked: str) -> dict[str, Any]:
    told = {"position": position, "phase": phase, "pair_id": pair, "real_side": side, "asked": asked}
    return told | {"token": f"{key}", "looked_at": AT, "look": "look", "looks": 1}


def _answer(key: int, real_side: str, fooled: bool, asked: str) -> dict[str, Any]:
    chose_real = (asked == "real") != fooled
    other = {"left": "right", "right": "left"}[real_side]
    told = {"trial_id": key, "attempt": "a", "answered_at": AT, "clicked": real_side if chose_real else other}
    return told | {"chose_real": chose_real, "rt_ms": 500.0, "shown_ms": 100.0, "flags": [], "measurements": {}}
