"""Counts of participants go in; how far the fooling rate is known comes out, as fractions."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from study_server.analysis.clusters import USUAL_ICC, Counts

LEVEL = 0.95
TELLING_SHARE = 0.25  # of participants who were fooled at all, from which on they tell how people differ


@dataclass(frozen=True)
class Interval:
    """Low and high end, as fractions."""

    low: float
    high: float


def t_quantile(probability: float, degrees: float) -> float:
    """Of Student's distribution."""
    return float(special.stdtrit(degrees, probability))


def effective_trials(counts: Counts, icc: float | None = None, level: float = LEVEL) -> float:
    """How many independent trials would tell as much, corrected for few participants (Korn and Graubard 1998).

    `independent_trials`, times (t with n - 1 / t with m - 1 degrees of freedom)^2.
    """
    upper = 1 - (1 - level) / 2
    few = t_quantile(upper, max(counts.total - 1, 1)) / t_quantile(upper, max(counts.participants - 1, 1))
    return float(independent_trials(counts, icc) * few**2)


def independent_trials(counts: Counts, icc: float | None = None) -> float:
    """p (1 - p) / V, where V is at least that of as many participants whose answers are not alike.

    With as many trials for each, that is at most the trials there are. Where at most a quarter of the participants were
    ever fooled, or were ever not, the few who tell how participants differ may have been missed: then V is at least
    that of an intraclass correlation of 0.15, or of icc where that is larger. Without it, intervals of 10 participants
    who are fooled in 5 % of trials cover 88 to 91 %, with it 94 to 97 % (benchmarks/coverage.py).
    """
    seen, least = counts.design_effect, _least_design_effect(counts, icc)
    return counts.total / (max(seen, least) if seen == seen else least)


def tells_spread(counts: Counts) -> bool:
    """Whether more than a quarter of the participants were fooled at all, and not always, and they differ."""
    differ = min(np.count_nonzero(counts.fooled), np.count_nonzero(counts.fooled < counts.trials))
    return bool(counts.variance > 0 and differ > counts.participants * TELLING_SHARE)


def _least_design_effect(counts: Counts, icc: float | None) -> float:
    """Of the mean of participants' rates: sum over participants of (1 + (n_i - 1) icc) / n_i, times N / m^2."""
    alike = 0.0 if tells_spread(counts) else max(USUAL_ICC, icc or 0.0)
    each = (1 + (counts.trials - 1) * alike) / counts.trials
    return float(counts.total * each.sum() / counts.participants**2)


def korn_graubard(counts: Counts, icc: float | None = None, level: float = LEVEL) -> Interval:
    """The headline: Clopper and Pearson's interval on the effective sample size. Defined at 0 and at 1.

    E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data", Survey Methodology 24 (1998), section 3. Over participants as the sampled units.
    """
    return clopper_pearson(counts.rate, effective_trials(counts, icc, level), level)


def clopper_pearson(rate: float, trials: float, level: float = LEVEL) -> Interval:
    """The exact binomial interval (Clopper and Pearson 1934) by the beta distribution; trials need not be whole."""
    half, hits = (1 - level) / 2, rate * trials
    misses = trials - hits
    low = 0.0 if hits <= 0 else float(special.betaincinv(hits, misses + 1, half))
    high = 1.0 if misses <= 0 else float(special.betaincinv(hits + 1, misses, 1 - half))
    return Interval(low, high)


def clustered(counts: Counts, level: float = LEVEL) -> tuple[float, Interval] | None:
    """The standard error of the mean of participants' rates, and rate -+ t * SE cut at 0 and 1; None for one of them.

    At 0 and 1 the standard error is 0 and the interval a point: see `korn_graubard`.
    """
    if counts.participants < 2:
        return None
    error = float(np.sqrt(counts.variance))
    reach = t_quantile(1 - (1 - level) / 2, counts.participants - 1) * error
    return error, Interval(max(0.0, counts.rate - reach), min(1.0, counts.rate + reach))


def pooled_wilson(counts: Counts, level: float = LEVEL) -> Interval:
    """Wilson's interval as if trials were independent: what must not be reported, for simulations that show why."""
    rate, trials = counts.fooled.sum() / counts.total, counts.total
    z = float(special.ndtri(1 - (1 - level) / 2))
    middle, reach = rate + z**2 / (2 * trials), z * np.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    return Interval(float((middle - reach) / (1 + z**2 / trials)), float((middle + reach) / (1 + z**2 / trials)))


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests: whether the rate lies within `target` -+ `margin`. p_value: the larger of the two."""

    target: float
    margin: float
    p_value: float

    def is_shown(self, level: float = LEVEL) -> bool:
        """Whether by a test at 1 - level, so at 5 % beside 95 % intervals."""
        return self.p_value <= 1 - level


def equivalence(counts: Counts, margin: float, icc: float | None = None, *, target: float = 0.5) -> Equivalence | None:
    """TOST over participants (Schuirmann 1987), by t with m - 1 degrees of freedom; None for one participant.

    Where participants do not differ, the standard error is that of `independent_trials`.
    """
    if counts.participants < 2:
        return None
    error = np.sqrt(counts.variance)
    if not error > 0:
        rate = min(max(counts.rate, 0.5 / counts.total), 1 - 0.5 / counts.total)
        error = np.sqrt(rate * (1 - rate) / independent_trials(counts, icc))
    degrees, off = counts.participants - 1, counts.rate - target
    below = 1 - special.stdtr(degrees, (off + margin) / error)
    above = special.stdtr(degrees, (off - margin) / error)
    return Equivalence(target, margin, float(max(below, above)))
