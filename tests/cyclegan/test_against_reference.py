"""Same weights, same input: the product against the plain transcription of the PyTorch reference.

The oracle (`benchmarks/plain.py`) shares no code with `cyclegan`; weights travel as state dicts, so a name that
differs fails here too.
"""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from benchmarks.plain import LOSSES, PlainPool, PlainStep, plain_networks, plain_patchgan, plain_resnet, plain_unet
from cyclegan.config import load_config
from cyclegan.image_pool import Draws, ImagePool
from cyclegan.networks import patchgan, resnet_generator, unet_generator
from cyclegan.step import TrainStep
from tests.cyclegan.conftest import SMALL

OURS = {"G_A": "gen_ab", "G_B": "gen_ba", "D_A": "disc_b", "D_B": "disc_a"}
LOSS_NAMES = {
    "D_A": "disc_b", "G_A": "gan_ab", "cycle_A": "cycle_a", "idt_A": "identity_b",
    "D_B": "disc_a", "G_B": "gan_ba", "cycle_B": "cycle_b", "idt_B": "identity_a",
}  # fmt: skip
STEP = [
    "networks.disc_layers=3",
    "networks.width=8",
    "networks.disc_width=8",
    "objective.identity_weight=0.5",
    "data.load_px=72",
    "data.crop_px=64",
]


def picture(seed: int, size: int, channels: int = 3, count: int = 1) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def scrambled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Every weight, bias and running statistic away from its neutral value, so that none can be forgotten.

    Weights are scaled by their fan-in, so that every layer's output is of the order of 1 at any width.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.dtype.is_floating_point:
                noise = torch.randn(value.shape, generator=generator)
                value.copy_(noise * value[0].numel() ** -0.5 if value.dim() == 4 else value + 0.1 * noise)
    return network


def same_output(plain: nn.Module, ours: nn.Module, image: Tensor) -> None:
    """Ours in float32 against the plain one in float64, so that the plain one's own rounding is not in the way."""
    scrambled(plain)
    ours.load_state_dict(plain.state_dict())
    with torch.no_grad():
        expected, found = plain.double().eval()(image.double()), ours.eval()(image)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected.float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("blocks", [6, 9])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("convolution", ["direct", "winograd2", "winograd4"])
def test_resnet_generator(blocks, dropout, convolution):
    ours = resnet_generator(blocks=blocks, width=16, dropout=dropout, convolution=convolution)
    same_output(plain_resnet(blocks, 16, dropout=dropout), ours, picture(1, 64))


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize(("norm", "layer"), [("instance", nn.InstanceNorm2d), ("batch", nn.BatchNorm2d)])
def test_patchgan(channels, norm, layer):
    ours = patchgan(channels, 16, norm=norm)
    same_output(plain_patchgan(16, channels=channels, norm=layer), ours, picture(2, 64, channels))


@pytest.mark.parametrize(("size", "downs"), [(128, 7), (256, 8)])
@pytest.mark.parametrize("dropout", [False, True])
def test_unet(size, downs, dropout):
    ours = unet_generator(size, width=8, dropout=dropout)
    same_output(plain_unet(downs, 8, dropout=dropout), ours, picture(3, size))


def test_unet_as_pix2pix_translates_with_the_single_images_statistics():
    plain, ours = scrambled(plain_unet(7, 8, dropout=False)), unet_generator(128, width=8, dropout=False)
    ours.load_state_dict(plain.state_dict())
    with torch.no_grad():
        expected, found = plain.train()(picture(3, 128)), ours.train()(picture(3, 128))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [6, 9])
def test_full_width_generator(blocks):
    same_output(plain_resnet(blocks), resnet_generator(blocks=blocks), picture(4, 128))


def pool_choice(step: TrainStep, name: str) -> Iterator[int | None]:
    """The swaps that our step draws for a pool, for each image after the pool is full."""
    for number in range(step.config.optimiser.pool_size, 1000):
        drawn = step.draws(number).pools[name]
        yield int(drawn.slot) if drawn.use_stored else None


def pair_of_steps(*changes: str) -> tuple[PlainStep, TrainStep]:
    """Both programs with the same weights, and the plain one's pools taking our draws."""
    torch.manual_seed(0)
    ours = TrainStep(load_config("small", [*SMALL, *STEP, *changes]), torch.device("cpu"))
    networks = plain_networks(blocks=6, width=8, disc_width=8)
    for name, network in networks.items():
        ours.translator.networks[OURS[name]].load_state_dict(network.state_dict())
    swaps = {name: pool_choice(ours, name) for name in ("disc_a", "disc_b")}
    choices = (lambda: next(swaps["disc_b"]), lambda: next(swaps["disc_a"]))
    size, weight = ours.config.optimiser.pool_size, ours.config.objective.identity_weight
    return PlainStep(networks, identity_weight=weight, pool_size=size, pool_choices=choices), ours


def both_losses(
    plain: PlainStep, ours: TrainStep, number: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    real_a, real_b = picture(10 + 2 * number, 64).to(dtype), picture(11 + 2 * number, 64).to(dtype)
    expected = plain(real_a, real_b)
    found = dict(zip(ours.losses, ours(real_a, real_b, ours.draws(number)), strict=True))
    assert found.keys() == {LOSS_NAMES[name] for name in expected}
    return torch.stack([found[LOSS_NAMES[name]] for name in expected]), torch.stack(list(expected.values()))


def test_first_steps_eight_losses():
    found, expected = both_losses(*pair_of_steps(), 0)
    assert len(expected) == len(LOSSES) == 8
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_first_steps_losses_with_winograd():
    found, expected = both_losses(*pair_of_steps("networks.convolution=winograd4"), 0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_without_the_identity_term_six_losses():
    found, expected = both_losses(*pair_of_steps("objective.identity_weight=0"), 0)
    assert len(expected) == 6
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_eight_steps_with_the_pool_swapping_leave_the_same_weights():
    """In float64, where rounding has no time to grow: Adam turns float32's noise about 0 into whole steps."""
    plain, ours = pair_of_steps()
    before = {name: copy.deepcopy(network.state_dict()) for name, network in plain.networks.items()}
    for network in plain.networks.values():
        network.double()
    ours.translator.networks.double()
    ours.translator.pools.double()
    for number in range(8):
        found, expected = both_losses(plain, ours, number, torch.float64)
        torch.testing.assert_close(found, expected.float(), rtol=1e-6, atol=0)
    assert any(draw.use_stored for n in range(8) for draw in ours.draws(n).pools.values())
    for name, network in plain.networks.items():
        found_weights = ours.translator.networks[OURS[name]].state_dict()
        for key, weight in network.state_dict().items():
            if key.endswith("weight"):
                torch.testing.assert_close(found_weights[key], weight, rtol=0, atol=1e-7)
                assert (weight - before[name][key]).abs().max() > 1e-4


def test_pools_fill_swap_and_pass_alike():
    choices: list[int | None] = [1, None, 0, 0, None, 1]
    plain, told = PlainPool(2, lambda: choices[len(seen) - 2]), ImagePool(2, 4)
    seen: list[Tensor] = []
    for number in range(8):
        image = torch.full((1, 3, 4, 4), float(number))
        choice = None if number < 2 else choices[number - 2]
        slot = number if number < 2 else choice or 0
        flags = (
            torch.tensor([slot]),
            torch.tensor([choice is not None]),
            torch.tensor([number < 2 or choice is not None]),
        )
        found = told.exchange(image, Draws(*flags))
        assert torch.equal(found, plain.query(image))
        seen.append(found)
    assert [int(image.mean()) for image in seen] == [0, 1, 1, 3, 0, 4, 6, 2]
