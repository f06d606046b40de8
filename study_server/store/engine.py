"""The address of a database goes in; transactions that read or write come out, safe beside other threads and servers.

SQLite keeps a write-ahead log and flushes it to the disk at every commit (synchronous=FULL), and whoever may write
begins with BEGIN IMMEDIATE: two transactions that both read before they write would else fail, or count twice. On
PostgreSQL a writer locks the rows it decides by (`Database.locked`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.pool import QueuePool

from cgeval.errors import CgevalError, ConfigError, OutputError, RunError
from study_server.store.models import Setting
from study_server.store.turns import BusyError, Queue

SQLITE = "study.db"
BUSY_MS = 5000  # how long a writer waits for another one, in this process or not
IDLE_MS = 300_000  # how long a process that was stopped may hold PostgreSQL's locks
POOL, OVERFLOW = 16, 48
LOCK_KEY = 0x63676576  # of PostgreSQL's advisory lock, which assignments take one after the other
STORAGE = ("disk is full", "disk i/o error", "no space left", "could not extend", "database or disk is full")
BUSY = ("database is locked", "database table is locked", "lock timeout", "deadlock")


class StorageError(CgevalError):
    """The database cannot keep what it was given: the disk is full or broken. Nothing was stored. said: by it."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the database cannot keep what it was given ({said}): make room on its disk, and try again.")
        self.said = said


class Database:
    """An open database, for all threads of a server."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.engine = _engine(url)
        self._writer = self.engine.execution_options(writes=True)
        self.is_sqlite = self.is_file = url.get_backend_name() == "sqlite"
        # SQLite's readers see one moment in any case.
        self._reader = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._queue = Queue(f"{url.database}.turn") if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A snapshot; nothing that is changed in it stays."""
        with _told(), Transaction(self._reader, expire_on_commit=False) as found:
            try:
                yield found
            finally:
                found.rollback()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """All of it is on the disk when the block has ended, or nothing is.

        Raises StorageError or BusyError, after which nothing is stored.
        """
        with _told(), self._turn(), Transaction(self._writer, expire_on_commit=False) as found:
            found.connection()  # begins now, not at the first statement
            yield found
            found.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `read`, for statements alone."""
        with _told(), self.engine.connect() as found:
            yield found

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """As `write`, for statements alone. A connection is taken and given back while others have their turn."""
        with _told(), self._writer.connect() as found, self._turn(), found.begin():
            yield found

    @contextmanager
    def rebuilding(self) -> Iterator[Connection]:
        """As `writing`, for migrations: SQLite lets a table be made anew although rows of others refer to it."""
        with _told(), self._turn(), self._writer.connect() as found:
            if not self.is_sqlite:
                with found.begin():
                    yield found
                return
            found.connection.cursor().execute("PRAGMA foreign_keys=OFF")  # in a transaction it would do nothing
            try:
                with found.begin():
                    yield found
                    if found.execute(text("PRAGMA foreign_key_check")).first() is not None:
                        raise RunError(
                            f"{self.url.render_as_string()} would lose rows by its migration: it stays as it is."
                        )
            finally:
                found.connection.cursor().execute("PRAGMA foreign_keys=ON")

    def lock_assignment(self, found: Transaction | Connection) -> None:
        """Let no other transaction assign until this one has ended."""
        if not self.is_sqlite:
            found.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()
        if self._queue is not None:
            self._queue.close()
            self._queue = None

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._queue is None else self._queue.turn(BUSY_MS / 1000)


def open_database(folder: Path, url: str | None = None) -> Database:
    """Of the study in that folder: its own SQLite file, or the database at the address; brought up to date first.

    Raises ConfigError for an address that is none, OutputError where nothing can be opened, RunError for a database of
    a newer version.
    """
    from study_server.store.migrate import bring_up_to_date

    parsed = parse_url(folder, url)
    with _opening(parsed):
        database = Database(parsed)
        try:
            bring_up_to_date(database, folder)
        except BaseException:
            database.close()
            raise
    return database


def parse_url(folder: Path, url: str | None) -> URL:
    """Where the study's database is; "postgresql://" means psycopg 3."""
    if url is None:
        return URL.create("sqlite", database=str((folder / SQLITE).resolve()))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("--database-url is no address: postgresql://USER@HOST/NAME is expected.") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"--database-url is of {parsed.drivername!r}: sqlite or postgresql is expected.")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError("--database-url names no file: sqlite:////FOLDER/NAME.db is expected.")
    return parsed


def claim(database: Database, study_id: str) -> None:
    """Write whose database it is, once; raises RunError where it is another study's."""
    owners = select(Setting.value).where(Setting.name == "study_id")
    with _opening(database.url):
        with database.read() as found:
            owner = found.scalar(owners)
        if owner is None:  # else nobody has to wait for those who write
            with database.write() as found:
                database.lock_assignment(found)
                owner = found.scalar(owners)
                if owner is None:
                    found.add(Setting(name="study_id", value=study_id))
                    found.add(Setting(name="running", value="yes"))
                    return
    if owner != study_id:
        raise RunError(
            f"{database.url.render_as_string()} holds the answers of another study ({owner}): name another database."
        )


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_size": POOL, "max_overflow": OVERFLOW, "poolclass": QueuePool}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": BUSY_MS / 1000, "check_same_thread": False}
        # The driver would begin transactions by itself, and not immediate ones.
        options["connect_args"]["isolation_level"] = None
    else:
        options["isolation_level"] = "READ COMMITTED"  # whatever the server's default is: locked rows are read anew
    try:
        engine = create_engine(url, **options)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise ConfigError("PostgreSQL needs another package: pip install 'cgeval[postgres]'.") from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    else:
        event.listen(engine, "connect", _limit)
    return engine


def _prepare(connection: sqlite3.Connection, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _limit(connection: Any, _: Any) -> None:
    """Nobody waits longer for a lock than on SQLite; whoever sits in the middle of a transaction loses it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {BUSY_MS}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MS}")
    connection.commit()


def _begin(connection: Connection) -> None:
    """Who may write begins so that nobody else can between its reading and its writing."""
    how = "IMMEDIATE" if connection.get_execution_options().get("writes") else "DEFERRED"
    connection.connection.cursor().execute(f"BEGIN {how}")


@contextmanager
def _told() -> Iterator[None]:
    """What the database says of the disk and of locks, as exceptions of their own."""
    try:
        yield
    except (DatabaseError, sqlite3.Error) as error:
        said = _first_line(error).lower()
        if any(words in said for words in STORAGE):
            raise StorageError(said) from error
        is_away = isinstance(error, OperationalError) and not isinstance(error.orig, sqlite3.Error)
        if is_away or any(words in said for words in BUSY):
            raise BusyError(said) from error
        raise


@contextmanager
def _opening(url: URL) -> Iterator[None]:
    """What keeps a database from being opened, in one sentence."""
    try:
        yield
    except (DatabaseError, sqlite3.Error, StorageError, BusyError, OSError) as error:
        raise OutputError(
            f"the database {url.render_as_string()} cannot be opened ({_first_line(error)}): see that it is there and "
            "may be written."
        ) from None


def _first_line(error: Exception) -> str:
    """Of what the database itself said."""
    said = error.said if isinstance(error, StorageError | BusyError) else str(getattr(error, "orig", error))
    return next(iter(said.strip().splitlines()), type(error).__name__)
