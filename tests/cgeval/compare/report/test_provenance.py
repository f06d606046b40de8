"""How numbers were made: commands that the command line takes, seeds, digests, the scorer's own validation."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from cgeval.cli import cgeval
from cgeval.compare.gather import compare, find_subjects
from cgeval.compare.report.provenance import how_it_was_made
from cgeval.images import read_rgb
from cgeval.runs import Run
from cyclegan.cli import cyclegan
from tests.cgeval.compare.renderers.comparisons import plain
from tests.cgeval.compare.runs_with_records import a_run, score

PROGRAMS = {"cgeval": cgeval, "cyclegan": cyclegan}


def made(comparison):
    return {each.label: each for each in how_it_was_made(comparison)}


def compared(*runs):
    return compare(find_subjects(runs, "test", None), "test")


def facts(batch):
    return {fact.heading: fact.text for fact in batch.facts}


def parsed(command):
    """The parameters that the program would be called with; raises click.UsageError for a command it does not take."""
    program, name, *words = shlex.split(command)
    found = PROGRAMS[program].get_command(None, name)
    return found.make_context(name, words).params


def remade(tmp_path, method, producer, settings, extra, config=False):
    """A run as another producer leaves it, compared alone."""
    path = tmp_path / "run"
    facts_of = {"name": "streets", "path": str(tmp_path / "my data"), "paired": True}
    run = Run.create(path, method=method, dataset=facts_of, producer=producer, settings=settings)
    if config:
        (path / "config.toml").write_text("")
    source = a_run(tmp_path / "source").image_set("test_AtoB")
    about = {"direction": "AtoB", "split": "test", "checkpoint": None, "extra": extra}
    with run.write_image_set("test_AtoB", **about) as writer:
        writer.add("a", read_rgb(source.path / source.rows[0].file), source="a", target=None)
    return made(compared(Run.open(path)))


# Two runs in one row


def test_of_a_row_of_two_runs_each_says_which_direction_it_has_and_what_it_measured(tmp_path):
    main = a_run(tmp_path / "main")
    for name, way in (("there", "AtoB"), ("back", "BtoA")):
        score(a_run(tmp_path / name, "pix2pix", directions=(way,)), f"test_{way}")
    for way in ("AtoB", "BtoA"):
        score(main, f"test_{way}")
    found = made(compared(main, *(Run.open(tmp_path / name) for name in ("there", "back"))))
    assert list(found) == ["CycleGAN", "pix2pix, labels → photo", "pix2pix, photo → labels"]
    for label, name in (("pix2pix, labels → photo", "there"), ("pix2pix, photo → labels", "back")):
        (batch,) = found[label].batches
        assert found[label].facts[0].text == str(tmp_path / name)
        assert batch.title == label.partition(", ")[2].replace("→", "->")
        assert parsed(batch.command.text)["run_path"] == tmp_path / name


# Commands


def test_a_score_is_made_again_by_its_scorer_protocol_and_convention(tmp_path):
    run = a_run(tmp_path / "my run")
    score(run, scorer="camvid", protocol="paper", convention="reference")
    score(run, "test_BtoA", convention="reference", sanity=True)
    to_photo, to_labels = made(compared(run))["CycleGAN"].batches
    assert parsed(to_photo.command.text) | {"scorer": "camvid", "protocol": "paper"} == parsed(to_photo.command.text)
    assert parsed(to_photo.command.text)["run_path"] == run.path
    assert [parsed(each.command.text)["direction"] for each in (to_photo, to_labels)] == ["ab", "ba"]
    assert [parsed(each.command.text)["sanity"] for each in (to_photo, to_labels)] == [False, True]
    assert parsed(to_labels.command.text)["convention"] == "reference"


def test_every_command_of_a_whole_comparison_is_one_that_the_programs_take(whole):
    for each in how_it_was_made(whole):
        for command in (*each.commands, *(batch.command for batch in each.batches if batch.command)):
            parsed(command.text)


def test_a_trained_run_is_trained_by_its_own_configuration(tmp_path):
    found = remade(tmp_path, "cyclegan", {"name": "cyclegan", "version": "1"}, {"seed": 3}, {}, config=True)["CycleGAN"]
    train, translate = (parsed(command.text) for command in found.commands)
    assert (train["config"], train["run"]) == (str(tmp_path / "run" / "config.toml"), tmp_path / "run-again")
    assert "run_path" in translate
    assert {fact.heading: fact.text for fact in found.facts}["seed"] == "3"


def test_a_training_is_told_where_the_data_is_and_takes_a_folder_that_is_free(tmp_path):
    settings = {"seed": 3, "data": {"path": "a folder", "path_b": "another"}}
    producer = {"name": "cyclegan", "version": "1"}
    train, translate = remade(tmp_path, "cyclegan", producer, settings, {}, config=True)["CycleGAN"].commands
    assert (parsed(train.text)["data"], parsed(train.text)["data_b"]) == (Path("a folder"), Path("another"))
    assert parsed(train.text)["run"] == parsed(translate.text)["run_path"]
    assert not parsed(train.text)["run"].exists()


def test_a_training_whose_settings_name_no_data_takes_the_dataset_of_the_run(tmp_path):
    found = remade(tmp_path, "cyclegan", {"name": "cyclegan", "version": "1"}, {}, {}, config=True)["CycleGAN"]
    assert parsed(found.commands[0].text)["data"] == tmp_path / "my data"


def test_imported_weights_were_not_trained_here(tmp_path):
    producer = {"name": "cyclegan", "version": "1", "imported_weights": {"gen_ab": "x.pth"}}
    assert remade(tmp_path, "cyclegan", producer, {}, {}, config=True)["CycleGAN"].commands == ()


def test_results_that_were_brought_in_are_adopted_again(tmp_path):
    settings = {"source": "results/CoGAN", "layout": "folder", "pairing": {}}
    found = remade(tmp_path, "CoGAN", {"name": "cgeval adopt", "version": "1"}, settings, {})["CoGAN"]
    words = parsed(found.commands[0].text)
    assert (str(words["folder"]), words["method"], words["direction"]) == ("results/CoGAN", "CoGAN", "ab")


def test_a_stylised_run_says_size_preset_weights_and_changed_settings(tmp_path):
    settings = {"preset": "paper", "weights": "random", "changed": ["weights", "seed", "stages"], "seed": 7}
    settings |= {"stages": [[0.5, 10], [1.0, 5]]}
    extra = {"variant": "collection", "size_px": 64, "source": str(tmp_path / "my data")}
    extra |= {"style": {"name": "collection", "kind": "collection", "n": 3, "digest": "abc123"}}
    (found,) = remade(tmp_path, "gatys", {"name": "cgeval gatys"}, settings, extra).values()
    words = parsed(found.commands[0].text)
    assert str(words["content"]) == str(tmp_path / "my data")
    assert (words["size_px"], words["preset"], words["weights"]) == (64, "paper", "random")
    assert words["changes"] == ("seed=7", "stages=[[0.5, 10], [1.0, 5]]")
    assert words["styles"] == ()
    assert any("in the style collection (abc123)" in fact.text for fact in found.facts)


def test_a_style_whose_file_is_not_remembered_is_left_to_be_filled_in(tmp_path):
    extra = {"variant": "starry night", "size_px": 64}
    (found,) = remade(tmp_path, "gatys", {"name": "cgeval gatys"}, {}, extra).values()
    assert [str(each) for each in parsed(found.commands[0].text)["styles"]] == ["STYLE"]


def test_nothing_is_invented_for_a_run_that_does_not_say_how_it_was_made(tmp_path):
    found = remade(tmp_path, "CoGAN", {"name": "me", "version": "1"}, {}, {})["CoGAN"]
    assert found.commands == ()


# Facts


def test_each_number_stands_with_its_protocol_seed_scorer_and_digests(whole):
    main = made(whole)["CycleGAN"]
    batch = next(each for each in main.batches if each.title == "labels -> photo")
    record = whole.tables[0].rows[1].numbers[0, "class_iou"].record
    told = facts(batch)
    assert told["protocol"] == "fcn-score-scorer-size"
    assert told["over"] == "n = 8, test_AtoB"
    assert told["seed"] == "0"
    assert told["scorer"] == f"camvid, {record.convention['scorer_sha256']}"
    assert told["its own validation"] == "class IoU 0.700 on 5 images"
    assert told["measured by"] == "cgeval 0, 2026-01-01 00:00 UTC"
    assert told["matrices"] == record.extra["matrices"]
    assert told["images' seal"] == whole.subjects[0].sets["AtoB"].index_sha256
    assert dict(batch.values)["class IoU"].startswith(f"{record.value:.3f} [")


def test_what_people_judged_has_facts_and_no_command(whole):
    batch = next(each for each in made(whole)["CycleGAN"].batches if "people" in each.title)
    assert batch.command is None
    assert facts(batch)["protocol"] == "fooling-zhu2017"


def test_traps_are_told_with_the_number(tmp_path):
    run = a_run(tmp_path / "run")
    score(run, traps=["above the ceiling"])
    assert facts(made(compared(run))["CycleGAN"].batches[0])["traps"] == "above the ceiling"


def test_a_dataset_that_has_moved_is_named_in_the_command(tmp_path):
    run = a_run(tmp_path / "run")
    score(run)
    moved = replace(compared(run), dataset_path=tmp_path / "elsewhere")
    assert parsed(made(moved)["CycleGAN"].batches[0].command.text)["dataset"] == tmp_path / "elsewhere"


def test_another_split_is_named_in_the_command(tmp_path):
    run = a_run(tmp_path / "run")
    score(run)
    other = replace(compared(run), split="val")
    assert parsed(made(other)["CycleGAN"].batches[0].command.text)["split"] == "val"


@pytest.mark.parametrize("label", ["CycleGAN", "pix2pix"])
def test_settings_are_shown_by_dotted_key(label):
    comparison = plain()
    subjects = [
        replace(each, run=replace(each.run, info=replace(each.run.info, settings={"a": {"b": 1}, "c": "x" * 1000})))
        for each in comparison.subjects
    ]
    settings = dict(made(replace(comparison, subjects=tuple(subjects)))[label].settings)
    assert settings["a.b"] == "1"
    assert len(settings["c"]) < 310
