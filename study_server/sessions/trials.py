"""Begins and answers of trials go in: an image is seen once, an answer kept once, in order, whatever comes twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session as Transaction

from study_server.config import Exposure
from study_server.manifest import STIMULI, Side
from study_server.sessions.journal import line_of
from study_server.sessions.lifecycle import end, enter_state, held, known, note, writing, wrong_state
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import Study, stamp
from study_server.sessions.view import View, next_view
from study_server.store.models import Answer, Session, Trial

ASKING = ("PRELOADED", "PRACTICE", "MAIN")


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


def begin(study: Study, token: str, client: str, position: int, look: str) -> bool:
    """Whether the page may show the trial: the first that asks may, and again under the same id, no other ever."""
    with writing(study) as found:
        session = held(study, found, token, client)
        trial = _current(found, session, position)
        if session.state == "PRELOADED":
            enter_state(study, found, session, "PRACTICE" if trial.phase == "practice" else "MAIN")
        if trial.look is None:
            trial.look, trial.looked_at, trial.looks = look, stamp(study.clock()), 1
            return True
        if trial.look == look:
            return True
        trial.looks += 1
        note(study, found, session, "second_look_refused", {"position": position})
        return False


def answer(study: Study, token: str, client: str, position: int, given: Given) -> Answered:
    """Keep it, exactly once. The same attempt again gets the same reply; another one for the same trial is refused."""
    line: dict[str, Any] | None = None
    with writing(study) as found:
        session = held(study, found, token, client)
        trials = _asked_next(found, session, position)
        trial = trials.get(position)
        if trial is None:
            raise RefusedError(409, "wrong_trial", "There is no such trial.")
        if position < session.position:
            _refuse_another(found, trial, given)
        else:
            line = _keep(study, found, session, trial, given)
            _move_on(study, found, session, trials.get(position + 1))
        reply = Answered(next_view(study, session, trials.get(session.position)), _feedback(trial, given))
    if line is not None:
        study.journal.add(line)
    return reply


def stimulus(study: Study, token: str, client: str, name: str) -> Path:
    """The file of a composite, for the session whose trial has that name, and for nobody else."""
    with study.database.read() as found:
        session = known(found, token, client)
        trial = found.scalar(select(Trial).where(Trial.token == name, Trial.session_id == session.id))
    if trial is None:
        raise RefusedError(404, "not_found", "There is no such image.")
    side: Side = "left" if trial.real_side == "left" else "right"
    return study.folder / STIMULI / study.manifest.by_id[trial.pair_id].stimulus(side)


def flags_of(exposure: Exposure, looks: int, measurements: Mapping[str, Any]) -> list[str]:
    """What speaks against a trial: "exposure" missed by more than the tolerance, "hidden", "reloaded", or "unseen"."""
    flags = []
    shown = [_shown_ms(each) for each in _exposures(measurements)]
    if looks > 1:
        flags.append("reloaded")
    if not shown:
        flags.append("unseen")
    if any(ms is None or abs(ms - exposure.shown_ms) > exposure.tolerance_ms for ms in shown):
        flags.append("exposure")
    if measurements.get("visible") is False:
        flags.append("hidden")
    return flags


def _current(found: Transaction, session: Session, position: int) -> Trial:
    if session.state not in ASKING:
        raise wrong_state(session)
    if position != session.position:
        raise RefusedError(409, "wrong_trial", f"Trial {session.position} is asked now.")
    return found.scalars(select(Trial).where(Trial.session_id == session.id, Trial.position == position)).one()


def _asked_next(found: Transaction, session: Session, position: int) -> dict[int, Trial]:
    """The trial, the one after it, and the one that is asked now, where there are such."""
    wanted = {position, position + 1, session.position}
    rows = found.scalars(select(Trial).where(Trial.session_id == session.id, Trial.position.in_(wanted)))
    return {trial.position: trial for trial in rows}


def _refuse_another(found: Transaction, trial: Trial, given: Given) -> None:
    attempt, clicked = found.execute(select(Answer.attempt, Answer.clicked).where(Answer.trial_id == trial.id)).one()
    if (attempt, clicked) != (given.attempt, given.clicked):
        raise RefusedError(409, "answered", "This trial has been answered already.")


def _keep(study: Study, found: Transaction, session: Session, trial: Trial, given: Given) -> dict[str, Any]:
    if session.state not in ("PRACTICE", "MAIN"):
        raise wrong_state(session)
    if trial.position != session.position:
        raise RefusedError(409, "wrong_trial", f"Trial {session.position} is asked now.")
    if trial.look is None:
        raise RefusedError(409, "wrong_state", "This trial has not been shown yet.")
    seen = _exposures(given.measurements)
    first: Mapping[str, Any] = seen[0] if seen else {}
    values = {
        "trial_id": trial.id,
        "session_id": session.id,
        "attempt": given.attempt,
        "answered_at": stamp(study.clock()),
        "clicked": given.clicked,
        "chose_real": given.clicked == trial.real_side,
        "rt_ms": given.measurements.get("rt_ms"),
        "shown_ms": _shown_ms(first),
        "frames": first.get("frames"),
        "longest_gap_ms": max((each.get("longest_gap_ms") or 0.0 for each in seen), default=None),
        "input": given.measurements.get("input"),
        "flags": flags_of(study.config.exposure, trial.looks, given.measurements),
        "measurements": dict(given.measurements),
    }
    number = found.execute(insert(Answer).values(**values).returning(Answer.id)).scalar_one()
    return line_of(int(number), session.public_id, session.arm, trial, values)


def _move_on(study: Study, found: Transaction, session: Session, following: Trial | None) -> None:
    session.position += 1
    if following is None and study.config.participants.questionnaire:
        enter_state(study, found, session, "QUESTIONNAIRE")
    elif following is None:
        end(study, found, session, "DONE")
    elif session.state == "PRACTICE" and following.phase != "practice":
        enter_state(study, found, session, "MAIN")


def _feedback(trial: Trial, given: Given) -> dict[str, Any] | None:
    """The truth leaves the server here alone, for practice alone, after the answer."""
    if trial.phase != "practice":
        return None
    is_real = given.clicked == trial.real_side
    return {"real_side": trial.real_side, "correct": is_real == (trial.asked == "real")}


def _exposures(measurements: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    exposures = measurements.get("exposures")
    return [each for each in exposures if isinstance(each, Mapping)] if isinstance(exposures, list | tuple) else []


def _shown_ms(exposure: Mapping[str, Any]) -> float | None:
    ends = exposure.get("onset_ms"), exposure.get("offset_ms")
    onset, offset = ends
    return float(offset - onset) if onset is not None and offset is not None else None
