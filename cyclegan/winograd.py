"""float32 images and 3x3 weights go in; reflection-padded convolutions come out, by fewer multiplications.

Winograd's minimal filtering F(m x m, 3 x 3) (Lavin and Gray 2016, arXiv 1509.09308): every m x m piece of the
output comes from a t x t piece of the input, t = m + 2, with t * t multiplications per channel pair in place
of 9 * m * m: 2.25 times fewer for m = 2 and 4 times fewer for m = 4. With a tile's pixels as rows,

    U = (G x G) w    V = (B' x B') tiles    M[i] = U[i] V[i] for each of the t * t rows i    y = (A' x A') M

where x is the Kronecker product. All four are matrix products, at which a CPU is best. The backward pass is
the adjoint of each, written by hand: dM = (A x A) dy, dV[i] = U[i]' dM[i], dU[i] = dM[i] V[i]', and so on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

TileSize = Literal[2, 4]

# Lavin and Gray 2016, section 4: B', G and A' of F(2, 3) and F(4, 3).
_INPUT: dict[int, list[list[float]]] = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    4: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}
_WEIGHT: dict[int, list[list[float]]] = {
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    4: [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
}
_OUTPUT: dict[int, list[list[float]]] = {
    2: [[1, 1, 1, 0], [0, 1, -1, -1]],
    4: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
}
_TABLES = {"input": _INPUT, "weight": _WEIGHT, "output": _OUTPUT}


class WinogradConv2d(nn.Conv2d):
    """Reflection padding of 1 and a 3x3 convolution of stride 1; parameters as `nn.Conv2d` has them.

    tile: m, the side of the output pieces. Height and width of the image must be multiples of it.
    """

    bias_is_dead: bool = False

    def __init__(self, in_channels: int, out_channels: int, tile: TileSize, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, bias=bias)
        self.tile = tile
        self.shares = False
        self.shared: tuple[tuple[int, bool], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', H, W], in float32 (or the weights' float64) under autocast too."""
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


def transform_weight(weight: Tensor, tile: TileSize) -> Tensor:
    """[K, C, 3, 3] to U [t * t, K, C]; differentiable."""
    result = _WeightTransform.apply(weight, tile)
    assert isinstance(result, Tensor)
    return result


def winograd_conv(x: Tensor, transformed: Tensor, tile: TileSize) -> Tensor:
    """x [N, C, H, W] and U [t * t, K, C] to the reflection-padded convolution [N, K, H, W].

    Differentiable once. Raises ValueError where the tiles do not cover the image exactly.
    """
    if x.shape[2] % tile or x.shape[3] % tile:
        raise ValueError(f"{x.shape[2]} x {x.shape[3]} pixels cannot be cut into tiles of {tile} x {tile}")
    result = _Convolution.apply(x, transformed, tile)
    assert isinstance(result, Tensor)
    return result


class _WeightTransform(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, tile: TileSize) -> Tensor:
        ctx.tile = tile
        matrix = _matrix("weight", tile, weight.dtype, weight.device)
        flat = weight.reshape(-1, 9)
        return (matrix @ flat.t()).view(-1, *weight.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        matrix = _matrix("weight", ctx.tile, grad.dtype, grad.device)
        flat = grad.reshape(len(grad), -1).t() @ matrix
        return flat.view(*grad.shape[1:], 3, 3), None


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, transformed: Tensor, tile: TileSize) -> Tensor:
        v = _input_transform(x, tile)
        ctx.save_for_backward(v, transformed)
        ctx.tile, ctx.shape = tile, x.shape
        return _output_transform(torch.bmm(transformed, v), x.shape, tile)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        v, transformed = ctx.saved_tensors
        dm = _output_adjoint(grad, ctx.tile)
        dx = du = None
        if ctx.needs_input_grad[1]:
            du = torch.bmm(dm, v.transpose(1, 2))
        if ctx.needs_input_grad[0]:
            dx = _input_adjoint(torch.bmm(transformed.transpose(1, 2), dm), ctx.shape, ctx.tile)
        return dx, du, None


def _input_transform(x: Tensor, tile: int) -> Tensor:
    """[N, C, H, W] to V [t * t, C, N * tiles]."""
    n, c, h, w = x.shape
    t, padded = tile + 2, F.pad(x, (1, 1, 1, 1), mode="reflect")
    sn, sc, sh, sw = padded.stride()
    rows, columns = h // tile, w // tile
    size = (t, t, c, n, rows, columns)
    tiles = padded.as_strided(size, (sh, sw, sc, sn, tile * sh, tile * sw)).reshape(t * t, -1)
    return (_matrix("input", tile, x.dtype, x.device) @ tiles).view(t * t, c, -1)


def _input_adjoint(dv: Tensor, shape: torch.Size, tile: int) -> Tensor:
    """dV to dx: every tile is added where it was read, the padding where it was reflected from."""
    n, c, h, w = shape
    t, rows, columns = tile + 2, h // tile, w // tile
    flat = _matrix("input", tile, dv.dtype, dv.device).t() @ dv.view(t * t, -1)
    tiles = flat.view(t, t, c, n, rows, columns)
    padded = dv.new_zeros(n, c, (rows + 1) * tile, (columns + 1) * tile)
    blocks = padded.view(n, c, rows + 1, tile, columns + 1, tile).permute(3, 5, 1, 0, 2, 4)
    blocks[..., :rows, :columns].copy_(tiles[:tile, :tile])
    blocks[:2, :, ..., 1:, :columns] += tiles[tile:, :tile]
    blocks[:, :2, ..., :rows, 1:] += tiles[:tile, tile:]
    blocks[:2, :2, ..., 1:, 1:] += tiles[tile:, tile:]
    return _reflection_adjoint(padded, h, w)


def _reflection_adjoint(padded: Tensor, h: int, w: int) -> Tensor:
    padded[..., 2, :] += padded[..., 0, :]
    padded[..., h - 1, :] += padded[..., h + 1, :]
    padded[..., 2] += padded[..., 0]
    padded[..., w - 1] += padded[..., w + 1]
    return padded[..., 1 : h + 1, 1 : w + 1]


def _output_transform(m: Tensor, shape: torch.Size, tile: int) -> Tensor:
    """M [t * t, K, N * tiles] to y [N, K, H, W]."""
    n, _, h, w = shape
    flat = _matrix("output", tile, m.dtype, m.device) @ m.view(len(m), -1)
    tiles = flat.view(tile, tile, m.shape[1], n, h // tile, w // tile)
    return tiles.permute(3, 2, 4, 0, 5, 1).reshape(n, m.shape[1], h, w)


def _output_adjoint(dy: Tensor, tile: int) -> Tensor:
    """dy [N, K, H, W] to dM [t * t, K, N * tiles]."""
    n, k, h, w = dy.shape
    blocks = dy.reshape(n, k, h // tile, tile, w // tile, tile).permute(3, 5, 1, 0, 2, 4)
    matrix = _matrix("output", tile, dy.dtype, dy.device)
    return (matrix.t() @ blocks.reshape(tile * tile, -1)).view(-1, k, n * (h // tile) * (w // tile))


@cache
def _matrix(name: str, tile: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The Kronecker square of the one-dimensional transform."""
    one = torch.tensor(_TABLES[name][tile], dtype=torch.float64)
    return torch.kron(one, one).to(dtype).to(device)
