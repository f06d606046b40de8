"""Images go in; what a frozen network makes of them comes out, by layer: VGG-19 up to relu5_1, or SqueezeNet 1.1.

    network = load_features("torchvision", device=torch.device("cpu"))
    features = network(images, ["relu1_1", "relu4_2"])      images: float32 [n, 3, h, w], sRGB in 0..255

Layers are named after what comes out of them, past the ReLU. Where weights come from: `cgeval.networks.feature_files`.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cgeval.errors import ConfigError, DataError
from cgeval.networks.calibration import noise_images, unit_scales
from cgeval.networks.feature_files import (
    FIRE_PARTS,
    RANDOM,
    TORCHVISION,
    VGG19_USED,
    FeatureWeights,
    layer_of,
    read_features,
    to_be_fetched,
)
from cgeval.winograd import TileSize, transform_weight, winograd_conv

Weights = str  # "torchvision", "random", or the path of a file
POOLINGS = ("max", "average")
SCALES = ("unit", "as trained")
PRECISIONS = ("fp32", "bf16")
WINOGRAD_CHANNELS = 64


class _Step(nn.Module):
    """One operation; `side` says how many pixels it makes of so many, 0 where it takes none so few."""

    def side(self, px: int) -> int:
        raise NotImplementedError


class _Conv(_Step):
    """A frozen convolution and its ReLU. The ReLU works in place: nothing else has seen what comes out before it."""

    def __init__(
        self, weight: Tensor, bias: Tensor, *, stride: int = 1, padding: int = 0, reflects: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        self.stride, self.padding, self.reflects = stride, padding, reflects
        self._transformed: dict[TileSize, tuple[int, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        x, padding = x.to(self.weight.dtype), self.padding
        if self._gains_by_winograd(x):
            tile: TileSize = 4 if x.shape[2] * x.shape[3] >= x.shape[1] else 2
            y = winograd_conv(x, self._transformed_weight(tile), tile, "reflect" if self.reflects else "zeros")
            return (y + self.bias.view(-1, 1, 1)).relu_()
        if self.reflects:
            x, padding = functional.pad(x, [padding] * 4, mode="reflect"), 0
        right, bottom = self._beyond(x.shape[3]), self._beyond(x.shape[2])
        if right or bottom:
            x = functional.pad(x, [0, right, 0, bottom], mode="reflect")
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding).relu_()

    def side(self, px: int) -> int:
        if self.reflects and px <= self.padding:
            return 0
        seen = px + self._beyond(px) + 2 * self.padding
        return max(0, (seen - self.weight.shape[-1]) // self.stride + 1)

    def _beyond(self, px: int) -> int:
        """How many reflected pixels make the last window whole; without it, no feature would see the last pixels.

        Of a stride of 2 without padding every second size has a last row and a last column that are in no window.
        """
        return (self.weight.shape[-1] - px - 2 * self.padding) % self.stride

    def _gains_by_winograd(self, x: Tensor) -> bool:
        """On a CPU, and with enough channels that products outweigh the cutting and joining of tiles.

        Of few pixels there are so few large tiles that reading their weights, 4 times the layer's own, takes longest:
        hence small tiles there.
        """
        is_3x3 = self.weight.shape[2:] == (3, 3) and self.stride == self.padding == 1
        return is_3x3 and x.shape[1] >= WINOGRAD_CHANNELS and x.device.type == "cpu" and x.dtype == torch.float32

    def _transformed_weight(self, tile: TileSize) -> Tensor:
        """Made when it is first wanted, and again when the weight has changed since."""
        made = self._transformed.get(tile)
        if made is None or made[0] != self.weight._version:
            made = self._transformed[tile] = (self.weight._version, transform_weight(self.weight, tile))
        return made[1]

    def rescale(self, before: float, after: float) -> None:
        """Make it take inputs that are `before` times as large, and give outputs that are `after` times as large."""
        self.weight.mul_(after / before)
        self.bias.mul_(after)


class _Fire(_Step):
    """SqueezeNet's module (Iandola et al. 2016, section 3.2): few channels, of which two convolutions make many."""

    def __init__(self, squeeze: _Conv, expand1x1: _Conv, expand3x3: _Conv) -> None:
        super().__init__()
        self.squeeze, self.expand1x1, self.expand3x3 = squeeze, expand1x1, expand3x3

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1)

    def side(self, px: int) -> int:
        return px

    def rescale(self, before: float, after: float) -> None:
        self.squeeze.rescale(before, 1.0)
        self.expand1x1.rescale(1.0, after)
        self.expand3x3.rescale(1.0, after)


class _Pool(_Step):
    """Maximum or mean of windows, with a stride of 2; rounds_up: an incomplete last window counts too."""

    def __init__(self, pooling: str, window: int, rounds_up: bool) -> None:
        super().__init__()
        self.averages, self.window, self.rounds_up = pooling == "average", window, rounds_up

    def forward(self, x: Tensor) -> Tensor:
        """A batch whose memory is in the order H W N C, as Winograd's convolutions leave it, is left in that order."""
        count, table = len(x), x.permute(2, 3, 0, 1)
        if count > 1 and table.is_contiguous():
            alone = self._pool(table.flatten(2).permute(2, 0, 1)[None])  # as one image of n x c channels
            return alone.view(count, -1, *alone.shape[2:])
        return self._pool(x)

    def _pool(self, x: Tensor) -> Tensor:
        pool = functional.avg_pool2d if self.averages else functional.max_pool2d
        return pool(x, self.window, 2, ceil_mode=self.rounds_up)

    def side(self, px: int) -> int:
        steps = (px - self.window) / 2
        return max(0, (math.ceil(steps) if self.rounds_up else math.floor(steps)) + 1)


class FeatureNetwork(nn.Module):
    """A frozen network with named layers, made by `load_features`.

    name: its architecture, "vgg19" or "squeezenet1_1". weights: how records name them. identity: the file's SHA-256, or
    "random-SEED". layers: what it holds, in order. pooling, scale, precision: as asked for. scales: the number by which
    each layer's features were multiplied. assumed: what its file does not tell, in words; empty where it tells all.
    """

    def __init__(self, source: FeatureWeights, pooling: str) -> None:
        super().__init__()
        self.name, self.weights, self.identity = source.name, source.weights, source.identity
        self.is_random, self.assumed, self.layers = source.is_random, source.assumed, source.layers
        self.pooling, self.scale, self.precision = pooling, "as trained", "fp32"
        self.scales: dict[str, float] = dict.fromkeys(self.layers, 1.0)
        self.register_buffer("mean", torch.tensor(source.mean).view(1, 3, 1, 1))
        self.steps = nn.ModuleDict(_steps(source, pooling))
        self.eval()

    def forward(self, images: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """float32 [n, 3, h, w], sRGB in 0..255, to float32 [n, c, h', w'] by layer; goes no deeper than is asked for.

        Raises ConfigError for a layer that the network lacks, DataError for images too small to reach the deepest.
        """
        deepest = self._deepest(layers)
        self._refuse_small(images, deepest)
        x, found = images - cast(Tensor, self.mean), {}
        for name, step in self.steps.items():
            if deepest in found or deepest is None:
                break
            x = step(x)
            if name in layers:
                found[name] = x.float()  # no copy where it is float32 already
        return found

    def smallest_px(self, layers: Collection[str]) -> int:
        """The shortest side of an image that reaches all of these layers."""
        deepest, px = self._deepest(layers), 1
        while self._side(px, deepest) < 1:
            px += 1
        return px

    def _deepest(self, layers: Collection[str]) -> str | None:
        foreign = [layer for layer in layers if layer not in self.layers]
        if foreign:
            which = f"{self.name} ({self.weights})"
            raise ConfigError(f"{which} has no layer {foreign[0]!r}: it has {', '.join(self.layers)}.")
        return max(layers, key=self.layers.index, default=None)

    def _refuse_small(self, images: Tensor, deepest: str | None) -> None:
        height, width = images.shape[-2:]
        if deepest is None or self._side(min(height, width), deepest) >= 1:
            return
        least = self.smallest_px([deepest])
        raise DataError(
            f"an image of {width} x {height} pixels is too small for {deepest} of {self.name}: "
            f"at least {least} x {least} are expected."
        )

    def _side(self, px: int, deepest: str | None) -> int:
        """How many pixels of so many reach that layer, 0 where none do."""
        for name, step in self.steps.items():
            if deepest is None or px < 1:
                break
            px = cast(_Step, step).side(px)
            if name == deepest:
                break
        return px

    def rescale(self, scales: Mapping[str, float]) -> None:
        """Multiply each layer's features by its number.

        A layer's weights are divided by the number of the layer before and multiplied by its own, its bias by its own:
        for ReLU and pooling that is the same as multiplying what comes out, and costs nothing.
        """
        before = 1.0
        with torch.no_grad():
            for name, step in self.steps.items():
                if isinstance(step, _Conv | _Fire):
                    step.rescale(before, scales[name])
                    before = scales[name]
        self.scales = {name: self.scales[name] * scales[name] for name in self.layers}


def load_features(
    weights: Weights,
    *,
    pooling: str = "max",
    seed: int = 0,
    device: torch.device,
    scale: str = "unit",
    precision: str = "fp32",
) -> FeatureNetwork:
    """A frozen network on the device.

    weights: "torchvision" (VGG-19, fetched once and compared with its digest), "random" (VGG-19 drawn from the seed),
    or the path of a file: see KNOWN_KINDS of `cgeval.networks.feature_files`. pooling: "max" or "average".
    scale: "unit" brings each layer to a mean activation of 1, as `cgeval.networks.calibration` says; files that promise
    it are left alone, as all are by "as trained". precision: "bf16" convolves in bfloat16, but for the first layer, and
    returns float32, on CUDA alone; "fp32" is there what PyTorch's settings make of it, by default TF32.
    Raises ConfigError, WeightsError or DownloadError.
    """
    _refuse_other("pooling", pooling, POOLINGS)
    _refuse_other("scale", scale, SCALES)
    _refuse_other("precision", precision, PRECISIONS)
    if precision == "bf16" and device.type != "cuda":
        raise ConfigError(
            f"precision is 'bf16', which takes a CUDA device and would not finish on {device.type}: use fp32."
        )
    source = read_features(weights, seed)
    network = FeatureNetwork(source, pooling)
    if scale == "unit":
        means = mean_activations(network, noise_images())
        network.rescale(unit_scales(means, source.weights, is_normalised=source.is_normalised))
    network.scale = scale
    if precision == "bf16":
        to_bfloat16(network)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)  # as tensor cores want it
    return network.to(device)


@dataclass(frozen=True)
class FeatureFacts:
    """What can be said of weights before they are used; the fields that FeatureNetwork has too mean the same.

    fetches: the address they have to be fetched from first, empty where they are at hand.
    """

    name: str
    weights: str
    is_random: bool
    layers: tuple[str, ...]
    assumed: str = ""
    fetches: str = ""


def describe_features(weights: Weights, seed: int = 0) -> FeatureFacts:
    """What `load_features` would make of these weights, without building it, fetching or drawing anything.

    Raises WeightsError as it does.
    """
    vgg19 = tuple(layer_of(name) for name in VGG19_USED)
    if weights == RANDOM:
        return FeatureFacts("vgg19", f"random, seed {seed}", True, vgg19)
    if weights == TORCHVISION:
        return FeatureFacts("vgg19", TORCHVISION, False, vgg19, fetches=to_be_fetched(weights))
    source = read_features(weights, seed)
    return FeatureFacts(source.name, source.weights, False, source.layers, source.assumed)


def mean_activations(network: FeatureNetwork, images: Tensor) -> dict[str, float]:
    """The mean of each layer's features over images, filters and positions."""
    with torch.no_grad():
        features = network(images, network.layers)
    return {name: float(each.mean(dtype=torch.float64)) for name, each in features.items()}


def to_bfloat16(network: FeatureNetwork) -> None:
    """Let all but the first convolution work in bfloat16; its input would lose an optimiser's small steps so."""
    for name, step in network.steps.items():
        if name != network.layers[0]:
            step.to(torch.bfloat16)
    network.precision = "bf16"


def _steps(source: FeatureWeights, pooling: str) -> dict[str, nn.Module]:
    made = _squeezenet_steps if source.name == "squeezenet1_1" else _vgg19_steps
    return made(source, pooling)


def _vgg19_steps(source: FeatureWeights, pooling: str) -> dict[str, nn.Module]:
    steps: dict[str, nn.Module] = {}
    block = 1
    for name, (weight, bias) in source.convolutions.items():
        if not name.startswith(f"conv{block}_"):
            steps[f"pool{block}"] = _Pool(pooling, 2, source.rounds_up)
            block += 1
        steps[layer_of(name)] = _Conv(weight, bias, padding=1, reflects=source.reflects)
    return steps


def _squeezenet_steps(source: FeatureWeights, pooling: str) -> dict[str, nn.Module]:
    """SqueezeNet 1.1: pooling after the first convolution and after the modules 3 and 5; none of these pads by zeros.

    torchvision's first convolution leaves out the last row and column of an even size, and what is made by gradients
    would keep them as they were; ours sees them, in a last window that one row of reflected pixels makes whole.
    """
    made = source.convolutions
    steps: dict[str, nn.Module] = {"relu1": _Conv(*made["conv1"], stride=2)}
    for name in source.layers[1:]:
        if name in ("fire2", "fire4", "fire6"):
            steps[f"pool_before_{name}"] = _Pool(pooling, 3, source.rounds_up)
        squeeze, expand1x1, expand3x3 = (made[f"{name}.{part}"] for part in FIRE_PARTS)
        steps[name] = _Fire(_Conv(*squeeze), _Conv(*expand1x1), _Conv(*expand3x3, padding=1))
    return steps


def _refuse_other(what: str, found: str, known: Iterable[str]) -> None:
    if found not in known:
        raise ConfigError(f"{what} is {found!r}: {' or '.join(known)} is expected.")
