"""Features go in; their Gram matrices and the losses of Gatys et al. come out, one of each for each image.

Matrices are kept as F F^T / (H W), and what else a program divides by belongs to its loss (`form`):

    form            style                                           content
    notebook        mean of (G - A)^2                               mean of (F - P)^2
    paper           sum of (G - A)^2 / (4 N^2), as M^2 cancels      half the sum of (F - P)^2
    neural-style    mean of (G - A)^2 / C^2, as G is over C H W     mean of (F - P)^2

In the paper (CVPR 2016, equations 1 to 5) G and A are sums over M positions and E = 1 / (4 N^2 M^2) sum (G - A)^2. That
is the same where image and style have equally many positions; where they have not, only means can be compared.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def gram(features: Tensor) -> Tensor:
    """float32 [n, c, h, w] to [n, c, c]: F F^T / (H W)."""
    found: Tensor = _Gram.apply(features)
    return found


class _Gram(torch.autograd.Function):
    """F F^T / (H W), whose gradient is one product, (D + D^T) F / (H W), where autograd's own takes two.

    Both in the memory order that the features have, channels last or not.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        flat = _flat(features)
        return torch.bmm(flat, flat.transpose(1, 2)) / flat.shape[2]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        flat = _flat(features)
        both = (gradient + gradient.transpose(1, 2)) / flat.shape[2]
        if not flat.is_contiguous():  # so that the result is in its order
            found = torch.bmm(flat.transpose(1, 2), both.transpose(1, 2))
            return found.view(len(features), *features.shape[2:], -1).permute(0, 3, 1, 2)
        return torch.bmm(both, flat).view_as(features)


def _flat(features: Tensor) -> Tensor:
    """[n, c, h w], a view wherever there can be one."""
    if features.is_contiguous():
        return features.flatten(2)
    return features.permute(0, 2, 3, 1).flatten(1, 2).transpose(1, 2)


def style_loss(found: Tensor, target: Tensor, form: str) -> Tensor:
    """Gram matrices [n, c, c] against [c, c] to [n]."""
    squares = (found - target).square().mean(dim=(1, 2))
    if form == "paper":
        return squares / 4
    return squares / found.shape[1] ** 2 if form == "neural-style" else squares


def content_loss(found: Tensor, target: Tensor, form: str) -> Tensor:
    """Features [n, c, h, w] twice to [n]."""
    squares = (found - target).square()
    return squares.sum(dim=(1, 2, 3)) / 2 if form == "paper" else squares.mean(dim=(1, 2, 3))


def total_variation(images: Tensor) -> Tensor:
    """[n, 3, h, w] to [n]: half the sum of the squared differences to the right and the lower neighbour.

    As neural-style has it: its program knows the gradient alone, and of that this is the loss.
    """
    corner = images[..., :-1, :-1]
    right, below = images[..., :-1, 1:] - corner, images[..., 1:, :-1] - corner
    return (right.square() + below.square()).sum(dim=(1, 2, 3)) / 2
