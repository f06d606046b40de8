"""Bootstraps, GEE, two-way errors and contrasts against other programs and plain loops."""

from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from study_server.analysis.bootstraps import amt_standard_deviation, participant_bootstrap
from study_server.analysis.contrasts import _welch_of_counts, contrast, contrasts, holm, permutation_test
from study_server.analysis.gee import gee
from study_server.analysis.intervals import korn_graubard
from study_server.analysis.judgements import SCORED, judgements_of
from study_server.analysis.twoway import TwoWay, two_way
from tests.study_server.analysis.people import counts, crowd, judged

PEOPLE = counts([5, 12, 9, 16, 7, 11, 3, 20, 13, 8])


def test_the_participant_bootstrap_is_that_of_drawn_participants():
    found = participant_bootstrap(PEOPLE, seed=1)
    drawn = PEOPLE.rates[np.random.default_rng(2).integers(10, size=(20_000, 10))].mean(axis=1)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.004)
    assert found == participant_bootstrap(PEOPLE, seed=1)
    assert participant_bootstrap(counts([3])) is None
    two = participant_bootstrap(counts([4, 8]))
    assert (two.low, two.high) == pytest.approx((0.1, 0.2))


def test_the_amt_plus_minus_is_that_of_a_plain_two_level_bootstrap():
    """Sessions are drawn with replacement, then the trials of each with replacement, and all of them pooled."""
    people = counts([5, 12, 30, 2], [20, 40, 40, 10])
    trials = [np.r_[np.ones(int(k)), np.zeros(int(n - k))] for k, n in zip(people.fooled, people.trials, strict=True)]
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(4000):
        drawn = [rng.choice(trials[i], len(trials[i])) for i in rng.integers(4, size=4)]
        rates.append(np.concatenate(drawn).mean())
    assert amt_standard_deviation(people) == pytest.approx(np.std(rates), rel=0.05)
    assert amt_standard_deviation(people) == amt_standard_deviation(people)
    assert amt_standard_deviation(counts([0, 0])) == 0


@pytest.mark.parametrize("seed", range(4))
def test_gee_is_that_of_statsmodels(seed):
    rng = np.random.default_rng(seed)
    trials = rng.integers(1 if seed == 3 else 20, 41, 6 + 8 * seed)
    people = counts(rng.binomial(trials, rng.beta(2, 5, len(trials))), trials)
    answers = [np.r_[np.ones(int(k)), np.zeros(int(n - k))] for k, n in zip(people.fooled, people.trials, strict=True)]
    y, whose = np.concatenate(answers), np.repeat(np.arange(len(trials)), trials)
    model = sm.GEE(
        y, np.ones((len(y), 1)), whose, family=sm.families.Binomial(), cov_struct=sm.cov_struct.Exchangeable()
    )
    theirs = model.fit(cov_type="bias_reduced", ctol=1e-12, maxiter=500)
    ours = gee(people)
    assert np.log(ours.rate / (1 - ours.rate)) == pytest.approx(theirs.params[0], abs=1e-6)
    assert ours.error == pytest.approx(theirs.bse[0], rel=1e-6)
    assert ours.correlation == pytest.approx(model.cov_struct.dep_params, abs=1e-6)
    low, high = 1 / (1 + np.exp(-theirs.conf_int()[0]))
    assert (ours.interval.low, ours.interval.high) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("people", [counts([4]), counts([0, 0, 0]), counts([40, 40])])
def test_gee_says_nothing_where_there_is_nothing_to_say(people):
    assert gee(people) is None


def test_gee_has_the_closest_correlation_that_is_one():
    """All fooled in one of two trials, which no correlation explains; and two people, each all of a kind."""
    assert gee(counts([1] * 5, 2)).correlation == pytest.approx(-0.999)
    assert gee(counts([1] * 5, 2)).rate == pytest.approx(0.5)
    assert gee(counts([3, 0], [3, 1])).correlation == 1


def test_gee_is_defined_with_one_trial_each():
    assert gee(counts([1, 0, 1, 1], 1)).correlation == 0
    assert gee(counts([1, 0, 1, 1], 1)).rate == 0.75


def test_the_two_way_error_written_out_as_sums_over_pairs_of_trials():
    trials = judged({"a": [2, 4, 7, 1]}, images=5).of_phase(SCORED)
    found = two_way(trials)
    e = trials.fooled - trials.fooled.mean()
    both = np.array([f"{p} {i}" for p, i in zip(trials.participant, trials.image, strict=True)])

    def meat(codes):
        names = np.unique(codes)
        return len(names) / (len(names) - 1) * sum(e[codes == name].sum() ** 2 for name in names) / len(e) ** 2

    people, images, pairs = meat(trials.participant), meat(trials.image), meat(both)
    assert found.error == pytest.approx(np.sqrt(max(people + images - pairs, people, images)))
    assert found.images == 5
    assert found.few


def test_where_people_and_images_both_differ_their_variances_are_added_and_that_of_both_is_taken_off():
    """Six people and eight images of rates of their own, the third image twice a person, some answers missing."""
    rng = np.random.default_rng(4)
    own, images = rng.normal(0, 1.5, 6), rng.normal(0, 2, 8)
    rows = []
    for person in range(6):
        for index, image in enumerate([*range(8), 2]):
            fooled = bool(rng.random() < 1 / (1 + np.exp(-own[person] - images[image])))
            clicked = None if (person + index) % 5 == 4 else "right" if fooled else "left"
            rows.append(
                {"session": f"{person}", "image": f"{image}", "index": index, "phase": "scored", "real_side": "left"}
                | {"clicked": clicked, "fooled": fooled}
            )
    trials = judgements_of([(f"{person}", "a") for person in range(6)], rows)
    answers = [row for row in rows if row["clicked"] is not None]
    mean = np.mean([row["fooled"] for row in answers])

    def variance(*names):
        sums = defaultdict(float)
        for row in answers:
            sums[tuple(row[name] for name in names)] += row["fooled"] - mean
        return len(sums) / (len(sums) - 1) * sum(each**2 for each in sums.values()) / len(answers) ** 2

    people, pictures, pairs = variance("session"), variance("image"), variance("session", "image")
    assert people + pictures - pairs > max(people, pictures) * 1.1
    assert two_way(trials).error == pytest.approx(np.sqrt(people + pictures - pairs))


def test_under_200_images_are_few():
    assert TwoWay(0.1, 199).few
    assert not TwoWay(0.1, 200).few


def test_one_image_or_one_person_has_no_two_way_error():
    assert two_way(judged({"a": [2, 4]}, images=2)) is not None
    assert two_way(judged({"a": [2, 4]}, images=1)) is None
    assert two_way(judged({"a": [2]})) is None


def test_the_difference_has_welchs_interval():
    ours, theirs = crowd(12, 0.3, 0.1, 1), crowd(30, 0.5, 0.2, 2)
    found = contrast("a", ours, "b", theirs)
    expected = stats.ttest_ind(ours.rates, theirs.rates, equal_var=False).confidence_interval()
    assert found.difference == pytest.approx(ours.rate - theirs.rate)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_two_participants_in_each_arm_have_an_interval_which_ends_at_100_points():
    found = contrast("a", counts([2, 4]), "b", counts([36, 40]))
    assert found.p_value == pytest.approx(2 / 6)
    assert (found.low, found.high) == (
        -1,
        pytest.approx(stats.ttest_ind([0.05, 0.1], [0.9, 1.0], equal_var=False).confidence_interval().high),
    )
    assert contrast("b", counts([36, 40]), "a", counts([2, 4])).high == 1


def test_arms_of_one_rate_each_differ_by_just_that():
    found = contrast("a", counts([20, 20]), "b", counts([10, 10]))
    assert found.difference == 0.25
    assert found.combined
    assert found.low < 0 < 0.5 < found.high


def test_where_nobody_differs_the_interval_is_combined_of_both_rates():
    """Each end as far as the nearer ends of both rates' intervals together: Zou and Donner's, written out."""
    nobody, some = counts([0] * 12), crowd(30, 0.4, 0.15, 2)
    found = contrast("a", nobody, "b", some, 0.2)
    first, second = korn_graubard(nobody, 0.2), korn_graubard(some, 0.2)
    difference = nobody.rate - some.rate
    assert found.combined
    assert found.low == pytest.approx(difference - np.hypot(0 - first.low, second.high - some.rate))
    assert found.high == pytest.approx(difference + np.hypot(first.high - 0, some.rate - second.low))
    assert not contrast("a", some, "b", some).combined


@pytest.mark.parametrize(("ours", "theirs"), [([0] * 9, [0] * 9), ([40] * 9, [0] * 9), ([40] * 9, [40] * 9)])
def test_a_difference_at_0_and_100_percent_has_an_interval_with_a_width(ours, theirs):
    found = contrast("a", counts(ours), "b", counts(theirs))
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert found.high - found.low > 0.1


def test_a_small_permutation_test_takes_every_deal():
    ours, theirs = np.array([0.1, 0.2, 0.3, 0.15]), np.array([0.4, 0.5, 0.45])
    every = np.concatenate([ours, theirs])

    def welch(first):
        a, b = every[list(first)], np.delete(every, list(first))
        return (a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))

    dealt, seen = np.array([welch(first) for first in combinations(range(7), 4)]), welch(range(4))
    tails = np.mean(dealt >= seen - 1e-9), np.mean(dealt <= seen + 1e-9)
    assert permutation_test(ours, theirs) == pytest.approx(2 * min(tails))


@pytest.mark.parametrize("seed", range(3))
def test_a_large_one_agrees_with_scipys(seed):
    ours, theirs = crowd(20, 0.3, 0.15, seed).rates, crowd(25, 0.4, 0.15, 10 + seed).rates

    def welch(a, b, axis):
        spread = a.var(axis=axis, ddof=1) / a.shape[axis] + b.var(axis=axis, ddof=1) / b.shape[axis]
        return (a.mean(axis=axis) - b.mean(axis=axis)) / np.sqrt(spread)

    theirs_p = stats.permutation_test((ours, theirs), welch, n_resamples=9999, rng=np.random.default_rng(0)).pvalue
    ours_p = permutation_test(ours, theirs)
    chance = 2 * np.sqrt(2 * (theirs_p / 2) / 9999)  # of twice a tail, in both programs
    assert ours_p == pytest.approx(theirs_p, abs=4 * chance)
    assert ours_p == permutation_test(ours, theirs)


def test_statistics_of_random_deals_are_welchs():
    """Of values and how often each was dealt; arms of unequal sizes, spreads and means."""
    values, often = np.array([-0.4, -0.1, 0.2, 0.9]), np.array([3, 5, 4, 2])
    dealt = np.array([[3, 1, 0, 0], [0, 1, 1, 2], [1, 1, 1, 1], [0, 1, 3, 0]])
    found = _welch_of_counts(dealt, often, values)
    for statistic, row in zip(found, dealt, strict=True):
        ours, theirs = (np.repeat(values, counted) for counted in (row, often - row))
        assert statistic == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).statistic)


def test_the_least_p_of_a_random_test_is_never_0():
    assert permutation_test(np.full(30, 0.1), np.full(30, 0.9)) == pytest.approx(2 / 10_000)
    assert permutation_test(np.full(30, 0.1), np.full(30, 0.1)) == 1
    assert permutation_test(np.zeros(2), np.ones(2)) == pytest.approx(
        2 / 6
    )  # every deal, of which two are as far apart


def test_one_participant_has_a_difference_without_a_test():
    found = contrast("a", counts([4]), "b", counts([8, 20]))
    assert found.difference == pytest.approx(0.1 - 0.35)
    assert (found.low, found.high, found.p_value) == (None, None, None)


def test_holm_is_that_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p_values = [0.01, 0.04, 0.03, 0.8, 0.001]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([0.04, None, 0.01]) == [0.04, None, 0.02]
    assert holm([]) == []


def test_all_pairs_or_those_that_were_declared_are_compared():
    arms = {name: crowd(10, rate, 0.1, 5) for name, rate in (("a", 0.1), ("b", 0.3), ("c", 0.5))}
    every = contrasts(arms)
    assert [(each.one, each.other) for each in every] == [("a", "b"), ("a", "c"), ("b", "c")]
    (declared,) = contrasts(arms, [("c", "a"), ("a", "gone")])
    assert declared.difference == pytest.approx(-every[1].difference)
    assert declared.adjusted == declared.p_value
    assert every[1].adjusted >= every[1].p_value
