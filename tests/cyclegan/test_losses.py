"""Adversarial losses by name against their formulas written out, and the convention that 1 means real."""

import math

import pytest
import torch

from cyclegan.losses import discriminator_loss, generator_loss, gradient_penalty

REAL, FAKE = torch.tensor([[[[0.9, 0.7]]]]), torch.tensor([[[[0.2, -0.4]]]])


def test_least_squares():
    assert generator_loss("least_squares", FAKE).item() == pytest.approx((0.8**2 + 1.4**2) / 2)
    wanted = 0.5 * ((0.1**2 + 0.3**2) / 2 + (0.2**2 + 0.4**2) / 2)
    assert discriminator_loss("least_squares", REAL, FAKE).item() == pytest.approx(wanted)


def test_vanilla_is_cross_entropy_of_logits():
    def log_sigmoid(x: float) -> float:
        return -math.log1p(math.exp(-x))

    assert generator_loss("vanilla", FAKE).item() == pytest.approx(-(log_sigmoid(0.2) + log_sigmoid(-0.4)) / 2)
    real = -(log_sigmoid(0.9) + log_sigmoid(0.7)) / 2
    fake = -(log_sigmoid(-0.2) + log_sigmoid(0.4)) / 2
    assert discriminator_loss("vanilla", REAL, FAKE).item() == pytest.approx(0.5 * (real + fake))


def test_wgan():
    assert generator_loss("wgan_gp", FAKE).item() == pytest.approx(0.1)
    assert discriminator_loss("wgan_gp", REAL, FAKE).item() == pytest.approx(-0.1 - 0.8)


@pytest.mark.parametrize("kind", ["least_squares", "vanilla", "wgan_gp"])
def test_a_discriminator_that_is_right_has_the_lower_loss(kind):
    high, low = torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 2, 2), -3.0)
    assert discriminator_loss(kind, high, low) < discriminator_loss(kind, low, high)
    assert generator_loss(kind, high) < generator_loss(kind, low)


def test_gradient_penalty_of_a_linear_critic_is_exact_and_differentiable():
    weight = torch.full((3 * 4 * 4,), 0.5, requires_grad=True)
    norm = 0.5 * math.sqrt(48)

    def critic(x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) * weight).sum(1)

    penalty = gradient_penalty(critic, torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), torch.rand(2, 1, 1, 1))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    penalty.backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0
