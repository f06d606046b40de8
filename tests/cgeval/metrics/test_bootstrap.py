"""Intervals come from drawing images: the same for the same seed, as wide as they should be, alike for both sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.errors import ConfigError, DataError
from cgeval.metrics import (
    CONVENTIONS,
    METRICS,
    Interval,
    bootstrap_classes,
    bootstrap_scores,
    interval_name,
    paired_bootstrap,
    paired_differences,
    resample_means,
    resample_scores,
    segmentation_scores,
)
from cgeval.metrics import bootstrap as module

TRUTH = np.array([600, 300, 90, 10])  # pixels of each class in a typical image


def images(n, seed, skill=0.7):
    """int64 [n, 5, 5]: images of 1000 scored pixels each, of varying truth and difficulty."""
    rng = np.random.default_rng(seed)
    true = np.stack([rng.multinomial(1000, rng.dirichlet(TRUTH / 100)) for _ in range(n)])
    return predict(true, seed, skill)


def predict(true, seed, skill):
    """Confusion matrices [n, 5, 5] of a segmenter that is right in about `skill` of the pixels of each class."""
    rng = np.random.default_rng(seed + 1)
    counts = np.zeros((len(true), 5, 5), dtype=np.int64)
    for image, rows in enumerate(true):
        right = rng.beta(10 * skill, 10 * (1 - skill))
        for t, pixels in enumerate(rows):
            shares = np.full(5, (1 - right) / 4)
            shares[t] = right
            counts[image, t] = rng.multinomial(pixels, shares)
    return counts


def point(matrices, convention="reference"):
    return segmentation_scores(matrices.sum(axis=0), convention)


# One run


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    matrices = images(30, 0)
    once, again = (bootstrap_scores(matrices, "reference", seed=3) for _ in range(2))
    assert once == again
    assert once != bootstrap_scores(matrices, "reference", seed=4)


def test_it_is_the_bootstrap_image_by_image():
    matrices = images(12, 1)
    sizes = [w.sum(axis=1) for w in module._weights(12, 300, 5)]
    weights = np.concatenate(list(module._weights(12, 300, 5))).astype(np.int64)
    assert np.concatenate(sizes).tolist() == [12] * 300
    drawn = [segmentation_scores(np.einsum("n,nij->ij", w, matrices), "cityscapes") for w in weights]
    found = bootstrap_scores(matrices, "cityscapes", resamples=300, seed=5)
    for metric in METRICS:
        low, high = np.quantile([getattr(d, metric) for d in drawn], [0.025, 0.975])
        assert (found[metric].low, found[metric].high) == pytest.approx((low, high), abs=1e-12)


def test_blocks_of_resamples_change_nothing(monkeypatch):
    matrices = images(12, 1)
    whole = bootstrap_scores(matrices, "reference", resamples=100)
    monkeypatch.setattr(module, "DRAWS_AT_ONCE", 100)
    assert bootstrap_scores(matrices, "reference", resamples=100) == whole


def test_95_percent_intervals_hold_the_truth_about_95_times_in_100():
    population = images(4000, 9)
    true = {metric: float(getattr(point(population), metric)) for metric in METRICS}
    rng = np.random.default_rng(0)
    held = dict.fromkeys(METRICS, 0)
    for seed in range(200):
        sample = population[rng.choice(4000, 60, replace=False)]
        for metric, interval in bootstrap_scores(sample, "reference", resamples=300, seed=seed).items():
            held[metric] += interval.low <= true[metric] <= interval.high
    assert all(0.89 <= times / 200 <= 0.99 for times in held.values()), held


@given(seed=st.integers(0, 1000), n=st.integers(2, 12), convention=st.sampled_from(CONVENTIONS))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_an_interval_holds_its_score_and_lies_within_0_and_1(seed, n, convention):
    matrices = images(n, seed)
    value = point(matrices, convention)
    for metric, interval in bootstrap_scores(matrices, convention, resamples=50, seed=seed).items():
        assert 0 <= interval.low <= getattr(value, metric) <= interval.high <= 1


def test_where_most_resamples_lack_a_class_the_interval_still_holds_the_score():
    matrices = np.zeros((9, 10, 10), dtype=np.int64)
    matrices[np.arange(9), np.arange(9), np.arange(9)] = 100  # each class in one image only, all right
    interval = bootstrap_scores(matrices, "reference", seed=1)["class_iou"]
    assert interval.low < 0.7
    assert interval.high == 1


def test_more_images_give_a_narrower_interval():
    widths = [
        interval.high - interval.low
        for n in (20, 320)
        for interval in [bootstrap_scores(images(n, 5), "reference")["pixel_accuracy"]]
    ]
    assert widths[1] < 0.4 * widths[0]


def test_a_lower_level_gives_a_narrower_interval_inside():
    matrices = images(40, 2)
    wide, narrow = (bootstrap_scores(matrices, "reference", level=level)["class_iou"] for level in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_images_that_are_all_alike_give_an_interval_without_width():
    matrices = np.repeat(images(1, 0), 8, axis=0)
    value = float(point(matrices).pixel_accuracy)
    assert bootstrap_scores(matrices, "reference")["pixel_accuracy"] == Interval(value, value)


def test_one_image_has_no_interval():
    one = images(1, 0)
    assert bootstrap_scores(one, "reference") == dict.fromkeys(METRICS)
    assert bootstrap_classes(one, "reference").ious == (None,) * 4
    assert bootstrap_classes(one, "reference").accuracies == (None,) * 4


def test_images_without_a_scored_pixel_do_no_harm():
    matrices = images(4, 0)
    matrices[1:, :-1] = 0
    found = bootstrap_scores(matrices, "reference")["pixel_accuracy"]
    value = float(point(matrices).pixel_accuracy)
    assert (found.low, found.high) == pytest.approx((value, value))


# Classes


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_classes_have_intervals_of_the_same_resamples(convention):
    matrices = images(25, 3)
    value, found = point(matrices, convention), bootstrap_classes(matrices, convention)
    for scores, intervals in ((value.ious, found.ious), (value.accuracies, found.accuracies)):
        assert len(intervals) == 4
        assert all(i.low < score < i.high for score, i in zip(scores, intervals, strict=True))
    only_one = matrices.copy()
    only_one[:, 1:, :] = 0  # the mean over the one class that is true is that class's own value
    alone = bootstrap_classes(only_one, "cityscapes").accuracies[0]
    together = bootstrap_scores(only_one, "cityscapes")["class_accuracy"]
    assert (alone.low, alone.high) == pytest.approx((together.low, together.high))


def test_an_absent_class_has_no_interval_under_cityscapes_and_0_to_0_under_reference():
    matrices = images(10, 3)
    matrices[:, 3, :] = 0
    matrices[:, :, 3] = 0
    assert bootstrap_classes(matrices, "cityscapes").ious[3] is None
    assert bootstrap_classes(matrices, "reference").ious[3] == Interval(0, 0)


# Two runs


def test_a_run_against_itself_differs_by_nothing():
    matrices = images(20, 0)
    for found in paired_bootstrap(matrices, matrices, "reference").values():
        assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_changing_the_sides_changes_the_sign_and_nothing_else():
    ours = images(20, 0)
    theirs = predict(ours.sum(axis=2)[:, :4], 77, 0.65)
    one, other = paired_bootstrap(ours, theirs, "reference"), paired_bootstrap(theirs, ours, "reference")
    for metric in METRICS:
        a, b = one[metric], other[metric]
        assert (a.difference, a.p_value) == (-b.difference, b.p_value)
        assert (a.low, a.high) == pytest.approx((-b.high, -b.low))


def test_a_clear_difference_is_found_and_its_p_value_is_the_formulas_smallest():
    ours = images(60, 0, skill=0.8)
    theirs = predict(ours.sum(axis=2)[:, :4], 5, 0.5)
    found = paired_bootstrap(ours, theirs, "reference", resamples=999)["pixel_accuracy"]
    assert found.difference == pytest.approx(float(point(ours).pixel_accuracy - point(theirs).pixel_accuracy))
    assert 0.2 < found.low < found.difference < found.high < 0.4
    assert found.p_value == 2 / 1000


def test_the_p_value_is_twice_the_smaller_tail():
    drawn = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert module._paired(1.0, drawn, 0.95).p_value == 2 * (1 + 3) / (1 + 9)
    assert module._paired(0.0, np.array([-1.0, 1.0]), 0.95).p_value == 1  # never above


def test_pairing_makes_a_small_difference_visible_that_is_hidden_between_images():
    rng = np.random.default_rng(0)
    right = np.round(1000 * rng.beta(2, 2, 80)).astype(np.int64).clip(30)  # images differ wildly in difficulty
    ours, theirs = np.zeros((2, 80, 3, 3), dtype=np.int64)
    for counts, correct in ((ours, right), (theirs, right - rng.integers(0, 30, 80))):
        counts[:, 0, 0], counts[:, 0, 1] = correct, 1000 - correct
    found = paired_bootstrap(ours, theirs, "cityscapes")["pixel_accuracy"]
    alone = bootstrap_scores(ours, "cityscapes")["pixel_accuracy"]
    assert found.low > 0
    assert alone.high - alone.low > 5 * found.difference


def test_without_a_difference_the_p_value_is_small_about_as_often_as_it_says():
    small = 0
    for seed in range(150):
        ours = images(40, seed)
        theirs = predict(ours.sum(axis=2)[:, :4], 10_000 + seed, 0.7)
        small += paired_bootstrap(ours, theirs, "reference", resamples=200)["pixel_accuracy"].p_value <= 0.1
    assert 0.03 <= small / 150 <= 0.2


def test_one_image_has_a_difference_and_nothing_more():
    ours = images(1, 0)
    theirs = predict(ours.sum(axis=2)[:, :4], 5, 0.5)
    found = paired_bootstrap(ours, theirs, "reference")["pixel_accuracy"]
    assert found.difference == float(point(ours).pixel_accuracy - point(theirs).pixel_accuracy)
    assert (found.low, found.high, found.p_value) == (None, None, None)


# Several methods at once


def three_methods(n=25):
    ours = images(n, 0)
    true = ours.sum(axis=2)[:, :4]
    return [ours, predict(true, 5, 0.6), predict(true, 6, 0.69)]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_any_two_of_several_differ_as_the_two_alone_do_to_the_last_bit(convention):
    stacks = three_methods()
    found = resample_scores(stacks, convention, resamples=300, seed=2)
    for i, ours in enumerate(stacks):
        for j, theirs in enumerate(stacks):
            alone = paired_bootstrap(ours, theirs, convention, resamples=300, seed=2)
            assert paired_differences(found[i], found[j]) == alone


def test_resampled_scores_are_those_of_the_bootstrap():
    stacks = three_methods()
    for stack, found in zip(stacks, resample_scores(stacks, "cityscapes"), strict=True):
        assert found.values == {metric: float(getattr(point(stack, "cityscapes"), metric)) for metric in METRICS}
        for metric, interval in bootstrap_scores(stack, "cityscapes").items():
            assert np.quantile(found.drawn[metric], [0.025, 0.975]) == pytest.approx([interval.low, interval.high])


def test_a_paired_difference_is_the_bootstrap_of_the_difference_image_by_image():
    ours, theirs, _ = three_methods(12)
    weights = np.concatenate(list(module._weights(12, 400, 7))).astype(np.int64)
    drawn = [
        [segmentation_scores(np.einsum("n,nij->ij", w, side), "cityscapes").class_iou for side in (ours, theirs)]
        for w in weights
    ]
    differences = np.array([a - b for a, b in drawn])
    found = paired_bootstrap(ours, theirs, "cityscapes", resamples=400, seed=7)["class_iou"]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])), abs=1e-12)
    tail = 1 + min((differences <= 0).sum(), (differences >= 0).sum())
    assert found.p_value == min(1, 2 * tail / 401)


def test_means_of_values_of_each_image_are_resampled_alike():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random(30), rng.random(30)
    found = resample_means([ours, theirs], "error", resamples=500, seed=3)
    weights = np.concatenate(list(module._weights(30, 500, 3)))
    expected = [np.repeat(ours - theirs, w.astype(int)).mean() for w in weights]
    assert found[0].drawn["error"] - found[1].drawn["error"] == pytest.approx(np.array(expected))
    difference = paired_differences(*found)["error"]
    assert difference.difference == pytest.approx(ours.mean() - theirs.mean())
    assert (difference.low, difference.high) == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))


def test_one_image_has_numbers_and_no_resamples():
    one = images(1, 0)
    assert [found.drawn for found in resample_scores([one, one], "reference")] == [None, None]
    assert [found.drawn for found in resample_means([np.array([0.5])], "error")] == [None]
    assert paired_differences(*resample_means([np.array([0.5]), np.array([0.25])], "e"))["e"].difference == 0.25


def test_no_method_has_no_numbers():
    assert resample_scores([], "reference") == resample_means([], "error") == []


# What is refused


def test_a_third_method_over_other_images_is_refused():
    ours, theirs, third = three_methods(5)
    with pytest.raises(DataError, match="the truth of 2 of 5 images differs"):
        resample_scores([ours, theirs, third[[0, 2, 1, 3, 4]]], "reference")


@pytest.mark.parametrize("samples", [[np.ones(3), np.ones(2)], [np.ones((2, 2))], [np.ones(0)]])
def test_values_that_are_not_one_of_each_image_are_refused(samples):
    with pytest.raises(DataError, match="cannot be paired: one of each image"):
        resample_means(samples, "error")


def test_stacks_of_different_images_cannot_be_paired():
    ours = images(5, 0)
    with pytest.raises(DataError, match=r"\[5, 5, 5\] and \[4, 5, 5\] cannot be paired"):
        paired_bootstrap(ours, ours[:4], "reference")


def test_images_in_another_order_cannot_be_paired():
    ours = images(5, 0)
    with pytest.raises(DataError, match=r"the truth of 2 of 5 images differs .* \(the first is number 1, from 0\)"):
        paired_bootstrap(ours, ours[[0, 2, 1, 3, 4]], "reference")


@pytest.mark.parametrize("setting", [{"resamples": 0}, {"level": 0.0}, {"level": 95}])
def test_impossible_settings_are_refused(setting):
    for refuse in (bootstrap_scores, bootstrap_classes, lambda m, c, **s: paired_bootstrap(m, m, c, **s)):
        with pytest.raises(ConfigError, match="at least 1, and a level between 0 and 1"):
            refuse(images(3, 0), "reference", **setting)


def test_no_resamples_are_refused_for_several_methods_too():
    for refuse in (
        lambda: resample_scores([images(3, 0)], "reference", resamples=0),
        lambda: resample_means([np.ones(3)], "error", resamples=0),
    ):
        with pytest.raises(ConfigError, match="0 resamples"):
            refuse()


def test_no_image_and_a_matrix_that_is_no_stack_are_refused():
    for matrices in (np.zeros((0, 3, 3), np.int64), np.eye(3, dtype=np.int64)):
        with pytest.raises(DataError, match="one or more"):
            bootstrap_scores(matrices, "reference")


def test_images_that_are_all_void_are_refused():
    with pytest.raises(DataError, match="no pixel that is scored"):
        bootstrap_scores(np.zeros((3, 3, 3), np.int64), "cityscapes")


def test_an_interval_is_named_with_its_level_and_resamples():
    assert interval_name() == "bootstrap over images, percentile, 95 %, 2000 resamples"
