"""What was found for a comparison goes in; sentences for its reader come out: what is missing, gone, or newer."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cgeval.compare.comparison import Subject
from cgeval.compare.differences import has_matrices
from cgeval.compare.measures import SCORE, Measured, family, stale
from cgeval.compare.missing import again
from cgeval.compare.subjects import other_sets
from cgeval.records import Record


def stale_lines(subjects: Sequence[Subject], read: Mapping[Path, Sequence[Record]]) -> list[str]:
    """Of each subject, numbers of images that have been replaced since. read: records of each run or study."""
    lines = []
    for subject in subjects:
        for folder, records in read.items():
            own = stale(subject, records)
            if own:
                sets = ", ".join(dict.fromkeys(record.image_set for record in own))
                lines.append(
                    f"{subject.label}: {_count(len(own), 'number')} in {folder} ({_names(own)}) left out, of images "
                    f"of {sets} that have been replaced since."
                )
    return lines


def gone_lines(found: Iterable[Measured]) -> list[str]:
    """Scores whose matrices are not kept: they cannot be paired with others."""
    return [
        f"{each.subject.label}, {each.measure.title}: the matrices behind its score are gone, so it has no paired "
        f"differences; `{again(each)}` makes them again."
        for each in found
        if family(each.measure.protocol) == SCORE and not has_matrices(each)
    ]


def set_lines(subjects: Iterable[Subject]) -> list[str]:
    """Sets that are not shown because a newer one is of the same images' translation, and sets that are partial."""
    lines = []
    for subject in subjects:
        older = ", ".join(image_set.name for image_set in other_sets(subject))
        if older:
            shown = ", ".join(image_set.name for image_set in subject.sets.values())
            lines.append(f"{subject.label}: {shown} stands for {older}, sealed before.")
        for image_set in subject.sets.values():
            left_out, of = image_set.extra.get("missing_count"), image_set.extra.get("split_count")
            if isinstance(left_out, int) and left_out:
                lines.append(f"{subject.label}: {image_set.name} lacks {left_out} of the {of} images of its split.")
    return lines


def superseded_lines(found: Iterable[Measured]) -> list[str]:
    """How many numbers of each subject newer ones of the same images have replaced."""
    counts: dict[str, int] = {}
    for each in found:
        counts[each.subject.label] = counts.get(each.subject.label, 0) + each.superseded
    told = ", ".join(f"{count} of {label}" for label, count in counts.items() if count)
    return [f"Older numbers of the same images, which newer ones replace: {told}."] if told else []


def _names(records: Iterable[Record]) -> str:
    return ", ".join(dict.fromkeys(record.protocol for record in records))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
