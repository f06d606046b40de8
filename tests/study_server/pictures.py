"""Synthetic pictures for the tests of the check; each is made once."""

import io
from functools import cache

import numpy as np
from PIL import Image


@cache
def photo(seed: int, size: int = 64) -> np.ndarray:
    """A picture with about the spectrum of a soft photo (amplitude f ** -1.5) and some colour."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    frequency[0, 0] = 1
    shared = rng.normal(size=(size, size))
    noise = shared + 0.3 * rng.normal(size=(3, size, size))
    fields = np.fft.ifft2(np.fft.fft2(noise) / frequency**1.5).real
    fields -= fields.mean(axis=(1, 2), keepdims=True)
    levels = 110 + 45 * fields / fields.std(axis=(1, 2), keepdims=True)
    picture = np.ascontiguousarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8).transpose(1, 2, 0))
    picture.setflags(write=False)
    return picture


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture[4:-4, 4:-4], ((4, 4), (4, 4), (0, 0)))


def greyed(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture[..., :1], 3, axis=2)
