"""A comparison goes in; every number of it comes out for programs, with all its digits: CSV, JSON, a pandas frame.

CSV and frame are in long form, one number per line. In the CSV, a text that a spreadsheet would take for a formula has
an apostrophe before it: labels come from names of files and from other programs. `label_of_csv` takes it off again;
frame and JSON have every text as it is.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cgeval.compare.comparison import Agreement, Comparison, Difference, Measure, Number, Row, Subject, Table
from cgeval.records import Record
from cgeval.runs import Run

if TYPE_CHECKING:
    import pandas

SCHEMA = 1
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
APOSTROPHE = "'"
DTYPES: Mapping[str, str] = {
    "table": "string",
    "group": "string",
    "direction": "string",
    "protocol": "string",
    "metric": "string",
    "row": "string",
    "kind": "string",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "interval": "string",
    "n": "Int64",
    "best": "bool",
    "unsure": "bool",
    "difference": "float64",
    "difference_low": "float64",
    "difference_high": "float64",
    "p_value": "float64",
    "holm": "float64",
    "run": "string",
    "image_set": "string",
    "index_sha256": "string",
    "convention": "string",
}
Line = dict[str, Any]


def as_csv(comparison: Comparison) -> str:
    """One line for each number, as RFC 4180 has it: a head, CRLF, quotes where they are needed.

    Fractions, never percent; what is not known is empty; true and false; convention: JSON.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(DTYPES)
    for line in _lines(comparison):
        writer.writerow(_field(line[name]) for name in DTYPES)
    return text.getvalue()


def label_of_csv(field: str) -> str:
    """The text that a field of the CSV stands for."""
    return field[1:] if field.startswith(APOSTROPHE) and _would_be_formula(field) else field


def as_frame(comparison: Comparison) -> "pandas.DataFrame":
    """The lines of the CSV as a frame: texts as "string", n as "Int64", best and unsure as bool, the rest float64."""
    import pandas

    lines = list(_lines(comparison))
    return pandas.DataFrame(
        {name: pandas.Series([line[name] for line in lines], dtype=kind) for name, kind in DTYPES.items()}
    )


def as_json(comparison: Comparison) -> str:
    """Everything that the comparison holds, records included. Fractions; null where there is nothing."""
    content = {
        "schema": SCHEMA,
        "dataset": dict(comparison.dataset),
        "dataset_path": str(comparison.dataset_path) if comparison.dataset_path else None,
        "split": comparison.split,
        "main": comparison.main,
        "subjects": [_subject(subject) for subject in comparison.subjects],
        "tables": [_table(table) for table in comparison.tables],
        "agreements": [_agreement(agreement) for agreement in comparison.agreements],
        "notes": list(comparison.notes),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    return _escaped_halves(text) + "\n"


def _lines(comparison: Comparison) -> Iterator[Line]:
    """Every number by table, row and column; texts are UTF-8, whatever names are."""
    for table in comparison.tables:
        for row in table.rows:
            for place, group in enumerate(table.groups):
                for metric in group.metrics:
                    number, difference = row.numbers.get((place, metric)), row.differences.get((place, metric))
                    if number is not None:
                        told = _of_group(table, group, row, metric) | _of_number(number) | _of_difference(difference)
                        yield {name: _utf8(value) if isinstance(value, str) else value for name, value in told.items()}


def _of_group(table: Table, group: Measure, row: Row, metric: str) -> Line:
    return {
        "table": table.title,
        "group": group.title,
        "direction": group.direction,
        "protocol": group.protocol,
        "metric": metric,
        "row": row.label,
        "kind": row.kind,
        "convention": json.dumps(group.convention, ensure_ascii=False, sort_keys=True, default=_plain),
    }


def _of_number(number: Number) -> Line:
    record = number.record
    return {
        "value": number.value,
        "low": number.low,
        "high": number.high,
        "interval": number.interval,
        "n": number.n if number.n > 0 else None,
        "best": number.best,
        "unsure": number.unsure,
        "run": record.run_id if record else None,
        "image_set": record.image_set if record else None,
        "index_sha256": record.index_sha256 if record else None,
    }


def _of_difference(difference: Difference | None) -> Line:
    return {
        "difference": difference.value if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "p_value": difference.p_value if difference else None,
        "holm": difference.holm if difference else None,
    }


def _field(value: Any) -> Any:
    """A value as the CSV has it. Numbers stay numbers: a minus before digits is no formula."""
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    return APOSTROPHE + value if isinstance(value, str) and _would_be_formula(value) else value


def _would_be_formula(text: str) -> bool:
    """Also with apostrophes before it, so that taking one off always gives back the text."""
    return text.lstrip(APOSTROPHE).startswith(FORMULA)


def _subject(subject: Subject) -> Line:
    return {
        "label": subject.label,
        "kind": subject.kind,
        "run": _run(subject.run),
        "elsewhere": {direction: _run(run) for direction, run in subject.elsewhere.items()},
        "image_sets": {direction: vars(image_set) for direction, image_set in subject.sets.items()},
    }


def _run(run: Run) -> Line:
    return {"path": run.path, **vars(run.info)}


def _table(table: Table) -> Line:
    return {
        "title": table.title,
        "groups": [vars(group) for group in table.groups],
        "rows": [_row(row) for row in table.rows],
        "footnotes": list(table.footnotes),
    }


def _row(row: Row) -> Line:
    """group: place in the table's groups, counted from 0."""
    return {
        "label": row.label,
        "kind": row.kind,
        "note": row.note,
        "numbers": [{"group": place, "metric": metric, **vars(cell)} for (place, metric), cell in row.numbers.items()],
        "differences": [
            {"group": place, "metric": metric, **vars(cell)} for (place, metric), cell in row.differences.items()
        ],
    }


def _agreement(agreement: Agreement) -> Line:
    """The points behind the coefficients, which stand in a table too."""
    coefficients = {"rho": agreement.rho, "tau": agreement.tau}
    return (
        vars(agreement)
        | {"study": vars(agreement.study), "points": [vars(point) for point in agreement.points]}
        | {name: vars(found) if found else None for name, found in coefficients.items()}
    )


def _plain(value: Any) -> Any:
    """What JSON has no word for, in those it has."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Record):
        return vars(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no value of a comparison.")


def _utf8(text: str) -> str:
    """Half a sign, of a name that is no UTF-8, as U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _escaped_halves(text: str) -> str:
    """Of JSON: half a sign is written as its escape, which reads back as it was."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
