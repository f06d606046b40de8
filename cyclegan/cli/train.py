"""`cyclegan train` and `cyclegan configs`."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cyclegan.config import TrainConfig
    from cyclegan.loop import Outcome


@click.command()
@click.argument("config")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Dataset folder; overrides data.path.")
@click.option("--data-b", type=click.Path(path_type=Path), help="Second plain folder (domain B); --data is then A.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one setting, e.g. optimiser.batch_size=4."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="Same as --set compute.device=...")
@click.option("--resume", is_flag=True, help="Go on with RUN from its newest checkpoint.")
@click.option("--dry-run", is_flag=True, help="Print configuration, sizes, expected memory and time; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: sizes, memory and time for programs.")
def train(
    config: str,
    run: Path,
    data: Path | None,
    data_b: Path | None,
    changes: tuple[str, ...],
    device: str | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the translator that CONFIG describes into the folder RUN.

    CONFIG is a TOML file or the name of a ready one (see `cyclegan configs`). To go on with a run, type what started
    it and add --resume, or name RUN/config.toml as CONFIG.
    """
    from cgeval.errors import ConfigError
    from cyclegan.session import Request, train_run

    if as_json and not dry_run:
        raise ConfigError("--json is how --dry-run answers: add --dry-run, or leave --json away.")
    leads = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts, one speaks
    places = {"data.path": data, "data.path_b": data_b}
    given = {key: str(path.resolve()) for key, path in places.items() if path is not None}
    settings = _settings(config, changes, given | ({"compute.device": device} if device else {}), run, resume)
    if dry_run:
        if leads:
            _say_what_it_costs(settings, run if resume else None, as_json)
        return
    outcome = train_run(Request(settings, run, resume))
    if leads:
        _say_how_it_ended(outcome, run)
    if not outcome.finished:
        raise SystemExit(130)


def _say_what_it_costs(settings: "TrainConfig", resumed: Path | None, for_programs: bool) -> None:
    from cyclegan.estimate import as_json, as_text, estimate_run

    estimate = estimate_run(settings, resumed)
    click.echo(as_json(estimate) if for_programs else as_text(estimate))


def _say_how_it_ended(outcome: "Outcome", run: Path) -> None:
    quoted = shlex.quote(str(run))
    if not outcome.finished:
        click.echo(f"\nStopped and saved at step {outcome.step} of {outcome.total_steps}. Go on with:", err=True)
        click.echo(f"  cyclegan train {shlex.quote(str(run / 'config.toml'))} {quoted} --resume", err=True)
        return
    steps = outcome.step - outcome.first_step
    took = f"{outcome.seconds / 60:.1f} min, {outcome.seconds_waited_for_data:.1f} s of it waiting for data"
    in_all = f" (with those before, {outcome.total_steps})" if outcome.first_step else ""
    done = (
        f"Trained {steps} steps{in_all} in {took}." if steps else f"All {outcome.total_steps} steps were done already."
    )
    what = "--split test" if "test" in outcome.splits else "--input IMAGES --direction ab"
    click.echo(f"\n{done}")
    click.echo(f"  look at    {run / 'samples' / 'latest.png'} and {run / 'losses.png'}")
    click.echo(f"  translate  cyclegan translate {quoted} {what}")


def _settings(config: str, changes: tuple[str, ...], given: dict[str, str], run: Path, resume: bool) -> "TrainConfig":
    """CONFIG with what the command line changes; a run that is gone on with knows where its data is."""
    from cyclegan.config import load_config
    from cyclegan.session import refuse_other_settings

    settings, own = load_config(config, changes, given), run / "config.toml"
    if not resume or not own.is_file():
        return settings
    before = load_config(str(own))
    if not settings.data.path:
        places = {"data.path": before.data.path, "data.path_b": before.data.path_b}
        settings = load_config(config, changes, places | given)
    refuse_other_settings(before, settings, run)
    return settings


@click.command()
@click.argument("name", required=False)
def configs(name: str | None) -> None:
    """List the ready configurations, or print the one called NAME."""
    from cgeval.errors import ConfigError
    from cyclegan.config import ready_configs

    ready = ready_configs()
    if name is None:
        for key, text in ready.items():
            click.echo(f"{key:20} {text.splitlines()[0].removeprefix('# ')}")
        return
    if name not in ready:
        raise ConfigError(f"no ready configuration {name!r}; there are {', '.join(ready)}.")
    click.echo(ready[name], nl=False)
