import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cyclegan.networks import initialise, resnet_generator
from cyclegan.winograd import WinogradConv2d, shared_weight_transforms, transform_weight, winograd_conv


def direct(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def relative_error(found: Tensor, exact: Tensor) -> float:
    """The largest difference, as a fraction of the largest value."""
    return float((found.double() - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize(("batch", "size"), [(1, 16), (2, 32)])
def test_float32_result_and_gradients_are_within_1e_5_of_direct_float64(tile, batch, size):
    x, weight = random(batch, 256, size, size), random(256, 256, 3, 3, seed=1) * 0.02
    upstream = random(batch, 256, size, size, seed=2)
    exact_x, exact_weight = (value.double().requires_grad_() for value in (x, weight))
    exact = direct(exact_x, exact_weight)
    exact.backward(upstream.double())
    x.requires_grad_()
    weight.requires_grad_()
    found = winograd_conv(x, transform_weight(weight, tile), tile)
    found.backward(upstream)
    pairs = [(found.detach(), exact.detach()), (x.grad, exact_x.grad), (weight.grad, exact_weight.grad)]
    assert max(relative_error(one, other) for one, other in pairs) < 1e-5


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (2, 2), (3, 9), (7, 4), (5, 2)])
def test_any_size_gives_the_direct_result_and_gradients(tile, height, width):
    x = random(3, 2, height, width, dtype=torch.float64).requires_grad_()
    weight = random(5, 2, 3, 3, seed=1, dtype=torch.float64).requires_grad_()
    upstream = random(3, 5, height, width, seed=2, dtype=torch.float64)
    results = []
    for y in (winograd_conv(x, transform_weight(weight, tile), tile), direct(x, weight)):
        results.append((y, *torch.autograd.grad(y, (x, weight), upstream)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tile", [2, 4])
def test_gradcheck(tile):
    x = random(2, 2, 5, 4, dtype=torch.float64).requires_grad_()
    weight = random(3, 2, 3, 3, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: winograd_conv(a, transform_weight(b, tile), tile), (x, weight))


def test_memory_order_of_input_and_gradient_does_not_matter():
    x, u = random(2, 4, 8, 8), transform_weight(random(4, 4, 3, 3, seed=1), 4)
    orders = (x, x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1), x.to(memory_format=torch.channels_last))
    results = [winograd_conv(order, u, 4) for order in orders]
    assert all(torch.equal(result, results[0]) for result in results)
    assert results[0].permute(2, 3, 0, 1).is_contiguous()


def test_one_pixel_cannot_be_reflected():
    with pytest.raises(ValueError, match="a side of 1 pixel"):
        winograd_conv(random(1, 1, 1, 4), transform_weight(random(1, 1, 3, 3), 2), 2)


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
