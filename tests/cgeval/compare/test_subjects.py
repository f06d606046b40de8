"""Which runs are compared, which of them is the main one, and what they are called."""

import json
from pathlib import Path

import numpy as np
import pytest

from cgeval.compare.subjects import find_subjects, left_out, other_sets, runs_of_one_dataset
from cgeval.errors import DataError, RunError
from cgeval.images import write_png
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import EARLY, LATE, OTHER_IDS, a_run, add_set, write_streets


def labels(runs, split="test", main=None):
    return [subject.label for subject in find_subjects(runs, split, main)]


# Which runs


def test_without_names_every_run_below_the_folder_is_taken(town):
    runs = runs_of_one_dataset((), town.runs, None)
    assert [run.path.name for run in runs] == sorted(path.name for path in town.runs.iterdir())


def test_with_names_these_are_taken_in_their_order_each_once(town):
    named = [town.runs / "pix2pix", town.runs / "streets", town.runs / "streets" / ".." / "pix2pix"]
    assert [run.path.resolve().name for run in runs_of_one_dataset(named, town.runs, None)] == ["pix2pix", "streets"]


def test_runs_of_several_datasets_are_told_with_their_counts(tmp_path):
    for name, dataset in (("a", "maps"), ("b", "streets"), ("c", "streets")):
        a_run(tmp_path / name, dataset=dataset, directions=())
    with pytest.raises(DataError, match=r"maps \(1 run\), streets \(2 runs\); choose one by --dataset NAME"):
        runs_of_one_dataset((), tmp_path, None)
    assert [run.path.name for run in runs_of_one_dataset((), tmp_path, "streets")] == ["b", "c"]
    with pytest.raises(DataError, match=r"no run is of the dataset 'facades'; there are maps \(1 run\), streets"):
        runs_of_one_dataset((), tmp_path, "facades")


def test_a_dataset_may_be_named_by_its_folder(tmp_path):
    streets = write_streets(tmp_path / "streets", ["a"])
    runs = tmp_path / "runs"
    a_run(runs / "here", dataset=streets, directions=())
    a_run(runs / "other", dataset="maps", directions=())
    assert [run.path.name for run in runs_of_one_dataset((), runs, str(streets))] == ["here"]
    streets.rename(tmp_path / "moved")  # its dataset.toml still says who it is
    assert [run.path.name for run in runs_of_one_dataset((), runs, str(tmp_path / "moved"))] == ["here"]


def test_a_folder_of_any_name_is_believed_where_all_runs_are_of_one_dataset(tmp_path):
    a_run(tmp_path / "runs" / "here", dataset="maps", directions=())
    (tmp_path / "anywhere").mkdir()
    assert len(runs_of_one_dataset((), tmp_path / "runs", str(tmp_path / "anywhere"))) == 1


def test_a_dataset_toml_that_is_none_is_told(tmp_path):
    a_run(tmp_path / "runs" / "here", dataset="maps", directions=())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.toml").write_text("name =")
    with pytest.raises(DataError, match=r"dataset.toml is not TOML"):
        runs_of_one_dataset((), tmp_path / "runs", str(tmp_path / "data"))


def test_an_empty_folder_says_how_a_run_is_made(tmp_path):
    with pytest.raises(
        RunError, match=r"no run below .*: `cyclegan train CONFIG .* --data DATA` makes one, `cgeval adopt"
    ):
        runs_of_one_dataset((), tmp_path, None)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(RunError, match="not there: a folder with runs is expected"):
        runs_of_one_dataset((), tmp_path / "runs", None)


def test_a_broken_run_is_told_and_does_not_stand_in_the_way_of_named_ones(tmp_path):
    good = a_run(tmp_path / "good", directions=())
    broken = a_run(tmp_path / "broken", directions=())
    (broken.path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"broken/run.json is not JSON .*; or name the runs to compare"):
        runs_of_one_dataset((), tmp_path, None)
    assert len(runs_of_one_dataset([good.path], tmp_path, None)) == 1


# The main one


def test_main_is_the_newest_cyclegan_whatever_the_order(tmp_path):
    runs = [
        a_run(tmp_path / "old", created_at=EARLY),
        a_run(tmp_path / "new", created_at=LATE),
        a_run(tmp_path / "ablation", "cyclegan:gan_alone", created_at=LATE),
        a_run(tmp_path / "other", "pix2pix", created_at=LATE),
    ]
    for order in (runs, runs[::-1]):
        first, *others = find_subjects(order, "test", None)
        assert (first.run.path.name, first.kind, first.label) == ("new", "main", "CycleGAN (new)")
        assert {subject.kind for subject in others} == {"method", "ablation"}


@pytest.mark.parametrize(
    ("methods", "main"),
    [
        (("gatys", "pix2pix", "cyclegan:gan_alone"), "pix2pix"),
        (("gatys", "cyclegan:gan_alone"), "GAN alone"),
        (("gatys:vgg19-random", "CoGAN"), "CoGAN"),
    ],
)
def test_without_a_cyclegan_a_trained_method_is_main_and_gatys_only_if_there_is_nothing_else(tmp_path, methods, main):
    runs = [a_run(tmp_path / f"r{i}", method, directions=("AtoB",)) for i, method in enumerate(methods)]
    assert labels(runs)[0] == main


def test_main_may_be_named_by_path_or_folder(town):
    runs = runs_of_one_dataset((), town.runs, None)
    assert labels(runs, main=town.runs / "pix2pix")[0] == "pix2pix"
    assert labels(runs, main=town.runs / ".." / "runs" / "pix2pix")[0] == "pix2pix"
    assert labels(runs, main=Path("pix2pix"))[0] == "pix2pix"


def test_an_unknown_main_is_told(town, tmp_path):
    runs = runs_of_one_dataset((), town.runs, None)
    with pytest.raises(RunError, match=r"nobody is none of the runs that are compared: name one of .*pix2pix"):
        labels(runs, main=tmp_path / "nobody")


def test_a_main_without_a_sealed_set_of_the_split_is_told(tmp_path):
    runs = [a_run(tmp_path / "full"), a_run(tmp_path / "empty", directions=())]
    with pytest.raises(
        RunError, match=r"empty holds no sealed image set of split 'test' \(sealed: none\): me, which made the run"
    ):
        labels(runs, main=tmp_path / "empty")
    with pytest.raises(RunError, match=r"full holds .* split 'val' \(sealed: test_AtoB, test_BtoA\).*other 1"):
        labels(runs, split="val")


def test_a_split_that_the_dataset_does_not_have_is_answered_with_those_it_has(tmp_path):
    run = a_run(tmp_path / "r", dataset=write_streets(tmp_path / "streets", ["a"]))
    for split in ("val", "train"):
        for domain in "AB":
            (tmp_path / "streets" / f"{split}{domain}").mkdir()
            write_png(tmp_path / "streets" / f"{split}{domain}" / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(
        RunError, match=r"split 'nonsense' .*: its dataset has no such split, but test, train, val, or say"
    ):
        labels([run], split="nonsense")
    with pytest.raises(RunError, match=r"split 'train' .*: me, which made the run, makes it, or say --split test\.$"):
        labels([run], split="train")


@pytest.mark.parametrize(
    ("producer", "command"),
    [
        ("cyclegan", "cyclegan translate {run} --split test"),
        ("cgeval gatys", "cgeval gatys streets {run} --split test"),
        ("cgeval adopt", "cgeval adopt RESULTS {run} --split test"),
    ],
)
def test_what_makes_the_images_is_what_made_the_run(tmp_path, producer, command):
    run = a_run(tmp_path / "empty", directions=())
    file = run.path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"producer": {"name": producer, "version": "1"}}))
    (line,) = left_out([Run.open(run.path)], "test")
    assert f"`{command.format(run=run.path)}`" in line


def test_no_run_at_all_is_told():
    with pytest.raises(RunError, match="there is no run to compare"):
        find_subjects([], "test", None)


def test_runs_of_several_datasets_are_refused_here_too(tmp_path):
    with pytest.raises(DataError, match=r"maps \(1 run\), streets \(1 run\)"):
        labels([a_run(tmp_path / "a", dataset="maps"), a_run(tmp_path / "b")])


# What a run gives


def test_a_run_without_a_set_of_the_split_is_left_out_and_a_sentence_says_so(tmp_path):
    runs = [a_run(tmp_path / "full"), a_run(tmp_path / "empty", "pix2pix", directions=())]
    assert labels(runs) == ["CycleGAN"]
    (line,) = left_out(runs, "test")
    assert "empty holds no sealed image set of split 'test'" in line
    assert left_out(runs[:1], "test") == ()


def test_rows_are_main_methods_in_their_order_and_ablations_in_the_papers(town):
    names = ["gan_alone", "pix2pix", "gan_backward_cycle", "streets", "cycle_alone", "gatys", "gan_forward_cycle"]
    assert labels([Run.open(town.runs / name) for name in names]) == [
        "CycleGAN",
        "pix2pix",
        "Gatys, collection",
        "Gatys, starry night",
        "Gatys, the scream",
        "Cycle alone",
        "GAN alone",
        "GAN + forward cycle",
        "GAN + backward cycle",
    ]


def test_each_variant_of_a_run_is_a_subject_with_the_sets_of_both_directions(tmp_path):
    run = a_run(tmp_path / "g", "gatys", directions=())
    for variant, direction in (("scream", "AtoB"), ("scream", "BtoA"), ("collection", "BtoA")):
        add_set(run, direction, variant=variant)
    found = {subject.label: list(subject.sets) for subject in find_subjects([run], "test", None)}
    assert found == {"Gatys, collection": ["BtoA"], "Gatys, scream": ["AtoB", "BtoA"]}


@pytest.mark.parametrize(
    ("method", "label"),
    [
        ("cyclegan", "CycleGAN"),
        ("pix2pix", "pix2pix"),
        ("gatys:vgg19-random", "Gatys (random VGG-19), scream"),
        ("gatys:vgg19-conv3_1", "Gatys (VGG-19 up to conv3_1), scream"),
        ("gatys:squeezenet1_1", "Gatys (SqueezeNet 1.1), scream"),
        ("gatys:other", "Gatys (other), scream"),
        ("cyclegan:gan_forward_cycle", "GAN + forward cycle"),
        ("cyclegan:mine", "cyclegan:mine"),
        ("CoGAN", "CoGAN"),
    ],
)
def test_labels_are_the_papers_words(tmp_path, method, label):
    run = a_run(tmp_path / "r", method, directions=())
    add_set(run, variant="scream" if method.startswith("gatys") else None)
    assert labels([run]) == [label]


def test_two_of_one_label_get_the_names_of_their_runs_and_if_need_be_their_paths(tmp_path):
    names = ("a/same", "b/same", "b/other")
    runs = [a_run(tmp_path / name, "pix2pix", created_at=EARLY) for name in names]
    found = labels([*runs, a_run(tmp_path / "main")])
    assert found[0] == "CycleGAN"
    assert found[1:] == [f"pix2pix ({tmp_path}/a/same)", f"pix2pix ({tmp_path}/b/same)", "pix2pix (other)"]


def test_of_several_sets_of_one_direction_the_newest_counts_and_the_others_are_known(tmp_path):
    run = a_run(tmp_path / "r", directions=("AtoB",))
    old = run.image_set("test_AtoB")
    with run.write_image_set("again", direction="AtoB", split="test", checkpoint=None) as writer:
        writer.add("one", np.zeros((4, 4, 3), np.uint8), source="one", target=None)
    seal = run.path / "images" / "again" / "set.json"
    seal.write_text(seal.read_text().replace('"created_at": "20', '"created_at": "30'))
    (subject,) = find_subjects([run], "test", None)
    assert subject.sets["AtoB"].name == "again"
    assert other_sets(subject) == [old]


def test_only_sets_of_the_split_are_compared(tmp_path):
    run = a_run(tmp_path / "r", directions=("AtoB",))
    add_set(run, "BtoA", OTHER_IDS, split="val")
    (subject,) = find_subjects([run], "val", None)
    assert [image_set.name for image_set in subject.sets.values()] == ["val_BtoA"]
