"""Sealed images and the dataset they were made from go in; figures of examples come out, row by row.

As in figures 13 and 14 of Zhu et al. (arXiv 1703.10593): the input, what each method made of it, and the truth. All
translations together take at most 2.4 MB of the page: where they are heavier, the heaviest become JPEG of some 15 KB.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cgeval.compare.comparison import Comparison, Direction, Subject
from cgeval.compare.renderers.wording import one_line
from cgeval.compare.report.originals import DOMAINS, Originals
from cgeval.compare.report.pictures import (
    JPEG_QUALITY,
    MOST_BYTES,
    MOST_PX,
    Cell,
    Missing,
    Shown,
    Size,
    embedded,
    sealed_file,
)
from cgeval.errors import CgevalError, DataError
from cgeval.images import Picture, natural_key
from cgeval.runs import Row

BUDGET = 1_800_000  # bytes of all translations, of which base64 makes a third more
WIDE_PX = 1080  # of the page, in which all columns should fit
GAP_PX = 6
LARGEST_TIMES = 8  # as large a small picture is shown
SMALLEST_PX = 64
ELSE_PX = (128, 128)  # of inputs, where no translation is there to say it

Indexes = Mapping[str, Mapping[str, Row]]  # by label, the rows of a set by id


@dataclass(frozen=True)
class FigureRow:
    """One example: input, methods, truth, in the order of the heads."""

    id: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Figure:
    """All examples of one direction. shown_px: width of each picture on the page.

    enlarged: that is a whole number of times its own width; drawn: how the rows were chosen; notes: sentences on what
    is missing or was changed.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[FigureRow, ...]
    shown_px: int
    enlarged: bool
    drawn: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Choice:
    """The images of one direction that are shown. drawn: how they were chosen."""

    way: Direction
    subjects: tuple[Subject, ...]
    indexes: Indexes
    ids: tuple[str, ...]
    drawn: str

    def size_bytes(self) -> list[int]:
        """Of each translation that is there."""
        files = [
            each.sets[self.way].path / self.indexes[each.label][name].file
            for each in self.subjects
            for name in self.ids
            if name in self.indexes[each.label]
        ]
        return [file.stat().st_size for file in files if file.is_file()]


def figures(comparison: Comparison, *, examples: int, seed: int, ids: Sequence[str] | None) -> list[Figure]:
    """A figure for each direction that was translated, in the order of the first table.

    examples: rows, drawn by the seed, the same ones for every method and for `cgeval fcn-score`; ids: the rows by name
    instead. Raises DataError for an id that no compared set has.
    """
    choices = _choices(comparison, examples, seed, ids) if examples or ids is not None else []
    if not choices:
        return []
    originals = Originals.of(comparison)
    sizes = [size for choice in choices for size in choice.size_bytes()]
    most_bytes = MOST_BYTES if sum(sizes) <= BUDGET else BUDGET // len(sizes)
    return [_figure(choice, originals, most_bytes) for choice in choices]


def _choices(comparison: Comparison, examples: int, seed: int, ids: Sequence[str] | None) -> list[_Choice]:
    found = []
    for way in _directions(comparison):
        subjects = tuple(subject for subject in comparison.subjects if way in subject.sets)
        indexes = {each.label: {row.id: row for row in each.sets[way].rows} for each in subjects}
        known = _known(subjects, indexes)
        if ids is None:
            chosen, drawn = _drawn(known, examples, seed), f"drawn with seed {seed} out of {len(known)}"
        else:
            chosen, drawn = [name for name in ids if name in known], "chosen by their ids"
        found.append(_Choice(way, subjects, indexes, tuple(chosen), drawn))
    if ids is not None:
        _refuse_unknown(ids, found)
    return [choice for choice in found if choice.ids]


def _directions(comparison: Comparison) -> list[Direction]:
    """Those of the first table first, as it has them; then others that were translated and not measured."""
    groups = [group.direction for table in comparison.tables[:1] for group in table.groups if group.direction]
    there = {way for subject in comparison.subjects for way in subject.sets}
    return [way for way in dict.fromkeys([*groups, *DOMAINS]) if way in there]


def _known(subjects: Sequence[Subject], indexes: Indexes) -> list[str]:
    """Ids of the main one's images; where it has none in this direction, of all."""
    main = [subject for subject in subjects if subject.kind == "main"] or subjects
    return list(dict.fromkeys(name for subject in main for name in indexes[subject.label]))


def _drawn(known: Sequence[str], examples: int, seed: int) -> list[str]:
    return sorted(random.Random(seed).sample(sorted(known), min(examples, len(known))))


def _refuse_unknown(ids: Sequence[str], choices: Sequence[_Choice]) -> None:
    known = {name for choice in choices for name in choice.ids}
    unknown = [name for name in ids if name not in known]
    if unknown:
        there = {name for choice in choices for index in choice.indexes.values() for name in index}
        some = ", ".join(map(repr, sorted(there, key=natural_key)[:3]))
        raise DataError(
            f"the rows of the figure name {unknown[0]!r} ({len(unknown)} unknown of {len(ids)}), and the main run has "
            f"no such image: name ids of its images, such as {some}."
        )


def _figure(choice: _Choice, originals: Originals, most_bytes: int) -> Figure:
    with ThreadPoolExecutor() as pool:  # reading and encoding let go of the interpreter
        made = list(pool.map(lambda name: _translated(choice, name, most_bytes), choice.ids))
        size = next((cell.size_px for cells in made for cell in cells if isinstance(cell, Shown)), ELSE_PX)
        framed = pool.map(lambda name, cells: _framed(choice, name, cells, originals, size), choice.ids, made)
        rows = tuple(FigureRow(name, cells) for name, cells in zip(choice.ids, framed, strict=True))
    source, target = originals.names(choice.way)
    heads = (f"Input: {source}", *(one_line(each.label) for each in choice.subjects))
    heads = (*heads, f"Truth: {target}") if originals.has_truth else heads
    shown_px, enlarged = _shown_px(size[0], len(heads))
    return Figure(f"{source} → {target}", heads, rows, shown_px, enlarged, choice.drawn, tuple(_notes(rows, originals)))


def _translated(choice: _Choice, name: str, most_bytes: int) -> list[Cell]:
    """What each method made of the image."""
    return [_one(choice, subject, name, most_bytes) for subject in choice.subjects]


def _one(choice: _Choice, subject: Subject, name: str, most_bytes: int) -> Cell:
    row = choice.indexes[subject.label].get(name)
    if row is None:
        return Missing("not translated")
    text = f"{one_line(subject.label)}: {name}"
    return sealed_file(subject.sets[choice.way].path / row.file, row.sha256, text, most_bytes)


def _framed(choice: _Choice, name: str, cells: Sequence[Cell], originals: Originals, size: Size) -> tuple[Cell, ...]:
    """The row with its input before it and, where the data is paired, its truth behind it."""
    row = next(index[name] for index in choice.indexes.values() if name in index)
    source, target = originals.names(choice.way)
    before = _original(lambda: originals.source(choice.way, row.source, size), f"input, {source}: {name}")
    if not originals.has_truth:
        return (before, *cells)
    aim = row.target or row.id
    return (before, *cells, _original(lambda: originals.target(choice.way, aim, size), f"truth, {target}: {name}"))


def _original(read: Callable[[], Picture | None], text: str) -> Cell:
    try:
        picture = read()
    except CgevalError as error:
        return Missing(str(error))
    return Missing("not in the dataset") if picture is None else embedded(picture, text)


def _shown_px(width: int, columns: int) -> tuple[int, bool]:
    """How wide each picture is shown, and whether that is a whole number of times its width."""
    room = (WIDE_PX - GAP_PX * columns) // columns
    times = min(LARGEST_TIMES, room // width)
    if times >= 1:
        return width * max(1, min(times, MOST_PX // width)), True
    return max(SMALLEST_PX, room), False


def _notes(rows: Sequence[FigureRow], originals: Originals) -> list[str]:
    cells = [cell for row in rows for cell in row.cells]
    notes = list(originals.notes)
    if any(isinstance(cell, Shown) and cell.changed for cell in cells):
        notes.append(
            f"Large or heavy translations are shown at {MOST_PX} px at most, photos among them as JPEG of quality "
            f"{JPEG_QUALITY}; the files themselves are in the runs."
        )
    return notes
