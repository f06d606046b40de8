"""The numbers of all subjects go in; tables come out, in which only what was measured alike shares a column.

The first table has the main run's measures; for each way in which others were measured there is a further one, whose
title says what differs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgeval.compare.best import best
from cgeval.compare.comparison import Kind, Measure, Number, Row, Subject, Table
from cgeval.compare.differences import Paired, about_differences, corrected, differences, resample
from cgeval.compare.measures import IMAGES, TRUTH, Measured, alike, family
from cgeval.metrics import Resampled

Key = tuple[int, str]
CEILING, SHUFFLED, NOISE = "Real images", "Shuffled images", "Noise"
BESIDE = {  # names in a record's `extra.beside`
    "real photos": CEILING,
    "true labels": CEILING,
    "shuffled photos": SHUFFLED,
    "shuffled labels": SHUFFLED,
    "noise": NOISE,
}
OTHER_IMAGES = "other images"


@dataclass(frozen=True, eq=False)
class Group:
    """All numbers of one measure, in the order of the subjects. paired: those with values by image."""

    measure: Measure
    entries: tuple[Measured, ...]
    paired: Paired

    @property
    def resampled(self) -> Mapping[str, Resampled]:
        """By label."""
        return self.paired.resampled


def tables(name: str, subjects: Sequence[Subject], found: Sequence[Measured], main: Sequence[Measured]) -> list[Table]:
    """The first table, called name, whose groups are the measures of `main`; then one for each other way of measuring.

    found: everything, in the order of the subjects. Raises RecordError as `resample` does.
    """
    first = [each.measure for each in main]
    made = [_table(name, subjects, [_group(measure, found) for measure in first])]
    for title, measures in _others(found, first, subjects[0].label).items():
        groups = [_group(measure, found) for measure in measures]
        there = [each.subject.label for group in groups for each in group.entries]
        made.append(_table(title, [each for each in subjects if each.label in there], groups))
    return made


def what_differs(measure: Measure, first: Sequence[Measure], main: str) -> str:
    """In words, held against the measure of the first table that is nearest; main: whose measures these are."""
    nearest = [
        each
        for each in first
        if (family(each.protocol), each.direction) == (family(measure.protocol), measure.direction)
    ]
    if not nearest:
        return f"not measured for {main}"
    parts = _parts(measure, nearest[0])
    return "; ".join(parts) or f"another {measure.protocol}"


def _others(found: Iterable[Measured], first: Sequence[Measure], main: str) -> dict[str, list[Measure]]:
    """The measures that are not in the first table, by what differs."""
    by_title: dict[str, list[Measure]] = {}
    for each in found:
        if not any(alike(each.measure, measure) for measure in first):
            same_way = by_title.setdefault(what_differs(each.measure, first, main), [])
            if not any(alike(each.measure, measure) for measure in same_way):
                same_way.append(each.measure)
    return by_title


def _parts(measure: Measure, first: Measure) -> list[str]:
    parts = []
    if measure.protocol != first.protocol:
        parts.append(f"protocol {measure.protocol}, not {first.protocol}")
    if measure.n != first.n:
        parts.append(f"n = {measure.n}, not {first.n}")
    if measure.size_px != first.size_px:
        parts.append(f"{_size(measure)}, not {_size(first)}")
    parts += _choices(measure.convention, first.convention, same_n=measure.n == first.n)
    if measure.metrics != first.metrics:
        parts.append(f"{_names(measure)}, not {_names(first)}")
    return parts


def _choices(ours: Mapping[str, Any], first: Mapping[str, Any], *, same_n: bool) -> list[str]:
    """Where the conventions differ; that a digest of images differs is no news where their number does."""
    parts = []
    for key in [*first, *(key for key in ours if key not in first)]:
        mine, theirs = ours.get(key), first.get(key)
        if mine == theirs:
            continue
        if key in (TRUTH, IMAGES):
            parts += [OTHER_IMAGES] if same_n else []
        elif key != "scorer_sha256":
            parts.append(_choice(key, mine, theirs))
        elif ours.get("scorer") == first.get("scorer"):
            parts.append(f"another scorer {ours.get('scorer')} (sha256 {str(mine)[:12]}, not {str(theirs)[:12]})")
    return parts


def _choice(key: str, mine: Any, theirs: Any) -> str:
    if theirs is None:
        return f"{key} {mine}, of which the first table says nothing"
    return f"{key} {'not said' if mine is None else mine}, not {theirs}"


def _size(measure: Measure) -> str:
    return f"{measure.size_px[0]}x{measure.size_px[1]} px" if measure.size_px else "size not said"


def _names(measure: Measure) -> str:
    return " and ".join(measure.metrics)


def _group(measure: Measure, found: Iterable[Measured]) -> Group:
    entries = tuple(each for each in found if alike(each.measure, measure))
    return Group(measure, entries, resample(entries))


def _table(title: str, subjects: Sequence[Subject], groups: Sequence[Group]) -> Table:
    rows = [*_beside(groups, "ceiling"), *_measured_rows(subjects, groups), *_beside(groups, "sanity")]
    footnotes = [*_about_differences(rows), *(note for group in groups for note in group.paired.notes), *_traps(groups)]
    return Table(title, tuple(group.measure for group in groups), tuple(rows), tuple(footnotes))


def _measured_rows(subjects: Sequence[Subject], groups: Sequence[Group]) -> list[Row]:
    numbers = _numbers(groups)
    main = next((each.label for each in subjects if each.kind == "main"), None)
    told = _differences(groups, main) if main is not None else {}
    return [
        Row(
            each.label,
            each.kind,
            {key: number for (label, key), number in numbers.items() if label == each.label},
            {key: difference for (label, key), difference in told.items() if label == each.label},
        )
        for each in subjects
    ]


def _numbers(groups: Sequence[Group]) -> dict[tuple[str, Key], Number]:
    numbers = {}
    for place, group in enumerate(groups):
        for metric in group.measure.metrics:
            records = {each.subject.label: each.records[metric] for each in group.entries}
            marked = best(records, group.resampled, higher_is_better=group.measure.higher_is_better)
            for label, record in records.items():
                ends = (record.low, record.high, record.interval)
                numbers[label, (place, metric)] = Number(record.value, record.n, *ends, label in marked, record)
    return numbers


def _differences(groups: Sequence[Group], main: str) -> dict[tuple[str, Key], Any]:
    found = {
        (label, (place, metric)): difference
        for place, group in enumerate(groups)
        for label, by_metric in differences(group.resampled, main).items()
        for metric, difference in by_metric.items()
    }
    return corrected(found)


def _beside(groups: Sequence[Group], kind: Kind) -> list[Row]:
    """The rows of real images, or of what should be bad; each number is from the first record that has it beside."""
    rows: dict[str, dict[Key, Number]] = {}
    for place, group in enumerate(groups):
        for metric in group.measure.metrics:
            for each in group.entries:
                for name, number in _standing_beside(each, metric).items():
                    rows.setdefault(BESIDE.get(name, name), {}).setdefault((place, metric), number)
    order = [CEILING, SHUFFLED, NOISE, *rows]
    chosen = [label for label in dict.fromkeys(order) if label in rows and (label == CEILING) == (kind == "ceiling")]
    return [Row(label, kind, rows[label]) for label in chosen]


def _standing_beside(each: Measured, metric: str) -> dict[str, Number]:
    record = each.records[metric]
    beside = record.extra.get("beside")
    if not isinstance(beside, Mapping):
        return {}
    return {
        str(name): Number(number["value"], number["n"], number.get("low"), number.get("high"), record.interval)
        for name, number in beside.items()
        if isinstance(number, Mapping) and number.keys() >= {"value", "n"}
    }


def _about_differences(rows: Sequence[Row]) -> list[str]:
    count = sum(each.holm is not None for row in rows for each in row.differences.values())
    return [about_differences(count)] if count else []


def _traps(groups: Sequence[Group]) -> list[str]:
    """Traps that scores have recognised, a line for each and direction that names all that are in it."""
    caught: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        for each in group.entries:
            traps = each.record.extra.get("traps")
            for trap in traps if isinstance(traps, list) else []:
                caught.setdefault((group.measure.title, str(trap)), []).append(each.subject.label)
    return [
        f"Look out, {title}: {trap}: {'; '.join(labels)} (`cgeval fcn-score` says it in full)."
        for (title, trap), labels in caught.items()
    ]
