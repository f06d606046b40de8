"""A true and a predicted class map of one image go in; how often each pair of classes meets comes out, and adds.

Label maps are areas of one class, so the pairs are counted run by run: where neither map changes from one pixel to
the next, a whole run is one entry. Maps of noise are counted pixel by pixel. Both are exact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import DataError
from cgeval.labels import MOST_CLASSES

BAND = 1 << 19  # pixels looked at together: few enough that what is made of them needs no fresh pages of memory
CHUNK = 1 << 16  # pixels whose codes stay in the processor's cache
CODES = 1 << 16  # what a code of 16 bits can be
LANES = 8  # interleaved histograms: of neighbours with one code, none waits for the other's increment
WORD = 8  # pixels of which one comparison of 64 bits tells whether a run begins in them


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Pixels by true and predicted class. counts: int64 [K + 1, K + 1], rows = truth, columns = prediction, void last.

    A value: it cannot be changed, and equal counts are equal matrices. The row of void is counted and never scored; a
    scored pixel predicted as void is wrong. Raises DataError for counts that cannot be such a matrix.
    """

    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        shape, kind = self.counts.shape, self.counts.dtype.kind
        if len(shape) != 2 or shape[0] != shape[1] or not 2 <= shape[0] <= MOST_CLASSES + 1 or kind not in "iu":
            raise DataError(
                f"a confusion matrix has {self.counts.dtype} {list(shape)}: whole numbers [K + 1, K + 1] are expected, "
                f"with K from 1 to {MOST_CLASSES}."
            )
        if self.counts.min() < 0:
            raise DataError(f"a confusion matrix counts {self.counts.min()} pixels: no count can be below 0.")
        own = self.counts.astype(np.int64)
        own.setflags(write=False)
        object.__setattr__(self, "counts", own)

    @classmethod
    def zero(cls, classes: int) -> Self:
        """The matrix of no pixel at all; with it sums begin."""
        return cls(np.zeros((classes + 1, classes + 1), dtype=np.int64))

    @classmethod
    def of(cls, truth: NDArray[Any], prediction: NDArray[Any], classes: int) -> Self:
        """Of one image: two class maps [h, w] of any integer type, 0 .. K - 1 the classes and K void; K = classes.

        Raises DataError for maps of different sizes, for what is no class map, and for values above K or below 0.
        """
        if not 1 <= classes <= MOST_CLASSES:
            raise DataError(f"{classes} classes are asked for: from 1 to {MOST_CLASSES} can be told apart.")
        true, predicted = _as_bytes(truth, classes, "truth"), _as_bytes(prediction, classes, "prediction")
        if true.shape != predicted.shape:
            raise DataError(_sizes_differ(true.shape, predicted.shape))
        size = classes + 1
        return cls(_count_pairs(true.ravel(), predicted.ravel(), size).reshape(size, size))

    @classmethod
    def total(cls, matrices: Iterable[Self]) -> Self:
        """The sum of one matrix or more; raises DataError for none, or where the numbers of classes differ."""
        return cls(stack(list(matrices)).sum(axis=0))

    @property
    def classes(self) -> int:
        """K, the number of scored classes."""
        return len(self.counts) - 1

    @property
    def scored_pixels(self) -> int:
        """Pixels whose true class is not void."""
        return int(self.counts[:-1].sum())

    def __add__(self, other: Self) -> Self:
        return type(self)(stack([self, other]).sum(axis=0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfusionMatrix) and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash(self.counts.tobytes())


def stack(matrices: Sequence[ConfusionMatrix]) -> NDArray[np.int64]:
    """int64 [n, K + 1, K + 1]: the counts of n images, in their order; DataError for none or for different K."""
    found = sorted({matrix.classes for matrix in matrices})
    if not found:
        raise DataError("no image was counted: at least one confusion matrix is expected.")
    if len(found) > 1:
        raise DataError(
            f"confusion matrices of {found[0]} and of {found[-1]} classes cannot be added: use one label set."
        )
    return np.stack([matrix.counts for matrix in matrices])


def _sizes_differ(truth: tuple[int, ...], prediction: tuple[int, ...]) -> str:
    return (
        f"the prediction is {prediction[1]} x {prediction[0]} px and the truth {truth[1]} x {truth[0]} px: bring the "
        "prediction to the truth's size, and never the truth to the prediction's, which would change the score."
    )


def _as_bytes(values: NDArray[Any], classes: int, name: str) -> NDArray[np.uint8]:
    """The class map, checked."""
    if values.dtype.kind not in "iu":
        raise DataError(f"the {name} holds {values.dtype} values: a class map of whole numbers is expected.")
    if values.ndim != 2:
        reason = ", so it may be a picture in colours" if values.ndim == 3 else ""
        raise DataError(
            f"the {name} has the shape {list(values.shape)}{reason}: a class map [height, width] is expected."
        )
    low = 0 if values.dtype.kind == "u" else int(values.min(initial=0))
    high = int(values.max(initial=0))
    if low < 0 or high > classes:
        found = low if low < 0 else high
        raise DataError(
            f"the {name} has the value {found}, and only 0 .. {classes - 1} (the classes) and {classes} (void) are "
            "expected: turn ids into classes with the label set first."
        )
    return values.astype(np.uint8, copy=False)


def _count_pairs(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], size: int) -> NDArray[np.int64]:
    """int64 [size * size]: how often truth t meets prediction p, at t * size + p; both flat, all values below size."""
    counts = np.zeros(size * size, dtype=np.int64)
    for start in range(0, len(truth), BAND):
        true, predicted = truth[start : start + BAND], prediction[start : start + BAND]
        words = _begins(true, predicted).view(np.uint64)
        some = words != 0
        if 2 * np.count_nonzero(some) <= len(words):
            counts += _count_runs(true, predicted, _places(words, some), size)
        else:
            counts += _count_pixels(true, predicted, size)
    return counts


def _begins(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether a run begins at each pixel, filled up with False to whole words."""
    n = len(truth)
    begins = np.zeros(-(-n // WORD) * WORD, dtype=np.bool_)
    begins[0] = True
    np.not_equal(truth[1:], truth[:-1], out=begins[1:n])
    begins[1:n] |= prediction[1:] != prediction[:-1]
    return begins


def _places(words: NDArray[np.uint64], some: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where in `words` the bytes are set, in order; only the words with `some` are looked into."""
    kept = np.flatnonzero(some)
    places = np.flatnonzero(words[kept].view(np.bool_))
    kept -= np.arange(len(kept))  # now: how many words before each were left out, and below: how many bytes
    kept *= WORD
    places += kept[places >> 3]  # the word of a byte; several times as fast as // WORD
    return places


def _count_runs(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], starts: NDArray[np.intp], size: int
) -> NDArray[np.int64]:
    """As _count_pairs; neither map changes between two starts."""
    lengths = np.empty(len(starts))
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1] = len(truth) - starts[-1]
    codes = _codes(truth[starts], prediction[starts], size)
    return np.bincount(codes, weights=lengths, minlength=size * size).astype(np.int64)  # exact up to 2 ** 53 pixels


def _count_pixels(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], size: int) -> NDArray[np.int64]:
    """As _count_pairs; each pixel by itself."""
    pairs = size * size
    lanes = LANES if LANES * pairs <= CODES else 1
    lane = np.tile(np.arange(lanes, dtype=np.uint16) * np.uint16(pairs), CHUNK // lanes)
    counts = np.zeros(lanes * pairs, dtype=np.int64)
    for start in range(0, len(truth), CHUNK):
        codes = _codes(truth[start : start + CHUNK], prediction[start : start + CHUNK], size)
        codes += lane[: len(codes)]
        counts += np.bincount(codes, minlength=lanes * pairs)
    total: NDArray[np.int64] = counts.reshape(lanes, pairs).sum(axis=0)
    return total


def _codes(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], size: int) -> NDArray[np.uint16]:
    codes = np.multiply(truth, size, dtype=np.uint16)
    codes += prediction
    return codes
