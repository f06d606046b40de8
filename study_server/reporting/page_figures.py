"""An analysis goes in; its drawings come out as places: what stands where, in percent of a drawing's width.

A page draws them as SVG of any width, in which letters and lines keep their size.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from study_server.analysis.analysis import Analysis, Estimate
from study_server.analysis.closer import Mean, Times
from study_server.analysis.contrasts import Contrast
from study_server.analysis.intervals import Interval, t_quantile
from study_server.reporting.page_words import MINUS, brackets, count, digits, percent, signed, signed_brackets, span

CHANCE = 0.5
EDGE = 3.0  # percent of a drawing left free at both sides
MOST_STEPS = 6
BINS = 40  # heaps of participants between 0 and 100 %: one for each rate of a session of 40 trials
DOT_PX = 8.0
TALLEST = 15  # dots in a heap; above it, heaps become bars
BAR_PX = 110.0

Kind = Literal["headline", "other", "spread"]


@dataclass(frozen=True)
class Tick:
    """at: percent of the width."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From low to high, with round ends. chance: where 50 % (or no difference) is."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    chance: float | None = None

    def at(self, value: float) -> float:
        """Percent of the width; values beyond an end are at it."""
        share = (value - self.low) / (self.high - self.low)
        return EDGE + (100 - 2 * EDGE) * min(1.0, max(0.0, share))


@dataclass(frozen=True)
class Row:
    """A number with what surrounds it, drawn: places in percent; digits, beside: the same to be read."""

    label: str
    kind: Kind
    at: float
    low: float | None
    high: float | None
    digits: str
    beside: str
    text: str


@dataclass(frozen=True)
class Block:
    """Rows of one algorithm."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Plot:
    """Blocks on one axis."""

    axis: Axis
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Heap:
    """Participants of about the same rate. at: percent of the width; dots: heights in px from the ground; bar_px: of a
    bar instead, 0 for dots."""

    at: float
    participants: int
    dots: tuple[float, ...]
    bar_px: float


@dataclass(frozen=True)
class Strip:
    """Every participant of one algorithm at their own rate. width: of a bar, in percent."""

    name: str
    heaps: tuple[Heap, ...]
    height_px: float
    width: float
    mean: Row
    text: str


@dataclass(frozen=True)
class Strips:
    """One for each algorithm, on one axis."""

    axis: Axis
    strips: tuple[Strip, ...]

    @property
    def have_dots(self) -> bool:
        """Whether any participant is a dot."""
        return any(heap.dots for strip in self.strips for heap in strip.heaps)

    @property
    def have_bars(self) -> bool:
        """Whether there are too many for that anywhere."""
        return any(heap.bar_px for strip in self.strips for heap in strip.heaps)


def estimators(found: Estimate, share: float) -> tuple[tuple[str, float, Interval | None], ...]:
    """Name, rate and interval of all that estimate an arm's rate, the headline first. share: the level.

    Over participants and images: rate -+ t * SE, t with one degree of freedom less than the fewer of both (Cameron and
    Miller 2015, "A practitioner's guide to cluster-robust inference").
    """
    around = [
        ("Korn–Graubard", found.rate, found.interval),
        ("clustered standard error, t", found.rate, found.clustered),
        ("bootstrap of participants", found.rate, found.bootstrap),
    ]
    if found.gee is not None:
        around.append(("GEE", found.gee.rate, found.gee.interval))
    if found.two_way is not None:
        pooled = float(found.counts.fooled.sum() / found.counts.total)
        fewest = min(found.counts.participants, found.two_way.images)
        reach = t_quantile(1 - (1 - share) / 2, fewest - 1) * found.two_way.error
        around.append(("participants and images", pooled, _cut(pooled, reach)))
    around.append(("± as the AMT tool prints", found.rate, _cut(found.rate, found.amt)))
    return tuple(each for each in around if each[2] is not None)


def forest(analysis: Analysis) -> Plot:
    """The rates of all arms with their intervals, and beneath each what other estimators say."""
    share = analysis.choices.level
    told = {name: estimators(found, share) for name, found in analysis.estimates.items()}
    axis = rate_axis(value for each in told.values() for _, rate, ends in each for value in _values(rate, ends))
    return Plot(
        axis,
        tuple(
            Block(
                name,
                tuple(
                    _rate_row(name, label, "other" if i else "headline", rate, ends, axis)
                    for i, (label, rate, ends) in enumerate(each)
                ),
            )
            for name, each in told.items()
        ),
    )


def sessions(analysis: Analysis) -> Plot:
    """Practice, scored trials and their thirds in the order of a session, and both sides, for each arm."""
    told = {name: tuple(_parts(found)) for name, found in analysis.estimates.items()}
    axis = rate_axis(
        value for each in told.values() for _, mean in each for value in _values(mean.value, mean.interval)
    )
    return Plot(
        axis,
        tuple(
            Block(
                name,
                tuple(_rate_row(name, label, "headline", mean.value, mean.interval, axis) for label, mean in each),
            )
            for name, each in told.items()
        ),
    )


def reaction_times(analysis: Analysis) -> Plot | None:
    """Quartiles of all answers, of fooled ones and of the others; None where no time was measured."""
    told = {
        name: [(label, found) for label, found in _times(each) if found is not None]
        for name, each in analysis.estimates.items()
    }
    upper = [found.upper for each in told.values() for _, found in each]
    if not upper:
        return None
    axis = linear_axis(0.0, max(upper), "{:,.0f}".format)
    return Plot(
        axis,
        tuple(
            Block(name, tuple(_time_row(name, label, found, axis) for label, found in each))
            for name, each in told.items()
            if each
        ),
    )


def differences(pairs: Sequence[Contrast]) -> Plot:
    """Of two arms' rates, a block of one row each, on an axis with 0."""
    ends = [end for pair in pairs for end in (pair.difference, pair.low, pair.high, 0.0) if end is not None]
    axis = linear_axis(min(ends), max(ends), _tick_signed, chance=0.0, most=4)
    return Plot(axis, tuple(Block(pair.one, (_difference_row(pair, axis),)) for pair in pairs))


def strips(analysis: Analysis) -> Strips:
    """Each participant's rate, heaped where they are alike."""
    axis = rate_axis(float(found.counts.rates.max()) for found in analysis.estimates.values())
    return Strips(axis, tuple(_strip(name, found, axis) for name, found in analysis.estimates.items()))


def rate_axis(values: Iterable[float]) -> Axis:
    """Of fractions: from 0 to at least 60 %, so that 50 % is on it."""
    return linear_axis(0.0, max([0.6, *values]), _tick_percent, chance=CHANCE)


def linear_axis(
    low: float, high: float, text: Callable[[float], str], chance: float | None = None, most: int = MOST_STEPS
) -> Axis:
    """With round ends that hold both values, in about `most` steps."""
    if high <= low:
        low, high = low - 0.1, high + 0.1
    step = _round_step((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    bare = Axis(first * step, last * step)
    ticks = tuple(Tick(bare.at(i * step), text(i * step)) for i in range(first, last + 1))
    return Axis(bare.low, bare.high, ticks, None if chance is None else bare.at(chance))


def _tick_percent(value: float) -> str:
    return f"{100 * value:.0f}"


def _tick_signed(value: float) -> str:
    return f"{100 * value:+g}".replace("-", MINUS) if abs(value) > 1e-9 else "0"


def _round_step(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= step * (1 - 1e-9))


def _cut(value: float, reach: float) -> Interval:
    return Interval(max(0.0, value - reach), min(1.0, value + reach))


def _values(value: float, ends: Interval | None) -> tuple[float, ...]:
    return (value,) if ends is None else (value, ends.low, ends.high)


def _parts(estimate: Estimate) -> Iterable[tuple[str, Mean]]:
    closer = estimate.closer
    thirds = ("first third of them", "second third", "last third")
    parts = (
        ("practice", closer.practice),
        ("scored", Mean(estimate.rate, estimate.interval, estimate.counts.participants)),
        *zip(thirds, closer.thirds, strict=False),
        ("real image left", closer.by_side[0]),
        ("real image right", closer.by_side[1]),
    )
    return ((label, found) for label, found in parts if found is not None)


def _times(found: Estimate) -> tuple[tuple[str, Times | None], ...]:
    closer = found.closer
    return (("all answers", closer.rt), ("fooled", closer.rt_fooled), ("not fooled", closer.rt_not))


def _rate_row(name: str, label: str, kind: Kind, rate: float, ends: Interval | None, axis: Axis) -> Row:
    said = f"{name}, {label}: {percent(rate)}" + (f", {span(ends)}" if ends else "")
    low, high = (None, None) if ends is None else (axis.at(ends.low), axis.at(ends.high))
    return Row(label, kind, axis.at(rate), low, high, digits(rate), brackets(ends), said)


def _time_row(name: str, label: str, found: Times, axis: Axis) -> Row:
    quartiles = f"{found.lower:,.0f} to {found.upper:,.0f}"
    said = f"{name}, {label}: half within {found.median:,.0f} ms, the middle half {quartiles} ms"
    places = axis.at(found.median), axis.at(found.lower), axis.at(found.upper)
    return Row(label, "spread", *places, f"{found.median:,.0f}", f"[{quartiles.replace(' to ', ', ')}]", said)


def _difference_row(pair: Contrast, axis: Axis) -> Row:
    label, beside = f"{pair.one} minus {pair.other}", signed_brackets(pair.low, pair.high)
    low, high = (None if end is None else axis.at(end) for end in (pair.low, pair.high))
    said = f"{label}: {signed(pair.difference)} points {beside}".rstrip()
    return Row(label, "headline", axis.at(pair.difference), low, high, signed(pair.difference), beside, said)


def _strip(name: str, found: Estimate, axis: Axis) -> Strip:
    rates = found.counts.rates
    heaped = Counter(np.rint(rates * BINS).astype(int).tolist())
    tallest = max(heaped.values())
    bar_of_one_px = BAR_PX / tallest if tallest > TALLEST else 0.0
    heaps = tuple(
        Heap(
            axis.at(place / BINS),
            people,
            () if bar_of_one_px else tuple(DOT_PX * (i + 0.5) for i in range(people)),
            people * bar_of_one_px,
        )
        for place, people in sorted(heaped.items())
    )
    height = BAR_PX if bar_of_one_px else DOT_PX * tallest
    said = (
        f"{name}, {count(len(rates), 'participant')}: lowest {percent(float(rates.min()))}, "
        f"median {percent(float(np.median(rates)))}, highest {percent(float(rates.max()))}"
    )
    mean = _rate_row(name, "mean", "headline", found.rate, found.interval, axis)
    width = 0.8 * (axis.at(1 / BINS) - axis.at(0.0))
    return Strip(name, heaps, height, width, mean, said)
