"""Acknowledged answers go in; STUDY/answers.jsonl comes out: one line each, only added to, a second copy in plain text.

A line is written after its answer is committed and before the participant's page hears of it. What a kill has left out
between the two is filled up when the study is opened next.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from study_server.store.engine import Database
from study_server.store.models import Answer, Session, Trial

FILE = "answers.jsonl"


class Journal:
    """The open file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._turn = threading.Lock()

    def add(self, line: Mapping[str, Any]) -> None:
        """One line, in one write, so that lines of two servers do not mix."""
        data = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
        with self._turn:
            os.write(self._file, data)

    def fill_up(self, database: Database) -> None:
        """Add the answers that are in the database alone; a last line that was cut off is left and written anew."""
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.write(self._file, b"\n")
        there = {number for number in map(_number, content.splitlines()) if number is not None}
        with database.read() as found:
            rows = found.execute(
                select(Answer, Trial, Session.public_id, Session.arm)
                .join(Trial, Answer.trial_id == Trial.id)
                .join(Session, Answer.session_id == Session.id)
                .order_by(Answer.id)
            )
            for answer, trial, public_id, arm in rows:
                if answer.id not in there:
                    self.add(line_of(answer.id, public_id, arm, trial, vars(answer)))

    def close(self) -> None:
        """No more lines."""
        os.close(self._file)


def line_of(number: int, session: str, arm: str | None, trial: Any, answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a line holds; trial: a row with the columns of Trial."""
    told = ("position", "phase", "pair_id", "real_side", "asked")
    given = ("clicked", "chose_real", "rt_ms", "shown_ms", "attempt", "answered_at", "flags", "measurements")
    return (
        {"answer": number, "session": session, "arm": arm}
        | {name: getattr(trial, name) for name in told}
        | {name: answer[name] for name in given}
    )


def _number(line: bytes) -> int | None:
    """The answer's number; None for a line that was cut off."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    number = content.get("answer") if isinstance(content, dict) else None
    return number if isinstance(number, int) else None
