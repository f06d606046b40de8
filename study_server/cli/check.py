"""`study-server check`: what would give the answer away."""

from collections.abc import Sequence
from shutil import get_terminal_size

import click
from tqdm import tqdm

from study_server.checking import verdict
from study_server.checking.seen import ImagesSeen, look_at
from study_server.checking.sides import Side, find_sides
from study_server.checking.tells import find_tells

WIDEST = 100  # characters of a line of text


@click.command()
@click.option("--real", "real_at", required=True, metavar="WHERE", help="The real images.")
@click.option("--fake", "fakes", required=True, multiple=True, metavar="NAME=WHERE", help="An algorithm's; repeat it.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1), help="Images measured per side.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Draws the sample.")
def check(real_at: str, fakes: tuple[str, ...], as_json: bool, sample: int, seed: int) -> None:
    """Say what would give the answer away in a real-vs-fake study.

    WHERE is a folder of images, a run, or RUN:IMAGE_SET. Every image is read; sharpness, brightness, levels and the
    traces of JPEG are measured on a sample.

    A finding "gives the answer away" if a participant who looked at nothing else would be right in 75% of pairs, and
    "may help" from 55%; guessing gets 50%. What "spoils the study" leaves trials without a right
    answer, or too few of them.

    Exit code 0: nothing gives the answer away; 1: something does, or spoils the study; 2: a mistake in the call.
    """
    real, *others = _look_at_all(find_sides(real_at, fakes), sample, seed)
    results = [(fake, find_tells(real, fake)) for fake in others]
    width = min(get_terminal_size().columns, WIDEST)
    click.echo(verdict.as_json(real, results) if as_json else verdict.as_text(real, results, width))
    click.get_current_context().exit(int(verdict.fails(results)))


def _look_at_all(sides: Sequence[Side], sample: int, seed: int) -> list[ImagesSeen]:
    files = sum(len(side.files) for side in sides)
    with tqdm(total=files, unit="img", desc="looking", disable=None, leave=False) as bar:
        return [look_at(side, sample, seed, bar.update) for side in sides]
