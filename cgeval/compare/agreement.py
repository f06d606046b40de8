"""The numbers of all subjects go in; how automatic ones agree with people's fooling rate comes out, as `Agreement`s.

Over methods: whether a number puts them into people's order. What is uncertain there are the numbers themselves, so
these are drawn again, the methods are not: a bootstrap over three methods would draw one of them three times in every
ninth draw. A fooling rate is drawn from its participants, an automatic number from its images, which are the same for
all methods in each draw; where these are not kept, each is drawn from its interval as from two halves of a normal
distribution. Over images: whether what the number says of a method's single images is what people saw in them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.compare.comparison import Agreement, Measure, Point, Subject
from cgeval.compare.differences import per_image, resample
from cgeval.compare.judgements import Judged, judged_images, rates_of_participants
from cgeval.compare.measures import ABSENT, FOOLING, SCORE, STUDY, Measured, alike, family
from cgeval.compare.renderers.wording import metric_words
from cgeval.compare.tabulate import what_differs
from cgeval.errors import DataError
from cgeval.metrics import METRICS, Resampled, agreement_of_draws, agreement_over_images, order_by_chance
from cgeval.metrics.rank_agreement import FEWEST, RESAMPLES
from cgeval.metrics.segmentation import class_sums, scores_of_sums
from cgeval.records import Record

RATE = "fooling_rate"
OVER_METHODS = "methods"
PRESET = "preset"
LEVEL = 0.95  # of an interval whose record says no other
SEED = 0

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Study:
    """What one study found of one direction, by the label of the method."""

    measure: Measure
    entries: Mapping[str, Measured]


@dataclass(frozen=True, eq=False)
class _Automatic:
    """The numbers of one measure, by the label of the method. names: of its metrics, as rows call them."""

    measure: Measure
    entries: Mapping[str, Measured]
    names: Mapping[str, str]


def agreements(subjects: Sequence[Subject], found: Sequence[Measured], first: Sequence[Measure]) -> list[Agreement]:
    """For each study and direction: every automatic number over methods, then over the images of each method.

    found: everything that is measured; first: the measures of the first table, which need no further name. Raises
    DataError where no study judged any of the images, RecordError for damaged files.
    """
    studies = _studies(found)
    if not studies:
        raise DataError(
            "--agreement holds automatic scores against people's answers, and no study has judged these images: "
            "evaluate one by `study-server report`, with its folder in studies/ beside the runs' or named by --study."
        )
    by_subject = {subject.label: subject for subject in subjects}
    automatic = _automatic(found, first, subjects[0].label)
    told = list[Agreement]()
    for study in studies:
        held = [each for each in automatic if each.measure.direction == study.measure.direction]
        told += [each for scored in held for each in _over_methods(study, scored)]
        told += [each for label in by_subject if label in study.entries for each in _over_images_of(label, study, held)]
    return told


def study_name(measure: Measure) -> str:
    """The study's folder, and its preset where it says one."""
    preset = measure.convention.get(PRESET)
    name = f"study {measure.convention.get(STUDY, '?')}"
    return f"{name}, preset {preset}" if preset else name


def _studies(found: Iterable[Measured]) -> list[_Study]:
    """Fooling rates that may stand in one column; what was asked in another way (another preset) is another study."""
    groups: list[tuple[Measure, Any, dict[str, Measured]]] = []
    for each in found:
        if family(each.measure.protocol) != FOOLING or RATE not in each.records:
            continue
        preset = each.records[RATE].extra.get(PRESET)
        group = next((group for group in groups if alike(group[0], each.measure) and group[1] == preset), None)
        if group is None:
            group = (each.measure, preset, {})
            groups.append(group)
        group[2][each.subject.label] = each
    return [_Study(_with_preset(measure, preset), entries) for measure, preset, entries in groups]


def _with_preset(measure: Measure, preset: object) -> Measure:
    return replace(measure, convention={**measure.convention, PRESET: preset}) if isinstance(preset, str) else measure


def _automatic(found: Iterable[Measured], first: Sequence[Measure], main: str) -> list[_Automatic]:
    """The first table's measures, then the others, whose metrics say what differs."""
    groups: list[tuple[Measure, dict[str, Measured]]] = [(each, {}) for each in first]
    for each in found:
        group = next((group for group in groups if alike(group[0], each.measure)), None)
        if group is None:
            group = (each.measure, {})
            groups.append(group)
        group[1][each.subject.label] = each
    return [
        _Automatic(measure, entries, _names(measure, first, main))
        for measure, entries in groups
        if family(measure.protocol) != FOOLING
    ]


def _names(measure: Measure, first: Sequence[Measure], main: str) -> dict[str, str]:
    is_first = any(alike(measure, each) for each in first)
    more = "" if is_first else f" ({what_differs(measure, first, main)})"
    return {metric: metric_words(metric) + more for metric in measure.metrics}


def _over_methods(study: _Study, scored: _Automatic) -> list[Agreement]:
    labels = [label for label in scored.entries if label in study.entries]
    if not labels:
        return []
    resampled = resample([scored.entries[label] for label in labels]).resampled if len(labels) >= FEWEST else {}
    return [_of_methods(study, scored, metric, labels, resampled) for metric in scored.measure.metrics]


def _of_methods(
    study: _Study, scored: _Automatic, metric: str, labels: Sequence[str], resampled: Mapping[str, Resampled]
) -> Agreement:
    records = [scored.entries[label].records[metric] for label in labels]
    people = [study.entries[label].records[RATE] for label in labels]
    points = [_point(*each) for each in zip(labels, records, people, strict=True)]
    begun = _begun(study, scored, metric, OVER_METHODS, points)
    if begun.why:
        return begun
    sign = 1.0 if begun.higher_is_better else -1.0
    values, rates = sign * np.array([each.value for each in points]), np.array([each.rate for each in points])
    drawn_values = [
        sign * _drawn_value(record, label, resampled) for label, record in zip(labels, records, strict=True)
    ]
    drawn_rates = [_drawn_rate(study.entries[label], label) for label in labels]
    agreed = agreement_of_draws(values, rates, np.stack(drawn_values, axis=1), np.stack(drawn_rates, axis=1))
    return replace(begun, rho=agreed.rho, tau=agreed.tau, p_value=order_by_chance(values, rates, seed=SEED))


def _point(label: str, record: Record, people: Record) -> Point:
    return Point(label, record.value, people.value, people.n, _ends(record), _ends(people))


def _ends(record: Record) -> tuple[float, float] | None:
    return None if record.low is None or record.high is None else (record.low, record.high)


def _begun(study: _Study, scored: _Automatic, metric: str, over: str, points: Sequence[Point]) -> Agreement:
    """Without coefficients; with the reason where there can be none."""
    about = (study.measure, over, metric, scored.names[metric], scored.measure.higher_is_better)
    return Agreement(
        *about, points=tuple(points), why=_why_not(points, "methods" if over == OVER_METHODS else "images")
    )


def _why_not(points: Sequence[Point], things: str) -> str:
    if len(points) < FEWEST:
        return f"{len(points)} {things[: len(things) - (len(points) == 1)]} with both, and {FEWEST} are needed"
    if len({each.rate for each in points}) == 1:
        return f"people were fooled by all {len(points)} {things} alike"
    if len({each.value for each in points}) == 1:
        return f"all {len(points)} {things} have the same value"
    return ""


def _drawn_value(record: Record, label: str, resampled: Mapping[str, Resampled]) -> Values:
    """float64 [RESAMPLES]: with other images, which are the same for all methods; else from the interval."""
    found = resampled.get(label)
    if found is None or found.drawn is None:
        return _from_interval(record, label)
    drawn = found.drawn[record.metric][:RESAMPLES]
    return np.where(np.isnan(drawn), record.value, drawn)


def _drawn_rate(each: Measured, label: str) -> Values:
    """float64 [RESAMPLES]: with other participants; from the interval where these are not kept, or all are alike."""
    record = each.records[RATE]
    rates = rates_of_participants(record, each.folder)
    if rates is None or (rates == rates[0]).all():
        return np.clip(_from_interval(record, label), 0, 1)
    drawn: Values = _rng(label, RATE).choice(rates, size=(RESAMPLES, len(rates))).mean(axis=1)
    return drawn


def _from_interval(record: Record, label: str) -> Values:
    """The value itself where there is no interval."""
    if record.low is None or record.high is None:
        return np.full(RESAMPLES, record.value)
    away = _rng(label, record.metric).standard_normal(RESAMPLES)
    half = np.where(away > 0, record.high - record.value, record.value - record.low)
    drawn: Values = record.value + away * half / NormalDist().inv_cdf((1 + _level(record)) / 2)
    return drawn


def _level(record: Record) -> float:
    level = record.convention.get("level")
    return level if isinstance(level, float) and 0 < level < 1 else LEVEL


def _rng(*words: str) -> np.random.Generator:
    """Of its own for each method and metric, whatever others are there."""
    digest = hashlib.sha256("\n".join(words).encode(errors="surrogatepass")).digest()
    return np.random.default_rng([SEED, int.from_bytes(digest[:8], "little")])


def _over_images_of(label: str, study: _Study, held: Sequence[_Automatic]) -> list[Agreement]:
    people = study.entries[label]
    judged = judged_images(people.records[RATE], people.folder)
    if judged is None:
        return []
    return [
        _of_images(study, scored, metric, label, _image_points(ids, values, judged))
        for scored in held
        if label in scored.entries
        for metric, (ids, values) in _image_values(scored.entries[label]).items()
    ]


def _of_images(study: _Study, scored: _Automatic, metric: str, label: str, points: Sequence[Point]) -> Agreement:
    begun = _begun(study, scored, metric, label, points)
    if begun.why:
        return begun
    sign = 1.0 if begun.higher_is_better else -1.0
    values, rates = sign * np.array([each.value for each in points]), np.array([each.rate for each in points])
    agreed = agreement_over_images(values, rates, seed=SEED)
    return replace(begun, rho=agreed.rho, tau=agreed.tau)


def _image_points(ids: Sequence[str], values: Values, judged: Mapping[str, Judged]) -> list[Point]:
    """Those images that have a value and were judged."""
    return [
        Point(image_id, value, judged[image_id].rate, judged[image_id].judgements)
        for image_id, value in zip(ids, values.tolist(), strict=True)
        if image_id in judged and value == value  # no nan
    ]


def _image_values(each: Measured) -> dict[str, tuple[tuple[str, ...], Values]]:
    """By metric: ids, and float64 [n], nan where an image has no value. Scores are those of each image alone."""
    images = per_image(each)
    if images is None:
        return {}
    if family(each.measure.protocol) != SCORE:
        return {each.measure.metrics[0]: (images.ids, images.values)}
    scores = scores_of_sums(class_sums(images.values), str(each.measure.convention[ABSENT]))
    return {metric: (images.ids, getattr(scores, metric)) for metric in METRICS if metric in each.records}
