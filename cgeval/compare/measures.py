"""A subject's records go in; its numbers come out, each with the `Measure` that says what it may stand beside."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cgeval.compare.comparison import Direction, Measure, Subject
from cgeval.metrics import METRICS
from cgeval.records import Record, current
from cgeval.runs import ImageSet, direction_words

SCORE, FOOLING, RECONSTRUCTION = "score", "fooling", "reconstruction"
JUDGED_BY = ", judged by "  # in the title of a study's numbers
FAMILIES = (SCORE, FOOLING, RECONSTRUCTION)  # in the order of columns; other protocols come after them
LOWER_IS_BETTER = frozenset({"reconstruction_l1"})
DIGEST_LETTERS = 12
ABSENT, TRUTH, IMAGES = "absent class", "truth", "images"  # in a convention; the last two: digests of what it is over
LABELS = "label set"
STUDY, STUDY_ID, STUDY_IN = "study", "study id", "study in"  # the name of its folder; its id, else where that lies
HOW = {
    "fcn-score-paper": "images enlarged to the truth's size, network there",
    "fcn-score-scorer-size": "network at the size it was trained at, logits enlarged to the truth's size",
    "label-score": "the nearest colour is the class",
    RECONSTRUCTION: "mean difference between the input and what comes back",
}
MEANS = {
    "cityscapes": "classes without a pixel are left out (cityscapes)",
    "reference": "classes without a pixel count 0 (reference)",
}


@dataclass(frozen=True, eq=False)
class Measured:
    """The numbers of one image set by one measure.

    records: by metric, in the order of columns; superseded: how many older ones these stand for; folder: of the run
    or study that keeps them; place: when they were written, to be compared only.
    """

    subject: Subject
    measure: Measure
    records: Mapping[str, Record]
    superseded: int
    folder: Path
    place: tuple[str, int]

    @property
    def record(self) -> Record:
        """One of the records, for what all of them say alike."""
        return next(iter(self.records.values()))


@dataclass(frozen=True)
class Wanted:
    """Which of the main run's measures a user asks for; None: the newest, whatever it is.

    scorer: its name, folder or the beginning of its digest; protocol: "paper" or "scorer-size"; convention: for absent
    classes.
    """

    scorer: str | None = None
    protocol: str | None = None
    convention: str | None = None

    def takes(self, measure: Measure) -> bool:
        """Whether the measure is one of those asked for; what does not say scorer or protocol is not asked for them."""
        said = measure.convention
        by_scorer = "scorer" not in said or self.scorer is None or _is_scorer(self.scorer, said)
        by_protocol = not measure.protocol.startswith("fcn-score-") or self.protocol in (
            None,
            measure.protocol.removeprefix("fcn-score-"),
        )
        return by_scorer and by_protocol and self.convention in (None, said.get(ABSENT, self.convention))


NEWEST = Wanted()


class _Kind(NamedTuple):
    """What records share that stand in one row of one group."""

    protocol: str
    convention: str
    n: int
    size_px: tuple[int, int] | None
    higher_is_better: bool


def family(protocol: str) -> str:
    """What a protocol measures: "score", "fooling", "reconstruction", or its own name."""
    if protocol.startswith("fcn-score-") or protocol == "label-score":
        return SCORE
    return FOOLING if protocol.startswith(FOOLING) else protocol


def alike(one: Measure, other: Measure) -> bool:
    """Whether numbers of both may stand in one column. People's answers may be as many as they are for each method."""
    same = ("protocol", "direction", "metrics", "convention", "size_px", "higher_is_better")
    counted = family(one.protocol) == FOOLING or one.n == other.n
    return counted and all(getattr(one, name) == getattr(other, name) for name in same)


def measured(subject: Subject, records: Sequence[Record], folder: Path) -> list[Measured]:
    """What the records of one run or study say of the subject's images as they are sealed now, oldest first."""
    found = [
        each
        for direction, image_set in subject.sets.items()
        for each in _of_set(subject, direction, image_set, records, folder)
    ]
    return sorted(found, key=lambda each: each.place)


def stale(subject: Subject, records: Iterable[Record]) -> list[Record]:
    """The records of the subject's sets that speak of images which are gone, and that none of the new ones replaces."""
    seals = {(subject.run_of(way).info.run_id, each.name): each.index_sha256 for way, each in subject.sets.items()}
    own = [record for record in records if (record.run_id, record.image_set) in seals]
    fresh = {record.key for record in own if record.index_sha256 == seals[record.run_id, record.image_set]}
    return [each.record for each in current(own) if each.record.key not in fresh]


def newest(found: Iterable[Measured], wanted: Wanted) -> list[Measured]:
    """One of each family and direction, in the order of the groups of columns."""
    chosen: dict[tuple[str, Direction | None], Measured] = {}
    for each in sorted(found, key=lambda each: each.place):
        if wanted.takes(each.measure):
            chosen[family(each.measure.protocol), each.measure.direction] = each
    return sorted(chosen.values(), key=_column)


def _column(each: Measured) -> tuple[int, str, bool]:
    """labels -> photo before photo -> labels, A -> B before B -> A where there are no labels."""
    kind = family(each.measure.protocol)
    source = str(each.subject.run.info.dataset.get("label_domain") or "A")
    order = FAMILIES.index(kind) if kind in FAMILIES else len(FAMILIES)
    return (order, kind, not str(each.measure.direction).startswith(source))


def _is_scorer(named: str, convention: Mapping[str, Any]) -> bool:
    sha256 = str(convention.get("scorer_sha256", ""))
    names = (named, Path(named).name, Path(named).parent.name)  # the last of a file: scorers/NAME/scorer.safetensors
    return convention["scorer"] in names or (len(named) >= 8 and sha256.startswith(named))


def _of_set(
    subject: Subject, direction: Direction, image_set: ImageSet, records: Sequence[Record], folder: Path
) -> list[Measured]:
    speaks = [(place, each) for place, each in enumerate(records) if _speaks_of(each, image_set)]
    places = {each.key: place for place, each in speaks}
    kinds: dict[_Kind, list[Record]] = {}
    superseded: dict[_Kind, int] = {}
    for entry in current(each for _, each in speaks):
        kind = _kind(entry.record, folder)
        kinds.setdefault(kind, []).append(entry.record)
        superseded[kind] = superseded.get(kind, 0) + entry.superseded
    found = []
    for kind, group in kinds.items():
        by_metric = {record.metric: record for record in sorted(group, key=_metric_place)}
        measure = _measure(kind, by_metric, direction, subject)
        place = max((record.created_at, places[record.key]) for record in group)
        found.append(Measured(subject, measure, by_metric, superseded[kind], folder, place))
    return found


def _speaks_of(record: Record, image_set: ImageSet) -> bool:
    """By the seal; a run's own records by the set's name too. A study is no run, and may name sets as it likes."""
    if record.index_sha256 != image_set.index_sha256:
        return False
    return record.image_set == image_set.name or family(record.protocol) == FOOLING


def _kind(record: Record, folder: Path) -> _Kind:
    convention = dict(record.convention)
    per_image = record.extra.get("per_image")
    is_fooling = family(record.protocol) == FOOLING
    # Each arm of a study shows images of its own, which set no two methods apart.
    if isinstance(per_image, Mapping) and TRUTH not in convention and not is_fooling:
        ids = "\n".join(sorted(per_image))
        convention[IMAGES] = hashlib.sha256(ids.encode()).hexdigest()[:DIGEST_LETTERS]
    if is_fooling:
        convention |= _study(record, folder.resolve())
    said = json.dumps(convention, sort_keys=True)
    return _Kind(record.protocol, said, record.n, _size(record), record.metric not in LOWER_IS_BETTER)


def _study(record: Record, folder: Path) -> dict[str, str]:
    """Which study it is. Two may have folders of one name, and one may be copied: then its id says that it is one."""
    study_id = record.extra.get("study")
    apart = {STUDY_ID: study_id} if isinstance(study_id, str) and study_id else {STUDY_IN: str(folder.parent)}
    return {STUDY: folder.name, **apart}


def _size(record: Record) -> tuple[int, int] | None:
    """Width and height; a trainer's single number is a square."""
    size = record.extra.get("size_px")
    sides = [size, size] if isinstance(size, int) else size
    if isinstance(sides, list) and len(sides) == 2 and all(isinstance(side, int) for side in sides):
        return (sides[0], sides[1])
    return None


def _metric_place(record: Record) -> tuple[int, str]:
    known = record.metric in METRICS
    return (METRICS.index(record.metric) if known else len(METRICS), record.metric)


def _measure(kind: _Kind, records: Mapping[str, Record], direction: Direction, subject: Subject) -> Measure:
    convention: dict[str, Any] = json.loads(kind.convention)
    some = next(iter(records.values()))
    return Measure(
        title=_title(some, direction, subject),
        protocol=kind.protocol,
        direction=direction,
        metrics=tuple(records),
        n=kind.n,
        convention=convention,
        size_px=kind.size_px,
        higher_is_better=kind.higher_is_better,
        facts=_facts(kind.protocol, convention, some),
    )


def _title(record: Record, direction: Direction, subject: Subject) -> str:
    words = str(record.extra.get("direction") or direction_words(subject.run_of(direction).info.dataset, direction))
    kind = family(record.protocol)
    if kind == RECONSTRUCTION:
        return f"{words} -> {words.partition(' -> ')[0]}"
    more = {SCORE: "", FOOLING: f"{JUDGED_BY}{_people(record)}"}.get(kind, f", {kind}")
    return words + more


def _people(record: Record) -> str:
    """A rehearsal lies beside the studies, and its numbers say nothing of any method."""
    who = "simulated people" if record.extra.get("simulated") is True else "people"
    return who + (", unfinished" if record.extra.get("finished") is False else "")


def _facts(protocol: str, convention: Mapping[str, Any], record: Record) -> dict[str, str]:
    """What a reader wants to know of the measure, in the order of telling."""
    means = convention.get(ABSENT)
    apart = ("scorer", "scorer_sha256", ABSENT, TRUTH, IMAGES, LABELS, STUDY_ID, STUDY_IN)
    facts = {"protocol": f"{protocol}: {HOW[protocol]}" if protocol in HOW else protocol}
    facts |= {"scorer": _scorer(convention, record), "means": MEANS.get(str(means), str(means)) if means else ""}
    facts |= {LABELS: str(convention.get(LABELS, "")), "intervals": record.interval or ""}
    facts["choices"] = ", ".join(f"{name} {value}" for name, value in convention.items() if name not in apart)
    return {name: text for name, text in facts.items() if text}


def _scorer(convention: Mapping[str, Any], record: Record) -> str:
    """Such as "camvid (sha256 dbea7b081c22, class IoU 0.589 on its own validation photos)"."""
    if "scorer" not in convention:
        return ""
    validation = record.extra.get("scorer_validation")
    number = validation.get("class_iou") if isinstance(validation, Mapping) else None
    own = number.get("value") if isinstance(number, Mapping) else None
    told = f", class IoU {own:.3f} on its own validation photos" if isinstance(own, float) else ""
    return f"{convention['scorer']} (sha256 {str(convention.get('scorer_sha256'))[:DIGEST_LETTERS]}{told})"
