"""The layer of 3x3 convolutions that a generator's residual blocks are made of, by `cgeval.winograd`."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cgeval.winograd import TileSize, transform_weight, winograd_conv


class WinogradConv2d(nn.Conv2d):
    """Reflection padding of 1 and a 3x3 convolution of stride 1; parameters as `nn.Conv2d` has them.

    tile: m, the side of the pieces of output. Any image of at least 2 x 2 pixels; best a multiple of the tile.
    """

    bias_is_dead: bool = False

    def __init__(self, in_channels: int, out_channels: int, tile: TileSize, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, bias=bias)
        self.tile = tile
        self.shares = False
        self.shared: tuple[tuple[int, bool], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', H, W], in the weight's precision under autocast too."""
        with torch.autocast(input.device.type, enabled=False):
            y = winograd_conv(input.to(self.weight.dtype), self._transformed_weight(), self.tile)
        if self.bias is None or self.bias_is_dead:
            return y
        return y + self.bias.view(-1, 1, 1)

    def _transformed_weight(self) -> Tensor:
        if not self.shares:
            return transform_weight(self.weight, self.tile)
        key = (self.weight._version, self.weight.requires_grad and torch.is_grad_enabled())
        if self.shared is None or self.shared[0] != key:
            self.shared = (key, transform_weight(self.weight, self.tile))
        return self.shared[1]


@contextmanager
def shared_weight_transforms(networks: nn.Module) -> Iterator[None]:
    """Within it, calls of one layer share the transform of its weight, until the weight changes."""
    layers = [layer for layer in networks.modules() if isinstance(layer, WinogradConv2d)]
    for layer in layers:
        layer.shares = True
    try:
        yield
    finally:
        for layer in layers:
            layer.shares, layer.shared = False, None
