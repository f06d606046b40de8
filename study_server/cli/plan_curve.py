"""A plan goes in; its curve comes out as SVG: participants against half-width or power, for several correlations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, log10

from study_server.analysis.planning import Design
from study_server.cli.planned import Plan

WIDTH, HEIGHT = 640, 400  # px
LEFT, RIGHT, TOP, BOTTOM = 64, 104, 44, 52  # margins
LINE = 14  # px between names
POINTS, TICKS = 60, 6
BESIDE = (0.05, 0.25)  # correlations drawn for comparison
BLUE, GREY, INK, RULE = "#0b62a8", "#8a8f98", "#20242a", "#d5d8dd"

Curve = Sequence[tuple[float, float]]


def curve_svg(planned: Plan) -> str:
    """Drawn without any library, as text."""
    iccs = [each for each in BESIDE if each != planned.design.icc]
    curves = {icc: _curve(planned, replace(planned.design, icc=icc)) for icc in (*iccs, planned.design.icc)}
    most = max(n for n, _ in curves[planned.design.icc])
    high = 1.0 if planned.goal.difference is not None else max(y for curve in curves.values() for _, y in curve)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}" role="img" aria-label="{_title(planned)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="14">{_title(planned)}</text>',
        *_axes(most, high),
        *_wanted(planned, most, high),
        *(_line(curve, icc == planned.design.icc, most, high) for icc, curve in curves.items()),
        *_names(curves, planned.design.icc, high),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">'
        "participants of each algorithm</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(planned: Plan) -> str:
    goal = planned.goal
    trials = f"{planned.design.trials} trials each"
    if goal.difference is not None:
        return f"Power for {goal.rate:.3g} against {goal.other:.3g}, {trials}"
    return f"Half-width of the {planned.design.level:.0%} interval at {goal.rate:.3g}, {trials}"


def _curve(planned: Plan, design: Design) -> Curve:
    first, last = max(2, planned.participants // 4), max(8, planned.participants * 2)
    numbers = sorted({round(first + (last - first) * i / POINTS) for i in range(POINTS + 1)})
    return [(n, planned.goal.reaches(design, n)) for n in numbers]


def _x(participants: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * participants / most


def _y(value: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / high


def _axes(most: float, high: float) -> list[str]:
    parts = []
    for value in _ticks(100 * high):
        y = _y(value / 100, high)
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{RULE}"/>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g} %</text>',
        ]
    for number in _ticks(most):
        place = f'x="{_x(number, most):.1f}" y="{HEIGHT - BOTTOM + 18}"'
        parts.append(f'<text {place} text-anchor="middle">{number:,.0f}</text>')
    return parts


def _ticks(most: float) -> list[float]:
    """Round numbers from 0 on, some five of them."""
    decade = 10 ** floor(log10(most / TICKS))
    step = next(step for step in (1, 2, 5, 10) if most / (step * decade) <= TICKS) * decade
    return [step * i for i in range(floor(most / step) + 1)]


def _wanted(planned: Plan, most: float, high: float) -> list[str]:
    """Where the plan stands: a dashed line down, and one across."""
    x = _x(planned.participants, most)
    y = _y(planned.goal.reaches(planned.design, planned.participants), high)
    dashed = f'stroke="{INK}" stroke-dasharray="4 3"'
    return [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{HEIGHT - BOTTOM}" {dashed}/>',
        f'<line x1="{LEFT}" x2="{x:.1f}" y1="{y:.1f}" y2="{y:.1f}" {dashed}/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{BLUE}"/>',
        f'<text x="{x + 7:.1f}" y="{y - 7:.1f}" font-weight="bold">{planned.participants:,}</text>',
    ]


def _line(curve: Curve, is_planned: bool, most: float, high: float) -> str:
    points = " ".join(f"{_x(n, most):.1f},{_y(value, high):.1f}" for n, value in curve)
    colour, thick = (BLUE, 2.5) if is_planned else (GREY, 1.2)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{thick}"/>'


def _names(curves: Mapping[float, Curve], planned_icc: float, high: float) -> list[str]:
    """At the curves' ends, from the top down, none over another."""
    parts, y = [], 0.0
    for icc, curve in sorted(curves.items(), key=lambda each: -each[1][-1][1]):
        y = max(_y(curve[-1][1], high) + 4, y + LINE)
        colour = BLUE if icc == planned_icc else GREY
        parts.append(f'<text x="{WIDTH - RIGHT + 6}" y="{y:.1f}" fill="{colour}">ICC {icc:g}</text>')
    return parts
