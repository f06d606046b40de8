"""`cgeval gatys` as a user meets it."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from cgeval.cli import main
from cgeval.gatys.making import session
from cgeval.networks import feature_files
from cgeval.runs import Run
from tests.cgeval.gatys.networks import QUICK, write_squeezenet
from tests.cgeval.gatys.pictures import write_dataset, write_photos

SETTINGS = [word for change in QUICK for word in ("--set", change)]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These networks are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cgeval(capsys, monkeypatch, tmp_path):
    """Type the command in a folder with a dataset, photos and weights; exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    write_squeezenet(tmp_path / "small.pth")
    write_dataset(tmp_path / "data")
    write_photos(tmp_path / "photos", 2)

    def call(*words, quick=True, command="gatys"):
        rest = [*SETTINGS, "--weights", "small.pth", "--size", "32", "--device", "cpu"] if quick else []
        monkeypatch.setattr(sys, "argv", ["cgeval", command, *rest, *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


def test_a_dataset_needs_nothing_but_a_place_for_the_run(cgeval, tmp_path):
    code, out, err = cgeval("data", "runs/gatys")
    assert code == 0
    assert "runs/gatys  gatys:squeezenet1_1" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  test_")] == [
        "test_AtoB-collection",
        *(each.name for each in Run.open(tmp_path / "runs" / "gatys").image_sets() if "drive" in each.name),
    ]
    assert "score it   cgeval fcn-score runs/gatys" in out
    assert "compare it cgeval compare" in out
    assert "to look at runs/gatys/gatys/styles.png" in out
    assert "test_AtoB-collection: 2 images in the style of collection, the average of 3 images" in err
    assert cgeval("runs/gatys", command="verify", quick=False)[0] == 0
    code, out, _ = cgeval("data", "runs/gatys")
    assert (code, out.count("was there")) == (0, 3)


def test_json_is_all_that_comes_out(cgeval):
    code, out, _ = cgeval("photos", "run", "--style", "photos/0.png", "--json")
    made = json.loads(out)
    assert (code, made["method"], made["run"]) == (0, "gatys:squeezenet1_1", "run")
    (made_set,) = made["sets"]
    assert (made_set["name"], made_set["variant"], made_set["images"]) == ("photos_AtoB-0", "0", 2)
    assert made_set["mean_losses"]["total"] > 0


def test_a_folder_is_not_told_to_be_scored(cgeval):
    _, out, _ = cgeval("photos", "run", "--style", "photos/0.png")
    assert "fcn-score" not in out
    assert "pictures   run/images/" in out


def test_a_dry_run_says_sets_settings_and_time_and_writes_nothing(cgeval, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = cgeval("data", "runs/gatys", "--dry-run")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["test_AtoB-collection", "collection", "AtoB", "2", "2"] in rows
    assert ["(named", "after", "the", "image)", "image", "2", "of", "collection", "AtoB", "2", "2"] in rows
    assert "for 6 images" in out
    assert "lbfgs from content: 4 steps at 1 of the size" in out
    plan = json.loads(cgeval("data", "runs/gatys", "--dry-run", "--json")[1])
    assert plan["images"] == 6
    assert plan["seconds"] > 0
    assert [each["name"] for each in plan["sets"]] == ["test_AtoB-collection", None, None]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_knows_what_is_done(cgeval):
    cgeval("data", "run")
    plan = json.loads(cgeval("data", "run", "--dry-run", "--json")[1])
    assert (plan["images"], plan["seconds"]) == (0, 0)
    assert all(each["name"] and each["left"] == 0 for each in plan["sets"])
    assert "nothing is left to do" in cgeval("data", "run", "--dry-run")[1]


def test_a_dry_run_refuses_what_the_run_itself_would(cgeval):
    cgeval("photos", "run", "--style", "photos/0.png")
    code, _, err = cgeval("photos", "run", "--style", "photos/0.png", "--set", "style_weight=2", "--dry-run")
    assert code == 2
    assert "run was made with another style_weight" in err


def test_weights_that_are_not_here_are_measured_by_random_ones_and_told(cgeval, monkeypatch):
    monkeypatch.setattr(feature_files, "TORCHVISION_ADDRESS", "http://127.0.0.1:9/vgg19-dcbb9e9d.pth")
    words = ("photos", "run", "--style", "photos/0.png", "--size", 64, "--device", "cpu", "--set", "stages=1:2")
    code, out, _ = cgeval(*words, "--dry-run", quick=False)
    assert code == 0
    assert "fetched" in out
    code, _, err = cgeval(*words, quick=False)
    assert code == 2
    assert "could not be reached" in err
    assert "--weights random, or --weights PATH" in err


def test_what_stopped_says_how_to_go_on(cgeval, tmp_path, monkeypatch):
    def stopping(*arguments, **others):
        raise session.StoppedError

    monkeypatch.setattr(session, "stylise", stopping)
    code, out, err = cgeval("photos", "run", "--style", "photos/0.png")
    assert (code, out) == (130, "")
    assert "Stopped; sealed: 0 sets; kept besides: 0 pictures. The same command goes on from there:" in err
    assert err.splitlines()[-1].startswith("  cgeval gatys ")
    assert err.splitlines()[-1].endswith(" photos run --style photos/0.png")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert cgeval("photos", "run", "--style", "photos/0.png")[0] == 0


def test_settings_are_shown_as_a_file_that_gives_them_again(cgeval, tmp_path):
    code, out, _ = cgeval("photos", "run", "--show-settings")
    assert code == 0
    (tmp_path / "own.toml").write_text(out)
    assert cgeval("photos", "run", "--show-settings", "--config", "own.toml", quick=False)[1] == out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere", "run"), "nowhere is not there"),
        (("photos", "run"), "no style is named"),
        (("photos", "run", "--style", "small.pth"), "small.pth"),
        (("photos", "run", "--style", "photos/0.png", "--preset", "monet"), "preset is 'monet'"),
        (("photos", "run", "--style", "photos/0.png", "--set", "style=3"), "unknown setting 'style'"),
        (("photos", "run", "--style", "photos/0.png", "--set", "content_layer=relu9_9"), "has no layer 'relu9_9'"),
        (("photos", "run", "--style", "photos/0.png", "--batch-size", "0"), "0 is not in the range"),
        (("photos", "run", "--style", "photos/0.png", "--config", "no.toml"), "no.toml"),
        (("photos", "run", "--style", "photos/0.png", "--split", "val"), "no dataset with splits"),
        (("data", "run", "--split", "val"), "no split 'val'"),
        (("data", "run", "--styles", "9"), "--styles is 9, and the collection has 3"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(cgeval, tmp_path, words, told):
    code, out, err = cgeval(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_document_explains_every_setting(cgeval):
    shown = [line.partition(" = ")[0] for line in cgeval("photos", "run", "--show-settings")[1].splitlines()]
    document = (Path(__file__).resolve().parents[2] / "docs" / "gatys.md").read_text(encoding="utf-8")
    table = document.partition("## Settings")[2].partition("\n## ")[0]
    explained = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    assert explained == set(shown)
