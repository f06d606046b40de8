"""A check by another road: generalised estimating equations (Liang and Zeger 1986) of the rate of one arm.

Logit link, binomial variance, exchangeable working correlation within participants, and the standard error that is
corrected for few participants (Mancl and DeRouen 2001, "A covariance estimator for GEE with improved small-sample
properties", equation 5). With the mean alone in the model all matrices have closed forms: participant i, with n_i
trials of which y_i fooled, has the weight w_i = 1 / (1 + (n_i - 1) a), the equation is sum w_i (y_i - n_i mu) = 0, and
the leverage of i is w_i n_i / sum w n. The correlation a is the moment estimator that statsmodels has, with one
parameter taken off.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from study_server.analysis.clusters import Counts
from study_server.analysis.intervals import LEVEL, Interval

ROUNDS, CLOSE = 200, 1e-12


@dataclass(frozen=True)
class Gee:
    """rate; error: standard error of the log-odds; interval: of the rate, through log-odds; correlation: a."""

    rate: float
    error: float
    interval: Interval
    correlation: float


def gee(counts: Counts, level: float = LEVEL) -> Gee | None:
    """None for one participant, and at 0 and 1, where log-odds are infinite."""
    pooled = counts.fooled.sum() / counts.trials.sum()
    if counts.participants < 2 or not 0 < pooled < 1:
        return None
    rate, correlation = float(pooled), 0.0
    for _ in range(ROUNDS):
        before, correlation = rate, _correlation(counts, rate)
        weights = 1 / (1 + (counts.trials - 1) * correlation)
        rate = float((weights * counts.fooled).sum() / (weights * counts.trials).sum())
        if abs(rate - before) < CLOSE:
            break
    weighted = weights * counts.trials
    residuals = weights * (counts.fooled - counts.trials * rate) / (1 - weighted / weighted.sum())
    error = float(np.sqrt((residuals**2).sum()) / (weighted.sum() * rate * (1 - rate)))
    odds, reach = special.logit(rate), special.ndtri(1 - (1 - level) / 2) * error
    return Gee(
        rate, error, Interval(float(special.expit(odds - reach)), float(special.expit(odds + reach))), correlation
    )


def _correlation(counts: Counts, rate: float) -> float:
    """Mean product of Pearson residuals over pairs of a participant's trials, over the mean square of all trials."""
    sums = counts.fooled - counts.trials * rate
    squares = counts.fooled * (1 - rate) ** 2 + (counts.trials - counts.fooled) * rate**2
    pairs = float((counts.trials * (counts.trials - 1) / 2).sum())
    if pairs <= 1:
        return 0.0
    scale = squares.sum() / (counts.trials.sum() - 1)
    smallest = -1 / max(float(counts.trials.max()) - 1, 1)
    found = ((sums**2 - squares).sum() / 2) / (pairs - 1) / scale
    return float(min(max(found, smallest * 0.999), 1.0))
