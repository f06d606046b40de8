"""A producer's settings go in; they come out by dotted key, or as what two runs differ in."""

from collections.abc import Mapping
from typing import Any

from cgeval.runs import Run


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A trainer's settings by dotted key, as its --set takes them."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flat_settings(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def differing(one: Run, other: Run, may_differ: tuple[str, ...]) -> list[str]:
    """Keys of the settings in which the two runs differ, but for those that begin with one of may_differ."""
    ours, theirs = (flat_settings(run.info.settings) for run in (one, other))
    return [key for key in ours | theirs if not key.startswith(may_differ) and ours.get(key) != theirs.get(key)]
