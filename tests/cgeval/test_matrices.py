"""Matrices come back as they were kept, and a file that was changed is not believed."""

import numpy as np
import pytest

from cgeval.errors import RecordError
from cgeval.matrices import Matrices, read_matrices, write_matrices
from cgeval.records import Record


def some(seed: int, n: int = 4) -> Matrices:
    counts = np.random.default_rng(seed).integers(0, 1 << 40, (n, 3, 3))
    return Matrices(tuple(f"street/{i}" for i in range(n)), counts)


def record(**extra: object) -> Record:
    texts = ("fcn-score-paper", "class_iou", 0.5, 4, "run", "test_AtoB", "0" * 64, "2026-01-01T00:00:00Z", "me 1")
    return Record(*texts, extra=extra)


def test_every_set_of_a_score_comes_back(tmp_path):
    sets = {"run": some(1), "real photos": some(2, 3)}
    name = write_matrices(tmp_path, "fcn-score-paper-test_AtoB", sets)
    found = read_matrices(tmp_path, record(matrices=name))
    assert list(found) == ["run", "real photos"]
    for key, each in sets.items():
        assert found[key].ids == each.ids
        assert np.array_equal(found[key].matrices, each.matrices)


def test_the_same_matrices_are_the_same_file(tmp_path):
    names = {write_matrices(tmp_path, "p", {"run": some(1)}) for _ in range(2)}
    assert len(names) == len(list((tmp_path / "records" / "matrices").iterdir())) == 1
    assert write_matrices(tmp_path, "p", {"run": some(2)}) not in names


def test_a_changed_a_cut_and_a_missing_file_are_told(tmp_path):
    name = write_matrices(tmp_path, "p", {"run": some(1)})
    path = tmp_path / "records" / "matrices" / name
    other = write_matrices(tmp_path / "other", "p", {"run": some(2)})
    path.write_bytes((tmp_path / "other" / "records" / "matrices" / other).read_bytes())
    with pytest.raises(RecordError, match="was changed after it was written"):
        read_matrices(tmp_path, record(matrices=name))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordError, match="cannot be read"):
        read_matrices(tmp_path, record(matrices=name))
    path.unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        read_matrices(tmp_path, record(matrices=name))


def test_a_file_with_one_bit_flipped_is_told_or_gives_the_very_same(tmp_path):
    kept = some(1)
    name = write_matrices(tmp_path, "p", {"run": kept})
    path = tmp_path / "records" / "matrices" / name
    whole, rng, sentences = path.read_bytes(), np.random.default_rng(0), []
    for place in rng.integers(0, 8 * len(whole), 2000):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = read_matrices(tmp_path, record(matrices=name))
        except RecordError as error:
            sentences.append(str(error))
        else:  # a bit that says nothing, such as of the time
            assert (list(found), found["run"].ids) == (["run"], kept.ids)
            assert np.array_equal(found["run"].matrices, kept.matrices)
    assert len(sentences) > 1000
    assert all(str(path) in sentence and "\n" not in sentence for sentence in sentences)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"PK\x05\x06" + 18 * b"\0"])
def test_what_is_no_archive_of_matrices_is_told(tmp_path, content):
    name = write_matrices(tmp_path, "p", {"run": some(1)})
    (tmp_path / "records" / "matrices" / name).write_bytes(content)
    with pytest.raises(RecordError, match=r"cannot be read \(.+\): restore it, or score the run again\.$"):
        read_matrices(tmp_path, record(matrices=name))


@pytest.mark.parametrize("extra", [{}, {"matrices": "../../secret.npz"}, {"matrices": 3}])
def test_a_record_that_quotes_none_is_told(tmp_path, extra):
    with pytest.raises(RecordError, match="quotes no matrices"):
        read_matrices(tmp_path, record(**extra))
