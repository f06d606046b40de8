"""An image goes in; FCN-8s' scores of every class at every pixel come out. And its weights, from Caffe's layers.

The network of Long, Shelhamer and Darrell 2015 (arXiv 1411.4038) as pix2pix and CycleGAN score Cityscapes with it:
the layers, names, paddings and crop offsets of scripts/eval_cityscapes/caffemodel/deploy.prototxt in
junyanz/pytorch-CycleGAN-and-pix2pix. VGG-16 whose first convolution pads by 100, so that an image of any size leaves
something for the 7x7 of `fc6_cs`; the crops take away what that padding added.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cgeval.errors import WeightsError

OUTPUTS = 20  # the 19 train ids of Cityscapes, and one that was never trained for
WIDTH = 64
PARAMETERS = 134_473_084  # of the network with 20 outputs
FIRST_PADDING = 100
CROP_POOL4, CROP_POOL3, CROP_SCORE = 5, 9, 31
MOST_NAMES, MOST_SHAPES, MOST_LETTERS = 30, 3, 40  # in one sentence

Blobs = Mapping[str, tuple[NDArray[np.float32], ...]]  # the arrays of each of Caffe's layers
Shape = tuple[int, ...]


class FCN8s(nn.Module):
    """FCN-8s without dropout, for measuring.

    outputs: channels of scores. width: channels of the first convolution; the paper's is 64, and tests take less.
    Parameters are named as Caffe's layers, with .weight and .bias. Deconvolutions have no bias and no groups: each
    output sees all inputs, for the released ones were learned and are not the bilinear filters they often begin as.
    """

    def __init__(self, outputs: int = OUTPUTS, width: int = WIDTH) -> None:
        super().__init__()
        self.conv1_1 = nn.Conv2d(3, width, 3, padding=FIRST_PADDING)
        self.conv1_2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2_1 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.conv2_2 = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.conv3_1 = nn.Conv2d(2 * width, 4 * width, 3, padding=1)
        self.conv3_2 = nn.Conv2d(4 * width, 4 * width, 3, padding=1)
        self.conv3_3 = nn.Conv2d(4 * width, 4 * width, 3, padding=1)
        self.conv4_1 = nn.Conv2d(4 * width, 8 * width, 3, padding=1)
        self.conv4_2 = nn.Conv2d(8 * width, 8 * width, 3, padding=1)
        self.conv4_3 = nn.Conv2d(8 * width, 8 * width, 3, padding=1)
        self.conv5_1 = nn.Conv2d(8 * width, 8 * width, 3, padding=1)
        self.conv5_2 = nn.Conv2d(8 * width, 8 * width, 3, padding=1)
        self.conv5_3 = nn.Conv2d(8 * width, 8 * width, 3, padding=1)
        self.fc6_cs = nn.Conv2d(8 * width, 64 * width, 7)
        self.fc7_cs = nn.Conv2d(64 * width, 64 * width, 1)
        self.score_fr = nn.Conv2d(64 * width, outputs, 1)
        self.upscore2 = nn.ConvTranspose2d(outputs, outputs, 4, stride=2, bias=False)
        self.score_pool4 = nn.Conv2d(8 * width, outputs, 1)
        self.upscore_pool4 = nn.ConvTranspose2d(outputs, outputs, 4, stride=2, bias=False)
        self.score_pool3 = nn.Conv2d(4 * width, outputs, 1)
        self.upscore8 = nn.ConvTranspose2d(outputs, outputs, 16, stride=8, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Scores [n, outputs, h, w] of images [n, 3, h, w]: BGR on the scale 0 .. 255, less the mean, of any size.

        Without gradients and in the memory format channels_last, an image of 1024x2048 takes 1.4 GB on a CPU besides
        the weights' 0.5 GB (measured), nearly all of it for the two convolutions at full size.
        """
        pool2 = _stage(_stage(images, self.conv1_1, self.conv1_2), self.conv2_1, self.conv2_2)
        pool3 = _stage(pool2, self.conv3_1, self.conv3_2, self.conv3_3)
        pool4 = _stage(pool3, self.conv4_1, self.conv4_2, self.conv4_3)
        pool5 = _stage(pool4, self.conv5_1, self.conv5_2, self.conv5_3)
        deep = F.relu(self.fc7_cs(F.relu(self.fc6_cs(pool5))))
        upscore2 = self.upscore2(self.score_fr(deep))
        fuse_pool4 = upscore2 + _crop(self.score_pool4(pool4), upscore2, CROP_POOL4)
        upscore_pool4 = self.upscore_pool4(fuse_pool4)
        fuse_pool3 = upscore_pool4 + _crop(self.score_pool3(pool3), upscore_pool4, CROP_POOL3)
        return _crop(self.upscore8(fuse_pool3), images, CROP_SCORE)


def state_from_caffe(layers: Blobs, source: Path, outputs: int = OUTPUTS, width: int = WIDTH) -> dict[str, Tensor]:
    """The network's state of a .caffemodel's layers, sharing their memory.

    Biases may have four axes ([1, 1, 1, n]), as in old files. source: the file, for the sentence. Raises WeightsError
    naming everything that is missing, unexpected, of another shape or not finite.
    """
    shapes = _expected_shapes(outputs, width)
    problems = _wrong_layers(layers, shapes) or _wrong_values(layers)
    if problems:
        raise WeightsError(
            f"{source} is not FCN-8s with {outputs} outputs: {'; '.join(problems)}: fcn-8s-cityscapes.caffemodel is "
            "expected, whole."
        )
    state = {}
    for layer, tensors in shapes.items():
        for (name, shape), array in zip(tensors.items(), layers[layer], strict=True):
            state[f"{layer}.{name}"] = torch.from_numpy(array.reshape(shape))
    return state


def _stage(features: Tensor, *convolutions: nn.Conv2d) -> Tensor:
    """Convolutions with ReLU, then the larger of every 2x2; Caffe rounds up, so an odd last row counts alone."""
    for convolution in convolutions:
        features = F.relu(convolution(features), inplace=True)
    return F.max_pool2d(features, 2, 2, ceil_mode=True)


def _crop(scores: Tensor, like: Tensor, offset: int) -> Tensor:
    """The part of `scores` that lies `offset` from the top and the left and is as large as `like`."""
    height, width = like.shape[-2:]
    return scores[..., offset : offset + height, offset : offset + width]


def _expected_shapes(outputs: int, width: int) -> dict[str, dict[str, Shape]]:
    """The shapes of a layer's tensors, weight before bias, in the network's order; nothing is allocated."""
    with torch.device("meta"):
        network = FCN8s(outputs, width)
    return {
        layer: {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}
        for layer, module in network.named_children()
    }


def _wrong_layers(layers: Blobs, shapes: Mapping[str, Mapping[str, Shape]]) -> list[str]:
    """What is missing, unexpected, or of another shape, in words."""
    missing = [layer for layer in shapes if layer not in layers]
    unexpected = [layer for layer in layers if layer not in shapes]
    problems = [f"{_names(missing)} missing"] if missing else []
    problems += [f"{_names(unexpected)} unexpected"] if unexpected else []
    for layer, tensors in shapes.items():
        expected = list(tensors.values())
        found = [_without_old_axes(array.shape, i) for i, array in enumerate(layers.get(layer, ()))]
        if layer in layers and found != expected:
            problems.append(f"{layer} {_shapes(found)} where {_shapes(expected)} is expected")
    return problems


def _without_old_axes(shape: Shape, place: int) -> Shape:
    """The shape of a bias, the second array of a layer, without the axes of length 1 that old files put before it."""
    return shape[-1:] if place == 1 and math.prod(shape[:-1]) == 1 else shape


def _wrong_values(layers: Blobs) -> list[str]:
    """Which layers have values that are infinite or undefined: their sum shows it, and takes no memory."""
    with np.errstate(invalid="ignore"):
        sums = {layer: [float(array.sum(dtype=np.float64)) for array in arrays] for layer, arrays in layers.items()}
    wrong = [layer for layer, values in sums.items() if not all(map(math.isfinite, values))]
    return [f"infinite or undefined values in {_names(wrong)}"] if wrong else []


def _names(layers: list[str]) -> str:
    short = (layer if len(layer) <= MOST_LETTERS else f"{layer[:MOST_LETTERS]}..." for layer in layers[:MOST_NAMES])
    shown = ", ".join(layer if layer.isprintable() and layer else repr(layer) for layer in short)
    return shown + _more(len(layers) - MOST_NAMES)


def _shapes(shapes: list[Shape]) -> str:
    shown = " and ".join("x".join(map(str, shape)) or "one number" for shape in shapes[:MOST_SHAPES])
    return shown + _more(len(shapes) - MOST_SHAPES)


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
