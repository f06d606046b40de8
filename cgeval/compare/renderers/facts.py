"""A table goes in; what is to be known of its groups comes out, each thing once, with the groups it is true of."""

from collections.abc import Sequence
from dataclasses import dataclass

from cgeval.compare.comparison import Measure, Table
from cgeval.compare.renderers.wording import metric_words, one_line


@dataclass(frozen=True)
class Fact:
    """What a reader wants to know. groups: names of those it is true of; empty where it is true of all."""

    heading: str
    groups: tuple[str, ...]
    text: str


REST = Fact("the rest", (), "as in the first table")


def group_names(groups: Sequence[Measure]) -> tuple[str, ...]:
    """A name for each group: its metric where it has one, else its title; more where that tells no difference."""
    short = short_names(groups)
    long = [
        f"{name} ({group.protocol})" if name == one_line(group.title) else f"{name}, {group.title}"
        for name, group in zip(short, groups, strict=True)
    ]
    return tuple(one_line(name if short.count(name) == 1 else more) for name, more in zip(short, long, strict=True))


def short_names(groups: Sequence[Measure]) -> tuple[str, ...]:
    """What each group is called where that is enough: its metric where it has one, else its title."""
    return tuple(
        one_line(metric_words(group.metrics[0]) if len(group.metrics) == 1 else group.title) for group in groups
    )


def facts(table: Table, places: Sequence[int] | None = None, *, first: Table | None = None) -> list[Fact]:
    """What is to be known of these groups (None: of all), each thing once.

    first: a table that is shown before; of what it tells of a group of the same title, only that the rest is as there.
    """
    asked = range(len(table.groups)) if places is None else places
    found: dict[str, dict[str, list[int]]] = {}
    is_told = False
    for place in asked:
        told = _told(first, table.groups[place])
        for heading, text in _facts_of(table, place).items():
            if told.get(heading) == text:
                is_told = True
            else:
                found.setdefault(heading, {}).setdefault(text, []).append(place)
    known = [
        Fact(heading, _named(table, of, asked), text) for heading, texts in found.items() for text, of in texts.items()
    ]
    return [*known, REST] if is_told else known


def _facts_of(table: Table, place: int) -> dict[str, str]:
    """By heading; the cells say by which method their intervals are where the group does not."""
    own = {"intervals": _intervals(table, place)} | dict(table.groups[place].facts)
    in_order = (*table.groups[place].facts, "intervals")
    return {one_line(heading): one_line(own[heading]) for heading in in_order if one_line(own[heading])}


def _told(first: Table | None, group: Measure) -> dict[str, str]:
    """What that table tells of its group of the same title and metrics."""
    groups = first.groups if first else ()
    like = ((each.title, each.metrics) == (group.title, group.metrics) for each in groups)
    place = next((place for place, is_like in enumerate(like) if is_like), None)
    return _facts_of(first, place) if first and place is not None else {}


def _named(table: Table, of: Sequence[int], asked: Sequence[int]) -> tuple[str, ...]:
    """The groups by name, none where it is all; those that share a short name by that, where it is all of them."""
    if len(of) == len(asked):
        return ()
    short, long = short_names(table.groups), group_names(table.groups)
    whole = {name for name in short if all(place in of for place in asked if short[place] == name)}
    return tuple(dict.fromkeys(short[place] if short[place] in whole else long[place] for place in of))


def _intervals(table: Table, place: int) -> str:
    cells = (cell for row in table.rows for key, cell in row.numbers.items() if key[0] == place)
    return "; ".join(dict.fromkeys(cell.interval for cell in cells if cell.interval and cell.low is not None))
