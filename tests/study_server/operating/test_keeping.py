"""Copies that open, and identities that are gone."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cgeval.errors import ConfigError, OutputError
from study_server.operating.keeping import backup, purge_identities
from study_server.sessions.study import open_study
from study_server.store.models import Answer, Session
from tests.study_server.operating.answered import ALL, WANTED, copied, some_come
from tests.study_server.sessions.people import Person


def ask(file: Path, question: str) -> list[tuple]:
    with closing(sqlite3.connect(file)) as opened:
        return opened.execute(question).fetchall()


def identities(study) -> dict[str, str | None]:
    with study.database.read() as found:
        return dict(found.execute(select(Session.state, Session.identity)).all())


def test_a_copy_is_whole_and_one_file(study, tmp_path):
    some_come(study)
    backup(study.database, tmp_path / "new" / "copy.db")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy.db"]
    assert (tmp_path / "new" / "copy.db").stat().st_mode & 0o077 == 0
    assert ask(tmp_path / "new" / "copy.db", "PRAGMA integrity_check") == [("ok",)]
    assert ask(tmp_path / "new" / "copy.db", "SELECT count(*) FROM answers") == [(ALL + 2,)]


def test_a_copy_taken_while_answers_are_written_is_whole_and_has_all_that_were_acknowledged(study, tmp_path):
    people = [Person(study, f"person-{number}").come() for number in range(2 * WANTED)]
    kept, failed, begun = [0], [], threading.Event()

    def answer():
        try:
            for position in range(ALL):
                for one in people:
                    one.trial(position)
                    kept[0] += 1
                    begun.set()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=answer)
    thread.start()
    begun.wait(10)
    try:
        for number in range(4):
            least = kept[0]
            file = tmp_path / f"{number}.db"
            backup(study.database, file)
            assert ask(file, "PRAGMA integrity_check") == [("ok",)]
            assert ask(file, "PRAGMA foreign_key_check") == []
            assert least <= ask(file, "SELECT count(*) FROM answers")[0][0] <= kept[0] + 1
    finally:
        thread.join(20)
    assert failed == []


def test_a_copy_can_take_the_place_of_the_study_s_database(study, built, tmp_path):
    some_come(study)
    backup(study.database, tmp_path / "copy.db")
    other = copied(built, tmp_path / "restored")
    (tmp_path / "copy.db").rename(other / "study.db")
    restored = open_study(other)
    with restored.database.read() as found:
        assert found.scalar(select(func.count(Answer.id))) == ALL + 2
    restored.close()


def test_what_is_there_already_stays(study, tmp_path):
    (tmp_path / "there").write_text("older backup")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for file in (tmp_path / "there", tmp_path / "link", tmp_path):
        with pytest.raises(OutputError, match="there already"):
            backup(study.database, file)
    assert (tmp_path / "there").read_text() == "older backup"


def test_a_copy_that_fails_leaves_nothing(study, tmp_path, monkeypatch):
    monkeypatch.setattr("study_server.operating.keeping.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OutputError, match="full"):
        backup(study.database, tmp_path / "copies" / "copy.db")
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_place_that_cannot_be_is_told(study, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written into"):
        backup(study.database, tmp_path / "file" / "copy.db")


def test_postgresql_is_left_to_its_own_tools(built, tmp_path, postgres):
    study = open_study(copied(built, tmp_path), postgres)
    try:
        with pytest.raises(ConfigError, match="pg_dump"):
            backup(study.database, tmp_path / "copy")
    finally:
        study.close()
    assert not (tmp_path / "copy").exists()


def test_identities_go_but_for_sessions_under_way(study):
    some_come(study)
    assert purge_identities(study.database) == (3, 1)
    left = identities(study)
    assert left["MAIN"] is not None
    assert {left[state] for state in ("DONE", "DECLINED", "ENTERED")} == {None}
    assert purge_identities(study.database) == (0, 1)
    with study.database.read() as found:
        assert found.scalar(select(func.count(Answer.id))) == ALL + 2


def test_a_forgotten_identity_is_in_no_file(study):
    some_come(study)
    forgotten = identities(study)["DONE"].encode()
    files = [study.folder / "study.db", study.folder / "study.db-wal"]
    assert any(forgotten in file.read_bytes() for file in files)
    purge_identities(study.database)
    assert not any(forgotten in file.read_bytes() for file in files if file.exists())


def test_sessions_go_on_without_their_identities(study):
    entered = some_come(study)["entered"]
    purge_identities(study.database)
    entered.consent().prepare().finish()
    assert entered.view.state == "DONE"
