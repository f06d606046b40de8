"""A scorer and pictures go in; class maps at the truth's size come out, by one of two named protocols.

paper: the picture is enlarged to the truth's size as uint8 with PIL's bilinear filter, and the network runs there: the
way of the script released with pix2pix (scripts/eval_cityscapes), with which the papers' numbers were made.
scorer-size: the picture is brought to the size that the scorer was trained at with the same filter, and the logits are
enlarged bilinearly to the truth's size: the way that a network trained on small photos is validated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cgeval.errors import ConfigError
from cgeval.images import Picture, resize
from cgeval.protocols.pictures_in import Size
from cgeval.scorers.scorer import Scorer, class_map
from cgeval.scorers.store import PROTOCOLS


@dataclass(frozen=True)
class Forward:
    """A scorer used by a protocol."""

    scorer: Scorer
    protocol: str
    device: torch.device

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"protocol is {self.protocol!r}, and {' or '.join(PROTOCOLS)} is expected.")

    def size_seen(self, truth_size: Size) -> Size:
        """Width and height at which the network runs."""
        return truth_size if self.protocol == "paper" else self.scorer.info.size_px

    def prepare(self, picture: Picture, truth_size: Size) -> Picture:
        """uint8 [h, w, 3] at the size that the network sees."""
        return resize(picture, *self.size_seen(truth_size), "bilinear")

    @torch.inference_mode()
    def run(self, prepared: Sequence[Picture], truth_size: Size) -> list[NDArray[np.uint8]]:
        """The class map uint8 [height, width] of each; outputs beyond the scored classes are void.

        Raises ConfigError where the device has too little memory, or is Apple's and lacks what the network needs.
        """
        try:
            return self._class_maps(prepared, truth_size)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error):
                raise ConfigError(self._out_of_memory(prepared)) from None
            if self.device.type == "mps":  # for which torch lacks some operations
                reason = " ".join(str(error).split()).rstrip(".")
                raise ConfigError(f"the scorer cannot run on 'mps' ({reason:.160}): use --device cpu.") from None
            raise

    def _class_maps(self, prepared: Sequence[Picture], truth_size: Size) -> list[NDArray[np.uint8]]:
        images = torch.from_numpy(np.stack(prepared)).permute(0, 3, 1, 2).contiguous()
        classes = len(self.scorer.info.labels.classes)
        return [class_map(logits, truth_size, classes) for logits in self.scorer.logits(images.to(self.device))]

    def _out_of_memory(self, prepared: Sequence[Picture]) -> str:
        height, width = prepared[0].shape[:2]
        advice = "give a smaller --batch-size, or --device cpu" if len(prepared) > 1 else "use --device cpu"
        return (
            f"the memory of {str(self.device)!r} does not suffice for a --batch-size of {len(prepared)} at "
            f"{width} x {height} px: {advice}."
        )
