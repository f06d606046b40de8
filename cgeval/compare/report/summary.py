"""A comparison goes in; two or three sentences come out: what is nearest to the ceiling, by how much, what is a tie."""

from collections.abc import Sequence
from dataclasses import dataclass

from cgeval.compare.comparison import Comparison, Difference, Row, Table
from cgeval.compare.renderers.sheets import COMPETING
from cgeval.compare.renderers.wording import (
    PERCENT,
    Column,
    columns,
    metric_words,
    number_words,
    one_line,
    p_words,
)

DECIDES = ("class_iou", "fooling_rate")  # the metrics a sentence is about, the first that a group has
MOST_GROUPS = 2
MOST_NAMED = 3


@dataclass(frozen=True)
class _Contest:
    """One metric of a group. rows: what competes and has a number, the best first; ceiling: the real images' row."""

    title: str
    column: Column
    rows: Sequence[Row]
    ceiling: Row | None

    @property
    def best(self) -> Row:
        return self.rows[0]


def summary(comparison: Comparison) -> list[str]:
    """Sentences for the head of the report; one that says so where nothing is measured."""
    contests = _contests(comparison.tables[0]) if comparison.tables else []
    if not contests:
        return ["Nothing is measured yet: the figures show what the methods made."]
    return [*(_winner(each) for each in contests), *_ties(contests)]


def _contests(table: Table) -> list[_Contest]:
    found = []
    for place, group in enumerate(table.groups):
        metric = next((name for name in DECIDES if name in group.metrics), None)
        metric = metric or (group.metrics[0] if group.higher_is_better else None)
        column = next((column for column in columns(table, place) if column.metric == metric), None)
        if column is not None and (contest := _contest(table, one_line(group.title), column)):
            found.append(contest)
    return found[:MOST_GROUPS]


def _contest(table: Table, title: str, column: Column) -> _Contest | None:
    there = [row for row in table.rows if row.kind in COMPETING and column.key in row.numbers]
    ceiling = next((row for row in table.rows if row.kind == "ceiling" and column.key in row.numbers), None)
    ordered = sorted(there, key=lambda row: row.numbers[column.key].value, reverse=not column.lower_is_better)
    return _Contest(title, column, ordered, ceiling) if ordered else None


def _winner(contest: _Contest) -> str:
    column, best = contest.column, contest.best
    alone = len(contest.rows) == 1
    value = f"its {metric_words(column.metric)} of {_value(best, column)}"
    if contest.ceiling is None:
        start = f"only {one_line(best.label)} is measured" if alone else f"{one_line(best.label)} is best"
        return f"{_from(contest.title)}, {start}: {value}{_ahead(contest, verb=' is')}."
    start = (
        f"only {one_line(best.label)} is measured" if alone else f"{one_line(best.label)} comes nearest to the ceiling"
    )
    top = contest.ceiling.numbers[column.key].value
    share = f"{100 * best.numbers[column.key].value / top:.0f} %" if top > 0 else "above 100 %"
    reached = f"{value} is {share} of the ceiling ({_value(contest.ceiling, column)})"
    return f"{_from(contest.title)}, {start}: {reached}{_ahead(contest, verb=', and')}."


def _value(row: Row, column: Column) -> str:
    unit = " %" if column.metric in PERCENT else ""
    return f"{number_words(row.numbers[column.key], column).value}{unit}"


def _from(title: str) -> str:
    """labels -> photo: "From labels to photo"; other titles as they are."""
    parts = title.split(" -> ")
    return f"From {parts[0]} to {parts[1]}" if len(parts) == 2 else f"In {title}"


def _ahead(contest: _Contest, *, verb: str) -> str:
    """How far it is from the main row, or the main row from the next one; nothing where that is not told from 0."""
    main = next((row for row in contest.rows if row.kind == "main"), None)
    if len(contest.rows) == 1 or main is None:
        return ""
    column, is_main = contest.column, contest.best is main
    other = contest.rows[1] if is_main else main
    difference = (other if is_main else contest.best).differences.get(column.key)
    if difference is None:
        return f"; {one_line(other.label)} has {_value(other, column)}"
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return ""
    way = "below" if column.lower_is_better else "above"
    low, high = sorted(map(abs, (difference.low, difference.high)))
    by = f"{column.digits(abs(difference.value))} [{column.digits(low)}, {column.digits(high)}]"
    return f"{verb} {by} {way} {one_line(other.label)}{_p(difference)}"


def _p(difference: Difference) -> str:
    """The adjusted p-value where there is one."""
    p_value, by = (difference.p_value, "") if difference.holm is None else (difference.holm, " by Holm")
    words = p_words(p_value)
    return f" (p {words.replace('<', '< ') if words.startswith('<') else f'= {words}'}{by})" if words else ""


def _ties(contests: Sequence[_Contest]) -> list[str]:
    """What is marked as best beside the best."""
    told = []
    for contest in contests:
        equals = [one_line(row.label) for row in contest.rows[1:] if row.numbers[contest.column.key].best]
        if equals:
            told.append(f"{_listed(equals)} ({contest.title})")
    if told:
        return [f"Not told apart from the best by these images: {'; '.join(told)}."]
    if any(len(contest.rows) > 1 for contest in contests):
        return ["Every other method is told apart from the best one by these images."]
    return []


def _listed(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
