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
from torch.nn import functional as F

from cgeval.errors import ConfigError
from cgeval.images import Picture, resize
from cgeval.protocols.pictures_in import Size
from cgeval.scorers.scorer import Scorer
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
        """The class map uint8 [height, width] of each; outputs beyond the scored classes are void."""
        images = torch.from_numpy(np.stack(prepared)).permute(0, 3, 1, 2).contiguous()
        logits = self.scorer.logits(images.to(self.device))
        return [self._classes(each, truth_size) for each in logits]

    def _classes(self, logits: torch.Tensor, truth_size: Size) -> NDArray[np.uint8]:
        """One image at a time: at 2048 x 1024 the logits of nineteen classes are 160 MB."""
        width, height = truth_size
        if logits.shape[1:] != (height, width):
            logits = F.interpolate(logits[None], size=(height, width), mode="bilinear", align_corners=False)[0]
        best = logits.argmax(dim=0).clamp_(max=len(self.scorer.info.labels.classes))
        return best.to(torch.uint8).cpu().numpy()
