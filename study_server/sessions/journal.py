"""Acknowledged answers go in; STUDY/answers.jsonl comes out: one line each, only added to, a second copy in plain text.

A line is written after its answer is committed and before the participant's page hears of it. What a kill has left out
between the two is filled up when the study is opened next.
"""

import contextlib
import errno
import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, select

from study_server.store.engine import Database
from study_server.store.models import Answer, Session, Trial

FILE = "answers.jsonl"
AT_ONCE = 500  # rows
_WHOLE = (
    select(Answer, Trial, Session.public_id, Session.arm)
    .join(Trial, Answer.trial_id == Trial.id)
    .join(Session, Answer.session_id == Session.id)
    .where(Answer.id.in_(bindparam("numbers", expanding=True)))
    .order_by(Answer.id)
)


class Journal:
    """The open file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._turn = threading.Lock()
        self._owed: deque[bytes] = deque()

    def add(self, line: Mapping[str, Any]) -> None:
        """One line, in one write, so that lines of two servers do not mix. Raises OSError, and then owes it."""
        self._owed.append((json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n").encode())
        self.settle()

    def settle(self) -> None:
        """Write the lines that a full disk did not take. Raises OSError while it does not."""
        with self._turn:
            while self._owed:
                written = os.write(self._file, self._owed[0])
                if written < len(self._owed[0]):
                    self._owed[0] = b"\n" + self._owed[0].lstrip(b"\n")  # what was cut off ends, and is written anew
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                self._owed.popleft()

    def fill_up(self, database: Database) -> None:
        """Add the answers that are in the database alone; a line that was cut off is left and written anew."""
        there, last = set(), b"\n"
        with self.path.open("rb") as lines:
            for last in lines:
                there.add(_number(last))
        if not last.endswith(b"\n"):
            os.write(self._file, b"\n")
        with database.read() as found:
            missing = [number for number in found.scalars(select(Answer.id).order_by(Answer.id)) if number not in there]
            for begin in range(0, len(missing), AT_ONCE):
                rows = found.execute(_WHOLE, {"numbers": missing[begin : begin + AT_ONCE]})
                for answer, trial, public_id, arm in rows:
                    self.add(line_of(answer.id, public_id, arm, trial, vars(answer)))

    def close(self) -> None:
        """No more lines. What is owed still is in the database, and comes when the study is opened next."""
        with contextlib.suppress(OSError):
            self.settle()
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
