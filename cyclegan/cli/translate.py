"""`cyclegan translate`."""

import shlex
from pathlib import Path

import click


@click.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--split", help="Split of the run's dataset; default: test.")
@click.option("--input", "folder", type=click.Path(path_type=Path), help="A folder of images instead of a split.")
@click.option("--direction", type=click.Choice(["ab", "ba", "both"]), help="Default: all that the run can do.")
@click.option("--checkpoint", default="newest", show_default=True, help="newest, best, or a step number.")
@click.option("--data", type=click.Path(path_type=Path), help="Where the dataset is now, if it has moved.")
@click.option("--batch-size", default=8, show_default=True, type=click.IntRange(1))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an image set of the same name.")
@click.option(
    "--reference-layout",
    metavar="RESULTS",
    type=click.Path(path_type=Path),
    help="Also write RESULTS/<run>/<split>_latest/images/<id>_{real_A,fake_B,...}.png as the PyTorch reference does.",
)
def translate(
    run_path: Path,
    split: str | None,
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
    from cgeval.errors import ConfigError
    from cgeval.runs import Run
    from cyclegan.config import Compute
    from cyclegan.devices import choose_device
    from cyclegan.translate import load_generators, plan, refuse_sealed, translate_into_run

    if folder is not None and (split is not None or data is not None):
        raise ConfigError("--input names the images by itself: leave --split and --data away.")
    run = Run.open(run_path)
    generators = load_generators(run_path, checkpoint, choose_device(Compute.model_validate({"device": device})))
    work = plan(run, generators, split=split or "test", folder=folder, direction=direction, data=data)
    if not overwrite:
        refuse_sealed(run, work)
    for translation in work:
        count = translate_into_run(
            run, generators, translation, batch_size=batch_size, overwrite=overwrite, export=reference_layout
        )
        click.echo(f"{count} images in {run_path / 'images' / translation.set_name}")
    click.echo(f"  what is in the run: cgeval show {shlex.quote(str(run_path))}")
