"""How far a study is, and what it does not tell before its end."""

import json

import pytest
from sqlalchemy import select

from study_server.operating.figures import WIDTH, progress
from study_server.operating.status import Arm, read_rates, read_status, write_down_look
from study_server.sessions import lifecycle
from study_server.sessions.study import Study, stamp
from study_server.store.models import Event, Trial
from tests.study_server.operating.answered import ALL, SCORED, WANTED, all_come, some_come
from tests.study_server.sessions.people import Person


def status(study: Study):
    with study.database.read() as found:
        return read_status(found, study.manifest, study.config, stamp(study.clock()))


def rates(study: Study):
    with study.database.read() as found:
        return read_rates(found)


def test_nobody_has_come(study):
    told = status(study)
    assert told.arms == (Arm("one", 0, 0, WANTED, 0), Arm("two", 0, 0, WANTED, 0))
    assert (told.running, told.states, told.flags, told.answers, told.is_complete) == (True, {}, {}, 0, False)
    assert rates(study) == {}


def test_arms_drop_outs_and_flags_are_counted(study):
    people = some_come(study)
    told = status(study)
    by_name = {arm.name: arm for arm in told.arms}
    with study.database.read() as found:
        arms = {name: lifecycle.known(found, one.token, None).arm for name, one in people.items()}
    assert {arms["done"], arms["live"]} == {"one", "two"}
    assert by_name[arms["done"]] == Arm(arms["done"], 1, 0, WANTED, SCORED)
    assert by_name[arms["live"]] == Arm(arms["live"], 0, 1, WANTED, 0)
    assert told.states == {"ENTERED": 1, "MAIN": 1, "DONE": 1, "DECLINED": 1}
    assert told.flags == {"exposure": 1, "hidden": 1, "reloaded": 1}
    assert told.answers == ALL + 2


def test_states_stand_in_the_order_of_a_session(study):
    some_come(study)
    assert list(status(study).states) == ["ENTERED", "MAIN", "DONE", "DECLINED"]


def test_a_lease_that_is_over_holds_no_place(study, clock):
    some_come(study)
    clock.go(minutes=16)
    assert sum(arm.live for arm in status(study).arms) == 0
    clock.go(hours=25)
    assert lifecycle.expire(study) == 1
    assert status(study).states["ABANDONED"] == 1


def test_complete_only_when_every_arm_is(study):
    people = [Person(study, f"person-{number}").come() for number in range(2 * WANTED)]
    for one in people[:-1]:
        one.finish()
    assert not status(study).is_complete
    people[-1].finish()
    told = status(study)
    assert told.is_complete
    assert {arm.is_complete for arm in told.arms} == {True}
    assert told.as_json()["complete"]


def test_stopped_is_told(study):
    lifecycle.set_running(study, False)
    assert not status(study).running


def test_what_programs_get_is_json_and_has_no_rate(study):
    all_come(study)
    text = json.dumps(status(study).as_json())
    assert json.loads(text)["arms"][0] == {
        "name": "one", "done": WANTED, "live": 0, "wanted": WANTED, "answers": WANTED * SCORED, "complete": True,
    }  # fmt: skip
    assert "fooled" not in text
    assert "rate" not in text


@pytest.mark.parametrize(("wrong", "rate"), [(0, 0.0), (1, 0.25), (4, 1.0)])
def test_a_rate_is_over_scored_trials_of_those_who_are_done(study, wrong, rate):
    """Practice and catch trials are answered wrong, and count for nothing; so does who is not done."""
    one = Person(study, "one").come()
    with study.database.read() as found:
        session = lifecycle.known(found, one.token, None)
        columns = (Trial.position, Trial.phase, Trial.real_side)
        asked = found.execute(select(*columns).where(Trial.session_id == session.id).order_by(Trial.position)).all()
        arm = session.arm
    left = wrong
    for trial in asked:
        is_wrong = trial.phase != "scored" or left > 0
        left -= trial.phase == "scored" and left > 0
        other = "left" if trial.real_side == "right" else "right"
        one.trial(trial.position, other if is_wrong else trial.real_side)
    assert rates(study) == {}
    lifecycle.questionnaire(study, one.token, one.client, {})
    Person(study, "other").come().trial(0)
    assert rates(study) == {arm: (rate, 1)}


def test_a_look_before_the_end_is_an_event(study):
    write_down_look(study.database, "rates_shown", stamp(study.clock()))
    with study.database.read() as found:
        event = found.execute(select(Event.kind, Event.session_id, Event.at)).one()
    assert event == ("rates_shown", None, stamp(study.clock()))


@pytest.mark.parametrize(("done", "live"), [(0, 0), (1, 1), (4, 0), (3, 4)])
def test_the_bar_is_never_longer_than_its_frame_and_says_its_numbers(done, live):
    bar = str(progress(Arm("<b>", done, live, 4, 0)))
    assert f"{done} done and {live} live of 4" in bar
    whole = max(4, done + live)
    assert f'width="{WIDTH * done / whole:.1f}"' in bar
    assert f'x="{WIDTH * done / whole:.1f}" width="{WIDTH * live / whole:.1f}"' in bar
    assert "style=" not in bar, "it would be blocked"
