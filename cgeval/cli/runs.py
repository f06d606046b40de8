"""`cgeval runs | show | verify`."""

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from cgeval.errors import CgevalError, RunError
from cgeval.records import Current, current, read_records
from cgeval.runs import ImageSet, Run, find_runs
from cgeval.tables import print_table, table_lines

COLUMNS = 100
NO_BREAK = "\u00a0"


@click.command()
@click.argument("folder", default="runs", type=click.Path(path_type=Path))
def runs(folder: Path) -> None:
    """List the runs below FOLDER (default: runs); those that cannot be read are named after the others."""
    found, broken = find_runs(folder)
    rows = [
        (str(r.path), r.info.method, str(r.info.dataset.get("name", "?")), _sets(r), r.info.created_at) for r in found
    ]
    if rows:
        print_table(("run", "method", "dataset", "image sets", "created"), rows)
    elif not broken:
        click.echo(f"No runs below {folder}; `cyclegan train` makes one.")
    _report(broken)


@click.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def show(run_path: Path, as_json: bool) -> None:
    """Show what RUN holds: who made it, its image sets, its records."""
    opened = Run.open(run_path)
    sets, records = opened.image_sets(), current(read_records(run_path))
    if as_json:
        content = {"run": asdict(opened.info), "image_sets": [_plain(s) for s in sets]}
        click.echo(json.dumps(content | {"records": [asdict(c) for c in records]}, indent=2, ensure_ascii=False))
        return
    info = opened.info
    maker = f"{info.producer.get('name', '?')} {info.producer.get('version', '')}".rstrip()
    click.echo(f"{info.run_id}: {info.method}, made by {maker}, {info.created_at}")
    click.echo(f"dataset {info.dataset.get('name', '?')} at {info.dataset.get('path', '?')}\n")
    set_rows = [(s.name, s.direction, s.split, str(s.count), s.checkpoint or "-", s.index_sha256[:12]) for s in sets]
    print_table(("image set", "direction", "split", "images", "checkpoint", "seal"), set_rows)
    for block in _blocks(records):
        click.echo()
        _tell(block)


@click.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
def verify(run_path: Path) -> None:
    """Check every image of RUN against the digests that were sealed; ends with 1 if one differs."""
    sets = Run.open(run_path).image_sets()
    images, damaged = sum(s.count for s in sets), []
    with tqdm(total=images, unit="img", desc="verifying", disable=not sets) as bar:
        for image_set in sets:
            try:
                image_set.verify(lambda _row: bar.update(1))
            except RunError as error:
                damaged.append(error)
    _report(damaged)
    well = f"{len(sets)} image sets, {images} images: every one is as it was sealed."
    click.echo(well if sets else f"{run_path} holds no sealed image set yet.")


def _report(findings: Sequence[CgevalError]) -> None:
    """Name each on its own line and end with 1, if there are any."""
    for finding in findings:
        click.echo(f"Error: {finding}", err=True)
    if findings:
        click.get_current_context().exit(1)


def _sets(found: Run) -> str:
    return ", ".join(f"{s.name} ({s.count})" for s in found.image_sets()) or "-"


def _plain(image_set: ImageSet) -> dict[str, Any]:
    return asdict(image_set) | {"path": str(image_set.path)}


def _blocks(records: Iterable[Current]) -> list[list[Current]]:
    """The records by protocol, image set and convention, in the order in which these first came."""
    blocks: dict[tuple[str, str, str], list[Current]] = {}
    for entry in records:
        protocol, _, image_set, convention = entry.record.key
        blocks.setdefault((protocol, image_set, convention), []).append(entry)
    return list(blocks.values())


def _tell(block: Sequence[Current]) -> None:
    """Print what the records share above a table of the metrics; what they do not share is a column of it."""
    first = block[0].record
    facts = {
        "n": [str(entry.record.n) for entry in block],
        "measured": [entry.record.created_at for entry in block],
        "superseded": [str(entry.superseded) for entry in block],
    }
    shared = [f", {name} {values[0]}" for name, values in facts.items() if len(set(values)) == 1]
    own = {name: values for name, values in facts.items() if len(set(values)) > 1}
    click.echo(f"{first.protocol} of {first.image_set}{''.join(shared)}")
    indent = "  "
    for line in _wrapped([f"{key} {_short(value)}" for key, value in first.convention.items()], COLUMNS - len(indent)):
        click.echo(indent + line)
    records = [entry.record for entry in block]
    numbers = [(r.metric, f"{r.value:.4f}", _interval(r.low, r.high)) for r in records]
    rows = [(*row, *rest) for row, *rest in zip(numbers, *own.values(), strict=True)]
    for line in table_lines(("metric", "value", "interval", *own), rows, numbers=(1,)):
        click.echo(indent + line)


def _wrapped(choices: Sequence[str], columns: int) -> list[str]:
    """The choices in lines of at most so many columns; one that fits in a line is not broken."""
    whole = [choice.replace(" ", NO_BREAK) if len(choice) < columns else choice for choice in choices]
    lines = textwrap.wrap(", ".join(whole), columns, break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines]


def _short(value: Any) -> str:
    """A digest by its first letters, anything else as it is."""
    text = str(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"[{low:.4f}, {high:.4f}]"
