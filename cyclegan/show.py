"""A step's networks and a few fixed images go in; the sample grid of the moment comes out as a picture on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from cgeval.images import from_network, write_png
from cyclegan.inputs import Inputs
from cyclegan.pictures import Picture, sample_grid
from cyclegan.step import TrainStep

NOISY_AT_TEST = frozenset({"pix2pix"})


def write_samples(step: TrainStep, inputs: Inputs, folder: Path, at_step: int) -> Picture:
    """Write `step-<n>.png` and `latest.png`; returns the grid, uint8 HWC."""
    real_a, real_b = inputs.samples
    with undisturbed(step):
        made = step.translator.show(real_a.to(step.device), real_b.to(step.device))
    grid = sample_grid({panel.caption: to_pictures(made[panel.key]) for panel in step.translator.panels})
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / f"step-{at_step:08d}.png", grid)
    write_png(folder / "latest.png", grid)
    return grid


def to_pictures(batch: Tensor) -> list[Picture]:
    """float [N, 3, h, w] in [-1, 1] to N uint8 HWC pictures."""
    return [from_network(image) for image in batch.detach().float().cpu().numpy()]


def at_test_time(network: nn.Module, translator: str) -> nn.Module:
    """The network as it translates: pix2pix keeps its noise and the image's own statistics (Isola et al., 3.4)."""
    return network.train(translator in NOISY_AT_TEST)


@contextmanager
def undisturbed(step: TrainStep) -> Iterator[None]:
    """Look, as at test time, and leave no trace: mode, random state and running statistics become what they were."""
    networks = step.translator.networks
    modes = {module: module.training for module in networks.modules()}
    buffers = [(buffer, buffer.clone()) for buffer in networks.buffers()]
    devices = [step.device] if step.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            torch.manual_seed(0)
            at_test_time(networks, step.config.translator)
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for buffer, value in buffers:
            buffer.copy_(value)
