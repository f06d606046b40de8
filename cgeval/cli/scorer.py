"""`cgeval scorer train | import-caffe | fetch | list | show | check`."""

import json
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cgeval.errors import ConfigError
from cgeval.tables import print_table

if TYPE_CHECKING:
    from cgeval.protocols.self_check import SelfCheck
    from cgeval.scorers.recipe import Recipe
    from cgeval.scorers.store import ScorerFile, ScorerInfo


@click.group()
def scorer() -> None:
    """Make, get, list and check scorers: the segmentation networks that judge labels -> photo."""


@scorer.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on with what was begun in OUT, by its settings.")
@click.option("--architecture", help="Of segmentation_models_pytorch: segformer (default), unet, fpn, ...")
@click.option("--encoder", help="Of segmentation_models_pytorch, by name; default: tu-resnet10t.")
@click.option("--encoder-weights", help="none (default), imagenet (needs a network), or a file of them.")
@click.option("--size", "size_px", help="WIDTHxHEIGHT of the photos; default: their own, up to 512x256 pixels' worth.")
@click.option("--minutes", type=click.FloatRange(0), help="How long to train, about; overrules --epochs.")
@click.option("--epochs", type=click.IntRange(1), help="How often each photo is seen.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Another setting; --show-settings lists them."
)
@click.option("--label-set", help="Default: the dataset's.")
@click.option("--show-settings", is_flag=True, help="Print all settings and end.")
def train(
    dataset: Path,
    out: Path,
    resume: bool,
    architecture: str | None,
    encoder: str | None,
    encoder_weights: str | None,
    size_px: str | None,
    minutes: float | None,
    epochs: int | None,
    changes: tuple[str, ...],
    label_set: str | None,
    show_settings: bool,
) -> None:
    """Train a scorer OUT on DATASET's real photos: its own, or Cityscapes or CamVid as they come.

    Validates on the val split or a held-out tenth of train, keeps the best, and never looks at test.
    """
    named = {"architecture": architecture, "encoder": encoder, "encoder_weights": encoder_weights}
    given = named | {"size_px": _size(size_px), "minutes": minutes, "epochs": epochs}
    settings = {key: value for key, value in given.items() if value is not None}
    recipe = _recipe(settings | dict(_change(change) for change in changes), out if resume else None)
    if show_settings:
        click.echo("\n".join(f"{key} = {value}" for key, value in recipe.to_dict().items()))
        return
    from cgeval.labelled import open_labelled
    from cgeval.scorers.training import train_scorer

    made = train_scorer(open_labelled(dataset, label_set), out, recipe, resume=resume, say=click.echo)
    if made is None:
        raise SystemExit(130)
    _show_made(made)


@scorer.command("import-caffe")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--sha256", help="What the file's digest must be.")
def import_caffe(file: Path, out: Path, sha256: str | None) -> None:
    """Make a scorer OUT of the paper's FCN-8s weights, a .caffemodel FILE; needs neither Caffe nor protobuf."""
    from cgeval.scorers.caffe import import_caffe as work

    _show_made(work(file, out, sha256=sha256))
    click.echo(f"check it first, if you have Cityscapes: cgeval scorer check {out} CITYSCAPES")


@scorer.command()
@click.argument("name")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--label-set", "label_set_name", default="cityscapes", show_default=True)
@click.option("--file", "copy", type=click.Path(path_type=Path), help="Its weights, fetched on another machine.")
def fetch(name: str, out: Path, label_set_name: str, copy: Path | None) -> None:
    """Make a scorer OUT of a network trained elsewhere: NAME as `cgeval scorer list --remote` tells."""
    from cgeval.labels import label_set
    from cgeval.scorers.scorer import fetch_scorer

    _show_made(fetch_scorer(name, out, label_set(label_set_name), copy))


@scorer.command("list")
@click.argument("folder", default="scorers", type=click.Path(path_type=Path))
@click.option("--remote", is_flag=True, help="Names that can be fetched, instead.")
def list_scorers(folder: Path, remote: bool) -> None:
    """List the scorers below FOLDER (default: scorers); those that cannot be read are named after the others."""
    if remote:
        from cgeval.networks.weights import pretrained_names

        click.echo("\n".join(pretrained_names()))
        return
    from cgeval.scorers.store import find_scorers

    found, broken = find_scorers(folder)
    rows = [_row(file) for file in found]
    print_table(("scorer", "kind", "label set", "classes", "size", "protocol", "own class IoU"), rows, numbers=(3,))
    for error in broken:
        click.echo(f"Error: {error}", err=True)
    if broken:
        click.get_current_context().exit(1)


@scorer.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def show(name: str, as_json: bool) -> None:
    """Show what is known of a scorer: its network, its classes, what it learned from, how well it does."""
    from dataclasses import asdict

    from cgeval.scorers.store import open_scorer

    file = open_scorer(name)
    if as_json:
        content = {"path": str(file.path), "sha256": file.sha256} | asdict(file.info)
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    for key, value in _told(file).items():
        click.echo(f"{key:12}{value}")


@scorer.command()
@click.argument("name")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--split", help="Default: the one on which something is known of the scorer.")
@click.option(
    "--size", "size_px", type=click.IntRange(16), help="Squash photos to this first; the paper's weights: 256."
)
@click.option("--label-set", help="Default: the dataset's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:N.")
@click.option("--batch-size", default=4, show_default=True, type=click.IntRange(1))
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="That share the images.")
def check(
    name: str,
    dataset: Path,
    split: str | None,
    size_px: int | None,
    label_set: str | None,
    device: str,
    batch_size: int,
    processes: int,
) -> None:
    """Give a scorer the real photos of DATASET, and hold its numbers against those that are known; ends with 1 if off.

    The paper's weights reach 0.80 / 0.26 / 0.21 on Cityscapes' validation photos at 256 px.
    """
    from cgeval.labelled import open_labelled
    from cgeval.protocols.self_check import self_check
    from cgeval.protocols.sharding import Machine
    from cgeval.scorers.store import open_scorer

    file, labelled = open_scorer(name), open_labelled(dataset, label_set)
    size = (size_px, size_px) if size_px else None
    found = self_check(file, labelled, split, size, Machine(device, batch_size, processes))
    click.echo("\n".join(_check_lines(found)))
    if not found.passed:
        click.get_current_context().exit(1)


def _recipe(settings: dict[str, Any], begun: Path | None) -> "Recipe":
    """The recipe of what was typed, and for the rest what was begun in that folder, or the defaults."""
    from cgeval.scorers.recipe import recipe_of
    from cgeval.scorers.store import FILE
    from cgeval.scorers.training_state import recipe_over_begun

    if begun is None or (begun / FILE).exists():
        return recipe_of(settings)
    return recipe_over_begun(begun, settings)


def _size(text: str | None) -> list[int] | None:
    """[width, height] of "480x360"; raises ConfigError for another text."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() for side in sides):
        raise ConfigError(f"--size is {text!r}, and WIDTHxHEIGHT in pixels is expected, such as 480x360.")
    return [int(side) for side in sides]


def _change(text: str) -> tuple[str, Any]:
    """Key and value of "key=value", the value as TOML has it, or as it stands; raises ConfigError without a key."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r} is no setting: KEY=VALUE is expected, such as --set batch_size=4.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _check_lines(found: "SelfCheck") -> list[str]:
    from cgeval.metrics import METRICS, WORDS
    from cgeval.protocols.telling import with_interval
    from cgeval.tables import table_lines

    line = found.line
    rows = [
        (WORDS[m], with_interval(line.value(m), line.intervals[m]), _expected(found.expected.get(m))) for m in METRICS
    ]
    lines = table_lines(("", f"n = {len(line.measured.ids)}", "expected"), rows)
    return [*lines, *textwrap.wrap(_verdict(found), 100)]


def _verdict(found: "SelfCheck") -> str:
    if not found.expected:
        return (
            "Nothing is known of this scorer on these photos (it was validated on others, or at another size): there "
            "is nothing to hold the numbers against."
        )
    if found.passed:
        return f"As expected ({found.source}): scores by this scorer can be believed."
    return (
        f"Not as expected ({found.source}): other weights, another truth (resized, or not labelIds), or another way of "
        "resizing the photos; do not believe scores by this scorer yet."
    )


def _expected(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".rstrip("0")


def _show_made(file: "ScorerFile") -> None:
    info = file.info
    click.echo(f"{file.path.parent}: {info.kind}, {info.parameters:,} parameters, sha256 {file.sha256}")
    click.echo(f"use it: cgeval fcn-score RUN --scorer {file.path.parent}")


def _row(file: "ScorerFile") -> tuple[str, ...]:
    info = file.info
    width, height = info.size_px
    network = " ".join(str(info.arguments[key]) for key in ("architecture", "encoder", "name") if key in info.arguments)
    kind = f"{info.kind} {network}".strip()
    classes = str(len(info.labels.classes))
    return (str(file.path.parent), kind, info.labels.name, classes, f"{width}x{height}", info.protocol, _iou(info))


def _iou(info: "ScorerInfo") -> str:
    found = info.validation.get("class_iou")
    return f"{found['value']:.3f} (n = {info.validation.get('n', '?')})" if found else "-"


def _told(file: "ScorerFile") -> dict[str, Any]:
    info = file.info
    row = dict(zip(("name", "network", "label set", "classes", "size", "protocol"), _row(file), strict=False))
    return row | {
        "classes": ", ".join(label.name for label in info.labels.classes),
        "parameters": f"{info.parameters:,}",
        "trained on": _trained_on(info.trained_on),
        "validation": _validation(info.validation),
        "source": _pairs(info.source),
        "made": f"{info.created_at} by {info.producer}",
        "sha256": file.sha256,
    }


def _trained_on(facts: Mapping[str, Any]) -> str:
    """ "camvid, split train, 367 photos, 2,153 steps, 26 min", as far as it is known."""
    words = {
        "name": "{}",
        "split": "split {}",
        "n": "{:,} photos",
        "steps": "{:,} steps",
        "minutes": "{:.2g} min" if facts.get("minutes", 0) < 1 else "{:.0f} min",
    }
    return ", ".join(form.format(facts[key]) for key, form in words.items() if facts.get(key) is not None) or "-"


def _validation(facts: Mapping[str, Any]) -> str:
    """ "class IoU 0.512 (0.500 to 0.530), ... on 101 photos of split val", as far as it is known."""
    from cgeval.metrics import WORDS

    def told(metric: str) -> str:
        found = facts[metric]
        ends = [found.get("low"), found.get("high")]
        interval = "" if None in ends else " ({:.3f} to {:.3f})".format(*ends)
        return f"{WORDS[metric]} {found['value']:.3f}{interval}"

    scores = ", ".join(told(metric) for metric in WORDS if metric in facts)
    if not scores:
        return "-"
    size = facts.get("photo_size_px")
    at = f" at {size[0]} x {size[1]} px" if size else ""
    return f"{scores}, on {facts.get('n', '?')} photos{at}, split {facts.get('split', '?')}"


def _pairs(facts: Any) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items()) or "-"
