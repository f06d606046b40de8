"""`cgeval gatys`."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cgeval.gatys.making.preparing import Request

DIRECTIONS: Mapping[str, tuple[str, ...]] = {"ab": ("AtoB",), "ba": ("BtoA",), "both": ("AtoB", "BtoA")}


@click.command()
@click.argument("content", type=click.Path(path_type=Path))
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--style",
    "styles",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="An image, or a style that was saved (.safetensors); several times: one set each.",
)
@click.option(
    "--collection",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A folder whose average Gram matrix is the style; several folders or images: one average.",
)
@click.option(
    "--styles", "singles", metavar="N", type=click.IntRange(0), help="Images of the collection as styles too."
)
@click.option("--split", help="Of a dataset; default: test.")
@click.option(
    "--direction",
    type=click.Choice(["ab", "ba", "both"]),
    help="Of a dataset; default: labels to photos where it has labels, else ab.",
)
@click.option("--size", "size_px", metavar="N", type=click.IntRange(16, 8192), help="Default: the dataset's, else 256.")
@click.option("--preset", help="notebook (default), paper or neural-style: whose weights, Gram and start.")
@click.option("--config", type=click.Path(path_type=Path), help="A TOML file of settings.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Another setting; --show-settings lists them."
)
@click.option("--weights", metavar="WEIGHTS", help="torchvision (default), random, or a file of them.")
@click.option("--batch-size", type=click.IntRange(1), help="Content images at once; default: 1 on a CPU, else 16.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:N.")
@click.option("--save-style", metavar="FILE", type=click.Path(path_type=Path), help="Keep the average there too.")
@click.option("--overwrite", is_flag=True, help="Replace what was made with other settings or images.")
@click.option("--show-settings", is_flag=True, help="Print all settings and end.")
@click.option("--dry-run", is_flag=True, help="Say what will be made and how long it takes here; make nothing.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def gatys(
    content: Path,
    run_path: Path,
    styles: tuple[Path, ...],
    collection: tuple[Path, ...],
    singles: int | None,
    split: str | None,
    direction: str | None,
    size_px: int | None,
    preset: str | None,
    config: Path | None,
    changes: tuple[str, ...],
    weights: str | None,
    batch_size: int | None,
    device: str,
    save_style: Path | None,
    overwrite: bool,
    show_settings: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Stylise CONTENT by Gatys et al. (CVPR 2016) into RUN: one image set for each style.

    CONTENT: an image, a folder of them, or a dataset. A dataset has its own styles: the training images of the other
    domain by their average Gram matrix, as in the CycleGAN paper, and two of them alone. The same command goes on
    after Ctrl-C or a kill, and makes only what is missing.
    """
    from cgeval.gatys.settings import load_settings

    settings = load_settings(preset, config, changes, {} if weights is None else {"weights": weights})
    if show_settings:
        from cgeval.gatys.making.telling import settings_lines

        click.echo("\n".join(settings_lines(settings)))
        return
    from cgeval.gatys.making.preparing import Request
    from cgeval.gatys.making.wanted import Named

    named = Named(styles, collection, singles)
    ways = None if direction is None else DIRECTIONS[direction]
    request = Request(
        content, run_path, named, settings, split, ways, size_px, batch_size, device, overwrite, save_style
    )
    _plan(request, as_json) if dry_run else _make(request, as_json)


def _plan(request: "Request", as_json: bool) -> None:
    from cgeval.gatys.making.estimate import estimate
    from cgeval.gatys.making.telling import plan_json, plan_lines

    plan = estimate(request)
    if as_json:
        click.echo(json.dumps(plan_json(plan), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(plan_lines(plan, request.content, request.run_path)))


def _make(request: "Request", as_json: bool) -> None:
    from cgeval.gatys.making.session import make
    from cgeval.gatys.making.telling import made_json, made_lines, stopped_lines

    made = make(request, _say)
    if made.was_stopped:
        _say("\n".join(stopped_lines(made, shlex.join(["cgeval", *sys.argv[1:]]))))
        raise SystemExit(130)
    if as_json:
        click.echo(json.dumps(made_json(made), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(made_lines(made)))


def _say(words: str) -> None:
    """On standard error, as the progress is."""
    click.echo(words, err=True)
