"""What a terminal shows of a score says which images it is of."""

import pytest

from cgeval.images import read_rgb
from cgeval.protocols.fcn_score import fcn_score
from cgeval.protocols.planning import Choices
from cgeval.protocols.scoring import Sampling
from cgeval.protocols.telling import score_lines
from cgeval.runs import Run
from tests.cgeval.protocols.streets import write_dataset, write_run


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    return write_run(tmp_path / "run", write_dataset(tmp_path / "data"))


def told(run):
    """Of each set: the heading, and the label of the first row of numbers."""
    for score in fcn_score(run, Choices(direction="ba"), Sampling(resamples=50)):
        lines = score_lines(score)
        (at, *_) = (i for i, line in enumerate(lines) if "per-pixel accuracy" in line)
        yield lines[0], lines[at + 1].strip().split("  ")[0]


def add_variant(run, variant):
    first = run.image_set("test_BtoA")
    facts = {"direction": "BtoA", "split": "test", "checkpoint": None, "extra": {"variant": variant}}
    with run.write_image_set(f"test_BtoA-{variant}", **facts) as writer:
        for row in first.rows:
            writer.add(row.id, read_rgb(first.path / row.file), source=row.source, target=row.target)


def test_a_row_is_called_by_the_method(run):
    ((heading, row),) = told(run)
    assert heading.endswith("run  cyclegan, photo -> labels")
    assert row == "cyclegan"


def test_of_several_styles_each_row_says_which(run):
    for variant in ("night", "scream"):
        add_variant(run, variant)
    headings, rows = zip(*told(run), strict=True)
    assert sorted(rows) == ["cyclegan", "cyclegan, night", "cyclegan, scream"]
    assert [heading.rpartition("  ")[2] for heading in headings] == [f"{row}, photo -> labels" for row in rows]
