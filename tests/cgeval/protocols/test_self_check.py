"""A scorer is held against what is known of it: the paper's row for the paper's weights, its own validation else."""

import shutil
from pathlib import Path

import pytest

from cgeval.errors import DataError, WeightsError
from cgeval.labelled import open_labelled
from cgeval.labels import label_set
from cgeval.protocols import sharding
from cgeval.protocols.self_check import PAPER, self_check
from cgeval.protocols.sharding import Machine
from tests.cgeval.protocols.streets import SIZE, NearestHalfColour, write_dataset, write_header

CPU = Machine("cpu")


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sharding, "load_scorer", NearestHalfColour)
    root = write_dataset(tmp_path / "data", n=3)
    for folder in ("A", "B", "_ids"):
        shutil.copytree(root / f"test{folder}", root / f"train{folder}")
    return open_labelled(root)


def validated(folder: Path, value: float, digest: str):
    """A scorer that was trained on the dataset of that digest and reached that class IoU on its test split."""
    number = {"value": value, "low": value, "high": value}
    known = {"class_iou": number, "n": 3, "split": "test", "convention": "cityscapes"}
    return write_header(folder, validation=known, trained_on={"name": "data", "digest": digest})


def test_a_scorer_that_still_does_what_it_did_passes(labelled, tmp_path):
    first = self_check(write_header(tmp_path / "unknown"), labelled, "test", None, CPU)
    assert (first.expected, first.passed) == ({}, True)
    iou, digest = first.line.value("class_iou"), labelled.digest("train")
    assert iou > 0.5
    for value, passes in ((iou, True), (iou + 0.01, False)):
        found = self_check(validated(tmp_path / f"s{value}", value, digest), labelled, None, None, CPU)
        assert found.expected == {"class_iou": value}
        assert found.passed == passes


def test_numbers_of_other_photos_are_not_compared(labelled, tmp_path):
    elsewhere = validated(tmp_path / "elsewhere", 0.9, "0" * 64)
    assert self_check(elsewhere, labelled, "test", None, CPU).expected == {}
    here = validated(tmp_path / "here", 0.9, labelled.digest("train"))
    assert self_check(here, labelled, "test", SIZE, CPU).expected == {}
    assert self_check(here, labelled, "train", None, CPU).expected == {}


def test_the_papers_weights_are_held_against_the_papers_row_at_256(labelled, tmp_path):
    file = write_header(tmp_path / "fcn8s", kind="fcn8s", arguments={}, protocol="paper")
    found = self_check(file, labelled, None, None, CPU)
    assert found.expected == PAPER == {"pixel_accuracy": 0.80, "class_accuracy": 0.26, "class_iou": 0.21}
    assert not found.passed
    assert found.line.scores.convention == "reference"


def test_photos_may_be_squashed_first(labelled, tmp_path):
    file = write_header(tmp_path / "s")
    small = self_check(file, labelled, "test", (3, 2), CPU).line.value("pixel_accuracy")
    assert small < self_check(file, labelled, "test", SIZE, CPU).line.value("pixel_accuracy")


def test_what_cannot_be_checked_is_one_sentence(labelled, tmp_path):
    other = write_header(tmp_path / "city", labels=label_set("cityscapes"), outputs=19)
    with pytest.raises(WeightsError, match="has 19 classes"):
        self_check(other, labelled, "test", None, CPU)
    for path in (labelled.root / "test_ids" / "drive").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no photo with a label map"):
        self_check(write_header(tmp_path / "s"), open_labelled(labelled.root), "test", None, CPU)
