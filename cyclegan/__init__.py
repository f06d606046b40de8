"""A faithful CycleGAN (and pix2pix) trainer whose runs feed the rest of cgeval."""

from importlib.metadata import version

__version__ = version("cgeval")
