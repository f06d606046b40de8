"""Intervals against statsmodels, scipy, and formulas written out."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from study_server.analysis.clusters import intraclass_correlation
from study_server.analysis.intervals import (
    Equivalence,
    clopper_pearson,
    clustered,
    effective_trials,
    equivalence,
    independent_trials,
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


def test_with_unequal_trials_the_usual_correlation_is_that_of_a_mean_of_rates():
    """Var of a mean of rates, each of n_i trials: p (1 - p) / m^2 * sum (icc + (1 - icc) / n_i), by simulation too."""
    trials = np.array([40, 40, 2, 1])
    own = np.random.default_rng(0).beta(0.3 * (1 / 0.15 - 1), 0.7 * (1 / 0.15 - 1), (200_000, 4))
    means = (np.random.default_rng(1).binomial(trials, own) / trials).mean(axis=1)
    variance = 0.3 * 0.7 / 16 * sum(0.15 + 0.85 / n for n in trials)
    assert means.var() == pytest.approx(variance, rel=0.02)
    nobody = counts([0, 0, 0, 0], trials)
    assert independent_trials(nobody) == pytest.approx(0.3 * 0.7 / variance)
    assert independent_trials(nobody, icc=0.25) < independent_trials(nobody, icc=0.1) == independent_trials(nobody)


def test_with_unequal_trials_it_stands_on_no_more_than_people_who_are_not_alike_would_tell():
    """All have the rate of a half, whether they answered 2 trials or 40."""
    same = counts([1, 20, 1, 21], [2, 40, 2, 40])
    assert independent_trials(same) == pytest.approx(16 / (1 / 2 + 1 / 40 + 1 / 2 + 1 / 40))


@pytest.mark.parametrize("rate", [0.05, 0.27])
def test_it_covers_where_some_answered_a_single_trial(rate):
    """Of 10 people 5 answered one trial; on N trials alone the interval would cover 89 % at 5 %."""
    trials, source = np.array([40] * 5 + [1] * 5), np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        own = source.beta(rate * 49, (1 - rate) * 49, 10)
        found = korn_graubard(counts(source.binomial(trials, own), trials))
        covered += found.low <= rate <= found.high
    assert covered / 400 > 0.95


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
def test_where_nobody_differs_equivalence_takes_the_error_of_a_usual_correlation(fooled):
    people = counts(fooled)
    rate = min(max(people.rate, 0.5 / 320), 1 - 0.5 / 320)
    for icc in (0.15, 0.3):
        error = np.sqrt(rate * (1 - rate) * (1 + 39 * icc) / 320)
        tails = stats.t.sf((people.rate - 0.4) / error, 7), stats.t.cdf((people.rate - 0.6) / error, 7)
        assert equivalence(people, 0.1, icc).p_value == pytest.approx(max(tails))
    assert equivalence(people, 0.1) == equivalence(people, 0.1, 0.15)


def test_equivalence_is_shown_at_one_minus_the_level():
    tested = Equivalence(0.5, 0.1, 0.04)
    assert tested.is_shown()
    assert not tested.is_shown(0.99)
    assert Equivalence(0.5, 0.1, 1 - 0.9).is_shown(0.9)


def test_people_of_one_rate_are_not_equivalent_by_rounding():
    """Three people with 19 of 40: the rounded mean makes their rates differ by 2e-17, which told that for certain."""
    assert equivalence(counts([19] * 3), 0.1).p_value > 0.1
    assert independent_trials(counts([19] * 3)) == pytest.approx(120 / (1 + 39 * 0.15))


def test_from_above_a_quarter_of_the_participants_on_they_tell_themselves_how_they_differ():
    told, too_few = counts([4, 1, 1, *[0] * 5]), counts([4, 2, *[0] * 6])
    for people, least in ((told, 1.0), (too_few, 1 + 39 * 0.15)):
        for each in (people, counts(40 - people.fooled)):
            assert independent_trials(each) == pytest.approx(320 / max(each.design_effect, least))
    assert told.design_effect < 1 + 39 * 0.15


@pytest.mark.parametrize("participants", [1, 2, 3])
def test_few_participants_are_corrected_for_by_their_degrees_of_freedom(participants):
    """One participant has none; t with one is the widest there is, and is taken."""
    people = counts([20] * participants)
    few = stats.t.ppf(0.975, 40 * participants - 1) / stats.t.ppf(0.975, max(participants - 1, 1))
    assert effective_trials(people) == pytest.approx(40 * participants / (1 + 39 * 0.15) * few**2)


def test_two_participants_have_an_error_and_a_test():
    error, interval = clustered(counts([1, 7]))
    assert error == pytest.approx(stats.sem([1 / 40, 7 / 40]))
    assert interval.low == 0
    assert clustered(counts([39, 33]))[1].high == 1
    assert equivalence(counts([19, 21]), 0.1).p_value == pytest.approx(stats.t.sf(0.1 / (0.05 / 2), 1))


def test_a_level_of_90_percent_is_narrower():
    wide, narrow = korn_graubard(PEOPLE), korn_graubard(PEOPLE, level=0.9)
    assert wide.low < narrow.low < PEOPLE.rate < narrow.high < wide.high


def test_the_pooled_correlation_is_used_where_it_is_the_larger():
    nothing = counts([0] * 10)
    other = crowd(40, 0.5, 0.3, 2)
    assert korn_graubard(nothing, intraclass_correlation([nothing, other])).high > korn_graubard(nothing).high
