"""One arm's trials go in; what lies behind its rate comes out: practice, fatigue, sides, times, exposures, images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study_server.analysis.intervals import LEVEL, Interval, clopper_pearson, t_quantile
from study_server.analysis.judgements import PRACTICE, SCORED, Judgements

PARTS = 3


@dataclass(frozen=True)
class Mean:
    """A mean over participants, with its t interval; None for one participant."""

    value: float
    interval: Interval | None
    participants: int


@dataclass(frozen=True)
class Times:
    """Milliseconds: quartiles of what was measured, and of how many trials."""

    lower: float
    median: float
    upper: float
    trials: int


@dataclass(frozen=True)
class ImageRate:
    """One image's: how often it was judged, and fooled; the interval is Clopper and Pearson's over its judgements."""

    image: str
    fooled: int
    trials: int
    interval: Interval

    @property
    def rate(self) -> float:
        """As a fraction."""
        return self.fooled / self.trials


@dataclass(frozen=True)
class Closer:
    """practice: fooling rate there; thirds: of the scored trials in the order of each session; tiring: last third minus
    first, within participants; left: share of answers on the left; by_side: fooling rate with the real image left, and
    right; rt, rt_fooled, rt_not: reaction times of all, of fooled and of other answers; shown: measured exposures;
    flagged: share of trials whose exposure was flagged; missing: scored trials without an answer.
    """

    practice: Mean | None
    thirds: tuple[Mean, ...]
    tiring: Mean | None
    left: Mean
    by_side: tuple[Mean | None, Mean | None]
    rt: Times | None
    rt_fooled: Times | None
    rt_not: Times | None
    shown: Times | None
    flagged: float
    missing: int
    images: tuple[ImageRate, ...]


def look_closer(judgements: Judgements, level: float = LEVEL) -> Closer:
    """Of the trials of one arm, with at least one scored answer."""
    scored = judgements.of_phase(SCORED)
    parts = _thirds(scored)
    rates = [_rates(scored.where(parts == part)) for part in range(PARTS)]
    return Closer(
        practice=mean_of(_rates(judgements.of_phase(PRACTICE)), level),
        thirds=tuple(found for each in rates if (found := mean_of(each, level)) is not None),
        tiring=mean_of(rates[-1] - rates[0], level, least=-1.0),
        left=_certain(mean_of(_share(scored, scored.clicked_left), level)),
        by_side=(
            mean_of(_rates(scored.where(scored.real_left)), level),
            mean_of(_rates(scored.where(~scored.real_left)), level),
        ),
        rt=_times(scored.rt_ms),
        rt_fooled=_times(scored.rt_ms[scored.fooled]),
        rt_not=_times(scored.rt_ms[~scored.fooled]),
        shown=_times(scored.shown_ms),
        flagged=float(scored.invalid.mean()),
        missing=int(((judgements.phase == SCORED) & ~judgements.answered).sum()),
        images=image_rates(scored, level),
    )


def image_rates(scored: Judgements, level: float = LEVEL) -> tuple[ImageRate, ...]:
    """Most convincing first, then by name."""
    trials = np.bincount(scored.image, minlength=len(scored.images))
    fooled = np.bincount(scored.image, scored.fooled, minlength=len(scored.images)).astype(int)
    known: dict[tuple[int, int], Interval] = {}
    found = []
    for code in np.flatnonzero(trials):
        counted = (int(fooled[code]), int(trials[code]))
        if counted not in known:
            known[counted] = clopper_pearson(counted[0] / counted[1], counted[1], level)
        found.append(ImageRate(scored.images[code], *counted, known[counted]))
    return tuple(sorted(found, key=lambda each: (-each.rate, -each.trials, each.image)))


def mean_of(values: NDArray[np.float64], level: float = LEVEL, least: float = 0.0) -> Mean | None:
    """Of one share for each participant, NaN where there is none; None where nobody has one.

    The interval is cut at `least` and at 1, beyond which there are none; -1 for differences of shares.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    mean = float(known.mean())
    if len(known) < 2:
        return Mean(mean, None, 1)
    reach = t_quantile(1 - (1 - level) / 2, len(known) - 1) * float(known.std(ddof=1)) / np.sqrt(len(known))
    return Mean(mean, Interval(max(least, mean - float(reach)), min(1.0, mean + float(reach))), len(known))


def _certain(found: Mean | None) -> Mean:
    assert found is not None  # an arm has answers
    return found


def _thirds(scored: Judgements) -> NDArray[np.int64]:
    """0, 1 or 2 of each trial, by its rank within its participant's answers."""
    order = np.lexsort((scored.index, scored.participant))
    counts = np.bincount(scored.participant, minlength=len(scored.participants))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    whose = scored.participant[order]
    parts = np.empty(len(scored), np.int64)
    parts[order] = PARTS * (np.arange(len(scored)) - starts[whose]) // counts[whose]
    return parts


def _rates(trials: Judgements) -> NDArray[np.float64]:
    return _share(trials, trials.fooled)


def _share(trials: Judgements, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each participant [m]; NaN without a trial."""
    counts = trials.per_participant()
    return np.asarray(
        np.divide(trials.per_participant(chosen), counts, out=np.full(len(counts), np.nan), where=counts > 0)
    )


def _times(values: NDArray[np.float64]) -> Times | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    lower, median, upper = np.quantile(known, [0.25, 0.5, 0.75])
    return Times(float(lower), float(median), float(upper), len(known))
