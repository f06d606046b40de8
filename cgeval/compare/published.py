"""Nothing goes in but a file of facts; tables of what papers print come out, marked as printed elsewhere."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgeval.compare.comparison import Measure, Number, Row, Table

FILE = Path(__file__).with_name("published.toml")
PROTOCOL = "printed"


def published_tables() -> list[Table]:
    """One for each kind of table of a paper; two of a paper's that differ only in the direction are one."""
    return [_table(facts) for facts in tomllib.loads(FILE.read_text(encoding="utf-8"))["table"]]


def _table(facts: Mapping[str, Any]) -> Table:
    numbers = " and ".join(dict.fromkeys(facts["tables"]))
    word = "tables" if " and " in numbers else "table"
    judge = "other participants" if "fooling_rate" in facts["metrics"] else "another scorer"
    title = (
        f"{facts['what']}, {facts['dataset']}, printed in {facts['short']}, arXiv {facts['arxiv']}, {word} {numbers}; "
        f"other images, {judge}: not to be compared digit by digit"
    )
    rows = tuple(Row(row["label"], "published", _numbers(row, facts)) for row in facts["row"])
    return Table(title, tuple(_measure(facts, place) for place in range(len(facts["groups"]))), rows)


def _measure(facts: Mapping[str, Any], place: int) -> Measure:
    told = {
        "printed in": facts["paper"],
        "over": f"{facts['dataset']}, {facts['over']}",
        "intervals": facts.get("intervals", ""),
    }
    return Measure(
        title=facts["groups"][place],
        protocol=PROTOCOL,
        direction=None,
        metrics=tuple(facts["metrics"]),
        n=facts["n"],
        convention={"arxiv": facts["arxiv"], "table": facts["tables"][place]},
        size_px=(facts["size_px"], facts["size_px"]),
        facts={name: text for name, text in told.items() if text},
    )


def _numbers(row: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[tuple[int, str], Number]:
    unsure = [tuple(each) for each in row.get("unsure", [])]
    numbers = {}
    for place, values in enumerate(row["values"]):
        for i, (metric, value) in enumerate(zip(facts["metrics"], values, strict=True)):
            key = (place, metric)
            around = row["plus_minus"][place][i] if "plus_minus" in row else None
            numbers[key] = _number(value, around, facts, unsure=key in unsure)
    return numbers


def _number(value: float, around: float | None, facts: Mapping[str, Any], *, unsure: bool) -> Number:
    """around: what is printed behind +-."""
    if around is None:
        return Number(value, facts["n"], unsure=unsure)
    return Number(value, facts["n"], value - around, value + around, facts["intervals"], unsure=unsure)
