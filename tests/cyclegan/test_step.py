"""One step of each translator: which terms there are, which networks learn, and what does not depend on what."""

import copy

import pytest
import torch

from cgeval.errors import ConfigError
from cyclegan.config import load_config
from cyclegan.models.cyclegan import OBJECTIVES
from cyclegan.step import TrainStep, build_translator
from tests.cyclegan.conftest import SMALL

CPU = torch.device("cpu")
PIX2PIX = ["translator=pix2pix", "optimiser.pool_size=0", "networks.norm=batch", "objective.gan=vanilla"]
UNET = ["networks.generator=unet128", "data.load_px=128", "data.crop_px=128"]


def make_step(*changes: str) -> TrainStep:
    torch.manual_seed(0)
    return TrainStep(load_config("small", [*SMALL, *changes]), CPU)


def batch(seed: int, count: int = 1, px: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, px, px, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def weights(step: TrainStep) -> dict[str, torch.Tensor]:
    return copy.deepcopy(dict(step.translator.networks.state_dict()))


def changed_networks(step: TrainStep, before: dict[str, torch.Tensor]) -> set[str]:
    now = step.translator.networks.state_dict()
    return {name.split(".")[0] for name, value in now.items() if not torch.equal(value, before[name])}


TERMS = {
    "full": {"gan_ab", "gan_ba", "cycle_a", "cycle_b", "disc_a", "disc_b"},
    "cycle_alone": {"cycle_a", "cycle_b"},
    "gan_alone": {"gan_ab", "gan_ba", "disc_a", "disc_b"},
    "gan_forward_cycle": {"gan_ab", "gan_ba", "cycle_a", "disc_a", "disc_b"},
    "gan_backward_cycle": {"gan_ab", "gan_ba", "cycle_b", "disc_a", "disc_b"},
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_papers_objectives(name):
    step = make_step(f"objective.name={name}")
    before = weights(step)
    losses = step(batch(1), batch(2), step.draws(0))
    assert set(step.losses) == TERMS[name]
    assert len(losses) == len(step.losses)
    assert torch.isfinite(losses).all()
    judged = {"disc_a", "disc_b"} if name != "cycle_alone" else set()
    assert changed_networks(step, before) == {"gen_ab", "gen_ba"} | judged


def test_forward_cycle_is_the_one_that_starts_from_a():
    step = make_step("objective.name=gan_forward_cycle")
    made = step.translator.make(batch(1), batch(2))
    networks = step.translator.networks
    assert torch.equal(made["cycle_a"], networks["gen_ba"](networks["gen_ab"](batch(1))))
    assert "cycle_b" not in made


@pytest.mark.parametrize("kind", ["least_squares", "vanilla", "wgan_gp"])
def test_every_kind_of_gan_learns(kind):
    step = make_step(f"objective.gan={kind}", "objective.identity_weight=0.5")
    before = weights(step)
    for number in range(2):
        losses = step(batch(1), batch(2), step.draws(number))
    assert torch.isfinite(losses).all()
    assert changed_networks(step, before) == {"gen_ab", "gen_ba", "disc_a", "disc_b"}


def test_weights_are_a_function_of_the_seed():
    one, same, other = (build_translator(load_config("small", [*SMALL, f"seed={s}"])) for s in (1, 1, 2))
    assert all(map(torch.equal, one.networks.state_dict().values(), same.networks.state_dict().values()))
    assert not torch.equal(one.networks["gen_ab"].model[1].weight, other.networks["gen_ab"].model[1].weight)


def test_generator_phase_leaves_the_discriminators_gradients_alone():
    step = make_step()
    step(batch(1), batch(2), step.draws(0))
    assert all(p.requires_grad for p in step.translator.networks["disc_a"].parameters() if p.grad is not None)
    made = step.translator.make(batch(1), batch(2))
    phase = step.translator.phases[0]
    before = [p.grad.clone() for p in step.translator.networks["disc_a"].parameters() if p.grad is not None]
    step._learn(phase, made, step.draws(1))
    after = [p.grad for p in step.translator.networks["disc_a"].parameters() if p.grad is not None]
    assert all(map(torch.equal, before, after))


def test_batched_identity_equals_separate_calls():
    step = make_step("objective.identity_weight=0.5")
    together = step.translator.make(batch(1), batch(2))
    step.translator.exact_batching = False
    apart = step.translator.make(batch(1), batch(2))
    for key in together:
        torch.testing.assert_close(together[key], apart[key], rtol=0, atol=1e-5)


def test_pix2pix_learns_discriminator_first_and_translates_one_way():
    step = make_step(*PIX2PIX, *UNET, "direction=BtoA")
    before = weights(step)
    losses = step(batch(1, px=128), batch(2, px=128), step.draws(0))
    assert step.losses == ("disc_a", "gan_ba", "l1")
    assert torch.isfinite(losses).all()
    assert changed_networks(step, before) == {"gen_ba", "disc_a"}
    assert [phase.name for phase in step.translator.phases] == ["discriminators", "generators"]
    assert step.translator.directions == {"BtoA": "gen_ba"}


def test_pix2pix_refuses_a_pool():
    with pytest.raises(ConfigError, match="pool_size=0"):
        make_step("translator=pix2pix")


def test_cycle_loss_falls_when_trained_on_one_pair():
    step = make_step("optimiser.learning_rate=2e-3", "objective.name=cycle_alone", "networks.width=8")
    cycle = step.losses.index("cycle_a")
    smooth_a, smooth_b = (torch.nn.functional.interpolate(batch(n, px=4), size=32, mode="bilinear") for n in (1, 2))
    values = [step(smooth_a, smooth_b, step.draws(n))[cycle].item() for n in range(25)]
    assert values[-1] < 0.6 * values[0]


def test_bf16_is_near_fp32():
    exact, rough = make_step(), make_step("compute.precision=bf16")
    one, other = (step(batch(1), batch(2), step.draws(0)) for step in (exact, rough))
    torch.testing.assert_close(one, other, rtol=0.03, atol=0.03)
    assert not torch.equal(one, other)


@pytest.mark.slow
def test_compiled_step_gives_the_same_losses():
    plain, compiled = make_step(), make_step("compute.compile=default")
    for number in range(3):
        one, other = (step(batch(1), batch(2), step.draws(number)) for step in (plain, compiled))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert list(plain.translator.networks.state_dict()) == list(compiled.translator.networks.state_dict())
