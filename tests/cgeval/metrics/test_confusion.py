"""Two class maps give a matrix of pairs: counted exactly, whatever the maps look like, and adding like numbers."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.classification import MulticlassConfusionMatrix

from cgeval.errors import DataError
from cgeval.images import find_images, read_ids
from cgeval.metrics import ConfusionMatrix, confusion, stack

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


def one_by_one(truth, prediction, classes):
    """The definition: every pixel by itself."""
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        counts[t, p] += 1
    return counts


def noise(seed, classes, shape, most=None):
    return np.random.default_rng(seed).integers(0, classes + 1 if most is None else most, shape, dtype=np.uint8)


def areas(seed, classes, shape, cell=16):
    """Large flat areas, as label maps have."""
    coarse = noise(seed, classes, (-(-shape[0] // cell), -(-shape[1] // cell)))
    return np.ascontiguousarray(np.kron(coarse, np.ones((cell, cell), dtype=np.uint8))[: shape[0], : shape[1]])


@st.composite
def pairs_of_maps(draw):
    classes = draw(st.sampled_from([1, 2, 5, 19, 89, 90, 254]))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 40)))
    values = st.integers(0, classes)
    if draw(st.booleans()):  # few changes: the way of the runs
        values = st.sampled_from(draw(st.lists(values, min_size=1, max_size=2)))
    maps = arrays(np.uint8, shape, elements=values, fill=values)
    return draw(maps), draw(maps), classes


# What is counted


def test_rows_are_the_truth_columns_the_prediction_and_void_comes_last():
    truth = np.array([[0, 0, 1, 2]])
    prediction = np.array([[0, 1, 2, 1]])
    assert ConfusionMatrix.of(truth, prediction, 2).counts.tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]


@given(maps=pairs_of_maps())
@SETTINGS
def test_every_pixel_is_counted_as_by_hand(maps):
    truth, prediction, classes = maps
    assert np.array_equal(ConfusionMatrix.of(truth, prediction, classes).counts, one_by_one(truth, prediction, classes))


@pytest.mark.parametrize("classes", [1, 19, 89, 90, 254])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 333), (257, 300)])
@pytest.mark.parametrize("make", [noise, areas])
def test_areas_and_noise_of_any_size_and_any_number_of_classes_are_counted_alike(make, shape, classes):
    truth, prediction = make(0, classes, shape), make(1, classes, shape)
    found = ConfusionMatrix.of(truth, prediction, classes)
    assert np.array_equal(found.counts, one_by_one(truth, prediction, classes))


def test_runs_go_on_past_the_end_of_a_row_and_of_a_word():
    flat = np.zeros((40, 3), dtype=np.uint8)
    assert ConfusionMatrix.of(flat, flat, 1).counts.tolist() == [[120, 0], [0, 0]]
    for place in range(120):
        one = flat.copy()
        one.ravel()[place] = 1
        assert ConfusionMatrix.of(flat, one, 1).counts.tolist() == [[119, 1], [0, 0]]


@pytest.mark.parametrize("band", [1, 40, 1000])
def test_maps_larger_than_what_is_looked_at_together_are_counted_alike(monkeypatch, band):
    truth, prediction = areas(0, 19, (90, 70)), areas(1, 19, (90, 70))
    truth[40:50] = noise(2, 19, (10, 70))
    whole = ConfusionMatrix.of(truth, prediction, 19)
    monkeypatch.setattr(confusion, "BAND", band)
    monkeypatch.setattr(confusion, "CHUNK", 24)
    assert ConfusionMatrix.of(truth, prediction, 19) == whole


def test_the_real_label_maps_are_counted_as_numpy_counts_them(shared_data):
    first, second = (read_ids(file) for file in find_images(shared_data / "camvid" / "test" / "label")[:2])
    expected = np.bincount(12 * first.ravel().astype(int) + second.ravel(), minlength=144).reshape(12, 12)
    assert np.array_equal(ConfusionMatrix.of(first, second, 11).counts, expected)


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_torchmetrics_where_void_is_not_scored(seed):
    classes = 7
    truth, prediction = areas(seed, classes, (60, 50), 3), areas(seed + 50, classes - 1, (60, 50), 4)
    theirs = MulticlassConfusionMatrix(classes, ignore_index=classes, validate_args=True)
    expected = theirs(torch.from_numpy(prediction).long(), torch.from_numpy(truth).long()).numpy()
    assert np.array_equal(ConfusionMatrix.of(truth, prediction, classes).counts[:-1, :-1], expected)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int32, np.int64, np.uint64])
def test_maps_of_every_integer_type_are_counted_alike(kind):
    truth, prediction = areas(0, 254, (33, 70)), areas(1, 254, (33, 70))
    assert ConfusionMatrix.of(truth.astype(kind), prediction, 254) == ConfusionMatrix.of(truth, prediction, 254)


def test_maps_that_are_views_are_counted_and_left_as_they_were():
    truth, prediction = areas(0, 5, (64, 64)), areas(1, 5, (64, 64))
    before = truth.copy()
    found = ConfusionMatrix.of(truth[::2, ::-1], prediction.T[::2], 5)
    assert np.array_equal(found.counts, one_by_one(truth[::2, ::-1], prediction.T[::2], 5))
    assert np.array_equal(truth, before)


def test_an_empty_map_counts_nothing():
    empty = np.zeros((0, 5), dtype=np.uint8)
    assert ConfusionMatrix.of(empty, empty, 3) == ConfusionMatrix.zero(3)


# A value that adds


@given(maps=pairs_of_maps(), cut=st.floats(0, 1))
@SETTINGS
def test_the_parts_of_an_image_add_up_to_the_whole_in_any_order(maps, cut):
    truth, prediction, classes = maps
    at = round(cut * len(truth))
    parts = [ConfusionMatrix.of(truth[s], prediction[s], classes) for s in (slice(None, at), slice(at, None))]
    whole = ConfusionMatrix.of(truth, prediction, classes)
    assert parts[0] + parts[1] == parts[1] + parts[0] == ConfusionMatrix.total(parts) == whole
    assert sum(parts, ConfusionMatrix.zero(classes)) == whole


@given(maps=pairs_of_maps(), seed=st.integers(0, 100))
@SETTINGS
def test_the_order_of_the_pixels_does_not_matter(maps, seed):
    truth, prediction, classes = maps
    order = np.random.default_rng(seed).permutation(truth.size)
    shuffled = [values.ravel()[order].reshape(truth.shape) for values in (truth, prediction)]
    assert ConfusionMatrix.of(*shuffled, classes) == ConfusionMatrix.of(truth, prediction, classes)


def test_it_knows_its_classes_and_how_many_pixels_are_scored():
    matrix = ConfusionMatrix.of(np.array([[0, 1, 2, 2]]), np.array([[0, 2, 0, 2]]), 2)
    assert (matrix.classes, matrix.scored_pixels) == (2, 2)


def test_it_cannot_be_changed_and_does_not_change_with_what_it_was_made_of():
    counts = np.eye(3, dtype=np.int64)
    matrix = ConfusionMatrix(counts)
    counts[0, 0] = 9
    assert matrix.counts[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        matrix.counts[0, 0] = 2


def test_equal_counts_are_equal_matrices():
    one, same, other = ConfusionMatrix.zero(2), ConfusionMatrix.zero(2), ConfusionMatrix(np.eye(3, dtype=np.int64))
    assert one == same
    assert len({one, same, other}) == 2
    assert one != ConfusionMatrix.zero(3)
    assert one != "zero"


def test_a_stack_keeps_the_images_in_their_order():
    matrices = [ConfusionMatrix.of(np.array([[k]]), np.array([[0]]), 2) for k in (2, 0, 1)]
    stacked = stack(matrices)
    assert stacked.shape == (3, 3, 3)
    assert [np.argmax(counts[:, 0]) for counts in stacked] == [2, 0, 1]


# What is refused


def test_a_prediction_that_was_not_enlarged_is_refused_and_says_which_side_to_mend():
    with pytest.raises(DataError) as caught:
        ConfusionMatrix.of(np.zeros((1024, 2048), np.uint8), np.zeros((256, 512), np.uint8), 19)
    assert str(caught.value) == (
        "the prediction is 512 x 256 px and the truth 2048 x 1024 px: bring the prediction to the truth's size, "
        "and never the truth to the prediction's, which would change the score."
    )


GOOD = np.zeros((2, 2), dtype=np.uint8)


@pytest.mark.parametrize(
    ("truth", "prediction", "sentence"),
    [
        (GOOD.astype(float), GOOD, "the truth holds float64 values"),
        (GOOD, GOOD.astype(np.float32), "the prediction holds float32 values"),
        (GOOD > 0, GOOD, "the truth holds bool values"),
        (
            np.zeros((2, 2, 3), np.uint8),
            GOOD,
            r"the truth has the shape \[2, 2, 3\], so it may be a picture in colours",
        ),
        (GOOD, np.zeros(4, np.uint8), r"the prediction has the shape \[4\]: a class map"),
        (GOOD + 255, GOOD, r"the truth has the value 255, and only 0 \.\. 18 \(the classes\) and 19 \(void\)"),
        (GOOD, GOOD + 20, "the prediction has the value 20"),
        (GOOD, np.full((2, 2), -1), "the prediction has the value -1"),
        (np.full((2, 2), 256), GOOD, "the truth has the value 256"),
        (np.full((2, 2), 2**63, np.uint64), GOOD, "the truth has the value 9223372036854775808"),
    ],
)
def test_what_is_no_class_map_is_refused(truth, prediction, sentence):
    with pytest.raises(DataError, match=sentence):
        ConfusionMatrix.of(truth, prediction, 19)


@pytest.mark.parametrize("classes", [0, 255])
def test_numbers_of_classes_that_a_class_map_cannot_hold_are_refused(classes):
    with pytest.raises(DataError, match=f"{classes} classes are asked for: from 1 to 254"):
        ConfusionMatrix.of(GOOD, GOOD, classes)


@pytest.mark.parametrize(
    "counts", [np.zeros((2, 3), np.int64), np.zeros(4, np.int64), np.zeros((1, 1), np.int64), np.zeros((3, 3))]
)
def test_counts_that_are_no_matrix_are_refused(counts):
    with pytest.raises(DataError, match="a confusion matrix has"):
        ConfusionMatrix(counts)


def test_counts_below_zero_are_refused():
    with pytest.raises(DataError, match="counts -1 pixels"):
        ConfusionMatrix(-np.eye(3, dtype=np.int64))


def test_matrices_of_different_label_sets_do_not_add():
    with pytest.raises(DataError, match="of 11 and of 19 classes cannot be added"):
        ConfusionMatrix.zero(19) + ConfusionMatrix.zero(11)


def test_no_image_at_all_is_refused():
    with pytest.raises(DataError, match="no image was counted"):
        ConfusionMatrix.total([])


# The house


def test_the_public_names_are_these_and_numpy_is_all_they_need():
    code = "import sys, cgeval.metrics as m; print(*m.__all__); print(*{n.split('.')[0] for n in sys.modules})"
    names, modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert names.split() == [
        "CONVENTIONS",
        "METRICS",
        "WORDS",
        "ClassIntervals",
        "Coefficient",
        "ConfusionMatrix",
        "Interval",
        "PairedDifference",
        "Permutation",
        "RankAgreement",
        "Resampled",
        "SegmentationScores",
        "agreement_of_draws",
        "agreement_over_images",
        "average_ranks",
        "best_permutation",
        "bootstrap_classes",
        "bootstrap_mean",
        "bootstrap_scores",
        "interval_name",
        "kendall_tau_b",
        "order_by_chance",
        "paired_bootstrap",
        "paired_differences",
        "resample_means",
        "resample_scores",
        "segmentation_scores",
        "spearman_rho",
        "stack",
    ]
    assert not {"torch", "scipy", "matplotlib", "PIL"} & set(modules.split())
