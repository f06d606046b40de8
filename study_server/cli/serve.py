"""`study-server serve`."""

from pathlib import Path

import click

from cgeval.errors import RunError


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; 0.0.0.0 for everywhere.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 for any that is free.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that answer; default: 2, with PostgreSQL 4.")
@click.option("--database-url", envvar="STUDY_DATABASE_URL", help="PostgreSQL's address; default: STUDY/study.db.")
@click.option("--trust-proxy", is_flag=True, help="A server with TLS stands in front and says so in its headers.")
@click.option("--verbose", is_flag=True, help="Each request on the error stream too, not only in STUDY/server.log.")
def serve(
    study: Path,
    host: str,
    port: int,
    workers: int | None,
    database_url: str | None,
    trust_proxy: bool,
    verbose: bool,
) -> None:
    """Host a study until it is stopped by Ctrl-C or SIGTERM.

    Participants open the address that is printed; /admin/ shows how far it is.
    """
    from study_server.building.verify import verify_study
    from study_server.web.serving import Serving
    from study_server.web.serving import serve as serve_study

    changed = verify_study(study)
    if changed:
        more = f" ({len(changed) - 1} more)" if len(changed) > 1 else ""
        raise RunError(f"{study} is not as it was built: {changed[0].rstrip('.')}{more}; restore it, or build it anew.")

    def say(address: str) -> None:
        click.echo(
            f"participants  {address}/\nadmin         {address}/admin/\nCtrl-C stops it; what is answered is kept."
        )

    wanted = workers or (4 if database_url else 2)
    if serve_study(Serving(study, host, port, wanted, database_url, trust_proxy, verbose), say):
        raise SystemExit(130)
