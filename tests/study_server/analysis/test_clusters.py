"""Counts per participant: rate, variance, intraclass correlation, design effect."""

import numpy as np
import pytest

from cgeval.errors import DataError
from study_server.analysis.clusters import counts_of, intraclass_correlation
from tests.study_server.analysis.people import counts, crowd, judged


def test_each_participant_counts_alike_however_many_trials_they_answered():
    people = counts([10, 1], [40, 2])
    assert people.rate == (0.25 + 0.5) / 2
    assert people.total == 42
    assert people.variance == pytest.approx(0.25**2 / 2 / 2)


@pytest.mark.parametrize("fooled", range(41))
def test_people_of_one_rate_have_no_variance_whatever_rounding_makes_of_their_mean(fooled):
    """The mean of three times 19 / 40 is not that number, by 2e-17."""
    for participants in (2, 3, 6, 11):
        people = counts([fooled, *[2 * fooled] * (participants - 1)], [40, *[80] * (participants - 1)])
        assert people.variance == 0
        assert people.design_effect == 0 or fooled in (0, 40)


def test_the_design_effect_is_the_variance_over_that_of_independent_trials():
    people = counts([4, 12, 20])
    rates = np.array([0.1, 0.3, 0.5])
    assert people.design_effect == pytest.approx(rates.var(ddof=1) / 3 / (0.3 * 0.7 / 120))


def test_the_correlation_is_the_anova_estimator_written_out_over_single_trials():
    people = counts([3, 9, 14, 30], [20, 40, 40, 37])
    trials = [np.r_[np.ones(int(k)), np.zeros(int(n - k))] for k, n in zip(people.fooled, people.trials, strict=True)]
    every = np.concatenate(trials)
    between = sum(len(t) * (t.mean() - every.mean()) ** 2 for t in trials) / (4 - 1)
    within = sum(((t - t.mean()) ** 2).sum() for t in trials) / (len(every) - 4)
    size = (len(every) - sum(len(t) ** 2 for t in trials) / len(every)) / (4 - 1)
    assert intraclass_correlation([people]) == pytest.approx((between - within) / (between + (size - 1) * within))


def test_the_correlation_of_simulated_people_is_recovered_within_each_arm():
    alike = [crowd(4000, rate, 0.15, seed) for seed, rate in enumerate((0.1, 0.5))]
    assert intraclass_correlation(alike) == pytest.approx(0.15, abs=0.01)
    assert intraclass_correlation([crowd(4000, 0.3, 1e-9, 3)]) == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize("people", [counts([3]), counts([0, 0]), counts([40, 40]), counts([1, 0], 1)])
def test_where_nothing_can_be_told_there_is_no_correlation(people):
    assert intraclass_correlation([people]) is None


def test_the_correlation_where_few_are_fooled():
    """Of five people one, in 3 of 40 trials: all mean squares are far below 1."""
    msb, msw = 40 * (4 * 0.015**2 + 0.06**2) / 4, 3 * (1 - 3 / 40) / 195
    assert intraclass_correlation([counts([0, 0, 0, 0, 3])]) == pytest.approx((msb - msw) / (msb + 39 * msw))


def test_participants_without_an_answer_are_not_counted():
    people = judged({"a": [2, 4]})
    people = people.where(people.participant == 1)
    found = counts_of(people)
    assert (found.participants, found.rate) == (1, 0.5)
    with pytest.raises(DataError, match="no answer left"):
        counts_of(people.where(people.participant == 0))
