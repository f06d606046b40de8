"""Intervals against statsmodels, scipy, and formulas written out."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from study_server.analysis.clusters import intraclass_correlation
from study_server.analysis.intervals import (
    clopper_pearson,
    clustered,
    effective_trials,
    equivalence,
    korn_graubard,
    pooled_wilson,
)
from tests.study_server.analysis.people import counts, crowd

PEOPLE = counts([5, 12, 9, 16, 7, 11, 3, 20, 13, 8])


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (10, 10), (3, 10), (271, 1000)])
def test_the_exact_binomial_interval_is_that_of_statsmodels_and_scipy(hits, trials):
    found = clopper_pearson(hits / trials, trials)
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, trials, method="beta"), abs=1e-12)
    exact = stats.binomtest(hits, trials).proportion_ci()
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_korn_and_graubards_interval_written_out():
    """n* = p (1 - p) / V, times (t_{n-1} / t_{m-1})^2, in the beta distribution's quantiles."""
    rates = np.array([5, 12, 9, 16, 7, 11, 3, 20, 13, 8]) / 40
    p, variance = rates.mean(), rates.var(ddof=1) / 10
    effective = p * (1 - p) / variance * (stats.t.ppf(0.975, 399) / stats.t.ppf(0.975, 9)) ** 2
    x = effective * p
    low = stats.beta.ppf(0.025, x, effective - x + 1)
    high = stats.beta.ppf(0.975, x + 1, effective - x)
    assert effective_trials(PEOPLE) == pytest.approx(effective)
    found = korn_graubard(PEOPLE)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_it_stands_on_no_more_trials_than_there_are():
    """Participants who differ less than chance lets them."""
    same = counts([10, 10, 10, 10, 11])
    assert same.design_effect < 1
    few = (stats.t.ppf(0.975, 199) / stats.t.ppf(0.975, 4)) ** 2
    assert effective_trials(same) == pytest.approx(200 * few)


@pytest.mark.parametrize("fooled", [[0] * 10, [40] * 10, [0] * 9 + [1], [40] * 8 + [39, 2], [7] * 10])
def test_where_few_tell_how_people_differ_a_usual_correlation_is_the_least(fooled):
    people = counts(fooled)
    usual = 400 / (1 + 39 * 0.15) * (stats.t.ppf(0.975, 399) / stats.t.ppf(0.975, 9)) ** 2
    assert effective_trials(people) <= usual * (1 + 1e-12)
    assert effective_trials(people, icc=0.25) < effective_trials(people, icc=0.1) + 1e-9
    found = korn_graubard(people)
    assert 0 <= found.low <= people.rate <= found.high <= 1
    assert found.high - found.low > 0.02


def test_at_0_and_at_100_percent_it_ends_there_and_is_no_point():
    nothing, everything = korn_graubard(counts([0] * 10)), korn_graubard(counts([40] * 10))
    assert nothing.low == 0 < nothing.high < 0.2
    assert everything.high == 1 > everything.low > 0.8
    assert (everything.low, everything.high) == pytest.approx((1 - nothing.high, 1 - nothing.low))


def test_one_participant_has_a_wide_interval_and_no_standard_error():
    alone = counts([20])
    assert clustered(alone) is None
    assert equivalence(alone, 0.1) is None
    found = korn_graubard(alone)
    assert found.low < 0.1
    assert found.high > 0.9


def test_the_clustered_error_is_that_of_a_mean():
    error, interval = clustered(PEOPLE)
    assert error == pytest.approx(stats.sem(PEOPLE.rates))
    low, high = stats.t.interval(0.95, 9, PEOPLE.rates.mean(), stats.sem(PEOPLE.rates))
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_wilsons_is_that_of_statsmodels():
    found = pooled_wilson(PEOPLE)
    expected = proportion_confint(PEOPLE.fooled.sum(), 400, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected)


def test_equivalence_is_two_t_tests_against_the_margins():
    people = crowd(60, 0.5, 0.02, 1)
    found = equivalence(people, 0.1)
    above = stats.ttest_1samp(people.rates, 0.4, alternative="greater").pvalue
    below = stats.ttest_1samp(people.rates, 0.6, alternative="less").pvalue
    assert found.p_value == pytest.approx(max(above, below), abs=1e-12)
    assert found.p_value < 0.05
    assert equivalence(crowd(60, 0.3, 0.02, 1), 0.1).p_value > 0.5


@pytest.mark.parametrize("fooled", [[0] * 8, [40] * 8, [20] * 8])
def test_equivalence_is_defined_where_nobody_differs(fooled):
    found = equivalence(counts(fooled), 0.1)
    assert found.p_value > 0.9 if fooled[0] != 20 else found.p_value < 0.2


def test_a_level_of_90_percent_is_narrower():
    wide, narrow = korn_graubard(PEOPLE), korn_graubard(PEOPLE, level=0.9)
    assert wide.low < narrow.low < PEOPLE.rate < narrow.high < wide.high


def test_the_pooled_correlation_is_used_where_it_is_the_larger():
    nothing = counts([0] * 10)
    other = crowd(40, 0.5, 0.3, 2)
    assert korn_graubard(nothing, intraclass_correlation([nothing, other])).high > korn_graubard(nothing).high
