"""Gradients of a batch of images go in; moved images come out: L-BFGS in which no image knows of the others.

One torch.optim.LBFGS over a batch takes all images for one long vector with a common history, scale and first step, so
that a picture depends on its neighbours. Here each image has its own: a batch of n gives what each gives alone, and a
batch of one what torch.optim.LBFGS gives without a line search, up to rounding.

The direction is that of the two-loop recursion in its compact form (Byrd, Nocedal and Schnabel 1994, theorem 2.2): two
passes over the history in place of four, and a handful of batched products in place of four calls a remembered pair.
"""

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

TOLERANCE_GRADIENT, TOLERANCE_CHANGE, LEAST_CURVATURE = 1e-7, 1e-9, 1e-10  # torch.optim.LBFGS's
TAKEN_BACK = 0.9  # of a move that made the loss grow too much
BLOCK = 1024  # so many products are summed in float32, sums of these in float64


class Optimiser(Protocol):
    """Moves a batch of images, each by its own gradient. done: bool [n], images that no further step moves."""

    done: Tensor

    def step(self, images: Tensor, losses: Tensor, gradients: Tensor) -> None:
        """images: float32 [n, 3, h, w], moved in place; losses, [n], and gradients, as images, are those there."""


class BatchAdam:
    """Adam (Kingma and Ba 2015), which looks at each number alone anyway. No image is ever done."""

    def __init__(self, images: Tensor, *, learning_rate: float) -> None:
        self.done = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        self._adam = torch.optim.Adam([images], lr=learning_rate)

    def step(self, images: Tensor, losses: Tensor, gradients: Tensor) -> None:  # noqa: ARG002
        """Move every image."""
        images.grad = gradients
        self._adam.step()
        images.grad = None


class BatchLBFGS:
    """L-BFGS with fixed steps for each image of a batch, 2 x history numbers remembered for each of its numbers.

    first_move: how far an image's numbers go at first, on average; None: as in torch, 1 divided by how many they are,
    which for an image in 0..255 is less than float32 resolves, so that rounding decides all that follows. most_growth:
    a move to a loss (of 0 or more) so many times the least so far, or to none that is a number, is taken back but for a
    tenth; torch keeps it. Where it leaves torch.optim.LBFGS besides:

    - A gradient whose first mean is below 1 is multiplied to be 1. That changes no direction; but torch's thresholds
      are absolute, and under a small loss it takes no pair and stands still (jcjohnson/neural-style issue 53).
    - An image without any pair goes on as it began, ten times as far each time, until a move shows curvature. torch
      goes by the whole gradient then, and under a large loss the picture is lost.
    - An image is done, and stays as it is, when its largest gradient is at most 1e-7, its direction descends by less
      than 1e-9, or nothing of it moved by more than 1e-9: what follows would not move it either. A loss that changed by
      less than 1e-9 ends nothing: float32 gives equal losses by chance, and the authors' notebook goes on after them.
    """

    def __init__(
        self,
        images: Tensor,
        *,
        history: int,
        learning_rate: float = 1.0,
        first_move: float | None = None,
        most_growth: float = math.inf,
    ) -> None:
        count, size = len(images), images[0].numel()
        self.rate, self.most_growth, self.begun = learning_rate, most_growth, False
        self.done = torch.zeros(count, dtype=torch.bool, device=images.device)
        self._pairs = _Pairs(images, history)
        self._reach = images.new_full((count,), 1 / size if first_move is None else first_move)
        self._least, self._gain = images.new_full((count,), math.inf), images.new_ones(count, 1)
        self._gradient, self._move = images.new_zeros(count, size), images.new_zeros(count, size)

    def step(self, images: Tensor, losses: Tensor, gradients: Tensor) -> None:
        """Move each image that is not done."""
        if not self.begun:
            self._gain = (1 / gradients.flatten(1).abs().mean(dim=1, keepdim=True)).clamp(min=1).nan_to_num(posinf=1.0)
        fell = torch.isfinite(losses) & (losses <= self.most_growth * self._least)
        gradient = torch.where(fell[:, None], gradients.flatten(1) * self._gain, self._gradient)
        move = self._next(gradient, fell)
        taken_back = TAKEN_BACK * self._move
        self._move = torch.where(fell[:, None], move, self._move - taken_back).masked_fill(self.done[:, None], 0)
        shift = torch.where(fell[:, None], move, -taken_back).masked_fill(self.done[:, None], 0)
        images += shift.view_as(images)
        self.done = self.done | (self._move.abs().amax(dim=1) <= TOLERANCE_CHANGE)
        self._gradient, self._least = gradient, torch.where(fell, torch.minimum(losses, self._least), self._least)
        self.begun = True

    def _next(self, gradient: Tensor, fell: Tensor) -> Tensor:
        """The move from here, [n, p], of images whose loss fell; those without a way down are done."""
        self.done = self.done | (fell & (gradient.abs().amax(dim=1) <= TOLERANCE_GRADIENT))
        if self.begun:
            self._pairs.add(self._move, gradient - self._gradient, fell & ~self.done)
        direction = self._pairs.direction(gradient) if self.begun else -gradient
        self.done = self.done | (fell & (_dot(gradient, direction) > -TOLERANCE_CHANGE))
        alone = fell & (self._pairs.kept == 0)
        rate = torch.where(alone, (self._reach / gradient.abs().mean(dim=1)).clamp(max=1), 1.0)
        self._reach = torch.where(alone, 10 * self._reach, self._reach)
        return self.rate * rate[:, None] * direction


class _Pairs:
    """For each image the last moves s and changes of the gradient y = (g after) - (g before), each image's own ones.

    A ring of `history` slots for each image, in blocks [n, blocks, history, BLOCK]; a pair without curvature is no
    pair, so rings turn at different speeds. `used` slots have been written in some ring; empty ones hold zeros.
    """

    def __init__(self, images: Tensor, history: int) -> None:
        count, blocks = len(images), -(-images[0].numel() // BLOCK)
        self.history, self.used = history, 0
        self.s = images.new_zeros(count, blocks, history, BLOCK)
        self.y = images.new_zeros(count, blocks, history, BLOCK)
        exact = _exact(images)
        self.s_y = images.new_zeros(count, history, history, dtype=exact)
        self.y_y = images.new_zeros(count, history, history, dtype=exact)
        self.scale = images.new_ones(count, dtype=exact)  # gamma: what the Hessian's inverse is taken for at first
        self.kept = images.new_zeros(count, dtype=torch.long)
        self.newest = images.new_zeros(count, dtype=torch.long)  # the slot that was looked at last
        self.images = torch.arange(count, device=images.device)

    def add(self, move: Tensor, change: Tensor, wanted: Tensor) -> None:
        """Take [n, p] and [n, p] into the rings of the images that are wanted and in which the gradient grew."""
        curvature = _dot(change, move)
        good = (curvature > LEAST_CURVATURE) & wanted
        self.scale = torch.where(good, curvature / _dot(change, change), self.scale)
        self.newest = self.kept % self.history
        for ring, new in ((self.s, move), (self.y, change)):
            before = ring[self.images, :, self.newest]
            ring[self.images, :, self.newest] = torch.where(good[:, None, None], _blocks(new), before)
        self.kept = self.kept + good
        self.used = min(self.used + 1, self.history)

    def direction(self, gradient: Tensor) -> Tensor:
        """-H g, [n, p]. With R the upper triangle of S^T Y, oldest pair first, and D its diagonal, H is

        gamma I + [S, gamma Y] [[R^-T (D + gamma Y^T Y) R^-1, -R^-T], [-R^-1, 0]] [S, gamma Y]^T.
        """
        order, s_y, y_y, s_g, y_g = self._in_order(*self._products(gradient))
        gamma = self.scale[:, None, None]
        curvature = s_y.diagonal(dim1=1, dim2=2)
        r = s_y.triu() + torch.diag_embed((curvature == 0).to(s_y.dtype))  # an empty slot weighs nothing
        p = torch.linalg.solve_triangular(r, s_g, upper=True)
        inner = curvature[..., None] * p + gamma * (y_y @ p - y_g)
        q = torch.linalg.solve_triangular(r.transpose(1, 2), inner, upper=False)
        back = order.argsort(dim=1)[..., None]
        combined = self._combined(self.s, q.gather(1, back)) - self._combined(self.y, (gamma * p).gather(1, back))
        return -(gamma[..., 0].to(gradient.dtype) * gradient + combined.flatten(1)[:, : gradient.shape[1]])

    def _products(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Of each s and of each y with the gradient, [n, used]; those with the newest y into its columns."""
        both = torch.stack([self.y[self.images, :, self.newest], _blocks(gradient)], dim=2)
        with_s, with_y = (
            (both @ ring[:, :, : self.used].transpose(2, 3)).sum(dim=1, dtype=self.s_y.dtype)
            for ring in (self.s, self.y)
        )
        self.s_y[self.images, : self.used, self.newest] = with_s[:, 0]
        self.y_y[self.images, : self.used, self.newest] = with_y[:, 0]
        self.y_y[self.images, self.newest, : self.used] = with_y[:, 0]
        return with_s[:, 1], with_y[:, 1]

    def _in_order(self, s_g: Tensor, y_g: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Slots by age, oldest first, [n, used]; S^T Y, Y^T Y, S^T g and Y^T g in that order."""
        start = torch.where(self.kept >= self.history, self.kept % self.history, 0)
        order = (start[:, None] + torch.arange(self.used, device=self.kept.device)) % self.used
        at = (self.images[:, None, None], order[:, :, None], order[:, None, :])
        return order, self.s_y[at], self.y_y[at], s_g.gather(1, order)[..., None], y_g.gather(1, order)[..., None]

    def _combined(self, ring: Tensor, weights: Tensor) -> Tensor:
        """The sum of the slots weighed by [n, used, 1]: [n, blocks, BLOCK]."""
        rows = weights.transpose(1, 2)[:, None].to(ring.dtype)
        weighed: Tensor = rows @ ring[:, :, : self.used]
        return weighed[:, :, 0]


def _blocks(vectors: Tensor) -> Tensor:
    """[n, p] to [n, blocks, BLOCK], filled up with zeros."""
    return functional.pad(vectors, (0, -vectors.shape[1] % BLOCK)).view(len(vectors), -1, BLOCK)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """[n, p] twice to [n]; products in float32, summed exactly."""
    return (one * other).sum(dim=1, dtype=_exact(one))


def _exact(like: Tensor) -> torch.dtype:
    """In which sums are taken; mps has no float64."""
    return torch.float32 if like.device.type == "mps" else torch.float64
