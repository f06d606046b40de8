"""`cyclegan data check | prepare | streets | download`."""

import shlex
from pathlib import Path

import click


@click.group()
def data() -> None:
    """Look at, prepare, generate or fetch datasets."""


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data-b", type=click.Path(path_type=Path), help="Second plain folder (domain B); FOLDER is then A.")
@click.option("--skip-broken", is_flag=True, help="Leave broken files out and name them.")
def check(folder: Path, data_b: Path | None, skip_broken: bool) -> None:
    """Decode every picture, and say what the trainer sees: domains, counts, pairs, label maps, broken files."""
    from cgeval.datasets import broken_files, find_dataset, without
    from cgeval.errors import ImageError
    from cyclegan.data.cache import domain_load

    found = find_dataset(folder, data_b)
    broken = broken_files(found, progress=True)
    if broken and not skip_broken:
        for error in broken.values():
            click.echo(f"broken: {error}")
        raise ImageError(
            f"{folder} holds {len(broken)} broken file{'s' * (len(broken) > 1)}, named above: mend them, or leave them "
            "out with --skip-broken (training: --set data.skip_broken=true)."
        )
    dataset = without(found, broken)
    pairing = "paired" if dataset.paired else "unpaired"
    click.echo(f"{dataset.name}: {pairing}, A = {dataset.domains[0]}, B = {dataset.domains[1]}")
    for split in dataset.splits.values():
        click.echo(f"  {split.name:6}{len(split.a):6} of A {len(split.b):6} of B")
    for domain in ("A", "B"):
        filter = domain_load(dataset, domain, 1).filter
        click.echo(f"  {domain} is resized with {filter}{' (label maps)' if filter == 'nearest' else ''}")
    for path in dataset.skipped:
        click.echo(f"  skipped {path}")


@data.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--size", "size_px", default=128, show_default=True, type=click.IntRange(16, 4096), help="Pixels, square."
)
@click.option("--photos", help="Folder of photos below SOURCE, for any folder pair.")
@click.option("--labels", help="Folder of label maps below SOURCE, for any folder pair.")
@click.option(
    "--label-set",
    "label_set_name",
    help="cityscapes, cityscapes19, camvid11, or a TOML file; needed for a folder pair.",
)
@click.option(
    "--test-share", default=0.1, show_default=True, help="Share of a folder pair that becomes the test split."
)
@click.option("--skip-broken", is_flag=True, help="Leave broken pairs out and name them.")
def prepare(
    source: Path,
    out: Path,
    size_px: int,
    photos: str | None,
    labels: str | None,
    label_set_name: str | None,
    test_share: float,
    skip_broken: bool,
) -> None:
    """Make a paired labels <-> photos dataset OUT from Cityscapes, CamVid, or any folder pair in SOURCE."""
    from cgeval.errors import ConfigError
    from cgeval.labelled import detect
    from cyclegan.data import prepare as work

    if (photos is None) != (labels is None):
        raise ConfigError("--photos and --labels go together: name both folders, or neither.")
    if photos is not None and labels is not None:
        if label_set_name is None:
            raise ConfigError("a folder pair needs --label-set: cityscapes, cityscapes19, camvid11, or a TOML file.")
        found = work.find_folders(out.resolve().name, source / photos, source / labels, label_set_name, test_share)
    else:
        found = detect(source)
    done = work.prepare(found, out, size_px, skip_broken=skip_broken)
    for sentence in done.skipped:
        click.echo(sentence, err=True)
    for label, share in done.shares.items():
        click.echo(f"  {label.id:5}  {label.name:22}{share:7.1%} of the pixels")
    click.echo(f"{out} is ready: cyclegan data check {shlex.quote(str(out))}")


@data.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--train", default=200, show_default=True, type=click.IntRange(1))
@click.option("--test", default=50, show_default=True, type=click.IntRange(1))
@click.option("--size", "size_px", default=128, show_default=True, type=click.IntRange(32, 1024))
@click.option("--seed", default=0, show_default=True)
def streets(out: Path, train: int, test: int, size_px: int, seed: int) -> None:
    """Generate a street-scene dataset: label maps in the Cityscapes palette and matching photos."""
    from cyclegan.data.streets import write_streets

    write_streets(out, train=train, test=test, size_px=size_px, seed=seed)
    click.echo(f"{out} is ready: cyclegan train demo RUN --data {shlex.quote(str(out))}")


@data.command()
@click.argument("name", required=False)
@click.argument("out", required=False, type=click.Path(path_type=Path))
@click.option("--list", "list_names", is_flag=True, help="Print the names.")
@click.option("--mirror", help="The archive or its folder elsewhere: an http(s) or file address, or a path.")
@click.option("--sha256", help="Digest that the archive must have.")
def download(name: str | None, out: Path | None, list_names: bool, mirror: str | None, sha256: str | None) -> None:
    """Fetch an official CycleGAN or pix2pix dataset NAME into the folder OUT; an interrupted transfer goes on."""
    from cgeval.errors import ConfigError
    from cyclegan.data.archives import DATASETS
    from cyclegan.data.download import fetch_dataset

    if list_names:
        for key, entry in DATASETS.items():
            click.echo(f"{key:26} {entry.about}")
        return
    if name is None or out is None:
        raise ConfigError("name a dataset and a folder: cyclegan data download NAME OUT; --list shows the names.")
    for sentence in fetch_dataset(name, out, mirror=mirror, sha256=sha256):
        click.echo(sentence, err=True)
    click.echo(f"{out} is ready: {DATASETS[name].next_step(out)}")
