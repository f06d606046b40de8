"""A recipe goes in; a network that learns from one batch after the other comes out, and the average of what it was.

The loss is cross-entropy over the scored pixels, each weighted by its class (sum of weighted losses by sum of weights).
What is drawn within the network (dropout) belongs to (seed, step), so a step needs nothing but the state before it.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cgeval.networks.segmenters import build_network, preprocessing
from cgeval.scorers.recipe import Recipe

KIND = "smp"
DECAY = 0.998  # of the moving average, which at first is quicker: (1 + step) / (10 + step)
STEPS_APART = 1_000_003  # between the streams of two seeds


class Learner:
    """A network being trained. measured: the network whose weights are kept, in evaluation mode."""

    def __init__(self, recipe: Recipe, class_weights: NDArray[np.float32], device: torch.device) -> None:
        self.recipe, self.device, self.void = recipe, device, len(class_weights)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            arguments = {**recipe.arguments, "encoder_weights": recipe.first_weights}
            network = build_network(KIND, arguments, self.void)
        self.seen = preprocessing(KIND, arguments, network)
        self.network = network.to(device).to(memory_format=torch.channels_last).train()
        self.average = deepcopy(self.network).eval().requires_grad_(False) if recipe.average == "ema" else None
        self.optimiser = _optimiser(self.network, recipe)
        self.weights = torch.from_numpy(np.append(class_weights, np.float32(0))).to(device)  # void weighs nothing
        self.mean, self.std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (self.seen.mean, self.seen.std)
        )

    @property
    def measured(self) -> nn.Module:
        """The network whose weights count, as it is used: batch normalisation as measured in training."""
        return self.network.eval() if self.average is None else self.average

    def learn(self, step: int, learning_rate: float, photos: Tensor, truth: Tensor) -> Tensor:
        """One step on photos uint8 [n, 3, h, w] and class maps uint8 [n, h, w]; returns the loss, on the device."""
        torch.manual_seed((self.recipe.seed * STEPS_APART + step) % 2**63)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            logits = self.network(self._input(photos))
        loss = self._loss(logits.float(), truth.to(self.device).long())
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self._follow(step)
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Everything that changes, as tensors and numbers."""
        averaged = {} if self.average is None else self.average.state_dict()
        return {
            "network": self.network.state_dict(),
            "averaged": averaged,
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` gave."""
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _input(self, photos: Tensor) -> Tensor:
        ordered = photos.flip(1) if self.seen.channels == "BGR" else photos
        scaled = (ordered.to(self.device, non_blocking=True).float() - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)

    def _loss(self, logits: Tensor, truth: Tensor) -> Tensor:
        summed = F.cross_entropy(logits, truth, self.weights[:-1], ignore_index=self.void, reduction="sum")
        return summed / self.weights[truth].sum().clamp(min=1.0)  # a batch of nothing but void has the loss 0

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the average towards the network."""
        if self.average is None:
            return
        own, theirs = self.average.state_dict(), self.network.state_dict()
        floats = [name for name, tensor in own.items() if tensor.is_floating_point()]
        share = 1 - min(DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_([own[name] for name in floats], [theirs[name] for name in floats], share)
        for name in own.keys() - set(floats):
            own[name].copy_(theirs[name])


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; biases and the scales of normalisations are not pulled to zero."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=parameters[0].device.type in ("cpu", "cuda"))
