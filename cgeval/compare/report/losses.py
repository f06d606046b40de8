"""A run's log.jsonl goes in; small curves of its losses come out, thinned, related losses in one panel.

The log is the trainer's (docs/run-directory.md). A run that has none, such as one that was adopted, has no curves. Two
runs of one method, one for each direction, share their panels.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgeval.compare.comparison import Comparison, Subject
from cgeval.compare.report.charts import Axis, Tick, curve, fitting_axis, linear_axis
from cgeval.runs import Run

POINTS = 240  # of a curve
READ_AT_MOST = 2400  # rows of a log; of a longer one every second, third, ... row is read
NO_LOSSES = ("step", "epoch", "learning_rate", "images_per_s")
# beginning of a loss's name -> the panel it is drawn in, in the order of panels
PANELS = {
    "gan": "generators, adversarial",
    "cycle": "cycle consistency",
    "l1": "L1 distance to the truth",
    "identity": "identity",
    "disc": "discriminators",
}
# what a loss belongs to, as the glossary of docs/architecture.md has it; {a}, {b}: names of the domains
OWNERS = {
    "gan_ab": "{a} → {b}",
    "gan_ba": "{b} → {a}",
    "cycle_a": "{a} → {b} → {a}",
    "cycle_b": "{b} → {a} → {b}",
    "identity_a": "{a} → {a}",
    "identity_b": "{b} → {b}",
    "disc_a": "judges {a}",
    "disc_b": "judges {b}",
}
OF_WAY = {"AtoB": "gan_ab", "BtoA": "gan_ba"}  # what a loss is called that says which way
OF_GEN_BA = frozenset({"gan_ba", "cycle_b", "identity_a", "disc_a"})  # drawn as the second of two

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One loss. key: its name in the log; owner: what it belongs to; series: 1 or 2, for colour and dashes."""

    key: str
    owner: str
    series: int
    path: str


@dataclass(frozen=True)
class LossPanel:
    """Related losses over one axis. ticks: of the y axis, in percent from the top; text: the curves in words."""

    title: str
    curves: tuple[Curve, ...]
    ticks: tuple[Tick, ...]
    is_log: bool
    text: str


@dataclass(frozen=True)
class RunLosses:
    """The curves of a method's run or two. steps: ticks of the x axis; rows: of the longer log.

    per_point: rows that a point stands for.
    """

    label: str
    panels: tuple[LossPanel, ...]
    steps: tuple[Tick, ...]
    rows: int
    per_point: float


@dataclass(frozen=True)
class _Loss:
    """A name in the log, what it belongs to, and whether it is the first or the second of two."""

    key: str
    owner: str
    series: int


@dataclass(frozen=True)
class _Log:
    """A log as it is shown, or two. series: points by loss; last: the last step; rows: how many the longer file has."""

    label: str
    series: Mapping[_Loss, Points]
    last: float
    rows: int

    def of(self, panel: str) -> dict[_Loss, Points]:
        return {loss: points for loss, points in self.series.items() if _panel_of(loss.key) == panel}


def loss_curves(comparison: Comparison) -> list[RunLosses]:
    """The losses of each run that has a log, every run once; a panel has the same axis for all runs."""
    found = [log for log in map(_log, _each_run(comparison.subjects)) if log.series]
    values: dict[str, list[float]] = {}
    for log in found:
        for loss, points in log.series.items():
            values.setdefault(_panel_of(loss.key), []).extend(y for _, y in points)
    order = [*(panel for panel in PANELS if panel in values), *(panel for panel in values if panel not in PANELS)]
    axes = {panel: fitting_axis(values[panel]) for panel in order}
    return [_drawn(log, axes) for log in found]


def _each_run(subjects: Sequence[Subject]) -> Iterable[Subject]:
    """One subject of each run, or two that belong together: the styles of a run have no logs of their own."""
    first: dict[Any, Subject] = {}
    for subject in subjects:
        first.setdefault(subject.run.path.resolve(), subject)
    return first.values()


def _log(subject: Subject) -> _Log:
    series: dict[_Loss, Points] = {}
    last, most = 0, 0
    for part in subject.by_run():
        rows, count = _read(part.run)
        keys = dict.fromkeys(key for row in rows for key in row if key not in NO_LOSSES)
        of_part = {key: points for key in keys if (points := _thinned(rows, key))}
        series |= {_loss(key, part, is_half=bool(subject.elsewhere)): points for key, points in of_part.items()}
        last, most = max(last, *(row["step"] for row in rows), 0), max(most, count)
    return _Log(subject.label, series, last, most)


def _loss(key: str, part: Subject, *, is_half: bool) -> _Loss:
    """Of a run that is half of its subject, every loss is its direction's."""
    ways = OF_WAY[next(iter(part.sets))] if is_half else None
    owner = OWNERS.get(key, OWNERS[ways] if ways else "")
    return _Loss(key, _named(owner, part), 2 if (ways or key) in OF_GEN_BA else 1)


def _read(run: Run) -> tuple[list[dict[str, Any]], int]:
    """Rows of the log, evenly left out where there are many, and how many it has; a half-written row is no row."""
    try:
        lines = (run.path / "log.jsonl").read_bytes().splitlines()
    except OSError:  # no trainer made this run, or its log was not copied with it
        return [], 0
    step = math.ceil(len(lines) / READ_AT_MOST) or 1
    rows = (_row(line) for line in lines[::-step][::-1])  # the last row among them
    return [row for row in rows if row is not None], len(lines)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and _is_finite(row.get("step")) else None


def _thinned(rows: Sequence[Mapping[str, Any]], key: str) -> Points:
    """Means of neighbouring rows; what is infinite or no number is left out."""
    values = [(float(row["step"]), float(row[key])) for row in rows if _is_finite(row.get(key))]
    size = math.ceil(len(values) / POINTS)
    return values if size <= 1 else [_mean(values[i : i + size]) for i in range(0, len(values), size)]


def _mean(points: Points) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _panel_of(key: str) -> str:
    return key.partition("_")[0]


def _drawn(log: _Log, axes: Mapping[str, Axis]) -> RunLosses:
    across = Axis(0, max(log.last, 1))
    panels = tuple(_panel(panel, log, across, axis) for panel, axis in axes.items() if log.of(panel))
    most = max(len(points) for points in log.series.values())
    round_steps = linear_axis([0, across.high], most=4).ticks
    steps = tuple(Tick(100 * across.share(t.value), t.text, t.value) for t in round_steps if t.value <= across.high)
    return RunLosses(log.label, panels, steps, log.rows, log.rows / most)


def _panel(panel: str, log: _Log, across: Axis, up: Axis) -> LossPanel:
    losses = dict(sorted(log.of(panel).items(), key=lambda item: item[0].series))
    curves = tuple(
        Curve(loss.key, loss.owner, loss.series, curve(points, across, up)) for loss, points in losses.items()
    )
    names = _told_apart(list(losses))
    told = (f"{names[loss]} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for loss, points in losses.items())
    ticks = tuple(Tick(100 * (1 - up.share(tick.value)), tick.text, tick.value) for tick in up.ticks)
    return LossPanel(PANELS.get(panel, panel), curves, ticks, up.is_log, "; ".join(told))


def _told_apart(losses: Sequence[_Loss]) -> dict[_Loss, str]:
    """Their names; where two have the same, with what they belong to."""
    keys = [loss.key for loss in losses]
    return {loss: loss.key if keys.count(loss.key) == 1 else f"{loss.key} ({loss.owner})" for loss in losses}


def _named(owner: str, subject: Subject) -> str:
    """With the domains by name."""
    domains = subject.run.info.dataset.get("domains")
    a, b = (str(domains.get(name, name)) if isinstance(domains, Mapping) else name for name in ("A", "B"))
    return owner.format(a=a, b=b)
