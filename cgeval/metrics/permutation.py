"""A confusion matrix goes in; the renaming of the predicted classes that would score best comes out.

A translator that paints trees where buildings belong and buildings where trees belong has learnt the classes and
swapped two: an unpaired loss cannot tell. The accuracy after the best renaming, beside the score, shows it. A
diagnostic only: it looks at the truth, so it is no score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cgeval.metrics.segmentation import class_sums, segmentation_scores


@dataclass(frozen=True)
class Permutation:
    """accuracy: pixel accuracy after the best renaming, a fraction; gain: by how much it is higher than before.

    mapping[p]: the true class that predicted class p is best read as. swapped: pairs i < j that are best read as each
    other; moved: (predicted, true) of every other class that is best read as another. Both tell only of classes that
    are predicted on pixels of the class they are read as.
    """

    accuracy: float
    gain: float
    mapping: tuple[int, ...]
    swapped: tuple[tuple[int, int], ...]
    moved: tuple[tuple[int, int], ...]


def best_permutation(counts: NDArray[np.int64]) -> Permutation:
    """Of int64 [K + 1, K + 1], rows = truth, columns = prediction, void last; what is predicted as void stays wrong.

    The assignment of predicted to true classes with the most right pixels (Kuhn 1955, through scipy); among equals the
    one that renames fewest, so absent classes keep their names. Raises DataError without a scored pixel.
    """
    from scipy.optimize import linear_sum_assignment

    before = float(segmentation_scores(counts, "reference").pixel_accuracy)
    scored = counts[:-1, :-1]
    worth = scored * (len(scored) + 1) + np.eye(len(scored), dtype=np.int64)  # a kept name breaks ties, never a count
    mapping = linear_sum_assignment(worth.T, maximize=True)[1]
    predicted = np.arange(len(scored))
    renamed = {int(p): int(mapping[p]) for p in predicted if mapping[p] != p and scored[mapping[p], p] > 0}
    swapped = tuple((p, t) for p, t in renamed.items() if p < t and renamed.get(t) == p)
    moved = tuple((p, t) for p, t in renamed.items() if renamed.get(t) != p)
    accuracy = float(scored[mapping, predicted].sum() / class_sums(counts)[1].sum())
    return Permutation(accuracy, accuracy - before, tuple(mapping.tolist()), swapped, moved)
