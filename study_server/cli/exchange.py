"""`study-server import-amt`."""

from pathlib import Path

import click

from cgeval.errors import ConfigError


@click.command(name="import-amt")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the study.")
@click.option(
    "--practice", default=0, show_default=True, type=click.IntRange(0), help="So many first trials are practice."
)
@click.option("--algorithm-from-folder", is_flag=True, help="gt_side says which image is real (the default).")
@click.option("--real", metavar="FOLDERNAME", help="Real images are those of this folder.")
@click.option("--catch", metavar="FOLDERNAME", help="Images of this folder are catch trials; vigilance, if left out.")
@click.option("--zero-based", is_flag=True, help="Trials are numbered from 0; else as the columns say.")
@click.option("--one-based", is_flag=True, help="Trials are numbered from 1.")
@click.option(
    "--asked",
    type=click.Choice(["fake", "real"]),
    default="fake",
    show_default=True,
    help="Which image was to be selected.",
)
def import_amt(
    files: tuple[Path, ...],
    out: Path,
    practice: int,
    algorithm_from_folder: bool,
    real: str | None,
    catch: str | None,
    zero_based: bool,
    one_based: bool,
    asked: str,
) -> None:
    """Make a study of results of the AMT tool (phillipi/AMT_Real_vs_Fake), for `study-server report`.

    FILE is what MTurk gives for download. An algorithm is the folder of its images. A worker is one participant,
    however often; no worker's id is kept.
    """
    from cgeval.tables import print_table
    from study_server.exchange.amt_import import Reading
    from study_server.exchange.amt_import import import_amt as import_files

    if algorithm_from_folder and real is not None:
        raise ConfigError("--algorithm-from-folder and --real contradict each other: name one of them.")
    if zero_based and one_based:
        raise ConfigError("--zero-based and --one-based contradict each other: name one of them, or none.")
    base = 0 if zero_based else 1 if one_based else None
    found = import_files(files, out, Reading(base, practice, real, catch, asked))
    rows = [
        (name, str(found.participants[name]), f"{count:,}", f"{found.missing[name]:,}")
        for name, count in found.trials.items()
    ]
    print_table(("algorithm", "participants", "scored trials", "missing answers"), rows, numbers=(1, 2, 3))
    click.echo(
        f"\n{found.sessions} sessions by {found.workers} workers, of whom {found.came_again} came more than once. "
        f"Trials: {sum(found.trials.values()):,} scored ({sum(found.missing.values()):,} without an answer), "
        f"{found.practice:,} practice, {found.catch:,} catch."
    )
    if found.twice:
        click.echo(f"{found.twice} assignments stood in the files twice and are counted once.")
    if not practice:
        click.echo("No trial was taken for practice; the tool's first 10 are, unless it was changed: --practice 10.")
    click.echo(f"`study-server report {out}` evaluates it.")
