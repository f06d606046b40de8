"""Numbers and facts of a study go in; the words and digits that its page shows come out. Fractions become percent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from study_server.analysis.closer import Mean, Times
from study_server.analysis.contrasts import Contrast
from study_server.analysis.intervals import Interval

NBSP = "\u00a0"
MINUS = "\u2212"
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class Number:
    """A number as it is set. exact: as it was computed, None where there is none; beside: its interval, or ""."""

    text: str
    exact: float | None = None
    beside: str = ""


NONE = Number("–")


def percent(value: float) -> str:
    """0.271 as "27.1 %"."""
    return f"{digits(value)}{NBSP}%"


def digits(value: float) -> str:
    """0.271 as "27.1"."""
    return f"{100 * value:.1f}".replace("-", MINUS)


def span(interval: Interval) -> str:
    """ "20.3 to 34.8 %" """
    return f"{digits(interval.low)} to {percent(interval.high)}"


def brackets(interval: Interval | None) -> str:
    """ "[20.3, 34.8]", in percent; "" for none."""
    return "" if interval is None else f"[{digits(interval.low)}, {digits(interval.high)}]"


def rate(value: float, interval: Interval | None = None) -> Number:
    """A fraction in percent."""
    return Number(digits(value), value, brackets(interval))


def mean(found: Mean | None) -> Number:
    """A mean over participants, in percent."""
    return NONE if found is None else rate(found.value, found.interval)


def signed(value: float) -> str:
    """A difference in points: 0.053 as "+5.3"."""
    return f"{100 * value:+.1f}".replace("-", MINUS)


def signed_brackets(low: float | None, high: float | None) -> str:
    """Of a difference; "" for none."""
    return "" if low is None or high is None else f"[{signed(low)}, {signed(high)}]"


def plain(value: float | None, form: str) -> Number:
    """By a format such as ".2f"."""
    return NONE if value is None else Number(format(value, form).replace("-", MINUS), value)


def p_value(value: float | None) -> Number:
    """Three decimals, four where it is small."""
    if value is None:
        return NONE
    if value < 0.0001 or value > 0.9995:
        return Number(f"<{NBSP}0.0001" if value < 0.5 else f">{NBSP}0.999", value)
    return Number(f"{value:.4f}" if value < 0.001 else f"{value:.3f}", value)


def chance(word: str, value: float | None) -> str:
    """ "p = 0.031", "p < 0.0001" """
    text = p_value(value).text
    return f"{word}{NBSP}{text}" if text[0] in "<>" else f"{word}{NBSP}={NBSP}{text}"


def times(found: Times | None) -> Number:
    """Milliseconds: the median, and the quartiles beside."""
    if found is None:
        return NONE
    return Number(f"{found.median:,.0f}", found.median, f"[{found.lower:,.0f}, {found.upper:,.0f}]")


def count(number: int, one: str, many: str = "") -> str:
    """ "1 trial", "2 trials" """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(words: Iterable[str]) -> str:
    """ "a, b and c" """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def level(share: float) -> str:
    """0.95 as "95 %"."""
    return f"{100 * share:g}{NBSP}%"


def day(text: str) -> str:
    """A moment as written in a manifest or a database, as "3 March 2025"; as it is where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def compared(pair: Contrast, share: float) -> str:
    """One sentence of two algorithms."""
    more, less = (pair.one, pair.other) if pair.difference >= 0 else (pair.other, pair.one)
    said = f"{more} fooled people more often than {less} by {abs(100 * pair.difference):.1f} points"
    if pair.difference == 0:
        said = f"{more} and {less} fooled people equally often"
    if pair.low is None or pair.high is None:
        return f"{said}; one participant tells nothing of chance."
    ends = (pair.low, pair.high) if pair.difference >= 0 else (-pair.high, -pair.low)
    held = f"{level(share)} interval {signed(ends[0])} to {signed(ends[1])}"
    word = "p" if pair.adjusted == pair.p_value else "p adjusted after Holm"
    return f"{said} ({held}; {chance(word, pair.adjusted)})."
