"""`study-server report`."""

import shlex
from pathlib import Path

import click


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--database-url", envvar="STUDY_DATABASE_URL", help="PostgreSQL's address, if the study is there.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="Test equivalence to 50 % within this, such as 0.1; default: as registered.",
)
@click.option("--unfinished", is_flag=True, help="See it before all arms are complete; this is written down.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report; default: STUDY/report.")
@click.option("--full", is_flag=True, help="Print every table, not only the rates and their differences.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def report(
    study: Path,
    database_url: str | None,
    margin: float | None,
    unfinished: bool,
    out: Path | None,
    full: bool,
    as_json: bool,
) -> None:
    """Evaluate STUDY: how often each algorithm fools people, how well that is known, and which differ.

    Prints the rates and writes the whole report (HTML, text, Markdown, LaTeX, CSV, JSON) into STUDY/report, where it
    replaces the one before. Fooling rates become records, which `cgeval compare` puts beside automatic scores.
    """
    from study_server.reporting import writing
    from study_server.reporting.records import record_rates, refuse_records
    from study_server.reporting.report import make_report
    from study_server.reporting.sheets import as_json as json_of
    from study_server.reporting.text import as_text

    folder = out or study / writing.FOLDER
    if study.is_dir():
        writing.refuse_place(folder)
        refuse_records(study)
    given = [*(["--margin", f"{margin:g}"] if margin is not None else []), *(["--unfinished"] if unfinished else [])]
    command = shlex.join(["study-server", "report", str(study), *given])
    made = make_report(study, database_url, margin=margin, unfinished=unfinished, command=command)
    files = writing.write_report(made, folder)
    told = record_rates(made)
    click.echo(json_of(made) if as_json else as_text(made, full=full), nl=as_json)
    click.echo(f"\n{folder}: {', '.join(files)}", err=as_json)
    for line in told:
        click.echo(line, err=as_json)
