"""Runs go in; the steps come out that measure them all as the main run is measured, and notes on what cannot be.

A score that is there is used as it is. The main run's newest one of a direction decides by which scorer, protocol and
convention the others are scored; where it has none, or another one is asked for, it is scored first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgeval.compare.making.steps import Step
from cgeval.compare.making.trained import SHORT
from cgeval.errors import CgevalError, LayoutError, WeightsError
from cgeval.labelled import Labelled, open_labelled
from cgeval.records import Record, current, read_records
from cgeval.runs import ImageSet
from cgeval.scorers.choosing import choose_scorer
from cgeval.scorers.store import FOLDER, ScorerFile, find_scorers

OF_PHOTOS, OF_LABELS, RECONSTRUCTION = "fcn-score-", "label-score", "reconstruction"
ABSENT, TRUTH = "absent class", "truth"  # keys of a record's convention; the truth follows from the images
BY_COLOUR = {"colours": "scored", "distance": "L2", "classified at": "output size"}
OPTIONS = {"colours": "--palette", "distance": "--distance", "classified at": "--classified-at"}


@dataclass(frozen=True)
class Wish:
    """What the user named: scorer, protocol ("paper", "scorer-size") and convention; data: where the dataset is now."""

    scorer: str | None = None
    protocol: str | None = None
    convention: str | None = None
    data: Path | None = None


@dataclass(frozen=True)
class Candidate:
    """A run that is to be measured. sets: its sealed sets of the split; planned: directions that are yet to be made.

    dataset: what run.json says of it, or will say; is_both_ways: it is the trainer's, with generators both ways.
    """

    path: Path
    dataset: Mapping[str, Any]
    sets: Sequence[ImageSet] = ()
    planned: Sequence[str] = ()
    is_both_ways: bool = False

    @property
    def directions(self) -> list[str]:
        """Those it has or will have."""
        return sorted({image_set.direction for image_set in self.sets} | set(self.planned))


@dataclass(frozen=True)
class Yardstick:
    """How a direction is measured. choices: what must be alike in a record's convention.

    scorer: where it is known already, and not only by the digest in `choices`.
    """

    protocol: str
    choices: Mapping[str, Any]
    scorer: ScorerFile | None = None

    def measured(self, record: Record) -> bool:
        """Whether the record was measured so."""
        return record.protocol == self.protocol and self.choices.items() <= record.convention.items()


@dataclass(frozen=True)
class Measuring:
    """Steps that measure, in order, and sentences on what stays unmeasured and why.

    unscored: the directions that the notes are on; is_scored: whether there is a direction with an FCN score or label
    score, made by these steps or before.
    """

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()
    is_scored: bool = True


@dataclass(frozen=True)
class Way:
    """How a direction is scored. lacking: the runs to score; words: of the command, for this direction alone."""

    lacking: Sequence[Candidate]
    words: tuple[str, ...]
    convention: str


def measuring(mains: Sequence[Candidate], others: Sequence[Candidate], split: str, wish: Wish) -> Measuring:
    """Scores in the main run's directions, and reconstruction errors where both directions are known.

    mains: the main run; two where the main row is of two runs, one for each direction. Raises a CgevalError where the
    scorer that was named cannot be used; without one that is a note.
    """
    notes: dict[str, str] = {}
    ways = {way: found for main in mains for way, found in _ways(main, [*mains, *others], wish, notes).items()}
    steps: list[Step] = []
    for each in (*mains, *others):
        own = {direction: way for direction, way in ways.items() if each in way.lacking}
        together = len({way.convention for way in own.values()}) == 1
        for part in [own] if together else [{direction: way} for direction, way in own.items()]:
            steps.append(_score(each, part, split, wish.data))
        if _lacks_reconstruction(each):
            steps.append(_reconstruct(each, split, wish.data))
    is_scored = any(way in ways or _newest(main, way) for main in mains for way in main.directions)
    return Measuring(tuple(steps), tuple(notes.values()), tuple(notes), is_scored)


def _ways(main: Candidate, all_runs: Sequence[Candidate], wish: Wish, notes: dict[str, str]) -> dict[str, Way]:
    """By direction that can be scored, whoever lacks the score; why one cannot be made is added to the notes."""
    ways = {}
    for direction in main.directions:
        try:
            if yardstick := _yardstick(main, direction, wish):
                lacking = [each for each in all_runs if _lacks(each, direction, yardstick)]
                words = _words(main, yardstick) if lacking else ()
                ways[direction] = Way(lacking, words, str(yardstick.choices[ABSENT]))
        except CgevalError as error:
            if wish.scorer is not None:
                raise
            notes[direction] = f"Not scored, {_title(main, direction)}: {error}"
    return ways


def _lacks(each: Candidate, direction: str, yardstick: Yardstick) -> bool:
    """Whether a set of the direction has no valid record by the yardstick."""
    if direction in each.planned:
        return True
    sets = [image_set for image_set in each.sets if image_set.direction == direction]
    records = [record for record in _scores(each.path) if yardstick.measured(record)]
    return any(not _of_set(records, image_set) for image_set in sets)


def _newest(main: Candidate, direction: str) -> Record | None:
    """The last valid score of the main run's images of a direction."""
    records = _scores(main.path)
    valid = [r for each in main.sets if each.direction == direction for r in _of_set(records, each)]
    return max(valid, key=lambda record: record.created_at, default=None)


def _scores(path: Path) -> list[Record]:
    records = (entry.record for entry in current(read_records(path)))
    return [record for record in records if record.protocol == OF_LABELS or record.protocol.startswith(OF_PHOTOS)]


def _of_set(records: Sequence[Record], image_set: ImageSet) -> list[Record]:
    """Those of exactly these images."""
    seal = (image_set.name, image_set.index_sha256)
    return [record for record in records if (record.image_set, record.index_sha256) == seal]


def _yardstick(main: Candidate, direction: str, wish: Wish) -> Yardstick | None:
    """As the main run was scored last, but for what the user named; None where that direction cannot be scored."""
    newest = _newest(main, direction)
    if newest is not None and wish == Wish(data=wish.data):
        choices = {key: value for key, value in newest.convention.items() if key != TRUTH}
        return Yardstick(newest.protocol, choices)
    label_domain, paired = main.dataset.get("label_domain"), main.dataset.get("paired", True)
    is_photo = newest.protocol != OF_LABELS if newest else direction[0] == label_domain
    if newest is None and (label_domain is None or not (is_photo or paired)):
        return None
    before = dict(newest.convention) if newest else {}
    absent = {ABSENT: wish.convention or before.get(ABSENT, "cityscapes")}
    if not is_photo:
        return Yardstick(OF_LABELS, {key: before.get(key, usual) for key, usual in BY_COLOUR.items()} | absent)
    scorer = _scorer(main, newest, wish)
    protocol = wish.protocol or (newest.protocol.removeprefix(OF_PHOTOS) if newest else scorer.info.protocol)
    return Yardstick(f"{OF_PHOTOS}{protocol}", {"scorer_sha256": scorer.sha256} | absent, scorer)


def _scorer(main: Candidate, newest: Record | None, wish: Wish) -> ScorerFile:
    """The one that was named, else the main run's, else the one that fits; raises a CgevalError."""
    if wish.scorer is None and newest is not None:
        return _scorer_of(newest.convention, main)
    return choose_scorer(wish.scorer, _labelled(main, wish), _folders(main))


def _scorer_of(choices: Mapping[str, Any], main: Candidate) -> ScorerFile:
    """The scorer of that name and digest; raises WeightsError where it is not at hand."""
    name, digest = choices.get("scorer"), choices.get("scorer_sha256")
    folders = [folder for folder in _folders(main) if folder.is_dir()]
    files = [file for folder in folders for file in find_scorers(folder)[0] if file.info.name == name]
    for file in files:
        if file.sha256 == digest:
            return file
    found = f"{files[0].path.parent} is another one now" if files else "it is not there"
    raise WeightsError(
        f"{main.path} was scored by {name} (sha256 {str(digest)[:12]}), which is looked for in "
        f"{' and '.join(map(str, _folders(main)))}: {found}; put it there, or score all runs by another one that you "
        "name by --scorer."
    )


def _labelled(main: Candidate, wish: Wish) -> Labelled:
    path = wish.data or main.dataset.get("path")
    if path is None:
        raise LayoutError(f"{main.path} does not say where its dataset is: name the folder by --dataset DIR.")
    return open_labelled(Path(path), None)


def _folders(main: Candidate) -> list[Path]:
    """Here, and beside the folder that holds the run, as `cgeval fcn-score` looks for scorers."""
    beside = main.path.resolve().parent.parent / FOLDER
    return [FOLDER] if beside.resolve() == FOLDER.resolve() else [FOLDER, beside]


def _words(main: Candidate, yardstick: Yardstick) -> tuple[str, ...]:
    """Options of `cgeval fcn-score` that measure by the yardstick; raises WeightsError for a scorer that is gone."""
    choices = yardstick.choices
    if yardstick.protocol != OF_LABELS:
        scorer = yardstick.scorer or _scorer_of(choices, main)
        return ("--scorer", str(scorer.path.parent), "--protocol", yardstick.protocol.removeprefix(OF_PHOTOS))
    unusual = [key for key, usual in BY_COLOUR.items() if choices.get(key, usual) != usual]
    return tuple(word for key in unusual for word in (OPTIONS[key], str(choices[key]).removesuffix(" size")))


def _score(each: Candidate, ways: Mapping[str, Way], split: str, data: Path | None) -> Step:
    """One command for all these directions, which share a convention."""
    alone = ("--direction", SHORT[next(iter(ways))]) if len(ways) == 1 else ()
    words = tuple(word for way in ways.values() for word in way.words)
    moved = ("--dataset", str(data)) if data else ()
    shared = ("--convention", next(iter(ways.values())).convention, *moved)
    titles = " and ".join(_title(each, direction) for direction in ways)
    return Step(
        f"score {each.path.name}, {titles}",
        ("cgeval", "fcn-score", str(each.path), "--split", split, *alone, *words, *shared),
    )


def _lacks_reconstruction(each: Candidate) -> bool:
    """Whether a run that can go there and back has no valid record of how far from the input it comes back."""
    if not each.is_both_ways:
        return False
    records = read_records(each.path, RECONSTRUCTION)
    return bool(each.planned) or any(not _of_set(records, image_set) for image_set in each.sets)


def _reconstruct(each: Candidate, split: str, data: Path | None) -> Step:
    moved = ("--data", str(data)) if data else ()
    command = ("cyclegan", "reconstruct", str(each.path), "--split", split, *moved)
    return Step(f"translate {each.path.name} back, for its reconstruction error", command)


def _title(each: Candidate, direction: str) -> str:
    """The direction as scores say it, where there are labels."""
    label_domain = each.dataset.get("label_domain")
    if label_domain is None:
        return direction.replace("to", " -> ")
    return "labels -> photo" if direction[0] == label_domain else "photo -> labels"
