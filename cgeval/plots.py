"""Pictures, class maps, counts and scores go in; figures as in a paper come out, as PNG files written whole.

Classes are drawn in the colours of their label set, void in black; colours of our own are told apart by everybody
(Okabe and Ito's). Lengths are in inches and letters in points, so that a figure is readable as large as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import DataError
from cgeval.files import write_atomic
from cgeval.images import Picture
from cgeval.labels import LabelSet
from cgeval.metrics import ClassIntervals, Interval, SegmentationScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 140
WIDTH = 8.0
MARGIN, GAP = 0.1, 0.06
TEXT, SMALL, TINY, TITLE = 8.0, 7.0, 6.0, 9.5  # points
NUMBERS = 0.28  # beside bars
LINE = 0.17  # from one line of small text to the next
CHIP = 0.11  # side of a class's colour patch
TALLEST = 3.0  # of a row of examples
LONGEST = 1.7  # of a class's name
ROOM = 0.22  # side of a cell from which on a number fits in
INK, FAINT, LATTICE, EMPTY = "#222222", "#7f7f7f", "#dddddd", "#ececec"
SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
SHADES = ("white", "#c6dbef", "#6baed6", "#2171b5", "#08306b")
SMALLEST_SHARE = 0.005  # of a row, from which on it is more than 0 percent


@dataclass(frozen=True)
class Example:
    """One image on its way. input, generated: uint8 [h, w, 3]; predicted, truth: class maps uint8 of one size."""

    id: str
    input: Picture
    generated: Picture
    predicted: NDArray[np.uint8]
    truth: NDArray[np.uint8]


@dataclass(frozen=True)
class ClassSeries:
    """What the bars of one colour show: a set of n images, scored under a protocol, by the name in the legend."""

    name: str
    n: int
    protocol: str
    scores: SegmentationScores
    intervals: ClassIntervals


def examples_figure(path: Path, rows: Sequence[Example], labels: LabelSet, heads: Sequence[str]) -> None:
    """Write one row per example: input, generated, predicted labels and truth under the four heads.

    Every picture keeps its shape; below it stand the id and the prediction's pixel accuracy, at the end the classes
    that occur. Raises DataError for a prediction that is not as large as its truth.
    """
    pictures = [_four_pictures(row, labels) for row in rows]
    shapes = np.array([[picture.shape[1] / picture.shape[0] for picture in four] for four in pictures])
    across = shapes.max(axis=0)
    free = WIDTH - 2 * MARGIN - (len(across) - 1) * GAP
    tall = min(free / across.sum(), TALLEST)
    gap = GAP + (free - tall * across.sum()) / (len(across) - 1)
    legend = _legend_lines(_classes_that_occur(rows, labels), WIDTH - 2 * MARGIN)
    height = 2 * MARGIN + 1.4 * LINE + len(rows) * (tall + 1.4 * LINE) + len(legend) * LINE
    sheet = _Sheet(WIDTH, height)
    left = MARGIN + np.concatenate([[0], np.cumsum(across[:-1] * tall + gap)])
    for x, width, head in zip(left, across * tall, heads, strict=True):
        sheet.text(x + width / 2, MARGIN + LINE / 2, head, TEXT, ha="center", va="center")
    for y, (row, four) in enumerate(zip(rows, pictures, strict=True)):
        top = MARGIN + LINE * 1.1 + y * (tall + 1.4 * LINE)
        for x, width, picture in zip(left, across * tall, four, strict=True):
            sheet.picture(x + width / 2, top + tall / 2, picture, width, tall)
        sheet.text(left[0], top + tall + 0.04, _shortened(row.id, across[:2].sum() * tall, SMALL), SMALL)
        sheet.text(left[2] + across[2] * tall / 2, top + tall + 0.04, _told_accuracy(row, labels), SMALL, ha="center")
    _draw_legend(sheet, legend, height - MARGIN - len(legend) * LINE)
    sheet.save(path)


def confusion_figure(path: Path, counts: NDArray[np.int64], labels: LabelSet, title: str) -> None:
    """Write the matrix int64 [K + 1, K + 1] (rows = truth, void last) with each true class's pixels as one whole.

    Beside it what was predicted as void, and the share that each class has of the truth. Classes that the truth does
    not have are grey.
    """
    names = _names(labels)
    scored, totals = counts[:-1].astype(np.float64), counts[:-1].sum(axis=1)
    shares = scored / np.where(totals, totals, np.nan)[:, None]
    cell = float(np.clip(6.2 / len(names), 0.09, 0.4))
    size = min(TEXT, cell * 60)
    names_wide = max(_width_of(name, size) for name in names)
    side, left, top = len(names) * cell, MARGIN + LINE * 1.3 + names_wide + CHIP + 0.12, MARGIN + 2.2 * LINE
    note = _note_on_shares(cell >= ROOM, bool(totals.all()))
    wide = max(left + side + GAP + cell + 1.3, _width_of(title, TITLE), _width_of(note, SMALL)) + 2 * MARGIN
    sheet = _Sheet(wide, top + side + names_wide + 2.8 * LINE + MARGIN)
    sheet.text(MARGIN, MARGIN, title, TITLE)
    matrix = sheet.axes(left, top, side, side)
    void = sheet.axes(left + side + GAP, top, cell, side)
    _shade(matrix, shares[:, :-1], cell)
    _shade(void, shares[:, -1:], cell)
    _name_columns(matrix, names, totals == 0, size)
    _name_columns(void, ["void"], np.array([False]), size)
    _name_rows(sheet, (left, top, cell), labels, totals == 0)
    _draw_totals(sheet.axes(left + side + 2 * GAP + cell, top, 0.75, side), totals, size)
    sheet.text(left + side / 2, sheet.height - MARGIN - 1.6 * LINE, "predicted", TEXT, ha="center")
    sheet.text(MARGIN, top + side / 2, "truth", TEXT, va="center", rotation=90)
    sheet.text(MARGIN, sheet.height - MARGIN - 0.7 * LINE, note, SMALL, color=FAINT)
    sheet.save(path)


def per_class_figure(path: Path, series: Sequence[ClassSeries], labels: LabelSet, title: str) -> None:
    """Write bars of class IoU and class accuracy, one group per class in the set's order, with their intervals."""
    names = _names(labels)
    row = 0.11 * len(series) + 0.09
    names_wide = max(_width_of(name, TEXT) for name in names)
    left, top, side = MARGIN + names_wide + CHIP + 0.12, MARGIN + (3.2 + len(series)) * LINE, row * len(names)
    sheet = _Sheet(WIDTH, top + side + 2.6 * LINE + MARGIN)
    sheet.text(MARGIN, MARGIN, _shortened(title, WIDTH - 2 * MARGIN, TITLE), TITLE)
    wide = (WIDTH - left - MARGIN - 0.15) / 2
    for place, (head, bars_of) in enumerate(PANELS):
        axes = sheet.axes(left + place * (wide + 0.15), top, wide - NUMBERS, side)
        _draw_bars(axes, [bars_of(one) for one in series])
        sheet.text(left + place * (wide + 0.15), top - 0.05, head, TEXT, va="bottom")
    _name_rows(sheet, (left, top, row), labels, np.zeros(len(names), dtype=bool))
    _name_series(sheet, series, MARGIN + 1.6 * LINE)
    sheet.text(MARGIN, sheet.height - MARGIN - 0.7 * LINE, _note_on_bars(series), SMALL, color=FAINT)
    sheet.save(path)


Bars = tuple[NDArray[np.float64], Sequence[Interval | None]]
PANELS: tuple[tuple[str, Callable[[ClassSeries], Bars]], ...] = (
    ("class IoU", lambda one: (one.scores.ious, one.intervals.ious)),
    ("class accuracy", lambda one: (one.scores.accuracies, one.intervals.accuracies)),
)


class _Sheet:
    """A white page measured in inches from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> "Axes":
        """Bare axes in that rectangle."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set(linewidth=0.5, color=FAINT)
        return axes

    def text(self, x: float, y: float, words: str, size: float, **style: Any) -> None:
        """Words whose upper left corner, or what `style` says, lies there."""
        placed: dict[str, Any] = {"ha": "left", "va": "top", "color": INK, "parse_math": False} | style
        self.figure.text(x / self.width, 1 - y / self.height, words, fontsize=size, **placed)

    def picture(self, x: float, y: float, picture: Picture, width: float, height: float) -> None:
        """The picture in its own shape, as large as the box allows, with its centre there."""
        times = min(width / picture.shape[1], height / picture.shape[0])
        wide, high = picture.shape[1] * times, picture.shape[0] * times
        axes = self.axes(x - wide / 2, y - high / 2, wide, high)
        axes.imshow(picture, aspect="auto", interpolation="antialiased")
        axes.set(xticks=[], yticks=[])

    def chip(self, x: float, y: float, colour: Any, side: float = CHIP) -> None:
        """A patch of the colour with its upper left corner there."""
        from matplotlib.patches import Rectangle

        corner, size = (x / self.width, 1 - (y + side) / self.height), (side / self.width, side / self.height)
        style = {"facecolor": colour, "edgecolor": FAINT, "linewidth": 0.4, "transform": self.figure.transFigure}
        self.figure.add_artist(Rectangle(corner, *size, **style))

    def save(self, path: Path) -> None:
        """Write it as PNG, whole or not at all."""
        buffer = BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI)
        write_atomic(path, buffer.getvalue())


def _four_pictures(row: Example, labels: LabelSet) -> list[Picture]:
    if row.predicted.shape != row.truth.shape:
        raise DataError(
            f"the prediction of {row.id} is {row.predicted.shape[1]}x{row.predicted.shape[0]} and its truth "
            f"{row.truth.shape[1]}x{row.truth.shape[0]}: enlarge the one to the other."
        )
    return [row.input, row.generated, labels.class_colours[row.predicted], labels.class_colours[row.truth]]


def _told_accuracy(row: Example, labels: LabelSet) -> str:
    scored = row.truth != len(labels.classes)
    if not scored.any():
        return "nothing to score"
    return f"pixel accuracy {100 * (row.predicted == row.truth)[scored].mean():.1f} %"


def _classes_that_occur(rows: Sequence[Example], labels: LabelSet) -> list[tuple[str, NDArray[np.float64]]]:
    """Name and colour (0 .. 1) of the classes in any map of the rows, in the set's order, void last."""
    present = np.unique([place for row in rows for part in (row.predicted, row.truth) for place in np.unique(part)])
    names = [*(label.name for label in labels.classes), "void"]
    return [(names[place], labels.class_colours[place] / 255) for place in present]


def _legend_lines(
    entries: Sequence[tuple[str, NDArray[np.float64]]], width: float
) -> list[list[tuple[float, str, NDArray[np.float64]]]]:
    """Entries as (x, name, colour), set one after the other into lines of that width that are centred on the page."""
    lines: list[list[tuple[float, str, NDArray[np.float64]]]] = [[]]
    ends, x = [0.0], 0.0
    for name, colour in entries:
        wide = CHIP + 0.05 + _width_of(name, SMALL)
        if x and x + wide > width:
            lines, ends, x = [*lines, []], [*ends, 0.0], 0.0
        lines[-1].append((x, name, colour))
        ends[-1], x = x + wide, x + wide + 0.16
    return [
        [(x + MARGIN + (width - end) / 2, name, colour) for x, name, colour in line]
        for line, end in zip(lines, ends, strict=True)
    ]


def _draw_legend(sheet: _Sheet, lines: Sequence[Sequence[tuple[float, str, NDArray[np.float64]]]], top: float) -> None:
    for i, line in enumerate(lines):
        for x, name, colour in line:
            sheet.chip(x, top + i * LINE, colour)
            sheet.text(x + CHIP + 0.05, top + i * LINE + CHIP / 2, name, SMALL, va="center_baseline")


def _shade(axes: "Axes", shares: NDArray[np.float64], cell: float) -> None:
    """Draw shares [K, columns] as shades with their percent where there is room; rows without pixels in grey."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shares", SHADES).with_extremes(bad=EMPTY)
    axes.imshow(np.ma.masked_invalid(shares), cmap=shades, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for place in np.arange(1, len(shares)):
        axes.axhline(place - 0.5, color=LATTICE, linewidth=0.4)
    for place in np.arange(1, shares.shape[1]):
        axes.axvline(place - 0.5, color=LATTICE, linewidth=0.4)
    axes.set(xticks=[], yticks=[])
    if cell < ROOM:
        return
    for (row, column), share in np.ndenumerate(shares):
        if share >= SMALLEST_SHARE or (row == column and shares.shape[1] > 1 and np.isfinite(share)):
            ink = "white" if share > 0.55 else INK
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=SMALL, color=ink)


def _name_columns(axes: "Axes", names: Sequence[str], grey: NDArray[np.bool_], size: float) -> None:
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size, color=INK, parse_math=False)
    for tick, is_grey in zip(axes.get_xticklabels(), grey, strict=True):
        tick.set_color(FAINT if is_grey else INK)


def _name_rows(sheet: _Sheet, place: tuple[float, float, float], labels: LabelSet, grey: NDArray[np.bool_]) -> None:
    """Names and colour patches left of rows; place: their left and upper edge, and how high each is."""
    left, top, high = place
    for i, (name, is_grey) in enumerate(zip(_names(labels), grey, strict=True)):
        middle = top + (i + 0.5) * high
        sheet.chip(left - 0.06 - CHIP, middle - CHIP / 2, labels.class_colours[i] / 255, min(CHIP, 0.7 * high))
        colour = FAINT if is_grey else INK
        size = min(TEXT, high * 60)
        sheet.text(left - 0.12 - CHIP, middle, name, size, ha="right", va="center_baseline", color=colour)


def _draw_totals(axes: "Axes", totals: NDArray[np.int64], size: float) -> None:
    shares = totals / max(totals.sum(), 1)
    axes.barh(np.arange(len(totals)), shares, height=0.7, color=FAINT)
    for place, share in enumerate(shares):
        told = "" if share == 0 else "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
        axes.text(share, place, f"  {told}", ha="left", va="center", fontsize=min(SMALL, size), color=INK)
    axes.set(xlim=(0, max(shares.max(), 1e-9)), ylim=(len(totals) - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_title("share of truth", fontsize=SMALL, loc="left", color=INK, pad=4)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def _name_series(sheet: _Sheet, series: Sequence[ClassSeries], top: float) -> None:
    for line, one in enumerate(series):
        y, words = top + line * LINE, f"{one.name}: n = {one.n}, protocol {one.protocol}"
        sheet.chip(MARGIN, y, SERIES[line % len(SERIES)])
        told = _shortened(words, WIDTH - 4 * MARGIN, SMALL)
        sheet.text(MARGIN + CHIP + 0.06, y + CHIP / 2, told, SMALL, va="center_baseline")


def _note_on_bars(series: Sequence[ClassSeries]) -> str:
    bars = [bars_of(one) for _, bars_of in PANELS for one in series]
    has_lines = any(interval is not None for _, intervals in bars for interval in intervals)
    has_gaps = any(not np.isfinite(values).all() for values, _ in bars)
    lines = ["lines: 95 % bootstrap intervals over images"] if has_lines else []
    return "; ".join([*lines, *(["–: a class without a score"] if has_gaps else [])])


def _draw_bars(axes: "Axes", series: Sequence[Bars]) -> None:
    """A bar per class and series, its interval as a line over its end, and its value beside the axes."""
    thick, count = 0.8 / len(series), len(series[0][0])
    for i, (values, intervals) in enumerate(series):
        places = np.arange(count) - 0.4 + (i + 0.5) * thick
        axes.barh(places, np.nan_to_num(values), height=0.9 * thick, color=SERIES[i % len(SERIES)])
        for place, value, interval in zip(places.tolist(), values.tolist(), intervals, strict=True):
            told = f"{value:.2f}" if np.isfinite(value) else "–"
            axes.text(1.02, place, told, va="center_baseline", fontsize=TINY, color=INK)
            if interval is not None:
                ends = (interval.low, interval.high)
                axes.plot(ends, (place, place), color="white", linewidth=2.0, solid_capstyle="butt")
                axes.plot(ends, (place, place), color=INK, linewidth=1.0, solid_capstyle="butt")
    axes.set(xlim=(0, 1), ylim=(count - 0.5, -0.5), yticks=[], xticks=np.linspace(0, 1, 6))
    axes.tick_params(labelsize=SMALL, labelcolor=INK)
    axes.grid(axis="x", color=LATTICE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _names(labels: LabelSet) -> list[str]:
    return [_shortened(label.name, LONGEST, TEXT) for label in labels.classes]


def _note_on_shares(has_numbers: bool, is_complete: bool) -> str:
    what = "percent of" if has_numbers else "share, from white (none) to dark (all), of"
    return f"{what} each true class's pixels" + ("" if is_complete else "; grey: not in the truth")


def _width_of(words: str, size: float) -> float:
    """Inches that the words take, with a little air."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    points, _, _ = text_to_path.get_text_width_height_descent(words, FontProperties(size=size), ismath=False)
    return float(points) * 1.05 / 72


def _shortened(words: str, width: float, size: float) -> str:
    """The words, or their beginning and end where they are wider than that many inches."""
    kept = len(words)
    while kept > 2 and _width_of(words, size) > width:
        kept -= 1
        words = f"{words[: kept // 2]}…{words[len(words) - kept + kept // 2 :]}"
    return words
