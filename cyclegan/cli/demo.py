"""`cyclegan demo`."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", default="demo", type=click.Path(path_type=Path))
def demo(folder: Path) -> None:
    """Draw street scenes, train a small CycleGAN on them, score it and compare it: minutes, no download."""
    from cyclegan.demo import last_words, run_demo

    if not run_demo(folder, lambda text: click.echo(f"\n{text}", err=True)):
        click.echo(f"\nStopped and saved. Go on with: cyclegan demo {folder}", err=True)
        raise SystemExit(130)
    click.echo(last_words(folder))
