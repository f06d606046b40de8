"""Begins and answers of trials go in: an image is seen once, an answer kept once, in order, whatever comes twice.

These two requests are nearly all that a study's server is asked, so each is one transaction of two or three statements
that are built once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from study_server.config import Exposure, Layout
from study_server.manifest import STIMULI, Side
from study_server.sessions.assignment import lease_from
from study_server.sessions.identity import digest_of
from study_server.sessions.journal import line_of
from study_server.sessions.lifecycle import new_code, writing_fast
from study_server.sessions.refusals import RefusedError, no_storage, other_page, wrong_state
from study_server.sessions.strangers import refusal_of
from study_server.sessions.study import Study, stamp
from study_server.sessions.view import View, next_view
from study_server.store.models import LIVE, Answer, Event, Session, Trial

ASKING = ("PRELOADED", "PRACTICE", "MAIN")
SHOWN: Mapping[Layout, set[str]] = {"sequential": {"left", "right"}, "simultaneous": {"both"}}
_NAMES = ("id", "public_id", "platform", "client", "state", "arm", "language", "position", "lease_until", "code")
_OF_SESSION = tuple(getattr(Session, name) for name in _NAMES)
_OF_TRIAL = tuple(
    getattr(Trial, name).label(f"trial_{name}")
    for name in ("id", "position", "phase", "pair_id", "real_side", "asked", "token", "look", "looks")
)
_AT = (Trial.session_id == Session.id) & Trial.position.in_((bindparam("here"), bindparam("after")))
_WHOSE = Session.token_sha256 == bindparam("digest")
# PostgreSQL gives rows as they are now, not as they were when the wait for a lock began, for locked tables alone.
_SESSION_AND_TRIALS = (
    select(*_OF_SESSION, *_OF_TRIAL).join(Trial, _AT).where(_WHOSE).with_for_update(of=(Session, Trial))
)
_SESSION_ALONE = select(*_OF_SESSION).where(_WHOSE).with_for_update()
_MOVE = (
    update(Session)
    .where(Session.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in ("state", "position", "lease_until", "ended_at", "code")})
)
_LOOK = (
    update(Trial)
    .where(Trial.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in ("look", "looked_at", "looks")})
)
_KEEP = insert(Answer).returning(Answer.id)
_NOTE = insert(Event)
_GIVEN_BEFORE = select(Answer.attempt, Answer.clicked).where(Answer.trial_id == bindparam("of"))
_STIMULUS = (
    select(Session.client, Trial.pair_id, Trial.real_side)
    .outerjoin(Trial, (Trial.session_id == Session.id) & (Trial.token == bindparam("name")))
    .where(Session.token_sha256 == bindparam("digest"))
)


@dataclass(frozen=True)
class Given:
    """An answer as the page sends it. attempt: its own id, the same when it is sent again."""

    attempt: str
    clicked: Side
    measurements: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """What the page hears: where the session is now; of a practice trial also where the real image was."""

    view: View
    feedback: Mapping[str, Any] | None


class Asked(NamedTuple):
    """One trial of a session, as a row has it."""

    id: int
    position: int
    phase: str
    pair_id: str
    real_side: str
    asked: str
    token: str
    look: str | None
    looks: int


@dataclass
class Now:
    """A session in a transaction that moves it on. trials: those that were asked for, by position."""

    id: int
    public_id: str
    platform: str
    client: str
    state: str
    arm: str | None
    language: str
    position: int
    lease_until: str | None
    code: str | None
    trials: Mapping[int, Asked]
    ended_at: str | None = None
    is_changed: bool = True


def begin(study: Study, token: str, client: str, position: int, look: str) -> bool:
    """Whether the page may show the trial: the first that asks may, and again under the same id, no other ever."""
    with writing_fast(study) as found:
        now = _held(study, found, token, client, position)
        trial = _current(now, position)
        now.is_changed = now.state == "PRELOADED"  # the answer, which follows soon, renews the lease
        if now.state == "PRELOADED":
            _enter(study, found, now, "PRACTICE" if trial.phase == "practice" else "MAIN")
        granted = trial.look in (None, look)
        looks = trial.looks if trial.look == look else trial.looks + 1
        if trial.look != look:
            seen = {"new_look": trial.look or look, "new_looked_at": stamp(study.clock()), "new_looks": looks}
            found.execute(_LOOK if trial.look is None else _LOOKS_ONLY, {"of": trial.id, **seen})
        if not granted:
            _note(study, found, now, "second_look_refused", {"position": position})
        if now.is_changed:
            _move(found, now)
        return granted


def answer(study: Study, token: str, client: str, position: int, given: Given) -> Answered:
    """Keep it, exactly once. The same attempt again gets the same reply; another one for the same trial is refused."""
    line: dict[str, Any] | None = None
    with writing_fast(study) as found:
        now = _held(study, found, token, client, position)
        trial = now.trials.get(position)
        if trial is None:
            raise RefusedError(409, "wrong_trial", "There is no such trial.")
        if position < now.position:
            _refuse_another(found, trial, given)
        else:
            line = _keep(study, found, now, trial, given)
            _go_on(study, found, now, now.trials.get(position + 1))
        _move(found, now)
    _write_down(study, line)
    return Answered(next_view(study, now, now.trials.get(now.position)), _feedback(trial, given))


def stimulus(study: Study, token: str, client: str, name: str) -> Path:
    """The file of a composite, for the session whose trial has that name, and for nobody else."""
    with study.database.reading() as found:
        row = found.execute(_STIMULUS, {"digest": digest_of(token), "name": name}).one_or_none()
        if row is None:
            raise refusal_of(found, token)
    if row.client != client:
        raise other_page()
    if row.pair_id is None:
        raise RefusedError(404, "not_found", "There is no such image.")
    side: Side = "left" if row.real_side == "left" else "right"
    return study.folder / STIMULI / study.manifest.by_id[row.pair_id].stimulus(side)


def flags_of(exposure: Exposure, layout: Layout, looks: int, measurements: Mapping[str, Any]) -> list[str]:
    """What speaks against a trial: "exposure" missed by more than the tolerance, "hidden", "reloaded", or "unseen".

    An exposure of which the page did not tell how long it was, or not at all, is one that was missed.
    """
    flags = []
    shown = [_shown_ms(each) for each in _exposures(measurements)]
    sides = {each.get("side") for each in _exposures(measurements)}
    if looks > 1:
        flags.append("reloaded")
    if not shown:
        flags.append("unseen")
    is_whole = not shown or sides == SHOWN[layout]
    if not is_whole or any(ms is None or abs(ms - exposure.shown_ms) > exposure.tolerance_ms for ms in shown):
        flags.append("exposure")
    if measurements.get("visible") is False:
        flags.append("hidden")
    return flags


_LOOKS_ONLY = update(Trial).where(Trial.id == bindparam("of")).values(looks=bindparam("new_looks"))


def _write_down(study: Study, line: Mapping[str, Any] | None) -> None:
    """In the journal, or the page does not hear that its answer is kept, and sends it again."""
    try:
        if line is None:
            study.journal.settle()
        else:
            study.journal.add(line)
    except OSError:
        raise no_storage() from None


def _held(study: Study, found: Connection, token: str, client: str, position: int) -> Now:
    """The token's session, locked, its lease anew. A clock that was set back shortens no lease."""
    whose = {"digest": digest_of(token)}
    rows = found.execute(_SESSION_AND_TRIALS, whose | {"here": position, "after": position + 1}).all()
    session = rows[0] if rows else found.execute(_SESSION_ALONE, whose).one_or_none()
    if session is None:
        raise refusal_of(found, token)
    count = len(_OF_SESSION)
    trials = {row.trial_position: Asked(*row[count:]) for row in rows}
    now = Now(**dict(zip(_NAMES, session[:count], strict=True)), trials=trials)
    if now.client != client:
        raise other_page()
    if now.state in LIVE:
        now.lease_until = max(now.lease_until or "", lease_from(study))
    return now


def _current(now: Now, position: int) -> Asked:
    if now.state not in ASKING:
        raise wrong_state(now.state)
    if position != now.position:
        raise RefusedError(409, "wrong_trial", f"Trial {now.position} is asked now.")
    return now.trials[position]


def _refuse_another(found: Connection, trial: Asked, given: Given) -> None:
    before = found.execute(_GIVEN_BEFORE, {"of": trial.id}).one()
    if tuple(before) != (given.attempt, given.clicked):
        raise RefusedError(409, "answered", "This trial has been answered already.")


def _keep(study: Study, found: Connection, now: Now, trial: Asked, given: Given) -> dict[str, Any]:
    if now.state not in ("PRACTICE", "MAIN"):
        raise wrong_state(now.state)
    if trial.position != now.position:
        raise RefusedError(409, "wrong_trial", f"Trial {now.position} is asked now.")
    if trial.look is None:
        raise RefusedError(409, "wrong_state", "This trial has not been shown yet.")
    seen = _exposures(given.measurements)
    first: Mapping[str, Any] = seen[0] if seen else {}
    values = {
        "trial_id": trial.id,
        "session_id": now.id,
        "attempt": given.attempt,
        "answered_at": stamp(study.clock()),
        "clicked": given.clicked,
        "chose_real": given.clicked == trial.real_side,
        "rt_ms": given.measurements.get("rt_ms"),
        "shown_ms": _shown_ms(first),
        "frames": first.get("frames"),
        "longest_gap_ms": max((each.get("longest_gap_ms") or 0.0 for each in seen), default=None),
        "input": given.measurements.get("input"),
        "flags": flags_of(study.config.exposure, study.config.layout, trial.looks, given.measurements),
        "measurements": dict(given.measurements),
    }
    number = found.execute(_KEEP, values).scalar_one()
    return line_of(int(number), now.public_id, now.arm, trial, values)


def _go_on(study: Study, found: Connection, now: Now, following: Asked | None) -> None:
    now.position += 1
    if following is None and study.config.participants.questionnaire:
        _enter(study, found, now, "QUESTIONNAIRE")
    elif following is None:
        now.ended_at, now.lease_until, now.code = stamp(study.clock()), None, now.code or new_code(study)
        _enter(study, found, now, "DONE")
    elif now.state == "PRACTICE" and following.phase != "practice":
        _enter(study, found, now, "MAIN")


def _enter(study: Study, found: Connection, now: Now, state: str) -> None:
    now.state = state
    _note(study, found, now, "state", {"state": state})


def _note(study: Study, found: Connection, now: Now, kind: str, detail: Mapping[str, Any]) -> None:
    found.execute(_NOTE, {"session_id": now.id, "at": stamp(study.clock()), "kind": kind, "detail": dict(detail)})


def _move(found: Connection, now: Now) -> None:
    names = ("state", "position", "lease_until", "ended_at", "code")
    found.execute(_MOVE, {"of": now.id, **{f"new_{name}": getattr(now, name) for name in names}})


def _feedback(trial: Asked, given: Given) -> dict[str, Any] | None:
    """The truth leaves the server here alone, for practice alone, after the answer."""
    if trial.phase != "practice":
        return None
    is_real = given.clicked == trial.real_side
    return {"real_side": trial.real_side, "correct": is_real == (trial.asked == "real")}


def _exposures(measurements: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    exposures = measurements.get("exposures")
    return [each for each in exposures if isinstance(each, Mapping)] if isinstance(exposures, list | tuple) else []


def _shown_ms(exposure: Mapping[str, Any]) -> float | None:
    onset, offset = exposure.get("onset_ms"), exposure.get("offset_ms")
    return float(offset - onset) if onset is not None and offset is not None else None
