"""Rank correlations are scipy's, over every resample too; and small numbers of things are told to be small."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from cgeval.errors import DataError
from cgeval.metrics import (
    agreement_of_draws,
    agreement_over_images,
    average_ranks,
    kendall_tau_b,
    order_by_chance,
    spearman_rho,
)
from cgeval.metrics import rank_agreement as module

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "compare.md"
ONE, OTHER = np.array([1.0, 2, 3, 4, 5, 6]), np.array([2.0, 1, 4, 4, 6, 5])


def few(n):
    """Values of which many are tied."""
    return arrays(np.float64, n, elements=st.integers(-3, 3).map(float))


@st.composite
def two_numbers(draw, most=30):
    n = draw(st.integers(3, most))
    ours, theirs = draw(few(n)), draw(few(n))
    assume(len(set(ours)) > 1 and len(set(theirs)) > 1)
    return ours, theirs


def scipy_of(ours, theirs):
    return stats.spearmanr(ours, theirs).statistic, stats.kendalltau(ours, theirs, variant="b").statistic


# The coefficients


@given(two_numbers())
def test_both_are_those_of_scipy(numbers):
    rho, tau = scipy_of(*numbers)
    assert spearman_rho(*numbers) == pytest.approx(rho, abs=1e-12)
    assert kendall_tau_b(*numbers) == pytest.approx(tau, abs=1e-12)


@given(two_numbers())
def test_ranks_are_those_of_scipy(numbers):
    assert np.array_equal(average_ranks(numbers[0]), stats.rankdata(numbers[0]))


def test_of_many_rows_at_once_each_is_by_itself(monkeypatch):
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 4, (2, 5, 7, 6)).astype(float)
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 100)  # several blocks
    rhos, taus = spearman_rho(ours, theirs), kendall_tau_b(ours, theirs)
    assert rhos.shape == taus.shape == (5, 7)
    for place in np.ndindex(5, 7):
        rho, tau = scipy_of(ours[place], theirs[place])
        assert rhos[place] == pytest.approx(rho, abs=1e-12)
        assert taus[place] == pytest.approx(tau, abs=1e-12)


@given(two_numbers())
def test_only_the_order_counts_and_the_reverse_order_is_the_negative(numbers):
    ours, theirs = numbers
    for coefficient in (spearman_rho, kendall_tau_b):
        assert coefficient(np.exp(ours), 5 * theirs - 1) == pytest.approx(coefficient(ours, theirs), abs=1e-12)
        assert coefficient(-ours, theirs) == pytest.approx(-coefficient(ours, theirs), abs=1e-12)
        assert coefficient(ours, theirs) == coefficient(theirs, ours)
        assert coefficient(ours, ours) == pytest.approx(1)


def test_a_number_that_is_the_same_for_all_has_no_coefficient():
    assert np.isnan(spearman_rho(np.ones(4), ONE[:4]))
    assert np.isnan(kendall_tau_b(np.ones(4), ONE[:4]))


# Over images


@given(two_numbers())
@settings(deadline=None, max_examples=25)
def test_every_resample_is_what_scipy_says_of_the_images_that_were_drawn(numbers):
    ours, theirs = numbers
    rhos, taus = module._over_resamples(ours, theirs, 12, seed=3)
    for weights, rho, tau in zip(module._weights(len(ours), 12, 3), rhos, taus, strict=True):
        drawn = np.repeat(np.arange(len(ours)), weights.astype(int))
        assert len(drawn) == len(ours)
        if len(set(ours[drawn])) > 1 and len(set(theirs[drawn])) > 1:
            expected = scipy_of(ours[drawn], theirs[drawn])
            assert (rho, tau) == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(rho)
            assert np.isnan(tau)


def test_intervals_are_those_of_scipys_bootstrap_but_for_the_draws():
    rng = np.random.default_rng(1)
    ours = rng.normal(size=80)
    theirs = ours + rng.normal(size=80)
    found = agreement_over_images(ours, theirs)
    for coefficient, statistic in ((found.rho, stats.spearmanr), (found.tau, stats.kendalltau)):
        drawn = stats.bootstrap(
            (ours, theirs),
            lambda a, b, of=statistic: of(a, b).statistic,
            paired=True,
            vectorized=False,
            n_resamples=1000,
            method="percentile",
            random_state=rng,
        ).confidence_interval
        assert coefficient.low == pytest.approx(drawn.low, abs=0.03)
        assert coefficient.high == pytest.approx(drawn.high, abs=0.03)


def test_a_seed_gives_the_same_interval_and_another_one_another():
    ours, theirs = np.random.default_rng(2).normal(size=(2, 40))
    assert agreement_over_images(ours, theirs, seed=1) == agreement_over_images(ours, theirs, seed=1)
    assert agreement_over_images(ours, theirs, seed=1) != agreement_over_images(ours, theirs, seed=2)


def test_more_images_make_it_narrower_and_it_holds_the_value():
    rng = np.random.default_rng(3)
    ours = rng.normal(size=400)
    theirs = ours + rng.normal(size=400)
    found = [agreement_over_images(ours[:n], theirs[:n]).rho for n in (25, 100, 400)]
    assert all(one.high - one.low > other.high - other.low for one, other in pairwise(found))
    assert all(each.low <= each.value <= each.high for each in found)


# Over methods


def test_numbers_that_are_sure_leave_nothing_open():
    found = agreement_of_draws(ONE, OTHER, np.tile(ONE, (50, 1)), np.tile(OTHER, (50, 1)))
    assert (found.rho.low, found.rho.high) == pytest.approx((found.rho.value,) * 2)
    assert (found.rho.value, found.tau.value) == pytest.approx(scipy_of(ONE, OTHER))


def test_numbers_that_change_places_open_the_interval():
    rng = np.random.default_rng(4)
    sure, unsure = (ONE + rng.normal(scale=scale, size=(2000, 6)) for scale in (0.1, 2))
    narrow, wide = (agreement_of_draws(ONE, ONE, drawn, np.tile(ONE, (2000, 1))).rho for drawn in (sure, unsure))
    assert narrow.low == 1
    assert wide.low < 0.7
    assert wide.high == 1


def test_draws_in_which_all_are_alike_are_passed_over():
    drawn = np.stack([np.ones(6), ONE, np.ones(6)])
    found = agreement_of_draws(ONE, OTHER, drawn, np.tile(OTHER, (3, 1)))
    assert (found.tau.low, found.tau.high) == pytest.approx((found.tau.value,) * 2)
    nothing = agreement_of_draws(ONE, OTHER, np.ones((3, 6)), np.ones((3, 6)))
    assert (nothing.rho.low, nothing.rho.high) == (None, None)


@given(two_numbers(most=6))
@settings(deadline=None, max_examples=20)
def test_p_is_that_of_scipys_exact_permutation_test(numbers):
    ours, theirs = numbers
    expected = stats.permutation_test(
        (ours,),
        lambda a: abs(stats.spearmanr(a, theirs).statistic),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    ).pvalue
    assert order_by_chance(ours, theirs) == pytest.approx(expected)


def test_the_smallest_p_is_two_of_all_orders():
    assert order_by_chance(np.arange(3.0), np.arange(3.0)) == pytest.approx(2 / 6)
    assert order_by_chance(np.arange(5.0), -np.arange(5.0)) == pytest.approx(2 / 120)
    assert order_by_chance(np.arange(12.0), np.arange(12.0)) == pytest.approx(1 / 10000)


def test_of_many_methods_a_sample_of_orders_is_enough():
    rng = np.random.default_rng(5)
    ours = rng.normal(size=9)
    theirs = ours + 2 * rng.normal(size=9)
    assert order_by_chance(ours, theirs) == pytest.approx(stats.spearmanr(ours, theirs).pvalue, abs=0.03)
    assert order_by_chance(ours, theirs, seed=1) == order_by_chance(ours, theirs, seed=1)


# What has no order


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ([1, 2], [2, 1], "at least 3 things"),
        ([1, 2, 3], [1, 2, 3, 4], "shapes [3] and [4]"),
        ([1, 2, 3], [4, 4, 4], "all 3 values are 4"),
        ([1, float("nan"), 3], [1, 2, 3], "no finite number"),
    ],
)
def test_what_has_no_order_is_refused(ours, theirs, words):
    ours, theirs = np.array(ours, dtype=float), np.array(theirs, dtype=float)
    for ask in (agreement_over_images, order_by_chance):
        with pytest.raises(DataError, match=re.escape(words)):
            ask(ours, theirs)
    with pytest.raises(DataError, match=re.escape(words)):
        agreement_of_draws(ours, theirs, ours[None], theirs[None])


# The example of the document


def test_the_worked_example_of_the_document_is_so():
    text = DOCUMENT.read_text(encoding="utf-8").split("## Agreement with people")[1]
    rows = re.findall(r"^\| .* \| (0\.\d+) \| (\d+) % \|$", text, flags=re.MULTILINE)
    scores, rates = (np.array([float(each[i]) for each in rows]) for i in (0, 1))
    assert len(rows) == 5
    said = {name: float(value) for name, value in re.findall(r"(rho|p) = (\d\.\d+)", text)}
    (tau,) = re.findall(r"tau-b = .*? = (\d\.\d+)", text)
    assert f"{spearman_rho(scores, rates):.3f}" == f"{said['rho']:.3f}"
    assert f"{kendall_tau_b(scores, rates):.3f}" == tau
    assert f"{order_by_chance(scores, rates):.3f}" == f"{said['p']:.3f}"
    ranks = [" ".join(f"{rank:g}" for rank in average_ranks(-each)) for each in (scores, rates)]
    assert f"the ranks are {ranks[0]} and {ranks[1]}" in text
