"""The name or the file of a feature network's weights goes in; its convolutions come out, ready for 0..255 RGB images.

Kinds of files are told by their keys and shapes. What a network was trained to see (order of channels, mean, scale) is
folded into its first convolution, so that all of them take the same images with one subtraction.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cgeval.errors import DownloadError, WeightsError
from cgeval.files import sha256_file
from cgeval.networks.segmenters import read_state
from cgeval.networks.weights import fetch, refuse_another, weights_folder

TORCHVISION, RANDOM = "torchvision", "random"
TORCHVISION_ADDRESS = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # VGG19_Weights.IMAGENET1K_V1
TORCHVISION_DIGITS = "dcbb9e9d"
CAFFE_DIGITS = "d01eb7cb"  # of vgg19-d01eb7cb.pth: Oxford's weights under torchvision's keys, for neural-style-pt
SQUEEZENET_DIGITS = "b8a52dc0"  # of torchvision's squeezenet1_1-b8a52dc0.pth

# VGG-19 (Simonyan and Zisserman 2015, table 1, column E), as far as style transfer looks.
_BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
VGG19_WIDTHS = {f"conv{b}_{i}": width for b, block in enumerate(_BLOCKS, 1) for i, width in enumerate(block, 1)}
VGG19_USED = tuple(VGG19_WIDTHS)[: tuple(VGG19_WIDTHS).index("conv5_1") + 1]
# Where they stand in torchvision's `features`, and in the normalised file: there each has its padding before it.
_AT_TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
_AT_NORMALISED = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)

# SqueezeNet 1.1: where each fire module stands in `features`; the outputs of its squeeze, and of each of its expands.
_FIRES = {
    3: (16, 64),
    4: (16, 64),
    6: (32, 128),
    7: (32, 128),
    9: (48, 192),
    10: (48, 192),
    11: (64, 256),
    12: (64, 256),
}
FIRE_PARTS = ("squeeze", "expand1x1", "expand3x3")
SMALLEST_DETERMINANT = 1e-9
KNOWN_KINDS = (
    "VGG-19 with torchvision's names (features.0.weight, or 0.weight) or the authors' notebook's (conv1_1.weight), "
    "Gatys' normalised VGG-19 (0.weight a 1x1 convolution) or SqueezeNet 1.1 (features.3.squeeze.weight)"
)
EXPECTED = "torchvision, random or the path of a file of weights is expected"


class Seen(NamedTuple):
    """What a network was trained to see: `scale` x (RGB in 0..255 - mean), its channels in RGB or in BGR order."""

    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    order: str


AS_TORCHVISION = Seen((123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375), "RGB")
AS_CAFFE = Seen((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), "BGR")
AS_PORTED = AS_CAFFE._replace(order="RGB")


@dataclass(frozen=True)
class FeatureWeights:
    """Convolutions by name, in their order, for RGB images in 0..255 from which `mean` was subtracted.

    name: "vgg19" or "squeezenet1_1". weights: how records name them. identity: the file's SHA-256, or "random-SEED".
    reflects: borders are padded by reflection, not by zeros. rounds_up: pooling keeps an incomplete last window.
    is_normalised: the file's kind promises mean activations of 1. assumed: what the file does not tell, in words.
    """

    name: str
    weights: str
    identity: str
    mean: tuple[float, float, float]
    convolutions: Mapping[str, tuple[Tensor, Tensor]]
    reflects: bool = False
    rounds_up: bool = False
    is_normalised: bool = False
    is_random: bool = False
    assumed: str = ""

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose features can be had, in their order."""
        return tuple(dict.fromkeys(layer_of(name) for name in self.convolutions))


def layer_of(convolution: str) -> str:
    """The layer that a convolution belongs to: conv1_1 -> relu1_1, fire2.squeeze -> fire2."""
    return convolution.partition(".")[0].replace("conv", "relu")


def read_features(weights: str, seed: int) -> FeatureWeights:
    """Of torchvision (fetched once), random (drawn from the seed), or of a file.

    Raises DownloadError where torchvision's cannot be had, WeightsError for a file that holds something else.
    """
    if weights == RANDOM:
        return random_vgg19(seed)
    if weights == TORCHVISION:
        place, identity = torchvision_file()
        return _recognised(_File(read_state(place), TORCHVISION, str(place), identity))
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(f"there is no file of weights {weights!r}: {EXPECTED}.")
    return _recognised(_File(read_state(path), path.name, str(path), sha256_file(path)))


def torchvision_place() -> Path:
    """Where torchvision's VGG-19 lies once it is fetched."""
    return weights_folder() / TORCHVISION_ADDRESS.rpartition("/")[2]


def to_be_fetched(weights: str) -> str:
    """The address that weights of this name have to be fetched from first; empty where they are at hand."""
    return TORCHVISION_ADDRESS if weights == TORCHVISION and not torchvision_place().is_file() else ""


def torchvision_file() -> tuple[Path, str]:
    """torchvision's VGG-19, fetched if it is not there, and its SHA-256."""
    place = torchvision_place()
    if not place.is_file():
        try:
            fetch(TORCHVISION_ADDRESS, TORCHVISION_DIGITS, place)
        except DownloadError as error:
            other = "or take other weights: --weights random, or --weights PATH"
            raise DownloadError(f"{str(error).removesuffix('.')}, {other}.") from None
    digest = sha256_file(place)
    if not digest.startswith(TORCHVISION_DIGITS):
        refuse_another(place, TORCHVISION_DIGITS)
    return place, digest


def random_vgg19(seed: int) -> FeatureWeights:
    """He et al.'s initialisation (arXiv 1502.01852, eq. 10), bias 0, the same to the bit on every machine.

    Uniform of that variance, not normal, and from a generator whose stream is frozen: so no function whose last digit
    differs from one mathematical library to the next has a part in it.
    """
    generator, width = np.random.RandomState(seed), 3
    convolutions = {}
    for name in VGG19_USED:
        outputs, fan_in = VGG19_WIDTHS[name], 9 * width
        drawn = (2 * generator.random_sample((outputs, width, 3, 3)) - 1) * math.sqrt(6 / fan_in)
        convolutions[name] = (torch.from_numpy(drawn.astype(np.float32)), torch.zeros(outputs))
        width = outputs
    folded = _folded(convolutions, AS_TORCHVISION)
    return FeatureWeights(
        "vgg19", f"random, seed {seed}", f"random-{seed}", AS_TORCHVISION.mean, folded, is_random=True
    )


class _File(NamedTuple):
    """A file of weights; weights: how records name it, where: how errors do."""

    state: Mapping[str, Tensor]
    weights: str
    where: str
    identity: str

    @property
    def prefix(self) -> str:
        """What stands before the numbers of a network's `features`."""
        return "features." if "features.0.weight" in self.state else ""


def _recognised(file: _File) -> FeatureWeights:
    """The convolutions of a file of any kind that is known."""
    state = file.state
    first = list(state[f"{file.prefix}0.weight"].shape) if f"{file.prefix}0.weight" in state else []
    if "conv1_1.weight" in state:
        return _notebook(file)
    if first == [3, 3, 1, 1]:
        return _normalised(file)
    if first == [64, 3, 3, 3]:
        return _squeezenet(file) if f"{file.prefix}3.squeeze.weight" in state else _torchvision(file)
    some = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in list(state.items())[:3]) or "nothing"
    more = f" and {len(state) - 3} more" if len(state) > 3 else ""
    raise WeightsError(f"{file.where} holds {some}{more}, where {KNOWN_KINDS} is expected.")


def _torchvision(file: _File) -> FeatureWeights:
    keys = {f"{file.prefix}{at}": name for at, name in zip(_AT_TORCHVISION, VGG19_WIDTHS, strict=True)}
    found = _taken(file, keys, _vgg19_shapes())
    seen = AS_CAFFE if file.identity.startswith(CAFFE_DIGITS) else AS_TORCHVISION
    told = file.identity.startswith((CAFFE_DIGITS, TORCHVISION_DIGITS))
    assumed = "" if told else "the input is scaled as for torchvision's own weights"
    return FeatureWeights("vgg19", file.weights, file.identity, seen.mean, _folded(found, seen), assumed=assumed)


def _notebook(file: _File) -> FeatureWeights:
    """vgg_conv.pth of leongatys/PytorchNeuralStyleTransfer."""
    found = _folded(_taken(file, {name: name for name in VGG19_WIDTHS}, _vgg19_shapes()), AS_CAFFE)
    return FeatureWeights("vgg19", file.weights, file.identity, AS_CAFFE.mean, found, is_normalised=True)


def _normalised(file: _File) -> FeatureWeights:
    """Gatys' normalised VGG-19 as it came from Lua Torch: a 1x1 convolution W x / 255 + b turns RGB into what it saw.

    That is W / 255 (x - mean) with mean = -255 W^-1 b. Its borders are reflected, which a mean leaves as they are.
    """
    keys = {"0": "turn"} | {str(at): name for at, name in zip(_AT_NORMALISED, VGG19_WIDTHS, strict=True)}
    found = _taken(file, keys, {"turn": [3, 3, 1, 1]} | _vgg19_shapes())
    turn, offset = (tensor.double() for tensor in found.pop("turn"))
    turn = turn.view(3, 3) / 255
    if turn.det().abs() < SMALLEST_DETERMINANT or "conv1_1" not in found:
        raise WeightsError(f"{file.where} is no whole VGG-19: its first convolution leads nowhere.")
    red, green, blue = (round(float(value), 4) for value in -torch.linalg.solve(turn, offset))
    weight, bias = found["conv1_1"]
    found["conv1_1"] = (torch.einsum("okyx,kc->ocyx", weight.double(), turn).float(), bias)
    return FeatureWeights(
        "vgg19",
        file.weights,
        file.identity,
        (red, green, blue),
        found,
        reflects=True,
        rounds_up=True,
        is_normalised=True,
    )


def _squeezenet(file: _File) -> FeatureWeights:
    """torchvision's, or a file of its keys without a classifier: from the Caffe original, RGB minus the mean."""
    keys, shapes, width = {f"{file.prefix}0": "conv1"}, {"conv1": [64, 3, 3, 3]}, 64
    for number, (at, (narrow, wide)) in enumerate(_FIRES.items(), 2):
        keys |= {f"{file.prefix}{at}.{part}": f"fire{number}.{part}" for part in FIRE_PARTS}
        sizes = ([narrow, width, 1, 1], [wide, narrow, 1, 1], [wide, narrow, 3, 3])
        shapes |= {f"fire{number}.{part}": size for part, size in zip(FIRE_PARTS, sizes, strict=True)}
        width = 2 * wide
    found = _taken(file, keys, shapes)
    whole = {name: pair for name, pair in found.items() if "." not in name or f"{layer_of(name)}.expand3x3" in found}
    told = file.identity.startswith(SQUEEZENET_DIGITS)
    seen = AS_TORCHVISION if told or any(key.startswith("classifier.") for key in file.state) else AS_PORTED
    whose = "torchvision's own weights" if seen is AS_TORCHVISION else "weights from the Caffe original, in RGB"
    return FeatureWeights(
        "squeezenet1_1",
        file.weights,
        file.identity,
        seen.mean,
        _folded(whole, seen),
        rounds_up=True,
        assumed="" if told else f"the input is scaled as for {whose}",
    )


def _vgg19_shapes() -> dict[str, list[int]]:
    widths = (3, *VGG19_WIDTHS.values())
    return {name: [widths[i + 1], widths[i], 3, 3] for i, name in enumerate(VGG19_WIDTHS)}


def _taken(file: _File, keys: Mapping[str, str], shapes: Mapping[str, list[int]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution that the file holds and style transfer looks at, by its name here.

    keys: the names here by those of the file, in their order. A file may end early, after any of them. Raises
    WeightsError for a gap, a foreign tensor, another shape, or what is no number.
    """
    own = {f"{key}.{part}" for key in keys for part in ("weight", "bias")}
    foreign = [name for name in file.state if name not in own and not name.startswith("classifier.")]
    if foreign:
        raise WeightsError(f"{file.where} is another network: {foreign[0]!r} has no place in {_kind(shapes)}.")
    last = max(i for i, key in enumerate(keys) if f"{key}.weight" in file.state)
    found = {}
    for key, name in list(keys.items())[: last + 1]:
        weight = _tensor(file, f"{key}.weight", shapes[name])
        bias = _tensor(file, f"{key}.bias", shapes[name][:1])
        if name in VGG19_USED or name not in VGG19_WIDTHS:
            found[name] = (weight, bias)
    return found


def _tensor(file: _File, name: str, shape: list[int]) -> Tensor:
    """One tensor in float32, checked."""
    tensor = file.state.get(name)
    if tensor is None:
        raise WeightsError(f"{file.where} holds a network with a gap: {name!r} is missing.")
    if list(tensor.shape) != shape:
        raise WeightsError(
            f"{file.where} is another network: {name!r} is {list(tensor.shape)}, and {shape} is expected."
        )
    tensor = tensor.float()
    if not all(bool(torch.isfinite(value)) for value in tensor.aminmax()):
        raise WeightsError(f"{file.where} is damaged: {name!r} holds numbers that are infinite or none.")
    return tensor


def _kind(shapes: Mapping[str, list[int]]) -> str:
    return "SqueezeNet 1.1" if "conv1" in shapes else "VGG-19"


def _folded(convolutions: Mapping[str, tuple[Tensor, Tensor]], seen: Seen) -> dict[str, tuple[Tensor, Tensor]]:
    """The same with a first convolution that takes RGB minus the mean; zeros at the border are zeros either way."""
    first, (weight, bias) = next(iter(convolutions.items()))
    rgb = weight.flip(1) if seen.order == "BGR" else weight
    scale = torch.tensor(seen.scale, dtype=torch.float64).view(1, 3, 1, 1)
    return {**convolutions, first: ((rgb.double() * scale).float().contiguous(), bias)}
