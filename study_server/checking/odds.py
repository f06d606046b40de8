"""What the images of two sides show goes in; how often a participant who looked at nothing else is right comes out.

A pair is one real and one fake image, each drawn at random, and the question is which is real: 0.5 is guessing.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

RARE = 0.05  # a size or format rarer than this among both sides is nobody's mark


@dataclass(frozen=True)
class ByAmount:
    """Share of pairs right by choosing the image with more (or with less) as real, with its 95 % interval."""

    right: float
    low: float
    high: float
    real_has_more: bool


def share(marks: Sequence[bool]) -> float:
    """Of the images that bear a mark; 0 where there are none."""
    return sum(marks) / len(marks) if marks else 0.0


def right_by_mark(real: Sequence[bool], fake: Sequence[bool]) -> float:
    """Share of pairs right by a mark that an image bears or not."""
    return 0.5 + abs(share(real) - share(fake)) / 2


def right_by_kind(real: Sequence[Hashable], fake: Sequence[Hashable]) -> float:
    """Share of pairs right by which kinds the two images are of: the best rule there is; rare kinds count as one."""
    total = Counter(real) + Counter(fake)
    common = [kind for kind in total if total[kind] >= RARE * (len(real) + len(fake))]
    p, q = _shares(real, common), _shares(fake, common)
    # Of kinds a and b, real a with fake b comes p_a q_b of the time and the reverse p_b q_a: the rule takes the larger.
    return 0.5 + float(np.triu(np.abs(np.outer(p, q) - np.outer(q, p))).sum()) / 2


def right_by_amount(real: Sequence[float], fake: Sequence[float]) -> ByAmount:
    """Share of pairs right by the amount of something, whichever way is right more often."""
    area, low, high = area_under_roc(real, fake)
    return ByAmount(area, low, high, True) if area >= 0.5 else ByAmount(1 - area, 1 - high, 1 - low, False)


def area_under_roc(real: Sequence[float], fake: Sequence[float]) -> tuple[float, float, float]:
    """Share of pairs in which the real image has more, ties halved, with its 95 % interval.

    That share is the area under the ROC curve; the interval is Hanley and McNeil's (Radiology 1982).
    """
    ordered, n, m = np.sort(np.asarray(fake)), len(real), len(fake)
    below, up_to = (np.searchsorted(ordered, real, side=side) for side in ("left", "right"))
    area = float((below + up_to).mean() / (2 * m))
    more_real, more_fake = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    variance = (area * (1 - area) + (n - 1) * more_real + (m - 1) * more_fake) / (n * m)
    half = 1.96 * sqrt(max(variance, 0.0))
    return area, max(area - half, 0.0), min(area + half, 1.0)


def _shares(kinds: Sequence[Hashable], common: Sequence[Hashable]) -> NDArray[np.float64]:
    """Of each common kind, and last of all others together."""
    counts = [sum(kind == one for kind in kinds) for one in common]
    return np.array([*counts, len(kinds) - sum(counts)]) / len(kinds)
