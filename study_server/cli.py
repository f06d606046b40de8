"""The `study-server` command: parse, one call, print."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import get_terminal_size
from statistics import fmean

import click
import numpy as np
from tqdm import tqdm

from cgeval.console import run
from cgeval.errors import ConfigError, DataError, ImageError, RunError
from cgeval.images import find_images, image_header, read_rgb
from cgeval.runs import NAME, Run
from study_server.tells import REAL, Finding, ImagesSeen, Severity, find_tells, look

Row = tuple[str, str, str]
Result = tuple[ImagesSeen, list[Finding]]


@dataclass(frozen=True)
class Side:
    """The images of one side: a folder, and the image files in it."""

    name: str
    folder: Path
    files: tuple[Path, ...]


@click.group(name="study-server")
@click.version_option(package_name="cgeval")
def study_server() -> None:
    """Real or generated? Ask people. So far: check the images before they are shown."""


@study_server.command()
@click.option("--real", "real_at", required=True, metavar="WHERE", help="The real images.")
@click.option("--fake", "fakes", required=True, multiple=True, metavar="NAME=WHERE", help="An algorithm's; repeat it.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1), help="Images measured per side.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the sample.")
def check(real_at: str, fakes: tuple[str, ...], as_json: bool, sample: int, seed: int) -> None:
    """Say what would give the answer away in a real-vs-fake study.

    WHERE is a folder of images, a run, or RUN:IMAGE_SET. Every image is read; sharpness, brightness, levels and the
    traces of JPEG are measured on a sample. Exit code 0: nothing gives the answer away; 1: something does, or spoils
    the study otherwise; 2: a mistake in the call.
    """
    sides = find_sides(real_at, fakes)
    with tqdm(total=sum(len(s.files) for s in sides), unit="img", desc="looking", disable=None, leave=False) as bar:
        real, *others = [look_at(side, sample, seed, bar.update) for side in sides]
    results = [(fake, find_tells(real, fake)) for fake in others]
    if as_json:
        click.echo(json.dumps(_plain(sides, real, results), indent=2, ensure_ascii=False))
    else:
        for fake, findings in results:
            _print_result(real, fake, findings)
        _print_paragraph(_what_next(results))
    failed = any(finding.severity.fails for _, findings in results for finding in findings)
    click.get_current_context().exit(int(failed))


def find_sides(real_at: str, fakes: Iterable[str]) -> list[Side]:
    """The real side, then one side for each NAME=WHERE; raises ConfigError, DataError or RunError."""
    sides = [_side(REAL, real_at)]
    for fake in fakes:
        name, equals, where = fake.partition("=")
        if not equals or not where or not NAME.fullmatch(name):
            raise ConfigError(
                f"--fake is {fake!r}, and NAME=FOLDER is expected (letters, digits and . _ + - in the name), such as "
                "--fake cyclegan=runs/horse2zebra."
            )
        sides.append(_side(name, where))
    names = Counter(side.name for side in sides)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ConfigError(f"two sides are called {twice[0]!r}: give every --fake a name of its own, other than 'real'.")
    places = {side.folder.resolve(): side.name for side in reversed(sides)}
    for side in sides:
        if (other := places[side.folder.resolve()]) != side.name:
            raise ConfigError(f"{other} and {side.name} are the same folder, {side.folder}: name another one.")
    return sides


def look_at(side: Side, sample: int, seed: int, seen: Callable[[int], object]) -> ImagesSeen:
    """Read every image of the side and measure `sample` of them; those that cannot be read are named in the result.

    seen: called with 1 after each image, for progress. Raises DataError where no image can be read.
    """
    chosen = _draw(len(side.files), sample, seed)
    images, unreadable = [], []
    for index, path in enumerate(side.files):
        name = path.relative_to(side.folder).as_posix()
        try:
            images.append(look(name, image_header(path), read_rgb(path), measure=index in chosen))
        except ImageError as error:
            unreadable.append(str(error))
        seen(1)
    if not images:
        raise DataError(f"none of the {len(side.files)} image files in {side.folder} can be read: {unreadable[0]}")
    return ImagesSeen(side.name, tuple(images), tuple(unreadable))


def main() -> None:
    """Entry point of the console script."""
    run(study_server)


def _side(name: str, where: str) -> Side:
    folder = _folder(where)
    files = find_images(folder)
    if not files:
        raise DataError(f"{folder} holds no images (jpg, png, bmp, tif, webp): name the folder of those to show.")
    return Side(name, folder, tuple(files))


def _folder(where: str) -> Path:
    path = Path(where)
    run_path, colon, set_name = where.rpartition(":")
    if colon and not path.exists():
        return Run.open(Path(run_path)).image_set(set_name).path
    if not path.is_dir():
        what = "a file" if path.exists() else "not there"
        raise DataError(f"{path} is {what}: a folder of images, a run, or RUN:IMAGE_SET is expected.")
    return _only_set(Run.open(path)) if (path / "run.json").is_file() else path


def _only_set(opened: Run) -> Path:
    sets = opened.image_sets()
    if len(sets) == 1:
        return sets[0].path
    if not sets:
        raise RunError(f"{opened.path} has no image set yet: make one with `cyclegan translate {opened.path}`.")
    raise RunError(
        f"{opened.path} has {len(sets)} image sets ({', '.join(s.name for s in sets)}): name one, as in "
        f"{opened.path}:{sets[0].name}."
    )


def _draw(count: int, sample: int, seed: int) -> frozenset[int]:
    """Which of `count` images are measured; the same seed draws the same."""
    drawn = np.random.default_rng(seed).choice(count, size=min(sample, count), replace=False)
    return frozenset(int(index) for index in drawn)


def _print_result(real: ImagesSeen, fake: ImagesSeen, findings: Sequence[Finding]) -> None:
    rows = [("", REAL, fake.name), *_summary(real, fake)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    click.echo()
    for finding in findings:
        click.echo(click.style(f"{finding.severity.value}: {finding.tell}", bold=finding.severity.fails or None))
        _print_paragraph(finding.found, "  ")
        _print_paragraph(f"-> {finding.todo}", "  ")
    click.echo("" if findings else "No tells found.\n")


def _print_paragraph(text: str, indent: str = "") -> None:
    width = min(get_terminal_size().columns, 100)
    click.echo(click.wrap_text(text, width, initial_indent=indent, subsequent_indent=indent))


def _summary(real: ImagesSeen, fake: ImagesSeen) -> list[Row]:
    return [(head, told(real), told(fake)) for head, told in SUMMARY.items()]


def _most(kinds: Sequence[str]) -> str:
    """The most frequent kind, and how many others there are."""
    ranked = Counter(kinds).most_common()
    kind, count = ranked[0]
    return kind if len(ranked) == 1 else f"{kind} ({count}) and {len(ranked) - 1} more"


SUMMARY: dict[str, Callable[[ImagesSeen], str]] = {
    "images": lambda side: str(len(side.images)),
    "format": lambda side: _most([image.header.format for image in side.images]),
    "size": lambda side: _most([f"{image.width}x{image.height}" for image in side.images]),
    "pixels": lambda side: _most([image.header.mode for image in side.images]),
    "without colour": lambda side: str(sum(image.grey for image in side.images)),
    "with a border": lambda side: str(sum(image.border_px > 0 for image in side.images)),
    "measured": lambda side: str(len(side.measured)),
    "traces of JPEG": lambda side: f"{sum(side.grids)} of {len(side.grids)}" if side.grids else "too small to tell",
    "sharpness": lambda side: f"{fmean(m.sharpness for m in side.measured):.1f}" if side.measured else "-",
    "brightness": lambda side: f"{fmean(m.brightness for m in side.measured):.1f}" if side.measured else "-",
}


def _what_next(results: Sequence[Result]) -> str:
    bad = {fake.name: [f.tell for f in findings if f.severity.fails] for fake, findings in results}
    if any(bad.values()):
        which = "; ".join(f"{name}: {', '.join(dict.fromkeys(tells))}" for name, tells in bad.items() if tells)
        return f"Next: mend what gives the answer away or spoils the study ({which}), then run this check again."
    if any(f.severity is Severity.MAY_HELP for _, findings in results for f in findings):
        return (
            "Next: nothing in the files gives the answer away, but something may help a careful participant: mend what "
            "is cheap to mend, and report what stays."
        )
    return "Next: nothing in the files gives the answer away, so the images can be shown."


def _plain(sides: Sequence[Side], real: ImagesSeen, results: Sequence[Result]) -> dict[str, object]:
    """What --json prints."""
    places = {side.name: str(side.folder) for side in sides}
    algorithms = [
        _counts(fake, places[fake.name]) | {"findings": [asdict(finding) for finding in findings]}
        for fake, findings in results
    ]
    return {"real": _counts(real, places[REAL]), "algorithms": algorithms}


def _counts(side: ImagesSeen, folder: str) -> dict[str, object]:
    return {
        "name": side.name,
        "folder": folder,
        "images": len(side.images),
        "unreadable": len(side.unreadable),
        "without_colour": sum(image.grey for image in side.images),
        "with_border": sum(image.border_px > 0 for image in side.images),
        "measured": len(side.measured),
        "jpeg_grids": sum(side.grids),
        "jpeg_grids_of": len(side.grids),
        "sharpness": fmean(m.sharpness for m in side.measured) if side.measured else None,
        "brightness": fmean(m.brightness for m in side.measured) if side.measured else None,
    }
