"""What every translator says of itself: its networks, what one step makes, and in which phases they learn.

A phase is one backward pass and one Adam step. The trainer (`cyclegan.step`) knows nothing else about a method.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cyclegan.config import TrainConfig
from cyclegan.image_pool import Draws, ImagePool

Made = dict[str, Tensor]
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Phase:
    """One optimiser: the networks it trains, those held fixed meanwhile, and its loss terms, whose sum is minimised."""

    name: str
    trains: tuple[str, ...]
    holds: tuple[str, ...]
    losses: Callable[[Made, "StepDraws"], Losses]


@dataclass(frozen=True)
class StepDraws:
    """Every random decision of one step that is not dropout: drawn on the host, given as tensors."""

    pools: Mapping[str, Draws]
    mix: Tensor


@dataclass(frozen=True)
class Panel:
    """One column of the sample grid: its caption and the key of `Made` it shows."""

    caption: str
    key: str


class Translator(ABC):
    """A method of image-to-image translation between domains A and B.

    networks: every trained network by name; pools: image pools by name; phases: in the order they learn;
    directions: which generator translates "AtoB" and "BtoA"; panels: the sample grid's columns; noisy_at_test:
    whether dropout and the images' own statistics stay when it translates.
    """

    needs_pairs: bool = False
    noisy_at_test: bool = False
    networks: nn.ModuleDict
    pools: nn.ModuleDict
    phases: tuple[Phase, ...]
    directions: Mapping[str, str]
    panels: tuple[Panel, ...]

    @abstractmethod
    def __init__(self, config: TrainConfig) -> None:
        """Build the networks, uninitialised, and the pools."""

    @abstractmethod
    def make(self, real_a: Tensor, real_b: Tensor) -> Made:
        """Forward pass of the generators on float32 [N, 3, px, px] in [-1, 1]: all images that the losses need."""

    @abstractmethod
    def show(self, real_a: Tensor, real_b: Tensor) -> Made:
        """The images of the sample grid's columns, by key."""

    def to_device(self, device: torch.device, channels_last: bool = False) -> "Translator":
        """Move networks and pools; channels-last is a memory layout, never a different result."""
        self.networks.to(device)
        self.pools.to(device)
        if channels_last:
            self.networks.to(memory_format=torch.channels_last)
        return self

    @property
    @abstractmethod
    def loss_names(self) -> tuple[str, ...]:
        """Names of the loss terms that are on."""


def pooled(pools: nn.ModuleDict, name: str, fake: Tensor, draws: StepDraws) -> Tensor:
    """The images that discriminator `name` sees instead of the new fakes."""
    pool = pools[name]
    assert isinstance(pool, ImagePool)
    return pool.exchange(fake, draws.pools[name])


def in_one_call(network: nn.Module, first: Tensor, second: Tensor, *, exact: bool) -> tuple[Tensor, Tensor]:
    """Both batches through the network; one batch where each image is normalised alone: exact and quicker."""
    if not exact:
        return network(first), network(second)
    one, other = network(torch.cat([first, second])).split([len(first), len(second)])
    return one, other
