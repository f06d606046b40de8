import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cgeval.winograd import transform_weight, winograd_conv


def direct(x: Tensor, weight: Tensor, border: str = "reflect") -> Tensor:
    if border == "zeros":
        return F.conv2d(x, weight, padding=1)
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
@pytest.mark.parametrize("border", ["reflect", "zeros"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (2, 2), (3, 9), (7, 4), (5, 2)])
def test_any_size_gives_the_direct_result_and_gradients(tile, border, height, width):
    x = random(3, 2, height, width, dtype=torch.float64).requires_grad_()
    weight = random(5, 2, 3, 3, seed=1, dtype=torch.float64).requires_grad_()
    upstream = random(3, 5, height, width, seed=2, dtype=torch.float64)
    results = []
    for y in (winograd_conv(x, transform_weight(weight, tile), tile, border), direct(x, weight, border)):
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


def test_one_pixel_can_have_a_border_of_zeros():
    x, weight = random(1, 2, 1, 4), random(3, 2, 3, 3, seed=1)
    torch.testing.assert_close(winograd_conv(x, transform_weight(weight, 4), 4, "zeros"), direct(x, weight, "zeros"))


def test_a_frozen_weight_keeps_no_tiles_for_the_way_back():
    x, frozen = random(1, 4, 8, 8).requires_grad_(), transform_weight(random(4, 4, 3, 3, seed=1), 4)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each.shape) or each, lambda each: each):
        y = winograd_conv(x, frozen, 4)
    assert kept == [frozen.shape]
    y.sum().backward()
    assert x.grad is not None
