"""`cyclegan reconstruct`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cyclegan.reconstruct import Reconstruction


@click.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Split whose sealed image sets are translated back.")
@click.option("--checkpoint", help="newest, best, or a step number; default: the one that made the images.")
@click.option("--data", type=click.Path(path_type=Path), help="Where the dataset is now, if it has moved.")
@click.option("--batch-size", default=8, show_default=True, type=click.IntRange(1))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
def reconstruct(
    run_path: Path, split: str, checkpoint: str | None, data: Path | None, batch_size: int, device: str
) -> None:
    """Translate RUN's sealed images back with the other generator, and measure how far from the inputs they end.

    One record for each direction: mean |back - input|, levels in [0, 1], from the sealed 8-bit images.
    """
    from cgeval.metrics import interval_name
    from cgeval.runs import Run
    from cgeval.tables import print_table
    from cyclegan.config import Compute
    from cyclegan.devices import choose_device
    from cyclegan.reconstruct import PROTOCOL, plan_back, write_results
    from cyclegan.reconstruct import reconstruct as measure

    run = Run.open(run_path)
    chosen = choose_device(Compute.model_validate({"device": device}))
    found = [measure(way, batch_size) for way in plan_back(run, split, checkpoint=checkpoint, data=data, device=chosen)]
    write_results(run, found)
    print_table(("image set", "direction", "n", "mean |back - input|"), [_row(each) for each in found], numbers=(2,))
    click.echo("  levels in [0, 1], from the sealed 8-bit images; the lower, the better")
    click.echo(f"  intervals: {interval_name()}")
    click.echo(f"  records in {run_path / 'records' / PROTOCOL}.jsonl")


def _row(found: "Reconstruction") -> tuple[str, ...]:
    ends = f" [{found.interval.low:.4f}, {found.interval.high:.4f}]" if found.interval else ""
    return (found.way.image_set.name, found.way.words, str(len(found.per_image)), f"{found.value:.4f}{ends}")
