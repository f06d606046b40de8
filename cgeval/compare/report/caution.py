"""A comparison goes in; what a reader must not miss comes out: where the main run is below pictures of other scenes.

Such pictures know nothing of the image that they are held against: what they score is what all scenes share. It is the
trap "below shuffled" of `cgeval fcn-score --sanity`, told where the comparison begins.
"""

from cgeval.compare.comparison import Comparison, Number, Row, Table
from cgeval.compare.renderers.wording import Column, columns, metric_words, number_words, one_line
from cgeval.compare.report.summary import listed, task_words
from cgeval.compare.tabulate import SHUFFLED


def cautions(comparison: Comparison) -> list[str]:
    """A sentence for each group of the first table in which the main row has a number that is not above theirs."""
    if not comparison.tables:
        return []
    table = comparison.tables[0]
    main = next((row for row in table.rows if row.kind == "main"), None)
    other = next((row for row in table.rows if row.kind == "sanity" and row.label == SHUFFLED), None)
    if main is None or other is None:
        return []
    return [told for place in range(len(table.groups)) if (told := _caution(table, place, main, other))]


def _caution(table: Table, place: int, main: Row, other: Row) -> str:
    there = [each for each in columns(table, place) if each.key in main.numbers and each.key in other.numbers]
    below = [each for each in there if _is_below(main.numbers[each.key], other.numbers[each.key], each)]
    if not below:
        return ""
    clearly = any(_is_clearly_below(main.numbers[each.key], other.numbers[each.key], each) for each in below)
    than = "below" if clearly else "no higher than"
    title = one_line(table.groups[place].title)
    numbers = [f"{metric_words(each.metric)} {_held(main, each)} against {_held(other, each)}" for each in below]
    return (
        f"{task_words(title)}, {one_line(main.label)} scores {than} real {_made(title)} of other scenes "
        f"({one_line(other.label)}): {listed(numbers)}. What all scenes share is enough for such a score."
    )


def _made(title: str) -> str:
    """labels -> photo: "photos"."""
    made = title.rpartition(" -> ")[2] if " -> " in title else "images"
    return made if made.endswith("s") else f"{made}s"


def _is_below(ours: Number, theirs: Number, column: Column) -> bool:
    return ours.value >= theirs.value if column.lower_is_better else ours.value <= theirs.value


def _is_clearly_below(ours: Number, theirs: Number, column: Column) -> bool:
    """Whether the intervals do not touch; never without intervals."""
    if column.lower_is_better:
        return ours.low is not None and theirs.high is not None and ours.low > theirs.high
    return ours.high is not None and theirs.low is not None and ours.high < theirs.low


def _held(row: Row, column: Column) -> str:
    return number_words(row.numbers[column.key], column).value
