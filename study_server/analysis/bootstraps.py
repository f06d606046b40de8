"""Counts of participants go in; what other participants, drawn from the same, would have given comes out. Seeded.

Participants with the same answers are alike, so it is drawn how many of each kind there are (a multinomial draw): the
same resamples as of single participants, at a cost that does not grow with them.
"""

import numpy as np
from numpy.typing import NDArray

from study_server.analysis.clusters import Counts
from study_server.analysis.intervals import LEVEL, Interval

RESAMPLES = 10_000


def participant_bootstrap(
    counts: Counts, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> Interval | None:
    """Percentile interval of the mean of participants' rates (Efron 1979); None for one participant."""
    if counts.participants < 2:
        return None
    rates, often = np.unique(counts.rates, return_counts=True)
    means = _drawn(often, resamples, seed) @ rates / counts.participants
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def amt_standard_deviation(counts: Counts, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The plus-minus of printed tables: SD of a bootstrap of sessions, then of trials within each.

    As the AMT tool's script does (github.com/phillipi/AMT_Real_vs_Fake), so that tables made by it can be compared.
    Too wide as a standard error: within a session, trials are resampled a second time. So many trials of sessions with
    the same answers are fooled as often as a binomial draw says.
    """
    kinds, often = np.unique(np.stack([counts.fooled, counts.trials], axis=1), axis=0, return_counts=True)
    fooled, trials = kinds.T
    drawn = _drawn(often, resamples, seed)
    shown = drawn * trials.astype(np.int64)
    hits = np.random.default_rng([seed, 1]).binomial(shown, fooled / trials)
    return float((hits.sum(axis=1) / shown.sum(axis=1)).std())


def _drawn(often: NDArray[np.int64], resamples: int, seed: int) -> NDArray[np.int64]:
    """How many participants of each kind there are in each resample: [resamples, kinds]."""
    participants = int(often.sum())
    return np.random.default_rng(seed).multinomial(participants, often / participants, size=resamples)
