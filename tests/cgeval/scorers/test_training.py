"""Training a scorer: it learns, it resumes bit for bit, and it refuses in one sentence."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cgeval.errors import ConfigError, NonFiniteLossError, OutputError, RunBusyError, RunError
from cgeval.files import lock
from cgeval.labels import LabelSet
from cgeval.metrics import stack
from cgeval.scorers import training
from cgeval.scorers.material import counted
from cgeval.scorers.samples import load_photos
from cgeval.scorers.scorer import load_scorer
from cgeval.scorers.store import open_scorer
from cgeval.scorers.training import train_scorer
from cgeval.scorers.training_state import Begun, read_begun, read_log, recipe_over_begun, write_begun
from cgeval.scorers.validation import measure, own_record
from tests.cgeval.scorers.drawn import LABELS, drawn_dataset, quick_recipe


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), train=16, val=4, test=3)


def train(dataset, out, recipe=None, *, resume=False):
    said = []
    file = train_scorer(dataset, out, recipe or quick_recipe(), resume=resume, say=said.append, progress=False)
    return file, said


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "mine"
    return train(dataset, out)


def tensors(file):
    from safetensors.torch import load_file

    return load_file(file.path)


def test_three_colours_are_learnt_in_seconds(trained):
    file, _ = trained
    iou = file.info.validation["class_iou"]
    assert iou["value"] > 0.85
    assert iou["low"] <= iou["value"] <= iou["high"]


def test_without_learning_the_score_is_low(dataset, tmp_path):
    file, _ = train(dataset, tmp_path / "slow", quick_recipe(learning_rate=1e-8, epochs=1))
    assert file.info.validation["class_iou"]["value"] < 0.6


def test_the_file_says_what_it_was_trained_on_and_how_it_is_used(dataset, trained):
    info = trained[0].info
    assert (info.name, info.kind, info.protocol, info.size_px) == ("mine", "smp", "scorer-size", (64, 48))
    assert info.outputs == 4
    assert info.trained_on["name"] == "drawn"
    assert info.trained_on["n"] == 16
    assert info.trained_on["digest"] == dataset.digest("train")
    assert info.trained_on["recipe"]["encoder"] == "tu-test_resnet"
    assert {
        "n": 4,
        "split": "val",
        "convention": "cityscapes",
        "protocol": "scorer-size",
        "photo_size_px": [64, 48],
    }.items() <= info.validation.items()


def test_the_written_scorer_measures_what_was_measured_in_training(dataset, trained):
    file, _ = trained
    photos = load_photos(dataset.split("val").pairs(), LABELS, file.info.size_px, None)
    matrices = measure(load_scorer(open_scorer(file.path), torch.device("cpu")), photos, 4)
    again = own_record(stack(matrices), "val", (64, 48))
    assert again == file.info.validation


def test_a_class_that_no_train_photo_shows_is_named(trained):
    assert any("ghost" in sentence and "grass" not in sentence for sentence in trained[1])


def test_log_and_curves_are_there_and_the_state_is_gone(trained):
    folder = trained[0].path.parent
    rows = read_log(folder / "log.jsonl")
    assert [row["step"] for row in rows if "class_iou" in row] == [6, 12, 18, 24]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0] / 2
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "state.pt").exists()


def stop_after(monkeypatch, step):
    """As if Ctrl-C were pressed within that step."""
    learn = training.Learner.learn

    def learn_and_ask(self, number, *rest):
        if number + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)
        return learn(self, number, *rest)

    monkeypatch.setattr(training.Learner, "learn", learn_and_ask)


KINDS = [
    {},
    pytest.param({"architecture": "unet", "average": "none", "schedule": "poly"}, marks=pytest.mark.slow),
    pytest.param({"precision": "bf16"}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("change", KINDS, ids=str)
def test_a_resumed_training_is_bit_for_bit_the_one_that_was_not_stopped(dataset, tmp_path, monkeypatch, change):
    recipe = quick_recipe(epochs=4, class_weights="median_frequency", **change)
    whole, _ = train(dataset, tmp_path / "whole" / "x", recipe)
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        stopped, said = train(dataset, tmp_path / "halves" / "x", recipe)
    assert (tmp_path / "halves" / "x" / "state.pt").is_file()
    assert stopped is None
    assert said[-1] == "Stopped after 7 of 16 steps: --resume goes on."
    resumed, _ = train(dataset, tmp_path / "halves" / "x", recipe, resume=True)
    ours, theirs = tensors(whole), tensors(resumed)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert whole.info.validation == resumed.info.validation
    rows = [read_log(file.path.parent / "log.jsonl") for file in (whole, resumed)]
    measured = [[row for row in log if "class_iou" in row] for log in rows]
    assert measured[0] == measured[1]


def test_resuming_before_anything_was_saved_begins_again(dataset, tmp_path, trained):
    out = tmp_path / "mine"
    out.mkdir()
    begun = read_begun(trained[0].path.parent)
    write_begun(out, begun)
    (out / "log.jsonl").write_text('{"step": 20, "loss": 1.0}\n{"ste')
    file, _ = train(dataset, out, resume=True)
    assert file.sha256 != ""
    assert all(torch.equal(a, b) for a, b in zip(tensors(file).values(), tensors(trained[0]).values(), strict=True))


@pytest.mark.slow
def test_training_ends_when_patience_is_over(dataset, tmp_path):
    recipe = quick_recipe(learning_rate=1e-8, average="none", epochs=30, validations=30, patience=2, weight_decay=0)
    file, _ = train(dataset, tmp_path / "mine", recipe)
    rows = [row for row in read_log(tmp_path / "mine" / "log.jsonl") if "class_iou" in row]
    best = max(range(len(rows)), key=lambda i: (rows[i]["class_iou"], -i))
    assert len(rows) < 30
    assert len(rows) == best + 3
    assert file.info.trained_on["steps"] == rows[best]["step"]


@pytest.mark.slow
def test_minutes_become_a_number_of_steps(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "TRIAL_SECONDS", 0.1)
    file, said = train(dataset, tmp_path / "mine", quick_recipe(minutes=0.03))
    assert any(sentence.startswith("0.03 minutes are ") for sentence in said)
    assert 1 <= file.info.trained_on["of_steps"] < 1000
    assert read_begun(tmp_path / "mine").total_steps == file.info.trained_on["of_steps"]


def test_the_test_split_is_never_read(tmp_path):
    dataset = drawn_dataset(tmp_path / "data", train=4, val=2, test=2)
    for path in dataset.split("test").truth.values():
        path.write_bytes(b"")
    file, _ = train(dataset, tmp_path / "mine", quick_recipe(epochs=1))
    assert file is not None


def test_other_settings_on_resume_are_refused_by_name(dataset, tmp_path, trained):
    out = tmp_path / "mine"
    out.mkdir()
    write_begun(out, read_begun(trained[0].path.parent))
    with pytest.raises(ConfigError, match=r"learning_rate 0\.004 and not 0\.1"):
        train(dataset, out, quick_recipe(learning_rate=0.1), resume=True)


def test_a_recipe_that_was_damaged_names_its_file(dataset, tmp_path, trained):
    write_begun(tmp_path, read_begun(trained[0].path.parent))
    path = tmp_path / "training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recipe": {"zoom": 2}}))
    with pytest.raises(RunError, match=r"training\.json does not say what was begun \(.*zoom is 2"):
        train(dataset, tmp_path, resume=True)


def test_other_photos_on_resume_are_refused(dataset, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    write_begun(out, Begun(quick_recipe(), "drawn", "0" * 64, 32))
    with pytest.raises(RunError, match="begun with other photos of 'drawn'"):
        train(dataset, out, resume=True)


def test_a_finished_scorer_is_given_back_on_resume_and_never_overwritten(dataset, trained):
    file, _ = trained
    again, said = train(dataset, file.path.parent, resume=True)
    assert again == file
    assert said == [f"{file.path.parent} is trained already."]
    with pytest.raises(OutputError, match="is a scorer already"):
        train(dataset, file.path.parent)


def test_a_finished_scorer_of_another_dataset_or_of_other_classes_is_refused_on_resume(dataset, trained):
    out = trained[0].path.parent
    with pytest.raises(RunError, match=r"was trained on 'drawn' and not on 'streets': name another folder\.$"):
        train(replace(dataset, name="streets"), out, resume=True)
    fewer = LabelSet("fewer", LABELS.labels[:3])
    with pytest.raises(RunError, match="for the classes of label set 'drawn' and not of 'fewer'"):
        train(replace(dataset, labels=fewer), out, resume=True)


def test_a_training_that_was_begun_on_another_dataset_is_named(dataset, tmp_path):
    write_begun(tmp_path, Begun(quick_recipe(), "streets", "0" * 64, 32))
    with pytest.raises(RunError, match="begun on 'streets' and not on 'drawn'"):
        train(dataset, tmp_path, resume=True)


def test_settings_that_are_not_named_on_resume_are_those_that_were_begun_with(tmp_path):
    write_begun(tmp_path, Begun(quick_recipe(size_px=(64, 64), epochs=7), "drawn", "0" * 64, 32))
    assert recipe_over_begun(tmp_path, {}) == quick_recipe(size_px=(64, 64), epochs=7)
    assert recipe_over_begun(tmp_path, {"threads": 2}) == quick_recipe(size_px=(64, 64), epochs=7, threads=2)


def test_the_plan_counts_as_one_speaks(trained):
    assert trained[1][1].endswith("at 64 x 48 px for 24 steps, 4 windows a step, cut from 16 photos.")
    assert counted(1, "step") == "1 step"


def test_a_folder_that_is_taken_or_holds_nothing_to_resume_is_refused(dataset, tmp_path):
    with pytest.raises(RunError, match="holds no training to resume"):
        train(dataset, tmp_path / "none", resume=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'notes\.txt' already"):
        train(dataset, tmp_path)
    with pytest.raises(OutputError, match="is a file"):
        train(dataset, tmp_path / "notes.txt")
    (tmp_path / "begun").mkdir()
    write_begun(tmp_path / "begun", Begun(quick_recipe(), "drawn", dataset.digest("train"), 32))
    with pytest.raises(RunError, match="add --resume"):
        train(dataset, tmp_path / "begun")


def test_two_trainers_of_one_folder_are_refused(dataset, tmp_path):
    (tmp_path / "mine").mkdir()
    with lock(tmp_path / "mine" / "train.lock"), pytest.raises(RunBusyError, match="is being written"):
        train(dataset, tmp_path / "mine")


def test_a_loss_that_is_not_finite_names_its_step(dataset, tmp_path, monkeypatch):
    learn = training.Learner.learn
    monkeypatch.setattr(
        training.Learner, "learn", lambda self, step, *rest: learn(self, step, *rest) * (np.nan if step == 5 else 1)
    )
    with pytest.raises(NonFiniteLossError, match="became nan at step 6"):
        train(dataset, tmp_path / "mine")


def test_a_damaged_state_is_told_in_one_sentence(dataset, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    write_begun(out, Begun(quick_recipe(), "drawn", dataset.digest("train"), 32))
    (out / "state.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(RunError, match=r"state.pt is damaged: remove it .*--resume\.$"):
        train(dataset, out, resume=True)


KILLED = """
import sys
from pathlib import Path
from tests.cgeval.scorers.drawn import drawn_dataset, quick_recipe
from cgeval.scorers.training import train_scorer
from cgeval.labelled import Labelled, LabelledSplit
from cgeval.datasets import ImageFile
from tests.cgeval.scorers.drawn import LABELS
root, out = Path(sys.argv[1]), Path(sys.argv[2])
def split(name):
    names = sorted(path.stem for path in (root / name / "photo").iterdir())
    return LabelledSplit(name, {n: ImageFile(n, root / name / "photo" / f"{n}.png") for n in names},
                         {n: root / name / "label" / f"{n}.png" for n in names})
labelled = Labelled(root, "drawn", LABELS, "drawn", "A", {name: split(name) for name in ("train", "val")})
train_scorer(labelled, out, quick_recipe(epochs=12, save_minutes=0.0), resume="--resume" in sys.argv, progress=False)
"""


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_scorer(dataset, tmp_path):
    def start(out, *more):
        root = Path(__file__).resolve().parents[3]
        command = [sys.executable, "-c", KILLED, str(dataset.root), str(out), *more]
        return subprocess.Popen(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)})

    assert start(tmp_path / "whole" / "x").wait() == 0
    out = tmp_path / "killed" / "x"
    for kill, step in enumerate((5, 14, 30)):
        process = start(out, *(["--resume"] if kill else []))
        while process.poll() is None and not _has_reached(out, step):
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert start(out, "--resume").wait() == 0
    ours, theirs = (tensors(open_scorer(folder)) for folder in (tmp_path / "whole" / "x", out))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _has_reached(out, step):
    log = out / "log.jsonl"
    if not (out / "state.pt").exists() or not log.exists():
        return False
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return bool(rows) and rows[-1]["step"] >= step
