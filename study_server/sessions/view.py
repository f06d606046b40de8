"""A session's rows go in; what its participant's page may know comes out: no truth, no arm, no name of an image."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from study_server.config import StudyConfig
from study_server.sessions.study import Study
from study_server.store.models import Session, Trial

BEFORE_TRIALS = ("CONSENTED", "CHECKED", "PRELOADED", "PRACTICE", "MAIN")
PROLIFIC = "https://app.prolific.com/submissions/complete?cc="


@dataclass(frozen=True)
class View:
    """Where a session is, as its page sees it. submit: of a platform's own form, told once on entry."""

    session: str
    state: str
    content: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The values that JSON has."""
        return {"session": self.session, "state": self.state, **self.content}


def view_of(study: Study, found: Transaction, session: Session) -> View:
    """Everything; the stimuli to preload are in an order of their own, which says nothing of the trials'."""
    if session.state not in BEFORE_TRIALS:
        return _view(study, session, None, ())
    trials = found.scalars(select(Trial).where(Trial.session_id == session.id).order_by(Trial.position)).all()
    left = [_address(trial) for trial in trials[session.position :]]
    random.Random(session.seed).shuffle(left)
    return _view(study, session, _at(trials, session.position), left)


def next_view(study: Study, session: Session, following: Trial | None) -> View:
    """After an answer: as view_of, without what was preloaded long ago."""
    return _view(study, session, following, ())


def _view(study: Study, session: Session, trial: Trial | None, preload: Sequence[str]) -> View:
    config, state = study.config, session.state
    counts = config.trials
    content = {
        "language": session.language,
        "languages": list(config.about.languages),
        "asked": config.asked,
        "layout": config.layout,
        "preset": config.preset,
        "position": session.position,
        "length": {"practice": counts.practice, "scored": counts.scored + counts.catch},
        "trial": _question(config, trial) if trial is not None and state in BEFORE_TRIALS else None,
        "preload": list(preload),
        "exposure": config.exposure.model_dump(),
        "break_after": counts.break_after,
        "ask": {
            "age": config.participants.minimum_age,
            "demographics": config.participants.demographics,
            "questionnaire": config.participants.questionnaire,
        },
        "title": config.about.title,
        "contact": config.about.contact,
        "texts": config.texts.get(session.language, {}),  # type: ignore[call-overload]
        "code": session.code,
        "redirect": _redirect(config, session),
        "submit": None,
    }
    return View(session.public_id, state, content)


def _question(config: StudyConfig, trial: Trial) -> dict[str, Any]:
    """A catch trial looks like any scored one."""
    practice = config.trials.practice
    is_practice = trial.phase == "practice"
    return {
        "position": trial.position,
        "phase": "practice" if is_practice else "scored",
        "number": trial.position + 1 if is_practice else trial.position + 1 - practice,
        "stimulus": _address(trial),
        "looked": trial.look is not None,
    }


def _redirect(config: StudyConfig, session: Session) -> str | None:
    """Where a platform wants its participants back, with the code for how the session ended."""
    if session.platform != "prolific":
        return None
    entry = config.entry
    codes = {
        "DONE": entry.prolific_code_completed,
        "DECLINED": entry.prolific_code_declined,
        "SCREENED_OUT": entry.prolific_code_screened_out,
    }
    code = codes.get(session.state)
    return f"{PROLIFIC}{code}" if code else None


def _address(trial: Trial) -> str:
    return f"/api/stimuli/{trial.token}"


def _at(trials: Sequence[Trial], position: int) -> Trial | None:
    return trials[position] if position < len(trials) else None
