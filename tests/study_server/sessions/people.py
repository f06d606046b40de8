"""Short ways to be a participant, by the functions that the API calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from study_server.sessions import lifecycle, trials
from study_server.sessions.lifecycle import Entrance
from study_server.sessions.study import Study
from study_server.sessions.trials import Answered, Given
from study_server.sessions.view import View

SEEN: Mapping[str, Any] = {
    "rt_ms": 400.0,
    "exposures": [
        {"side": "left", "onset_ms": 0.0, "offset_ms": 100.0, "frames": 6, "longest_gap_ms": 17.0},
        {"side": "right", "onset_ms": 120.0, "offset_ms": 220.0, "frames": 6, "longest_gap_ms": 17.0},
    ],
    "visible": True,
    "input": "mouse",
}


@dataclass
class Clock:
    """Stands still until it is set, forwards or back."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go(self, **how: float) -> None:
        """Such as minutes=20, or minutes=-20."""
        self.now += timedelta(**how)


@dataclass
class Person:
    """One participant in one page."""

    study: Study
    name: str
    client: str = "page"
    token: str = ""
    view: View | None = None
    answered: dict[int, str] = field(default_factory=dict)

    def enter(self) -> "Person":
        ticket = lifecycle.enter(self.study, Entrance("open", self.name, "en", self.client, {}))
        self.token, self.view = ticket.token, ticket.view
        return self

    def consent(self, agreed: bool = True) -> "Person":
        self.view = lifecycle.consent(self.study, self.token, self.client, agreed, {})
        return self

    def prepare(self, **device: Any) -> "Person":
        self.view = lifecycle.device(self.study, self.token, self.client, {"width_px": 1200, "height_px": 900} | device)
        if self.view.state == "CHECKED":
            self.view = lifecycle.ready(self.study, self.token, self.client)
        return self

    def come(self) -> "Person":
        """All the way to the first trial."""
        return self.enter().consent().prepare()

    def begin(self, position: int, look: str = "look") -> bool:
        return trials.begin(self.study, self.token, self.client, position, look)

    def answer(self, position: int, clicked: str = "left", attempt: str = "", **seen: Any) -> Answered:
        given = Given(attempt or f"attempt-{position}", clicked, dict(SEEN) | seen)  # type: ignore[arg-type]
        reply = trials.answer(self.study, self.token, self.client, position, given)
        self.view = reply.view
        return reply

    def trial(self, position: int, clicked: str = "left") -> Answered:
        self.begin(position)
        return self.answer(position, clicked)

    def finish(self) -> "Person":
        """All trials that are left, and the last page."""
        assert self.view is not None
        while self.view.state in ("PRELOADED", "PRACTICE", "MAIN"):
            self.trial(self.view.content["position"])
        self.view = lifecycle.questionnaire(self.study, self.token, self.client, {})
        return self
