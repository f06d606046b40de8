"""A scorer and labelled photos go in; one confusion matrix per photo comes out, and the scorer's own score of them.

The protocol is scorer-size: photos are brought to the scorer's size, its logits are enlarged to the truth's.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cgeval.metrics import METRICS, ConfusionMatrix, bootstrap_scores, interval_name, segmentation_scores
from cgeval.scorers.samples import Photos
from cgeval.scorers.scorer import Scorer, class_map

PROTOCOL, CONVENTION = "scorer-size", "cityscapes"


@torch.inference_mode()
def measure(scorer: Scorer, photos: Photos, batch_size: int) -> list[ConfusionMatrix]:
    """One matrix per photo at the size of its truth, by the protocol scorer-size: the logits are enlarged.

    photos: kept at the scorer's size, with class maps of their own size.
    """
    classes = len(scorer.info.labels.classes)
    matrices = []
    for start in range(0, len(photos), batch_size):
        pairs = [photos.at(place) for place in range(start, min(start + batch_size, len(photos)))]
        images = torch.from_numpy(np.stack([photo for photo, _ in pairs])).permute(0, 3, 1, 2).contiguous()
        for logits, (_, truth) in zip(scorer.logits(images), pairs, strict=True):
            prediction = class_map(logits, (truth.shape[1], truth.shape[0]), classes)
            matrices.append(ConfusionMatrix.of(truth, prediction, classes))
    return matrices


def own_scores(matrices: NDArray[np.int64]) -> dict[str, float]:
    """The three scores of matrices int64 [n, K + 1, K + 1], as fractions."""
    scores = segmentation_scores(matrices.sum(axis=0), CONVENTION)
    return {metric: float(getattr(scores, metric)) for metric in METRICS}


def own_record(matrices: NDArray[np.int64], split: str, photo_px: tuple[int, int] | None) -> dict[str, Any]:
    """The scorer's own score as its file holds it, with intervals; low and high are None where there is one photo.

    photo_px: width and height of the photos as they lie in the dataset, None where they differ.
    """
    intervals = bootstrap_scores(matrices, CONVENTION)
    scores: dict[str, Any] = {}
    for metric, value in own_scores(matrices).items():
        interval = intervals[metric]
        ends = {"low": interval.low, "high": interval.high} if interval else {"low": None, "high": None}
        scores[metric] = {"value": value, **ends}
    facts: dict[str, Any] = {"n": len(matrices), "split": split, "convention": CONVENTION, "protocol": PROTOCOL}
    facts |= {"photo_size_px": list(photo_px) if photo_px else None}
    return scores | facts | {"interval": interval_name()}
