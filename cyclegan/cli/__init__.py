"""The `cyclegan` command: parse, one call, print. torch is imported only by the commands that need it."""

import importlib
from collections.abc import Mapping

import click

from cgeval.console import run

COMMANDS: Mapping[str, str] = {
    "demo": "cyclegan.cli.demo:demo",
    "train": "cyclegan.cli.train:train",
    "translate": "cyclegan.cli.translate:translate",
    "configs": "cyclegan.cli.train:configs",
    "data": "cyclegan.cli.data:data",
    "import-weights": "cyclegan.cli.weights:import_weights",
    "export": "cyclegan.cli.weights:export",
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, so that others stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of a user's path through them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup)
@click.version_option(package_name="cgeval")
def cyclegan() -> None:
    """Train image-to-image translators and translate with them."""


def main() -> None:
    """Entry point of the console script."""
    run(cyclegan)
