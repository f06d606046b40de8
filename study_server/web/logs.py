"""Requests go in; one line of JSON each comes out, by which a study can be followed and nobody be known.

No address of a participant, no query, no token and no identity is written: a route stands as it is declared. What
somebody should see to stands on the error stream too, in short; all requests do if that is asked for.
"""

import contextlib
import fcntl
import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request

from cgeval.runs import now

FILE = "server.log"
LARGEST, KEPT = 16 * 1024 * 1024, 5  # bytes of a file; older files beside it
SENTENCE = 200  # characters of what an error says
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_encode = json.JSONEncoder(ensure_ascii=False).encode


class LogFile:
    """Begins anew when it is large, or when somebody has moved it away; several processes may write to it.

    server.log.1 is the newest of those before, server.log.5 the oldest. What cannot be written is lost, and no request
    fails for it.
    """

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self.path, self.largest = path, largest
        self._file, self._inode = -1, -1
        self._open()

    def write(self, line: str) -> None:
        """One line, in one write, so that lines of several processes do not mix."""
        with contextlib.suppress(OSError):
            if not self._is_current():
                self._open()
            os.write(self._file, (line + "\n").encode())

    def close(self) -> None:
        """No more lines."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _is_current(self) -> bool:
        try:
            there = os.stat(self.path)  # noqa: PTH116  # quicker, and each request comes by here
            if there.st_size >= self.largest:
                with contextlib.suppress(PermissionError):  # then it grows
                    self._begin_anew()
                    return False
        except FileNotFoundError:
            return False
        return there.st_ino == self._inode

    def _open(self) -> None:
        opened = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.close()
        self._file, self._inode = opened, os.fstat(opened).st_ino

    def _begin_anew(self) -> None:
        with self.path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ours, there = os.fstat(file.fileno()), self.path.stat()
            if ours.st_ino != there.st_ino or there.st_size < self.largest:
                return  # another process was quicker
            for number in range(KEPT - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._older(number).replace(self._older(number + 1))
            self.path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


class _Log:
    """Where lines go: nowhere, until `write_to`."""

    file: LogFile | None = None
    verbose = False


def write_to(folder: Path, *, verbose: bool = False) -> None:
    """STUDY/server.log, by all processes. verbose: requests on the error stream too, not trouble alone."""
    close()
    _Log.file, _Log.verbose = LogFile(folder / FILE), verbose
    waitress = logging.getLogger("waitress")
    waitress.handlers, waitress.propagate = [_FromWaitress(logging.WARNING)], False


def close() -> None:
    """No more lines."""
    if _Log.file is not None:
        _Log.file.close()
        _Log.file = None


class _FromWaitress(logging.Handler):
    """What waitress has to say, without the address that it says it of, which holds tokens."""

    def emit(self, record: logging.LogRecord) -> None:
        """A line, of where it was said."""
        kind = record.exc_info[0] if record.exc_info else None
        trouble("connections", where=record.funcName, **({"error": kind.__name__} if kind else {}))


def add_to(app: Flask) -> None:
    """One line a request, after it."""

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(reply: Response) -> Response:
        if _Log.file is not None and not request.path.startswith("/static/"):
            route = str(request.url_rule) if request.url_rule else "unknown"
            ms = round(1000 * (time.perf_counter() - g.get("begun", time.perf_counter())), 1)
            method = request.method if request.method in METHODS else "unknown"
            facts = {"method": method, "route": route, "status": reply.status_code, "ms": ms}
            facts |= {name: g.get(name) for name in ("session", "why") if g.get(name)}
            _write("request", facts, show=_Log.verbose or reply.status_code >= 500)
        return reply


def note(kind: str, **facts: Any) -> None:
    """A line."""
    _write(kind, facts, show=_Log.verbose)


def trouble(kind: str, **facts: Any) -> None:
    """A line that somebody should read."""
    _write(kind, facts, show=True)


def session(public_id: str) -> None:
    """Whose request it is, by the number that exports have."""
    g.session = public_id


def mark(why: str) -> None:
    """Why a request was refused."""
    g.why = why


def failure(number: str, error: BaseException) -> None:
    """What nobody expected, and where, under the number that the browser was told."""
    trouble("failure", number=number, error=_said(error), traceback=_frames(error))


def _write(kind: str, facts: dict[str, Any], *, show: bool) -> None:
    if _Log.file is None:
        return
    at = now()
    _Log.file.write(_encode({"at": at, "kind": kind, **facts}))
    if show:
        shown = " ".join(str(fact) for name, fact in facts.items() if name != "traceback")
        with contextlib.suppress(OSError, ValueError):  # whoever looked on has gone
            print(at, kind, shown, file=sys.stderr, flush=True)


def _said(error: BaseException) -> str:
    """The first line: in those below databases tell the values that they were given."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:SENTENCE]}" if lines else type(error).__name__


def _frames(error: BaseException) -> list[str]:
    """Of the error and of those that it came from, the innermost last."""
    frames: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        frames = [*(line.rstrip() for line in traceback.format_tb(cause.__traceback__)), _said(cause), *frames]
        cause = cause.__cause__ or cause.__context__
    return frames
