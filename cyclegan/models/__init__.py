"""Translators by name: a new one is one new file in this folder and one line here."""

from cyclegan.models.cyclegan import CycleGan
from cyclegan.models.pix2pix import Pix2Pix
from cyclegan.models.translator import Translator

__all__ = ["TRANSLATORS", "CycleGan", "Pix2Pix", "Translator"]

TRANSLATORS: dict[str, type[Translator]] = {
    "cyclegan": CycleGan,
    "pix2pix": Pix2Pix,
}
