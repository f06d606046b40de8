"""The `study-server` command: every subcommand parses, makes one call and prints."""

import click

from cgeval.console import LazyGroup, run

COMMANDS = {
    "check": "study_server.cli.check:check",
    "plan": "study_server.cli.plan:plan",
    "build": "study_server.cli.build:build",
    "serve": "study_server.cli.serve:serve",
    "prereg": "study_server.cli.prereg:prereg",
    "rehearse": "study_server.cli.rehearse:rehearse",
    "links": "study_server.cli.operate:links",
    "report": "study_server.cli.report:report",
    "status": "study_server.cli.operate:status",
    "export": "study_server.cli.operate:export",
    "import-amt": "study_server.cli.exchange:import_amt",
    "backup": "study_server.cli.operate:backup",
    "purge-ids": "study_server.cli.operate:purge_ids",
    "password": "study_server.cli.operate:password",
}


@click.group(name="study-server", cls=LazyGroup, commands_at=COMMANDS)
@click.version_option(package_name="cgeval")
def study_server() -> None:
    """Real or generated? Ask people: check the images, build the study, host it, and take the answers home."""


def main() -> None:
    """Entry point of the console script."""
    run(study_server)
