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
    with undisturbed(step.translator), torch.no_grad():
        made = step.translator.show(real_a.to(step.device), real_b.to(step.device))
    grid = sample_grid({panel.caption: to_pictures(made[panel.key]) for panel in step.translator.panels})
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / f"step-{at_step:08d}.png", grid)
    write_png(folder / "latest.png", grid)
    return grid


def to_pictures(batch: Tensor) -> list[Picture]:
    """float [N, 3, h, w] in [-1, 1] to N uint8 HWC pictures."""
    return [from_network(image) for image in batch.detach().float().cpu().numpy()]


@contextmanager
def undisturbed(translator: Translator) -> Iterator[None]:
    """Look without leaving a trace: random state and running statistics are afterwards what they were."""
    buffers = [b for network in translator.networks.values() for b in network.buffers()]
    before = [buffer.clone() for buffer in buffers]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    for buffer, value in zip(buffers, before, strict=True):
        buffer.copy_(value)


def dropout_layers(network: nn.Module) -> bool:
    """Whether the network draws random numbers when it translates."""
    return any(isinstance(module, nn.Dropout) for module in network.modules())
