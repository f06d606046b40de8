"""Confusion matrices of a run's images go in, one file of a score; they come out again for another convention or test.

They lie in `records/matrices/` beside the records that quote them: with one matrix per image, intervals, paired tests
and other conventions cost no second look at the images. The file's name holds the digest of its content.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import RecordError
from cgeval.files import write_atomic
from cgeval.records import Record

FOLDER = "matrices"
DIGEST_LETTERS = 16


@dataclass(frozen=True)
class Matrices:
    """Of one set of images. matrices: int64 [n, K + 1, K + 1], rows = truth, columns = prediction, void last."""

    ids: tuple[str, ...]
    matrices: NDArray[np.int64]


def write_matrices(run_path: Path, name: str, sets: Mapping[str, Matrices]) -> str:
    """Keep the matrices of a score under the names of what was measured; returns the file's name for its records."""
    content: dict[str, NDArray[Any]] = {"names": np.array(list(sets))}
    for i, each in enumerate(sets.values()):
        content |= {f"ids{i}": np.array(each.ids), f"matrices{i}": each.matrices}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)  # type: ignore[arg-type]
    data = buffer.getvalue()
    file = f"{name}-{_digest(sets)}.npz"
    folder = run_path / "records" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / file, data)
    return file


def read_matrices(run_path: Path, record: Record) -> dict[str, Matrices]:
    """The matrices that a record was made of, by what was measured; raises RecordError where they are gone."""
    name = record.extra.get("matrices")
    if not isinstance(name, str) or "/" in name:
        raise RecordError(f"the record of {record.metric} in {run_path} quotes no matrices: score the run again.")
    path = run_path / "records" / FOLDER / name
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {str(each): _matrices(content, i) for i, each in enumerate(content["names"])}
        digest = _digest(found)
    except Exception as error:  # altered bytes make the parsers of zip, zlib and npy raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecordError(f"{path} cannot be read ({reason:.160}): restore it, or score the run again.") from None
    if not name.endswith(f"-{digest}.npz"):
        raise RecordError(f"{path} was changed after it was written: restore it, or score the run again.")
    return found


def _matrices(content: Any, i: int) -> Matrices:
    return Matrices(tuple(content[f"ids{i}"].tolist()), content[f"matrices{i}"].astype(np.int64, copy=False))


def _digest(sets: Mapping[str, Matrices]) -> str:
    """Of the content, not of the file, whose bytes change with the version of the compressor."""
    digest = hashlib.sha256()
    for name, each in sets.items():
        digest.update(f"{name}\n{_lines(each.ids)}\n{each.matrices.shape}\n".encode())
        digest.update(np.ascontiguousarray(each.matrices, dtype="<i8").data)
    return digest.hexdigest()[:DIGEST_LETTERS]


def _lines(ids: Sequence[str]) -> str:
    return "\n".join(ids)
