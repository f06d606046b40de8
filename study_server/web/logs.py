"""Requests go in; one line of JSON each comes out, by which a study can be followed and nobody be known.

No address of a participant, no query, no token and no identity is written: a route stands as it is declared.
"""

import json
import logging
import time
import traceback
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request

from cgeval.runs import now

FILE = "server.log"
log = logging.getLogger("study_server")


def write_to(folder: Path) -> None:
    """STUDY/server.log, by all processes; a program such as logrotate may move it away at any time."""
    handler = WatchedFileHandler(folder / FILE, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    for before in log.handlers[:]:
        log.removeHandler(before)
        before.close()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # in no line, and found out for each


def add_to(app: Flask) -> None:
    """One line a request, after it."""

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(reply: Response) -> Response:
        if log.handlers and not request.path.startswith("/static/"):
            route = str(request.url_rule) if request.url_rule else "unknown"
            ms = round(1000 * (time.perf_counter() - g.get("begun", time.perf_counter())), 1)
            facts = {"method": request.method, "route": route, "status": reply.status_code, "ms": ms}
            note("request", **facts, **{name: g.get(name) for name in ("session", "why") if g.get(name)})
        return reply


def note(kind: str, **facts: Any) -> None:
    """A line."""
    if log.isEnabledFor(logging.INFO):  # without a search for the caller, whom no line names
        text = json.dumps({"at": now(), "kind": kind, **facts}, ensure_ascii=False)
        log.handle(log.makeRecord(log.name, logging.INFO, "", 0, text, (), None))


def session(public_id: str) -> None:
    """Whose request it is, by the number that exports have."""
    g.session = public_id


def mark(why: str) -> None:
    """Why a request was refused."""
    g.why = why


def failure(number: str, error: Exception) -> None:
    """What nobody expected, with its traceback, under the number that the browser was told."""
    note("failure", number=number, error=repr(error), traceback=traceback.format_exception(error))
