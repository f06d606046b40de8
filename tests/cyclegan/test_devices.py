"""Devices and stopping: what a setting needs is said before anything is trained, and Ctrl-C waits for a step's end."""

import os
import signal

import pytest
import torch

from cgeval.errors import ConfigError
from cgeval.interrupt import HEARD, Stop, stop_on_signal
from cyclegan.config import Compute
from cyclegan.devices import choose_device, describe


@pytest.fixture
def machine(monkeypatch):
    """A machine with that many GPUs, with or without Apple's."""

    def make(gpus: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return make


@pytest.mark.parametrize(
    ("gpus", "mps", "expected"), [(0, False, "cpu"), (0, True, "mps"), (1, False, "cuda:0"), (2, True, "cuda:0")]
)
def test_the_best_device_is_found(machine, gpus, mps, expected):
    machine(gpus, mps)
    assert str(choose_device(Compute())) == expected


def test_a_named_device_is_taken_though_there_is_a_better_one(machine):
    machine(gpus=1)
    assert choose_device(Compute(device="cpu")).type == "cpu"


def test_each_process_has_a_gpu_of_its_own_or_is_told(machine):
    machine(gpus=2)
    assert str(choose_device(Compute(), local_rank=1)) == "cuda:1"
    with pytest.raises(ConfigError, match=r"process 2 .*no GPU of its own: start 2 processes"):
        choose_device(Compute(), local_rank=2)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_named(machine, name):
    machine()
    with pytest.raises(ConfigError, match=rf"compute\.device = '{name}', but this machine has no such device"):
        choose_device(Compute(device=name))


def test_a_cuda_graph_needs_cuda_and_one_process(machine, monkeypatch):
    machine()
    with pytest.raises(ConfigError, match="needs a CUDA device, and this run is on cpu"):
        choose_device(Compute(cuda_graph=True))
    machine(gpus=1)
    assert choose_device(Compute(cuda_graph=True)).type == "cuda"
    monkeypatch.setattr("cyclegan.devices._in_group", lambda: True)
    with pytest.raises(ConfigError, match="several processes"):
        choose_device(Compute(cuda_graph=True))


def test_threads_are_set(machine):
    machine()
    before = torch.get_num_threads()
    choose_device(Compute(threads=2))
    assert torch.get_num_threads() == 2
    assert "2 threads" in describe(torch.device("cpu"))
    choose_device(Compute(threads=before))


# --- stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_remembered_and_a_second_ends(number):
    before = signal.getsignal(number)
    with stop_on_signal() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_the_handlers_of_before_come_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="x"), stop_on_signal():
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) is before


class Terminal:
    """Standard error as a terminal or a file."""

    def __init__(self, descriptor: int, is_terminal: bool) -> None:
        self.descriptor, self.is_terminal = descriptor, is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def fileno(self) -> int:
        return self.descriptor


@pytest.mark.parametrize(("is_terminal", "heard"), [(True, HEARD), (False, b"")])
def test_a_person_at_the_terminal_is_told_at_once(monkeypatch, is_terminal, heard):
    reader, writer = os.pipe()
    monkeypatch.setattr("sys.stderr", Terminal(writer, is_terminal))
    Stop().ask(signal.SIGINT, None)
    os.close(writer)
    assert os.read(reader, 1000) == heard
    os.close(reader)
    assert b"state is saved" in HEARD
