"""A run that is killed and resumed ends with the bits of one that was never interrupted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cgeval.errors import ConfigError, NonFiniteLossError, OutputError, RunBusyError, RunError
from cgeval.files import lock
from cyclegan import state
from cyclegan.distributed import World
from cyclegan.inputs import open_inputs
from cyclegan.loop import Training
from cyclegan.session import Request, train_run
from cyclegan.step import TrainStep


def final_state(run: Path) -> dict[str, torch.Tensor]:
    """Every tensor and number of the newest checkpoint, flattened by its place."""
    flat: dict[str, torch.Tensor] = {}

    def walk(place: str, value: object) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(f"{place}/{key}", item)
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                walk(f"{place}/{i}", item)
        elif isinstance(value, torch.Tensor):
            flat[place] = value
        elif isinstance(value, (int, float)):
            flat[place] = torch.tensor(value, dtype=torch.float64)

    content = state.load(state.find(run / "checkpoints"))
    for key in ("networks", "optimisers", "processes", "step", "epoch"):
        walk(key, content[key])
    return flat


def assert_same(one: Path, other: Path) -> None:
    first, second = final_state(one), final_state(other)
    assert first.keys() == second.keys()
    assert len(first) > 50
    different = [place for place in first if not torch.equal(first[place], second[place])]
    assert different == []


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    original = Training._after_step

    def after_step(self: Training, losses: torch.Tensor, epoch: int) -> None:
        original(self, losses, epoch)
        if self.position.step == steps:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Training, "_after_step", after_step)


@pytest.mark.parametrize(
    "steps", [pytest.param(3, marks=pytest.mark.slow), 7, pytest.param(10, marks=pytest.mark.slow)]
)
def test_interrupted_run_equals_uninterrupted(small, tmp_path, monkeypatch, steps):
    config = small("networks.dropout=true")
    train_run(Request(config, tmp_path / "whole", resume=False))
    with monkeypatch.context() as patch:
        stop_after(patch, steps)
        outcome = train_run(Request(config, tmp_path / "halves", resume=False))
    assert (outcome.finished, outcome.step) == (False, steps)
    assert train_run(Request(config, tmp_path / "halves", resume=True)).finished
    assert_same(tmp_path / "whole", tmp_path / "halves")


@pytest.mark.parametrize("steps", [6, 7])
def test_the_best_is_resumed_too(small, tmp_path, monkeypatch, steps):
    """Also by a run that was stopped on the last step of an epoch, whose checkpoint must have its metric."""
    config = small(
        "checkpoints.best_by=cycle_l1",
        "checkpoints.validation_split=test",
        "checkpoints.keep=all",
        "networks.dropout=true",
    )
    train_run(Request(config, tmp_path / "whole", resume=False))
    with monkeypatch.context() as patch:
        stop_after(patch, steps)
        train_run(Request(config, tmp_path / "halves", resume=False))
    train_run(Request(config, tmp_path / "halves", resume=True))
    assert_same(tmp_path / "whole", tmp_path / "halves")
    whole, halves = (state.read_index(tmp_path / name / "checkpoints") for name in ("whole", "halves"))
    metrics = {saved.step: saved.metric for saved in whole.saved}
    assert None not in metrics.values()
    assert {saved.step: saved.metric for saved in halves.saved if saved.step in metrics} == metrics
    assert halves.best == whole.best


def test_how_it_is_computed_may_change_on_resume(small, tmp_path, monkeypatch):
    """Fused Adam walks raw memory: moments in another memory order than their weights would be scrambled."""
    run, changed = tmp_path / "run", small("compute.channels_last=true")
    with monkeypatch.context() as patch:
        stop_after(patch, 10)
        train_run(Request(small(), run, resume=False))
    training = Training(changed, run, open_inputs(changed, World()), World(), torch.device("cpu"))
    training.resume()
    step = training.step
    for optimiser in step.optimisers.values():
        for parameter, moments in optimiser.state.items():
            assert moments["exp_avg"].stride() == parameter.stride()
    twin = TrainStep(small(), torch.device("cpu"))
    state.restore(twin, state.load(state.find(run / "checkpoints")))
    images = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    for one in (step, twin):
        one.set_learning_rate(0.01)
        one(*images, one.draws(10))
    found, expected = step.translator.networks.state_dict(), twin.translator.networks.state_dict()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=2e-3, msg=name)


@pytest.mark.parametrize("saved", [{"capturable": True, "fused": False}, {"capturable": False, "fused": True}])
def test_an_optimiser_goes_on_in_its_own_way(small, saved):
    """A checkpoint of a CUDA graph's capturable Adam goes on without one, and the other way round."""
    step = TrainStep(small(), torch.device("cpu"))
    images = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    step(*images, step.draws(0))
    content = state.capture(step, state.Position(1), [state.process_state(step)])
    for optimiser in content["optimisers"].values():
        for group in optimiser["param_groups"]:
            group.update(saved)
    again = TrainStep(small(), torch.device("cpu"))
    state.restore(again, content)
    for optimiser in again.optimisers.values():
        assert [(group["fused"], group["capturable"]) for group in optimiser.param_groups] == [(True, False)]
    one, other = step(*images, step.draws(1)), again(*images, again.draws(1))
    assert torch.equal(one, other)


def spawn(config_file: Path, run: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cyclegan", "train", str(config_file), str(run), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_sigkill_in_a_real_process(small, tmp_path):
    config = small("checkpoints.every_minutes=0.00001", "optimiser.constant_epochs=12")
    config_file = tmp_path / "config.toml"
    config_file.write_text(config.to_toml())
    train_run(Request(config, tmp_path / "whole", resume=False))
    run, options = tmp_path / "killed", ()
    for wanted in (2, 20, 45):
        process = spawn(config_file, run, *options)
        deadline = time.monotonic() + 120
        while (saved := state.read_index(run / "checkpoints").newest) is None or saved.step < wanted:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.communicate()
        options = ("--resume",)
    process = spawn(config_file, run, "--resume")
    assert process.wait(120) == 0, process.communicate()
    process.communicate()
    assert_same(tmp_path / "whole", run)
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert not list(run.rglob("*.tmp*"))
    named = {saved.file for saved in state.read_index(run / "checkpoints").saved}
    assert {path.name for path in (run / "checkpoints").glob("*.pt")} == named


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(small, tmp_path):
    config_file = tmp_path / "config.toml"
    config_file.write_text(small("optimiser.constant_epochs=5000").to_toml())
    run = tmp_path / "run"
    process = spawn(config_file, run)
    while not (run / "log.jsonl").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert state.read_index(run / "checkpoints").newest is not None


def test_last_checkpoint_is_always_written_and_old_ones_are_thinned(small, tmp_path):
    for rule, steps in (("last", [21]), ("every", [14, 21]), ("all", [7, 14, 21])):
        run = tmp_path / rule
        train_run(Request(small(f"checkpoints.keep={rule}", "checkpoints.keep_every_epochs=2"), run, resume=False))
        index = state.read_index(run / "checkpoints")
        assert [saved.step for saved in index.saved] == steps
        assert {saved.file for saved in index.saved} == {path.name for path in (run / "checkpoints").glob("*.pt")}


def test_last_checkpoint_is_written_when_no_epoch_asks_for_it(small, tmp_path):
    train_run(Request(small("checkpoints.every_epochs=100"), tmp_path / "run", resume=False))
    newest = state.read_index(tmp_path / "run" / "checkpoints").newest
    assert newest is not None
    assert newest.step == 21


def test_the_best_checkpoint_is_kept(small, tmp_path):
    config = small(
        "checkpoints.keep=last",
        "checkpoints.best_by=cycle_l1",
        "checkpoints.validation_split=test",
        "optimiser.constant_epochs=6",
    )
    train_run(Request(config, tmp_path / "run", resume=False))
    index = state.read_index(tmp_path / "run" / "checkpoints")
    values = {saved.file: saved.metric for saved in index.saved}
    assert index.best is not None
    assert (tmp_path / "run" / "checkpoints" / index.best).is_file()
    assert values[index.best] == min(value for value in values.values() if value is not None)
    assert state.find(tmp_path / "run" / "checkpoints", "best").name == index.best


def test_a_second_trainer_is_refused(small, tmp_path):
    run = tmp_path / "run"
    train_run(Request(small(), run, resume=False))
    with lock(run / "train.lock"):
        process = spawn(run / "config.toml", run, "--resume")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert str(os.getpid()) in errors
    assert issubclass(RunBusyError, RunError)


def test_wrong_starts_are_refused(small, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(RunError, match="no run to resume"):
        train_run(Request(small(), run, resume=True))
    assert not run.exists()
    train_run(Request(small(), run, resume=False))
    with pytest.raises(RunError, match="add --resume"):
        train_run(Request(small(), run, resume=False))
    with pytest.raises(ConfigError, match=r"optimiser\.batch_size"):
        train_run(Request(small("optimiser.batch_size=2"), run, resume=True))


def test_other_images_are_refused_on_resume(small, images, tmp_path):
    run = tmp_path / "run"
    train_run(Request(small(), run, resume=False))
    (images / "trainA" / "a0.png").write_bytes((images / "trainB" / "b0.png").read_bytes())
    before = (run / "config.toml").read_text()
    with pytest.raises(RunError, match="no longer holds the images"):
        train_run(Request(small("logging.every_steps=9"), run, resume=True))
    assert (run / "config.toml").read_text() == before


def test_other_images_are_refused_before_the_first_checkpoint(small, images, tmp_path):
    run = tmp_path / "run"
    train_run(Request(small(), run, resume=False))
    shutil.rmtree(run / "checkpoints")
    (images / "trainA" / "a0.png").write_bytes((images / "trainB" / "b0.png").read_bytes())
    with pytest.raises(RunError, match="no longer holds the images"):
        train_run(Request(small(), run, resume=True))


def test_a_checkpoint_that_no_index_names_goes_with_the_next(small, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        train_run(Request(small("checkpoints.keep=last"), run, resume=False))
    (run / "checkpoints" / "step-00000005.pt").write_bytes(b"left by a kill")
    train_run(Request(small("checkpoints.keep=last"), run, resume=True))
    assert [path.name for path in (run / "checkpoints").glob("*.pt")] == ["step-00000021.pt"]


def test_a_folder_of_something_else_is_refused(small, images, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("chapter 1")
    for folder in (tmp_path / "thesis", images):
        with pytest.raises((RunError, OutputError)):
            train_run(Request(small(), folder, resume=False))
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.txt"]


def test_a_run_that_was_killed_at_its_very_beginning_starts_again(small, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "train.lock").write_text("1\n")
    (run / "config.toml").write_text("seed = 5\n")
    assert train_run(Request(small(), run, resume=False)).finished


def test_a_non_finite_loss_is_named_and_never_saved(small, tmp_path, monkeypatch):
    run, config = tmp_path / "run", small("logging.every_steps=100", "checkpoints.every_minutes=0.00001")
    original = torch.stack

    def broken_after(self: Training, losses: torch.Tensor, epoch: int) -> None:
        if self.position.step == 4:
            losses = original([*losses[:-1], torch.tensor(float("nan"))])
        Training_after(self, losses, epoch)

    Training_after = Training._after_step  # noqa: N806
    monkeypatch.setattr(Training, "_after_step", broken_after)
    with pytest.raises(NonFiniteLossError, match=r"'disc_b' became nan at step 5"):
        train_run(Request(config, run, resume=False))
    newest = state.read_index(run / "checkpoints").newest
    assert newest is not None
    assert newest.step == 4


def test_a_full_disk_is_said_and_nothing_is_corrupted(small, tmp_path, monkeypatch):
    run = tmp_path / "run"
    calls = []

    def full(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    monkeypatch.setattr(state, "write_atomic", full)
    with pytest.raises(OutputError, match=r"No space left.*step 7.*--resume"):
        train_run(Request(small(), run, resume=False))
    monkeypatch.undo()
    assert state.load(state.find(run / "checkpoints"))["step"] == 7


def test_a_truncated_checkpoint_is_named(small, tmp_path):
    run = tmp_path / "run"
    train_run(Request(small(), run, resume=False))
    path = state.find(run / "checkpoints")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match="not a whole checkpoint"):
        train_run(Request(small(), run, resume=True))
