"""What is committed is on the disk; who writes comes one after the other; who reads sees one moment."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from cgeval.errors import CgevalError, ConfigError, OutputError, RunError
from study_server.store import engine
from study_server.store.engine import Database, claim, open_database, parse_url
from study_server.store.models import Answer, Event, Setting
from study_server.store.turns import BusyError


@pytest.fixture
def database(tmp_path, database_url):
    opened = open_database(tmp_path, database_url)
    yield opened
    opened.close()


def keep(database: Database, name: str, value: str) -> None:
    with database.write() as found:
        found.merge(Setting(name=name, value=value))


def kept(database: Database, name: str) -> str | None:
    with database.read() as found:
        return found.scalar(select(Setting.value).where(Setting.name == name))


def test_sqlite_flushes_every_commit_and_minds_references(tmp_path):
    database = open_database(tmp_path)
    with database.reading() as found:
        told = [found.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert told == ["wal", 2, 1]  # 2: FULL
    database.close()


def test_what_fails_leaves_nothing_behind(database):
    def fail() -> None:
        with database.write() as found:
            found.add(Setting(name="a", value="1"))
            found.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert kept(database, "a") is None


def test_what_a_reader_changes_does_not_stay(database):
    with database.read() as found:
        found.add(Setting(name="a", value="1"))
        found.flush()
    assert kept(database, "a") is None


def test_an_answer_to_no_trial_is_refused(database):
    with pytest.raises(IntegrityError), database.write() as found:
        found.add(Answer(trial_id=7, session_id=7, attempt="a", answered_at="", clicked="left", chose_real=True))


def test_a_reader_sees_one_moment(database):
    keep(database, "a", "before")
    with database.read() as found:
        assert found.scalar(select(Setting.value)) == "before"
        keep(database, "a", "after")
        found.expire_all()
        assert found.scalar(select(Setting.value)) == "before"
    assert kept(database, "a") == "after"


def test_nobody_writes_between_anothers_reading_and_writing(database):
    keep(database, "count", "0")

    def add_one(_: int) -> None:
        with database.write() as found:
            database.lock_assignment(found)
            row = found.scalars(select(Setting).where(Setting.name == "count")).one()
            row.value = str(int(row.value) + 1)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add_one, range(160)))
    assert kept(database, "count") == "160"


def test_no_other_program_writes_either(tmp_path):
    database = open_database(tmp_path)
    other = sqlite3.connect(tmp_path / engine.SQLITE, isolation_level=None, timeout=0)
    for writes in (database.write, database.writing):
        with writes(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    with database.read() as found:
        assert found.scalars(select(Setting)).all() == []
        other.execute("BEGIN IMMEDIATE")  # readers are in nobody's way
    other.close()
    database.close()


def test_two_who_open_it_first_make_the_tables_once(tmp_path, database_url):
    def opened(_: int) -> None:
        database = open_database(tmp_path, database_url)
        claim(database, "study")
        database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(opened, range(4)))
    database = open_database(tmp_path, database_url)
    assert kept(database, "study_id") == "study"
    database.close()


def test_another_studys_database_is_refused(database):
    claim(database, "one")
    claim(database, "one")
    with pytest.raises(RunError, match="another study"):
        claim(database, "two")


def test_a_writer_that_waits_too_long_hears_that_it_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    database = open_database(tmp_path)
    other = sqlite3.connect(tmp_path / engine.SQLITE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError):
        keep(database, "a", "1")
    with pytest.raises(OutputError, match="locked"):
        claim(database, "study")
    other.execute("ROLLBACK")
    other.close()
    keep(database, "a", "1")
    database.close()


def test_who_waits_too_long_for_its_turn_hears_so_and_is_in_nobodys_way_afterwards(tmp_path, monkeypatch):
    """Queues of several servers: the one in front was stopped, and goes on later."""
    stopped, here, other = (open_database(tmp_path) for _ in range(3))
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    with stopped.write() as found:
        for _ in range(2):
            with pytest.raises(BusyError, match="another process"):
                keep(here, "a", "1")
        found.add(Setting(name="b", value="1"))
    for database in (stopped, other, here, stopped):
        keep(database, "c", "1")
    assert (kept(here, "a"), kept(here, "b"), kept(here, "c")) == (None, "1", "1")
    for database in (stopped, here, other):
        database.close()


def test_a_study_that_is_there_is_opened_although_somebody_holds_it(tmp_path, database_url, monkeypatch):
    stopped = open_database(tmp_path, database_url)
    claim(stopped, "one")
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    with stopped.write() as found:
        stopped.lock_assignment(found)
        here = open_database(tmp_path, database_url)
        claim(here, "one")
        assert kept(here, "study_id") == "one"
        here.close()
    stopped.close()


def test_whoever_leaves_a_queue_in_which_they_wait_lets_the_others_go_on(tmp_path, monkeypatch):
    stopped, here = open_database(tmp_path), open_database(tmp_path)
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    with stopped.write():
        with pytest.raises(BusyError):
            keep(here, "a", "1")
        here.close()
    keep(stopped, "a", "2")
    stopped.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lock_of_postgresql_that_is_never_given_back_is_not_waited_for(tmp_path, database_url, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    stopped, here = open_database(tmp_path, database_url), open_database(tmp_path, database_url)
    with stopped.write() as found:
        stopped.lock_assignment(found)
        with pytest.raises(BusyError, match="lock timeout"), here.write() as mine:
            here.lock_assignment(mine)
    with here.write() as mine:
        here.lock_assignment(mine)
    stopped.close()
    here.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_closes_its_connections_is_busy_once_and_then_there_again(database):
    keep(database, "a", "1")
    with database.write() as found:
        number = found.scalar(text("SELECT pg_backend_pid()"))
    other = Database(database.url)
    with other.reading() as found:
        found.execute(text("SELECT pg_terminate_backend(:number, 1000)"), {"number": number})
    other.close()
    with pytest.raises(BusyError):
        keep(database, "a", "2")
    keep(database, "a", "3")
    assert kept(database, "a") == "3"


def test_a_password_is_in_no_sentence(tmp_path):
    url = "postgresql://me:hunter2@127.0.0.1:1/none"
    with pytest.raises(OutputError) as told:
        open_database(tmp_path, url)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("url", ["no address", "mysql://a/b", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_is_none_is_refused(tmp_path, url):
    with pytest.raises(ConfigError):
        parse_url(tmp_path, url)


def test_a_file_that_cannot_be_opened_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "junk.db").write_bytes(b"junk" * 2000)
    for place in (tmp_path / "nowhere" / "study.db", tmp_path / "junk.db", tmp_path):
        with pytest.raises(CgevalError, match="cannot be opened"):
            open_database(tmp_path, f"sqlite:///{place}")


def test_writers_of_statements_and_of_objects_are_the_same(database):
    with database.writing() as found:
        found.execute(
            Event.__table__.insert(), {"session_id": None, "at": "now", "kind": "started", "detail": {"a": 1}}
        )
    with database.read() as found:
        assert found.scalars(select(Event.detail)).one() == {"a": 1}
