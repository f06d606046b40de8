"""A session's rows go in; what its participant's page may know comes out: no truth, no arm, no name of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session as Transaction

from study_server.config import StudyConfig
from study_server.store.models import Session, Trial

if TYPE_CHECKING:
    from study_server.sessions.study import Study

_QUESTIONS = (
    select(Trial.position, Trial.phase, Trial.token, Trial.look)
    .where(Trial.session_id == bindparam("of"))
    .order_by(Trial.position)
)
BEFORE_TRIALS = ("CONSENTED", "CHECKED", "PRELOADED", "PRACTICE", "MAIN")
PROLIFIC = "https://app.prolific.com/submissions/complete?cc="


class Seen(Protocol):
    """What a view needs of a session, be it a row or an object."""

    @property
    def public_id(self) -> str: ...  # noqa: D102
    @property
    def platform(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def language(self) -> str: ...  # noqa: D102
    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def code(self) -> str | None: ...  # noqa: D102


class Question(Protocol):
    """And of a trial."""

    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def phase(self) -> str: ...  # noqa: D102
    @property
    def token(self) -> str: ...  # noqa: D102
    @property
    def look(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True)
class View:
    """Where a session is, as its page sees it. submit: of a platform's own form, told once on entry."""

    session: str
    state: str
    content: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The values that JSON has."""
        return {"session": self.session, "state": self.state, **self.content}


def view_of(study: "Study", found: Transaction, session: Session) -> View:
    """Everything; the stimuli to preload are in the order of their names, which says nothing of the trials'."""
    if session.state not in BEFORE_TRIALS:
        return _view(study, session, None, ())
    trials = found.execute(_QUESTIONS, {"of": session.id}).all()
    left = sorted(_address(trial) for trial in trials[session.position :])
    return _view(study, session, _at(trials, session.position), left)


def next_view(study: "Study", session: Seen, following: Question | None) -> View:
    """After an answer: as view_of, without what was preloaded long ago."""
    return _view(study, session, following, ())


def _view(study: "Study", session: Seen, trial: Question | None, preload: Sequence[str]) -> View:
    state = session.state
    content = {
        **study.page[session.language],
        "language": session.language,
        "position": session.position,
        "trial": _question(study.config, trial) if trial is not None and state in BEFORE_TRIALS else None,
        "preload": list(preload),
        **ending_of(study.config, session),
        "submit": None,
    }
    return View(session.public_id, state, content)


def page_facts(config: StudyConfig) -> dict[str, dict[str, Any]]:
    """What every view of the study says alike, by language."""
    counts = config.trials
    alike: dict[str, Any] = {
        "languages": list(config.about.languages),
        "asked": config.asked,
        "layout": config.layout,
        "preset": config.preset,
        "length": {"practice": counts.practice, "scored": counts.scored + counts.catch},
        "exposure": config.exposure.model_dump(),
        "break_after": counts.break_after,
        "ask": {
            "age": config.participants.minimum_age,
            "demographics": config.participants.demographics,
            "questionnaire": config.participants.questionnaire,
        },
        "title": config.about.title,
        "contact": config.about.contact,
    }
    return {language: alike | {"texts": config.texts.get(language, {})} for language in config.about.languages}


def _question(config: StudyConfig, trial: Question) -> dict[str, Any]:
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


def ending_of(config: StudyConfig, session: Seen) -> dict[str, str | None]:
    """The code that shows that somebody has taken part, and the way back; None where there is none, or not yet."""
    return {"code": session.code, "redirect": _redirect(config, session)}


def _redirect(config: StudyConfig, session: Seen) -> str | None:
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


def _address(trial: Question) -> str:
    return f"/api/stimuli/{trial.token}"


def _at(trials: Sequence[Any], position: int) -> Question | None:
    return trials[position] if position < len(trials) else None
