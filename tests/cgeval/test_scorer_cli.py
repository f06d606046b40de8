"""`cgeval scorer ...` as a user meets it; training itself is tested beside its modules."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cgeval.cli import main
from cgeval.protocols import sharding
from cgeval.scorers.recipe import Recipe
from cgeval.scorers.training_state import Begun, write_begun
from tests.cgeval.protocols.streets import NearestHalfColour, write_dataset, write_header

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cgeval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Type the command in an empty folder; exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sharding, "load_scorer", NearestHalfColour)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cgeval", "scorer", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


def test_list_shows_what_one_chooses_by_and_names_what_is_broken(cgeval, tmp_path):
    number = {"value": 0.5123, "low": 0.5, "high": 0.53}
    write_header(tmp_path / "scorers" / "mine", validation={"class_iou": number, "n": 101, "split": "val"})
    code, out, err = cgeval("list")
    assert (code, err) == (0, "")
    assert "scorers/mine  smp unet resnet18  camvid11        11  24x16  scorer-size  0.512 (n = 101)" in out
    (tmp_path / "scorers" / "cut").mkdir()
    (tmp_path / "scorers" / "cut" / "scorer.safetensors").write_bytes(b"123")
    code, out, err = cgeval("list")
    assert code == 1
    assert "scorers/mine" in out
    assert "scorers/cut/scorer.safetensors is no safetensors file" in err


def test_list_where_there_is_none_says_how_to_make_one(cgeval):
    code, _, err = cgeval("list")
    assert code == 2
    assert "`cgeval scorer train DATASET scorers/NAME` makes one" in err


def test_the_names_that_can_be_fetched(cgeval):
    names = cgeval("list", "--remote")[1].split()
    assert "smp-hub/segformer-b5-1024x1024-city-160k" in names
    assert "torchvision/fcn_resnet50" in names


def test_show_tells_all_and_json_all_of_it(cgeval, tmp_path):
    write_header(tmp_path / "scorers" / "mine")
    code, out, _ = cgeval("show", "mine")
    assert code == 0
    assert "classes     sky, building, pole" in out
    assert "sha256" in out
    content = json.loads(cgeval("show", "mine", "--json")[1])
    assert content["labels"]["name"] == "camvid11"
    assert content["size_px"] == [24, 16]


def test_check_says_whether_scores_can_be_believed(cgeval, tmp_path):
    write_dataset(tmp_path / "data", n=3)
    write_header(tmp_path / "scorers" / "new")
    code, out, _ = cgeval("check", "new", "data", "--split", "test")
    assert code == 0
    assert "Nothing is known of this scorer on these photos" in " ".join(out.split())
    write_header(tmp_path / "scorers" / "paper", kind="fcn8s", arguments={}, protocol="paper")
    code, out, _ = cgeval("check", "paper", "data")
    assert code == 1
    assert "0.26" in out
    assert "Not as expected (Isola et al. 2017, table 1, ground truth)" in " ".join(out.split())


def test_settings_are_shown_with_what_was_changed(cgeval):
    changes = ("--size", "96x64", "--minutes", "2", "--set", "zoom=[0.5, 2.0]", "--set", "average=none")
    code, out, _ = cgeval("train", "data", "scorers/new", "--show-settings", *changes)
    assert code == 0
    for line in (
        "size_px = [96, 64]",
        "minutes = 2.0",
        "zoom = [0.5, 2.0]",
        "average = none",
        "architecture = segformer",
    ):
        assert line in out.splitlines()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "data", "out", "--size", "96"], "--size is '96', and WIDTHxHEIGHT in pixels is expected"),
        (["train", "data", "out", "--set", "nonsense=1"], "a recipe has no setting 'nonsense'"),
        (["train", "data", "out", "--set", "flip"], "--set 'flip' is no setting: KEY=VALUE is expected"),
        (["train", "data", "out", "--set", "average=median"], "average is 'median'"),
        (["train", "nowhere", "out"], "nowhere is not there"),
        (["import-caffe", "nowhere.caffemodel", "out"], "nowhere.caffemodel"),
        (["fetch", "smp-hub/nonsense", "out"], "nonsense"),
        (["show", "nothing"], "there is no scorer 'nothing'"),
        (["check", "nothing", "data"], "there is no scorer 'nothing'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(cgeval, tmp_path, words, sentence):
    code, out, err = cgeval(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_show_tells_training_and_validation_in_words(cgeval, tmp_path):
    numbers = {"pixel_accuracy": {"value": 0.9, "low": None, "high": None}}
    numbers |= {"class_iou": {"value": 0.5123, "low": 0.5, "high": 0.53}}
    trained_on = {"name": "camvid", "split": "train", "n": 367, "digest": "0", "recipe": {}, "steps": 2153}
    write_header(
        tmp_path / "scorers" / "mine",
        trained_on=trained_on | {"of_steps": 2153, "minutes": 25.71},
        validation=numbers | {"n": 101, "split": "val", "photo_size_px": [480, 360]},
    )
    out = cgeval("show", "mine")[1]
    assert "trained on  camvid, split train, 367 photos, 2,153 steps, 26 min\n" in out
    assert (
        "validation  per-pixel accuracy 0.900, class IoU 0.512 (0.500 to 0.530), on 101 photos at 480 x 360 px, "
        "split val\n"
    ) in out


def test_resume_takes_the_settings_that_were_begun_with_and_lays_those_typed_over_them(cgeval, tmp_path):
    write_begun(_folder(tmp_path / "out"), Begun(Recipe(epochs=30, zoom=(0.5, 2.0)), "data", "0" * 64, 270))
    out = cgeval("train", "data", "out", "--resume", "--show-settings", "--set", "threads=2")[1].splitlines()
    assert {"epochs = 30", "zoom = [0.5, 2.0]", "threads = 2"} <= set(out)
    code, _, err = cgeval("train", "data", "none", "--resume")
    assert code == 2
    assert "none holds no training to resume" in err


def test_what_is_half_trained_is_shown_as_that(cgeval, tmp_path):
    write_begun(_folder(tmp_path / "out"), Begun(Recipe(), "data", "0" * 64, 270))
    code, out, err = cgeval("show", "out")
    assert (code, out) == (2, "")
    assert "step 0 of 270; go on by `cgeval scorer train DATASET out --resume`." in err


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
