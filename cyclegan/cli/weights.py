"""`cyclegan import-weights` and `cyclegan export`."""

from pathlib import Path

import click

DIRECTIONS = {"ab": "AtoB", "ba": "BtoA"}
OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}


@click.command("import-weights")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--direction", type=click.Choice(list(DIRECTIONS)), default="ab", show_default=True, help="What FILE translates."
)
@click.option("--other", type=click.Path(path_type=Path), help="The generator of the opposite direction.")
@click.option("--size", "size_px", type=click.IntRange(16), help="Pixels at which to translate; default: the paper's.")
@click.option("--data", type=click.Path(path_type=Path), help="A dataset that the run remembers.")
def import_weights(
    file: Path, run: Path, direction: str, other: Path | None, size_px: int | None, data: Path | None
) -> None:
    """Make RUN from the generator FILE of the PyTorch reference (latest_net_G_A.pth and the like).

    6 or 9 blocks, U-Net, width, norm and dropout are read off the file. In the reference's names G_A translates
    A to B (--direction ab) and G_B translates B to A (--direction ba).
    """
    from cyclegan.interop import import_weights as make_run

    first = DIRECTIONS[direction]
    files = {first: file} | ({OPPOSITE[first]: other} if other is not None else {})
    for way, generator in make_run(files, run, size_px=size_px, data=data).items():
        click.echo(f"{way}: {generator.file} ({generator.description})")
    what = "--split test" if data is not None else f"--input IMAGES --direction {direction}"
    click.echo(f"  translate  cyclegan translate {run} {what}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(["reference", "onnx"]), required=True, help="What to write.")
@click.option("--direction", type=click.Choice(["ab", "ba", "both"]), help="Default: all that the run can do.")
@click.option("--checkpoint", default="newest", show_default=True, help="newest, best, or a step number.")
@click.option("--overwrite", is_flag=True, help="Replace files of the same names.")
def export(run: Path, out: Path, kind: str, direction: str | None, checkpoint: str, overwrite: bool) -> None:
    """Write RUN's networks into the folder OUT.

    reference: latest_net_{G,D}_{A,B}.pth, which the PyTorch reference loads. onnx: gen_ab.onnx and gen_ba.onnx
    for any batch and size, checked against PyTorch.
    """
    from cgeval.runs import Run
    from cyclegan import state
    from cyclegan.interop import directions_there, reference_flags, write_reference_state

    path = state.find(Run.open(run).path / "checkpoints", checkpoint)
    content = state.load(path)
    config = state.saved_config(content, path)
    directions = directions_there(content, direction, run)
    if kind == "reference":
        for file in write_reference_state(content, config, out, directions, overwrite):
            click.echo(str(file))
        click.echo(f"  the reference needs: {reference_flags(config)}")
        return
    from cyclegan.onnx_export import export_onnx

    for file, difference in export_onnx(content, config, out, directions, overwrite).items():
        click.echo(f"{file} (checked: differs from PyTorch by {difference:.1e} at most)")
