"""A scorer's own matrices are those that one counts by hand, for maps of any size in one batch."""

import numpy as np
import pytest

from cgeval.datasets import ImageFile
from cgeval.images import write_png
from cgeval.scorers.samples import load_photos
from cgeval.scorers.validation import measure
from tests.cgeval.scorers.by_hand import CLASSES, INFO, LABELS, classes_of, logits_of, pixel_scorer

TRUTHS = [(24, 16), (50, 31), (13, 40), (50, 31), (7, 5)]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_logits_are_enlarged_to_each_maps_own_size_and_what_is_no_class_is_void(tmp_path, batch_size):
    rng = np.random.default_rng(0)
    files, expected = [], []
    for i, (width, height) in enumerate(TRUTHS):
        photo = rng.integers(0, 256, (*INFO.size_px[::-1], 3), dtype=np.uint8)
        truth = rng.integers(0, CLASSES, (height, width), dtype=np.uint8)
        write_png(tmp_path / f"{i}.png", photo)
        write_png(tmp_path / f"{i}_map.png", truth)
        files.append((str(i), ImageFile(str(i), tmp_path / f"{i}.png"), tmp_path / f"{i}_map.png"))
        counts = np.zeros((CLASSES + 1, CLASSES + 1), np.int64)
        np.add.at(counts, (truth, classes_of(logits_of(photo), width, height)), 1)
        expected.append(counts)
    found = measure(pixel_scorer(), load_photos(files, LABELS, INFO.size_px, None), batch_size)
    assert [matrix.counts.tolist() for matrix in found] == [counts.tolist() for counts in expected]
    assert all(sum(counts)[-1] > 0 for counts in expected)
