"""`study-server prereg`."""

from dataclasses import replace
from pathlib import Path

import click

from cgeval.errors import ConfigError


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--database-url", envvar="STUDY_DATABASE_URL", help="PostgreSQL's address, if the study is there.")
@click.option(
    "--margin", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), help="Of equivalence to 50 %, such as 0.1."
)
@click.option(
    "--contrast", "contrasts", multiple=True, metavar="ONE:OTHER", help="Algorithms to compare; default: all pairs."
)
@click.option(
    "--level", type=click.FloatRange(0.5, 1, max_open=True), default=0.95, show_default=True, help="Of intervals."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of bootstraps and permutations.")
def prereg(
    study: Path, database_url: str | None, margin: float | None, contrasts: tuple[str, ...], level: float, seed: int
) -> None:
    """Freeze what will be measured, when it stops, who is excluded and how it is analysed.

    Before anybody has taken part. Writes STUDY/preregistration.md for a registry such as OSF, and .json for the report,
    which says in what the study deviated.
    """
    from study_server.analysis.analysis import Choices
    from study_server.judged import read_judged
    from study_server.registration import freeze

    pairs = tuple(_pair(each) for each in contrasts) or None
    choices = Choices(margin=margin, pairs=pairs, level=level, seed=seed)
    path, digest = freeze(study, replace(choices, rules=read_judged(study, database_url).rules), database_url)
    click.echo(path.read_text(encoding="utf-8"))
    click.echo(f"{path}\nsha256  {digest}\n\nNext: upload it to a registry, then `study-server serve {study}`.")


def _pair(text: str) -> tuple[str, str]:
    one, colon, other = text.partition(":")
    if not (one and colon and other) or one == other:
        raise ConfigError(f"--contrast {text}: ONE:OTHER is expected, the names of two algorithms.")
    return one, other
