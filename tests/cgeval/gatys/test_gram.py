"""Gram matrices and losses against their formulas, written out number by number."""

import pytest
import torch

from cgeval.gatys.gram import content_loss, gram, style_loss, total_variation


def features(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_gram(one):
    """F F^T of one image, [c, h, w], by loops."""
    c, h, w = one.shape
    return torch.tensor(
        [[sum(one[i, y, x] * one[j, y, x] for y in range(h) for x in range(w)) for j in range(c)] for i in range(c)]
    )


def test_a_gram_matrix_is_each_image_own_sum_of_products_over_positions():
    batch = features(0, 2, 3, 4, 5)
    for found, one in zip(gram(batch), batch, strict=True):
        torch.testing.assert_close(found, plain_gram(one) / 20, check_dtype=False)


def test_a_gram_matrix_knows_no_places():
    batch = features(1, 1, 4, 6, 6)
    shuffled = batch.flatten(2)[..., torch.randperm(36, generator=torch.Generator().manual_seed(0))].view_as(batch)
    torch.testing.assert_close(gram(batch), gram(shuffled))


def test_the_order_in_memory_does_not_matter():
    batch, target = features(15, 2, 3, 4, 5), features(16, 3, 3)
    found = []
    for order in (torch.contiguous_format, torch.channels_last):
        x = batch.clone(memory_format=order).requires_grad_()
        style_loss(gram(x), target, "notebook").sum().backward()
        found.append((gram(x), x.grad))
        assert x.grad.is_contiguous(memory_format=order), "as the layers before it take it without a copy"
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_papers_style_loss_is_its_equation_4():
    batch, style = features(2, 2, 3, 4, 5), features(3, 3, 4, 5)
    n, m = 3, 20
    for found, one in zip(style_loss(gram(batch), plain_gram(style) / m, "paper"), batch, strict=True):
        plain = sum((g - a) ** 2 for g, a in zip(plain_gram(one).flatten(), plain_gram(style).flatten(), strict=True))
        assert float(found) == pytest.approx(float(plain / (4 * n**2 * m**2)))


def test_the_notebooks_style_loss_is_a_mean_of_squares_of_means_over_positions():
    batch, target = features(4, 2, 3, 4, 5), features(5, 3, 3)
    expected = [torch.nn.functional.mse_loss(plain_gram(one) / 20, target.float()) for one in batch]
    torch.testing.assert_close(style_loss(gram(batch), target, "notebook"), torch.stack(expected), check_dtype=False)


def test_neural_styles_style_loss_divides_the_matrices_by_all_numbers():
    batch, style = features(6, 2, 3, 4, 5), features(7, 3, 4, 5)
    target = plain_gram(style) / (3 * 20)
    expected = [torch.nn.functional.mse_loss(plain_gram(one) / (3 * 20), target) for one in batch]
    found = style_loss(gram(batch), plain_gram(style) / 20, "neural-style")
    torch.testing.assert_close(found, torch.stack(expected), check_dtype=False)


def test_the_contents_loss_is_half_a_sum_in_the_paper_and_a_mean_elsewhere():
    one, other = features(8, 2, 3, 4, 5), features(9, 2, 3, 4, 5)
    squares = [float(((a - b) ** 2).sum()) for a, b in zip(one, other, strict=True)]
    assert content_loss(one, other, "paper").tolist() == pytest.approx([each / 2 for each in squares])
    for form in ("notebook", "neural-style"):
        assert content_loss(one, other, form).tolist() == pytest.approx([each / 60 for each in squares])


def test_total_variation_counts_differences_to_the_right_and_below():
    image = torch.zeros(1, 3, 3, 3)
    image[0, 0, 1, 1] = 2.0  # differs from the pixel above it, the one to the left, and the two after it
    assert float(total_variation(image)) == pytest.approx((4 + 4 + 4 + 4) / 2)
    assert float(total_variation(torch.full((1, 3, 4, 4), 7.0))) == 0.0


def test_total_variations_gradient_is_neural_styles():
    """Its program adds the differences to the gradients of both pixels, and knows no loss."""
    image = features(10, 1, 3, 4, 5).requires_grad_()
    total_variation(image).sum().backward()
    x = image.detach()[0]
    right, below = x[:, :-1, :-1] - x[:, :-1, 1:], x[:, :-1, :-1] - x[:, 1:, :-1]
    expected = torch.zeros_like(x)
    expected[:, :-1, :-1] += right + below
    expected[:, :-1, 1:] -= right
    expected[:, 1:, :-1] -= below
    torch.testing.assert_close(image.grad[0], expected)


@pytest.mark.parametrize("form", ["notebook", "paper", "neural-style"])
def test_gradients_agree_with_finite_differences(form):
    style, content = features(11, 2, 2), features(12, 2, 2, 3, 3)

    def loss(x):
        return style_loss(gram(x), style, form) + content_loss(x, content, form)

    assert torch.autograd.gradcheck(loss, features(13, 2, 2, 3, 3).requires_grad_())
    assert torch.autograd.gradcheck(total_variation, features(14, 2, 3, 3, 3).requires_grad_())
