"""Every item is counted once, against its own truth, in any batch; an interrupted measurement goes on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cgeval.errors import DataError, ImageError
from cgeval.images import write_png
from cgeval.metrics import ConfusionMatrix
from cgeval.protocols.measuring import Measured, measure
from cgeval.protocols.pictures_in import Item, Noise
from cgeval.protocols.predictions import PredictionCache
from tests.cgeval.protocols.streets import LABELS


class FromRed:
    """A predictor whose class is the red channel, modulo twelve, at the truth's size; it counts what it was given."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def prepare(self, picture: np.ndarray, truth_size: tuple[int, int]) -> np.ndarray:
        return picture[: truth_size[1], : truth_size[0]]

    def run(self, prepared: Sequence[np.ndarray], truth_size: tuple[int, int]) -> list[np.ndarray]:
        self.batches.append(len(prepared))
        assert {picture.shape[:2] for picture in prepared} == {truth_size[::-1]}
        return [picture[..., 0] % 12 for picture in prepared]


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Seven of noise with truths of two sizes."""
    found = []
    for i in range(7):
        width = 6 if i in (2, 3) else 8
        truth = np.random.default_rng(i).integers(0, 12, (5, width)).astype(np.uint8)
        write_png(tmp_path / f"{i}.png", truth)
        found.append(Item(str(i), Noise(str(i), (9, 9)), tmp_path / f"{i}.png"))
    return found


def expected(items: Sequence[Item]) -> list[np.ndarray]:
    from cgeval.images import read_ids

    matrices = []
    for item in items:
        truth = read_ids(item.truth)
        predicted = item.picture.pixels()[: truth.shape[0], : truth.shape[1], 0] % 12
        matrices.append(ConfusionMatrix.of(truth, predicted, 11).counts)
    return matrices


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_matrices_are_those_of_each_image_by_itself(items, batch_size):
    predictor = FromRed()
    found = measure(items, LABELS, predictor, batch_size=batch_size)
    assert found.ids == tuple("0123456")
    assert np.array_equal(found.matrices, expected(items))
    assert found.truth_sizes == {(8, 5), (6, 5)}
    assert sum(predictor.batches) == found.predicted == 7
    assert max(predictor.batches) <= batch_size
    assert found.thumbnails.shape == found.truth_thumbnails.shape == (7, 32, 64)


def test_shards_join_to_the_whole(items):
    parts = [measure(part, LABELS, FromRed()) for part in (items[:3], items[3:])]
    joined, whole = Measured.joined(parts), measure(items, LABELS, FromRed())
    assert joined.ids == whole.ids
    assert np.array_equal(joined.matrices, whole.matrices)
    assert joined.truth_sizes == whole.truth_sizes


def test_a_second_measurement_predicts_nothing(items, tmp_path):
    cache = PredictionCache(tmp_path / "cache", "rule")
    first = measure(items, LABELS, FromRed(), cache=cache)
    predictor = FromRed()
    second = measure(items, LABELS, predictor, cache=cache)
    assert (first.predicted, second.predicted, predictor.batches) == (7, 0, [])
    assert np.array_equal(first.matrices, second.matrices)


def test_what_was_predicted_before_an_interruption_is_kept(items, tmp_path):
    class Interrupted(FromRed):
        def run(self, prepared, truth_size):
            if sum(self.batches) >= 4:
                raise KeyboardInterrupt
            return super().run(prepared, truth_size)

    cache = PredictionCache(tmp_path / "cache", "rule")
    with pytest.raises(KeyboardInterrupt):
        measure(items, LABELS, Interrupted(), cache=cache, batch_size=1)
    again = measure(items, LABELS, FromRed(), cache=cache, batch_size=1)
    assert 3 <= again.predicted < 7  # the interrupted one, what came after, and at most what was being written
    assert np.array_equal(again.matrices, expected(items))


def test_progress_counts_every_image(items):
    ticks: list[int] = []
    measure(items, LABELS, FromRed(), batch_size=2, tick=ticks.append)
    assert sum(ticks) == 7


def test_a_broken_truth_is_named(items):
    items[5].truth.write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"5\.png is not an image"):
        measure(items, LABELS, FromRed())


def test_nothing_to_score_is_a_mistake_and_not_zero():
    with pytest.raises(DataError, match="no image to score"):
        measure([], LABELS, FromRed())
