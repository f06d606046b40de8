"""Guesses of rates and of how people differ go in; how many participants a wanted answer needs comes out.

A study of n participants with t trials each knows a rate p with the variance p (1 - p) (1 + (t - 1) ICC) / (t n): the
binomial one, times the design effect. What is planned is what `analyse` will show: Korn and Graubard's interval, and
the permutation test, whose power is that of Welch's t. `simulation` tries both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, comb, exp, floor, isfinite, log1p, sqrt

from scipy import optimize, special

from cgeval.errors import ConfigError
from study_server.analysis.clusters import USUAL_ICC
from study_server.analysis.intervals import LEVEL, TELLING_SHARE, clopper_pearson, t_quantile

MOST_PARTICIPANTS, MOST_TRIALS, MOST_PAIRS = 1_000_000, 10_000, 10_000
ROUNDING = 1e-9  # what is above a whole number by less is that number
MANY = 20  # participants of each algorithm from which on the deals are too many to matter
SMALLEST = 1e-6  # difference that is looked for
SURE = 6.0  # standard errors from which on a difference is not found the wrong way round: below 1e-9


@dataclass(frozen=True)
class Design:
    """trials: scored ones of each participant; icc: intraclass correlation, 0 <= icc < 1; level: of intervals.

    pairs: of algorithms that are compared; each at (1 - level) / pairs, which is Holm's first and strictest step.
    Raises ConfigError for what is none of these.
    """

    trials: int = 40
    icc: float = USUAL_ICC
    level: float = LEVEL
    pairs: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.trials <= MOST_TRIALS:
            raise ConfigError(f"a session has {self.trials} trials: 1 to {MOST_TRIALS:,} are expected.")
        if not 0 <= self.icc < 1:
            raise ConfigError(
                f"the intraclass correlation is {self.icc:g}: 0 (people are all alike) to below 1 is expected, such as "
                f"{USUAL_ICC:g}."
            )
        if not 0 < self.level < 1:
            raise ConfigError(f"the level of intervals is {self.level:g}: between 0 and 1 is expected, such as 0.95.")
        if not 1 <= self.pairs <= MOST_PAIRS:
            raise ConfigError(
                f"{self.pairs:,} pairs of algorithms are to be compared: 1 to {MOST_PAIRS:,} are expected."
            )

    @property
    def design_effect(self) -> float:
        """By how much a rate's variance is larger than that of independent trials: 1 + (t - 1) ICC."""
        return 1 + (self.trials - 1) * self.icc

    @property
    def alpha(self) -> float:
        """At which each pair is tested."""
        return (1 - self.level) / self.pairs

    def variance(self, rate: float, participants: int) -> float:
        """Of the mean of so many participants' rates."""
        return rate * (1 - rate) * self.design_effect / (self.trials * participants)


@dataclass(frozen=True)
class People:
    """Of one algorithm. analysed: who are needed; finish: with those whom rules will exclude; start: and drop-outs."""

    analysed: int
    finish: int
    start: int


def recruited(analysed: int, excluded: float = 0.0, drop_out: float = 0.0) -> People:
    """excluded: share of those who finish; drop_out: of those who start, both from 0 to below 1, else ConfigError."""
    for name, share in (("excluded", excluded), ("drop-out", drop_out)):
        if not 0 <= share < 1:
            raise ConfigError(f"the {name} share is {share:g}: 0 to below 1 is expected, such as 0.1.")
    finish = ceil(analysed / (1 - excluded) - ROUNDING)
    return People(analysed, finish, ceil(finish / (1 - drop_out) - ROUNDING))


def half_width(design: Design, rate: float, participants: int) -> float:
    """Half the Korn-Graubard interval of a study that shows this rate, and participants who differ as the design says.

    With the analysis' floor: where at most a quarter of participants is expected to be fooled at all, or not to be, it
    takes an intraclass correlation of at least 0.15.
    """
    check_rate(rate)
    alike = max(design.icc, USUAL_ICC) if _telling_share(design, rate) <= TELLING_SHARE else design.icc
    total, upper = design.trials * participants, 1 - (1 - design.level) / 2
    few = t_quantile(upper, max(total - 1, 1)) / t_quantile(upper, participants - 1)
    around = clopper_pearson(rate, total / (1 + (design.trials - 1) * alike) * few**2, design.level)
    return (around.high - around.low) / 2


def t_half_width(design: Design, rate: float, participants: int) -> float:
    """t with n - 1 degrees of freedom times the clustered standard error: the other interval of a report."""
    check_rate(rate)
    return t_quantile(1 - (1 - design.level) / 2, participants - 1) * sqrt(design.variance(rate, participants))


def power(design: Design, rate: float, other: float, participants: int) -> float:
    """Probability that so many participants of each algorithm show a difference between these two rates.

    Of Welch's two-sided t-test at the design's alpha, by the noncentral t distribution; 0 where so few people can be
    dealt in too few ways for a permutation test to reach alpha.
    """
    check_other(rate, other)
    alpha = _attainable(design.alpha, participants)
    if alpha <= 0:
        return 0.0
    one, two = (design.variance(each, participants) for each in (rate, min(max(other, 0.0), 1.0)))
    degrees = (one + two) ** 2 / ((one**2 + two**2) / (participants - 1))
    shift = abs(rate - other) / sqrt(one + two)
    critical = t_quantile(1 - alpha / 2, degrees)
    if shift > critical + 2 * SURE:
        return 1.0
    wrong_way = special.nctdtr(degrees, shift, -critical) if shift < SURE else 0.0
    return float(1 - special.nctdtr(degrees, shift, critical) + wrong_way)


def participants_for_half_width(
    design: Design, rate: float, wanted: float, of: Callable[[Design, float, int], float] = half_width
) -> int:
    """The fewest whose interval is at most `wanted` to each side on average, as a fraction; ConfigError beyond 1e6."""
    check_rate(rate)
    if not 0 < wanted < 0.5:
        raise ConfigError(f"the half-width is {wanted:g}: a fraction between 0 and 0.5 is expected, such as 0.05.")
    return _fewest(lambda participants: of(design, rate, participants) <= wanted)


def participants_for_power(design: Design, rate: float, other: float, wanted: float) -> int:
    """The fewest of each algorithm that show the difference with the power wanted; ConfigError beyond 1e6."""
    check_other(rate, other)
    check_power(design, wanted)
    return _fewest(lambda participants: power(design, rate, other, participants) >= wanted)


def difference_for_power(design: Design, rate: float, participants: int, wanted: float) -> float | None:
    """The smallest that so many of each algorithm show; signed, towards 0.5 and beyond. None where all are too small.

    Of the two directions it is the harder one: towards 0.5 rates vary more.
    """
    check_rate(rate)
    check_power(design, wanted)
    sign, room = (1, 1 - rate) if rate <= 0.5 else (-1, rate)

    def beyond(size: float) -> float:
        return power(design, rate, rate + sign * size, participants) - wanted

    return float(sign * optimize.brentq(beyond, SMALLEST, room, xtol=SMALLEST)) if beyond(room) > 0 else None


def check_rate(rate: float) -> None:
    """Raises ConfigError for what cannot be planned with."""
    if not 0 < rate < 1:
        raise ConfigError(
            f"the expected rate is {rate:g}: a fraction above 0 and below 1 is expected, such as 0.27; 0.5 needs "
            "most participants."
        )


def check_other(rate: float, other: float) -> None:
    """Raises ConfigError where both are the same, or one is no rate; 0 and 1 are left to `other`."""
    check_rate(rate)
    if not isfinite(other) or not -ROUNDING <= other <= 1 + ROUNDING:
        raise ConfigError(
            f"a difference of {other - rate:g} from a rate of {rate:g} gives a rate of {other:g}: one from 0 to 1 is "
            "expected."
        )
    if abs(other - rate) < ROUNDING:
        raise ConfigError("the difference is 0: no number of participants shows it, name the smallest that matters.")


def check_power(design: Design, wanted: float) -> None:
    """Raises ConfigError for what is none, or is had by chance."""
    if not design.alpha < wanted < 1:
        raise ConfigError(
            f"the power is {wanted:g}: a fraction above {design.alpha:g}, which chance alone gives, and below 1 is "
            "expected, such as 0.8."
        )


def _telling_share(design: Design, rate: float) -> float:
    """Of participants who are expected to be fooled at least once, or to be not at least once, whichever are fewer."""
    rare = min(rate, 1 - rate)
    if design.icc == 0:
        return 1 - exp(design.trials * log1p(-rare))
    spread = 1 / design.icc - 1
    never = special.betaln(rare * spread, (1 - rare) * spread + design.trials)
    return float(1 - exp(never - special.betaln(rare * spread, (1 - rare) * spread)))


def _attainable(alpha: float, participants: int) -> float:
    """The largest p-value up to alpha that a permutation test over all deals can have: few people make it coarse."""
    if participants > MANY:
        return alpha
    halves = comb(2 * participants, participants) // 2
    return floor(alpha * halves + ROUNDING) / halves


def _fewest(suffice: Callable[[int], bool]) -> int:
    """By doubling, then halving the gap."""
    high = 2
    while not suffice(high):
        high *= 2
        if high > MOST_PARTICIPANTS:
            raise ConfigError(
                f"more than {MOST_PARTICIPANTS:,} participants would be needed: want a wider interval, a larger "
                "difference or less power."
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffice(middle) else (middle, high)
    return high
