"""What is scored against what is settled before an image is looked at, and each mistake is one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from cgeval.errors import ConfigError, DataError, LayoutError, RunError, SealError, WeightsError
from cgeval.images import write_png
from cgeval.labels import label_set
from cgeval.protocols.by_colour import ByColour
from cgeval.protocols.pictures_in import Noise, RealPhoto, Sealed, TrueColours
from cgeval.protocols.planning import NOISE, REAL_PHOTOS, SHUFFLED, SHUFFLED_LABELS, TRUE_LABELS, Choices, plan
from cgeval.runs import Run
from tests.cgeval.protocols.streets import write_dataset, write_header, write_run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data/, runs/one and scorers/camvid, which is where the user stands."""
    write_dataset(tmp_path / "data")
    write_run(tmp_path / "runs" / "one", tmp_path / "data")
    write_header(tmp_path / "scorers" / "camvid")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_of(place: Path) -> Run:
    return Run.open(place / "runs" / "one")


def test_each_direction_is_judged_in_its_way(place):
    photo, labels = plan(run_of(place), Choices())
    assert (photo.direction, photo.image_set.name, photo.protocol) == (
        "labels -> photo",
        "test_AtoB",
        "fcn-score-scorer-size",
    )
    assert (labels.direction, labels.image_set.name, labels.protocol) == (
        "photo -> labels",
        "test_BtoA",
        "label-score",
    )
    assert photo.way.scorer.info.name == "camvid"
    assert isinstance(labels.way, ByColour)
    assert photo.size_px == (12, 8)


def test_each_image_has_its_own_label_map_as_truth(place):
    for job in plan(run_of(place), Choices()):
        for item in job.items:
            assert item.truth == place / "data" / "test_ids" / f"{item.id}.png"
            assert isinstance(item.picture, Sealed)


def test_the_ceiling_is_always_there_and_sanity_rows_on_demand(place):
    photo, labels = plan(run_of(place), Choices())
    assert list(photo.beside) == [REAL_PHOTOS] == [photo.ceiling]
    assert list(labels.beside) == [TRUE_LABELS] == [labels.ceiling]
    photo, labels = plan(run_of(place), Choices(sanity=True))
    assert list(photo.beside) == [REAL_PHOTOS, SHUFFLED, NOISE]
    assert list(labels.beside) == [TRUE_LABELS, SHUFFLED_LABELS, NOISE]
    kinds = {name: type(items[0].picture) for name, items in photo.beside.items()}
    assert kinds == {REAL_PHOTOS: RealPhoto, SHUFFLED: RealPhoto, NOISE: Noise}
    assert isinstance(labels.beside[TRUE_LABELS][0].picture, TrueColours)


def test_a_shuffled_photo_is_never_its_own(place):
    photo = plan(run_of(place), Choices(sanity=True))[0]
    own = {item.id: item.picture.file.id for item in photo.beside[REAL_PHOTOS]}
    others = {item.id: item.picture.file.id for item in photo.beside[SHUFFLED]}
    assert own == {name: name for name in own}
    assert sorted(others.values()) == sorted(own)
    assert all(name != other for name, other in others.items())


def test_choices_are_obeyed(place):
    (job,) = plan(run_of(place), Choices(direction="ba", distance="L1", palette="all", classified_at="truth"))
    by = job.way
    assert (by.distance, by.choice, by.classified_at) == ("L1", "all", "truth")
    (job,) = plan(run_of(place), Choices(direction="ab", protocol="paper", scorer="scorers/camvid"))
    assert job.protocol == "fcn-score-paper"


# Scorers


def test_a_scorer_of_other_classes_is_passed_over_or_refused(place):
    write_header(place / "scorers" / "streets", labels=label_set("cityscapes"), outputs=19)
    assert plan(run_of(place), Choices())[0].way.scorer.info.name == "camvid"
    with pytest.raises(WeightsError, match="scorer 'streets' has 19 classes and label set 'camvid11' has 11"):
        plan(run_of(place), Choices(scorer="streets"))


def test_of_several_the_datasets_own_is_taken_and_else_one_must_be_named(place):
    write_header(place / "scorers" / "second")
    with pytest.raises(WeightsError, match=r"2 scorers have the classes of data .*name one by --scorer"):
        plan(run_of(place), Choices())
    write_header(place / "scorers" / "third", trained_on={"name": "data"})
    assert plan(run_of(place), Choices())[0].way.scorer.info.name == "third"
    assert plan(run_of(place), Choices(scorer="second"))[0].way.scorer.info.name == "second"


def test_scorers_beside_the_runs_are_found_from_elsewhere(place, tmp_path, monkeypatch):
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert plan(run_of(place), Choices())[0].way.scorer.info.name == "camvid"
    assert plan(run_of(place), Choices(scorer="camvid"))[0].way.scorer.info.name == "camvid"


def test_a_scorer_that_a_link_leads_to_is_one_scorer(place):
    (place / "scorers").rename(place / "kept")
    (place / "scorers").symlink_to(place / "kept")
    assert plan(run_of(place), Choices())[0].way.scorer.info.name == "camvid"
    (place / "scorers").unlink()
    (place / "scorers").mkdir()
    for name in ("one", "other"):
        (place / "scorers" / name).symlink_to(place / "kept" / "camvid")
    assert plan(run_of(place), Choices())[0].way.scorer.info.name == "camvid"


def test_without_a_scorer_the_sentence_says_how_to_make_one(place):
    (place / "scorers" / "camvid" / "scorer.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"make one by `cgeval scorer train .*data scorers/data`"):
        plan(run_of(place), Choices())
    assert len(plan(run_of(place), Choices(direction="ba"))) == 1


# Runs and sets


def test_a_run_without_sets_and_one_with_a_half_written_set(place):
    empty = Run.create(place / "runs" / "two", method="m", dataset={"path": str(place / "data")}, producer={})
    with pytest.raises(RunError, match="holds no sealed image set yet: `cyclegan translate"):
        plan(empty, Choices())
    (empty.path / "images" / "test_AtoB").mkdir(parents=True)
    with pytest.raises(RunError, match=r"test_AtoB is not sealed: it has no set\.json"):
        plan(empty, Choices())


def test_a_split_that_is_not_there_is_answered_with_those_that_are(place):
    with pytest.raises(RunError, match="no image set of split 'val'; sealed are: test_AtoB, test_BtoA"):
        plan(run_of(place), Choices(split="val"))


def test_of_two_other_splits_one_must_be_named(place):
    run = Run.create(place / "runs" / "two", method="m", dataset={"path": str(place / "data")}, producer={})
    for split in ("train", "val"):
        with run.write_image_set(f"{split}_AtoB", direction="AtoB", split=split, checkpoint=None) as writer:
            writer.add("a", np.zeros((2, 2, 3), np.uint8), source="a", target=None)
    with pytest.raises(RunError, match="image sets of train, val: name one of them by --split"):
        plan(run, Choices())


def test_a_changed_image_is_not_scored(place):
    path = place / "runs" / "one" / "images" / "test_AtoB" / "drive" / "1.png"
    write_png(path, np.zeros((8, 12, 3), np.uint8))
    with pytest.raises(SealError, match="was changed after it was sealed"):
        plan(run_of(place), Choices())


def test_images_of_several_sizes_are_refused(place):
    run = Run.create(place / "runs" / "two", method="m", dataset={"path": str(place / "data")}, producer={})
    with run.write_image_set("test_BtoA", direction="BtoA", split="test", checkpoint=None) as writer:
        for i in range(2):
            writer.add(f"drive/{i}", np.zeros((8, 12 + i, 3), np.uint8), source=f"drive/{i}", target=None)
    with pytest.raises(DataError, match=r"images of 2 sizes, such as 12x8 \(drive/0\), 13x8 \(drive/1\)"):
        plan(run, Choices())


# Datasets


def test_truth_that_is_missing_for_some_images_is_counted_and_named(place):
    (place / "data" / "test_ids" / "drive" / "2.png").unlink()
    with pytest.raises(DataError, match=r"1 of 4 images of .* have no label map .*first: 'drive/2'"):
        plan(run_of(place), Choices())


def test_a_dataset_that_moved_is_named_by_the_option(place):
    (place / "data").rename(place / "moved")
    with pytest.raises(LayoutError, match=r"no longer at .*data: say where it is by --dataset DIR"):
        plan(run_of(place), Choices())
    assert len(plan(run_of(place), Choices(dataset=place / "moved"))) == 2


def test_a_run_that_does_not_say_where_its_dataset_is(place):
    path = place / "runs" / "one" / "run.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"dataset": {}}))
    with pytest.raises(LayoutError, match="does not say where its dataset is"):
        plan(run_of(place), Choices())


def test_an_unknown_label_set_is_refused(place):
    with pytest.raises(ConfigError, match="no label set 'nonsense'"):
        plan(run_of(place), Choices(label_set="nonsense"))


# Whose truth


def run_with(place: Path, name: str, pairs: dict[str, str | None], direction: str, label_domain: str = "A") -> Run:
    """A run of one set whose images have these sources and targets."""
    facts = {"path": str(place / "data"), "label_domain": label_domain}
    run = Run.create(place / "runs" / name, method="m", dataset=facts, producer={})
    with run.write_image_set(f"test_{direction}", direction=direction, split="test", checkpoint=None) as writer:
        for i, (source, target) in enumerate(pairs.items()):
            writer.add(f"image{i}", np.zeros((8, 12, 3), np.uint8), source=source, target=target)
    return run


def names(items) -> list[str]:
    return [item.truth.stem for item in items]


def test_labels_to_photo_is_held_against_the_map_it_was_made_from(place):
    run = run_with(place, "two", {"drive/0": "drive/1", "drive/2": None}, "AtoB")
    (job,) = plan(run, Choices(sanity=True))
    assert names(job.items) == ["0", "2"]
    assert [item.picture.file.id for item in job.beside[REAL_PHOTOS]] == ["drive/1", "drive/2"]


def test_photo_to_labels_is_held_against_the_map_it_aims_at(place):
    run = run_with(place, "two", {"drive/0": "drive/1", "drive/2": None}, "BtoA")
    (job,) = plan(run, Choices())
    assert names(job.items) == ["1", "2"]
    assert [item.source for item in job.items] == ["drive/0", "drive/2"]


def unpair(place: Path) -> None:
    path = place / "data" / "dataset.toml"
    path.write_text(path.read_text().replace("paired = true", "paired = false"))


def test_in_unpaired_data_equal_names_mean_nothing(place):
    unpair(place)
    (job,) = plan(run_with(place, "two", {"drive/0": None, "drive/2": None}, "AtoB"), Choices(sanity=True))
    assert names(job.items) == ["0", "2"]
    assert list(job.beside) == [NOISE]
    with pytest.raises(DataError, match="was made of unpaired photos, for which no label map is known"):
        plan(run_with(place, "three", {"drive/0": None, "drive/2": None}, "BtoA"), Choices())
    (job,) = plan(run_with(place, "four", {"drive/0": "drive/3"}, "BtoA"), Choices())
    assert names(job.items) == ["3"]


def test_the_run_says_which_domain_was_labels_when_it_was_made(place):
    """Against a dataset opened as it comes, whose label maps would be A."""
    (job,) = plan(run_with(place, "two", {"drive/0": "drive/0"}, "BtoA", label_domain="B"), Choices())
    assert job.direction == "labels -> photo"
    (job,) = plan(run_with(place, "three", {"drive/0": "drive/0"}, "AtoB", label_domain="B"), Choices())
    assert job.direction == "photo -> labels"


def test_a_broken_scorer_is_not_passed_over(place):
    write_header(place / "scorers" / "second")
    file = place / "scorers" / "camvid" / "scorer.safetensors"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(WeightsError, match=r"was cut off or changed.*; or name another scorer by --scorer"):
        plan(run_of(place), Choices())
    assert plan(run_of(place), Choices(scorer="second"))[0].way.scorer.info.name == "second"
