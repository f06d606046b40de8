"""Discriminator outputs go in; scalar adversarial losses come out, one named function pair per kind of GAN.

least_squares: Mao et al. 2017, as CycleGAN uses it (paper, section 4); vanilla: Goodfellow et al. 2014 with
logits, as pix2pix uses it; wgan_gp: Gulrajani et al. 2017 (arXiv 1704.00028, equation 3).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cyclegan.config import GanLossName


def generator_loss(kind: GanLossName, fake_scores: Tensor) -> Tensor:
    """Adversarial loss of the generator from the discriminator's raw patch scores [N, 1, h, w]; a scalar."""
    if kind == "wgan_gp":
        return -fake_scores.mean()
    return _against(kind, fake_scores, 1.0)


def discriminator_loss(kind: GanLossName, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Loss of the discriminator; half the sum of both terms, except for wgan_gp, which has no half."""
    if kind == "wgan_gp":
        return fake_scores.mean() - real_scores.mean()
    return 0.5 * (_against(kind, real_scores, 1.0) + _against(kind, fake_scores, 0.0))


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of (|gradient of D at mix * real + (1 - mix) * fake| - 1)^2; mix: uniform in [0, 1], [N, 1, 1, 1]."""
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    scores = discriminator(between)
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    norm = torch.linalg.vector_norm(gradient.flatten(1).float(), dim=1)
    return torch.square(norm - 1).mean()


def _against(kind: GanLossName, scores: Tensor, target: float) -> Tensor:
    goal = torch.full_like(scores, target)
    if kind == "least_squares":
        return F.mse_loss(scores, goal)
    return F.binary_cross_entropy_with_logits(scores, goal)


def absolute_difference(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference (L1) of two image batches in [-1, 1]; a scalar in [0, 2]."""
    return F.l1_loss(one, other)
