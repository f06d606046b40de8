"""A running study goes in; a copy of its answers comes out, or its participants' identities go."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import func, select, text, update
from sqlalchemy.engine import CursorResult

from cgeval.errors import ConfigError, OutputError
from cgeval.files import LEFTOVER
from study_server.store.engine import Database
from study_server.store.models import LIVE, Session


def backup(database: Database, file: Path) -> None:
    """Copy the database as it is at one moment, while others write; the copy is its owner's alone.

    Raises OutputError, or ConfigError for PostgreSQL.
    """
    if not database.is_file:
        raise ConfigError("the study is in PostgreSQL, which makes its own backups: use pg_dump with its address.")
    if file.exists() or file.is_symlink():
        raise OutputError(f"{file} is there already: name a new file for the backup.")
    with _made_whole(file) as work:
        with closing(sqlite3.connect(str(database.url.database))) as one, closing(sqlite3.connect(work)) as other:
            one.backup(other)
            other.execute("PRAGMA journal_mode=DELETE")
        with work.open("rb") as written:
            os.fsync(written.fileno())


@contextmanager
def _made_whole(file: Path) -> Iterator[Path]:
    """A file to fill beside the final one, whose place it takes when the block ends well."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{LEFTOVER}{file.name}-", dir=file.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{file.parent} cannot be written into ({error.strerror}): name another FILE.") from None
    work = Path(name)
    try:
        yield work
        work.replace(file)
    except (sqlite3.Error, OSError) as error:
        raise OutputError(f"{file} cannot be written ({error}): make room for it, or name another FILE.") from None
    finally:
        for left in (work, Path(f"{work}-journal"), Path(f"{work}-wal"), Path(f"{work}-shm")):
            left.unlink(missing_ok=True)


def purge_identities(database: Database) -> tuple[int, int]:
    """Forget who the participants were whose sessions have ended, or never began. Their answers stay.

    Returns how many are forgotten, and how many stay since their sessions are under way. SQLite's file keeps no copy.
    """
    known = Session.identity.is_not(None)
    with database.write() as found:
        if database.is_sqlite:
            found.execute(text("PRAGMA secure_delete=ON"))
        done = found.execute(update(Session).where(Session.state.not_in(LIVE), known).values(identity=None))
        assert isinstance(done, CursorResult)
        kept = found.scalar(select(func.count(Session.id)).where(known)) or 0
    if database.is_sqlite:
        with closing(sqlite3.connect(str(database.url.database))) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log holds pages as they were
    return int(done.rowcount), kept
