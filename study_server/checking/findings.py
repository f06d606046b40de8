"""Counts and shares of two sides go in; a finding, how bad it is, and the words to say it in come out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from study_server.checking.seen import ImagesSeen
from study_server.checking.sides import REAL

AWAY, HELP, WORD = 0.75, 0.55, 0.51  # share of pairs right by a tell alone, from which it counts
NAMED = 3  # names, sizes, ... told of a longer list


class Severity(StrEnum):
    """How bad a finding is, worst first. The first two make the check fail."""

    SPOILS = "spoils the study"
    GIVES_AWAY = "gives the answer away"
    MAY_HELP = "may help"
    NOTE = "note"

    @property
    def fails(self) -> bool:
        """To be mended before anybody is shown the images."""
        return self in {Severity.SPOILS, Severity.GIVES_AWAY}


@dataclass(frozen=True)
class Finding:
    """found: a sentence with the numbers; todo: what to do; right: share of pairs right by this alone, if known."""

    tell: str
    severity: Severity
    found: str
    todo: str
    right: float | None = None


def severity_at(right: float) -> Severity:
    """Three quarters right is where psychophysics puts the threshold of a choice between two."""
    return Severity.GIVES_AWAY if right >= AWAY else Severity.MAY_HELP if right >= HELP else Severity.NOTE


def right_alone(right: float) -> str:
    """A sentence on the share of pairs."""
    return f"Who looked at nothing else would be right in {right:.0%} of pairs (guessing: 50%)."


def images_of(side: ImagesSeen) -> str:
    """Either "real images" or, say, "images by cyclegan"."""
    return "real images" if side.name == REAL else f"images by {side.name}"


def marked_of(marks: Sequence[bool], side: ImagesSeen) -> str:
    """Such as "3 of 50 real images"; says so where the marks are those of a sample."""
    sampled = "" if len(marks) == len(side.images) else "sampled "
    return f"{sum(marks)} of {len(marks)} {sampled}{images_of(side)}"


def kinds_of(kinds: Sequence[str], side: ImagesSeen) -> str:
    """Such as "PNG (48), JPEG (2) among real images": the most frequent, and how many images are of others."""
    ranked = Counter(kinds).most_common()
    told = [f"{kind} ({count})" for kind, count in ranked[:NAMED]]
    others = [f"others ({sum(count for _, count in ranked[NAMED:])})"] if len(ranked) > NAMED else []
    return f"{', '.join(told + others)} among {images_of(side)}"


def some(texts: Sequence[str], between: str = ", ") -> str:
    """The first few, and how many more there are."""
    rest = len(texts) - NAMED
    return between.join(texts[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
