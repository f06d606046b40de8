"""The `cyclegan` command: parse, one call, print. torch is imported only by the commands that need it."""

import click

from cgeval.console import LazyGroup, run

COMMANDS = {
    "demo": "cyclegan.cli.demo:demo",
    "train": "cyclegan.cli.train:train",
    "translate": "cyclegan.cli.translate:translate",
    "reconstruct": "cyclegan.cli.reconstruct:reconstruct",
    "configs": "cyclegan.cli.train:configs",
    "data": "cyclegan.cli.data:data",
    "import-weights": "cyclegan.cli.weights:import_weights",
    "export": "cyclegan.cli.weights:export",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
@click.version_option(package_name="cgeval")
def cyclegan() -> None:
    """Train image-to-image translators and translate with them."""


def main() -> None:
    """Entry point of the console script."""
    run(cyclegan)
