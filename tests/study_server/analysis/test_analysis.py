"""The whole: exclusions in order, every arm, what lies behind a rate, and what is defined where little is left."""

import subprocess
import sys

import numpy as np
import pytest

from study_server.analysis.analysis import Choices, analyse
from study_server.analysis.bootstraps import amt_standard_deviation, participant_bootstrap
from study_server.analysis.closer import image_rates, look_closer, mean_of
from study_server.analysis.clusters import counts_of, intraclass_correlation
from study_server.analysis.contrasts import contrasts
from study_server.analysis.exclusions import Rules, apply
from study_server.analysis.gee import gee
from study_server.analysis.intervals import clustered, effective_trials, equivalence, korn_graubard
from study_server.analysis.judgements import PRACTICE, SCORED, judgements_of
from study_server.analysis.twoway import two_way
from tests.study_server.analysis.people import judged

QUICK = {"resamples": 200, "permutations": 199}


def test_rates_are_over_scored_answers_alone():
    found = analyse(judged({"a": [2, 4], "b": [8, 8]}), Choices(**QUICK))
    assert {name: each.rate for name, each in found.estimates.items()} == {"a": 0.375, "b": 1.0}
    assert found.estimates["a"].counts.total == 16
    assert found.estimates["a"].closer.practice.value == 0
    assert [arm.finished for arm in found.arms] == [2, 2]


def test_rules_apply_in_their_order_and_each_counts_whom_no_earlier_one_had():
    people = judged({"a": [0, 4, 8], "b": [2, 2]}, catch_wrong={"a-1": 2, "b-0": 1})
    slow = people.participant != people.participants.index("a-1")
    people = judgements_of_fast(people, ~slow | (people.participant == people.participants.index("b-1")))
    stays, excluded = apply(people, Rules(catch_wrong=1, fast_ms=200, fast_share=0.2))
    assert [each.rule for each in excluded] == ["catch trials", "too fast"]
    names = [[people.participants[i] for i in np.flatnonzero(each.participants)] for each in excluded]
    assert names == [["a-1"], ["b-1"]]
    assert [people.participants[i] for i in np.flatnonzero(stays)] == ["a-0", "a-2", "b-0"]
    found = analyse(people, Choices(Rules(catch_wrong=1, fast_ms=200, fast_share=0.2), **QUICK))
    assert [dict(arm.excluded) for arm in found.arms] == [
        {"catch trials": 1, "too fast": 0},
        {"catch trials": 0, "too fast": 1},
    ]
    assert found.estimates["a"].rate == 0.5


def judgements_of_fast(people, fast):
    from dataclasses import replace

    return replace(people, rt_ms=np.where(fast, 100.0, people.rt_ms))


def test_answers_on_one_side_and_flagged_exposures_exclude():
    from dataclasses import replace

    people = judged({"a": [4, 4, 4, 4]})
    one_sided = replace(people, clicked_left=people.clicked_left | (people.participant == 2))
    stays, _ = apply(one_sided, Rules(one_sided_share=0.9))
    assert stays.tolist() == [True, True, False, True]
    flagged = replace(people, invalid=(people.participant == 1) & (people.index % 3 == 0))
    stays, (found,) = apply(flagged, Rules(invalid_share=0.2))
    assert stays.tolist() == [True, False, True, True]
    assert found.meaning == "more than 20% of exposures flagged"


def test_nobody_is_excluded_for_being_fooled_and_defaults_exclude_nobody():
    stays, excluded = apply(judged({"a": [8, 8, 0]}), Rules())
    assert stays.all()
    assert excluded == ()
    assert not Rules()
    assert Rules(catch_wrong=0)


def test_times_that_were_not_measured_are_not_fast():
    people = judgements_of_fast(judged({"a": [4, 4]}), False)
    from dataclasses import replace

    stays, _ = apply(replace(people, rt_ms=np.full(len(people), np.nan)), Rules(fast_ms=200, fast_share=0.1))
    assert stays.all()


def test_all_excluded_one_participant_and_nobody_are_defined():
    people = judged({"a": [4], "b": [2, 3]}, catch_wrong={"b-0": 1, "b-1": 1})
    found = analyse(people, Choices(Rules(catch_wrong=0), **QUICK))
    alone, gone = found.arms
    assert gone.estimate is None
    assert (gone.finished, gone.excluded["catch trials"]) == (2, 2)
    assert alone.estimate.error is None
    assert alone.estimate.interval.low < 0.5 < alone.estimate.interval.high
    assert found.contrasts == ()
    nobody = analyse(judgements_of([], [], ("a", "b")), Choices(**QUICK))
    assert [arm.estimate for arm in nobody.arms] == [None, None]
    assert nobody.icc is None


def test_a_session_without_a_scored_answer_is_counted_and_has_no_rate():
    rows = [
        {"session": "one", "image": "i", "index": 0, "phase": "scored", "real_side": "left", "clicked": None},
        {
            "session": "two",
            "image": "i",
            "index": 0,
            "phase": "scored",
            "real_side": "left",
            "clicked": "right",
            "fooled": True,
        },
    ]
    (arm,) = analyse(judgements_of([("one", "a"), ("two", "a")], rows), Choices(**QUICK)).arms
    assert (arm.finished, arm.without, arm.estimate.counts.participants) == (2, 1, 1)
    assert arm.estimate.rate == 1


def test_thirds_follow_the_order_of_each_session():
    """Nine trials in an order that is not that of the rows: fooled in the last three alone."""
    order = [4, 8, 0, 7, 1, 6, 3, 5, 2]
    rows = [
        {"session": name, "image": f"{i}", "index": i + 5, "phase": "scored", "real_side": "left",
         "clicked": "right" if i >= 6 else "left", "fooled": i >= 6}
        for name in ("one", "two") for i in order
    ]  # fmt: skip
    found = analyse(judgements_of([("one", "a"), ("two", "a")], rows), Choices(**QUICK)).estimates["a"].closer
    assert [each.value for each in found.thirds] == [0, 0, 1]
    assert found.tiring.value == 1


def test_sides_times_and_exposures_are_told():
    people = judged({"a": [8, 0, 4]})
    closer = analyse(people, Choices(**QUICK)).estimates["a"].closer
    scored = people.of_phase(SCORED)
    assert closer.left.value == pytest.approx(scored.clicked_left.mean())
    assert closer.by_side[0].value == pytest.approx(scored.fooled[scored.real_left].mean())
    assert closer.rt.median == 700
    assert closer.rt_fooled.trials == 12
    assert closer.shown.upper == 1000
    assert closer.flagged == 0
    assert people.of_phase(PRACTICE).per_participant().tolist() == [2, 2, 2]


def test_images_come_with_the_most_convincing_first():
    found = image_rates(judged({"a": [3, 5, 1, 8]}, images=6).of_phase(SCORED))
    assert [each.rate for each in found] == sorted((each.rate for each in found), reverse=True)
    assert sum(each.trials for each in found) == 32
    assert sum(each.fooled for each in found) == 17
    assert all(each.interval.low <= each.rate <= each.interval.high for each in found)


def test_a_mean_of_one_has_no_interval_and_of_none_is_none():
    assert mean_of(np.array([np.nan, 0.5])).interval is None
    assert mean_of(np.array([np.nan])) is None


def test_the_same_seed_gives_the_same_and_the_margin_gives_a_test():
    people = judged({"a": [2, 4, 5], "b": [1, 7, 6]})
    one, two = (analyse(people, Choices(seed=3, margin=0.2, **QUICK)) for _ in range(2))
    assert one.contrasts == two.contrasts
    assert one.estimates["a"].amt == two.estimates["a"].amt
    assert one.estimates["a"].equivalence.margin == 0.2


def test_an_estimate_holds_what_each_function_says_of_its_arm():
    """At a level, a seed and a margin of their own, the correlation pooled over both arms."""
    people = judged({"a": [2, 4, 5, 0], "b": [1, 7, 6]})
    choices = Choices(margin=0.2, level=0.9, seed=3, **QUICK)
    analysis = analyse(people, choices)
    arms = {name: people.of_arm(name) for name in ("a", "b")}
    counted = {name: counts_of(trials) for name, trials in arms.items()}
    assert analysis.icc == intraclass_correlation(counted.values())
    assert analysis.contrasts == contrasts(counted, None, analysis.icc, permutations=199, seed=3, level=0.9)
    for name, counts in counted.items():
        found = analysis.estimates[name]
        assert found.rate == counts.rate
        assert found.interval == korn_graubard(counts, analysis.icc, 0.9)
        assert found.effective == effective_trials(counts, analysis.icc, 0.9)
        assert (found.error, found.clustered) == clustered(counts, 0.9)
        assert found.amt == amt_standard_deviation(counts, 200, 3)
        assert found.bootstrap == participant_bootstrap(counts, 200, 3, 0.9)
        assert found.icc == intraclass_correlation([counts])
        assert found.design_effect == counts.design_effect
        assert found.gee == gee(counts, 0.9)
        assert found.two_way == two_way(arms[name])
        assert found.equivalence == equivalence(counts, 0.2, analysis.icc)
        assert found.closer == look_closer(arms[name], 0.9)


def test_neither_torch_nor_a_database_is_loaded():
    program = (
        "import sys, study_server.analysis.analysis; print([m for m in sys.modules if m in "
        "('torch', 'flask', 'sqlalchemy', 'pandas', 'pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
