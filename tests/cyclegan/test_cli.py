"""`cyclegan train`, `configs` and `translate` as a user meets them: exit codes, last words, one sentence a mistake."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cgeval.console import run as run_program
from cgeval.records import read_records
from cgeval.runs import Run
from cyclegan import state
from cyclegan.cli import cyclegan
from cyclegan.config import load_config, ready_configs
from cyclegan.loop import Outcome, Training
from tests.cyclegan.conftest import SMALL


@dataclass(frozen=True)
class Answer:
    """What a command left on the screen and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys, monkeypatch, tmp_path) -> Callable[..., Answer]:
    """Run `cyclegan ...` as its console script does, in an empty folder of the test's."""
    (tmp_path / "here").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "here")

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["cyclegan", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            run_program(cyclegan)
        out, err = capsys.readouterr()
        return Answer(int(end.value.code or 0), out, err)

    return call


QUICK = [
    word for change in (*SMALL, "optimiser.constant_epochs=1", "optimiser.decay_epochs=0") for word in ("--set", change)
]


def refused(answer: Answer, *words: str) -> None:
    """One sentence on standard error, exit code 2, no traceback."""
    assert answer.code == 2, answer
    last = answer.err.splitlines()[-1]
    assert last.startswith("Error: ")
    assert "Traceback" not in answer.err
    for word in words:
        assert word in last, last


def left_behind(folder: Path = Path()) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# --- train


def test_a_training_ends_with_where_to_look_and_what_to_type_next(command, images):
    answer = command("train", "small", "my run", "--data", images, *QUICK)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[1:] == [
        answer.out.splitlines()[1],
        "  look at    my run/samples/latest.png and my run/losses.png",
        "  translate  cyclegan translate 'my run' --split test",
    ]
    assert answer.out.splitlines()[1].startswith("Trained 7 steps in 0.")
    for name in ("samples/latest.png", "losses.png", "log.jsonl", "config.toml", "run.json", "checkpoints/index.json"):
        assert (Path("my run") / name).is_file()
    assert command("translate", "my run", "--split", "test").code == 0


def test_the_run_says_what_it_was_made_with(command, images):
    command("train", "small", "run", "--data", os.path.relpath(images), *QUICK)
    settings = tomllib.loads(Path("run/config.toml").read_text())
    assert settings["data"]["path"] == str(images)
    assert settings["networks"]["width"] == 4
    info = Run.open(Path("run")).info
    assert (info.method, info.dataset["path"], info.producer["name"]) == ("cyclegan", str(images), "cyclegan")
    assert info.settings == settings


def test_sections_may_be_changed_one_setting_at_a_time(command, images):
    words = [
        "--set",
        "seed=3",
        "--set",
        "objective.name=gan_alone",
        "--set",
        'checkpoints.keep="all"',
        "--device",
        "cpu",
    ]
    assert command("train", "small", "run", "--data", images, *QUICK, *words).code == 0
    config = load_config("run/config.toml")
    found = (config.seed, config.objective.name, config.checkpoints.keep, config.compute.device)
    assert found == (3, "gan_alone", "all", "cpu")
    assert Run.open(Path("run")).info.method == "cyclegan:gan_alone"


@pytest.mark.parametrize("name", ["5", "true", 'a"b', "'a'", "a = [1]", "C:\\new\\data", "# x", "with space"])
def test_a_dataset_may_be_called_anything(command, images, name):
    shutil.copytree(images, name)
    answer = command("train", "small", "run", "--data", name, *QUICK, "--dry-run")
    assert answer.code == 0, answer.err
    assert tomllib.loads(answer.out)["data"]["path"] == str(Path(name).absolute())
    assert "5 of A, 7 of B" in answer.out


BROKEN = {
    "not TOML": ("a = = 1", ["not valid TOML"]),
    "an unknown key": ("[networks]\nwidht = 8", ["networks.widht", "width"]),
    "an unknown section": ("[optimizer]\nbatch_size = 1", ["optimizer", "optimiser"]),
    "a wrong type": ('[optimiser]\nbatch_size = "four"', ["optimiser.batch_size", "'four'"]),
    "out of range": ("[optimiser]\nbatch_size = 0", ["optimiser.batch_size", "found 0"]),
    "an unknown translator": ('translator = "stargan"', ["'stargan' is unknown", "cyclegan, pix2pix"]),
    "sizes that do not fit": ("[data]\nload_px = 64\ncrop_px = 128", ["crop_px 128", "load_px 64"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_is_answered_in_one_sentence(command, images, name):
    text, words = BROKEN[name]
    Path("x.toml").write_text(text)
    refused(command("train", "x.toml", "run", "--data", images), *words)
    assert left_behind() == ["x.toml"]


@pytest.mark.parametrize(
    "change", ["networks.width", "=3", "networks..width=3", "networks.width=", "seed.x=3", "data=5"]
)
def test_a_malformed_change_is_answered_in_one_sentence(command, images, change):
    refused(
        command("train", "small", "run", "--data", images, "--set", change), change.partition("=")[0].partition(".")[0]
    )
    assert left_behind() == []


def test_a_missing_configuration_is_answered_with_those_there_are(command, images):
    refused(command("train", "smal", "run", "--data", images), "smal is no such file", "small", "horse2zebra")
    refused(command("train", images, "run", "--data", images), "is a folder")
    assert left_behind() == []


def test_a_missing_or_empty_dataset_leaves_nothing_behind(command, tmp_path):
    refused(command("train", "small", "run"), "--data DIR")
    refused(command("train", "small", "run", "--data", tmp_path / "none"), "none is not there", "trainA")
    (tmp_path / "empty").mkdir()
    refused(command("train", "small", "run", "--data", tmp_path / "empty"), "trainA")
    (tmp_path / "file").write_text("x")
    refused(command("train", "small", "run", "--data", tmp_path / "file"), "is a file")
    assert left_behind() == []


def test_a_broken_image_is_named_and_may_be_skipped(command, images):
    (images / "trainB" / "b3.png").write_bytes(b"no image")
    refused(command("train", "small", "run", "--data", images, *QUICK), "b3.png")
    assert left_behind() == []
    assert command("train", "small", "run", "--data", images, *QUICK, "--set", "data.skip_broken=true").code == 0


def test_pix2pix_refuses_unpaired_data(command, images):
    words = ["--set", "data.load_px=128", "--set", "data.crop_px=128"]
    refused(command("train", "pix2pix_cityscapes", "run", "--data", images, *words), "needs paired images")
    assert left_behind() == []


def test_a_file_or_a_dataset_cannot_be_the_run(command, images):
    Path("file").write_text("mine")
    for place in ("file", "file/below", "file/far/below"):
        refused(command("train", "small", place, "--data", images), "file is a file")
    refused(command("train", "small", images, "--data", images), "is the dataset")
    assert left_behind() == ["file"]
    assert not (images / "run.json").exists()


def test_an_unwritable_place_is_named_before_anything_is_decoded(command, images, monkeypatch):
    def forbidden(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("cyclegan.session.tempfile.TemporaryFile", forbidden)
    answer = command("train", "small", "a/b", "--data", images)
    refused(answer, "nothing can be written into", "Read-only file system")
    assert "decoding" not in answer.err
    assert left_behind() == []


def test_a_device_that_is_not_there_is_named(command, images, monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    refused(command("train", "small", "run", "--data", images, "--device", "mps"), "no such device")
    assert left_behind() == []


def test_options_that_do_not_exist_are_answered_with_where_to_read_on(command):
    refused(command("train", "small", "run", "--epochs", "3"), "--epochs", "cyclegan train --help")
    refused(command("train", "small"), "RUN", "--help")


# --- going on


@pytest.fixture
def stopped(command, images, monkeypatch) -> Answer:
    """A run of 14 steps with settings of its own, that was stopped after three."""

    def stopping(self: Training, stop: object) -> bool:
        return self.position.step == 3

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_stopping", stopping)
        return command("train", "small", "my run", "--data", images, *QUICK, "--set", "optimiser.decay_epochs=1")


def test_a_stopped_training_says_how_to_go_on_and_that_works(command, stopped):
    assert stopped.code == 130
    said = stopped.err.splitlines()[-2:]
    assert said[0] == "Stopped and saved at step 3 of 14. Go on with:"
    assert said[1] == "  cyclegan train 'my run/config.toml' 'my run' --resume"
    answer = command("train", "my run/config.toml", "my run", "--resume")
    assert answer.code == 0, answer.err
    assert "Trained 11 steps (with those before, 14)" in answer.out
    assert "From here on" not in answer.err


def test_what_started_the_run_goes_on_with_it_when_resume_is_added(command, stopped, images):
    words = ["train", "small", "my run", "--data", images, *QUICK, "--set", "optimiser.decay_epochs=1"]
    refused(command(*words), "already holds a run", "--resume")
    assert command(*words, "--resume").code == 0


def test_the_run_knows_where_its_data_is(command, stopped):
    answer = command("train", "small", "my run", *QUICK, "--set", "optimiser.decay_epochs=1", "--resume")
    assert answer.code == 0, answer.err


def test_other_settings_are_refused_with_the_command_that_has_the_right_ones(command, stopped):
    answer = command("train", "small", "my run", "--resume")
    refused(answer, "networks.width", "`cyclegan train 'my run/config.toml' 'my run' --resume`")
    answer = command("train", "my run/config.toml", "my run", "--resume", "--set", "optimiser.learning_rate=1e-3")
    refused(answer, "another optimiser.learning_rate")


def test_settings_that_may_change_are_told(command, stopped):
    change = ["--set", "logging.every_steps=7", "--set", "checkpoints.keep=all"]
    answer = command("train", "my run/config.toml", "my run", "--resume", *change)
    assert answer.code == 0
    assert "From here on my run has another checkpoints.keep, logging.every_steps." in answer.err
    assert load_config("my run/config.toml").checkpoints.keep == "all"


def test_a_vanished_dataset_is_named_and_may_be_given_anew(command, stopped, images, tmp_path):
    images.rename(tmp_path / "moved")
    before = {path: path.read_bytes() for path in Path("my run").rglob("*") if path.is_file()}
    refused(command("train", "my run/config.toml", "my run", "--resume"), "images is not there")
    assert {path: path.read_bytes() for path in Path("my run").rglob("*") if path.is_file()} == before
    assert command("train", "my run/config.toml", "my run", "--resume", "--data", tmp_path / "moved").code == 0


def test_resuming_works_from_another_folder(command, stopped, monkeypatch, tmp_path):
    run = Path("my run").absolute()
    monkeypatch.chdir(tmp_path)
    assert command("train", run / "config.toml", run, "--resume").code == 0


def test_resume_without_a_run_leaves_nothing_behind(command, images):
    refused(command("train", "small", "run", "--data", images, "--resume"), "no run to resume")
    assert left_behind() == []


def test_an_edited_configuration_of_the_run_is_noticed(command, stopped):
    file = Path("my run/config.toml")
    file.write_text(file.read_text().replace("learning_rate = 0.0002", "learning_rate = 0.001"))
    refused(command("train", file, "my run", "--resume"), "other settings (optimiser.learning_rate)")


def test_imported_weights_are_not_trained_on(command, stopped):
    path = state.find(Path("my run/checkpoints"))
    content = state.load(path) | {"optimisers": {}, "processes": []}
    state.save(path.parent, content, metric=None, is_best=False, rule=load_config("small").checkpoints)
    refused(command("train", "my run/config.toml", "my run", "--resume"), "imported weights")


@pytest.fixture
def done(command, images) -> Path:
    """A run of seven steps that is trained to its end."""
    assert command("train", "small", "run", "--data", images, *QUICK).code == 0
    return Path("run")


def files_of(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "train.lock"}


def test_resuming_what_is_done_touches_neither_data_nor_networks_nor_files(command, done, images, monkeypatch):
    monkeypatch.setattr("cyclegan.session.Training", None)
    monkeypatch.setattr("cyclegan.session.open_inputs", None)
    before = files_of(done)
    for words in (("run/config.toml", "run"), ("small", "run", *QUICK)):
        answer = command("train", *words, "--resume")
        assert answer.code == 0, answer.err
        assert answer.out.splitlines()[1] == "All 7 steps were done already."
        assert answer.out.splitlines()[3] == "  translate  cyclegan translate run --split test"
        assert answer.err == ""
    shutil.rmtree(images)
    answer = command("train", "run/config.toml", "run", "--resume")
    assert (answer.code, answer.out.splitlines()[1]) == (0, "All 7 steps were done already.")
    assert "--input IMAGES" in answer.out
    assert files_of(done) == before


def test_what_is_done_but_for_its_pictures_gets_them(command, done):
    (done / "losses.png").unlink()
    assert command("train", "run/config.toml", "run", "--resume").code == 0
    assert (done / "losses.png").is_file()


def test_what_is_done_is_still_looked_at_where_settings_are_new(command, done, images):
    answer = command("train", "run/config.toml", "run", "--resume", "--set", "checkpoints.keep=all")
    assert answer.code == 0
    assert "From here on run has another checkpoints.keep." in answer.err
    refused(command("train", "run/config.toml", "run", "--resume", "--data", images.parent / "none"), "is not there")


def test_a_broken_checkpoint_of_what_is_done_is_named(command, done):
    path = state.find(done / "checkpoints")
    path.write_bytes(path.read_bytes()[:1000])
    os.utime(path, (0, 0))
    refused(command("train", "run/config.toml", "run", "--resume"), "not a whole checkpoint")


def test_of_several_processes_one_speaks(command, images, monkeypatch):
    monkeypatch.setattr("cyclegan.session.train_run", lambda request: Outcome(True, 0, 7, 7, 1.0, 0.0, ()))
    monkeypatch.setenv("RANK", "1")
    assert command("train", "small", "run", "--data", images) == Answer(0, "", "")


# --- dry run


def test_a_dry_run_prints_everything_and_writes_nothing(command, images):
    answer = command("train", "small", "run", "--data", images, *QUICK, "--dry-run")
    assert answer.code == 0
    assert tomllib.loads(answer.out) == load_config("small", QUICK[1::2], {"data.path": str(images)}).to_dict()
    for word in ("parameters", "# time", "# memory", "7 in 1 epoch", "# disk"):
        assert word in answer.out
    assert left_behind() == []
    assert list(Path(os.environ["CGEVAL_CACHE"]).iterdir()) == []


def test_a_dry_run_can_be_saved_and_trained_with(command, images):
    Path("mine.toml").write_text(command("train", "small", "run", "--data", images, *QUICK, "--dry-run").out)
    assert command("train", "mine.toml", "run").code == 0
    assert load_config("mine.toml") == load_config("run/config.toml")


def test_a_dry_run_needs_no_dataset(command):
    answer = command("train", "small", "run", *QUICK, "--data", "nowhere", "--dry-run")
    assert answer.code == 0
    assert "nowhere is not there" in answer.out
    assert left_behind() == []


def test_a_dry_run_answers_programs_with_json_alone(command, images):
    answer = command("train", "small", "run", "--data", images, *QUICK, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    content = json.loads(answer.out)
    assert (content["steps"], content["images_a"], content["images_b"]) == (7, 5, 7)
    assert content["seconds"] == pytest.approx(7 * content["seconds_per_step"])
    assert left_behind() == []
    refused(command("train", "small", "run", "--data", images, "--json"), "--dry-run")


def test_a_dry_run_of_a_run_that_is_gone_on_with_counts_what_is_left(command, stopped):
    words = ("train", "my run/config.toml", "my run", "--dry-run")
    content = json.loads(command(*words, "--resume", "--json").out)
    assert (content["steps"], content["steps_done"]) == (14, 3)
    assert content["seconds"] == pytest.approx(11 * content["seconds_per_step"])
    assert "14 in 2 epochs, 3 of them done" in command(*words, "--resume").out
    assert "of them done" not in command(*words).out


# --- configs


def test_configs_lists_and_prints(command):
    listed = command("configs").out.splitlines()
    assert [line.split()[0] for line in listed] == list(ready_configs())
    assert all(line.split("  ", 1)[1].strip() for line in listed)
    for name, text in ready_configs().items():
        assert command("configs", name).out == text
    refused(command("configs", "none"), "'none'", "horse2zebra")


# --- translate


def test_translate_says_how_many_and_where(command, stopped):
    answer = command("translate", "my run")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "2 images in my run/images/test_AtoB",
        "3 images in my run/images/test_BtoA",
        "  what is in the run: cgeval show 'my run'",
    ]
    assert "test AtoB: 100%" in answer.err
    refused(command("translate", "my run"), "test_AtoB and test_BtoA", "--overwrite")
    assert command("translate", "my run", "--overwrite", "--direction", "ba", "--reference-layout", "results").code == 0
    assert Path("results/my run/test_latest/images/b2_fake_A.png").is_file()


def test_mistakes_of_translate_are_one_sentence(command, stopped, images, tmp_path):
    refused(command("translate", "none"), "none is not there")
    refused(command("translate", images), "not a run")
    refused(command("translate", "my run", "--checkpoint", "99"), "no checkpoint '99'; there: 3, newest")
    refused(command("translate", "my run", "--checkpoint", "best"), "best_by")
    refused(command("translate", "my run", "--split", "val"), "no split 'val'; there: train, test")
    refused(command("translate", "my run", "--direction", "AtoB"), "AtoB", "--help")
    refused(command("translate", "my run", "--input", images / "testA"), "--direction ab")
    refused(command("translate", "my run", "--input", images, "--split", "test"), "leave --split and --data away")
    refused(command("translate", "my run", "--input", tmp_path / "none", "--direction", "ab"), "none is not there")
    images.rename(tmp_path / "moved")
    refused(command("translate", "my run"), "--data DIR")
    assert not Path("my run/images").exists()
    assert command("translate", "my run", "--data", tmp_path / "moved").code == 0


# --- reconstruct


def test_reconstruct_prints_a_table_and_keeps_the_numbers(command, stopped):
    command("translate", "my run")
    answer = command("reconstruct", "my run")
    assert answer.code == 0, answer.err
    heads, first, second, *notes = answer.out.splitlines()
    assert heads.split() == ["image", "set", "direction", "n", "mean", "|back", "-", "input|"]
    assert re.fullmatch(r"test_AtoB  A -> B     2  0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]", first)
    assert second.startswith("test_BtoA  B -> A     3  ")
    assert notes[-1] == "  records in my run/records/reconstruction.jsonl"
    records = read_records(Path("my run"), "reconstruction")
    assert [f"{record.value:.4f}" for record in records] == [line.split()[5] for line in (first, second)]
    assert command("reconstruct", "my run", "--checkpoint", "newest", "--batch-size", "1", "--device", "cpu").code == 0
    shown = command("reconstruct", "my run").err
    assert "test_AtoB back: 100%" in shown


def test_mistakes_of_reconstruct_are_one_sentence_and_leave_no_record(command, stopped, images):
    refused(command("reconstruct", "none"), "none is not there")
    refused(command("reconstruct", "my run"), "none is sealed yet", "cyclegan translate 'my run' --split test")
    command("translate", "my run")
    refused(command("reconstruct", "my run", "--split", "val"), "no image set of split 'val'")
    refused(command("reconstruct", "my run", "--checkpoint", "99"), "no checkpoint '99'; there: 3, newest")
    (images / "testB" / "b2.png").write_bytes(b"no image")
    refused(command("reconstruct", "my run"), "b2.png")
    assert not Path("my run/records").exists()


# --- as a real process


@pytest.mark.slow
def test_in_a_real_process(images, tmp_path):
    script = Path(sys.executable).parent / "cyclegan"

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([script, *map(str, words)], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    done = call("train", "small", "run", "--data", images, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "Trained 7 steps" in done.stdout
    again = call("train", "small", "run", "--data", images, *QUICK)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "Error: run already holds a run: add --resume to go on with it, or name another folder.\n"
    assert call("translate", "run").returncode == 0
    assert "Warning" not in done.stderr


def test_a_dry_run_of_several_processes_counts_their_steps_together(command, images, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    once = ("--set", "optimiser.constant_epochs=1", "--set", "optimiser.decay_epochs=0", "--dry-run")
    tiny = ("--set", "networks.width=4", "--set", "data.crop_px=32", "--set", "data.load_px=36")
    assert (
        "steps   4 in 1 epoch, 2 processes together"
        in command("train", "small", "r", "--data", images, *once, *tiny).out
    )
    monkeypatch.setenv("RANK", "1")
    assert command("train", "small", "r", "--data", images, *once, *tiny).out == ""


def test_two_plain_folders_are_told_what_can_be_translated(command, images):
    settings = [
        part
        for change in [*SMALL, "optimiser.constant_epochs=1", "optimiser.decay_epochs=0"]
        for part in ("--set", change)
    ]
    answer = command("train", "small", "plain", "--data", images / "trainA", "--data-b", images / "trainB", *settings)
    assert "--input IMAGES --direction ab" in answer.out
    assert "--split test" not in answer.out
    again = command(
        "train", "small", "plain", "--data", images / "trainA", "--data-b", images / "trainB", *settings, "--resume"
    )
    assert "All 7 steps were done already." in again.out
