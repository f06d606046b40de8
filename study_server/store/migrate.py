"""A database of any earlier version goes in; one of this version comes out, by Alembic. SQLite is copied first."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from cgeval.errors import RunError
from study_server.store.engine import SQLITE, Database

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(database: Database, folder: Path) -> None:
    """Make the tables, or change them to what this version needs. Raises RunError for what a newer version made."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    newest, known = scripts.get_current_head(), {each.revision for each in scripts.walk_revisions()}
    with database.engine.connect() as connection:
        now = _revision(connection)
    if now == newest:
        return
    if now is not None and now not in known:
        raise RunError(
            f"{database.url.render_as_string()} was made by a newer version of cgeval (revision {now}): use that one."
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.rebuilding() as found:
        database.lock_assignment(found)
        if _revision(found) != now:
            return  # another server has just brought it up to date
        if now is not None and database.is_sqlite:
            _copy(Path(str(database.url.database)), folder / f"{SQLITE}.before-{newest}")
        config.attributes["connection"] = found
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _copy(source: Path, target: Path) -> None:
    """By SQLite's own backup, which is whole even while others write."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
