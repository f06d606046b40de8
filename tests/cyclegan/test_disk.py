"""A disk takes exactly what is free on it, and sizes are told as people read them."""

import shutil
from types import SimpleNamespace

import pytest

from cgeval.errors import OutputError
from cyclegan.data.disk import megabytes, refuse_full
from tests.cyclegan.archive_server import refused


def test_exactly_what_is_free_is_room_enough_and_a_byte_more_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=3_000_000))
    refuse_full(tmp_path, 3_000_000)
    with refused(OutputError, str(tmp_path), "3.0 MB free", "make room"):
        refuse_full(tmp_path, 3_000_001)


@pytest.mark.parametrize(("size_bytes", "words"), [(0, "0.0 MB"), (35_135_868, "35.1 MB"), (1_476_754_427, "1.48 GB")])
def test_sizes_are_decimal(size_bytes, words):
    assert megabytes(size_bytes) == words
