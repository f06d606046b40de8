"""Two processes with batch 1 learn what one process with batch 2 learns."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan import state
from cyclegan.config import TrainConfig
from cyclegan.journal import read_log
from cyclegan.session import Request, train_run
from cyclegan.step import build_translator
from tests.cyclegan.test_resume import assert_same

ROOT = Path(__file__).resolve().parents[2]
ABORTED = "terminate called without an active exception"  # seen once in hundreds of processes: PyTorch's own threads


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def torchrun(processes: int, *program: str) -> subprocess.CompletedProcess[str]:
    """Once more, and no more, where PyTorch itself gave up: a second time is a failure."""
    done = once(processes, *program)
    return once(processes, *program) if ABORTED in done.stderr else done


def once(processes: int, *program: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    address = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    return subprocess.run([*launcher, *address, *program], capture_output=True, text=True, timeout=240, cwd=ROOT)


def trained(config: TrainConfig, processes: int, steps: int, folder: Path) -> dict[str, Any]:
    """What a group of processes ends with after some steps in float64."""
    config_file, out = folder / f"{processes}.toml", folder / f"{processes}.pt"
    config_file.write_text(config.to_toml())
    done = torchrun(processes, "-m", "tests.cyclegan.process_of_a_group", str(config_file), str(steps), str(out))
    assert done.returncode == 0, done.stderr
    return torch.load(out, weights_only=True)


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch(small, tmp_path):
    common = ("optimiser.pool_size=0", "objective.identity_weight=0.5")
    alone = trained(small(*common, "optimiser.batch_size=2"), 1, 4, tmp_path)
    together = trained(small(*common, "optimiser.batch_size=1"), 2, 4, tmp_path)
    start = build_translator(small(*common)).networks.state_dict()
    assert alone["weights"].keys() == together["weights"].keys()
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(together["weights"][name], weight, rtol=0, atol=1e-9, msg=name)
        if not name.endswith("bias"):
            assert (weight - start[name]).abs().max() > 3e-4, f"{name} has not learned"


@pytest.mark.slow
def test_two_processes_tell_the_losses_of_the_doubled_batch(small, tmp_path):
    """Through the command: the same images are seen, and the log holds the mean over both processes."""
    common = ("optimiser.pool_size=0", "optimiser.constant_epochs=1", "optimiser.decay_epochs=0")
    train_run(Request(small(*common, "optimiser.batch_size=2"), tmp_path / "one", resume=False))
    config_file = tmp_path / "two.toml"
    config_file.write_text(small(*common, "optimiser.batch_size=1").to_toml())
    done = torchrun(2, "-m", "cyclegan", "train", str(config_file), str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    alone, together = (read_log(tmp_path / name / "log.jsonl") for name in ("one", "two"))
    assert [row["step"] for row in alone] == [row["step"] for row in together] == [2, 4]
    for name in ("gan_ab", "gan_ba", "cycle_a", "cycle_b", "disc_a", "disc_b"):
        assert together[0][name] == pytest.approx(alone[0][name], rel=1e-5)


def killed_after(run: Path, step: int, copy: Path) -> Path:
    """The run as a kill would have left it after that step, every step being saved."""
    shutil.copytree(run, copy)
    folder = copy / "checkpoints"
    index = json.loads((folder / "index.json").read_text())
    index["checkpoints"] = [entry for entry in index["checkpoints"] if entry["step"] <= step]
    (folder / "index.json").write_text(json.dumps(index))
    return copy


@pytest.mark.slow
def test_two_processes_go_on_bit_for_bit_each_with_its_own_pool(small, tmp_path):
    config = small(
        "networks.dropout=true",
        "optimiser.pool_size=2",
        "optimiser.constant_epochs=2",
        "optimiser.decay_epochs=1",
        "checkpoints.every_minutes=0.00001",
        "checkpoints.keep=all",
    )
    config_file, whole = tmp_path / "two.toml", tmp_path / "whole"
    config_file.write_text(config.to_toml())
    done = torchrun(2, "-m", "cyclegan", "train", str(config_file), str(whole))
    assert done.returncode == 0, done.stderr
    first, second = (process["pools"]["disc_a.images"] for process in newest(whole)["processes"])
    assert not torch.equal(first, second)
    halves = killed_after(whole, 6, tmp_path / "halves")
    done = torchrun(2, "-m", "cyclegan", "train", str(halves / "config.toml"), str(halves), "--resume")
    assert done.returncode == 0, done.stderr
    assert newest(whole)["step"] == 12
    assert_same(whole, halves)


@pytest.mark.slow
def test_one_process_does_not_go_on_with_what_two_began(small, tmp_path):
    config = small("optimiser.constant_epochs=1", "optimiser.decay_epochs=1", "checkpoints.keep=all")
    config_file, whole = tmp_path / "two.toml", tmp_path / "whole"
    config_file.write_text(config.to_toml())
    done = torchrun(2, "-m", "cyclegan", "train", str(config_file), str(whole))
    assert done.returncode == 0, done.stderr
    half = killed_after(whole, newest(whole)["step"] // 2, tmp_path / "half")
    for run, status in ((half, 2), (whole, 0)):  # of what is finished there is nothing to go on with
        alone = [sys.executable, "-m", "cyclegan", "train", str(run / "config.toml"), str(run), "--resume"]
        done = subprocess.run(alone, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert ("same number" in done.stderr) == (status == 2)


def newest(run: Path) -> dict[str, Any]:
    return state.load(state.find(run / "checkpoints"))


@pytest.mark.slow
def test_a_mistake_is_told_once_by_the_leading_process(small, tmp_path):
    config_file = tmp_path / "two.toml"
    config_file.write_text(small().to_toml())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("chapter 1")
    done = torchrun(2, "-m", "cyclegan", "train", str(config_file), str(tmp_path / "run"))
    assert done.returncode != 0
    assert done.stderr.count("is no run: name a new folder") == 1
    assert "RuntimeError" not in done.stderr
