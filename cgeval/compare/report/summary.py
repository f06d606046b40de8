"""A comparison goes in; a few sentences come out: what is nearest to the ceiling, by how much, and what is told apart.

Told apart from the main run is a method whose difference to it has a p, corrected by Holm, below 0.05.
"""

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
ALPHA = 0.05


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

    @property
    def main(self) -> Row | None:
        return next((row for row in self.rows if row.kind == "main"), None)

    @property
    def is_paired(self) -> bool:
        """Whether there are differences to the main row."""
        return any(self.column.key in row.differences for row in self.rows)


def summary(comparison: Comparison) -> list[str]:
    """Sentences for the head of the report; one that says so where nothing is measured."""
    contests = _contests(comparison.tables[0]) if comparison.tables else []
    if not contests:
        return ["Nothing is measured yet: the figures show what the methods made."]
    return [*(_winner(each) for each in contests), *_told_apart(contests), *_ties(contests)]


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
        return f"{task_words(contest.title)}, {start}: {value}{_ahead(contest, verb=' is')}."
    start = (
        f"only {one_line(best.label)} is measured" if alone else f"{one_line(best.label)} comes nearest to the ceiling"
    )
    top = contest.ceiling.numbers[column.key].value
    share = f"{100 * best.numbers[column.key].value / top:.0f} %" if top > 0 else "above 100 %"
    reached = f"{value} is {share} of the ceiling ({_value(contest.ceiling, column)})"
    return f"{task_words(contest.title)}, {start}: {reached}{_ahead(contest, verb=', and')}."


def _value(row: Row, column: Column) -> str:
    unit = " %" if column.metric in PERCENT else ""
    return f"{number_words(row.numbers[column.key], column).value}{unit}"


def task_words(title: str) -> str:
    """labels -> photo: "From labels to photo"; other titles as they are."""
    parts = title.split(" -> ")
    return f"From {parts[0]} to {parts[1]}" if len(parts) == 2 else f"In {title}"


def _ahead(contest: _Contest, *, verb: str) -> str:
    """How far it is from the main row, or the main row from the next one; nothing where that is not told from 0."""
    main = contest.main
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


def _told_apart(contests: Sequence[_Contest]) -> list[str]:
    """Of each contest with differences, the methods that are better than the main one, worse, and neither."""
    told: dict[tuple[str, str], list[str]] = {}
    for each in contests:
        if each.is_paired and each.main:
            against = (one_line(each.main.label), metric_words(each.column.metric))
            task = task_words(each.title)
            told.setdefault(against, []).append(f"{task[0].lower()}{task[1:]}, {_verdicts(each)}")
    return [
        f"Held against {main} by {metric}, and told apart where p by Holm is below {ALPHA:g}: {'; '.join(parts)}."
        for (main, metric), parts in told.items()
    ]


def _verdicts(contest: _Contest) -> str:
    """Such as "pix2pix is better and the other 7 are worse"."""
    found: dict[str, list[Row]] = {"better": [], "worse": [], "not told apart": [], "not over the same images": []}
    others = [row for row in contest.rows if row is not contest.main]
    for row in others:
        found[_verdict(row.differences.get(contest.column.key), contest.column)].append(row)
    there = {word: rows for word, rows in found.items() if rows}
    most = max(there, key=lambda word: len(there[word]))
    if len(there[most]) > MOST_NAMED:  # named last, as "the other 7"
        there[most] = there.pop(most)
    parts = [_are(rows, word, len(others), is_last=word == [*there][-1]) for word, rows in there.items()]
    return listed(parts)


def _verdict(difference: Difference | None, column: Column) -> str:
    if difference is None:
        return "not over the same images"
    p_value = difference.p_value if difference.holm is None else difference.holm
    if p_value is None or p_value >= ALPHA:
        return "not told apart"
    return "better" if (difference.value < 0) == column.lower_is_better else "worse"


def _are(rows: Sequence[Row], word: str, others: int, *, is_last: bool) -> str:
    if len(rows) <= MOST_NAMED or not is_last:
        return f"{_first_of([_named(row) for row in rows])} {'is' if len(rows) == 1 else 'are'} {word}"
    return f"all {len(rows)} others are {word}" if len(rows) == others else f"the other {len(rows)} are {word}"


def _named(row: Row) -> str:
    """The label; between quotes where it would fall apart in a list."""
    label = one_line(row.label)
    return f"“{label}”" if "," in label else label


def _ties(contests: Sequence[_Contest]) -> list[str]:
    """What is marked as best beside the best, where the differences to the main row do not say so already."""
    told = []
    for contest in contests:
        equals = [_named(row) for row in contest.rows[1:] if row.numbers[contest.column.key].best]
        if equals and not (contest.is_paired and contest.main in (contest.best, *contest.rows[1:2])):
            told.append(f"{_first_of(equals)} ({contest.title})")
    return [f"Not told apart from the best by these images: {'; '.join(told)}."] if told else []


def _first_of(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return listed(names)


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
