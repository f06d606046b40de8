"""A device's name goes in; the device comes out, or a sentence that says why there is none."""

import re

import torch

from cgeval.errors import ConfigError

NAMES = re.compile(r"cpu|mps|cuda(:(?P<number>[0-9]{1,6}))?")
EXPECTED = "auto, cpu, mps, cuda or cuda:N is expected"


def find_device(name: str) -> torch.device:
    """The device of that name, "auto" being the best there is; raises ConfigError where this machine has none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    match = NAMES.fullmatch(name)
    if match is None:
        raise ConfigError(f"device is {name!r}, and {EXPECTED}.")
    if name.startswith("cuda") and int(match["number"] or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device is {name!r}, and {torch.cuda.device_count()} CUDA devices are here: use cpu or auto."
        )
    device = torch.device(name)
    if device.type == "mps" and not _has_mps():
        raise ConfigError("device is 'mps', and this machine has no such device: use cpu or auto.")
    return device


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())
