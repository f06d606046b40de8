"""Images are a sample too: the standard error of a rate when both participants and images might have been others."""

from dataclasses import dataclass

import numpy as np

from study_server.analysis.judgements import SCORED, Judgements

FEW_IMAGES = 200


@dataclass(frozen=True)
class TwoWay:
    """error: standard error over participants and images; images: how many were judged; few: too few to trust it."""

    error: float
    images: int

    @property
    def few(self) -> bool:
        """Whether there are under 200 images."""
        return self.images < FEW_IMAGES


def two_way(judgements: Judgements) -> TwoWay | None:
    """Of one arm's scored trials, about their pooled rate; None for one participant or one image.

    V = V_participants + V_images - V_both (Cameron, Gelbach, Miller 2011, "Robust inference with multiway clustering",
    equation 2.9), each a sum over clusters of squared sums of residuals, times G / (G - 1) for its G clusters. Where
    that is smaller than the larger of the two alone, the larger one is taken.
    """
    trials = judgements.of_phase(SCORED)
    if not len(trials):
        return None
    residuals = trials.fooled - trials.fooled.mean()
    both = trials.participant.astype(np.int64) * len(trials.images) + trials.image
    people, pictures, pairs = (_variance(codes, residuals) for codes in (trials.participant, trials.image, both))
    if people is None or pictures is None or pairs is None:
        return None
    variance = max(people[0] + pictures[0] - pairs[0], people[0], pictures[0])
    return TwoWay(float(np.sqrt(variance)), pictures[1])


def _variance(codes: np.ndarray, residuals: np.ndarray) -> tuple[float, int] | None:
    _, compact = np.unique(codes, return_inverse=True)
    sums = np.bincount(compact, residuals)
    groups = len(sums)
    if groups < 2:
        return None
    return float((sums**2).sum() / len(residuals) ** 2 * groups / (groups - 1)), groups
