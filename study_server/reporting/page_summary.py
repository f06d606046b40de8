"""A report goes in; what its page says first comes out: a sentence for each algorithm, and what to be careful about."""

from collections.abc import Iterator, Mapping

import numpy as np

from study_server.analysis.analysis import Analysis, Arm, Choices, Estimate
from study_server.analysis.twoway import FEW_IMAGES
from study_server.judged import Judged
from study_server.manifest import SIMULATED
from study_server.reporting.page_words import NBSP, chance, compared, count, day, level, listed, percent, span
from study_server.reporting.report import Report

MANY_EXCLUDED = 0.2
MANY_FLAGGED = 0.05
OFTEN = 50  # judgements of one image
SHOWN = {
    "zhu2017": "one image after the other, as in the AMT tool",
    "isola2017": "one image after the other, as in the AMT tool",
    "simultaneous": "both images at once",
}


def headlines(report: Report) -> list[str]:
    """One plain sentence per arm, in the study's order."""
    manifest = report.judged.manifest
    who = "Simulated people" if manifest is not None and manifest.is_simulated else "People"
    return [_headline(who, arm, report.analysis.choices) for arm in report.analysis.arms]


def comparison(report: Report) -> list[str]:
    """One sentence per pair of arms, at most three of them: a table has all."""
    pairs = report.analysis.contrasts
    return [compared(pair, report.analysis.choices.level) for pair in pairs] if len(pairs) <= 3 else []


def protocol(judged: Judged) -> str:
    """Whose protocol, how images were shown, and what was asked."""
    said = [f"Preset {judged.preset}" if judged.preset else "Protocol not said"]
    if judged.config is not None:
        said.append(f"{SHOWN[judged.preset]}, {judged.config.exposure.shown_ms:,}{NBSP}ms each")
    asked = f"participants were asked to click the image that is {judged.asked}" if judged.asked else ""
    return "; ".join(filter(None, (": ".join(said), asked))) + "."


def cautions(report: Report) -> list[str]:
    """What may make the numbers worth less than they seem; the gravest first."""
    return [
        *_simulated(report.judged),
        *_unfinished(report),
        *_tells(report.judged),
        *_looks(report.judged),
        *_deviations(report),
        *_of_arms(report),
        *_of_pairs(report),
    ]


def notes(report: Report) -> list[str]:
    """What a reader should know, and nobody need worry about."""
    return [*_registered(report), *_excluded(report), *report.judged.notes]


def of_images(analysis: Analysis) -> str:
    """How the extremes were chosen, and how little a single image's rate tells."""
    chosen = (
        "The most and the least convincing images of each algorithm, ranked by the end of their intervals that is "
        "nearer to the middle, lest those that few have judged come first."
    )
    judged = [image.trials for found in analysis.estimates.values() for image in found.closer.images]
    often = float(np.median(judged)) if judged else 0.0
    if often >= OFTEN:
        return chosen
    return (
        f"{chosen} An image was judged {often:g} times (median), so the rate of a single one is known badly, and the "
        "first of many is first partly by chance."
    )


def _headline(who: str, arm: Arm, choices: Choices) -> str:
    found = arm.estimate
    if found is None:
        return f"Of {arm.name} nothing can be said: {_nobody(arm)}."
    said = (
        f"{who} took the images of {arm.name} for real in {percent(found.rate)} of trials "
        f"({level(choices.level)} interval {span(found.interval)}; {_shape(found)}; "
        f"50{NBSP}% would be indistinguishable)."
    )
    return said if found.equivalence is None else f"{said} {_equivalent(found, choices)}"


def _nobody(arm: Arm) -> str:
    if not arm.finished:
        return "nobody has finished"
    gone = sum(arm.excluded.values())
    if gone == arm.finished:
        return "its participant was excluded" if gone == 1 else f"all {gone} participants were excluded"
    return "nobody who was kept gave a scored answer"


def _shape(found: Estimate) -> str:
    """How many judged how often: "25 participants × 40 trials"."""
    people, trials = count(found.counts.participants, "participant"), found.counts.trials
    if np.all(trials == trials[0]):
        return f"{people} × {count(int(trials[0]), 'trial')}"
    return f"{people}, {count(found.counts.total, 'trial')}"


def _equivalent(found: Estimate, choices: Choices) -> str:
    assert found.equivalence is not None
    margin = f"within {100 * found.equivalence.margin:g} points of 50{NBSP}%"
    is_within = found.equivalence.is_shown(choices.level)
    return (
        f"That is {'' if is_within else 'not shown to be '}{margin} (TOST, {chance('p', found.equivalence.p_value)})."
    )


def _simulated(judged: Judged) -> Iterator[str]:
    if judged.manifest is not None and judged.manifest.is_simulated:
        yield "The participants are simulated: no people answered, and these numbers say nothing of any algorithm."


def _tells(judged: Judged) -> Iterator[str]:
    """What might give the answer away, and was accepted."""
    for each in judged.manifest.warnings if judged.manifest else ():
        if each != SIMULATED:
            yield f"When the study was built, this was accepted: {each}"


def _unfinished(report: Report) -> Iterator[str]:
    left = report.judged.unfinished
    if left:
        arms = listed(f"{arm} has {done:,} of {report.judged.wanted:,} participants" for arm, done in left.items())
        yield f"The study is not finished: {arms}. These are not its results yet."


def _looks(judged: Judged) -> Iterator[str]:
    if judged.looks:
        often = "once" if len(judged.looks) == 1 else f"{len(judged.looks):,} times"
        when = f"on {day(judged.looks[0])}" if len(judged.looks) == 1 else f"first on {day(judged.looks[0])}"
        yield (
            f"Rates or answers were seen {often} before all algorithms were complete ({when}). If what was seen "
            "decided when the study ended, the intervals and p-values do not hold."
        )


def _deviations(report: Report) -> Iterator[str]:
    for each in report.deviations:
        yield f"Not as registered: {each}"


def _of_arms(report: Report) -> Iterator[str]:
    found = report.analysis.estimates
    for arm in report.analysis.arms:
        gone = sum(arm.excluded.values())
        if arm.estimate is not None and gone / arm.finished > MANY_EXCLUDED:
            people = count(arm.finished, "participant")
            yield f"{gone:,} of {people} of {arm.name} {'was' if gone == 1 else 'were'} excluded by the rules."
    alone = [name for name, each in found.items() if each.counts.participants == 1]
    if alone:
        yield f"One participant judged {listed(alone)}: how people differ is not known, and the interval is a guess."
    few = {name: each.two_way.images for name, each in found.items() if each.two_way and each.two_way.few}
    if few:
        yield (
            f"Only {_pools(few)} were judged, and about {FEW_IMAGES} are wanted: the intervals hold for these images; "
            "what other images would give is less certain."
        )
    for name, each in found.items():
        if each.closer.flagged > MANY_FLAGGED:
            yield f"{percent(each.closer.flagged)} of the exposures of {name} were flagged as not as they should be."


def _of_pairs(report: Report) -> Iterator[str]:
    """Where Welch's interval would be too narrow."""
    pairs = [f"{each.one} and {each.other}" for each in report.analysis.contrasts if each.combined]
    if pairs:
        yield (
            f"{'; '.join(pairs)}: few participants were fooled at all, or few were ever not, so how people differ is "
            "hardly known; the interval of the difference is combined of both rates' intervals (Zou and Donner 2008)."
        )


def _pools(images: Mapping[str, int]) -> str:
    """How many images there are of which arm; of many arms in sum."""
    if len(images) <= 3:
        return listed(f"{count(number, 'image')} of {name}" for name, number in images.items())
    low, high = min(images.values()), max(images.values())
    each = count(low, "image") if low == high else f"{low:,} to {high:,} images"
    return f"{each} of each of {len(images)} algorithms"


def _registered(report: Report) -> Iterator[str]:
    if report.judged.registration and not report.deviations:
        yield "All is as it was registered before anybody took part."


def _excluded(report: Report) -> Iterator[str]:
    finished = sum(arm.finished for arm in report.analysis.arms)
    gone = sum(sum(arm.excluded.values()) for arm in report.analysis.arms)
    if gone:
        people = count(finished, "participant")
        were = "was" if gone == 1 else "were"
        yield f"{gone:,} of {people} who finished {were} excluded, by rules set before the start."
    elif finished and report.judged.rules:
        yield "Nobody was excluded."
    missing = {name: each.closer.missing for name, each in report.analysis.estimates.items() if each.closer.missing}
    if missing:
        each = listed(f"{number:,} of {name}" for name, number in missing.items())
        yield f"Scored trials without an answer are missing and count as none: {each}."
