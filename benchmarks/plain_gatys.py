"""Weights and two images go in; what the authors' notebook makes of them comes out, in plain eager PyTorch.

The other side of benchmarks/gatys.py: leongatys/PytorchNeuralStyleTransfer, transcribed in our own words and without
`cgeval`. One image at a time, from the content, by torch.optim.LBFGS as it comes, all closures at the full size. Images
are float32 [1, 3, h, w] in 0..255 minus the network's mean, as there; the order of colours is that of the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CLOSURES = 500


class PlainVGG(nn.Module):
    """VGG-19 as far as there are convolutions, by names such as conv1_1; outputs are named after them, past the ReLU.

    reflects, rounds_up: of Gatys' normalised weights, whose borders are reflected and whose pooling keeps what is left.
    """

    def __init__(
        self, convolutions: Mapping[str, tuple[Tensor, Tensor]], *, reflects: bool = False, rounds_up: bool = False
    ) -> None:
        super().__init__()
        self.reflects, self.rounds_up = reflects, rounds_up
        self.convolutions = nn.ModuleDict()
        for name, (weight, bias) in convolutions.items():
            outputs, inputs = weight.shape[:2]
            layer = nn.Conv2d(inputs, outputs, 3, padding=0 if reflects else 1)
            layer.weight.data, layer.bias.data = weight.clone(), bias.clone()  # type: ignore[union-attr]
            self.convolutions[name] = layer
        for parameter in self.parameters():
            parameter.requires_grad = False

    def forward(self, x: Tensor, wanted: Sequence[str]) -> list[Tensor]:
        """The outputs that are wanted, in that order; the whole network is gone through, as there."""
        found, block = {}, "1"
        for name, layer in self.convolutions.items():
            if name[4] != block:
                x = functional.max_pool2d(x, 2, 2, ceil_mode=self.rounds_up)
                block = name[4]
            if self.reflects:
                x = functional.pad(x, [1, 1, 1, 1], mode="reflect")
            x = functional.relu(layer(x))
            found[name] = x
        return [found[name] for name in wanted]


class GramMatrix(nn.Module):
    """Products of filters, averaged over positions."""

    def forward(self, features: Tensor) -> Tensor:
        """[b, c, h, w] to [b, c, c]."""
        b, c, h, w = features.size()
        flat = features.view(b, c, h * w)
        return torch.bmm(flat, flat.transpose(1, 2)).div_(h * w)


class GramMSELoss(nn.Module):
    """Mean squared difference of Gram matrices."""

    def forward(self, features: Tensor, target: Tensor) -> Tensor:
        """[1, c, h, w] against [1, c, c]."""
        return nn.MSELoss()(GramMatrix()(features), target)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class PlainWeights:
    """Which outputs are compared, and what each of them counts."""

    style: Mapping[str, float]
    content: Mapping[str, float]


def plain_transfer(
    network: PlainVGG, content: Tensor, style: Tensor, weights: PlainWeights, closures: int = CLOSURES
) -> tuple[Tensor, float]:
    """The image, and its loss where the last move left it."""
    layers = [*weights.style, *weights.content]
    losses = [GramMSELoss()] * len(weights.style) + [nn.MSELoss()] * len(weights.content)
    factors = [*weights.style.values(), *weights.content.values()]
    targets = [GramMatrix()(each).detach() for each in network(style, list(weights.style))]
    targets += [each.detach() for each in network(content, list(weights.content))]
    image = content.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([image])
    done = 0

    def total() -> Tensor:
        outputs = network(image, layers)
        parts = (factors[i] * losses[i](each, targets[i]) for i, each in enumerate(outputs))
        return torch.stack(list(parts)).sum()

    def closure() -> Tensor:
        nonlocal done
        optimiser.zero_grad()
        loss = total()
        torch.autograd.backward(loss)
        done += 1
        return loss

    while done < closures:
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return image.detach(), float(total())
