"""Confusion matrices go in; per-pixel accuracy, per-class accuracy and class IoU come out, as fractions.

With n_tp pixels of true class t predicted as p: pixel accuracy = sum_t n_tt / sum_tp n_tp, class accuracy = mean over t
of n_tt / sum_p n_tp, class IoU = mean over t of n_tt / (sum_p n_tp + sum_p n_pt - n_tt) (Long et al. 2015, arXiv
1411.4038, section 5; "pixel acc.", "mean acc.", "mean IU"). What a class counts that has a denominator of 0 is said by
the convention:

reference    it counts 0, as in the evaluation script that was released with pix2pix, which adds 1e-12 to denominators
             (we leave that out: a perfect prediction is exactly 1, and no score moves by more than 1e-12)
cityscapes   it is left out of the mean, as in cityscapesScripts' evalPixelLevelSemanticLabeling; for the IoU that is a
             class neither true nor predicted, for the accuracy a class that is not true

Pixels whose truth is void count nowhere. A pixel predicted as void is wrong: it is in its true class's row and in no
class's column, as ignored labels are in cityscapesScripts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import ConfigError, DataError

CONVENTIONS = ("reference", "cityscapes")
METRICS = ("pixel_accuracy", "class_accuracy", "class_iou")
WORDS = {"pixel_accuracy": "per-pixel accuracy", "class_accuracy": "per-class accuracy", "class_iou": "class IoU"}

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class SegmentationScores:
    """Fractions. pixel_accuracy, class_accuracy, class_iou: float64 [...]; accuracies, ious: float64 [..., K].

    Under "cityscapes" accuracies and ious are nan where the class has no value; under "reference" they are 0 there.
    """

    convention: str
    pixel_accuracy: Scores
    class_accuracy: Scores
    class_iou: Scores
    accuracies: Scores
    ious: Scores


def segmentation_scores(counts: NDArray[np.int64], convention: str) -> SegmentationScores:
    """Scores of each matrix: int64 [..., K + 1, K + 1], rows = truth, columns = prediction, void last.

    Raises ConfigError for an unknown convention, DataError for another shape or a matrix without a scored pixel.
    """
    sums = class_sums(counts)
    empty = int(np.count_nonzero(sums[..., 1, :].sum(axis=-1) == 0))
    if empty:
        where = f"{empty} of {counts[..., 0, 0].size} confusion matrices have" if counts.ndim > 2 else "the images have"
        raise DataError(f"{where} no pixel that is scored: is the truth all void, or is the label set another one?")
    return scores_of_sums(sums, convention)


def class_sums(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [..., 3, K]: of each class the pixels that are right, true, and predicted (where the truth is scored).

    All that the scores need of a matrix; sums of matrices have the sums of these. Raises DataError for another shape.
    """
    shape, kind = counts.shape, counts.dtype.kind
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < 2 or kind not in "iu":
        raise DataError(f"counts are {counts.dtype} {list(shape)}: whole numbers [..., K + 1, K + 1] are expected.")
    right = np.diagonal(counts, axis1=-2, axis2=-1)[..., :-1]
    true = counts[..., :-1, :].sum(axis=-1)
    predicted = counts[..., :-1, :-1].sum(axis=-2)
    return np.stack([right, true, predicted], axis=-2)


def scores_of_sums(sums: NDArray[Any], convention: str) -> SegmentationScores:
    """The scores of `class_sums`, as whole numbers of any type; nan where nothing is scored. Raises ConfigError."""
    if convention not in CONVENTIONS:
        raise ConfigError(f"no convention {convention!r} for absent classes: name one of {', '.join(CONVENTIONS)}.")
    absent = 0.0 if convention == "reference" else np.nan
    right, true, predicted = sums[..., 0, :], sums[..., 1, :], sums[..., 2, :]
    accuracies = _share(right, true, absent)
    ious = _share(right, true + predicted - right, absent)
    pixel_accuracy = _share(right.sum(axis=-1), true.sum(axis=-1), np.nan)
    nothing = np.isnan(pixel_accuracy)
    class_accuracy, class_iou = (np.where(nothing, np.nan, _mean_of_known(values)) for values in (accuracies, ious))
    return SegmentationScores(convention, pixel_accuracy, class_accuracy, class_iou, accuracies, ious)


def _share(part: NDArray[Any], whole: NDArray[Any], absent: float) -> Scores:
    shares = np.full(part.shape, absent)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _mean_of_known(values: Scores) -> Scores:
    """Mean over the last axis of what is not nan; nan where all is."""
    known = ~np.isnan(values)
    return _share(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1), np.nan)
