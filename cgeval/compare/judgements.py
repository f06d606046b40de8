"""A study's record goes in; what people did comes out: the rate of each participant, the judgements of each image.

Both stand in the record's `extra`, where the study wrote them; of a record without them nothing is known, which is no
mistake.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import RecordError
from cgeval.records import Record

PARTICIPANTS, IMAGES = "per_participant", "per_image"
RATE_DIFFERS = 1e-3  # further from the mean of its participants, a rate is another number than theirs


@dataclass(frozen=True)
class Judged:
    """An image. fooled: how often it was taken for real, of so many judgements."""

    fooled: int
    judgements: int

    @property
    def rate(self) -> float:
        """The share of judgements that it fooled."""
        return self.fooled / self.judgements


def rates_of_participants(record: Record, folder: Path) -> NDArray[np.float64] | None:
    """float64 [participants], fractions; None where the record has none, or is no mean of them.

    folder: of the study. Raises RecordError for what is no list of fractions.
    """
    content = record.extra.get(PARTICIPANTS)
    if content is None:
        return None
    if not isinstance(content, list) or not all(_is_number(each) and 0 <= each <= 1 for each in content):
        raise RecordError(
            f"{PARTICIPANTS} of {record.image_set} in {folder} is no list of fractions from 0 to 1: evaluate the study "
            "again."
        )
    rates = np.array(content, dtype=np.float64)
    return rates if len(rates) > 1 and abs(rates.mean() - record.value) <= RATE_DIFFERS else None


def judged_images(record: Record, folder: Path) -> dict[str, Judged] | None:
    """By the image's id in the set that was judged, those that were judged at all; None where the record has none.

    folder: of the study. Raises RecordError for what is no pair of whole numbers.
    """
    content = record.extra.get(IMAGES)
    if content is None:
        return None
    if not isinstance(content, Mapping):
        raise RecordError(f"{IMAGES} of {record.image_set} in {folder} is no mapping of ids: evaluate the study again.")
    for image_id, pair in content.items():
        if not _is_pair(pair):
            raise RecordError(
                f"{IMAGES} of {record.image_set} in {folder} has {pair!r:.60} for {image_id!r}, and [fooled, "
                "judgements] in whole numbers is expected: evaluate the study again."
            )
    return {image_id: Judged(*pair) for image_id, pair in content.items() if pair[1] > 0}


def _is_pair(pair: object) -> bool:
    """[fooled, judgements], the first no more than the second."""
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    return all(isinstance(each, int) and not isinstance(each, bool) for each in pair) and 0 <= pair[0] <= pair[1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
