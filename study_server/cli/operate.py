"""Commands for whoever runs a study: status, export, backup, purge-ids, password, links."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgeval.errors import ConfigError

if TYPE_CHECKING:
    from study_server.sessions.study import Study

SHORTEST, LONGEST = 8, 256  # characters of a password
SO_FAR = "Not every arm is complete: {} of what happened so far, and that somebody looked is written down."
OTHER_FORMS = ("amt", "jspsych", "lme4")  # of `exchange`
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
@click.option(
    "--show-rates", is_flag=True, help="Fooling rates too, before all arms are complete; this is written down."
)
def status(study: Path, database_url: str | None, as_json: bool, show_rates: bool) -> None:
    """How far a study is: arms, drop-outs, flags. It may be running."""
    from cgeval.tables import print_table
    from study_server.operating.status import read_rates, read_status, write_down_look
    from study_server.sessions.study import stamp

    with _opened(study, database_url) as opened:
        now = stamp(opened.clock())
        with opened.database.read() as found:
            told = read_status(found, opened.manifest, opened.config, now)
            rates = read_rates(found) if show_rates or told.is_complete else {}
        if rates and not told.is_complete:
            write_down_look(opened.database, "rates_shown", now)
            click.echo(SO_FAR.format("the rates are"), err=True)
    if as_json:
        shown = {arm: {"fooled": rate, "sessions": count} for arm, (rate, count) in rates.items()}
        click.echo(json.dumps(told.as_json() | ({"rates": shown} if show_rates or told.is_complete else {}), indent=2))
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
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["csv", "jsonl", "all", *OTHER_FORMS]),
    default="all",
    show_default=True,
    help="all: csv and jsonl; amt, jspsych, lme4: for other programs.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export; any other folder stays.")
def export(study: Path, database_url: str | None, out: Path, wanted: str, overwrite: bool) -> None:
    """Write sessions, trials and events as tables, with a codebook. The study may be running.

    Before all arms are complete the tables are of what happened so far, and the export is written down: they tell who
    was fooled. --overwrite replaces an earlier export, and nothing else.
    """
    from study_server.exchange.export import export_imported, export_study, is_import
    from study_server.manifest import SIMULATED
    from study_server.operating.export import FORMATS, refuse_place
    from study_server.operating.export import export as export_tables
    from study_server.operating.status import read_status, write_down_look
    from study_server.sessions.study import stamp

    formats, told = FORMATS if wanted == "all" else (wanted,), list[str]()
    if is_import(study):
        files, told = export_imported(study, out, wanted, overwrite=overwrite)
        _tell(files, told)
        return
    with _opened(study, database_url) as opened:
        now = stamp(opened.clock())
        refuse_place(out, overwrite)
        with opened.database.read() as found:
            status = read_status(found, opened.manifest, opened.config, now)
        is_early = not status.is_complete and status.answers > 0
        if is_early:  # before there is anything to see, lest a kill leave tables of which nobody knows
            write_down_look(opened.database, "exported", now)
        if wanted in OTHER_FORMS:
            files, told = export_study(opened, database_url, out, wanted, overwrite=overwrite)
        else:
            files = export_tables(opened.database, opened.manifest, out, formats, overwrite=overwrite)
    _tell(files, told)
    if opened.manifest.is_simulated:
        click.echo(f"The files do not say it: {SIMULATED[0].lower()}{SIMULATED[1:]}", err=True)
    if is_early:
        click.echo(SO_FAR.format("the tables are"), err=True)


def _tell(files: list[Path], told: list[str]) -> None:
    for line in (*files, *told):
        click.echo(line)


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
        f"{file}: {file.stat().st_size / 1e6:.1f} MB. To restore it, stop the server, "
        "remove study.db, study.db-wal and study.db-shm, put the copy in place of study.db, and move answers.jsonl "
        "away: it has the answers that came after the copy."
    )


@click.command(name="purge-ids")
@at
@url
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge_ids(study: Path, database_url: str | None, yes: bool) -> None:
    """Forget who the participants were, once a study is over; the answers stay.

    Identities are kept as keyed digests, so that nobody takes part twice; without them somebody could. Sessions
    under way keep theirs, until they have been left for a day.
    """
    from study_server.operating.keeping import purge_identities
    from study_server.sessions.lifecycle import expire

    with _opened(study, database_url) as opened:
        if not yes and not click.confirm(
            "Forget the identities of all sessions that are not under way? They cannot be had back."
        ):
            click.echo("Nothing was forgotten.")
            return
        expire(opened)
        forgotten, kept = purge_identities(opened.database)
    click.echo(f"{forgotten} identities forgotten.{f' {kept} stay: sessions under way.' if kept else ''}")


@click.command()
@at
@click.option("--draw", is_flag=True, help="Do not ask: draw one and tell it once.")
def password(study: Path, draw: bool) -> None:
    """Set the admin's password; a running server is to be started anew."""
    from study_server.building.secrets import read_secrets, set_password
    from study_server.manifest import read_manifest

    read_manifest(study)
    read_secrets(study)
    wanted = "" if draw else click.prompt("New password (empty: draw one)", "", hide_input=True, show_default=False)
    if wanted and not SHORTEST <= len(wanted) <= LONGEST:
        raise ConfigError(
            f"the password has {len(wanted)} characters: {SHORTEST} to {LONGEST} are expected; choose another one."
        )
    if wanted and click.prompt("Again", "", hide_input=True, show_default=False) != wanted:
        raise ConfigError("the two passwords differ, and the old one stays: try again.")
    chosen = wanted or secrets.token_urlsafe(12)
    set_password(study, chosen)
    click.echo("The password is set." if wanted else f"The admin's password, told this once: {chosen}")


@click.command()
@at
@click.argument("names", nargs=-1, required=True)
@url
@click.option("--base", default="http://127.0.0.1:8000", show_default=True, help="The study's address.")
def links(study: Path, names: tuple[str, ...], database_url: str | None, base: str) -> None:
    """Print a signed personal link for each of NAMES (or @FILE, a name a line); entry.platform is to be links."""
    from study_server.sessions.platforms import personal_link

    if not re.match(r"https?://[^/?#\s]+[^?#\s]*$", base):
        raise ConfigError(f"--base is {base!r}: an address is expected, such as https://study.example.org.")
    listed = [each for name in names for each in (_lines(Path(name[1:])) if name.startswith("@") else [name])]
    with _opened(study, database_url) as opened:
        if opened.config.entry.platform != "links":
            raise ConfigError(f'{study} takes no personal links: build it with --set entry.platform="links".')
        signed = {name: personal_link(base, opened, name) for name in listed}
    for name, link in signed.items():
        click.echo(f"{name}\t{link}")


def _lines(file: Path) -> list[str]:
    try:
        named = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigError(f"{file} cannot be read ({why}): a name a line is expected.") from None
    if not named:
        raise ConfigError(f"{file} is empty: a name a line is expected.")
    return named
