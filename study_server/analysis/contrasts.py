"""Two arms go in; by how much one fools more often, and whether that may be chance, come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from study_server.analysis.clusters import Counts
from study_server.analysis.intervals import LEVEL, Interval, korn_graubard, t_quantile, tells_spread

PERMUTATIONS = 9_999
CLOSE = 1e-9  # what rounding makes of equal numbers
LARGEST = 1e12  # of a statistic, beyond any with an error of at least CLOSE; scipy takes an infinite one for none


@dataclass(frozen=True)
class Contrast:
    """one minus other. low, high, p_value: None where an arm has one participant; adjusted: Holm's, over all pairs.

    combined: whether the interval is put together of both rates' own, since an arm does not tell how people differ.
    """

    one: str
    other: str
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    adjusted: float | None = None
    combined: bool = False


def contrasts(
    arms: Mapping[str, Counts],
    pairs: Sequence[tuple[str, str]] | None = None,
    icc: float | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[Contrast, ...]:
    """The pairs that were declared, or all in the order of arms; p-values adjusted after Holm (1979) over all shown.

    Pairs with an arm that is not there are left out. icc: pooled over arms, for where one of them cannot tell.
    """
    wanted = list(combinations(arms, 2)) if pairs is None else [pair for pair in pairs if {*pair} <= arms.keys()]
    found = [
        contrast(one, arms[one], other, arms[other], icc, permutations=permutations, seed=seed, level=level)
        for one, other in wanted
    ]
    adjusted = holm([each.p_value for each in found])
    return tuple(replace(each, adjusted=value) for each, value in zip(found, adjusted, strict=True))


def contrast(
    one: str,
    ours: Counts,
    other: str,
    theirs: Counts,
    icc: float | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    level: float = LEVEL,
) -> Contrast:
    """The difference of means of participants' rates with its interval, and the permutation test's p-value.

    The interval is Welch's (1947). Where an arm does not tell how people differ (`tells_spread`), Welch's would be
    too narrow, and a point where nobody differs: there it is combined of both rates' Korn-Graubard intervals.
    """
    difference = ours.rate - theirs.rate
    if ours.participants < 2 or theirs.participants < 2:
        return Contrast(one, other, difference, None, None, None)
    combined = not (tells_spread(ours) and tells_spread(theirs))
    found = _combined(ours, theirs, icc, level) if combined else _welch_interval(ours, theirs, level)
    p_value = permutation_test(ours.rates, theirs.rates, permutations=permutations, seed=seed)
    return Contrast(one, other, difference, found.low, found.high, p_value, combined=combined)


def _welch_interval(ours: Counts, theirs: Counts, level: float) -> Interval:
    a, b = ours.variance, theirs.variance
    degrees = (a + b) ** 2 / (a**2 / (ours.participants - 1) + b**2 / (theirs.participants - 1))
    difference, reach = ours.rate - theirs.rate, t_quantile(1 - (1 - level) / 2, degrees) * float(np.sqrt(a + b))
    return Interval(max(-1.0, difference - reach), min(1.0, difference + reach))


def _combined(ours: Counts, theirs: Counts, icc: float | None, level: float) -> Interval:
    """Each end goes as far as both rates' nearer ends together (Zou and Donner 2008, Statistics in Medicine 27)."""
    first, second = (korn_graubard(each, icc, level) for each in (ours, theirs))
    difference = ours.rate - theirs.rate
    down = np.hypot(ours.rate - first.low, second.high - theirs.rate)
    up = np.hypot(first.high - ours.rate, theirs.rate - second.low)
    return Interval(max(-1.0, float(difference - down)), min(1.0, float(difference + up)))


def permutation_test(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> float:
    """Two-sided p-value of no difference of means: twice the smaller tail when rates are dealt to the arms anew.

    All deals where there are no more than `permutations`, by scipy; otherwise so many random ones, the one that was
    seen counted in (Phipson and Smyth 2010). Studentised by Welch's statistic, so that the test is one of means also
    where arms differ in spread and size (Chung and Romano 2013, "Exact and asymptotically robust permutation tests").
    """
    if comb(len(ours) + len(theirs), len(ours)) <= permutations:
        from scipy import stats

        return float(stats.permutation_test((ours, theirs), _welch, vectorized=True, n_resamples=permutations).pvalue)
    return _random_deals(ours, theirs, permutations, seed)


def _random_deals(ours: NDArray[np.float64], theirs: NDArray[np.float64], permutations: int, seed: int) -> float:
    """By how many of each value an arm is dealt: the multivariate hypergeometric distribution."""
    values, kinds = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    often = np.bincount(kinds)
    seen = np.bincount(kinds[: len(ours)], minlength=len(values))
    dealt = np.random.default_rng(seed).multivariate_hypergeometric(
        often, len(ours), size=permutations, method="marginals"
    )
    statistics = _welch_of_counts(np.vstack([seen, dealt]), often, values - values.mean())
    near = CLOSE * min(max(1.0, abs(float(statistics[0]))), 1e9)
    tails = [np.count_nonzero(side >= side[0] - near) for side in (statistics, -statistics)]
    return float(min(1.0, 2 * min(tails) / (permutations + 1)))


def _welch_of_counts(
    dealt: NDArray[np.int64], often: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Welch's t of each row of `dealt` against the rest."""
    means, variances = [], []
    for counts in (dealt, often - dealt):
        size = counts[0].sum()
        mean = counts @ values / size
        square = np.maximum(counts @ values**2 / size - mean**2, 0)
        means.append(mean)
        variances.append(square / (size - 1))
    return _ratio(means[0] - means[1], sum(variances))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values after Holm (1979), in the order given; None stays None and is not counted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = largest
    return adjusted


def _welch(ours: NDArray[np.float64], theirs: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    variances = (each.var(axis=axis, ddof=1) / each.shape[axis] for each in (ours, theirs))
    return _ratio(ours.mean(axis=axis) - theirs.mean(axis=axis), sum(variances))


def _ratio(difference: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of difference and standard error; 0 for no difference, -+ LARGEST where nobody differs within the arms."""
    error = np.where(variance < CLOSE**2, 0.0, np.sqrt(variance))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(np.abs(difference) < CLOSE, 0.0, difference / error), -LARGEST, LARGEST)
