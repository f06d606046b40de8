"""The best renaming of the predicted classes finds swapped classes, and finds nothing where nothing is swapped."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cgeval.errors import DataError
from cgeval.metrics import ConfusionMatrix, best_permutation, segmentation_scores

TREE, BUILDING, ROAD, CAR, VOID = range(5)
TRUTH = np.array([TREE] * 40 + [BUILDING] * 30 + [ROAD] * 20 + [CAR] * 10 + [VOID] * 5).reshape(15, 7)


def matrix_of(renamed):
    prediction = np.array([renamed.get(int(t), int(t)) for t in TRUTH.ravel()]).reshape(TRUTH.shape)
    return ConfusionMatrix.of(TRUTH, prediction, 4).counts


def test_trees_painted_as_buildings_and_buildings_as_trees_are_found():
    found = best_permutation(matrix_of({TREE: BUILDING, BUILDING: TREE}))
    assert (found.accuracy, found.gain) == (1, pytest.approx(0.7))
    assert found.mapping == (BUILDING, TREE, ROAD, CAR)
    assert found.swapped == ((TREE, BUILDING),)
    assert found.moved == ()


def test_three_classes_in_a_ring_are_moves_not_swaps():
    found = best_permutation(matrix_of({TREE: BUILDING, BUILDING: ROAD, ROAD: TREE}))
    assert found.accuracy == 1
    assert found.swapped == ()
    assert found.moved == ((TREE, ROAD), (BUILDING, TREE), (ROAD, BUILDING))


def test_a_class_read_as_another_is_a_move_and_what_it_pushes_away_is_not_told():
    found = best_permutation(matrix_of({TREE: CAR, CAR: VOID}))
    assert found.moved == ((CAR, TREE),)
    assert found.swapped == ()
    assert found.accuracy == pytest.approx(0.9)  # what is predicted as void stays wrong


def test_a_right_prediction_keeps_its_names():
    found = best_permutation(matrix_of({}))
    assert (found.accuracy, found.gain, found.mapping, found.swapped, found.moved) == (1, 0, (0, 1, 2, 3), (), ())


def test_absent_classes_keep_their_names():
    counts = np.zeros((20, 20), dtype=np.int64)
    counts[3, 8], counts[8, 3], counts[0, 0] = 10, 10, 5
    found = best_permutation(counts)
    assert found.swapped == ((3, 8),)
    assert all(found.mapping[p] == p for p in range(19) if p not in (3, 8))


def test_one_class_predicted_everywhere_is_no_swap():
    counts = matrix_of({TREE: ROAD, BUILDING: ROAD, CAR: ROAD})
    found = best_permutation(counts)
    assert found.moved == ((ROAD, TREE),)
    assert found.swapped == ()


@given(counts=arrays(np.int64, (5, 5), elements=st.integers(0, 9)).filter(lambda c: c[:-1].sum() > 0))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_no_other_renaming_does_better_and_none_as_good_keeps_more_names(counts):
    found = best_permutation(counts)

    def worth(order):
        return sum(counts[t, p] for p, t in enumerate(order)), sum(t == p for p, t in enumerate(order))

    assert worth(found.mapping) == max(map(worth, permutations(range(4))))
    assert found.accuracy == worth(found.mapping)[0] / counts[:-1].sum()
    assert found.accuracy - found.gain == pytest.approx(
        float(segmentation_scores(counts, "reference").pixel_accuracy), abs=1e-12
    )
    assert found.gain >= 0


@given(order=st.permutations(range(6)), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_renaming_the_predicted_classes_does_not_change_the_best_accuracy(order, seed):
    counts = np.random.default_rng(seed).integers(0, 100, (7, 7))
    renamed = counts[:, [*order, 6]]
    assert best_permutation(renamed).accuracy == best_permutation(counts).accuracy


def test_an_image_without_a_scored_pixel_is_refused():
    with pytest.raises(DataError, match="no pixel that is scored"):
        best_permutation(np.zeros((3, 3), dtype=np.int64))
