"""Whatever people, pages, connections and clocks do, in whatever order: what is stored stays as it must be."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from study_server.sessions import lifecycle
from study_server.sessions.assignment import counted
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import open_study
from study_server.store.models import Answer, Base, Session
from tests.study_server.sessions.people import Clock, Person
from tests.study_server.small_study import small_study

PEOPLE = st.sampled_from(["ann", "bob", "cho"])
PAGES = st.sampled_from(["first", "second"])
WANTED = 2  # participants of each arm


class Study(RuleBasedStateMachine):
    """Three people with two pages each. `acknowledged` is what they were told is kept."""

    folder: Path
    url: str | None

    @initialize()
    def begin_study(self) -> None:
        self.clock = Clock()
        self.place = tempfile.TemporaryDirectory()
        self.study = open_study(self.copy(), self.url, self.clock)
        self.tokens: dict[tuple[str, str], str] = {}
        self.acknowledged: dict[tuple[str, int], tuple[str, str]] = {}
        self.looked: dict[tuple[str, int], str] = {}

    def copy(self) -> Path:
        """The study that was built once, without answers."""
        folder = Path(self.place.name) / "study"
        folder.mkdir()
        for name in ("study.toml", "manifest.json", "secrets.toml"):
            (folder / name).write_bytes((self.folder / name).read_bytes())
        return folder

    def person(self, name: str, page: str) -> Person:
        """Somebody in a page, with the token that this page has."""
        return Person(self.study, name, page, self.tokens.get((name, page), "none"))

    @rule(name=PEOPLE, page=PAGES)
    def enter(self, name: str, page: str) -> None:
        try:
            person = self.person(name, page).enter()
        except RefusedError as error:
            assert error.status == 403  # noqa: PT017
        else:
            self.tokens[name, page] = person.token

    @rule(name=PEOPLE, page=PAGES, agreed=st.booleans())
    def consent(self, name: str, page: str, agreed: bool) -> None:
        self.attempt(lambda: self.person(name, page).consent(agreed or name != "cho").prepare())

    @rule(name=PEOPLE, page=PAGES)
    def take_over(self, name: str, page: str) -> None:
        self.attempt(lambda: lifecycle.take_over(self.study, self.person(name, page).token, page))

    @rule(name=PEOPLE, page=PAGES, position=st.integers(-1, 7), look=st.sampled_from(["a", "b"]))
    def look(self, name: str, page: str, position: int, look: str) -> None:
        granted = self.attempt(lambda: self.person(name, page).begin(position, look))
        if granted:
            assert self.looked.setdefault((name, position), look) == look, "a second look was granted"

    @rule(
        name=PEOPLE,
        page=PAGES,
        back=st.integers(0, 1),
        side=st.sampled_from(["left", "right"]),
        attempt=st.sampled_from("ab"),
    )
    def answer(self, name: str, page: str, back: int, side: str, attempt: str) -> None:
        """To the trial that is asked now, or to the one before."""
        person = self.person(name, page)
        view = self.attempt(lambda: lifecycle.session_of(self.study, person.token, page))
        if view is None:
            return
        position = view.content["position"] - back
        self.attempt(lambda: person.begin(position, "answer"))
        if self.attempt(lambda: person.answer(position, side, f"{position}{attempt}")) is not None:
            kept = self.acknowledged.setdefault((name, position), (side, f"{position}{attempt}"))
            assert kept == (side, f"{position}{attempt}"), "another answer was acknowledged for the same trial"

    @rule(name=PEOPLE, page=PAGES)
    def finish(self, name: str, page: str) -> None:
        self.attempt(lambda: lifecycle.questionnaire(self.study, self.person(name, page).token, page, {}))

    @rule(minutes=st.sampled_from([-600, -5, 1, 14, 16, 1500]))
    def time_goes(self, minutes: int) -> None:
        self.clock.go(minutes=minutes)

    @rule()
    def expire(self) -> None:
        lifecycle.expire(self.study)

    @rule()
    def restart(self) -> None:
        self.study.close()
        self.study = open_study(self.study.folder, self.url, self.clock)

    def attempt(self, ask):
        """What it gives; None where it is refused, which a participant's page can be at any time."""
        try:
            return ask()
        except RefusedError as error:
            assert error.status in (401, 403, 409)  # noqa: PT017
            return None

    @invariant()
    def answers_are_those_that_were_acknowledged_in_order_without_a_gap(self) -> None:
        with self.study.database.read() as found:
            sessions = found.scalars(select(Session)).all()
            answers = Counter(found.scalars(select(Answer.trial_id)))
            assert all(count == 1 for count in answers.values())
            assert sum(answers.values()) == len(self.acknowledged)
            assert len({session.identity for session in sessions}) == len(sessions)
            for session in sessions:
                answered = [trial.position for trial in session.trials if trial.answer is not None]
                assert answered == list(range(session.position))
            lines = self.study.journal.path.read_bytes().splitlines()
            assert len(lines) == len(self.acknowledged)

    @invariant()
    def arms_are_even(self) -> None:
        with self.study.database.read() as found:
            held = counted(self.study, found).values()
            assert max(held) <= WANTED + 1  # who comes back to a place that was filled again is let in all the same

    def teardown(self) -> None:
        with self.study.database.writing() as found:
            for table in reversed(Base.metadata.sorted_tables):
                found.execute(table.delete())
        self.study.close()
        self.place.cleanup()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    trials = {"practice": 2, "scored": 4}
    place = tmp_path_factory.mktemp("invariants")
    return small_study(place, pairs=12, trials=trials, participants={"per_algorithm": WANTED})


def test_the_invariants_hold(folder, database_url):
    machine = type("Machine", (Study,), {"folder": folder, "url": database_url})
    chosen = settings(max_examples=25, stateful_step_count=30, deadline=None, derandomize=True, database=None)
    run_state_machine_as_test(machine, settings=settings(chosen, suppress_health_check=list(HealthCheck)))


@pytest.mark.slow
def test_the_invariants_hold_for_long(folder, database_url):
    machine = type("Machine", (Study,), {"folder": folder, "url": database_url})
    chosen = settings(max_examples=50, stateful_step_count=50, deadline=None, derandomize=True, database=None)
    run_state_machine_as_test(machine, settings=settings(chosen, suppress_health_check=list(HealthCheck)))
