"""A table of a comparison goes in; its parts come out in the order in which every text sets them."""

from collections.abc import Sequence
from dataclasses import dataclass

from cgeval.compare.comparison import Comparison, Table
from cgeval.compare.renderers.facts import Fact, facts
from cgeval.compare.renderers.sheets import Sheet, difference_sheet
from cgeval.compare.renderers.wording import difference_title, title_words


@dataclass(frozen=True)
class Parts:
    """sheets: the numbers; differences: to the main row; over_differences: a sentence over these, if there are any.

    title: empty where it says nothing new; is_unsure: a number has a sign that has to be explained.
    """

    title: str
    sheets: tuple[Sheet, ...]
    over_differences: str
    differences: tuple[Sheet, ...]
    facts: tuple[Fact, ...]
    is_unsure: bool
    footnotes: tuple[str, ...]


def parts_of(comparison: Comparison, table: Table, sheets: Sequence[Sheet]) -> Parts:
    """Of a table whose numbers are these sheets; without numbers there is nothing to be known of it.

    What the first table of the comparison tells is not told again.
    """
    differences = tuple(found for sheet in sheets if (found := difference_sheet(sheet)))
    first = comparison.tables[0] if table is not comparison.tables[0] else None
    return Parts(
        title=title_words(comparison, table),
        sheets=tuple(sheets),
        over_differences=difference_title(comparison) if differences else "",
        differences=differences,
        facts=tuple(facts(table, first=first)) if sheets else (),
        is_unsure=any(sheet.has_unsure for sheet in sheets),
        footnotes=table.footnotes if sheets else (),
    )
