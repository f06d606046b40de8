"""What commands that compare share: their options, what is refused before hours of making, what is shown in the end."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cgeval.errors import DataError

if TYPE_CHECKING:
    from cgeval.compare.comparison import Comparison, Subject
    from cgeval.compare.making.plan import Pictures
    from cgeval.compare.making.scoring import Wish

FORMATS = ("text", "markdown", "latex", "csv", "json")
MOST_ROWS = 64


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that compares."""
    options = [
        click.option("--split", default="test", show_default=True, help="Split whose image sets are compared."),
        click.option(
            "--study", type=click.Path(path_type=Path), help="A study for the fooling rate; default: all in studies/."
        ),
        click.option(
            "--agreement", is_flag=True, help="Whether automatic scores rank methods and images as people do."
        ),
        click.option("--published", is_flag=True, help="Printed numbers too, in tables of their own."),
        click.option("--scorer", help="Of the FCN score; default: the one that scored the main run last."),
        click.option("--protocol", type=click.Choice(["paper", "scorer-size"]), help="Of the FCN score; likewise."),
        click.option(
            "--convention", type=click.Choice(["cityscapes", "reference"]), help="Of the FCN score; likewise."
        ),
        click.option("--format", "shown_as", default="text", show_default=True, type=click.Choice(FORMATS)),
        click.option(
            "--examples", default=4, show_default=True, type=click.IntRange(0, MOST_ROWS), help="In the report."
        ),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the choice of examples."),
        click.option("--rows", type=click.Path(path_type=Path), help="A file with ids, one a line: these examples."),
        click.option("--yes", is_flag=True, help="Make what is missing without asking."),
        click.option("--dry-run", is_flag=True, help="Show what is missing and how long it takes; make nothing."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class View:
    """What becomes of a comparison. out: folder of the report and the tables; shown_as: on the terminal."""

    out: Path
    shown_as: str
    pictures: "Pictures"
    study: Path | None
    published: bool
    agreement: bool = False


def view_of(out: Path, options: dict[str, Any]) -> View:
    """Check what would only be noticed after hours of making; raises OutputError or DataError."""
    from cgeval.compare.making.plan import Pictures, refuse_output

    refuse_output(out)
    ids = _ids(options["rows"]) if options["rows"] is not None else None
    pictures = Pictures(options["examples"], options["seed"], ids)
    return View(out, options["shown_as"], pictures, options["study"], options["published"], options["agreement"])


def show(comparison: "Comparison", view: View) -> None:
    """Write the files, print the table, and say where the report is; for programs, on standard error."""
    from cgeval.compare.making.plan import FILES, REPORT, write_outputs
    from cgeval.compare.renderers import as_csv, as_json, as_latex, as_markdown, as_text

    ways: dict[str, Callable[[Comparison], str]] = dict(
        zip(FORMATS, (as_text, as_markdown, as_latex, as_csv, as_json), strict=True)
    )
    write_outputs(comparison, view.out, view.pictures, typed())
    click.echo(ways[view.shown_as](comparison).rstrip("\n"))
    tables = ",".join(name for name in FILES if name != REPORT)
    told = [f"report  {view.out / REPORT}", f"tables  {view.out}/{{{tables}}}"]
    click.echo("\n".join(["", *told] if view.shown_as == "text" else told), err=view.shown_as != "text")


def compared(
    subjects: "Sequence[Subject]",
    split: str,
    view: View,
    wish: "Wish",
    notes: Sequence[str] = (),
    told: Sequence[str] = (),
) -> "Comparison":
    """The comparison of what is there now.

    notes: of what could not be measured or compared, which come first; told: directions that they say are not scored.
    """
    from cgeval.compare.gather import Wanted
    from cgeval.compare.gather import compare as compare_subjects

    found = compare_subjects(
        subjects,
        split,
        study=view.study,
        published=view.published,
        dataset=wish.data,
        wanted=Wanted(wish.scorer, wish.protocol, wish.convention),
        agreement=view.agreement,
        told=told,
    )
    return replace(found, notes=(*notes, *found.notes))


def refuse_foreign(subjects: "Sequence[Subject]", split: str, view: View, wish: "Wish") -> None:
    """Raise DataError, before hours of making, for a study or rows that are of other images than are compared."""
    if view.study is not None or view.agreement:
        compared(subjects, split, view, wish)
    known = {row.id for image_set in subjects[0].sets.values() for row in image_set.rows}
    unknown = [name for name in view.pictures.ids or () if name not in known]
    if unknown:
        raise DataError(
            f"--rows names {unknown[0]!r} ({len(unknown)} of {len(view.pictures.ids or ())} unknown), and "
            f"{subjects[0].run.path} has no such image: name ids of its images, such as {min(known)!r}."
        )


def say(text: str) -> None:
    """To the person who looks on; the table alone is standard output."""
    click.echo(text, err=True)


def typed() -> str:
    """The command as it was typed, to be typed again."""
    return shlex.join(["cgeval", *sys.argv[1:]])


def _ids(path: Path) -> tuple[str, ...]:
    """The ids in a file, in their order; raises DataError where there is none."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not there"
        raise DataError(f"{path} is {what}: --rows takes a file with the ids of images, one a line.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}.") from None
    ids = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not ids:
        raise DataError(f"{path} is empty: --rows takes a file with the ids of images, one a line.")
    return ids
