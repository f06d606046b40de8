"""One session a person, one look, one answer, in order; arms are even whoever clicks how often; nothing is lost."""

import contextlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from study_server.config import Exposure
from study_server.sessions import lifecycle, trials
from study_server.sessions.assignment import seed_of
from study_server.sessions.drawing import draw
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import Study, open_study
from study_server.store.models import Answer, Session, Trial
from tests.study_server.sessions.people import Clock, Person
from tests.study_server.small_study import small_study

SHORT = {"trials": {"practice": 2, "scored": 4}}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study(tmp_path, database_url, clock):
    folder = small_study(tmp_path, pairs=12, **SHORT, participants={"per_algorithm": 10})
    opened = open_study(folder, database_url, clock)
    yield opened
    opened.close()


def counts(study: Study) -> Counter:
    with study.database.read() as found:
        return Counter(found.scalars(select(Session.arm).where(Session.arm.is_not(None))))


def stored(study: Study) -> int:
    with study.database.read() as found:
        return found.scalar(select(func.count(Answer.id)))


def refused(code: str):
    return pytest.raises(RefusedError, check=lambda error: error.code == code)


# The way through


def test_a_session_goes_all_the_way(study):
    one = Person(study, "one").come()
    assert len(one.view.content["preload"]) == 6
    replies = [one.trial(position) for position in range(6)]
    assert [reply.view.state for reply in replies] == ["PRACTICE", "MAIN", "MAIN", "MAIN", "MAIN", "QUESTIONNAIRE"]
    assert [reply.feedback is not None for reply in replies] == [True, True, False, False, False, False]
    view = lifecycle.questionnaire(study, one.token, one.client, {"strategy": "guessed"})
    assert (view.state, stored(study)) == ("DONE", 6)
    assert len(view.content["code"]) == 8


def test_feedback_tells_the_truth(study):
    one = Person(study, "one").come()
    one.begin(0)
    told = one.answer(0, "left").feedback
    assert told["correct"] == (told["real_side"] == "left")


def test_the_fake_one_is_asked_for_in_the_preset_that_does(tmp_path):
    folder = small_study(tmp_path, pairs=12, preset="isola2017", **SHORT)
    study = open_study(folder)
    one = Person(study, "one").come()
    one.begin(0)
    told = one.answer(0, "left").feedback
    assert told["correct"] == (told["real_side"] == "right")
    study.close()


def test_sides_are_exactly_balanced_and_pairs_never_come_twice(study):
    for name in range(12):
        Person(study, f"p{name}").enter().consent()
    with study.database.read() as found:
        for session in found.scalars(select(Session)):
            scored = [trial.real_side for trial in session.trials if trial.phase == "scored"]
            assert Counter(scored) == {"left": 2, "right": 2}
            assert len({trial.pair_id for trial in session.trials}) == 6


def test_a_session_can_be_drawn_again_from_its_seed(study):
    Person(study, "one").enter().consent()
    with study.database.read() as found:
        session = found.scalars(select(Session)).one()
        again = draw(study.manifest, study.config, session.arm, session.seed)
        assert [(trial.pair_id, trial.real_side) for trial in session.trials] == [
            (each.pair.id, each.real_side) for each in again
        ]


def test_what_a_page_knows_does_not_tell_where_the_real_images_are(study):
    """Neither the session's number with the study's seed, which is 0 unless chosen, nor the order of loading."""
    one = Person(study, "one").come()
    known = (study.manifest.seed, one.view.session)
    seeds = {seed_of(key, *known) for key in (bytes(32), b"1" * 32, study.secrets.hmac_key)}
    assert len(seeds) == 3
    with study.database.read() as found:
        session = found.scalars(select(Session)).one()
        assert session.seed == seed_of(study.secrets.hmac_key, *known)
        assert one.view.content["preload"] == sorted(f"/api/stimuli/{trial.token}" for trial in session.trials)


def test_catch_trials_look_like_scored_ones(tmp_path):
    study = open_study(small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4, "catch": 2}))
    one = Person(study, "one").come()
    assert one.view.content["length"] == {"practice": 2, "scored": 6}
    phases = set()
    while one.view.content["trial"]:
        trial = one.view.content["trial"]
        phases.add(trial["phase"])
        one.trial(trial["position"])
    assert phases == {"practice", "scored"}
    with study.database.read() as found:
        kinds = Counter(found.scalars(select(Trial.phase)))
    assert kinds == {"practice": 2, "scored": 4, "catch": 2}
    study.close()


# Once


def test_the_same_person_has_one_session_and_the_new_page_takes_over(study):
    first = Person(study, "one").come()
    second = Person(study, "one", client="other").enter()
    assert second.view.session == first.view.session
    with refused("taken_over"):
        first.begin(0)
    assert second.begin(0)


@pytest.mark.parametrize("client", ["page", "third"])
def test_a_page_that_was_left_hears_so_whatever_it_asks_and_changes_nothing(study, client):
    first = Person(study, "one").come()
    stimulus = first.view.content["preload"][0].rsplit("/", 1)[1]
    Person(study, "one", client="second").enter()
    third = Person(study, "one", client="third").enter()
    token, given = first.token, trials.Given("a", "left", {})
    for ask in (
        lambda: lifecycle.session_of(study, token, client),
        lambda: lifecycle.take_over(study, token, client),
        lambda: lifecycle.consent(study, token, client, False, {}),
        lambda: lifecycle.device(study, token, client, {}),
        lambda: lifecycle.ready(study, token, client),
        lambda: lifecycle.alive(study, token, client),
        lambda: lifecycle.questionnaire(study, token, client, {}),
        lambda: trials.begin(study, token, client, 0, "look"),
        lambda: trials.answer(study, token, client, 0, given),
        lambda: trials.stimulus(study, token, client, stimulus),
    ):
        with refused("taken_over"):
            ask()
    assert third.begin(0)
    assert stored(study) == 0
    for nobodys in ("", "none", token[:-1], third.token + "x"):
        with refused("unknown_token"):
            lifecycle.session_of(study, nobodys, client)


def test_how_a_session_ended_every_page_that_was_in_it_may_know(study):
    first = Person(study, "one").come()
    last = Person(study, "one", client="second").enter().finish()
    assert lifecycle.session_of(study, first.token, first.client) == last.view
    with refused("taken_over"):
        lifecycle.questionnaire(study, first.token, first.client, {"strategy": "another"})


def test_who_is_done_is_not_taken_again(study):
    Person(study, "one").come().finish()
    with refused("already_done"):
        Person(study, "one").enter()


def test_who_declines_is_counted_nowhere(study):
    one = Person(study, "one").enter().consent(agreed=False)
    assert one.view.state == "DECLINED"
    assert not counts(study)
    with refused("declined"):
        Person(study, "one").enter()


def test_twenty_who_double_click_get_one_session_each_and_even_arms(study):
    def click(number: int) -> None:
        with contextlib.suppress(RefusedError):  # the other click came in between
            Person(study, f"p{number // 2}", client=f"c{number}").enter().consent()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(click, range(40)))
    for number in range(20):
        Person(study, f"p{number}", client="last").enter().consent()
    assert counts(study) == {"one": 10, "two": 10}


def test_an_answer_is_kept_once_whatever_is_repeated(study):
    one = Person(study, "one").come()
    one.begin(0)
    first = one.answer(0, attempt="a")
    assert one.answer(0, attempt="a") == first
    with refused("answered"):
        one.answer(0, attempt="b")
    with refused("answered"):
        one.answer(0, "right", attempt="a")
    assert stored(study) == 1


def test_only_the_trial_that_is_asked_is_answered_and_only_after_it_was_shown(study):
    one = Person(study, "one").come()
    with refused("wrong_state"):
        one.answer(0)
    one.begin(0)
    for position in (1, 5, 6, 99):
        with refused("wrong_trial"):
            one.answer(position)
    with refused("wrong_trial"):
        one.begin(1)
    assert stored(study) == 0


def test_nobody_looks_twice(study):
    one = Person(study, "one").come()
    assert one.begin(0, "first")
    assert one.begin(0, "first"), "the same page may ask again: the reply was lost"
    assert not one.begin(0, "second")
    assert one.answer(0).view.state == "PRACTICE"
    with study.database.read() as found:
        assert found.scalars(select(Answer.flags)).one() == ["reloaded"]


def test_one_page_at_a_time(study):
    one = Person(study, "one").come()
    lifecycle.take_over(study, one.token, "second")
    with refused("taken_over"):
        one.begin(0)
    assert trials.begin(study, one.token, "second", 0, "look")


def test_a_stimulus_is_for_its_own_session_alone(study):
    one, other = Person(study, "one").come(), Person(study, "other").come()
    name = one.view.content["preload"][0].rsplit("/", 1)[1]
    assert trials.stimulus(study, one.token, one.client, name).is_file()
    for person, asked in ((other, name), (one, "manifest.json"), (one, "../manifest.json")):
        with refused("not_found"):
            trials.stimulus(study, person.token, person.client, asked)


# Places


def test_a_place_is_free_again_when_its_lease_is_over(tmp_path, clock):
    study = open_study(small_study(tmp_path, pairs=12, **SHORT, participants={"per_algorithm": 1}), None, clock)
    left = [Person(study, f"left{i}").come() for i in range(2)]
    with refused("full"):
        Person(study, "late").enter()
    clock.go(minutes=16)
    late = Person(study, "late").come().finish()
    assert late.view.state == "DONE"
    left[0].finish()  # who comes back loses nothing
    study.close()


def test_a_sign_of_life_keeps_the_place_and_a_clock_set_back_does_not_shorten_it(study, clock):
    one = Person(study, "one").come()
    clock.go(minutes=10)
    lifecycle.alive(study, one.token, one.client)
    with study.database.read() as found:
        until = found.scalars(select(Session.lease_until)).one()
    clock.go(minutes=-60)
    lifecycle.alive(study, one.token, one.client)
    with study.database.read() as found:
        assert found.scalars(select(Session.lease_until)).one() == until
    one.finish()


def test_who_is_away_for_a_day_is_abandoned(study, clock):
    one = Person(study, "one").come()
    clock.go(hours=23)
    assert lifecycle.expire(study) == 0
    clock.go(hours=2)
    assert lifecycle.expire(study) == 1
    with refused("expired"):
        Person(study, "one").enter()
    with refused("wrong_state"):
        one.begin(0)


def test_a_stopped_study_takes_nobody_new_and_lets_others_finish(study):
    one = Person(study, "one").come()
    lifecycle.set_running(study, False)
    with refused("stopped"):
        Person(study, "two").enter()
    assert one.finish().view.state == "DONE"
    lifecycle.set_running(study, True)
    Person(study, "two").enter()


def test_a_phone_goes_the_way_of_the_policy(tmp_path):
    for policy, state, flags in (
        ("allow", "PRELOADED", []),
        ("flag", "PRELOADED", ["phone"]),
        ("block", "SCREENED_OUT", ["phone"]),
    ):
        study = open_study(small_study(tmp_path / policy, pairs=12, **SHORT, participants={"phones": policy}))
        one = Person(study, "one").enter().consent().prepare(width_px=390, touch=True)
        assert one.view.state == state
        with study.database.read() as found:
            assert found.scalars(select(Session.flags)).one() == flags
        study.close()


# What is kept


def test_flags_say_what_speaks_against_a_trial(study):
    one = Person(study, "one").come()
    missed = [{"side": "left", "onset_ms": 0.0, "offset_ms": 190.0, "frames": 11, "longest_gap_ms": 90.0}]
    for position, seen in enumerate(({"exposures": missed}, {"visible": False}, {"exposures": []}, {})):
        one.begin(position)
        one.answer(position, **seen)
    with study.database.read() as found:
        assert list(found.scalars(select(Answer.flags).order_by(Answer.id))) == [
            ["exposure"],
            ["hidden"],
            ["unseen"],
            [],
        ]


@pytest.mark.parametrize(
    ("layout", "sides", "flags"),
    [
        ("sequential", ["left", "right"], []),
        ("sequential", ["left"], ["exposure"]),
        ("sequential", ["both"], ["exposure"]),
        ("sequential", [], ["unseen"]),
        ("simultaneous", ["both"], []),
        ("simultaneous", ["left", "right"], ["exposure"]),
    ],
)
def test_an_exposure_of_which_nothing_was_told_is_flagged(layout, sides, flags):
    told = [{"side": side, "onset_ms": 5.0, "offset_ms": 1005.0} for side in sides]
    assert trials.flags_of(Exposure(), layout, 1, {"exposures": told}) == flags


def test_no_identity_and_no_token_is_kept_as_it_is(study, database_url):
    one = Person(study, "worker-A1B2C3").come()
    one.trial(0)
    with study.database.read() as found:
        rows = [str(vars(row)) for table in (Session, Trial, Answer) for row in found.scalars(select(table))]
    kept = "\n".join(rows) + study.journal.path.read_text()
    assert "A1B2C3" not in kept
    assert one.token not in kept


def test_the_journal_has_each_answer_once_and_is_filled_up_after_a_kill(study, database_url, clock):
    one = Person(study, "one").come()
    for position in range(3):
        one.trial(position)
    lines = study.journal.path.read_bytes().splitlines(keepends=True)
    study.journal.path.write_bytes(b"".join(lines[:1]) + lines[1][:20])
    again = open_study(study.folder, database_url, clock)
    whole = [json.loads(line) for line in again.journal.path.read_text().splitlines() if line.endswith("}")]
    assert sorted(line["answer"] for line in whole) == sorted(json.loads(line)["answer"] for line in lines)
    again.close()


def test_another_studys_database_is_refused(tmp_path, database_url):
    if database_url is None:
        pytest.skip("a study's own file is its own")
    open_study(small_study(tmp_path / "a", pairs=60), database_url).close()
    with pytest.raises(Exception, match="holds the answers of another study"):
        open_study(small_study(tmp_path / "b", pairs=60), database_url)
