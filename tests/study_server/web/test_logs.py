"""The server's log: one line a request by any number of processes, of bounded size, and nothing of anybody."""

import json
import logging
import multiprocessing

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from study_server.web import logs
from study_server.web.logs import KEPT, LogFile


@pytest.fixture
def folder(tmp_path):
    logs.write_to(tmp_path)
    yield tmp_path
    logs.close()


def write(path, name: int, lines: int, largest: int) -> None:
    file = LogFile(path, largest)
    for number in range(lines):
        file.write(f"{name} {number} {'x' * 80}")
    file.close()


def test_a_large_log_begins_anew_and_the_oldest_goes(tmp_path):
    path = tmp_path / "server.log"
    write(path, 0, 200, 1000)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["server.log", *(f"server.log.{i}" for i in range(1, KEPT + 1))]
    assert all(file.stat().st_size < 1200 for file in files)
    assert path.read_text().splitlines()[-1].startswith("0 199 ")
    assert path.stat().st_mode & 0o077 == 0


def test_several_processes_lose_no_line_while_it_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "KEPT", 1000)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(tmp_path / "server.log", i, 300, 4000)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert sorted(line.rsplit(" ", 1)[0] for line in lines) == sorted(f"{i} {j}" for i in range(4) for j in range(300))
    assert len(list(tmp_path.iterdir())) > 10


def test_a_log_that_was_moved_away_is_made_anew(folder):
    logs.note("one")
    (folder / logs.FILE).rename(folder / "elsewhere")
    logs.note("two")
    assert json.loads((folder / logs.FILE).read_text())["kind"] == "two"


def test_what_cannot_be_written_fails_nobody(folder):
    (folder / logs.FILE).unlink()
    (folder / logs.FILE).mkdir()
    logs.note("lost")


def test_trouble_stands_on_the_error_stream_too(folder, capsys):
    logs.note("quiet")
    logs.trouble("unhealthy", error="busy")
    assert capsys.readouterr().err.endswith(" unhealthy busy\n")


def test_requests_do_where_it_is_asked_for(folder, capsys):
    logs.write_to(folder, verbose=True)
    logs.note("request", method="GET", status=200)
    assert capsys.readouterr().err.endswith(" request GET 200\n")


def test_a_failure_names_no_value_that_the_database_was_given(folder):
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a TEXT UNIQUE)"))
        insert = text("INSERT INTO t VALUES (:a)")
        who = {"a": "".join(["some", "body"])}  # not to be found in this file's lines, which a traceback shows
        connection.execute(insert, who)
        with pytest.raises(IntegrityError) as caught:
            connection.execute(insert, who)
    assert "somebody" in str(caught.value)
    logs.failure("1", caught.value)
    line = (folder / logs.FILE).read_text()
    assert "UNIQUE constraint failed" in line
    assert "somebody" not in line


def test_what_waitress_says_names_no_address(folder):
    logging.getLogger("waitress").warning("Exception while serving %s", "/api/stimuli/token")
    line = (folder / logs.FILE).read_text()
    assert json.loads(line)["kind"] == "connections"
    assert "token" not in line
