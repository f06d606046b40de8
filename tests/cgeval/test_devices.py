"""Devices by name, and one sentence where there is no such device."""

import pytest
import torch

from cgeval.devices import find_device
from cgeval.errors import ConfigError


def test_devices_by_name():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["", "abacus", "xla", "cuda:x", "cuda:-1", "cpu:3", "mps:1"])
def test_a_name_that_is_none_is_answered_with_those_there_are(name):
    with pytest.raises(ConfigError, match="auto, cpu, mps, cuda or cuda:N is expected"):
        find_device(name)


def test_a_device_that_is_not_here(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda", 1)
    for name in ("cuda:2", "cuda:200", "cuda:300"):  # torch itself takes the last for 44
        with pytest.raises(ConfigError, match=f"'{name}', and 2 CUDA devices are here: use cpu or auto"):
            find_device(name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no such device"):
        find_device("mps")
