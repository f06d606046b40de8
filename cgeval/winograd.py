"""float32 images and 3x3 weights go in; convolutions with a border of 1 come out, by fewer multiplications.

Winograd's minimal filtering F(m x m, 3 x 3) (Lavin and Gray 2016, arXiv 1509.09308): every m x m piece of the
output comes from a t x t piece d of the input, t = m + 2, with t * t multiplications per channel pair in place
of 9 * m * m: 2.25 times fewer for m = 2, 4 times fewer for m = 4. At each of the t * t positions of a tile,

    U = G w G'        V = B' d B        M = U V, summed over channels: a matrix product        y = A' M A

What is peculiar here is how B' d B and A' M A are computed. Both are linear maps of pixels, the same for every
channel, so each is two sparse matrices (along the height, along the width) that are applied to a table with one
row per pixel by `embedding_bag`, PyTorch's weighted sum of rows. Cutting tiles, the border (reflected, or zeros),
tiles that overhang it and putting the pieces together are entries of those matrices and cost nothing. The backward
pass, written by hand, applies their transposes.

The table is the batch in HWNC order. Results are NCHW tensors whose memory is in that order, and what stands between
two convolutions should leave it so: see `cyclegan.networks.InstanceNorm`, and `cgeval.networks.features` for pooling.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TileSize = Literal[2, 4]
Border = Literal["reflect", "zeros"]

# The points at which the polynomials of the derivation are evaluated, beside infinity. For m = 4 Lavin and Gray
# take 0, 1, -1, 2, -2; these, of which the product is 1 too, leave a quarter of that choice's largest error.
_POINTS: dict[int, tuple[float, ...]] = {2: (0, 1, -1), 4: (0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))}


def transform_weight(weight: Tensor, tile: TileSize) -> Tensor:
    """[K, C, 3, 3] to U [t * t, K, C]; differentiable."""
    result = _WeightTransform.apply(weight, tile)
    assert isinstance(result, Tensor)
    return result


def winograd_conv(x: Tensor, transformed: Tensor, tile: TileSize, border: Border = "reflect") -> Tensor:
    """x [N, C, H, W] and U [t * t, K, C] to the convolution [N, K, H, W] with a border of 1 pixel.

    Differentiable once. Raises ValueError for an image too small to reflect.
    """
    result = _Convolution.apply(x, transformed, tile, border)
    assert isinstance(result, Tensor)
    return result


def in_table_order(x: Tensor) -> Tensor:
    """The same [N, C, H, W] values with HWNC memory; the gradient that comes back gets it too.

    Put around what stands between convolutions, it keeps a sum of two memory orders from spreading the wrong one.
    """
    result = _InTableOrder.apply(x)
    assert isinstance(result, Tensor)
    return result


class _InTableOrder(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return _ordered(x)

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> Tensor:
        return _ordered(grad)


def _ordered(x: Tensor) -> Tensor:
    return x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)


class _WeightTransform(torch.autograd.Function):
    """G w G': forward in one sum of nine products, for the smaller rounding; backward one axis after the other."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, tile: TileSize) -> Tensor:
        ctx.one_axis, both = _weight_transform(tile, weight.dtype, weight.device)
        return (both @ weight.reshape(-1, 9).t()).view(-1, *weight.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        back: Tensor = ctx.one_axis.t()
        rows = torch.mm(back, grad.reshape(back.shape[1], -1)).view(3, back.shape[1], -1)
        return torch.matmul(back, rows).view(9, -1).t().reshape(*grad.shape[1:], 3, 3), None


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, transformed: Tensor, tile: TileSize, border: Border) -> Tensor:
        ctx.plan = plan = _plan(tile, border, x.shape[2], x.shape[3], x.dtype, x.device)
        tiles = plan.cut(_as_table(x)).view(plan.positions, -1, x.shape[1])  # V [t * t, tiles * N, C]
        ctx.save_for_backward(tiles if ctx.needs_input_grad[1] else None, transformed)
        m = torch.bmm(tiles, transformed.transpose(1, 2))
        return _as_image(plan.join(m.view(-1, len(x) * m.shape[2])), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        tiles, transformed = ctx.saved_tensors
        plan: _Plan = ctx.plan
        dm = plan.join_transposed(_as_table(grad)).view(len(transformed), -1, grad.shape[1])
        dx = du = None
        if ctx.needs_input_grad[1]:
            du = torch.bmm(dm.transpose(1, 2), tiles)
        if ctx.needs_input_grad[0]:
            dv = torch.bmm(dm, transformed)
            dx = _as_image(plan.cut_transposed(dv.view(-1, len(grad) * dv.shape[2])), grad)
        return dx, du, None, None


def _as_table(x: Tensor) -> Tensor:
    """[N, C, H, W] to [H * W, N * C]: a view where the memory is in that order already."""
    # Detached, since embedding_bag takes a slow way for a table that requires a gradient, even where none is kept.
    return x.detach().permute(2, 3, 0, 1).contiguous().view(x.shape[2] * x.shape[3], -1)


def _as_image(table: Tensor, like: Tensor) -> Tensor:
    n, _, h, w = like.shape
    return table.view(h, w, n, -1).permute(2, 3, 0, 1)


@dataclass(frozen=True)
class _Sparse:
    """A sparse matrix row by row: the columns of its entries, where each row begins, the entries."""

    columns: Tensor
    begins: Tensor
    entries: Tensor

    def __matmul__(self, table: Tensor) -> Tensor:
        """[columns, channels] to [rows, channels]."""
        summed = torch.embedding_bag(table, self.columns, self.begins, mode=0, per_sample_weights=self.entries)
        return summed[0]


class _Transforms(NamedTuple):
    """B' [t, t], G [t, 3] and A' [m, t] of one dimension, in float64."""

    input: Tensor
    weight: Tensor
    output: Tensor


@lru_cache(maxsize=2)
def _transforms(tile: int) -> _Transforms:
    """Derived by Toom and Cook's method from the points, infinity last (Blahut 2010, chapter 5)."""
    points = np.array(_POINTS[tile])
    t = len(points) + 1
    others = [np.delete(points, i) for i in range(t - 1)]
    scales = np.array([np.prod(point - rest) for point, rest in zip(points, others, strict=True)])
    b, g, a = np.zeros((t, t)), np.zeros((t, 3)), np.zeros((tile, t))
    b[:-1, :-1] = [np.poly(rest)[::-1] for rest in others]
    b[-1] = np.poly(points)[::-1]
    g[:-1] = np.vander(points, 3, increasing=True) / scales[:, None]
    a[:, :-1] = np.vander(points, tile, increasing=True).T
    g[-1, -1] = a[-1, -1] = 1
    b[np.abs(b) < 1e-12] = 0
    return _Transforms(torch.from_numpy(b), torch.from_numpy(g), torch.from_numpy(a))


@lru_cache(maxsize=8)
def _weight_transform(tile: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """G [t, 3], and G for both axes at once [t * t, 9]; on the device before a CUDA graph is captured."""
    g = _transforms(tile).weight
    return g.to(device, dtype), torch.kron(g, g).to(device, dtype)


class _Entries(NamedTuple):
    """A sparse matrix of height x width: row, column and value of its entries, in any order."""

    rows: Tensor
    columns: Tensor
    values: Tensor
    height: int
    width: int

    def transposed(self) -> "_Entries":
        return _Entries(self.columns, self.rows, self.values, self.width, self.height)


@dataclass(frozen=True)
class _Plan:
    """The two maps of pixels: cut (B' d B) and join (A' M A). Each map is two matrices and their transposes."""

    positions: int
    cut_h: tuple[_Sparse, _Sparse]
    cut_w: tuple[_Sparse, _Sparse]
    join_h: tuple[_Sparse, _Sparse]
    join_w: tuple[_Sparse, _Sparse]

    def cut(self, pixels: Tensor) -> Tensor:
        """[H * W, channels] to [t * t * tiles, channels]."""
        return self.cut_w[0] @ (self.cut_h[0] @ pixels)

    def cut_transposed(self, tiles: Tensor) -> Tensor:
        """[t * t * tiles, channels] to [H * W, channels]."""
        return self.cut_h[1] @ (self.cut_w[1] @ tiles)

    def join(self, tiles: Tensor) -> Tensor:
        """[t * t * tiles, channels] to [H * W, channels]."""
        return self.join_w[0] @ (self.join_h[0] @ tiles)

    def join_transposed(self, pixels: Tensor) -> Tensor:
        """[H * W, channels] to [t * t * tiles, channels]."""
        return self.join_h[1] @ (self.join_w[1] @ pixels)


@lru_cache(maxsize=32)
def _plan(tile: int, border: Border, height: int, width: int, dtype: torch.dtype, device: torch.device) -> _Plan:
    """The maps for one image size. Rows of a table of tiles: position down, position right, tile down, tile right."""
    (cut_h, join_h), (cut_w, join_w) = _axis(tile, height, border), _axis(tile, width, border)
    t = tile + 2
    down, right = len(cut_h) // t, len(cut_w) // t
    pixels = torch.arange(height * width).view(height, width)
    tiles = torch.arange(t * t * down * right).view(t, t, down, right).transpose(1, 2).reshape(t * down, t * right)
    half_cut = torch.arange(t * down * width).view(t * down, width)
    half_joined = torch.arange(height * t * right).view(height, t * right)
    steps = (
        _along(cut_h, half_cut, pixels),
        _along(cut_w, tiles.t(), half_cut.t()),
        _along(join_h, half_joined, tiles),
        _along(join_w, pixels.t(), half_joined.t()),
    )
    like = torch.empty(0, dtype=dtype, device=device)
    return _Plan(t * t, *((_sorted(step, like), _sorted(step.transposed(), like)) for step in steps))


def _axis(tile: int, length: int, border: Border) -> tuple[Tensor, Tensor]:
    """The one-dimensional maps: cut [t * tiles, length] and join [length, t * tiles], position before tile."""
    if length < 2 and border == "reflect":
        raise ValueError(f"a side of {length} pixel cannot be reflected at the border; it takes at least 2")
    t, tiles, one = tile + 2, -(-length // tile), _transforms(tile)
    cut = torch.zeros(t, tiles, length, dtype=torch.float64)
    join = torch.zeros(length, t, tiles, dtype=torch.float64)
    for k in range(tiles):
        for j in range(t):
            at = k * tile + j - 1
            # Beyond the border nothing is read: only pixels outside the image would depend on it.
            if 0 <= at < length or (border == "reflect" and at in (-1, length)):
                cut[:, k, _reflected(at, length)] += one.input[:, j]
        for j in range(min(tile, length - k * tile)):
            join[k * tile + j, :, k] = one.output[j]
    return cut.view(t * tiles, length), join.view(length, t * tiles)


def _reflected(at: int, length: int) -> int:
    at = abs(at)
    return at if at < length else 2 * (length - 1) - at


def _along(matrix: Tensor, out_rows: Tensor, in_rows: Tensor) -> _Entries:
    """The matrix that applies `matrix` [o, i] to every line of a table.

    out_rows [o, lines] and in_rows [i, lines]: which row of the table is at a place of a line.
    """
    out_at, in_at = matrix.nonzero(as_tuple=True)
    rows, columns = out_rows[out_at], in_rows[in_at]
    values = matrix[out_at, in_at].unsqueeze(1).expand_as(rows)
    return _Entries(rows.reshape(-1), columns.reshape(-1), values.reshape(-1), out_rows.numel(), in_rows.numel())


def _sorted(matrix: _Entries, like: Tensor) -> _Sparse:
    order = torch.argsort(matrix.rows, stable=True)
    counts = torch.bincount(matrix.rows, minlength=matrix.height)
    begins = (counts.cumsum(0) - counts).to(like.device)
    return _Sparse(matrix.columns[order].to(like.device), begins, matrix.values[order].to(like))
