"""Two numbers of each thing go in; how far they put the things into one order comes out, with intervals. Only numpy.

Spearman's rho is Pearson's correlation of the ranks, ties at their mean rank (Spearman 1904). Kendall's tau-b is, over
all pairs, those in the same order less those in the other, divided by the geometric mean of how many are not tied in
either number (Kendall 1945). Both are 1 for the same order, -1 for the reverse one, and nan where one number is the
same for all things.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import DataError

RESAMPLES = 2000
LEVEL = 0.95
FEWEST = 3  # of two things, any two numbers have the same order or the reverse one
ALL_ORDERS_TO = 7  # things, of which all 5040 orders are looked at; of more, a sample
ORDERS = 9999
SAME = 1e-12  # ranks are halves, so that two correlations of them are equal or further apart
PAIRS_AT_ONCE = 1 << 22  # 32 MiB

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Coefficient:
    """In [-1, 1]; low, high: of its interval, which holds the value; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RankAgreement:
    """Of n things. rho: Spearman's; tau: Kendall's tau-b."""

    n: int
    rho: Coefficient
    tau: Coefficient


def average_ranks(values: Values) -> Values:
    """Ranks along the last axis from 1, equal values at the mean of their ranks: float64 [..., n] -> [..., n]."""
    flat = values.reshape(-1, values.shape[-1])
    return np.array([_ranks(row) for row in flat], dtype=np.float64).reshape(values.shape)


def spearman_rho(ours: Values, theirs: Values) -> Values:
    """Of the last axes, without nan: float64 [..., n] each -> [...]; nan where one is constant."""
    n = ours.shape[-1]
    x, y = (average_ranks(each) - (n + 1) / 2 for each in (ours, theirs))
    return _ratio((x * y).sum(axis=-1), (x * x).sum(axis=-1), (y * y).sum(axis=-1))


def kendall_tau_b(ours: Values, theirs: Values) -> Values:
    """Of the last axes, without nan: float64 [..., n] each -> [...], by n * n pairs; nan where one is constant."""
    n = ours.shape[-1]
    _, taus = _both(ours.reshape(-1, n), theirs.reshape(-1, n))
    return taus.reshape(ours.shape[:-1])


def agreement_over_images(ours: Values, theirs: Values, *, resamples: int = RESAMPLES, seed: int = 0) -> RankAgreement:
    """Of a number of each image with another, float64 [n] each; the intervals draw the images with replacement.

    Raises DataError for fewer than three images, for values that are no numbers, and where one is the same for all.
    """
    rho, tau = _coefficients(ours, theirs)
    rhos, taus = _over_resamples(ours, theirs, resamples, seed)
    return RankAgreement(len(ours), _with_ends(rho, rhos), _with_ends(tau, taus))


def agreement_of_draws(ours: Values, theirs: Values, drawn_ours: Values, drawn_theirs: Values) -> RankAgreement:
    """Of one number of each thing with another, float64 [n] each, which are themselves uncertain.

    drawn: float64 [draws, n], as both may have come out; the intervals are over these, with the same things always.
    Raises DataError as `agreement_over_images`.
    """
    rho, tau = _coefficients(ours, theirs)
    rhos, taus = _both(drawn_ours, drawn_theirs)
    return RankAgreement(len(ours), _with_ends(rho, rhos), _with_ends(tau, taus))


def order_by_chance(ours: Values, theirs: Values, *, seed: int = 0) -> float:
    """p, two-sided: the share of all orders of n things whose rho is as far from 0 as that of the two, float64 [n].

    Of up to 7 things all orders are looked at, so that p is at least 1 / n!; of more, 9999 and the one there is. Raises
    DataError as `agreement_over_images`.
    """
    _refuse(ours, theirs)
    x, y = (average_ranks(each) - (len(each) + 1) / 2 for each in (ours, theirs))
    found = abs(float(x @ y)) - SAME
    if len(x) <= ALL_ORDERS_TO:
        orders = np.array(list(permutations(range(len(x)))))
        return float(np.mean(np.abs(x[orders] @ y) >= found))
    drawn = np.random.default_rng(seed).permuted(np.tile(x, (ORDERS, 1)), axis=1)
    return float((1 + np.count_nonzero(np.abs(drawn @ y) >= found)) / (ORDERS + 1))


def interval_of_coefficient(drawn: Values, value: float, level: float = LEVEL) -> Coefficient:
    """The value with the percentile interval of what was drawn, nan left out; widened to hold the value."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Coefficient(value)
    low, high = (float(end) for end in np.quantile(known, [(1 - level) / 2, (1 + level) / 2]))
    return Coefficient(value, min(low, value), max(high, value))


def _with_ends(value: float, drawn: Values) -> Coefficient:
    return interval_of_coefficient(drawn, value)


def _coefficients(ours: Values, theirs: Values) -> tuple[float, float]:
    _refuse(ours, theirs)
    return float(spearman_rho(ours, theirs)), float(kendall_tau_b(ours, theirs))


def _over_resamples(ours: Values, theirs: Values, resamples: int, seed: int) -> tuple[Values, Values]:
    """rho and tau of every resample of the things: float64 [resamples] each.

    With w_i how often thing i was drawn and s_ij the sign of x_i - x_j, the rank of i less the mean rank is half the
    sum over j of w_j s_ij, and pairs are counted by sums over i and j of w_i w_j: all of it is products of matrices.
    Their whole numbers are exact in float32 below 2 ** 24.
    """
    x, y = _signs(ours), _signs(theirs)
    w = _weights(len(ours), resamples, seed)
    taus = _ratio(*(_pairs(w, each) for each in (x * y, np.abs(x), np.abs(y))))
    return _rho_of(w, w @ x.T, w @ y.T), taus


def _rho_of(w: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> Values:
    """w, and twice the ranks of both numbers less their mean: [resamples, n] each -> [resamples]."""
    weights, a, b = (each.astype(np.float64) for each in (w, x, y))
    return _ratio(*((weights * one * other).sum(axis=1) for one, other in ((a, b), (a, a), (b, b))))


def _pairs(w: NDArray[np.float32], of: NDArray[np.float32]) -> Values:
    """The sum over i and j of w_i w_j of_ij: [resamples, n], [n, n] -> [resamples]."""
    counted: Values = (w.astype(np.float64) * (w @ of)).sum(axis=1)
    return counted


@lru_cache(maxsize=1)
def _weights(n: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """[resamples, n]: how often each thing was drawn; kept, since one comparison asks for the same many times."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float32)


def _signs(values: Values) -> NDArray[np.float32]:
    """[n, n]: 1 where the row's value is above the column's, -1 below, 0 where they are equal."""
    return np.sign(values[:, None] - values[None, :]).astype(np.float32)


def _both(ours: Values, theirs: Values) -> tuple[Values, Values]:
    """rho and tau of each row: [rows, n] each -> [rows]."""
    n = ours.shape[1]
    most = max(1, PAIRS_AT_ONCE // (n * n))
    parts = [(ours[i : i + most], theirs[i : i + most]) for i in range(0, len(ours), most)]
    rhos, taus = zip(*(_of_rows(*part) for part in parts), strict=True)
    return np.concatenate(rhos), np.concatenate(taus)


def _of_rows(ours: Values, theirs: Values) -> tuple[Values, Values]:
    """The sum of a thing's signs against all others is twice its rank less the mean rank."""
    x, y = (np.sign(each[:, :, None] - each[:, None, :]) for each in (ours, theirs))
    a, b = x.sum(axis=2), y.sum(axis=2)
    rho = _ratio(*(each.sum(axis=1) for each in (a * b, a * a, b * b)))
    return rho, _ratio(*(each.sum(axis=(1, 2)) for each in (x * y, np.abs(x), np.abs(y))))


def _ratio(together: Values, ours: Values, theirs: Values) -> Values:
    """together / sqrt(ours * theirs); nan where one of these is 0."""
    scale = np.sqrt(ours * theirs)
    found = np.full(np.shape(together), math.nan)
    np.divide(together, scale, out=found, where=scale > 0)
    clipped: Values = np.clip(found, -1, 1)
    return clipped


def _ranks(row: Values) -> Values:
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = (last - (counts - 1) / 2)[place]
    return ranks


def _refuse(ours: Values, theirs: Values) -> None:
    if ours.ndim != 1 or ours.shape != theirs.shape or len(ours) < FEWEST:
        raise DataError(
            f"values of the shapes {list(ours.shape)} and {list(theirs.shape)} have no order to be held against each "
            f"other: two numbers of each of at least {FEWEST} things are expected."
        )
    for values in (ours, theirs):
        if not np.isfinite(values).all():
            raise DataError("a value is no finite number, and has no rank: leave out what has no value.")
        if (values == values[0]).all():
            raise DataError(f"all {len(values)} values are {values[0]:g}, so they put nothing into an order.")
