"""A stylised image and its content go in; the stylised brightness in the content's colours comes out.

Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer" (arXiv 1606.05897), section 5.2, luminance-only
transfer: the style works on luminance, and the colour channels are the content's. The space is YIQ.
"""

import torch
from torch import Tensor

# Of NTSC, as R, G, B to Y, I, Q.
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def with_colours_of(stylised: Tensor, contents: Tensor) -> Tensor:
    """Y of the first, I and Q of the second: float32 [n, 3, h, w] in 0..255, not clipped."""
    luminance = luminance_of(stylised) - luminance_of(contents)
    return contents + luminance  # a grey added moves Y alone: I and Q of grey are 0


def luminance_of(images: Tensor) -> Tensor:
    """[n, 3, h, w] to [n, 1, h, w]."""
    weights = torch.tensor(RGB_TO_YIQ[0], dtype=images.dtype, device=images.device)
    return (images * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
