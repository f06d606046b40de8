"""Many pages and servers at the same moment: one look, one answer, nobody is ended while they come back."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from study_server.sessions import lifecycle
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import open_study
from study_server.store.models import Answer, Session, Trial
from tests.study_server.sessions.people import Clock, Person
from tests.study_server.small_study import small_study

AT_ONCE = 8


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study(tmp_path, database_url, clock):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 10})
    opened = open_study(folder, database_url, clock)
    yield opened
    opened.close()


def together(ask: Callable[[int], object]) -> list[object]:
    """What each of them got, all of whom asked at once; a refusal's word."""
    gate = threading.Barrier(AT_ONCE)

    def one(number: int) -> object:
        gate.wait()
        try:
            return ask(number)
        except RefusedError as error:
            return error.code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def test_of_many_looks_at_once_one_is_granted(study):
    one = Person(study, "one").come()
    for position in range(12):
        granted = together(lambda number, at=position: one.begin(at, f"look{number}"))
        assert sorted(granted) == [False] * (AT_ONCE - 1) + [True]
        one.answer(position)
    with study.database.read() as found:
        assert set(found.scalars(select(Trial.looks))) == {AT_ONCE}
        assert all(flags == ["reloaded"] for flags in found.scalars(select(Answer.flags)))


def test_of_many_answers_at_once_one_is_kept(study):
    one = Person(study, "one").come()
    for position in range(12):
        one.begin(position)
        given = together(lambda number, at=position: one.answer(at, attempt=f"a{number % 2}").view.content["position"])
        assert sorted(given, key=str) == [position + 1] * (AT_ONCE // 2) + ["answered"] * (AT_ONCE // 2)
    with study.database.read() as found:
        assert found.scalar(select(func.count(Answer.id))) == 12


def test_of_many_places_no_more_are_given_than_there_are(tmp_path, database_url):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4}, participants={"per_algorithm": 2})
    study = open_study(folder, database_url)
    people = [Person(study, f"p{number}").enter() for number in range(AT_ONCE)]
    got = together(lambda number: people[number].consent().view.state)
    assert sorted(got) == ["CONSENTED"] * 4 + ["full"] * 4
    with study.database.read() as found:
        arms = found.scalars(select(Session.arm).where(Session.arm.is_not(None))).all()
    assert sorted(arms) == ["one", "one", "two", "two"]
    study.close()


def test_who_comes_back_at_the_last_moment_is_not_ended(study, clock):
    one = Person(study, "one").come()
    clock.go(hours=26)
    with ThreadPoolExecutor(1) as pool:
        with study.database.write() as found:
            lifecycle.held(study, found, one.token, one.client)  # a sign of life, not committed yet
            found.flush()
            ended = pool.submit(lifecycle.expire, study)
            time.sleep(0.2)
        assert ended.result() == 0
    assert one.begin(0)


def test_two_servers_are_one_study(study, database_url, clock):
    other = open_study(study.folder, database_url, clock, fill_up=False)
    one = Person(study, "one").come()
    there = Person(other, "one", token=one.token)
    granted = together(lambda number: (one, there)[number % 2].begin(0, f"look{number}"))
    assert granted.count(True) == 1
    kept = together(lambda number: (one, there)[number % 2].answer(0, attempt=f"a{number}").view.state)
    assert sorted(kept) == ["PRACTICE"] + ["answered"] * (AT_ONCE - 1)
    other.close()
