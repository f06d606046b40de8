"""Commands for whoever runs a study: status, export, backup, purge-ids, password, links."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgeval.errors import ConfigError

if TYPE_CHECKING:
    from study_server.sessions.study import Study

at = click.argument("study", type=click.Path(path_type=Path))
url = click.option("--database-url", envvar="STUDY_DATABASE_URL", help="PostgreSQL's address, if the study is there.")


@contextmanager
def _opened(folder: Path, database_url: str | None) -> Iterator["Study"]:
    from study_server.sessions.study import open_study

    study = open_study(folder, database_url, fill_up=False)
    try:
        yield study
    finally:
        study.close()


@click.command()
@at
@url
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--show-rates", is_flag=True, help="Fooling rates too, before all arms are complete. Nobody should peek.")
def status(study: Path, database_url: str | None, as_json: bool, show_rates: bool) -> None:
    """How far a study is: arms, drop-outs, flags. It may be running."""
    from cgeval.tables import print_table
    from study_server.operating.status import read_rates, read_status
    from study_server.sessions.study import stamp

    with _opened(study, database_url) as opened, opened.database.read() as found:
        told = read_status(found, opened.manifest, opened.config, stamp(opened.clock()))
        rates = read_rates(found) if show_rates or told.is_complete else {}
    if as_json:
        click.echo(json.dumps(told.as_json() | ({"rates": rates} if rates else {}), indent=2))
        return
    head = ("arm", "done", "live", "wanted", "scored answers", *(("fooled (n)",) if rates else ()))
    rows = [
        (
            arm.name,
            str(arm.done),
            str(arm.live),
            str(arm.wanted),
            str(arm.answers),
            *([_rate(rates, arm.name)] if rates else []),
        )
        for arm in told.arms
    ]
    print_table(head, rows, numbers=(1, 2, 3, 4))
    click.echo(f"\nsessions  {', '.join(f'{count} {state}' for state, count in told.states.items()) or 'none yet'}")
    click.echo(f"flags     {', '.join(f'{count} {flag}' for flag, count in told.flags.items()) or 'none'}")
    click.echo(
        f"the study is {'running' if told.running else 'stopped'}{', and complete' if told.is_complete else ''}."
    )


def _rate(rates: dict[str, tuple[float, int]], arm: str) -> str:
    return f"{rates[arm][0]:.1%} ({rates[arm][1]})" if arm in rates else "-"


@click.command()
@at
@url
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the tables.")
@click.option("--format", "wanted", type=click.Choice(["csv", "jsonl", "all"]), default="all", show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace the folder.")
def export(study: Path, database_url: str | None, out: Path, wanted: str, overwrite: bool) -> None:
    """Write sessions, trials and events as tables, with a codebook. The study may be running."""
    from study_server.operating.export import FORMATS
    from study_server.operating.export import export as export_tables

    formats = FORMATS if wanted == "all" else (wanted,)
    with _opened(study, database_url) as opened:
        for file in export_tables(opened.database, opened.manifest, out, formats, overwrite=overwrite):
            click.echo(file)


@click.command()
@at
@click.argument("file", type=click.Path(path_type=Path))
@url
def backup(study: Path, file: Path, database_url: str | None) -> None:
    """Copy the database to FILE, whole, while the study is running."""
    from study_server.operating.keeping import backup as copy

    with _opened(study, database_url) as opened:
        copy(opened.database, file)
    click.echo(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB. To restore it, stop the server and put it in place of study.db."
    )


@click.command(name="purge-ids")
@at
@url
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge_ids(study: Path, database_url: str | None, yes: bool) -> None:
    """Forget who the participants were, once a study is over; the answers stay.

    Identities are kept as keyed digests, so that nobody takes part twice; without them somebody could.
    """
    from study_server.operating.keeping import purge_identities

    with _opened(study, database_url) as opened:
        if not yes and not click.confirm("Forget all identities of ended sessions? They cannot be had back."):
            click.echo("Nothing was forgotten.")
            return
        click.echo(f"{purge_identities(opened.database)} identities forgotten.")


@click.command()
@at
@click.option(
    "--set", "wanted", prompt="New password (empty: draw one)", default="", hide_input=True, show_default=False
)
def password(study: Path, wanted: str) -> None:
    """Set the admin's password; a running server is to be started anew."""
    from study_server.building.secrets import set_password

    if wanted and len(wanted) < 8:
        raise ConfigError("the password is shorter than 8 characters: choose a longer one.")
    chosen = wanted or secrets.token_urlsafe(12)
    set_password(study, chosen)
    click.echo("The password is set." if wanted else f"The admin's password, told this once: {chosen}")


@click.command()
@at
@click.argument("names", nargs=-1, required=True)
@click.option("--base", default="http://127.0.0.1:8000", show_default=True, help="The study's address.")
def links(study: Path, names: tuple[str, ...], base: str) -> None:
    """Print a signed personal link for each of NAMES (or @FILE, a name a line); entry.platform is to be links."""
    from study_server.sessions.platforms import personal_link

    listed = [each for name in names for each in (_lines(Path(name[1:])) if name.startswith("@") else [name])]
    with _opened(study, None) as opened:
        if opened.config.entry.platform != "links":
            raise ConfigError(f'{study} takes no personal links: build it with --set entry.platform="links".')
        for name in listed:
            click.echo(f"{name}\t{personal_link(base, opened, name)}")


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): a name a line is expected.") from None
