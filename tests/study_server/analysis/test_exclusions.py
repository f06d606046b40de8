"""Where the rules' limits are: more than what was declared, of the scored trials that were answered."""

import pytest

from study_server.analysis.analysis import Choices, analyse
from study_server.analysis.exclusions import Rules, apply
from study_server.analysis.judgements import judgements_of

OTHER = {"left": "right", "right": "left"}


def person(name: str, answers=(), missing: int = 0, practice=(), catch=()) -> list[dict]:
    """answers, practice: (clicked, ms, flagged) each; catch: whether each was wrong. The real image is left."""
    rows = [_row(name, "scored", clicked, ms, flagged) for clicked, ms, flagged in answers]
    rows += [_row(name, "practice", clicked, ms, flagged) for clicked, ms, flagged in practice]
    rows += [_row(name, "scored", None, None, True) for _ in range(missing)]
    rows += [_row(name, "catch", "right" if wrong else "left", 10.0, True) for wrong in catch]
    return [row | {"index": index} for index, row in enumerate(rows)]


def _row(name, phase, clicked, ms, flagged) -> dict:
    told = {"session": name, "image": "i", "phase": phase, "real_side": "left", "clicked": clicked, "rt_ms": ms}
    return told | {"fooled": clicked == "right", "invalid": flagged}


def excluded(rules: Rules, *people: list[dict]) -> list[str]:
    sessions = [(rows[0]["session"], "a") for rows in people]
    judgements = judgements_of(sessions, [row for rows in people for row in rows])
    stays, _ = apply(judgements, rules)
    return [name for name, stay in zip(judgements.participants, stays, strict=True) if not stay]


def answers(left: int, right: int, fast: int = 0, flagged: int = 0) -> list[tuple]:
    """fast ones take 199 ms, others 200."""
    sides = ["left"] * left + ["right"] * right
    return [(side, 199.0 if i < fast else 200.0, i < flagged) for i, side in enumerate(sides)]


def test_exactly_what_was_declared_is_allowed_and_one_more_is_not():
    catch = [person("two", answers(2, 2), catch=[1, 1, 0]), person("three", answers(2, 2), catch=[1, 1, 1])]
    assert excluded(Rules(catch_wrong=2), *catch) == ["three"]
    fast = [person("one", answers(2, 2, fast=1)), person("two", answers(2, 2, fast=2))]
    assert excluded(Rules(fast_ms=200, fast_share=0.25), *fast) == ["two"]
    sided = [person("left3", answers(3, 1)), person("left4", answers(4, 0)), person("right4", answers(0, 4))]
    assert excluded(Rules(one_sided_share=0.75), *sided) == ["left4", "right4"]
    flagged = [person("one", answers(2, 2, flagged=1)), person("two", answers(2, 2, flagged=2))]
    assert excluded(Rules(invalid_share=0.25), *flagged) == ["two"]


def test_shares_are_of_answered_scored_trials_alone():
    """Missing answers dilute nothing; neither practice nor catch trials count, however fast, one-sided or flagged."""
    others = {"missing": 6, "practice": answers(0, 6, fast=6, flagged=6), "catch": [0] * 6}
    rules = Rules(fast_ms=200, fast_share=0.25, one_sided_share=0.75, invalid_share=0.25)
    assert excluded(rules, person("kept", answers(3, 1, fast=1, flagged=1), **others)) == []
    for more in (answers(3, 1, fast=2), answers(4, 0), answers(3, 1, flagged=2)):
        assert excluded(rules, person("gone", more, **others)) == ["gone"]


def test_a_single_answer_is_on_one_side_and_none_is_on_no_side():
    rules = Rules(fast_ms=200, fast_share=0.5, one_sided_share=0.9, invalid_share=0.5)
    assert excluded(rules, person("one", answers(1, 0)), person("none", missing=4)) == ["one"]


@pytest.mark.parametrize(
    "rules", [Rules(fast_ms=200), Rules(fast_share=0.2), Rules(fast_ms=0.5), Rules(), Rules(one_sided_share=1.0)]
)
def test_a_rule_by_which_nobody_can_go_is_none(rules):
    everything = person("p", answers(4, 0, fast=4, flagged=4), catch=[1, 1])
    assert not rules
    assert apply(judgements_of([("p", "a")], everything), rules)[1] == ()


def test_rules_say_what_they_mean():
    said = dict(Rules(0, 0.5, 0.1, 0.95, 0.2).sentences())
    assert said == {
        "catch trials": "more than 0 catch trials wrong",
        "too fast": "more than 10% of answers under 0.5 ms",
        "one side": "more than 95% of answers on one side",
        "exposures": "more than 20% of exposures flagged",
    }
    assert dict(Rules(1).sentences())["catch trials"] == "more than 1 catch trial wrong"


def test_who_is_excluded_and_who_has_no_answer_are_counted_apart():
    people = [person("gone", answers(2, 2), catch=[1]), person("kept", answers(2, 2), catch=[0])]
    people += [person(name, missing=4, catch=[0]) for name in ("none", "nothing")]
    people += [person("gone without", missing=4, catch=[1])]
    rows = [row for rows in people for row in rows]
    judgements = judgements_of([(each[0]["session"], "a") for each in people], rows)
    (arm,) = analyse(judgements, Choices(Rules(catch_wrong=0), resamples=10, permutations=10)).arms
    assert (arm.finished, dict(arm.excluded), arm.without, arm.estimate.counts.participants) == (
        5,
        {"catch trials": 2},
        2,
        1,
    )
