"""Two processes with batch 1 learn what one process with batch 2 learns."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cyclegan import state
from cyclegan.session import Request, train_run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def torchrun(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    address = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    command = [*launcher, *address, "-m", "cyclegan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def networks(run: Path) -> dict[str, torch.Tensor]:
    content = state.load(state.find(run / "checkpoints"))
    return {f"{name}.{key}": value for name, n in content["networks"].items() for key, value in n.items()}


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch(small, tmp_path):
    common = ("optimiser.pool_size=0", "optimiser.constant_epochs=1", "optimiser.decay_epochs=1")
    one = small(*common, "optimiser.batch_size=2", "compute.threads=1")
    train_run(Request(one, tmp_path / "one", resume=False))
    config_file = tmp_path / "two.toml"
    config_file.write_text(small(*common, "optimiser.batch_size=1", "compute.threads=1").to_toml())
    done = torchrun(2, "train", str(config_file), str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    alone, together = networks(tmp_path / "one"), networks(tmp_path / "two")
    assert alone.keys() == together.keys()
    for key in alone:
        torch.testing.assert_close(alone[key], together[key], rtol=0, atol=2e-4, msg=key)
    moved = max(float((alone[key]).abs().max()) for key in alone)
    assert moved > 0.01


@pytest.mark.slow
def test_two_processes_resume_with_both_pools(small, tmp_path):
    config_file, run = tmp_path / "two.toml", tmp_path / "run"
    config_file.write_text(small("optimiser.constant_epochs=1", "optimiser.decay_epochs=0").to_toml())
    assert torchrun(2, "train", str(config_file), str(run)).returncode == 0
    content = state.load(state.find(run / "checkpoints"))
    first, second = (process["pools"]["disc_a.images"] for process in content["processes"])
    assert not torch.equal(first, second)
    again = torchrun(2, "train", str(run / "config.toml"), str(run), "--resume")
    assert again.returncode == 0, again.stderr
    alone = subprocess.run(
        [sys.executable, "-m", "cyclegan", "train", str(run / "config.toml"), str(run), "--resume"],
        capture_output=True,
        text=True,
    )
    assert alone.returncode == 2
    assert "same number" in alone.stderr
