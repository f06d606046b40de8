"""Migrations end at the tables of models.py, keep what is stored, and refuse what they do not know."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Column, String, insert, select, text

from cgeval.errors import RunError
from study_server.store import migrate
from study_server.store.engine import SQLITE, open_database
from study_server.store.models import Base, LeftToken, Session, Trial

A_SESSION = {
    "id": 1, "public_id": "p", "platform": "open", "token_sha256": "t", "client": "c", "state": "MAIN",
    "language": "en", "position": 0, "entered_at": "", "flags": [], "device": {}, "replies": {},
}  # fmt: skip
A_TRIAL = {
    "session_id": 1, "position": 0, "phase": "scored", "pair_id": "x", "real_side": "left", "asked": "real",
    "token": "k", "looks": 0,
}  # fmt: skip


@pytest.fixture
def database(tmp_path, database_url):
    opened = open_database(tmp_path, database_url)
    yield opened
    opened.close()


def test_migrations_make_the_tables_that_the_models_say(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_table_is_made_anew_under_the_rows_that_refer_to_it(database):
    with database.writing() as found:
        found.execute(insert(Session), A_SESSION)
        found.execute(insert(Trial), A_TRIAL)
    with database.rebuilding() as found:
        operations = Operations(MigrationContext.configure(found, opts={"render_as_batch": True}))
        with operations.batch_alter_table("sessions", recreate="auto") as table:
            table.add_column(Column("more", String(8), nullable=True))
            table.alter_column("language", existing_type=String(8), type_=String(12))
    with database.read() as found:
        assert found.scalars(select(Trial.session_id)).one() == 1
        assert found.scalars(select(Session.public_id)).one() == "p"


def test_a_rebuilding_that_would_lose_rows_changes_nothing(tmp_path):
    database = open_database(tmp_path)
    with database.writing() as found:
        found.execute(insert(Session), A_SESSION)
        found.execute(insert(Trial), A_TRIAL)
    with pytest.raises(RunError, match="stays as it is"), database.rebuilding() as found:
        found.execute(text("DELETE FROM sessions"))
    with database.reading() as found:
        assert found.scalar(select(Session.public_id)) == "p"
        assert found.scalar(text("PRAGMA foreign_keys")) == 1
    database.close()


def test_a_database_of_the_first_version_is_brought_up_to_date_with_its_rows(tmp_path, database_url):
    database = open_database(tmp_path, database_url)
    with database.writing() as found:
        found.execute(insert(Session), A_SESSION)
        found.execute(insert(Trial), A_TRIAL)
        found.execute(text("DROP TABLE left_tokens"))
        found.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    database.close()
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_database(tmp_path, database_url), range(4)))
    with opened[0].read() as found:
        assert found.scalars(select(Trial.session_id)).one() == 1
        assert found.scalars(select(LeftToken)).all() == []
    for each in opened:
        each.close()
    if database_url is None:
        with sqlite3.connect(tmp_path / f"{SQLITE}.before-0002") as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        connection.close()


def test_what_a_newer_version_made_is_refused_and_left(tmp_path, database_url):
    database = open_database(tmp_path, database_url)
    with database.writing() as found:
        found.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(RunError, match="newer version"):
        open_database(tmp_path, database_url)


def test_an_older_file_is_copied_before_it_is_changed(tmp_path, monkeypatch):
    database = open_database(tmp_path)
    with database.writing() as found:
        found.execute(insert(Session), A_SESSION)
    database.close()
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    for file in (*migrate.MIGRATIONS.glob("*.*"), *migrate.MIGRATIONS.glob("versions/*.py")):
        (scripts / file.relative_to(migrate.MIGRATIONS)).write_bytes(file.read_bytes())
    newest = ScriptDirectory(str(scripts)).get_current_head()
    (scripts / "versions" / "more.py").write_text(
        f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision, down_revision = 'more', '{newest}'\n\n\n"
        "def upgrade():\n    with op.batch_alter_table('sessions') as table:\n"
        "        table.add_column(sa.Column('more', sa.String(8), nullable=True))\n"
    )
    monkeypatch.setattr(migrate, "MIGRATIONS", scripts)
    open_database(tmp_path).close()
    for name, has_more in ((SQLITE, True), (f"{SQLITE}.before-more", False)):
        with sqlite3.connect(tmp_path / name) as connection:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(sessions)")]
            assert connection.execute("SELECT public_id FROM sessions").fetchall() == [("p",)]
        assert ("more" in columns) == has_more
        connection.close()
