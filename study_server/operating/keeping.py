"""A running study goes in; a copy of its answers comes out, or its participants' identities go."""

import os
import sqlite3
import tempfile
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.engine import CursorResult

from cgeval.errors import ConfigError, OutputError
from cgeval.files import LEFTOVER
from study_server.store.engine import Database
from study_server.store.models import ENDED, Session


def backup(database: Database, file: Path) -> None:
    """Copy the database as it is at one moment, while others write.

    Raises OutputError, or ConfigError for PostgreSQL.
    """
    if not database.is_file:
        raise ConfigError("the study is in PostgreSQL, which makes its own backups: use pg_dump with its address.")
    if file.exists():
        raise OutputError(f"{file} is there already: name a new file for the backup.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{LEFTOVER}{file.name}-", dir=file.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{file.parent} cannot be written into ({error.strerror}): name another FILE.") from None
    work = Path(name)
    try:
        with sqlite3.connect(str(database.url.database)) as one, sqlite3.connect(work) as other:
            one.backup(other)
            other.execute("PRAGMA journal_mode=DELETE")
        other.close()
        with work.open("rb") as written:
            os.fsync(written.fileno())
        work.replace(file)
    except sqlite3.Error as error:
        raise OutputError(
            f"{file} cannot be written ({error}): see that there is room, or name another FILE."
        ) from None
    finally:
        work.unlink(missing_ok=True)


def purge_identities(database: Database) -> int:
    """Forget who the participants of ended sessions were; returns how many. Their answers stay."""
    with database.write() as found:
        done = found.execute(
            update(Session).where(Session.state.in_(ENDED), Session.identity.is_not(None)).values(identity=None)
        )
        assert isinstance(done, CursorResult)
        return int(done.rowcount)
