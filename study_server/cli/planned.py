"""What a study should tell goes in; how many people that needs comes out, as text with a curve, as JSON and as SVG."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from cgeval.errors import ConfigError
from cgeval.tables import table_lines
from study_server.analysis.planning import (
    MOST_PARTICIPANTS,
    Design,
    check_other,
    check_power,
    check_rate,
    difference_for_power,
    half_width,
    participants_for_half_width,
    participants_for_power,
    power,
    recruited,
    t_half_width,
)
from study_server.analysis.simulation import CLOSE_ENOUGH, Done, simulate_power, simulate_widths

OTHER_ICCS = (0.05, 0.10, 0.15, 0.20, 0.25)  # beside the one that is planned with
NICE = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
BAR, BLOCKS = 40, " ▏▎▍▌▋▊▉█"  # characters of the longest bar; eighths of one


@dataclass(frozen=True)
class Goal:
    """rate: expected; one of half_width, difference (signed) and participants of each algorithm; fractions.

    Raises ConfigError for anything that cannot be planned.
    """

    rate: float
    power: float = 0.8
    half_width: float | None = None
    difference: float | None = None
    participants: int | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate)
        wanted = [each for each in (self.half_width, self.difference, self.participants) if each is not None]
        if len(wanted) != 1:
            raise ConfigError(
                f"{len(wanted)} things to plan for are given: name one of --half-width, --difference and "
                "--participants, or a STUDY whose number of participants is meant."
            )
        if self.difference is not None:
            check_other(self.rate, self.other)
        if self.participants is not None and not 2 <= self.participants <= MOST_PARTICIPANTS:
            raise ConfigError(f"--participants is {self.participants}: 2 to {MOST_PARTICIPANTS:,} are expected.")

    @property
    def other(self) -> float:
        """The rate that is to be told from the expected one."""
        return self.rate + (self.difference or 0.0)

    def needs(self, design: Design) -> int:
        """Participants of each algorithm whose answers are analysed."""
        if self.half_width is not None:
            return participants_for_half_width(design, self.rate, self.half_width)
        if self.difference is not None:
            return participants_for_power(design, self.rate, self.other, self.power)
        return self.participants or 0

    def reaches(self, design: Design, participants: int) -> float:
        """The power for a difference, else the half-width, of so many."""
        if self.difference is not None:
            return power(design, self.rate, self.other, participants)
        return half_width(design, self.rate, participants)


@dataclass(frozen=True)
class Recruiting:
    """algorithms: how many have participants of their own; price: of each who finishes, in any currency."""

    algorithms: int = 1
    excluded: float = 0.0
    drop_out: float = 0.0
    price: float | None = None

    def people(self, analysed: int) -> dict[str, int]:
        """Of each algorithm."""
        return asdict(recruited(analysed, self.excluded, self.drop_out))

    def cost(self, analysed: int) -> float | None:
        """Of all algorithms."""
        finish = self.people(analysed)["finish"] * self.algorithms
        return None if self.price is None else finish * self.price


@dataclass(frozen=True)
class Tried:
    """One thing that was simulated: what the plan says of it, and what came out. fails: by more than 3 points (power),
    or 3 % of the half-width."""

    what: str
    planned: float
    simulated: float
    error: float | None
    covered: float | None

    @property
    def fails(self) -> bool:
        """Whether the plan promises too much."""
        if self.what == "power":
            return self.simulated < self.planned - CLOSE_ENOUGH
        return self.simulated > self.planned * (1 + CLOSE_ENOUGH)


@dataclass(frozen=True)
class Plan:
    """participants: analysed, of each algorithm; difference: the smallest with the power, where a number was given."""

    design: Design
    goal: Goal
    recruiting: Recruiting
    participants: int
    half_width: float
    difference: float | None
    tried: tuple[Tried, ...] = ()

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Participants, and what the goal reaches with them."""
        return [(n, self.goal.reaches(self.design, n)) for n in ladder(self.participants)]

    @property
    def fails(self) -> bool:
        """Whether a simulation says that the plan promises too much."""
        return any(each.fails for each in self.tried)


def plan(design: Design, goal: Goal, recruiting: Recruiting) -> Plan:
    """Raises ConfigError in one sentence."""
    check_power(design, goal.power)
    recruiting.people(1)
    needed, found = goal.needs(design), goal.difference
    if goal.participants is not None:
        found = difference_for_power(design, goal.rate, needed, goal.power)
    return Plan(design, goal, recruiting, needed, half_width(design, goal.rate, needed), found)


def try_out(planned: Plan, studies: int, seed: int, done: Done) -> Plan:
    """The plan with what simulated studies say of it, by the code that a report uses; done: told of each of them."""
    design, goal, tried = planned.design, planned.goal, []
    if goal.difference is None:
        widths = simulate_widths(design, goal.rate, planned.participants, studies, seed, done)
        tried.append(Tried("half-width", planned.half_width, widths.half_width, None, widths.covered.value))
    if planned.difference is not None:
        other = goal.rate + planned.difference
        found = simulate_power(design, goal.rate, other, planned.participants, studies, seed, done)
        tried.append(Tried("power", goal.power, found.value, found.error, None))
    return replace(planned, tried=tuple(tried))


def simulations(planned: Plan) -> int:
    """How many things `try_out` tries."""
    return (planned.goal.difference is None) + (planned.difference is not None)


def ladder(middle: int) -> list[int]:
    """Round numbers of participants from a quarter to three times as many, and the number itself."""
    rungs = {int(step * 10**tens) for tens in range(7) for step in NICE if step * 10**tens == int(step * 10**tens)}
    return sorted({middle} | {each for each in rungs if max(2, middle / 4) <= each <= middle * 3})


def as_text(planned: Plan) -> str:
    """For a terminal."""
    lines = [*_headline(planned), "", *_by_icc(planned), "", *_bars(planned)]
    if planned.tried:
        lines += ["", *_trial_lines(planned.tried)]
    return _printable("\n".join(lines))


def as_json(planned: Plan) -> dict[str, Any]:
    """Fractions, not percent."""
    design, goal, recruiting = planned.design, planned.goal, planned.recruiting
    return {
        "design": asdict(design) | {"design_effect": design.design_effect, "alpha": design.alpha},
        "wanted": asdict(goal),
        "recruiting": asdict(recruiting),
        "participants": recruiting.people(planned.participants),
        "cost": recruiting.cost(planned.participants),
        "half_width": planned.half_width,
        "t_half_width": t_half_width(design, goal.rate, planned.participants),
        "participants_by_t": _by_t(planned),
        "difference": planned.difference,
        "power": None if goal.difference is None else goal.reaches(design, planned.participants),
        "by_icc": _rows(planned),
        "curve": [
            {"participants": n, "power" if goal.difference is not None else "half_width": reached}
            for n, reached in planned.curve
        ],
        "simulated": [asdict(each) | {"fails": each.fails} for each in planned.tried],
    }


def _headline(planned: Plan) -> Iterator[str]:
    design, goal = planned.design, planned.goal
    assumed = f"{design.trials} trials each, intraclass correlation {design.icc:g}"
    interval = f"{_percent(design.level)} Korn-Graubard interval"
    people, rate = f"{planned.participants:,} participants of each algorithm", _percent(goal.rate)
    if goal.half_width is not None:
        yield f"{rate} to within {_points(goal.half_width)}: {interval}, {assumed}"
        yield f"{people} (by the clustered t interval {_by_t(planned):,})"
        return
    test = f"two-sided test at {design.alpha:.2g}" + (f", for {design.pairs} pairs" if design.pairs > 1 else "")
    wanted = f"a power of {_percent(goal.power)} ({test})"
    if goal.difference is not None:
        yield f"{rate} against {_percent(goal.other)} with {wanted}, {assumed}"
        yield f"{people}: power {goal.reaches(design, planned.participants):.1%}"
        return
    found = "no difference" if planned.difference is None else f"a difference of {_signed(planned.difference)} points"
    by_t = _points(t_half_width(design, goal.rate, planned.participants))
    yield f"{people}, {assumed}"
    yield f"a rate of {rate} is known to within {_points(planned.half_width)}: {interval} (clustered t: {by_t})"
    yield f"{found} is found with {wanted}"


def _by_icc(planned: Plan) -> list[str]:
    heads = ["ICC", "design effect", "analysed", "finish", "start", "all finish"]
    heads += ["half-width", "difference"] if planned.goal.participants is not None else []
    heads += ["cost"] if planned.recruiting.price is not None else []
    cells = [[*_cells(planned, row), "<" if row["icc"] == planned.design.icc else ""] for row in _rows(planned)]
    return table_lines([*heads, ""], cells, range(len(heads)))


def _cells(planned: Plan, row: Mapping[str, Any]) -> list[str]:
    cells = [f"{row['icc']:g}", f"{row['design_effect']:.2f}"]
    cells += [f"{row[name]:,}" for name in ("analysed", "finish", "start", "all_finish")]
    if planned.goal.participants is not None:
        found = row["difference"]
        cells += [_points(row["half_width"]), "none" if found is None else _signed(found)]
    return cells + ([f"{row['cost']:,.2f}"] if row["cost"] is not None else [])


def _rows(planned: Plan) -> list[dict[str, Any]]:
    """The plan for other correlations too, as far as there are people enough."""
    rows = []
    for icc in sorted({*OTHER_ICCS, planned.design.icc}):
        with suppress(ConfigError):
            rows.append(_row(planned, icc))
    return rows


def _row(planned: Plan, icc: float) -> dict[str, Any]:
    """The plan if people were so alike."""
    goal, recruiting = planned.goal, planned.recruiting
    there = plan(replace(planned.design, icc=icc), goal, recruiting)
    people = recruiting.people(there.participants)
    told = {"icc": icc, "design_effect": there.design.design_effect, **people}
    told["all_finish"] = people["finish"] * recruiting.algorithms
    return told | {
        "half_width": there.half_width,
        "difference": there.difference,
        "cost": recruiting.cost(there.participants),
    }


def _bars(planned: Plan) -> list[str]:
    curve, is_power = planned.curve, planned.goal.difference is not None
    longest = 1.0 if is_power else max(reached for _, reached in curve)
    rows = [
        [
            f"{n:,}",
            f"{reached:.1%}" if is_power else _points(reached),
            _bar(reached / longest) + (" <" if n == planned.participants else ""),
        ]
        for n, reached in curve
    ]
    return table_lines(["participants", "power" if is_power else "half-width", ""], rows, (0, 1))


def _bar(share: float) -> str:
    eighths = round(8 * BAR * share)
    return (BLOCKS[8] * (eighths // 8) + BLOCKS[eighths % 8]).rstrip()


def _trial_lines(tried: Sequence[Tried]) -> Iterator[str]:
    for each in tried:
        told = f"{_points(each.simulated)} on average; {each.covered or 0:.1%} of intervals hold the rate"
        if each.what == "power":
            error = 100 * (each.error or 0)
            told = f"{each.simulated:.1%} found the difference, with a standard error of {error:.1f} points"
        yield f"simulated: {told}" + ("; the plan promises too much, take more people" if each.fails else "")


def _by_t(planned: Plan) -> int | None:
    wanted = planned.goal.half_width
    if wanted is None:
        return None
    return participants_for_half_width(planned.design, planned.goal.rate, wanted, t_half_width)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g}%"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f}"


def _points(fraction: float) -> str:
    return f"±{100 * fraction:.1f} points"


def _printable(text: str) -> str:
    """Without blocks and signs where the terminal has none."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        for sign in BLOCKS[1:8]:
            text = text.replace(sign, "")
        return text.replace(BLOCKS[8], "#").replace("±", "+-")
    return text
