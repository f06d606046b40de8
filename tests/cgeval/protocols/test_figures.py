"""The examples that are drawn are what was scored: the picture, its prediction, its truth and its source."""

from pathlib import Path

import numpy as np
import pytest

from cgeval.images import read_ids, read_rgb
from cgeval.plots import Example
from cgeval.protocols import figures, sharding
from cgeval.protocols.fcn_score import fcn_score
from cgeval.protocols.planning import Choices
from cgeval.runs import Run
from tests.cgeval.protocols.streets import NearestHalfColour, write_dataset, write_header, write_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sharding, "load_scorer", NearestHalfColour)
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "data", n=5)
    write_header(tmp_path / "scorers" / "halves")
    return write_run(tmp_path / "runs" / "one", tmp_path / "data")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[Example]]:
    """The rows of every figure of examples, which is not drawn itself."""
    rows: list[list[Example]] = []
    monkeypatch.setattr(figures, "examples_figure", lambda _path, examples, _labels, _heads: rows.append(examples))
    return rows


@pytest.mark.parametrize(("direction", "source"), [("ab", None), ("ba", "testB")])
def test_each_row_shows_one_image_from_its_source_to_its_truth(run, drawn, tmp_path, direction, source):
    (score,) = fcn_score(run, Choices(direction=direction))
    figures.write_figures(score, examples=3)
    matrices = dict(zip(score.line.measured.ids, score.line.measured.matrices, strict=True))
    assert len(drawn[0]) == 3
    for row in drawn[0]:
        truth = read_ids(tmp_path / "data" / "test_ids" / f"{row.id}.png")
        assert np.array_equal(row.truth, truth)
        assert np.array_equal(row.generated, read_rgb(score.job.image_set.path / f"{row.id}.png"))
        counts = np.zeros((12, 12), int)
        np.add.at(counts, (row.truth, row.predicted), 1)
        assert np.array_equal(counts, matrices[row.id])
        expected = read_rgb(tmp_path / "data" / (source or "testA") / f"{row.id}.png")
        assert np.array_equal(row.input, expected)


def test_the_seed_draws_the_same_images_for_every_run_of_a_dataset(run, drawn, tmp_path):
    another = write_run(tmp_path / "runs" / "two", tmp_path / "data", wrong_rows=5)
    for each, seed in ((run, 0), (another, 0), (run, 1)):
        figures.write_figures(fcn_score(each, Choices(direction="ba"))[0], examples=2, seed=seed)
    first, second, third = ([row.id for row in rows] for rows in drawn)
    assert first == second
    assert first != third


def test_an_example_whose_prediction_is_gone_is_left_out(run, drawn, tmp_path):
    (score,) = fcn_score(run, Choices(direction="ab"))
    for path in (tmp_path / "cache").rglob("*.png"):
        path.unlink()
    folder = figures.write_figures(score, examples=2)
    assert drawn == []
    assert sorted(path.name for path in folder.iterdir()) == ["classes.png", "confusion.png"]
