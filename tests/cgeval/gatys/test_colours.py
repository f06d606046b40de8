"""Brightness of the stylised image in the colours of the content."""

import torch

from cgeval.gatys.colours import RGB_TO_YIQ, luminance_of, with_colours_of


def images(seed):
    return 60 + 130 * torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(seed))


def yiq(batch):
    return torch.einsum("oc,nchw->nohw", torch.tensor(RGB_TO_YIQ), batch)


def test_luminance_is_the_stylised_ones_and_both_chroma_channels_are_the_contents():
    stylised, contents = images(0), images(1)
    mixed = yiq(with_colours_of(stylised, contents))
    torch.testing.assert_close(mixed[:, :1], yiq(stylised)[:, :1], rtol=0, atol=1e-3)
    torch.testing.assert_close(mixed[:, 1:], yiq(contents)[:, 1:], rtol=0, atol=1e-3)


def test_the_space_is_the_one_that_television_had():
    white, red = torch.ones(1, 3, 1, 1), torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    torch.testing.assert_close(yiq(white).flatten(), torch.tensor([1.0, 0.0, 0.0]), rtol=0, atol=2e-6)
    torch.testing.assert_close(luminance_of(red), torch.full((1, 1, 1, 1), 0.299))


def test_an_image_in_its_own_colours_is_itself():
    torch.testing.assert_close(with_colours_of(images(2), images(2)), images(2))
