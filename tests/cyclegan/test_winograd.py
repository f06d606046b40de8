import pytest
import torch

from cyclegan.networks import initialise, resnet_generator
from cyclegan.winograd import WinogradConv2d, shared_weight_transforms
from tests.cgeval.test_winograd import random, relative_error


def test_calls_within_a_step_share_the_weight_transform_and_add_its_gradient():
    layer = WinogradConv2d(3, 3, 2)
    first, second = random(1, 3, 6, 6), random(2, 3, 6, 6, seed=1)
    (layer(first).square().sum() + layer(second).square().sum()).backward()
    apart = layer.weight.grad
    layer.weight.grad = None
    with shared_weight_transforms(layer):
        one = layer(first)
        transformed = layer.shared[1]
        other = layer(second)
        assert layer.shared[1] is transformed
        (one.square().sum() + other.square().sum()).backward()
    assert layer.shared is None
    torch.testing.assert_close(layer.weight.grad, apart, rtol=1e-5, atol=1e-5)


def test_the_shared_transform_follows_the_weight_and_the_gradient_mode():
    layer, x = WinogradConv2d(3, 3, 4), random(1, 3, 8, 8)
    with shared_weight_transforms(layer):
        with torch.no_grad():
            assert not layer(x).requires_grad
        before = layer(x)
        assert before.requires_grad
        with torch.no_grad():
            layer.weight.mul_(2)
        bias = layer.bias.view(-1, 1, 1)
        torch.testing.assert_close(layer(x) - bias, 2 * (before - bias))


def test_reduced_precision_around_it_leaves_it_in_float32():
    layer, x = WinogradConv2d(3, 3, 4), random(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), layer(x))
        assert layer(x).dtype == torch.float32


@pytest.mark.parametrize(("convolution", "tolerance"), [("winograd2", 1e-5), ("winograd4", 1e-5)])
def test_a_generator_gives_the_same_images_by_every_convolution(convolution, tolerance):
    images = []
    state = None
    for name in ("direct", convolution):
        network = resnet_generator(blocks=3, width=16, convolution=name)
        initialise(network, torch.Generator().manual_seed(0))
        network.load_state_dict(state or network.state_dict())
        state = network.state_dict()
        images.append(network(random(2, 3, 32, 32).clamp(-1, 1)).detach())
    assert relative_error(images[1], images[0].double()) < tolerance
