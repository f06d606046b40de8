"""A narrow VGG-19 drawn from a seed, calibrated as the real ones are: quick, deep and far from linear."""

import math

import numpy as np
import torch

from cgeval.gatys.settings import GatysSettings, load_settings
from cgeval.gatys.styles import Style, style_of
from cgeval.networks.calibration import noise_images, unit_scales
from cgeval.networks.feature_files import AS_CAFFE, FeatureWeights
from cgeval.networks.features import FeatureNetwork, mean_activations

WIDTHS = {"conv1_1": 8, "conv2_1": 12, "conv3_1": 16, "conv4_1": 16, "conv4_2": 16, "conv5_1": 20}


def small_vgg(pooling: str = "max", seed: int = 0, *, rounds_up: bool = True) -> FeatureNetwork:
    """Its layers are those of VGG-19 that style transfer looks at, with a few filters each."""
    generator, width = torch.Generator().manual_seed(seed), 3
    convolutions = {}
    for name, outputs in WIDTHS.items():
        weight = torch.randn(outputs, width, 3, 3, generator=generator) * math.sqrt(2 / (9 * width))
        convolutions[name] = (weight, 0.1 * torch.randn(outputs, generator=generator))
        width = outputs
    source = FeatureWeights("vgg19", "small", f"small-{seed}", AS_CAFFE.mean, convolutions, rounds_up=rounds_up)
    network = FeatureNetwork(source, pooling)
    network.rescale(unit_scales(mean_activations(network, noise_images()), "small"))
    return network


def pictures(count: int, height: int = 16, width: int = 20, seed: int = 0) -> np.ndarray:
    """uint8 [n, h, w, 3]: smooth patches with noise on them, no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (count, 4, 5, 3))
    smooth = coarse.repeat(-(-height // 4), axis=1).repeat(-(-width // 5), axis=2)[:, :height, :width]
    return (smooth + rng.integers(-25, 26, smooth.shape)).clip(0, 255).astype(np.uint8)


def quick(*changes: str) -> GatysSettings:
    """Settings with a dozen steps in two stages, unless the changes say otherwise."""
    return load_settings(changes=("stages=0.5:6,1:6", *changes))


def style(network: FeatureNetwork, settings: GatysSettings, seed: int = 99) -> Style:
    """Of a picture that is no content."""
    return style_of(network, pictures(1, 24, 24, seed)[0], settings.gram_keys, "strokes")
