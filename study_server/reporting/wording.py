"""Numbers of a study go in; the words and digits that text, Markdown and LaTeX have for them come out, plain.

Rates are percent with one decimal, their differences and errors points of percent, times milliseconds.
"""

from study_server.analysis.closer import Times
from study_server.analysis.intervals import Interval
from study_server.judged import Judged

NOTHING = "-"
ASKED = {"real": "the real image", "fake": "the generated image"}
LAYOUTS = {"sequential": "one after the other", "simultaneous": "both at once"}
NO_BREAK_SPACE, MINUS = "\u00a0", "\u2212"


def digits(share: float | None) -> str:
    """0.271 as "27.1"."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def points(difference: float | None) -> str:
    """0.053 as "+5.3"; no difference has no sign."""
    text = NOTHING if difference is None else f"{100 * difference:+.1f}"
    return text if text.strip("+-0.") or text == NOTHING else "0.0"


def brackets(interval: Interval | None) -> str:
    """ "[20.3, 34.8]", in percent."""
    return NOTHING if interval is None else f"[{digits(interval.low)}, {digits(interval.high)}]"


def signed_brackets(low: float | None, high: float | None) -> str:
    """Of a difference, in points."""
    return NOTHING if low is None or high is None else f"[{points(low)}, {points(high)}]"


def number(value: float | None, decimals: int) -> str:
    """With so many decimals."""
    return NOTHING if value is None else f"{value:,.{decimals}f}"


def probability(value: float | None) -> str:
    """A p-value: three decimals, never 0."""
    return NOTHING if value is None else "<0.001" if value < 0.0005 else f"{value:.3f}"


def quartiles(found: Times | None) -> tuple[str, str]:
    """Milliseconds: the median, and the quartiles."""
    return (
        (NOTHING, NOTHING) if found is None else (f"{found.median:,.0f}", f"[{found.lower:,.0f}, {found.upper:,.0f}]")
    )


def level(share: float) -> str:
    """0.95 as "95 %"."""
    return f"{100 * share:g} %"


def how_asked(judged: Judged) -> str:
    """Such as "zhu2017, asked for the real image"."""
    return f"{judged.preset or 'no preset'}, asked for {ASKED.get(judged.asked, 'an image')}"


def whose(judged: Judged) -> str:
    """What must stand at every table: how participants were asked, and whether these are a study's results at all."""
    worth = [
        *(["simulated participants"] if judged.manifest is not None and judged.manifest.is_simulated else []),
        *(["unfinished"] if judged.unfinished else []),
    ]
    return "; ".join([how_asked(judged), *worth])


def plain(text: str) -> str:
    """Without signs that a terminal's font or a program may not take for what they are."""
    return text.replace(NO_BREAK_SPACE, " ").replace(MINUS, "-")
