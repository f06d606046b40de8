"""The `cgeval` command: parse, one call, print. torch is imported only by the commands that need it."""

import click

from cgeval.console import LazyGroup, run

COMMANDS = {
    "fcn-score": "cgeval.cli.fcn_score:fcn_score",
    "scorer": "cgeval.cli.scorer:scorer",
    "gatys": "cgeval.cli.gatys:gatys",
    "compare": "cgeval.cli.compare:compare",
    "ablations": "cgeval.cli.ablations:ablations",
    "adopt": "cgeval.cli.adopt:adopt",
    "runs": "cgeval.cli.runs:runs",
    "show": "cgeval.cli.runs:show",
    "verify": "cgeval.cli.runs:verify",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
@click.version_option(package_name="cgeval")
def cgeval() -> None:
    """Score image-to-image translations; look into runs, and check them."""


def main() -> None:
    """Entry point of the console script."""
    run(cgeval)
