"""A rate and how people differ go in; how the analysis would have done on many such studies comes out. Seeded.

Participants are beta-binomial: each has a rate of their own, beta distributed with mean p and intraclass correlation
ICC (a + b = 1 / ICC - 1), and is fooled so in each trial. Every study is put through the code that a report uses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

from study_server.analysis.clusters import Counts
from study_server.analysis.contrasts import PERMUTATIONS, permutation_test
from study_server.analysis.intervals import Interval, korn_graubard
from study_server.analysis.planning import Design

REPLICATES = 2000
FEW_PERMUTATIONS = 999  # enough for a decision, at a tenth of the time
CELLS = 1_000_000  # participants that are drawn at once
CLOSE_ENOUGH = 0.03  # of power; and, as a share, of half-widths

Done = Callable[[int], object]


@dataclass(frozen=True)
class Share:
    """Of simulated studies."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """As a fraction."""
        return self.hits / self.of

    @property
    def error(self) -> float:
        """Its standard error."""
        return sqrt(self.value * (1 - self.value) / self.of)


@dataclass(frozen=True)
class Widths:
    """half_width: mean over the studies; covered: intervals that hold the true rate."""

    half_width: float
    covered: Share


def simulated(
    design: Design, rate: float, participants: int, studies: int, source: np.random.Generator
) -> Iterator[Counts]:
    """So many studies of one algorithm, drawn some at a time; rates of 0 and 1 leave nothing to chance."""
    trials = np.full(participants, float(design.trials))
    at_once = max(1, CELLS // participants)
    for first in range(0, studies, at_once):
        for fooled in _fooled(design, rate, (min(at_once, studies - first), participants), source):
            yield Counts(fooled, trials)


def _fooled(design: Design, rate: float, size: tuple[int, int], source: np.random.Generator) -> NDArray[np.float64]:
    """Trials in which each participant was fooled: [studies, participants]."""
    own: NDArray[np.float64] = np.full(size, rate)
    if design.icc > 0 and 0 < rate < 1:
        spread = 1 / design.icc - 1
        own = source.beta(rate * spread, (1 - rate) * spread, size)
    return source.binomial(design.trials, own).astype(np.float64)


def simulate_widths(
    design: Design,
    rate: float,
    participants: int,
    studies: int = REPLICATES,
    seed: int = 0,
    done: Done = lambda _: None,
) -> Widths:
    """Of Korn and Graubard's interval. done: is told of each study."""
    widths, covered = [], 0
    for counts in simulated(design, rate, participants, studies, np.random.default_rng(seed)):
        around = korn_graubard(counts, level=design.level)
        widths.append((around.high - around.low) / 2)
        covered += holds(around, rate)
        done(1)
    return Widths(float(np.mean(widths)), Share(covered, studies))


def simulate_power(
    design: Design,
    rate: float,
    other: float,
    participants: int,
    studies: int = REPLICATES,
    seed: int = 0,
    done: Done = lambda _: None,
) -> Share:
    """Of the permutation test at the design's alpha; with two equal rates: false positives. done: as above."""
    sources = np.random.default_rng(seed).spawn(2)
    ours, theirs = (
        simulated(design, min(max(each, 0.0), 1.0), participants, studies, source)
        for each, source in zip((rate, other), sources, strict=True)
    )
    permutations = min(max(FEW_PERMUTATIONS, ceil(50 / design.alpha) - 1), PERMUTATIONS)
    found = 0
    for study, (one, two) in enumerate(zip(ours, theirs, strict=True)):
        p_value = permutation_test(one.rates, two.rates, permutations=permutations, seed=study)
        found += p_value <= design.alpha
        done(1)
    return Share(found, studies)


def pooled_z_test(ours: Counts, theirs: Counts) -> float:
    """Two-sided p-value of two proportions as if trials were independent: what must not be reported, as a foil."""
    pooled = (ours.fooled.sum() + theirs.fooled.sum()) / (ours.total + theirs.total)
    error = np.sqrt(pooled * (1 - pooled) * (1 / ours.total + 1 / theirs.total))
    difference = abs(ours.fooled.sum() / ours.total - theirs.fooled.sum() / theirs.total)
    return float(2 * special.ndtr(-difference / error)) if error > 0 else 1.0


def holds(interval: Interval, value: float) -> bool:
    """Whether the value lies within."""
    return interval.low <= value <= interval.high
