"""`cyclegan translate`."""

from pathlib import Path

import click


@click.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Split of the run's dataset.")
@click.option("--input", "folder", type=click.Path(path_type=Path), help="A folder of images instead of a split.")
@click.option("--direction", type=click.Choice(["ab", "ba", "both"]), help="Default: all that the run can do.")
@click.option("--checkpoint", default="newest", show_default=True, help="newest, best, or a step number.")
@click.option("--data", type=click.Path(path_type=Path), help="Where the dataset is now, if it has moved.")
@click.option("--batch-size", default=8, show_default=True, type=click.IntRange(1))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto")
@click.option("--overwrite", is_flag=True, help="Replace an image set of the same name.")
@click.option(
    "--reference-layout", type=click.Path(path_type=Path), help="Also write the reference's results folder here."
)
def translate(
    run_path: Path,
    split: str,
    folder: Path | None,
    direction: str | None,
    checkpoint: str,
    data: Path | None,
    batch_size: int,
    device: str,
    overwrite: bool,
    reference_layout: Path | None,
) -> None:
    """Translate every image of a split, or of a folder, into a sealed image set of RUN."""
    from cgeval.runs import Run
    from cyclegan.config import Compute
    from cyclegan.devices import choose_device
    from cyclegan.translate import load_generators, plan, translate_into_run

    run = Run.open(run_path)
    generators = load_generators(run_path, checkpoint, choose_device(Compute.model_validate({"device": device})))
    for work in plan(run, generators, split=split, folder=folder, direction=direction, data=data):
        count = translate_into_run(
            run, generators, work, batch_size=batch_size, overwrite=overwrite, export=reference_layout
        )
        click.echo(f"{count} images in {run_path / 'images' / work.set_name}")
    click.echo(f"  what is in the run: cgeval show {run_path}")
