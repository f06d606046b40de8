"""A prediction is found again exactly where nothing that decides it has changed."""

import numpy as np
import pytest

from cgeval.errors import OutputError
from cgeval.protocols import predictions
from cgeval.protocols.predictions import PredictionCache, predictions_of
from tests.cgeval.protocols.streets import write_header

MAP = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_what_was_kept_comes_back(tmp_path):
    cache = PredictionCache(tmp_path / "cache", "scorer paper")
    place = cache.place("picture", (4, 3))
    assert cache.get(place, (4, 3)) is None
    cache.put(place, MAP)
    assert np.array_equal(cache.get(place, (4, 3)), MAP)


def test_another_picture_rule_or_size_is_another_place(tmp_path):
    cache, other = PredictionCache(tmp_path, "scorer paper"), PredictionCache(tmp_path, "scorer scorer-size")
    places = {
        cache.place("picture", (4, 3)),
        cache.place("other", (4, 3)),
        cache.place("picture", (3, 4)),
        other.place("picture", (4, 3)),
    }
    assert len(places) == 4


def test_a_broken_file_or_one_of_another_size_is_made_anew(tmp_path):
    cache = PredictionCache(tmp_path, "rule")
    place = cache.place("picture", (4, 3))
    cache.put(place, MAP.T)
    assert cache.get(place, (4, 3)) is None
    place.write_bytes(place.read_bytes()[:30])
    assert cache.get(place, (4, 3)) is None
    cache.put(place, MAP)
    assert np.array_equal(cache.get(place, (4, 3)), MAP)


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    cache = PredictionCache(tmp_path / "file" / "cache", "rule")
    with pytest.raises(OutputError, match="set CGEVAL_CACHE to another folder"):
        cache.put(cache.place("picture", (4, 3)), MAP)


def test_another_version_of_what_computes_is_another_place(tmp_path, monkeypatch):
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path))
    scorer = write_header(tmp_path / "scorers" / "one")
    before = predictions_of(scorer, "paper").place("picture", (4, 3))
    assert predictions_of(scorer, "scorer-size").place("picture", (4, 3)) != before
    monkeypatch.setattr(predictions, "_programs", lambda: "torch 99")
    assert predictions_of(scorer, "paper").place("picture", (4, 3)) != before
