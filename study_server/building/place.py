"""A path goes in; a folder that is whole or not there comes out, whatever ends the program in between."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cgeval.errors import OutputError
from cgeval.files import LEFTOVER, make_usual


def refuse_place(folder: Path) -> None:
    """Raise OutputError where a study cannot be built, because something is there."""
    if folder.exists() or folder.is_symlink():
        raise OutputError(f"{folder} is there already, and a study is built once: name another folder.")


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """A folder to fill, for its owner alone, beside the final one; it takes that place when the block ends well.

    What a killed build of the same name left behind is removed. Raises OutputError where something is there already,
    or nothing can be written.
    """
    refuse_place(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(folder)
        work = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    except OSError as error:
        raise OutputError(f"{folder.parent} cannot be written into ({error.strerror}): name another STUDY.") from None
    try:
        with _held(work):
            yield work
        refuse_place(folder)
        work.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}): make room for it, or name another STUDY."
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def refuse_foreign(folder: Path, known: Collection[str], what: str) -> None:
    """Raise OutputError where more stands than files of these names. what: such as "report", for the sentence."""
    if not (folder.exists() or folder.is_symlink()):
        return
    if folder.is_symlink() or not folder.is_dir() or not {file.name for file in folder.iterdir()} <= {*known}:
        raise OutputError(f"{folder} is there already and is more than a {what}, so it stays: name another --out.")


@contextmanager
def replaced_whole(folder: Path, known: Collection[str], what: str) -> Iterator[Path]:
    """A folder to fill beside the final one, whose place it takes when the block ends well; it has an ordinary mode.

    What is there of the same kind goes: files of these names alone. Raises OutputError where more is there, or nothing
    can be written.
    """
    refuse_foreign(folder, known, what)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(folder)
        work = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    except OSError as error:
        raise OutputError(f"{folder.parent} cannot be written into ({error.strerror}): name another --out.") from None
    try:
        with _held(work):
            yield work
        make_usual(work, 0o777)
        _swap(work, folder)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}): make room for it, or name another --out."
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(work: Path, folder: Path) -> None:
    """The old folder is out of the way for the moment of two renames."""
    old = work.with_name(f"{work.name}-old")
    if folder.exists():
        folder.rename(old)
    try:
        work.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _prefix(folder: Path) -> str:
    return f"{LEFTOVER}{folder.name}-"


def _remove_left(folder: Path) -> None:
    """Whoever is still at work holds a lock on its folder."""
    for left in folder.parent.glob(f"{LEFTOVER}*"):
        if left.name.startswith(_prefix(folder)) and left.is_dir():
            with suppress(OSError), _held(left):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder locked; raises BlockingIOError where somebody else holds it. A lock ends with its process."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
