"""A path goes in; a folder that is whole or not there comes out, whatever ends the program in between."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
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

    Raises OutputError where something is there already, or nothing can be written.
    """
    refuse_place(folder)
    with _beside(folder, "name another folder") as work:
        yield work
        refuse_place(folder)
        work.rename(folder)


def refuse_foreign(folder: Path, known: Collection[str], what: str) -> None:
    """Raise OutputError where more stands than files of these names. what: such as "report", for the sentence."""
    if not holds_only(folder, known.__contains__):
        raise OutputError(f"{folder} is there already and is more than a {what}, so it stays: name another --out.")


def holds_only(folder: Path, is_known: Callable[[str], bool]) -> bool:
    """Whether nothing stands there, or a folder in which all names are known."""
    try:
        return not folder.is_symlink() and all(is_known(file.name) for file in folder.iterdir())
    except FileNotFoundError:  # also where it is being replaced in this moment
        return True
    except OSError:
        return False


@contextmanager
def replaced_whole(folder: Path, known: Collection[str], what: str) -> Iterator[Path]:
    """A folder to fill beside the final one, whose place it takes when the block ends well; it has an ordinary mode.

    What is there of the same kind goes: files of these names alone. Raises OutputError where more is there, or nothing
    can be written.
    """
    refuse_foreign(folder, known, what)
    with swapped_in(folder) as work:
        yield work
        refuse_foreign(folder, known, what)
        make_usual(work, 0o777)


@contextmanager
def swapped_in(folder: Path) -> Iterator[Path]:
    """A folder to fill, for its owner alone; when the block ends well, whatever was at its place goes.

    Raises OutputError where nothing can be written.
    """
    with _beside(folder, "name another --out") as work:
        yield work
        with _held(folder.parent, wait=True):  # two that end at once come one after the other
            _swap(work, folder)


@contextmanager
def _beside(folder: Path, otherwise: str) -> Iterator[Path]:
    """An empty folder that nobody else removes before the block has ended, and nobody finds afterwards.

    What killed ones of the same name left behind is removed. otherwise: what to do where nothing can be written.
    """
    with ExitStack() as kept:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _held(folder.parent, wait=True):
                _remove_left(folder)
                work = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
                kept.enter_context(_held(work))
        except OSError as error:
            raise OutputError(f"{folder.parent} cannot be written into ({error.strerror}): {otherwise}.") from None
        try:
            yield work
        except OSError as error:
            raise OutputError(
                f"{folder} cannot be written ({error.strerror}): make room for it, or {otherwise}."
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
def _held(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """The folder locked; raises BlockingIOError where another holds it and nobody waits. It ends with its process."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)
