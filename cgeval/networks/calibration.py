"""Mean activations of a network's layers over noise go in; the numbers that bring each of them to 1 come out.

Gatys et al. (CVPR 2016, section 2) scale the filters of VGG-19 to a mean activation of 1 over photos of ImageNet, and
the loss weights of their programs are meant for that. Here it is one number a layer, and noise with a spectrum like
that of photos, which every machine can make. How good that is, on four sets of 8 pictures of 256 px (streets, horses,
zebras, paintings), their mean taken: the layers of Gatys' own normalised file, left alone, are at 0.98 to 1.06, and had
the noise scaled them at 0.8 to 1.2; those of SqueezeNet 1.1, scaled by the noise, at 0.7 to 1.3, but for the last one,
fire9, which answers to objects more than to noise and is at 2.0. One set differs from another by up to 1.6 times.
"""

from collections.abc import Mapping
from statistics import geometric_mean

import numpy as np
import torch
from torch import Tensor

from cgeval.errors import WeightsError

SEED, IMAGES, SIDE_PX = 0, 4, 96
FALL = 1.3  # amplitudes fall as 1 / frequency ** FALL: of photos, by 1.2 +- 0.2 (Tolhurst et al. 1992)
# Grey levels of red, green and blue by what varies: brightness, blue against yellow, red against green.
MIXING = ((50.0, -11.0, 5.5), (50.0, 0.0, -5.5), (50.0, 14.5, 3.0))
MEAN = (123.68, 116.779, 103.939)  # of ImageNet
BELIEVED_WITHIN = 10.0  # VGG-19 as it was trained is above 100; average pooling lowers the deeper layers below 1


def unit_scales(means: Mapping[str, float], weights: str, *, is_normalised: bool = False) -> dict[str, float]:
    """By what to multiply each layer's features, from their means over `noise_images`.

    is_normalised: the file, named by `weights`, promises a mean of 1 over photos: it is left alone, unless the noise
    finds it far off that. Raises WeightsError where a layer gives nothing but zeros.
    """
    silent = [name for name, mean in means.items() if not mean > 0]
    if silent:
        raise WeightsError(f"{weights} is damaged: nothing comes out of its layer {silent[0]}.")
    if is_normalised and 1 / BELIEVED_WITHIN < geometric_mean(means.values()) < BELIEVED_WITHIN:
        return dict.fromkeys(means, 1.0)
    return {name: 1 / mean for name, mean in means.items()}


def noise_images() -> Tensor:
    """The noise: float32 [4, 3, 96, 96] in 0..255, the same on every machine but for rounding."""
    rows, columns = np.fft.fftfreq(SIDE_PX)[:, None], np.fft.rfftfreq(SIDE_PX)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # the mean is added below
    generator = np.random.RandomState(SEED)  # its stream is frozen, that of newer generators is not
    white = generator.standard_normal((IMAGES, 3, SIDE_PX, SIDE_PX))
    fallen = np.fft.irfft2(np.fft.rfft2(white) / frequency**FALL, s=(SIDE_PX, SIDE_PX))
    fallen /= fallen.std(axis=(2, 3), keepdims=True)
    rgb = np.einsum("co,nohw->nchw", np.array(MIXING), fallen) + np.array(MEAN)[:, None, None]
    return torch.from_numpy(rgb.clip(0, 255).astype(np.float32))
