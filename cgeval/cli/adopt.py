"""`cgeval adopt`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from cgeval.adopt import Adopted


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--method", help="As tables will call it; default: as FOLDER calls the experiment.")
@click.option("--direction", type=click.Choice(["ab", "ba"]), help="Of the dataset's A and B, where FOLDER is silent.")
@click.option("--dataset", type=click.Path(path_type=Path), help="Whose images were translated: results get their ids.")
@click.option("--split", help="Of the dataset; default: the results' own where the dataset has it, else test.")
@click.option(
    "--pair",
    "mode",
    type=click.Choice(["name", "index", "content"]),
    help="Pair by file name, by number, or by what the input images show; default: names that these bear out.",
)
@click.option("--index-from", type=click.IntRange(0), help="--pair index: the number of the first image, 0 or 1.")
@click.option(
    "--index-order",
    type=click.Choice(["natural", "lexicographic"]),
    help="--pair index: how the dataset's images were sorted; 2 before 10, or 10 before 2.",
)
@click.option("--real", type=click.Path(path_type=Path), help="Folder of the input images, named as the results are.")
@click.option("--partial", is_flag=True, help="Go on although images of the split are missing.")
@click.option("--name", "set_name", help="Of the image set; default: SPLIT_AtoB or SPLIT_BtoA.")
@click.option("--overwrite", is_flag=True, help="Replace image sets that were adopted from other files or pairs.")
def adopt(
    folder: Path,
    run_path: Path,
    method: str | None,
    direction: str | None,
    dataset: Path | None,
    split: str | None,
    mode: Literal["name", "index", "content"] | None,
    index_from: int | None,
    index_order: Literal["natural", "lexicographic"] | None,
    real: Path | None,
    partial: bool,
    set_name: str | None,
    overwrite: bool,
) -> None:
    """Make RUN of another program's results in FOLDER, so that they can be scored.

    FOLDER holds what the test programs of CycleGAN, pix2pix, CUT, pix2pixHD and SPADE write (PyTorch, TensorFlow or
    Lua), or plain translated images.
    """
    from cgeval.adopt import Claims, How
    from cgeval.adopt import adopt as adopt_results

    how = How(mode, index_from, index_order)
    claims = Claims(direction, split, how, real, partial, set_name)
    _tell(adopt_results(folder, run_path, method=method, dataset=dataset, claims=claims, overwrite=overwrite))


def _tell(adopted: "Adopted") -> None:
    found, run = adopted.found, adopted.run
    over = f"; {found.passed_over} other pictures were passed over" if found.passed_over else ""
    click.echo(f"{found.root}: {found.layout.about}{over}")
    for each in adopted.sets:
        seal = each.image_set
        before = ", adopted before and unchanged" if each.unchanged else ""
        click.echo(f"  {seal.name}: {seal.count} images from {each.word}{before}; paired by: {each.how}")
        for note in each.notes:
            click.echo(f"    note: {note}.")
    dataset = "" if run.info.dataset.get("path") else " --dataset DIR"
    click.echo(f"score it: cgeval fcn-score {shlex.quote(str(run.path))}{dataset}")
