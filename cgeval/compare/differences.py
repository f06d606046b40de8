"""Numbers of several methods by one measure go in; the differences of any two come out, with intervals and p-values.

What each image contributed lies in the matrices behind a score, or in a record's `extra.per_image`. The images are
drawn once for all methods (`cgeval.metrics.resample_scores`), so that any two are paired. Holm's correction (Holm 1979)
is over all differences of a table.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.compare.comparison import Difference
from cgeval.compare.measures import ABSENT, FOOLING, SCORE, Measured, family
from cgeval.errors import RecordError
from cgeval.matrices import FOLDER, read_matrices
from cgeval.metrics import (
    CONVENTIONS,
    PairedDifference,
    Resampled,
    interval_name,
    paired_differences,
    resample_means,
    resample_scores,
)

RESAMPLES = 5000  # of 2000 no p-value is below 0.001, and Holm over 50 differences would never tell any from 0
OWN = "run"  # what a score calls the matrices of the images themselves
READERS = 4
MEAN_DIFFERS = 1e-3  # relative: further from the mean of its images, which may be rounded, a number is no mean of them


@dataclass(frozen=True, eq=False)
class PerImage:
    """What each image contributed. values: int64 [n, K + 1, K + 1] confusion matrices, or float64 [n] values."""

    ids: tuple[str, ...]
    values: NDArray[Any]

    def ordered_as(self, ids: tuple[str, ...]) -> NDArray[Any]:
        """The values in the order of these ids."""
        if ids == self.ids:
            return self.values
        place = {image_id: i for i, image_id in enumerate(self.ids)}
        return self.values[[place[image_id] for image_id in ids]]


def per_image(each: Measured) -> PerImage | None:
    """Of one number's images; None where nothing of that kind is kept. Raises RecordError for what is damaged."""
    if family(each.record.protocol) == SCORE:
        known = each.measure.convention.get(ABSENT) in CONVENTIONS
        return _matrices(each) if known and has_matrices(each) else None
    if family(each.record.protocol) == FOOLING:
        return None  # a rate is a mean over people, not over images
    values = each.record.extra.get("per_image")
    if len(each.records) > 1 or not isinstance(values, Mapping) or len(values) != each.record.n:
        return None
    return _values(each, values)


def has_matrices(each: Measured) -> bool:
    """Whether the matrices behind a score lie where its records say."""
    name = each.record.extra.get("matrices")
    return isinstance(name, str) and (each.folder / "records" / FOLDER / name).is_file()


@dataclass(frozen=True)
class Paired:
    """Numbers over the same images. resampled: by the subject's label; notes: on those that are not, and why."""

    resampled: Mapping[str, Resampled]
    notes: tuple[str, ...] = ()


def resample(group: Sequence[Measured]) -> Paired:
    """Of numbers by one measure; without those of which nothing is kept by image, or whose images have other ids.

    Raises RecordError for damaged files.
    """
    with ThreadPoolExecutor(READERS) as readers:
        found = list(readers.map(per_image, group))
    kept = [(each, images) for each, images in zip(group, found, strict=True) if images is not None]
    if not kept:
        return Paired({})
    (first, images), *_ = kept
    apart = [_other_ids(first, images, other, its_images) for other, its_images in kept]
    together = [pair for pair, why in zip(kept, apart, strict=True) if not why]
    values = [its_images.ordered_as(images.ids) for _, its_images in together]
    labels = [each.subject.label for each, _ in together]
    resampled = dict(zip(labels, _resampling(first)(values), strict=True))
    return Paired(resampled, tuple(why for why in apart if why))


def differences(resampled: Mapping[str, Resampled], to: str) -> dict[str, dict[str, PairedDifference]]:
    """Each method minus that of the label `to`, by label and metric; nothing where that one is not there."""
    if to not in resampled:
        return {}
    return {label: paired_differences(each, resampled[to]) for label, each in resampled.items() if label != to}


def corrected(found: Mapping[Any, PairedDifference]) -> dict[Any, Difference]:
    """The differences of a table with their p-values adjusted for all of them; the keys stay."""
    p_values = {key: each.p_value for key, each in found.items() if each.p_value is not None}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return {
        key: Difference(each.difference, each.low, each.high, each.p_value, adjusted.get(key))
        for key, each in found.items()
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the same order: the i-th smallest of m times m - i + 1, at most 1, at least the one before.

    Rejecting where the adjusted one is at most a keeps the chance of any wrong rejection at a (Holm 1979, "A simple
    sequentially rejective multiple test procedure").
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = least
    return adjusted


def about_differences(count: int) -> str:
    """How they are made, and how small their p-values can be at all. count: those that are corrected together.

    The smallest p of R resamples is 2 / (R + 1), two-sided; Holm multiplies the smallest of m by m.
    """
    least = 2 / (RESAMPLES + 1)
    return (
        f"Differences: paired {interval_name(RESAMPLES)}; with so many draws p cannot be below {least:.2g}, nor p by "
        f"Holm, over the {count} of this table, below {min(1.0, count * least):.2g}."
    )


def _matrices(each: Measured) -> PerImage:
    sets = read_matrices(each.folder, each.record)
    if OWN not in sets:
        raise RecordError(f"{_where(each)} has no matrices of {OWN!r} behind it: score the run again.")
    return PerImage(sets[OWN].ids, sets[OWN].matrices)


def _values(each: Measured, values: Mapping[str, Any]) -> PerImage | None:
    """None where the number is no mean of them."""
    try:
        content = np.array(list(values.values()), dtype=np.float64)
    except (TypeError, ValueError):
        raise RecordError(f"{_where(each)} has a per_image of something else than numbers: measure it again.") from None
    is_mean = abs(content.mean() - each.record.value) <= MEAN_DIFFERS * max(1e-12, abs(each.record.value))
    return PerImage(tuple(values), content) if is_mean else None


def _where(each: Measured) -> str:
    return f"{each.record.metric} of {each.record.image_set} in {each.folder}"


def _resampling(each: Measured) -> Callable[[Sequence[NDArray[Any]]], list[Resampled]]:
    if family(each.measure.protocol) == SCORE:
        return partial(resample_scores, convention=each.measure.convention[ABSENT], resamples=RESAMPLES)
    return partial(resample_means, name=each.measure.metrics[0], resamples=RESAMPLES)


def _other_ids(first: Measured, ours: PerImage, other: Measured, theirs: PerImage) -> str:
    """Why the two cannot be paired; "" where they can.

    Equal digests of the truth and different ids: the same images under other names, or alike by accident.
    """
    only = sorted(set(ours.ids) ^ set(theirs.ids))
    if not only:
        return ""
    return (
        f"{other.subject.label}, {other.measure.title}: no paired difference to {first.subject.label}, since "
        f"{len(only)} ids of images are in one of them only (such as {only[0]!r}), and ids pair images."
    )
