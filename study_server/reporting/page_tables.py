"""A report goes in; the rows of its page's tables come out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from study_server.analysis.analysis import Analysis, Arm, Estimate
from study_server.analysis.closer import ImageRate
from study_server.judged import Judged
from study_server.manifest import Manifest
from study_server.reporting.page_pictures import names_of
from study_server.reporting.page_words import NONE, Number, brackets, mean, p_value, plain, rate, signed, times
from study_server.reporting.report import Report

LEFT_EARLY = {
    "ENTERED": "looked at the first page only",
    "CONSENTED": "are on their way, or left",
    "DECLINED": "declined",
    "SCREENED_OUT": "were screened out",
    "ABANDONED": "left before the end",
    "EXCLUDED": "were excluded by hand",
}
ON_THE_WAY = ("CONSENTED", "CHECKED", "PRELOADED", "PRACTICE", "MAIN", "QUESTIONNAIRE")


@dataclass(frozen=True)
class Line:
    """A row of numbers. label: its header; meaning: said beside it, or ""."""

    label: str
    cells: tuple[Number, ...]
    meaning: str = ""


@dataclass(frozen=True)
class Step:
    """Of the flow of participants. kind: "in" for who is still there, "out" for who goes. everybody: over all arms;
    arms: by arm, "" where arms were not assigned yet."""

    label: str
    kind: str
    everybody: int
    arms: tuple[str, ...]
    share: float


HEADS = (
    ("participants", ""),
    ("trials", "with a scored answer"),
    ("fooled, %", ""),
    ("SE, points", "of the mean of participants"),
    ("effective trials", "as many independent ones tell"),
    ("± AMT, points", "as the AMT tool prints"),
    ("ICC", "how alike one’s own answers are"),
    ("design effect", ""),
)


def rates(analysis: Analysis) -> list[Line]:
    """One row per arm, one cell for each of `HEADS`, and one more where a margin was declared."""
    return [Line(arm.name, _cells(arm, analysis)) for arm in analysis.arms]


def flow(report: Report) -> list[Step]:
    """From who entered to who is analysed, the rules in their declared order."""
    judged, arms = report.judged, report.analysis.arms
    finished = sum(arm.finished for arm in arms)
    entered = max(sum(judged.states.values()), finished)
    whole = max(entered, 1)
    steps = [Step("entered", "in", entered, ("",) * len(arms), 1.0)] if entered > finished else []
    for label, number in _left(judged.states):
        steps.append(Step(label, "out", number, ("",) * len(arms), number / whole))
    steps.append(_step("finished", "in", [arm.finished for arm in arms], whole))
    for each in report.analysis.excluded:
        steps.append(_step(each.meaning, "out", [arm.excluded.get(each.rule, 0) for arm in arms], whole))
    if any(arm.without for arm in arms):
        steps.append(_step("gave no scored answer", "out", [arm.without for arm in arms], whole))
    steps.append(_step("analysed", "in", [_analysed(arm) for arm in arms], whole))
    return steps


def unused_rules(judged: Judged) -> list[str]:
    """Names of the rules that were not declared."""
    return [name for name, meaning in judged.rules.sentences() if not meaning]


def closer(analysis: Analysis, shown_ms: int | None) -> list[Line]:
    """What lies behind the rates beside `page_figures`, one cell for each arm that has an estimate.

    shown_ms: the exposure that was wanted, None where it is not known.
    """
    wanted = f"median [quartiles]{f'; {shown_ms:,} wanted' if shown_ms else ''}"
    rows: Sequence[tuple[str, str, Callable[[Estimate], Number]]] = (
        ("last third minus first, points", "fatigue or learning", _tiring),
        ("clicked left, %", "50 without a bias to a side", lambda each: mean(each.closer.left)),
        ("exposure as measured, ms", wanted, lambda each: times(each.closer.shown)),
        ("exposures flagged, %", "hidden, unseen, too long or too short", lambda each: rate(each.closer.flagged)),
        (
            "scored trials without an answer",
            "missing, and counted as none",
            lambda each: plain(each.closer.missing, ","),
        ),
    )
    told = analysis.estimates.values()
    lines = (Line(label, tuple(of(each) for each in told), meaning) for label, meaning, of in rows)
    return [line for line in lines if any(cell.exact is not None for cell in line.cells)]


def images(rates: Iterable[ImageRate], manifest: Manifest | None) -> list[Line]:
    """Of single images: judged, fooled, and the rate; the meaning is the real image's name, "" for none."""
    lines = []
    for each in rates:
        fake, real = names_of(each.image, manifest)
        cells = plain(each.trials, ","), plain(each.fooled, ","), rate(each.rate, each.interval)
        lines.append(Line(fake, cells, real))
    return lines


def _cells(arm: Arm, analysis: Analysis) -> tuple[Number, ...]:
    found = arm.estimate
    extra = analysis.choices.margin is not None
    if found is None:
        return (Number("0", 0.0), Number("0", 0.0), *(NONE,) * (len(HEADS) - 2 + extra))
    cells = (
        plain(found.counts.participants, ","),
        plain(found.counts.total, ","),
        rate(found.rate, found.interval),
        NONE if found.error is None else rate(found.error),
        plain(found.effective, ",.0f" if found.effective >= 10 else ".2g"),
        rate(found.amt),
        plain(found.icc, ".2f"),
        plain(found.design_effect, ".1f"),
    )
    return (*cells, p_value(found.equivalence.p_value if found.equivalence else None)) if extra else cells


def _analysed(arm: Arm) -> int:
    return arm.finished - sum(arm.excluded.values()) - arm.without


def _left(states: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Who did not finish, by how."""
    counted = {state: number for state, number in states.items() if state not in {"DONE", *ON_THE_WAY}}
    counted["CONSENTED"] = sum(states.get(state, 0) for state in ON_THE_WAY)
    for state, label in LEFT_EARLY.items():
        if counted.get(state):
            yield label, counted[state]


def _step(label: str, kind: str, numbers: Sequence[int], whole: int) -> Step:
    return Step(label, kind, sum(numbers), tuple(f"{number:,}" for number in numbers), sum(numbers) / whole)


def _tiring(found: Estimate) -> Number:
    tiring = found.closer.tiring
    if tiring is None:
        return NONE
    return Number(signed(tiring.value), tiring.value, brackets(tiring.interval))
