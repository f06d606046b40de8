"""The numbers of one column go in; the labels of those to mark come out: the best, and what is not told from it."""

from collections.abc import Mapping

from cgeval.metrics import Resampled, paired_differences
from cgeval.records import Record


def best(
    records: Mapping[str, Record], resampled: Mapping[str, Resampled], *, higher_is_better: bool
) -> frozenset[str]:
    """records: of one metric by label. resampled: where there is something by image, all over the same images.

    Told from the best is a number whose paired difference to it has a 95 % interval without 0 (bootstrap over images);
    where one of the two has nothing by image, a number whose own interval does not hold the best one. Nothing is
    marked in a column of one number, and without intervals only what is exactly as good.
    """
    if len(records) < 2:
        return frozenset()
    sign = 1 if higher_is_better else -1
    first = max(records, key=lambda label: sign * records[label].value)
    return frozenset(label for label in records if _is_as_good(label, first, records, resampled))


def _is_as_good(label: str, first: str, records: Mapping[str, Record], resampled: Mapping[str, Resampled]) -> bool:
    ours, theirs = records[label], records[first]
    if ours.value == theirs.value:
        return True
    if label in resampled and first in resampled:
        found = paired_differences(resampled[label], resampled[first])[ours.metric]
        low, high, held = found.low, found.high, 0.0
    else:
        low, high, held = ours.low, ours.high, theirs.value
    return low is not None and high is not None and low <= held <= high
