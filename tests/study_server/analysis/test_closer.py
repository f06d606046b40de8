"""What lies behind a rate, against plain loops over rows: people with many answers, with few, with one, with none."""

from itertools import groupby

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from study_server.analysis.closer import Mean, image_rates, look_closer, mean_of
from study_server.analysis.judgements import PHASES, SCORED, judgements_of

SCORED_OF = {"many": 11, "more": 13, "four": 4, "two": 2, "one": 1, "nobody": 0}  # answers of each


def session(name: str, answers: int, source: np.random.Generator) -> list[dict]:
    """Two practice trials, then fifteen scored ones of which so many have an answer."""
    answered = {*(2 + source.permutation(15)[:answers]), 0, 1}
    rows = []
    for index in range(17):
        side, fooled = source.choice(["left", "right"]), bool(source.random() < 0.4)
        other = "right" if side == "left" else "left"
        row = {"session": name, "image": f"{source.integers(6)}", "index": index, "real_side": side}
        row |= {"phase": "scored" if index > 1 else "practice", "invalid": bool(source.random() < 0.2)}
        row |= {"clicked": None, "fooled": False, "rt_ms": None, "shown_ms": None}
        if index in answered:
            row |= {"clicked": other if fooled else side, "fooled": fooled}
            row |= {"rt_ms": None if source.random() < 0.2 else source.uniform(300, 3000)}
            row |= {"shown_ms": source.uniform(900, 1100)}
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    source = np.random.default_rng(7)
    return [row for name, answers in SCORED_OF.items() for row in session(name, answers, source)]


@pytest.fixture(scope="module")
def judgements(rows):
    mixed = [rows[i] for i in np.random.default_rng(8).permutation(len(rows))]
    return judgements_of([(name, "a") for name in SCORED_OF], mixed)


@pytest.fixture(scope="module")
def closer(judgements):
    return look_closer(judgements, 0.9)


def answers(rows, phase="scored") -> dict[str, list[dict]]:
    """By participant, in the order of the session; whoever has none is not there."""
    chosen = [row for row in rows if row["phase"] == phase and row["clicked"] is not None]
    return {name: list(own) for name, own in groupby(chosen, key=lambda row: row["session"])}


def mean(shares, level=0.9, least=0.0) -> tuple:
    """Mean, ends and n of one share a participant."""
    low, high = stats.t.interval(level, len(shares) - 1, np.mean(shares), stats.sem(shares))
    return (np.mean(shares), max(low, least), min(high, 1), len(shares))


def as_tuple(found: Mean) -> tuple:
    return (found.value, found.interval.low, found.interval.high, found.participants)


def share(own, chosen) -> float:
    return np.mean([chosen(row) for row in own])


def test_a_mean_has_students_interval():
    values = np.array([0.1, np.nan, 0.4, 0.2])
    assert as_tuple(mean_of(values, 0.9)) == pytest.approx(mean([0.1, 0.4, 0.2]))
    two = mean_of(np.array([0.1, 0.3]))
    assert as_tuple(two) == pytest.approx(mean([0.1, 0.3], 0.95))
    ends = [as_tuple(mean_of(np.array(shares)))[1:3] for shares in ([0, 0, 0.3], [1, 1, 0.7])]
    assert [(low == 0, high == 1) for low, high in ends] == [(True, False), (False, True)]
    alone = mean_of(np.array([np.nan, 0.5]))
    assert (alone.value, alone.interval, alone.participants) == (0.5, None, 1)
    assert mean_of(np.array([np.nan])) is None


def test_practice_sides_and_clicks_are_means_over_those_who_have_such_answers(rows, closer):
    practised, scored = answers(rows, "practice"), answers(rows)
    assert as_tuple(closer.practice) == pytest.approx(
        mean([share(own, lambda row: row["fooled"]) for own in practised.values()])
    )
    assert len(practised) == 6
    left = [share(own, lambda row: row["clicked"] == "left") for own in scored.values()]
    assert as_tuple(closer.left) == pytest.approx(mean(left))
    for found, side in zip(closer.by_side, ("left", "right"), strict=True):
        sided = [[row for row in own if row["real_side"] == side] for own in scored.values()]
        shares = [share(own, lambda row: row["fooled"]) for own in sided if own]
        assert as_tuple(found) == pytest.approx(mean(shares))


def test_thirds_are_of_each_ones_answers_and_tiring_is_of_those_who_have_a_first_and_a_last(rows, closer):
    """Answer k of n is in third 3 k // n: of four two are in the first, of two none is in the last."""
    parts = {
        name: [[row for rank, row in enumerate(own) if 3 * rank // len(own) == part] for part in range(3)]
        for name, own in answers(rows).items()
    }
    assert [[len(part) for part in parts[name]] for name in ("four", "two", "one")] == [[2, 1, 1], [1, 1, 0], [1, 0, 0]]
    rates = {
        name: [share(part, lambda row: row["fooled"]) if part else None for part in each]
        for name, each in parts.items()
    }
    for part, found in enumerate(closer.thirds):
        known = [each[part] for each in rates.values() if each[part] is not None]
        assert as_tuple(found) == pytest.approx(mean(known))
    assert [each.participants for each in closer.thirds] == [5, 4, 3]
    tiring = [last - first for first, _, last in rates.values() if last is not None]
    assert as_tuple(closer.tiring) == pytest.approx(mean(tiring, least=-1))


def test_times_are_quartiles_of_what_was_measured(rows, closer):
    scored = [row for own in answers(rows).values() for row in own]
    cases = {
        "rt": [row["rt_ms"] for row in scored],
        "rt_fooled": [row["rt_ms"] for row in scored if row["fooled"]],
        "rt_not": [row["rt_ms"] for row in scored if not row["fooled"]],
        "shown": [row["shown_ms"] for row in scored],
    }
    for name, values in cases.items():
        known = [value for value in values if value is not None]
        found = getattr(closer, name)
        assert (found.lower, found.median, found.upper) == pytest.approx(tuple(np.percentile(known, [25, 50, 75])))
        assert found.trials == len(known)


def test_flagged_and_missing_are_of_scored_trials(rows, closer):
    scored = [row for own in answers(rows).values() for row in own]
    assert closer.flagged == pytest.approx(np.mean([row["invalid"] for row in scored]))
    assert closer.missing == 6 * 15 - sum(SCORED_OF.values())


def test_images_have_their_own_judgements_the_most_often_judged_of_equals_first(rows, judgements):
    scored = [row for own in answers(rows).values() for row in own]
    found = image_rates(judgements.of_phase(SCORED), 0.9)
    assert len(found) == len({row["image"] for row in scored})
    for each in found:
        judged = [row["fooled"] for row in scored if row["image"] == each.image]
        assert (each.fooled, each.trials) == (sum(judged), len(judged))
        ends = proportion_confint(each.fooled, each.trials, alpha=0.1, method="beta")
        assert (each.interval.low, each.interval.high) == pytest.approx(ends)
    keys = [(-each.rate, -each.trials, each.image) for each in found]
    assert keys == sorted(keys)


def test_of_images_with_one_rate_the_one_that_more_judged_comes_first_then_the_name():
    shown = {"b": [1, 0], "a": [1, 0], "often": [1, 0, 1, 0], "never": [0]}
    rows = [
        {"session": "p", "image": image, "index": i, "phase": PHASES[SCORED], "real_side": "left"}
        | {"clicked": "right" if fooled else "left", "fooled": bool(fooled)}
        for image, judged in shown.items()
        for i, fooled in enumerate(judged)
    ]
    found = image_rates(judgements_of([("p", "a")], rows))
    assert [each.image for each in found] == ["often", "a", "b", "never"]
