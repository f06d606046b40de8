"""Sizes and settings go in; the paper's generators and discriminators come out, unfilled: see `initialise`.

All take and give float32 NCHW images in [-1, 1] and carry the parameter names of
junyanz/pytorch-CycleGAN-and-pix2pix ("the reference"), so that its weight files load and ours load there.
Where we leave the reference, no result changes:

- A bias that feeds an instance norm is taken out again by the norm's mean. Such a bias keeps its name and
  value for the files' sake, with `requires_grad = False`: never computed with, no gradient, never updated.
- ReLU is not done in place: in place after a norm it forces autograd to copy whole tensors.
- Instance norm makes an image's result independent of the rest of its batch, so calls may be batched freely.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cgeval.winograd import in_table_order
from cyclegan.winograd import WinogradConv2d

NormName = Literal["instance", "batch", "none"]
ConvolutionName = Literal["direct", "winograd2", "winograd4"]
EPSILON = 1e-5


class InstanceNorm(nn.Module):
    """Each channel of each image to mean 0 and variance 1 (Ulyanov et al. 2016), with no parameters.

    Written as the batch norm of one image, which it is: that keeps channels-last memory, which the stock instance
    norm drops, and takes the Winograd convolution's HWNC memory as the table of pixels that it is. Group norm is
    quicker on a CPU, but sums in float32 where this sums in float64, and the losses move by some 1e-6.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same shape and memory order; more than one pixel per channel."""
        if torch.compiler.is_exporting():
            return F.instance_norm(x, eps=EPSILON)
        pixels = x.permute(2, 3, 0, 1)
        if pixels.is_contiguous():
            normal = _normalised(pixels.flatten(2).flatten(0, 1))
            if len(x) == 1:  # strides by which the next layer sees that this is channels-last memory
                return normal.view(1, *pixels.shape[:2], -1).permute(0, 3, 1, 2)
            return normal.view_as(pixels).permute(2, 3, 0, 1)
        if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
            return torch.cat([_normalised(x[i : i + 1]) for i in range(len(x))])
        return _normalised(x.reshape(1, -1, *x.shape[2:])).view_as(x)


def _normalised(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True, eps=EPSILON)


class Conv2d(nn.Conv2d):
    """A convolution whose bias may be dead: kept for the weight files, not computed with."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', H', W']."""
        return F.conv2d(input, self.weight, live_bias(self), _pair(self.stride), _pair(self.padding))


class ToImage(nn.Conv2d):
    """A convolution with a large kernel to very few channels: the generators' last, 7x7 from 64 to 3.

    A CPU computes eight or sixteen output channels at once, so with three it idles. Here every column of the kernel
    is a convolution of its own, 7x1 to 3 channels, all seven in one call to 21 channels, and what they give is
    added with a shift of one pixel each: the same sum, three times as fast forward and backward.
    """

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', H - k + 1, W - k + 1]."""
        if input.device.type != "cpu" or torch.compiler.is_exporting():
            return F.conv2d(input, self.weight, self.bias)
        assert self.bias is not None
        out, channels, k, _ = self.weight.shape
        columns = self.weight.permute(3, 0, 1, 2).reshape(k * out, channels, k, 1)
        parts = F.conv2d(input, columns).contiguous()
        n, _, h, w = parts.shape
        image, channel, row, _ = parts.stride()
        shifted = parts.as_strided((n, k, out, h, w - k + 1), (image, out * channel + 1, channel, row, 1))
        return shifted.sum(1) + self.bias.view(-1, 1, 1)


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution whose bias may be dead."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[N, C, H, W] to [N, C', H', W']."""
        assert output_size is None
        stride, padding, extra = _pair(self.stride), _pair(self.padding), _pair(self.output_padding)
        return F.conv_transpose2d(input, self.weight, live_bias(self), stride, padding, extra)


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), no ReLU after the sum (Johnson et al. 2016)."""

    def __init__(self, width: int, norm: NormName, dropout: bool, convolution: ConvolutionName) -> None:
        super().__init__()
        layers = [*_reflected_conv(width, norm, convolution), norm_layer(norm, width), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(0.5))
        layers += [*_reflected_conv(width, norm, convolution), norm_layer(norm, width)]
        self.conv_block = nn.Sequential(*layers)
        self.in_table_order = convolution != "direct"

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same shape."""
        if self.in_table_order:
            x = in_table_order(x)
            return in_table_order(x + self.conv_block(x))
        return x + self.conv_block(x)  # type: ignore[no-any-return]


class ResnetGenerator(nn.Module):
    """The generator of Johnson et al. 2016 as the CycleGAN paper uses it (section 7.2)."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """[N, C, H, W], H and W multiples of 4, to [N, C', H, W] in [-1, 1]."""
        return self.model(image)  # type: ignore[no-any-return]


class PatchGan(nn.Module):
    """The discriminator of Isola et al. 2017: one score per overlapping patch (70 px with three layers)."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """[N, C, H, W] to raw scores [N, 1, H / 8 - 2, W / 8 - 2] (three layers): 256 px give 30 x 30."""
        return self.model(image)  # type: ignore[no-any-return]


class SkipBlock(nn.Module):
    """One level of a U-Net: halve, go through the level inside, double, put the input beside it."""

    def __init__(self, layers: list[nn.Module], *, outermost: bool) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)
        self.outermost = outermost

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, 2 C, H, W], or to the image [N, C', H, W] at the outermost level."""
        inside = self.model(x)
        return inside if self.outermost else torch.cat([x, inside], 1)


class UnetGenerator(nn.Module):
    """The U-Net of pix2pix (Isola et al. 2017, section 6.1.1); dropout is its only noise."""

    def __init__(self, outermost: SkipBlock) -> None:
        super().__init__()
        self.model = outermost

    def forward(self, image: Tensor) -> Tensor:
        """[N, C, H, W], H and W multiples of 2**downs, to [N, C', H, W] in [-1, 1]."""
        return self.model(image)  # type: ignore[no-any-return]


def resnet_generator(
    *,
    blocks: int,
    width: int = 64,
    norm: NormName = "instance",
    dropout: bool = False,
    convolution: ConvolutionName = "direct",
    in_channels: int = 3,
    out_channels: int = 3,
) -> ResnetGenerator:
    """The paper's generator: 9 blocks for 256 px and above, 6 for 128 px.

    convolution: how the residual blocks' 3x3 convolutions are computed; Winograd gives the direct result to a
    relative 1e-5 (`cgeval.winograd`). Parameters and their names do not depend on it.
    """
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), _conv(in_channels, width, 7, norm=norm)]
    layers += [norm_layer(norm, width), nn.ReLU()]
    for before, after in ((width, 2 * width), (2 * width, 4 * width)):
        layers += [_conv(before, after, 3, stride=2, padding=1, norm=norm)]
        layers += [norm_layer(norm, after), nn.ReLU()]
    layers += [ResidualBlock(4 * width, norm, dropout, convolution) for _ in range(blocks)]
    for before, after in ((4 * width, 2 * width), (2 * width, width)):
        layers += [_transposed(before, after, 3, norm=norm), norm_layer(norm, after), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), ToImage(width, out_channels, 7), nn.Tanh()]
    return ResnetGenerator(layers)


def patchgan(in_channels: int = 3, width: int = 64, layers: int = 3, norm: NormName = "instance") -> PatchGan:
    """The paper's discriminator with `layers` = 3; each layer more doubles the patch: 16, 34, 70, 142 px."""
    stack: list[nn.Module] = [Conv2d(in_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    before = width
    for level in range(1, layers + 1):
        after, stride = width * min(2**level, 8), 2 if level < layers else 1
        stack.append(_conv(before, after, 4, stride=stride, padding=1, norm=norm))
        stack += [norm_layer(norm, after), nn.LeakyReLU(0.2)]
        before = after
    stack.append(Conv2d(before, 1, 4, stride=1, padding=1))
    return PatchGan(stack)


def unet_generator(
    size: Literal[256, 128],
    width: int = 64,
    dropout: bool = True,
    norm: NormName = "batch",
    in_channels: int = 3,
    out_channels: int = 3,
) -> UnetGenerator:
    """pix2pix's generator for images of `size` px: 8 halvings for 256, 7 for 128."""
    downs = 8 if size == 256 else 7
    deep = 8 * width
    block = _innermost(deep, norm)
    for _ in range(downs - 5):
        block = _level(deep, deep, block, norm, dropout)
    for outer, inner in ((4 * width, deep), (2 * width, 4 * width), (width, 2 * width)):
        block = _level(outer, inner, block, norm, False)
    down = Conv2d(in_channels, width, 4, stride=2, padding=1, bias=norm == "instance")
    up = ConvTranspose2d(2 * width, out_channels, 4, stride=2, padding=1)
    return UnetGenerator(SkipBlock([down, block, nn.ReLU(), up, nn.Tanh()], outermost=True))


def initialise(module: nn.Module, generator: torch.Generator | None = None, std: float = 0.02) -> None:
    """Fill in place: convolutions N(0, std), biases 0, batch norms N(1, std) and 0 (paper, section 4)."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                layer.weight.normal_(0.0, std, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.normal_(1.0, std, generator=generator)
                layer.bias.zero_()


def count_parameters(module: nn.Module) -> int:
    """Number of parameters, dead biases included, as the reference counts them."""
    return sum(parameter.numel() for parameter in module.parameters())


def norm_layer(norm: NormName, channels: int) -> nn.Module:
    """The layer after a convolution; only batch norm has parameters and running statistics."""
    makers: dict[NormName, Callable[[], nn.Module]] = {
        "instance": InstanceNorm,
        "batch": lambda: nn.BatchNorm2d(channels, eps=EPSILON),
        "none": nn.Identity,
    }
    return makers[norm]()


def live_bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> Tensor | None:
    """The layer's bias, or None where a norm would take it out again."""
    return None if getattr(layer, "bias_is_dead", False) else layer.bias


def _pair(setting: Any) -> tuple[int, int]:
    """nn.Conv2d keeps its settings as pairs; its annotations allow more."""
    first, second = setting
    return int(first), int(second)


def _conv(before: int, after: int, size: int, *, norm: NormName, stride: int = 1, padding: int = 0) -> nn.Module:
    layer = Conv2d(before, after, size, stride=stride, padding=padding, bias=norm == "instance")
    return _without_computed_bias(layer)


def _transposed(before: int, after: int, size: int, *, norm: NormName) -> nn.Module:
    extra = size % 2
    layer = ConvTranspose2d(before, after, size, stride=2, padding=1, output_padding=extra, bias=norm == "instance")
    return _without_computed_bias(layer)


def _reflected_conv(width: int, norm: NormName, convolution: ConvolutionName) -> list[nn.Module]:
    """Reflection padding of 1 and a 3x3 convolution: two layers, for the names; Winograd pads by itself."""
    if convolution == "direct":
        return [nn.ReflectionPad2d(1), _conv(width, width, 3, norm=norm)]
    layer = WinogradConv2d(width, width, 2 if convolution == "winograd2" else 4, bias=norm == "instance")
    return [nn.Identity(), _without_computed_bias(layer)]


def _without_computed_bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """Mark the bias dead, where there is one: only an instance norm is fed by a convolution with a bias."""
    if layer.bias is not None:
        layer.bias.requires_grad_(False)
        layer.bias_is_dead = True  # type: ignore[assignment]
    return layer


def _innermost(channels: int, norm: NormName) -> SkipBlock:
    down = Conv2d(channels, channels, 4, stride=2, padding=1, bias=norm == "instance")
    up = [_transposed(channels, channels, 4, norm=norm), norm_layer(norm, channels)]
    return SkipBlock([nn.LeakyReLU(0.2), down, nn.ReLU(), *up], outermost=False)


def _level(outer: int, inner: int, inside: SkipBlock, norm: NormName, dropout: bool) -> SkipBlock:
    down = [_conv(outer, inner, 4, stride=2, padding=1, norm=norm), norm_layer(norm, inner)]
    up = [nn.ReLU(), _transposed(2 * inner, outer, 4, norm=norm), norm_layer(norm, outer)]
    noise = [nn.Dropout(0.5)] if dropout else []
    return SkipBlock([nn.LeakyReLU(0.2), *down, inside, *up, *noise], outermost=False)
