"""`study-server plan`."""

import json
from math import comb, isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from cgeval.errors import ConfigError, OutputError
from cgeval.files import write_atomic

if TYPE_CHECKING:
    from study_server.cli.planned import Plan


@click.command()
@click.argument("study", required=False, type=click.Path(path_type=Path))
@click.option("--rate", required=True, type=float, help="The fooling rate that you expect, such as 0.27.")
@click.option("--half-width", type=float, help="Wanted: the rate to within so much to each side, such as 0.05.")
@click.option("--difference", type=float, help="Wanted: to tell a rate that is so much larger (or, below 0, smaller).")
@click.option("--participants", type=int, help="Given: so many of each algorithm; what do they tell?")
@click.option("--power", default=0.8, show_default=True, type=float, help="How surely the difference is to be found.")
@click.option("--icc", type=float, help="How alike one person's answers are; 0.15 is usual.  [default: 0.15]")
@click.option("--trials", type=int, help="Scored trials of each participant.  [default: 40, or STUDY's]")
@click.option("--algorithms", type=int, help="With participants of their own.  [default: STUDY's, or 1 or 2]")
@click.option("--pairs", type=int, help="Of algorithms that are compared.  [default: all]")
@click.option("--level", default=0.95, show_default=True, type=float, help="Of intervals; tests are at 1 minus it.")
@click.option("--excluded", default=0.0, type=float, help="Share of those who finish that rules will exclude.")
@click.option("--drop-out", default=0.0, type=float, help="Share of those who start that will not finish.")
@click.option("--price", type=float, help="Of each participant who finishes, fees included.")
@click.option("--check", is_flag=True, help="Try the plan on simulated studies; exit code 1 where it fails.")
@click.option("--studies", default=2000, show_default=True, type=click.IntRange(100, 1_000_000), help="Simulated.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the simulated studies.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Also draw the curve: FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def plan(
    study: Path | None,
    rate: float,
    half_width: float | None,
    difference: float | None,
    participants: int | None,
    power: float,
    icc: float | None,
    trials: int | None,
    algorithms: int | None,
    pairs: int | None,
    level: float,
    excluded: float,
    drop_out: float,
    price: float | None,
    check: bool,
    studies: int,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Say how many participants a study needs, before anybody is asked.

    For a wanted half-width, for a wanted difference between two algorithms, or the other way round. Of STUDY, where it
    is named, trials, algorithms and number of participants are taken; its answers are not looked at. Rates, shares
    and differences are fractions: 0.05 is 5 points.
    """
    from study_server.analysis.clusters import USUAL_ICC
    from study_server.analysis.planning import Design
    from study_server.cli.planned import Goal, Recruiting, as_text, simulations, try_out
    from study_server.cli.planned import as_json as as_table
    from study_server.cli.planned import plan as make_plan

    if plot is not None and plot.suffix.lower() != ".svg":
        raise ConfigError(f"--plot is {plot}: the curve is drawn as SVG, name a file that ends in .svg.")
    if plot is not None and not plot.parent.is_dir():
        raise ConfigError(f"--plot is {plot}, and the folder {plot.parent} is not there: make it first.")
    if study is not None:
        there = _settings(study)
        trials = there[0] if trials is None else trials
        algorithms = there[1] if algorithms is None else algorithms
        if half_width is None and difference is None and participants is None:
            participants = int(there[2] * (1 - excluded)) if 0 <= excluded < 1 else there[2]
    goal = Goal(rate, power, half_width, difference, participants)
    algorithms = (1 if half_width is not None else 2) if algorithms is None else algorithms
    usual = USUAL_ICC if icc is None else icc
    design = Design(40 if trials is None else trials, usual, level, _pairs(pairs, algorithms, difference))
    planned = make_plan(design, goal, Recruiting(algorithms, excluded, drop_out, _price(price)))
    if check:
        total = studies * simulations(planned)
        with tqdm(total=total, unit="study", desc="simulating", disable=None, leave=False) as bar:
            planned = try_out(planned, studies, seed, bar.update)
    if plot is not None:
        _draw(planned, plot)
    click.echo(json.dumps(as_table(planned), indent=2) if as_json else as_text(planned))
    click.get_current_context().exit(int(planned.fails))


def _settings(study: Path) -> tuple[int, int, int]:
    """Scored trials, algorithms, and participants of each, as the study was built; no answer is read."""
    from study_server.config import read_config
    from study_server.manifest import CONFIG, read_manifest

    manifest, config = read_manifest(study), read_config(study / CONFIG)
    return config.trials.scored, len(manifest.arms), config.participants.per_algorithm


def _pairs(pairs: int | None, algorithms: int, difference: float | None) -> int:
    if algorithms < 1:
        raise ConfigError(f"--algorithms is {algorithms}: 1 or more is expected.")
    if difference is not None and algorithms < 2:
        raise ConfigError("a difference is between two algorithms, and there is one: say --algorithms 2, or more.")
    most = comb(algorithms, 2)
    if pairs is not None and pairs > max(most, 1):
        raise ConfigError(f"--pairs is {pairs}, and {algorithms} algorithms have {most}: name no more than these.")
    return max(most, 1) if pairs is None else pairs


def _price(price: float | None) -> float | None:
    if price is not None and not (isfinite(price) and price >= 0):
        raise ConfigError(f"--price is {price:g}: what one participant costs is expected, such as 1.50.")
    return price


def _draw(planned: "Plan", plot: Path) -> None:
    from study_server.cli.plan_curve import curve_svg

    try:
        write_atomic(plot, curve_svg(planned).encode())
    except OSError as error:
        raise OutputError(f"{plot} cannot be written ({error.strerror}): name another place by --plot.") from None
