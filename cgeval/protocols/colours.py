"""A photo that a network drew as a label map goes in; the label of each pixel, by the nearest colour, comes out.

The paper scores photo -> labels so, and the script was never released. What it left open is named here: the metric
(L1 and L2 disagree on one in seven of all colours) and the palette.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import ConfigError
from cgeval.labels import LabelSet

Metric = Literal["L1", "L2"]
Choice = Literal["scored", "all"]
MOST_COLOURS = 256
PIXELS_AT_ONCE = 1 << 15  # the five rows of numbers that are worked on then stay in the processor's cache


def palette(labels: LabelSet, choice: Choice) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Colours uint8 [C, 3] to compare with, and the class of each, uint8 [C].

    Each colour comes once, in the order of the set, and means what the first label of that colour means. scored: only
    colours that mean a scored class; labels that share a class may have several. all: every colour; one may mean void
    (K). Raises ConfigError for more than 256 colours.
    """
    first = {label.colour: label.id for label in reversed(labels.labels)}
    in_order = [label for label in labels.labels if first[label.colour] == label.id]
    classes = labels.class_map(np.array([[label.id for label in in_order]], dtype=np.int64))[0]
    kept = classes < len(labels.classes) if choice == "scored" else np.ones(len(classes), dtype=bool)
    if kept.sum() > MOST_COLOURS:
        raise ConfigError(
            f"label set {labels.name!r} has {kept.sum()} colours, and up to {MOST_COLOURS} can be told apart."
        )
    colours = np.array([label.colour for label in in_order], dtype=np.uint8)
    return colours[kept], classes[kept]


def classify_colours(image: NDArray[np.uint8], colours: NDArray[np.uint8], metric: Metric = "L2") -> NDArray[np.uint8]:
    """uint8 [h, w]: for each pixel of uint8 [h, w, 3] the index of the nearest of the colours uint8 [C, 3].

    L2 compares sums of squared differences of the three channels, L1 of absolute ones; both are exact, and of
    colours equally near the first counts.
    """
    pixels = image.reshape(-1, 3)
    nearest = np.empty(len(pixels), dtype=np.uint8)
    for start in range(0, len(pixels), PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        nearest[part] = _nearest(pixels[part].T.astype(np.int32, order="C"), colours.astype(np.int32), metric)
    return nearest.reshape(image.shape[:2])


def _nearest(channels: NDArray[np.int32], colours: NDArray[np.int32], metric: Metric) -> NDArray[np.int32]:
    """Index of the nearest colour for channels int32 [3, n].

    Distance and index share one number, distance * C + index, below 2**26: its least value names the nearest colour
    and settles ties. A plain loop, since it is as fast as a matrix product and never waits for threads.
    """
    count = len(colours)
    best = np.full(channels.shape[1], np.iinfo(np.int32).max, dtype=np.int32)
    total, term = np.empty_like(best), np.empty_like(best)
    for index, colour in enumerate(colours):
        total.fill(0)
        for channel, level in zip(channels, colour, strict=True):
            np.subtract(channel, level, out=term)
            if metric == "L2":
                np.multiply(term, term, out=term)
            else:
                np.abs(term, out=term)
            np.add(total, term, out=total)
        np.multiply(total, count, out=total)
        np.add(total, index, out=total)
        np.minimum(best, total, out=best)
    index_of_best: NDArray[np.int32] = best % count
    return index_of_best
