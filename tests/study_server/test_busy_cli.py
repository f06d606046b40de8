"""Commands that write while somebody else holds the study's database, or while its disk is full: one sentence each."""

import sys
from pathlib import Path

import pytest

from study_server.cli import main
from study_server.sessions.study import open_study
from study_server.store import engine
from tests.study_server.operating.answered import build, copied
from tests.study_server.sessions.people import Person

WRITING = (
    ["report", "--unfinished"],
    ["status", "--show-rates"],
    ["prereg"],
    ["purge-ids", "--yes"],
    ["export", "--out", "OUT"],
)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("busy"))


def said(command, folder, monkeypatch, capsys) -> str:
    name, *options = (str(folder / "out") if word == "OUT" else word for word in command)
    monkeypatch.setattr(sys, "argv", ["study-server", name, str(folder), *options])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    (sentence,) = capsys.readouterr().err.strip().splitlines()
    return sentence


@pytest.mark.parametrize("command", WRITING, ids=lambda command: command[0])
def test_a_database_that_is_held_is_told_in_a_sentence(built, tmp_path, command, monkeypatch, capsys):
    folder = copied(built, tmp_path)
    study = open_study(folder)
    if command[0] != "prereg":
        Person(study, "one").come().finish()
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    with study.database.write():
        sentence = said(command, folder, monkeypatch, capsys)
    study.close()
    assert "try again" in sentence.lower()
    assert "is not free" in sentence or "is busy" in sentence
    assert not {"report", "out"} & {path.name for path in folder.iterdir()}
    assert not (folder / "preregistration.json").exists()


def test_a_full_disk_is_told_in_a_sentence_and_nothing_is_frozen(built, tmp_path, monkeypatch, capsys):
    folder = copied(built, tmp_path)

    def full(*_):
        raise engine.StorageError("database or disk is full")

    monkeypatch.setattr(engine.Database, "lock_assignment", full)
    assert "(database or disk is full): make room" in said(["prereg"], folder, monkeypatch, capsys)
    assert not (folder / "preregistration.json").exists()
