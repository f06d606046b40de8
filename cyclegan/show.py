"""A step's networks and a few fixed images go in; the sample grid of the moment comes out as a picture on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from cgeval.images import from_network, write_png
from cyclegan.inputs import Inputs
from cyclegan.models import Translator
from cyclegan.pictures import Picture, sample_grid
from cyclegan.step import TrainStep


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


def at_test_time(network: nn.Module, translator: Translator) -> nn.Module:
    """The network as it translates: quiet, unless the method keeps its noise."""
    return network.train(translator.noisy_at_test)


@contextmanager
def undisturbed(step: TrainStep) -> Iterator[None]:
    """Look, as at test time, and leave no trace: mode, random state and running statistics become what they were."""
    networks = step.translator.networks
    modes = {module: module.training for module in networks.modules()}
    buffers = [(buffer, buffer.clone()) for buffer in networks.buffers()]
    devices = [step.device.index or 0] if step.device.type in ("cuda", "mps") else []
    kind = step.device.type if devices else "cuda"
    try:
        with torch.random.fork_rng(devices, device_type=kind), torch.no_grad():
            torch.manual_seed(0)
            at_test_time(networks, step.translator)
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for buffer, value in buffers:
            buffer.copy_(value)
