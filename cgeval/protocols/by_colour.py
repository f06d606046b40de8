"""A picture of labels goes in; its class map at the truth's size comes out, by the nearest colour: photo -> labels.

The papers' own script for this direction was never released; its authors describe the nearest neighbour in colour
space and the same confusion matrix. What they left open is a setting here, and stands in every record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import ConfigError
from cgeval.images import Picture, resize
from cgeval.labels import LabelSet
from cgeval.protocols.colours import Choice, Metric, classify_colours, palette
from cgeval.protocols.pictures_in import Size

PLACES = ("output", "truth")


@dataclass(frozen=True)
class ByColour:
    """distance: L1 or L2; choice: the palette, of the scored classes or of all labels.

    classified_at: "output", the picture's own size, ids then enlarged by the nearest filter; or "truth", after the
    picture was brought to the truth's size by the bilinear one.
    """

    labels: LabelSet
    distance: Metric = "L2"
    choice: Choice = "scored"
    classified_at: str = "output"

    def __post_init__(self) -> None:
        if self.classified_at not in PLACES:
            raise ConfigError(f"colours are classified at {' or '.join(PLACES)} size, and not {self.classified_at!r}.")

    def prepare(self, picture: Picture, truth_size: Size) -> NDArray[np.uint8]:
        """The class map uint8 [height, width]; all is done here, where threads share the work."""
        if self.classified_at == "truth":
            picture = resize(picture, *truth_size, "bilinear")
        colours, classes = palette(self.labels, self.choice)
        found: NDArray[np.uint8] = classes[classify_colours(picture, colours, self.distance)]
        return resize(found, *truth_size, "nearest")

    def run(self, prepared: Sequence[NDArray[np.uint8]], truth_size: Size) -> list[NDArray[np.uint8]]:  # noqa: ARG002
        """The class maps as they are."""
        return list(prepared)
