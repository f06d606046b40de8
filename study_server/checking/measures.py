"""The pixels of one picture go in; numbers come out: JPEG's grid and its steps, borders, sharpness, colours, levels.

A picture is uint8 [h, w, 3] sRGB; its grey is float32 [h, w] in 0 .. 255, as `luma` makes it.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from cgeval.images import Picture, distinct_colours

Luma = NDArray[np.float32]

BLOCK = 8
GRID_CROP = 256  # pixels, from the middle
GRID_SMALLEST = 48  # pixels; below, a grid has too few blocks to be told from chance
GRID = 0.05  # `jpeg_grid`'s lead from which an image has the grid; its docstring says why
STEP_CUT = 20  # grey levels, so that the picture's own edges count little among the blocks'

EVEN = 8  # grey levels that a constant frame may vary by, since JPEG ripples it
GREY = 2  # levels that the channels of a grey picture may differ by, since JPEG tints it
FEW_COLOURS = 256
ENOUGH_PIXELS = 4096  # fewer have few colours by themselves
COARSE = 0.6  # share of the levels between darkest and lightest that occur; 613 photos measured have 0.79 and more


def digest(picture: Picture) -> str:
    """SHA-256 of the size and the pixels, whatever the file they came in."""
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()


def luma(picture: Picture) -> Luma:
    """The grey that JPEG makes of sRGB (ITU-T T.871)."""
    return picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def middle(grey: Luma) -> Luma:
    """The 256 pixels in the middle of each side, or all where there are fewer: enough to find a grid in."""
    top, left = (max(0, (length - GRID_CROP) // 2) for length in grey.shape)
    return grey[top : top + GRID_CROP, left : left + GRID_CROP]


def jpeg_grid(grey: Luma) -> tuple[float, tuple[int, int]]:
    """By how much one of the 64 ways to lay a grid of 8x8 blocks leads the next best, and its row and column.

    JPEG rounds most of a block's 64 cosine coefficients to zero. Decoded, they still are about zero when the blocks
    are cut where JPEG cut them, and nowhere else: the share of |coefficient| < 1/2 has one sharp peak among the 64
    grids. (Counting such zeros to find a grid: Nikoukhah et al. 2021, IPOL 11; the lead over the runner-up is ours.)
    It finds a JPEG in a PNG, cropped or not, and no resized one. At least 16 pixels either way.

    Leads measured on the middle 256 pixels. Once JPEG: CamVid's 701 photos (quality 90) 0.14 .. 0.29; 176 of them
    resized to 256 pixels and saved at quality 98 0.06 .. 0.12, 95 0.12 .. 0.23, 75 0.16 .. 0.28, 30 0.13 .. 0.24; 840
    of 860 files of horse2zebra 0.05 .. 0.34, the rest, all but one of quality 99 and 100, down to 0.00; those resized
    to 48 pixels and saved at 90 0.10 .. 0.34. Never, or no more: 4,712 photos resized by bicubic and Lanczos to 64 ..
    512 pixels, at most 0.040 (99 % below 0.011); noise, enlarged noise, photos enlarged 2 to 8 times, label maps,
    Gatys transfers, patterns of period 2, 4 and 8 as transposed convolutions leave them, at most 0.034. The exceptions
    repeat pixels: 4 of 87 photos enlarged twice by nearest, up to 0.10, and most of those enlarged eight times, which
    are blocks indeed. Hence GRID = 0.05.
    """
    zeros = _small_coefficients(grey)
    share = np.array([[zeros[row::BLOCK, column::BLOCK].mean() for column in range(BLOCK)] for row in range(BLOCK)])
    second, best = np.sort(share, axis=None)[-2:]
    row, column = np.unravel_index(share.argmax(), share.shape)
    return float(best - second), (int(row), int(column))


def block_step(grey: Luma, origin: tuple[int, int]) -> float:
    """Mean height in grey levels of the steps at a grid's edges, beyond those elsewhere; about 0 without blocks.

    A step of height h has an absolute third difference of 2h, and of h beside it, which counts as elsewhere: 6/7 h are
    told. Medians measured at 256 pixels: quality 98 0.02, 95 0.3, 92 0.6, 90 0.7, 85 1.0, 75 1.4, 50 1.9, 30 2.4;
    CamVid's photos 0.6, horse2zebra's 0.15. Enlarged three times, we saw nothing at 90, a little at 75, and blocks at
    50. Softer pictures show more: photos blurred by an enlargement, with a little noise, have 1.4 at quality 95.
    """
    heights = []
    for rows, first in ((grey, origin[0]), (grey.T, origin[1])):
        steps = np.minimum(np.abs(np.diff(rows, n=3, axis=0)), STEP_CUT).mean(axis=1)
        # Step i lies between rows i + 1 and i + 2; a block begins at each row first + 8k.
        at_edges = (np.arange(len(steps)) + 2 - first) % BLOCK == 0
        heights.append(float(steps[at_edges].mean() - steps[~at_edges].mean()) / 2)
    return sum(heights) / 2


def sharpness(grey: Luma) -> float:
    """Fine detail in grey levels: the root mean square of what a 3x3 binomial blur takes away."""
    down = (grey[:-2] + 2 * grey[1:-1] + grey[2:]) / 4
    blurred = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 4
    return float(np.sqrt(np.mean(np.square(grey[1:-1, 1:-1] - blurred)))) if blurred.size else 0.0


def border(grey: Luma) -> int:
    """Pixels of a constant frame: on two opposite edges at least, the thinner of the two; 0 without.

    One edge alone is no frame: the sky is often white.
    """
    pairs = ((grey, grey[::-1]), (grey.T, grey.T[::-1]))
    return max(min(_constant_rows(one), _constant_rows(other)) for one, other in pairs)


def is_grey(picture: Picture) -> bool:
    """Are the three channels the same, but for JPEG's rounding?"""
    red, green, blue = (picture[..., channel] for channel in range(3))
    apart = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return int(apart.max()) <= GREY


def is_coarse(picture: Picture) -> bool:
    """Has it few colours, or gaps between its levels, as palettes and 5-bit colours leave? False below 4096 pixels."""
    if picture.shape[0] * picture.shape[1] < ENOUGH_PIXELS:
        return False
    if distinct_colours(picture) <= FEW_COLOURS:
        return True
    present = [np.unique(picture[..., channel]).tolist() for channel in range(3)]
    return all(len(levels) <= COARSE * (levels[-1] - levels[0] + 1) for levels in present)


def _small_coefficients(grey: Luma) -> NDArray[np.float64]:
    """[h - 7, w - 7]: the share of small cosine coefficients in the block that begins at each pixel."""
    windows = np.lib.stride_tricks.sliding_window_view
    down = windows(grey, BLOCK, axis=0) @ COSINES.T
    small = np.zeros((down.shape[0], down.shape[1] - BLOCK + 1))
    for frequency in range(BLOCK):  # one at a time: all at once would hold 64 numbers for each pixel
        both = windows(down[..., frequency], BLOCK, axis=1) @ COSINES.T
        small += (np.abs(both) < 0.5).sum(axis=-1)
    return small / BLOCK**2


def _cosines() -> NDArray[np.float32]:
    """The orthonormal DCT-II of 8 samples, one row a frequency (ITU-T T.81, A.3.3)."""
    frequency, sample = np.mgrid[:BLOCK, :BLOCK]
    rows = np.cos((2 * sample + 1) * frequency * np.pi / (2 * BLOCK)) / 2
    rows[0] /= np.sqrt(2)
    cosines: NDArray[np.float32] = rows.astype(np.float32)
    return cosines


COSINES = _cosines()


def _constant_rows(grey: Luma) -> int:
    """How many rows from the first on are all of one level, its own, give or take."""
    unlike = np.abs(grey - np.median(grey[0])).max(axis=1) > EVEN / 2
    return int(unlike.argmax()) if unlike.any() else len(grey)
