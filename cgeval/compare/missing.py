"""Subjects go in; the scores that they lack come out, held against how the main one is scored."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgeval.compare.comparison import Direction, Measure, Subject
from cgeval.compare.measures import ABSENT, NEWEST, SCORE, TRUTH, Measured, Wanted, family, measured, newest
from cgeval.records import Record, read_records
from cgeval.runs import direction_words

SHORT = {"AtoB": "ab", "BtoA": "ba"}
OF_PHOTOS, AT = "fcn-score-", "classified at"
OPTIONS = {
    "scorer": "--scorer",
    ABSENT: "--convention",
    "colours": "--palette",
    "distance": "--distance",
    AT: "--classified-at",
}
USUAL = {ABSENT: "cityscapes", "colours": "scored", "distance": "L2", AT: "output"}


@dataclass(frozen=True, eq=False)
class MissingScore:
    """A subject's direction without a score of its present images that was made as the main run's.

    measure: the main run's; None where it has none itself, and then it is what is wanted that decides.
    """

    subject: Subject
    direction: Direction
    measure: Measure | None
    wanted: Wanted = NEWEST

    @property
    def command(self) -> tuple[str, ...]:
        """What a user would type to make it."""
        split = self.subject.sets[self.direction].split
        path = str(self.subject.run_of(self.direction).path)
        words = ["cgeval", "fcn-score", path, "--direction", SHORT[self.direction]]
        words += ["--split", split] if split != "test" else []
        return (*words, *(word for name, choice in self._options().items() if choice for word in (name, choice)))

    def _options(self) -> dict[str, str | None]:
        """What `cgeval fcn-score` has to be told; None where it does so by itself."""
        if self.measure is None:
            options = {"--scorer": self.wanted.scorer, "--protocol": self.wanted.protocol}
            return options | {"--convention": self.wanted.convention}
        said = {name: str(choice) for name, choice in self.measure.convention.items()}
        said |= {AT: said[AT].removesuffix(" size")} if AT in said else {}
        options = {option: said.get(name) for name, option in OPTIONS.items() if said.get(name) != USUAL.get(name)}
        if self.measure.protocol.startswith(OF_PHOTOS):
            options["--protocol"] = self.measure.protocol.removeprefix(OF_PHOTOS)
        return options


def missing_scores(subjects: Sequence[Subject], wanted: Wanted = NEWEST) -> tuple[MissingScore, ...]:
    """What `cgeval fcn-score` would have to make, so that every subject is scored as the main one, the first, is.

    A direction that the main one lacks is not asked for, nor one that cannot be scored: of a dataset without labels,
    or photo -> labels of unpaired photos. A set of other images or of another size is not missing: scoring it again
    would not make it comparable.
    """
    read: dict[Path, list[Record]] = {}
    found: list[Measured] = []
    for subject in subjects:
        for path in (run.path for run in subject.runs):
            found += measured(subject, read.setdefault(path, read_records(path)), path)
    return missing(subjects, found, wanted)


def missing(subjects: Sequence[Subject], found: Iterable[Measured], wanted: Wanted) -> tuple[MissingScore, ...]:
    """As missing_scores, of what was read already."""
    main, scores = subjects[0], [each for each in found if family(each.measure.protocol) == SCORE]
    chosen = newest((each for each in scores if each.subject is main), wanted)
    by_direction = {each.measure.direction: each.measure for each in chosen}
    return tuple(
        MissingScore(subject, direction, by_direction.get(direction), wanted)
        for direction in main.sets
        if can_be_scored(main, direction)
        for subject in subjects
        if direction in subject.sets
        and not any(
            _suits(each, by_direction.get(direction), wanted)
            for each in scores
            if each.subject is subject and each.measure.direction == direction
        )
    )


def again(each: Measured) -> str:
    """The command that measures a score once more, in the same way."""
    return shlex.join(MissingScore(each.subject, each.measure.direction or "AtoB", each.measure).command)


def missing_lines(absent: Sequence[MissingScore], main: str) -> list[str]:
    """A sentence for each command that would make some of them; main: label of the main subject."""
    by_command: dict[str, list[MissingScore]] = {}
    for each in absent:
        by_command.setdefault(shlex.join(each.command), []).append(each)
    return [
        f"{' and '.join(each.subject.label for each in group)}: no score {_arrow(group[0])}"
        f"{f' as {main} has it' if group[0].measure else ''}; `{command}` makes it."
        for command, group in by_command.items()
    ]


def can_be_scored(subject: Subject, direction: Direction) -> bool:
    """Whether the run's dataset has labels, and for photo -> labels a label map of each photo."""
    facts: Mapping[str, Any] = subject.run_of(direction).info.dataset
    label_domain = facts.get("label_domain")
    return label_domain in ("A", "B") and (direction[0] == label_domain or bool(facts.get("paired", True)))


def _suits(each: Measured, like: Measure | None, wanted: Wanted) -> bool:
    """Whether it was made by the same choices as main's, whatever its images are; or as wanted, where main has none."""
    if like is None:
        return wanted.takes(each.measure)
    ours, theirs = ({**measure.convention, TRUTH: None} for measure in (each.measure, like))
    return each.measure.protocol == like.protocol and ours == theirs


def _arrow(each: MissingScore) -> str:
    return each.measure.title if each.measure else direction_words(each.subject.run.info.dataset, each.direction)
