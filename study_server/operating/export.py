"""A study goes in; its sessions, trials and events come out as CSV and JSON lines, with a codebook that explains them.

One snapshot is read, a row at a time, while the server goes on. A trial without an answer is missing: its cells are
empty, and it is not counted as any answer.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from cgeval.errors import OutputError
from study_server.building.place import holds_only, swapped_in
from study_server.manifest import Manifest
from study_server.operating.codebook import CODEBOOK, as_markdown
from study_server.store.engine import Database
from study_server.store.models import Answer, Event, Session, Trial

FORMATS = ("csv", "jsonl")
AT_ONCE = 1000  # rows
FILES = {f"{table}.{kind}" for table in CODEBOOK for kind in FORMATS} | {"codebook.md", "codebook.json"}
OTHER_FORMS = re.compile(r"amt\.csv|lme4\.(csv|R)|jspsych-\w+\.json")  # files of `exchange`


def export(
    database: Database, manifest: Manifest, out: Path, formats: tuple[str, ...], *, overwrite: bool
) -> list[Path]:
    """Write the tables into the folder `out`, whole or not at all. Raises OutputError where that cannot be.

    overwrite: an export that is there already goes once the new one is whole; anything else never does.
    """
    with made_or_replaced(out, overwrite) as work:
        write_tables(database, manifest, work, formats)
    return sorted(out.iterdir())


@contextmanager
def made_or_replaced(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which takes the place of `out` when the block ends well; raises OutputError as `export`."""
    refuse_place(out, overwrite)
    with swapped_in(out) as work:
        yield work
        refuse_place(out, overwrite)


def refuse_place(out: Path, overwrite: bool) -> None:
    """Raise OutputError where an export may not be put."""
    if not (out.exists() or out.is_symlink()):
        return
    if not overwrite:
        raise OutputError(f"{out} is there already: name a new folder, or add --overwrite.")
    if not holds_only(out, _is_export):
        raise OutputError(f"{out} is there already and is more than an export, so it stays: name a new folder.")


def _is_export(name: str) -> bool:
    return name in FILES or OTHER_FORMS.fullmatch(name) is not None


def write_tables(database: Database, manifest: Manifest, folder: Path, formats: tuple[str, ...]) -> None:
    """All tables of one moment, and the codebook."""
    with database.read() as found:
        for name, rows in tables(found, manifest).items():
            _write(folder, name, rows, formats)
    (folder / "codebook.md").write_text(as_markdown(), encoding="utf-8")
    (folder / "codebook.json").write_text(json.dumps(CODEBOOK, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tables(found: Transaction, manifest: Manifest) -> dict[str, Iterator[dict[str, Any]]]:
    """Rows by table, each with the columns of the codebook, in its order."""
    return {"sessions": _sessions(found), "trials": _trials(found, manifest), "events": _events(found)}


def _sessions(found: Transaction) -> Iterator[dict[str, Any]]:
    for session in found.scalars(select(Session).order_by(Session.id)).yield_per(AT_ONCE):
        told = {"session": session.public_id, "consented": session.consented_at is not None}
        names = ("platform", "arm", "state", "language", "entered_at", "consented_at", "ended_at", "flags", "seed")
        yield _row("sessions", told | _of(session, names) | {"device": session.device, "replies": session.replies})


def _trials(found: Transaction, manifest: Manifest) -> Iterator[dict[str, Any]]:
    query = (
        select(Session.public_id, Session.arm, Session.state, Trial, Answer)
        .join(Trial, Trial.session_id == Session.id)
        .outerjoin(Answer, Answer.trial_id == Trial.id)
        .order_by(Session.id, Trial.position)
        .execution_options(yield_per=AT_ONCE)
    )
    for public_id, arm, state, trial, answer in found.execute(query):
        pair = manifest.by_id[trial.pair_id]
        told = {"session": public_id, "arm": arm, "session_state": state, "trial_index": trial.position}
        told |= _of(trial, ("phase", "pair_id", "real_side", "asked", "looked_at", "looks"))
        told |= {"real": pair.real, "fake": pair.fake, "answered": answer is not None}
        yield _row("trials", told | (_answered(trial, answer) if answer is not None else {}))


def _answered(trial: Trial, answer: Answer) -> dict[str, Any]:
    correct = answer.chose_real == (trial.asked == "real")
    names = ("chose_real", "answered_at", "shown_ms", "frames", "longest_gap_ms", "input", "flags", "measurements")
    told = {"response": answer.clicked, "rt": answer.rt_ms, "correct": correct, "fooled": not correct}
    return told | _of(answer, names) | {"time_elapsed": answer.measurements.get("time_elapsed")}


def _events(found: Transaction) -> Iterator[dict[str, Any]]:
    query = (
        select(Event, Session.public_id)
        .outerjoin(Session, Session.id == Event.session_id)
        .order_by(Event.id)
        .execution_options(yield_per=AT_ONCE)
    )
    for event, public_id in found.execute(query):
        yield _row("events", {"session": public_id} | _of(event, ("at", "kind", "detail")))


def _of(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _row(table: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """With every column of the codebook; what is not told is missing."""
    return {column: told.get(column) for column in CODEBOOK[table]}


def _write(folder: Path, name: str, rows: Iterator[dict[str, Any]], formats: tuple[str, ...]) -> None:
    with (
        (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as table,
        (folder / f"{name}.jsonl").open("w", encoding="utf-8") as lines,
    ):
        writer = csv.writer(table)
        writer.writerow(CODEBOOK[name])
        for row in rows:
            writer.writerow([_cell(value) for value in row.values()])
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    for suffix in FORMATS:
        if suffix not in formats:
            (folder / f"{name}.{suffix}").unlink()


def _cell(value: Any) -> Any:
    """true, false and JSON as such; nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value
