"""A result file of the AMT tool goes in; its assignments come out: who was shown what, and which side was selected.

The tool is phillipi/AMT_Real_vs_Fake. A row is an assignment. Trial n has the columns Input.gt_side{n} (the side of
the real image), Input.images_left{n}, Input.images_right{n} (paths, with or without an extension) and
Answer.selection{n} (left, right, unset); its MATLAB programs count from 1, its Python programs from 0.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgeval.errors import DataError

SIDE, LEFT, RIGHT, SELECTION = "Input.gt_side", "Input.images_left", "Input.images_right", "Answer.selection"
NUMBERED = re.compile(r"(Input\.gt_side|Input\.images_left|Input\.images_right|Answer\.selection)(\d{1,6})")
INPUT = re.compile(r"(gt_side|images_left|images_right)\d+")  # as the tool writes them, before anybody answered
NO_ANSWER = frozenset({"", "unset", "{}"})
SIDES = ("left", "right")
Columns = Mapping[str, Mapping[int, int]]  # place of a column by family and trial


@dataclass(frozen=True)
class Shown:
    """One trial. index: from 0; gt_side: of the real image, "" where nobody says; selection: None: missing."""

    index: int
    gt_side: str
    left: str
    right: str
    selection: str | None


@dataclass(frozen=True)
class Assignment:
    """One row. where: file and row, for sentences; worker, assignment, status: "" where nothing stands."""

    where: str
    worker: str
    assignment: str
    status: str
    trials: tuple[Shown, ...]


def read_assignments(file: Path, base: int | None = None, *, sides_needed: bool = True) -> list[Assignment]:
    """In the file's order. base: 0 or 1, where the numbering starts; None: as the columns say.

    sides_needed: whether Input.gt_side has to be there. Raises DataError for what is no such result.
    """
    head, lines = _table(file)
    columns = _columns(file, head)
    _refuse_foreign(file, head, columns, sides_needed)
    first = _first(file, columns) if base is None else base
    _refuse_gaps(file, columns, first, is_told=base is not None)
    places = {name: head.index(name) if name in head else None for name in ("WorkerId", "AssignmentId")}
    places["AssignmentStatus"] = head.index("AssignmentStatus") if "AssignmentStatus" in head else None
    found = []
    for number, cells in lines:
        worker, assignment, status = ("" if place is None else cells[place].strip() for place in places.values())
        trials = tuple(_trials(f"{file}, row {number}", cells, columns, first))
        if trials:
            found.append(Assignment(f"{file}, row {number}", worker, assignment, status, trials))
    if not found:
        raise DataError(f"{file} has no row with images below its head: results of the AMT tool are expected.")
    return found


def in_short(text: str) -> str:
    """What somebody wrote, for a sentence: on one line, and not endless."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _table(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The head, and the other rows with their numbers; semicolons and tabs are understood as well as commas."""
    text = _text(file)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        rows = [(number, cells) for number, cells in enumerate(reader, 1) if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise DataError(f"{file} is no whole CSV ({error}): download the results again.") from None
    if not rows:
        raise DataError(f"{file} is empty: results of the AMT tool are expected.")
    head = [cell.strip() for cell in rows[0][1]]
    for number, cells in rows[1:]:
        if len(cells) != len(head):
            raise DataError(
                f"{file}, row {number} has {len(cells)} cells, and the head {len(head)}: download the results again."
            )
    return head, rows[1:]


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
        if data.startswith(b"PK\x03\x04"):
            raise DataError(f"{file} is a workbook of Excel, and a CSV is expected: save it as CSV (UTF-8).")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): name result files of the AMT tool.") from None
    except UnicodeDecodeError:
        raise DataError(
            f"{file} is no text in UTF-8: results of the AMT tool, as MTurk gives them, are expected."
        ) from None


def _columns(file: Path, head: Sequence[str]) -> dict[str, dict[int, int]]:
    columns: dict[str, dict[int, int]] = {SIDE: {}, LEFT: {}, RIGHT: {}, SELECTION: {}}
    for place, name in enumerate(head):
        if found := NUMBERED.fullmatch(name):
            family, number = found[1], int(found[2])
            if number in columns[family]:
                raise DataError(f"{file} has the column {family}{number} twice: download the results again.")
            columns[family][number] = place
    return columns


def _refuse_foreign(file: Path, head: Sequence[str], columns: Columns, sides_needed: bool) -> None:
    if not columns[SELECTION] and (columns[LEFT] or columns[RIGHT] or any(INPUT.fullmatch(name) for name in head)):
        raise DataError(
            f"{file} has images and no answers (no column {SELECTION}0 or {SELECTION}1): it is the input file of the "
            "AMT tool, and the results are wanted, which MTurk gives for download when the batch is done."
        )
    needed = (LEFT, RIGHT, SELECTION, *((SIDE,) if sides_needed else ()))
    missing = [family for family in needed if not columns[family]]
    if missing == [SIDE]:
        raise DataError(f"{file} has no columns {SIDE}...: say by --real which folder has the real images.")
    if missing:
        raise DataError(
            f"{file} has no columns {', '.join(f'{family}...' for family in missing)}: results of the AMT tool are "
            f"expected, and its columns are {', '.join(map(in_short, head[:4]))}{', ...' if len(head) > 4 else ''}."
        )


def _first(file: Path, columns: Columns) -> int:
    """Where the numbering starts."""
    starts = {family: min(numbers) for family, numbers in columns.items() if numbers}
    if len(set(starts.values())) > 1:
        low, high = min(starts, key=lambda each: starts[each]), max(starts, key=lambda each: starts[each])
        raise DataError(
            f"{file} mixes its numbering: it starts with {low}{starts[low]} and with {high}{starts[high]}; if that is "
            "no mistake and a column is missing, say by --zero-based or --one-based how trials are numbered."
        )
    first = starts[LEFT]
    if first > 1:
        raise DataError(
            f"{file} starts with {LEFT}{first}, and 0 or 1 is expected: say by --zero-based or --one-based how trials "
            "are numbered."
        )
    return first


def _refuse_gaps(file: Path, columns: Columns, first: int, *, is_told: bool) -> None:
    """A selection may be missing, but not what it was made of."""
    inputs = {family: set(columns[family]) for family in (SIDE, LEFT, RIGHT) if columns[family]}
    shown = set().union(*inputs.values())
    if is_told and min(shown) < first:
        raise DataError(f"{file} has a column {LEFT}{min(shown)}, and --one-based says that trials count from 1.")
    for family, numbers in inputs.items():
        if lacking := shown - numbers:
            raise DataError(
                f"{file} has no column {family}{min(lacking)}, but others of that trial: download it again."
            )
    if unknown := set(columns[SELECTION]) - shown:
        raise DataError(
            f"{file} has {SELECTION}{min(unknown)} without images, which are numbered {min(shown)} to {max(shown)}: "
            "the numbering is mixed or columns are missing; download the results again."
        )


def _trials(where: str, cells: Sequence[str], columns: Columns, first: int) -> Iterator[Shown]:
    """A row may have fewer trials than others: where nothing stands, nothing was shown."""
    for number in sorted(columns[LEFT]):
        side, left, right, selection = (
            cells[columns[family][number]].strip() if number in columns[family] else ""
            for family in (SIDE, LEFT, RIGHT, SELECTION)
        )
        if not (side or left or right):
            continue
        if not (left and right):
            raise DataError(f"{where}: trial {number} has one image, and two are expected; download the results again.")
        known = _side(where, f"{SIDE}{number}", side) if columns[SIDE] else ""
        answered = None if selection.lower() in NO_ANSWER else _side(where, f"{SELECTION}{number}", selection)
        yield Shown(number - first, known, left, right, answered)


def _side(where: str, column: str, cell: str) -> str:
    if cell.lower() not in SIDES:
        raise DataError(f"{where}: {column} is {in_short(cell)!r}, and left or right is expected.")
    return cell.lower()
