"""Fooled and scored trials of each participant go in; how alike one participant's own answers are comes out.

Trials are clustered in people: whoever is fooled once is fooled more easily again. A rate over all trials is then known
less well than so many independent trials would tell, by the design effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import DataError
from study_server.analysis.judgements import SCORED, Judgements

USUAL_ICC = 0.15  # where a study cannot tell; 0.12 to 0.23 in the AMT tool's public results


@dataclass(frozen=True, eq=False)
class Counts:
    """One arm. fooled, trials: of each participant with an answer, float64 [m], trials at least 1."""

    fooled: NDArray[np.float64]
    trials: NDArray[np.float64]

    @cached_property
    def rates(self) -> NDArray[np.float64]:
        """Of each participant."""
        return np.asarray(self.fooled / self.trials)

    @property
    def rate(self) -> float:
        """The fooling rate: the mean of the participants' rates, so that each counts alike."""
        return float(self.rates.mean())

    @property
    def participants(self) -> int:
        """How many."""
        return len(self.trials)

    @property
    def total(self) -> int:
        """Scored trials with an answer."""
        return int(self.trials.sum())

    @property
    def variance(self) -> float:
        """Of `rate`, from how participants differ: s^2 / m; NaN for one participant, 0 and no rounding for equals."""
        if self.participants < 2:
            return float("nan")
        is_one_rate = bool((self.rates == self.rates[0]).all())
        return 0.0 if is_one_rate else float(self.rates.var(ddof=1) / self.participants)

    @property
    def design_effect(self) -> float:
        """By how much `variance` is larger than that of as many independent trials, p (1 - p) / n; NaN where 0 / 0."""
        independent = self.rate * (1 - self.rate) / self.total
        return self.variance / independent if independent > 0 else float("nan")


def counts_of(judgements: Judgements, phase: int = SCORED) -> Counts:
    """Of the trials of one arm; participants without an answer are not there. Raises DataError where none is left."""
    trials = judgements.of_phase(phase)
    answers, fooled = trials.per_participant(), trials.per_participant(trials.fooled)
    there = answers > 0
    if not there.any():
        raise DataError("there is no answer left to take a rate of.")
    return Counts(fooled[there], answers[there])


def intraclass_correlation(arms: Iterable[Counts]) -> float | None:
    """The ANOVA estimator over participants, pooled over arms; None where nothing differs, or nobody can be compared.

    With k participants, N trials, mean squares between (MSB, k - arms degrees of freedom) and within (MSW, N - k) and
    n0 = (N - sum n_i^2 / N, summed over arms) / (k - arms): (MSB - MSW) / (MSB + (n0 - 1) MSW), at least 0
    (Ridout, Demetrio, Firth 1999, "Estimating intraclass correlation for binary data", equation for ANOVA).
    """
    between = within = weight = 0.0
    participants = trials = count = 0
    for arm in arms:
        pooled = arm.fooled.sum() / arm.total
        between += float((arm.trials * (arm.rates - pooled) ** 2).sum())
        within += float((arm.fooled * (1 - arm.rates)).sum())
        weight += arm.total - float((arm.trials**2).sum()) / arm.total
        participants, trials, count = participants + arm.participants, trials + arm.total, count + 1
    if participants <= count or trials <= participants:
        return None
    msb, msw, size = between / (participants - count), within / (trials - participants), weight / (participants - count)
    spread = msb + (size - 1) * msw
    return max(0.0, (msb - msw) / spread) if spread > 0 else None
