"""Numbers go in; words for people come out, and how often a person wants to see a bar move."""

import sys

AT_A_TERMINAL_S, IN_A_LOG_S = 0.2, 30.0


def counted(count: int, what: str) -> str:
    """ "1 image", "3 images"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def duration(seconds: float) -> str:
    """In words that go with "about"."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def patience_s() -> float:
    """Seconds between two states of a progress bar."""
    return AT_A_TERMINAL_S if sys.stderr.isatty() else IN_A_LOG_S
