"""Cells and groups of a comparison go in; the words and digits that every kind of table has for them come out.

Fractions are shown with three decimals, fooling rates in percent with one, reconstruction errors with four, orders'
agreement with two; what is printed elsewhere with as many as are printed there.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from cgeval.compare.comparison import Comparison, Difference, Measure, Number, Row, Table
from cgeval.metrics import WORDS

METRIC_WORDS = WORDS | {
    "fooling_rate": "fooling rate",
    "reconstruction_l1": "reconstruction error (L1)",
    "spearman_rho": "Spearman's rho",
    "kendall_tau_b": "Kendall's tau-b",
    "order_by_chance": "p",
}
PERCENT = ("fooling_rate",)
DECIMALS = {"fooling_rate": 1, "reconstruction_l1": 4, "spearman_rho": 2, "kendall_tau_b": 2, "order_by_chance": 4}
DECIMALS_ELSE = 3
MOST_DECIMALS = 6  # of a printed number: what lies beyond is the dust of a binary fraction
NOTES = {"ceiling": "the ceiling", "sanity": "should be bad"}
UNSURE = "read in one place only, and not yet in the paper itself"  # what the sign of an unsure number means
COUNTED = {"fooling_rate": "participants"}  # what an n is of, where it is not of images
NO_NUMBERS = "There are no numbers yet."


@dataclass(frozen=True)
class Column:
    """A metric of a group. place: of the group in the table; printed: its numbers are copied from elsewhere."""

    place: int
    metric: str
    decimals: int
    lower_is_better: bool
    printed: bool

    @property
    def key(self) -> tuple[int, str]:
        """Where a row has its number and its difference."""
        return (self.place, self.metric)

    @property
    def head(self) -> str:
        """The metric in words, its unit, and which way is better where that is not the usual one."""
        unit = " (%)" if self.metric in PERCENT else ""
        return metric_words(self.metric) + unit + (", lower is better" if self.lower_is_better else "")

    def digits(self, value: float, *, signed: bool = False) -> str:
        """The value in the column's unit; unsigned, a minus stands only where a digit is not 0."""
        scaled = 100 * value if self.metric in PERCENT else value
        if signed:
            return f"{scaled + 0.0:+.{self.decimals}f}"
        text = f"{scaled:.{self.decimals}f}"
        return text if text.strip("-0.") else text.removeprefix("-")


@dataclass(frozen=True)
class NumberWords:
    """value: digits; interval: "[low, high]", "± half" where it is printed so elsewhere, or nothing."""

    value: str
    interval: str
    best: bool
    unsure: bool


@dataclass(frozen=True)
class DifferenceWords:
    """value, interval: with signs; p_values: "0.032 (0.095)", the second by Holm; nothing where there is none."""

    value: str
    interval: str
    p_values: str


def metric_words(metric: str) -> str:
    """The metric's name as tables show it."""
    return METRIC_WORDS.get(metric, one_line(metric.replace("_", " ")))


def one_line(text: str) -> str:
    """The text without what steers a terminal or ends a line; half a sign (of a name that is no UTF-8) is U+FFFD.

    Labels come from names of files and from other programs, so they may hold anything.
    """
    return " ".join("".join(_plain(sign) for sign in text).split())


def columns(table: Table, place: int) -> tuple[Column, ...]:
    """The columns of the group at that place; printed numbers have as many decimals as the longest of the group."""
    group = table.groups[place]
    cells = [(row.kind, key[1], cell) for row in table.rows for key, cell in row.numbers.items() if key[0] == place]
    printed = bool(cells) and all(kind == "published" for kind, _, _ in cells)
    most = max((_decimals(cell.value, metric) for _, metric, cell in cells), default=0)
    return tuple(
        Column(
            place=place,
            metric=metric,
            decimals=most if printed else DECIMALS.get(metric, DECIMALS_ELSE),
            lower_is_better=not group.higher_is_better,
            printed=printed,
        )
        for metric in group.metrics
    )


def number_words(cell: Number, column: Column) -> NumberWords:
    """The cell as words."""
    interval = ""
    if cell.low is not None and cell.high is not None:
        interval = f"[{column.digits(cell.low)}, {column.digits(cell.high)}]"
        half = (cell.high - cell.low) / 2
        if column.printed and abs(cell.value - cell.low - half) < 10**-MOST_DECIMALS:
            interval = f"± {column.digits(half)}"
    return NumberWords(column.digits(cell.value), interval, cell.best, cell.unsure)


def difference_words(cell: Difference, column: Column) -> DifferenceWords:
    """The difference as words."""
    interval = ""
    if cell.low is not None and cell.high is not None:
        interval = f"[{column.digits(cell.low, signed=True)}, {column.digits(cell.high, signed=True)}]"
    p_value, holm = p_words(cell.p_value), p_words(cell.holm)
    return DifferenceWords(
        column.digits(cell.value, signed=True), interval, f"{p_value} ({holm})".strip() if holm else p_value
    )


def p_words(p_value: float | None) -> str:
    """Three decimals, never 0; nothing where there is none."""
    if p_value is None:
        return ""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def label_words(row: Row) -> str:
    """The row's label, and what it is where that is no method."""
    note = row.note or NOTES.get(row.kind, "")
    return one_line(f"{row.label} ({note})" if note else row.label)


def group_words(group: Measure, n: int | None) -> tuple[str, ...]:
    """What stands over a group's columns: what is translated, over how many images or participants, of which size."""
    size = f"{group.size_px[0]}x{group.size_px[1]} px" if group.size_px else ""
    count = f"n = {n} {counted(group)}".rstrip() if n else ""
    return tuple(part for part in (one_line(group.title), count, size) if part)


def counted(group: Measure) -> str:
    """What an n of the group counts, where that is not images: participants."""
    return next((COUNTED[metric] for metric in group.metrics if metric in COUNTED), "")


def data_words(comparison: Comparison) -> str:
    """The dataset and its split."""
    return one_line(f"{comparison.name}, split {comparison.split}")


def heading(comparison: Comparison) -> str:
    """What is compared, and with what."""
    return one_line(f"{data_words(comparison)}: compared with {comparison.main}")


def title_words(comparison: Comparison, table: Table) -> str:
    """The table's title; empty where it says no more than which data these are."""
    title = one_line(table.title)
    return "" if title == data_words(comparison) else title


def best_words(tables: Iterable[Table]) -> str:
    """What it means that a number is marked; empty where none is."""
    if not any(cell.best for table in tables for row in table.rows for cell in row.numbers.values()):
        return ""
    return (
        "the best of its column, or not told from the best by intervals, which unlike p by Holm are not corrected for "
        "the number of comparisons; real images and what should be bad do not compete"
    )


def difference_title(comparison: Comparison) -> str:
    """Over a table of differences: what they are, and what the two p-values are."""
    return one_line(
        f"Minus {comparison.main}, over the same images, with intervals; then p, two-sided, and in parentheses p by "
        "Holm over all differences of the table."
    )


def _decimals(value: float, metric: str) -> int:
    scaled = float(100 * value if metric in PERCENT else value)
    exponent = Decimal(repr(round(scaled, MOST_DECIMALS))).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _plain(sign: str) -> str:
    kind = unicodedata.category(sign)
    return " " if kind in ("Cc", "Zl", "Zp") else "\ufffd" if kind == "Cs" else sign
