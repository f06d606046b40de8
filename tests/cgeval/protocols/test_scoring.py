"""What a score finds out about its images reaches the traps: wrong ones are told, and right ones are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cgeval.errors import DataError
from cgeval.images import read_rgb, write_png
from cgeval.labels import Label, LabelSet
from cgeval.protocols import sharding
from cgeval.protocols.fcn_score import fcn_score
from cgeval.protocols.measuring import measure
from cgeval.protocols.pictures_in import Noise, TrueColours
from cgeval.protocols.planning import Choices, plan
from cgeval.protocols.scoring import Sampling, score
from cgeval.runs import Run
from tests.cgeval.protocols.streets import LABELS, NearestHalfColour, write_dataset, write_header, write_run

N = 10
QUICK = Sampling(resamples=200)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of ten images whose two uppermost rows, of eight, are road."""
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sharding, "load_scorer", NearestHalfColour)
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "data", n=N)
    write_header(tmp_path / "scorers" / "halves")
    return write_run(tmp_path / "runs" / "one", tmp_path / "data")


def rewritten(run, pictures, name="test_AtoB", **extra):
    """The set anew, of pictures by the place of their scene."""
    with run.write_image_set(
        name, direction=name[-4:], split="test", checkpoint=None, overwrite=True, extra=extra
    ) as writer:
        for i, picture in enumerate(pictures):
            writer.add(f"drive/{i}", picture, source=f"drive/{i}", target=f"drive/{i}")
    return Run.open(run.path)


def folder(run, name):
    return [read_rgb(Path(run.info.dataset["path"]) / name / "drive" / f"{i}.png") for i in range(N)]


def traps(run, direction="ab", **choices):
    (scored,) = fcn_score(run, Choices(direction=direction, **choices), QUICK)
    return {trap.name: trap.sentence for trap in scored.traps}


def test_a_run_as_it_should_be_meets_no_trap(run):
    assert traps(run, sanity=True) == {}
    assert traps(run, "ba", sanity=True) == {}


def test_the_datasets_own_photos_are_recognised(run):
    told = traps(rewritten(run, folder(run, "testB")))
    assert list(told) == ["the dataset's own images"]
    assert "10 of 10 images" in told["the dataset's own images"]


def test_a_perfect_label_map_is_no_copy(run):
    assert traps(rewritten(run, folder(run, "testA"), "test_BtoA"), "ba") == {}


def test_label_maps_adopted_as_photos_are_recognised(run):
    assert "wrong kind of image" in traps(rewritten(run, folder(run, "testA")))


def test_photos_adopted_as_label_maps_are_recognised(run):
    noise = [Noise(str(i), (12, 8)).pixels() for i in range(N)]
    assert "wrong kind of image" in traps(rewritten(run, noise, "test_BtoA"), "ba")


def test_a_black_picture_is_no_label_map(run):
    black = [np.zeros((8, 12, 3), np.uint8)] * N
    assert "wrong kind of image" not in traps(rewritten(run, black))


def test_one_picture_for_all_scenes_is_recognised(run):
    assert "equal images" in traps(rewritten(run, folder(run, "testB")[:1] * N))


def test_pictures_of_nothing_are_below_unrelated_photos_where_scenes_are_alike(run):
    """All scenes have sky above and road below; the translations have it the other way round."""
    data = Path(run.info.dataset["path"])
    ids = np.repeat([[0], [3]], 8, axis=0).repeat(24, axis=1).astype(np.uint8)
    for i in range(N):
        ids[i % 4 : i % 4 + 4, i : i + 4] = 5
        write_png(data / "test_ids" / "drive" / f"{i}.png", ids)
        photo = TrueColours(data / "test_ids" / "drive" / f"{i}.png", LABELS, (12, 8)).pixels() // 2
        write_png(data / "testB" / "drive" / f"{i}.png", photo)
    upside_down = [photo[::-1] for photo in folder(run, "testB")]
    assert "below shuffled" in traps(rewritten(run, upside_down), sanity=True)
    assert "below shuffled" not in traps(rewritten(run, upside_down))  # such photos were not asked for
    assert "below shuffled" not in traps(rewritten(run, folder(run, "testB")), sanity=True)


def test_images_better_than_the_photos_at_their_size_are_above_the_ceiling(run):
    sharp = folder(run, "testB")
    for path in (Path(run.info.dataset["path"]) / "testB" / "drive").iterdir():
        write_png(path, read_rgb(path) // 2 + 20)
    assert "above the ceiling" in traps(rewritten(run, sharp))


def test_a_ceiling_over_other_images_says_nothing_of_these(run):
    pictures = folder(run, "testB")
    data = Path(run.info.dataset["path"])
    (data / "testB" / "drive" / "3.png").unlink()
    (data / "dataset.toml").write_text((data / "dataset.toml").read_text().replace("paired = true", "paired = false"))
    assert traps(rewritten(run, pictures)) == {}


def test_a_partial_set_is_told_with_what_the_split_has(run):
    told = traps(rewritten(run, folder(run, "testA"), "test_BtoA", missing_count=2, split_count=12), "ba")
    assert "10 of the split's 12 images" in told["partial set"]
    for extra in ({"missing_count": 0, "split_count": 10}, {"missing_count": 2}, {"missing_count": "2"}):
        assert traps(rewritten(run, folder(run, "testA"), "test_BtoA", **extra), "ba") == {}


def test_a_palette_too_large_to_tell_apart_is_not_looked_at(run):
    """Labels -> photo needs no colours, and takes label sets of any number of them."""
    (job,) = plan(run, Choices(direction="ba"))
    extra = tuple(Label(100 + i, f"more {i}", (i % 256, 200, 1 + i // 256), ignore=True) for i in range(300))
    many = LabelSet("many", (*LABELS.labels, *extra))
    scored = score(
        replace(job, labelled=replace(job.labelled, labels=many)),
        lambda _name, items: measure(items, LABELS, job.way),
        QUICK,
    )
    assert scored.traps == ()


def test_what_measuring_raises_comes_out(run):
    (job,) = plan(run, Choices(direction="ba"))

    def refuse(name, items):
        raise DataError(f"{name} of {len(items)}.")

    with pytest.raises(DataError, match="images of 10"):
        score(job, refuse, QUICK)
