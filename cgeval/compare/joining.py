"""Subjects go in; two runs of a method that knows one direction come out as one subject, which has both.

A run of CycleGAN translates both ways; of pix2pix each direction is a training of its own. So a row has the images and
numbers of one run in one direction and those of another in the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from cgeval.compare.comparison import Subject
from cgeval.compare.settings import differing
from cgeval.runs import Run

ONE_WAY = ("pix2pix",)  # methods by what stands before a colon, in small letters
MAY_DIFFER = ("direction", "source", "data.path", "compute.", "checkpoints.", "logging.")
MOST_NAMED = 5  # settings of a sentence


def joined(subjects: Sequence[Subject]) -> list[Subject]:
    """The subjects in their order, each pair at the place of its first.

    Two runs are a pair if they are the only ones of their method, one in each direction; of more, two that were made by
    the same settings, if no third was. label: still the method's alone.
    """
    found = list(subjects)
    able = sorted(filter(_is_half, subjects), key=lambda each: each.label)
    for _, alike in groupby(able, key=lambda each: each.label):
        for pair in _pairs(list(alike)):
            first, second = sorted(pair, key=subjects.index)
            found = [_whole(first, second) if each is first else each for each in found if each is not second]
    return found


def joined_lines(subjects: Iterable[Subject]) -> list[str]:
    """A sentence on each subject whose two runs were not made alike: which differs from which, and in what."""
    return [
        f"{subject.label} is of two runs, {' and '.join(str(run.path) for run in subject.runs)}, made with another "
        f"{_few(keys)}."
        for subject in subjects
        for keys in [_unlike(subject.runs)]
        if keys
    ]


def _is_half(subject: Subject) -> bool:
    method = subject.run.info.method.partition(":")[0].lower()
    return method in ONE_WAY and len(subject.sets) == 1


def _pairs(alike: Sequence[Subject]) -> list[tuple[Subject, Subject]]:
    ab, ba = ([each for each in alike if way in each.sets] for way in ("AtoB", "BtoA"))
    if len(ab) == len(ba) == 1:
        return [(ab[0], ba[0])]
    pairs = []
    for one in ab:
        rivals, partners = ([each for each in half if not _unlike([one.run, each.run])] for half in (ab, ba))
        if len(rivals) == len(partners) == 1:
            pairs.append((one, partners[0]))
    return pairs


def _whole(one: Subject, other: Subject) -> Subject:
    sets = dict(sorted({**one.sets, **other.sets}.items()))
    return replace(one, sets=sets, elsewhere=dict.fromkeys(other.sets, other.run))


def _unlike(runs: Sequence[Run]) -> list[str]:
    """In what the first and the last differ; of different programs, that alone."""
    if len(runs) < 2:
        return []
    one, other = runs[0], runs[-1]
    if one.info.producer.get("name") != other.info.producer.get("name"):
        return ["program"]
    return differing(one, other, MAY_DIFFER)


def _few(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return ", ".join(keys[:MOST_NAMED]) + more
