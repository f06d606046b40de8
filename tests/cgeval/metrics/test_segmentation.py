"""The three scores are the paper's; each convention gives what its own script gives; void counts nowhere."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from cgeval.errors import ConfigError, DataError
from cgeval.labels import label_set
from cgeval.metrics import CONVENTIONS, METRICS, ConfusionMatrix, segmentation_scores

CITYSCAPES = label_set("cityscapes")
SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


def random_maps(seed, classes=19, shape=(40, 60), void_predicted=True):
    """Truth and a prediction that is right in a part of it; some classes are in neither, some in one of them only."""
    rng = np.random.default_rng(seed)
    true, guessed = (rng.choice(classes, rng.integers(2, classes - 1), replace=False) for _ in range(2))
    truth = rng.choice([*true, classes], shape)
    guess = rng.choice([*guessed, classes] if void_predicted else guessed, shape)
    right = (rng.random(shape) < rng.random()) & (void_predicted | (truth < classes))
    return truth, np.where(right, truth, guess)


# A worked example


def test_a_small_example_gives_what_paper_and_pencil_give():
    # truth:      0 0 0 0 | 1 1 | void     prediction: 0 0 1 void | 1 0 | 0     class 2 is nowhere, K = 3
    truth = np.array([[0, 0, 0, 0, 1, 1, 3]])
    prediction = np.array([[0, 0, 1, 3, 1, 0, 0]])
    counts = ConfusionMatrix.of(truth, prediction, 3).counts
    reference, cityscapes = (segmentation_scores(counts, convention) for convention in CONVENTIONS)
    # class 0: 2 right of 4 true, 3 predicted on scored pixels: 2 / 4 and 2 / (4 + 3 - 2)
    # class 1: 1 right of 2 true, 2 predicted: 1 / 2 and 1 / (2 + 2 - 1)
    assert reference.accuracies.tolist() == [0.5, 0.5, 0]
    assert reference.ious.tolist() == [2 / 5, 1 / 3, 0]
    assert reference.pixel_accuracy == cityscapes.pixel_accuracy == 3 / 6
    assert reference.class_accuracy == pytest.approx(1 / 3)
    assert reference.class_iou == pytest.approx((2 / 5 + 1 / 3) / 3)
    assert cityscapes.class_accuracy == 0.5
    assert cityscapes.class_iou == pytest.approx((2 / 5 + 1 / 3) / 2)
    assert np.isnan(cityscapes.accuracies[2])
    assert np.isnan(cityscapes.ious[2])


def test_a_class_that_is_only_predicted_has_an_iou_of_zero_and_no_accuracy():
    counts = ConfusionMatrix.of(np.array([[0, 0]]), np.array([[0, 1]]), 2).counts
    found = segmentation_scores(counts, "cityscapes")
    assert found.ious.tolist() == [0.5, 0]
    assert found.class_iou == 0.25
    assert found.class_accuracy == 0.5


# Differential: the scripts of others


def released_formula(truth, prediction, classes):
    """What the evaluation released with pix2pix computes, in plain numpy: pairs of scored pixels, 1e-12 below."""
    scored = (truth >= 0) & (truth < classes)
    codes = classes * truth[scored].astype(int) + prediction[scored]
    hist = np.bincount(codes, minlength=classes**2).reshape(classes, classes).astype(float)
    right, true, predicted = np.diag(hist), hist.sum(1), hist.sum(0)
    accuracies, ious = right / (true + 1e-12), right / (true + predicted - right + 1e-12)
    return right.sum() / (hist.sum() + 1e-12), np.nanmean(accuracies), np.nanmean(ious), accuracies, ious


@pytest.mark.parametrize("seed", range(20))
def test_reference_is_the_released_formula(seed):
    truth, prediction = random_maps(seed, void_predicted=False)
    ours = segmentation_scores(ConfusionMatrix.of(truth, prediction, 19).counts, "reference")
    theirs = released_formula(truth, prediction, 19)
    for metric, value in zip((*METRICS, "accuracies", "ious"), theirs, strict=True):
        np.testing.assert_allclose(getattr(ours, metric), value, rtol=0, atol=1e-12)


def by_cityscapes_scripts(truth, prediction):
    """Class IoUs and their mean, over ids; void becomes an ignored id."""
    to_id = np.array([*(label.id for label in CITYSCAPES.classes), 0])
    settings = SimpleNamespace(evalLabels=[])
    matrix = evalPixelLevelSemanticLabeling.generateMatrix(settings)
    np.add.at(matrix, (to_id[truth], to_id[prediction]), np.uint64(1))
    ious = {i: evalPixelLevelSemanticLabeling.getIouScoreForLabel(i, matrix, settings) for i in to_id[:-1].tolist()}
    rows = {i: matrix[i].sum() for i in to_id[:-1].tolist()}
    accuracies = {i: float(matrix[i, i]) / float(rows[i]) if rows[i] else float("nan") for i in rows}
    average = evalPixelLevelSemanticLabeling.getScoreAverage
    return list(ious.values()), average(ious, settings), average(accuracies, settings)


@pytest.mark.parametrize("seed", range(20))
def test_cityscapes_is_what_cityscapes_scripts_compute(seed):
    truth, prediction = random_maps(seed)
    ours = segmentation_scores(ConfusionMatrix.of(truth, prediction, 19).counts, "cityscapes")
    ious, mean_iou, mean_accuracy = by_cityscapes_scripts(truth, prediction)
    np.testing.assert_allclose(ours.ious, ious, rtol=0, atol=1e-15)
    assert ours.class_iou == pytest.approx(mean_iou, abs=1e-15)
    assert ours.class_accuracy == pytest.approx(mean_accuracy, abs=1e-15)


def test_the_random_maps_have_void_and_absent_classes_or_the_tests_above_would_show_nothing():
    scores = [segmentation_scores(ConfusionMatrix.of(*random_maps(s), 19).counts, "cityscapes") for s in range(20)]
    undefined = [int(np.isnan(s.ious).sum()) for s in scores]
    only_predicted = [int((np.isnan(s.accuracies) & ~np.isnan(s.ious)).sum()) for s in scores]
    assert min(max(undefined), max(only_predicted)) > 0
    assert all((truth == 19).any() and (prediction == 19).any() for truth, prediction in map(random_maps, range(20)))


@pytest.mark.parametrize("seed", range(10))
def test_iou_and_pixel_accuracy_are_those_of_torchmetrics(seed):
    truth, prediction = random_maps(seed, classes=8, void_predicted=False)
    ours = segmentation_scores(ConfusionMatrix.of(truth, prediction, 8).counts, "cityscapes")
    maps = torch.from_numpy(prediction), torch.from_numpy(truth)
    assert ours.class_iou == pytest.approx(float(MulticlassJaccardIndex(8, ignore_index=8)(*maps)), abs=1e-6)
    pixel_accuracy = float(MulticlassAccuracy(8, average="micro", ignore_index=8)(*maps))
    assert ours.pixel_accuracy == pytest.approx(pixel_accuracy, abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_class_accuracy_is_that_of_torchmetrics_where_every_predicted_class_is_true_somewhere(seed):
    truth, prediction = random_maps(seed, classes=8, void_predicted=False)
    prediction = np.where(np.isin(prediction, truth[truth < 8]), prediction, truth[truth < 8][0])
    ours = segmentation_scores(ConfusionMatrix.of(truth, prediction, 8).counts, "cityscapes")
    theirs = MulticlassAccuracy(8, average="macro", ignore_index=8)
    expected = float(theirs(torch.from_numpy(prediction), torch.from_numpy(truth)))
    assert ours.class_accuracy == pytest.approx(expected, abs=1e-6)


# Properties


def matrices(classes=4):
    counts = arrays(np.int64, (classes + 1, classes + 1), elements=st.integers(0, 50))
    return counts.filter(lambda counts: counts[:-1].sum() > 0)


@given(counts=matrices(), convention=st.sampled_from(CONVENTIONS))
@SETTINGS
def test_scores_are_fractions_and_no_iou_is_above_its_accuracy(counts, convention):
    found = segmentation_scores(counts, convention)
    for metric in METRICS:
        assert 0 <= getattr(found, metric) <= 1
    known = ~np.isnan(found.accuracies)
    assert (found.ious[known] <= found.accuracies[known]).all()


@given(counts=matrices(), convention=st.sampled_from(CONVENTIONS), order=st.permutations(range(4)))
@SETTINGS
def test_the_order_of_the_classes_does_not_matter(counts, convention, order):
    before = segmentation_scores(counts, convention)
    after = segmentation_scores(counts[np.ix_([*order, 4], [*order, 4])], convention)
    np.testing.assert_array_equal(after.ious, before.ious[list(order)])
    for metric in METRICS:
        assert getattr(after, metric) == pytest.approx(float(getattr(before, metric)), abs=1e-12)


@given(counts=matrices(), convention=st.sampled_from(CONVENTIONS), void=st.integers(0, 10**6))
@SETTINGS
def test_pixels_whose_truth_is_void_count_nowhere(counts, convention, void):
    before = segmentation_scores(counts, convention)
    counts[-1] = void
    after = segmentation_scores(counts, convention)
    for metric in METRICS:
        assert getattr(after, metric) == getattr(before, metric)


@given(counts=matrices(), factor=st.integers(2, 1000))
@SETTINGS
def test_seeing_every_image_several_times_changes_nothing(counts, factor):
    once, often = (segmentation_scores(times * counts, "reference") for times in (1, factor))
    assert often.class_iou == pytest.approx(float(once.class_iou), abs=1e-12)


@given(counts=matrices())
@SETTINGS
def test_the_conventions_differ_by_the_absent_classes_only(counts):
    reference, cityscapes = (segmentation_scores(counts, convention) for convention in CONVENTIONS)
    np.testing.assert_array_equal(reference.ious, np.nan_to_num(cityscapes.ious))
    present = int((~np.isnan(cityscapes.ious)).sum())
    assert 4 * reference.class_iou == pytest.approx(float(present * cityscapes.class_iou), abs=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_perfect_prediction_is_exactly_one(convention):
    truth = np.arange(5).repeat(7).reshape(5, 7)
    found = segmentation_scores(ConfusionMatrix.of(truth, np.minimum(truth, 3), 4).counts, convention)
    assert [float(getattr(found, metric)) for metric in METRICS] == [1, 1, 1]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_stack_is_scored_image_by_image(convention):
    counts = np.random.default_rng(0).integers(0, 3, (6, 2, 5, 5))
    together = segmentation_scores(counts, convention)
    assert together.convention == convention
    assert together.class_iou.shape == (6, 2)
    assert together.ious.shape == (6, 2, 4)
    for place in np.ndindex(6, 2):
        alone = segmentation_scores(counts[place], convention)
        for metric in (*METRICS, "accuracies", "ious"):
            np.testing.assert_array_equal(getattr(together, metric)[place], getattr(alone, metric))


# What is refused


def test_truth_that_is_all_void_is_refused():
    counts = ConfusionMatrix.of(np.full((4, 4), 3), np.zeros((4, 4), int), 3).counts
    with pytest.raises(DataError, match="the images have no pixel that is scored: is the truth all void"):
        segmentation_scores(counts, "reference")
    with pytest.raises(DataError, match="1 of 2 confusion matrices have no pixel that is scored"):
        segmentation_scores(np.stack([counts, np.eye(4, dtype=np.int64)]), "reference")


def test_an_unknown_convention_is_refused_and_the_known_ones_named():
    with pytest.raises(ConfigError, match=r"no convention 'torchmetrics' .* one of reference, cityscapes"):
        segmentation_scores(np.eye(3, dtype=np.int64), "torchmetrics")


@pytest.mark.parametrize("counts", [np.zeros((2, 3), int), np.zeros(3, int), np.zeros((1, 1), int), np.eye(3)])
def test_what_are_no_counts_is_refused(counts):
    with pytest.raises(DataError, match=r"counts are .*: whole numbers \[\.\.\., K \+ 1, K \+ 1\] are expected"):
        segmentation_scores(counts, "reference")
