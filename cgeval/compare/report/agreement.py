"""The agreements of a comparison go in; small scatter plots come out, of methods and of the images of each method.

People's fooling rate goes up, the automatic number across. A number of which the lower is the better runs from right to
left, so that agreement always rises.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from cgeval.compare.agreement import OVER_METHODS
from cgeval.compare.agreement_tables import agreement_tables
from cgeval.compare.comparison import Agreement, Comparison, Kind, Point
from cgeval.compare.renderers.wording import PERCENT, one_line
from cgeval.compare.report.charts import BOX, Axis, Tick, linear_axis
from cgeval.compare.report.tables import Section, section

PERCENTS = 100.0  # of a fraction
STEPS = 3  # of a small axis


@dataclass(frozen=True)
class Spot:
    """A method. at: percent from the left and the top; across, up: ends of its intervals; mark: its letter."""

    at: tuple[float, float]
    across: tuple[float, float] | None
    up: tuple[float, float] | None
    kind: Kind
    mark: str
    text: str


@dataclass(frozen=True)
class Scatter:
    """One number. head: its name; told: the coefficients; across, up: ticks in percent from the left and the top.

    spots: methods; cloud: a path of points in the box, where they are images.
    """

    head: str
    told: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    spots: tuple[Spot, ...]
    cloud: str
    text: str


@dataclass(frozen=True)
class Panels:
    """title: of the method whose images these are, or nothing; key: letter, label and kind of each method."""

    title: str
    scatters: tuple[Scatter, ...]
    key: tuple[tuple[str, str, Kind], ...] = ()


@dataclass(frozen=True)
class Shown:
    """One table of agreement with its drawings; over_methods: else over images."""

    section: Section
    over_methods: bool
    panels: tuple[Panels, ...]


def agreement_sections(comparison: Comparison) -> list[Shown]:
    """Each table of agreement, and what its coefficients are of, point by point."""
    shown = []
    for told in agreement_tables(comparison.agreements, comparison.subjects):
        over_methods = all(each.over == OVER_METHODS for each in told.agreements)
        drawn = [_of_methods(comparison, told.agreements)] if over_methods else _of_images(told.agreements)
        shown.append(Shown(_told_once(section(comparison, told.table, drawn=False)), over_methods, tuple(drawn)))
    return shown


def _told_once(whole: Section) -> Section:
    """What is to be known of all parts, beside the first alone."""
    first, *others = whole.parts
    parts = (replace(part, facts=() if part.facts == first.facts else part.facts) for part in others)
    return replace(whole, parts=(first, *parts))


def _of_methods(comparison: Comparison, agreed: Sequence[Agreement]) -> Panels:
    """The methods by letters, in the order of the comparison."""
    there = {point.label for each in agreed for point in each.points}
    subjects = [subject for subject in comparison.subjects if subject.label in there]
    kinds: dict[str, Kind] = {subject.label: subject.kind for subject in subjects}
    marks = {label: _letter(i) for i, label in enumerate(kinds)}
    scatters = []
    for each in agreed:
        axes = _axes(each)
        spots = tuple(_spot(point, each, axes, kinds[point.label], marks[point.label]) for point in each.points)
        scatters.append(_scatter(each, axes, spots=spots))
    return Panels("", tuple(scatters), tuple((marks[label], one_line(label), kind) for label, kind in kinds.items()))


def _of_images(agreed: Sequence[Agreement]) -> list[Panels]:
    """The images of each method as a cloud."""
    panels = []
    for method in dict.fromkeys(each.over for each in agreed):
        scatters = []
        for each in agreed:
            if each.over == method:
                axes = _axes(each)
                scatters.append(_scatter(each, axes, cloud=_cloud(each.points, axes)))
        panels.append(Panels(one_line(method), tuple(scatters)))
    return panels


@dataclass(frozen=True)
class _Axes:
    """across: of the number, from right to left where it turns; up: of the rate."""

    across: Axis
    up: Axis
    turns: bool

    def x(self, value: float) -> float:
        """Percent from the left."""
        at = self.across.at(value)
        return 100 - at if self.turns else at

    def y(self, rate: float) -> float:
        """Percent from the top."""
        return 100 - self.up.at(rate)


def _axes(each: Agreement) -> _Axes:
    values = [end for point in each.points for end in (point.value, *(point.value_ends or ()))]
    rates = [end for point in each.points for end in (point.rate, *(point.rate_ends or ()))]
    scale = PERCENTS if each.metric in PERCENT else 1.0
    across = linear_axis(values, scale=scale, most=STEPS)
    return _Axes(across, linear_axis(rates, scale=PERCENTS, most=STEPS), turns=not each.higher_is_better)


def _scatter(each: Agreement, axes: _Axes, *, spots: tuple[Spot, ...] = (), cloud: str = "") -> Scatter:
    told = _told(each)
    things = OVER_METHODS if spots else "images"
    head = one_line(each.name) + ("" if each.higher_is_better else ", lower is better")
    return Scatter(
        head=head,
        told=told,
        across=tuple(Tick(axes.x(tick.value), tick.text, tick.value) for tick in axes.across.ticks),
        up=tuple(Tick(axes.y(tick.value), tick.text, tick.value) for tick in axes.up.ticks),
        spots=spots,
        cloud=cloud,
        text=f"{head}, across, and fooling rate in percent, up, of {len(each.points)} {things}: {told}",
    )


def _told(each: Agreement) -> str:
    """Such as "rho 0.50, tau-b 0.33, n = 4"."""
    coefficients = (("rho", each.rho), ("tau-b", each.tau))
    parts = [f"{name} {_digits(found.value)}" for name, found in coefficients if found is not None]
    return ", ".join([*parts, f"n = {len(each.points)}"])


def _digits(coefficient: float) -> str:
    """Two decimals, a true minus, and none before 0.00."""
    return f"{round(coefficient, 2) + 0.0:.2f}".replace("-", "−")


def _spot(point: Point, each: Agreement, axes: _Axes, kind: Kind, mark: str) -> Spot:
    across = tuple(sorted(map(axes.x, point.value_ends))) if point.value_ends else None
    up = tuple(sorted(map(axes.y, point.rate_ends))) if point.rate_ends else None
    text = (
        f"{one_line(point.label)}: {one_line(each.name)} {point.value:.4g}, fooling rate {PERCENTS * point.rate:.1f} %"
    )
    return Spot((axes.x(point.value), axes.y(point.rate)), _pair(across), _pair(up), kind, mark, text)


def _pair(ends: tuple[float, ...] | None) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends else None


def _cloud(points: Iterable[Point], axes: _Axes) -> str:
    """Strokes without length, whose round ends are dots."""
    part = BOX / 100
    places = ((part * axes.x(point.value), part * axes.y(point.rate)) for point in points)
    return "".join(f"M{x:.0f} {y:.0f}h0" for x, y in places)


def _letter(i: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    before, last = divmod(i, len(ascii_lowercase))
    return (_letter(before - 1) if before else "") + ascii_lowercase[last]
