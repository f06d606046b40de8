"""Bytes and a path go in; a file that is either whole or not there comes out. Also digests and locks."""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cgeval.errors import RunBusyError

LEFTOVER = ".tmp-"


def write_atomic(path: Path, data: bytes) -> None:
    """Write under a temporary name beside `path`, flush to the disk, then rename; a kill leaves the old file."""
    handle, name = tempfile.mkstemp(prefix=f"{LEFTOVER}{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        make_usual(Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def make_usual(path: Path, mode: int = 0o666) -> None:
    """Give what was made for its owner alone the rights that any new file has; mode: 0o777 for a folder."""
    path.chmod(mode & ~_umask())


def write_json_atomic(path: Path, content: Any) -> None:
    """The content as indented JSON with a final newline, written whole."""
    write_atomic(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where what can be made again is kept between runs: $CGEVAL_CACHE, else the user's cache folder."""
    own = os.environ.get("CGEVAL_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgeval"


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in the folder; call it only while holding the lock."""
    for leftover in folder.glob(f"{LEFTOVER}*"):
        if leftover.is_file():
            leftover.unlink(missing_ok=True)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the file locked; the system lets go when the process ends, however it ends.

    Raises RunBusyError naming the process that holds it.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunBusyError(
                f"{path.parent} is being written by process {holder}: wait for it or end it, or name another folder."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
