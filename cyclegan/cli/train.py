"""`cyclegan train` and `cyclegan configs`."""

from pathlib import Path

import click


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
def train(
    config: str,
    run: Path,
    data: Path | None,
    data_b: Path | None,
    changes: tuple[str, ...],
    device: str | None,
    resume: bool,
    dry_run: bool,
) -> None:
    """Train the translator that CONFIG describes into the folder RUN.

    CONFIG is a TOML file or the name of a ready one (see `cyclegan configs`).
    """
    from cyclegan.config import load_config
    from cyclegan.session import Request, train_run

    given = [("data.path", data), ("data.path_b", data_b), ("compute.device", device)]
    settings = load_config(config, [*changes, *(f"{key}={value}" for key, value in given if value is not None)])
    if dry_run:
        from cyclegan.estimate import describe_run

        click.echo(describe_run(settings))
        return
    outcome = train_run(Request(settings, run, resume))
    if not outcome.finished:
        click.echo(f"\nStopped and saved at step {outcome.step} of {outcome.total_steps}. Go on with:", err=True)
        click.echo(f"  cyclegan train {run / 'config.toml'} {run} --resume", err=True)
        raise SystemExit(130)
    took = f"{outcome.seconds / 60:.1f} min, {outcome.seconds_waited_for_data:.1f} s of it waiting for data"
    click.echo(f"\nTrained {outcome.total_steps} steps in {took}.")
    click.echo(f"  look at    {run / 'samples' / 'latest.png'} and {run / 'losses.png'}")
    click.echo(f"  translate  cyclegan translate {run} --split test")


@click.command()
@click.argument("name", required=False)
def configs(name: str | None) -> None:
    """List the ready configurations, or print the one called NAME."""
    from cgeval.errors import ConfigError
    from cyclegan.config import ready_configs

    ready = ready_configs()
    if name is None:
        for key, text in ready.items():
            click.echo(f"{key:16} {text.splitlines()[0].removeprefix('# ')}")
        return
    if name not in ready:
        raise ConfigError(f"no ready configuration {name!r}; there are {', '.join(ready)}.")
    click.echo(ready[name], nl=False)
