"""The table of official archives is consistent, and a name that is not in it is answered with the close ones."""

from pathlib import Path

import pytest

from cgeval.errors import ConfigError
from cyclegan.data.archives import DATASETS, archive_named
from tests.cyclegan.archive_server import refused


def test_every_archive_has_an_address_and_a_digest_of_the_right_form_or_says_so():
    assert len({archive.address for archive in DATASETS.values()}) == len(DATASETS) == 18
    for archive in DATASETS.values():
        assert archive.file.endswith(".tar.gz" if archive.name.startswith("pix2pix_") else ".zip")
        assert (archive.sha256 is None) == (archive.size_bytes is None)
        if archive.sha256 is None:
            assert archive.name == "ae_photos" or archive.name.startswith("pix2pix_")
        else:
            assert len(bytes.fromhex(archive.sha256)) == 32


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("horse2zebra", "horses and zebras; 116.9 MB"),
        ("maps", "aerial photos and maps; 1.48 GB"),
        ("pix2pix_maps", "aerial photos and maps, in aligned pairs; size and digest not published"),
        ("ae_photos", "photos to translate with a style, not to train on; size and digest not published"),
        ("cityscapes", "withdrawn for its licence: see cityscapes-dataset.com and `cyclegan data prepare`"),
    ],
)
def test_an_archive_says_in_a_few_words_what_it_is(name, about):
    assert archive_named(name).about == about


def test_the_next_step_is_to_check_what_can_be_trained_on_and_to_translate_what_cannot():
    assert archive_named("maps").next_step(Path("out")) == "cyclegan data check out"
    assert archive_named("ae_photos").next_step(Path("out")) == "cyclegan translate RUN --input out"


@pytest.mark.parametrize(
    ("name", "close"), [("horse2zebr", "horse2zebra"), ("edges2shoes", "pix2pix_edges2shoes"), ("xyz", "apple2orange")]
)
def test_an_unknown_name_is_answered_with_the_close_ones(name, close):
    with refused(ConfigError, repr(name), close, "--list"):
        archive_named(name)
