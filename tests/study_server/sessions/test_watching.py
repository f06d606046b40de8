"""Who has left for a day is ended; nobody is because the server was away or its clock was set."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from study_server.sessions.study import open_study, stamp
from study_server.sessions.watching import watch
from study_server.store.models import Session
from tests.study_server.sessions.people import Clock, Person
from tests.study_server.small_study import small_study


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study(tmp_path, database_url, clock):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4})
    opened = open_study(folder, database_url, clock)
    yield opened
    opened.close()


def watched(study, hours: float) -> int:
    """How many are ended while a server looks after them for so long."""
    ended = 0
    for _ in range(int(hours * 12)):
        study.clock.go(minutes=5)
        ended += watch(study)
    return ended


def leases(study) -> list[str]:
    with study.database.read() as found:
        return list(found.scalars(select(Session.lease_until)))


def test_who_is_away_for_a_day_is_ended_while_others_go_on(study):
    Person(study, "away").come()
    assert watched(study, 12) == 0
    here = Person(study, "here").come()
    assert watched(study, 12) == 0
    assert watched(study, 1) == 1
    assert here.finish().view.state == "DONE"


@pytest.mark.parametrize("days", [2, 3650])
def test_a_clock_that_jumps_ahead_ends_nobody_and_holds_no_place_for_long(study, clock, days):
    one, away = Person(study, "one").come(), Person(study, "away").come()
    watched(study, 23)
    one.trial(0)
    clock.go(days=days)
    assert watch(study) == 0
    one.trial(1)
    clock.go(days=-days)
    assert watch(study) == 0
    assert max(leases(study)) <= stamp(clock() + timedelta(minutes=15))
    assert one.finish().view.state == "DONE"
    assert away.begin(0)


def test_a_server_that_was_away_for_days_lets_everybody_come_back(study, clock):
    one, _ = Person(study, "one").come(), Person(study, "away").come()
    watch(study)
    clock.go(days=3)
    assert watch(study) == 0
    assert one.finish().view.state == "DONE"
    assert watched(study, 23) == 0
    assert watched(study, 2) == 1


@pytest.mark.parametrize("hours", [-2, -48])
def test_a_clock_that_is_set_back_ends_nobody_either(study, clock, hours):
    one = Person(study, "one").come()
    watched(study, 23)
    clock.go(hours=hours)
    assert watched(study, 2) == 0
    assert one.finish().view.state == "DONE"
