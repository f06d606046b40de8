"""The `[compute]` settings go in; a device comes out, or a sentence that says why there is none."""

import platform

import torch

from cgeval.errors import ConfigError
from cyclegan.config import Compute


def choose_device(compute: Compute, local_rank: int = 0) -> torch.device:
    """The named device, or the best one there is; raises ConfigError where a setting cannot hold on it."""
    kind = _best() if compute.device == "auto" else compute.device
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[kind]:
        raise ConfigError(f"compute.device = {kind!r}, but this machine has no such device: use 'cpu' or 'auto'.")
    if kind == "cuda" and local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"process {local_rank} on this machine has no GPU of its own: start {torch.cuda.device_count()} processes "
            "with --nproc-per-node, or set compute.device to 'cpu'."
        )
    if compute.cuda_graph and kind != "cuda":
        raise ConfigError(f"compute.cuda_graph = true needs a CUDA device, and this run is on {kind}: set it to false.")
    if compute.cuda_graph and _in_group():
        raise ConfigError(
            "compute.cuda_graph = true captures one process's step: set it to false for several processes."
        )
    if compute.threads:
        torch.set_num_threads(compute.threads)
    return torch.device(kind, local_rank) if kind == "cuda" else torch.device(kind)


def describe(device: torch.device) -> str:
    """The hardware in a few words, as it stands beside a measurement."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {platform.machine()}, {torch.get_num_threads()} threads"


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _in_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
