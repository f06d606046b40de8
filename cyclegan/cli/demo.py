"""`cyclegan demo`."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", default="demo", type=click.Path(path_type=Path))
def demo(folder: Path) -> None:
    """Draw street scenes, train a small CycleGAN and a scorer on them, translate and score: minutes, no download."""
    from cyclegan.demo import last_words, run_demo, score_demo

    if not run_demo(folder, lambda text: click.echo(f"\n{text}", err=True)):
        click.echo(f"\nStopped and saved. Go on with: cyclegan demo {folder}", err=True)
        raise SystemExit(130)
    click.echo(score_demo(folder))
    click.echo(last_words(folder))
