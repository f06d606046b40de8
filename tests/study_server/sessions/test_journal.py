"""The journal has a line for each acknowledged answer, whatever the disk does."""

import errno
import json
import os

import pytest
from sqlalchemy import func, select

from study_server.sessions import journal
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import open_study
from study_server.store.models import Answer
from tests.study_server.sessions.people import Person
from tests.study_server.small_study import small_study


@pytest.fixture
def study(tmp_path):
    opened = open_study(small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4}))
    yield opened
    opened.close()


def numbers(study) -> list[int]:
    """Of the lines that are whole."""
    found = [journal._number(line) for line in study.journal.path.read_bytes().splitlines()]
    return [number for number in found if number is not None]


def full(taken: int):
    """A disk that takes so many bytes of the next line, and then none."""
    room = [taken]

    def write(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part, room[0] = data[: room[0]], 0
        return WRITE(file, part)

    return write


WRITE = os.write


@pytest.mark.parametrize("taken", [0, 30])
def test_an_answer_that_the_disk_does_not_take_is_not_acknowledged_until_it_does(study, monkeypatch, taken):
    one = Person(study, "one").come()
    one.trial(0)
    one.begin(1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full(taken))
        for _ in range(2):
            with pytest.raises(RefusedError, check=lambda error: (error.status, error.code) == (507, "storage")):
                one.answer(1)
    assert len(numbers(study)) == 1
    one.answer(1)
    assert numbers(study) == sorted(set(numbers(study)))
    assert len(numbers(study)) == 2
    with study.database.read() as found:
        assert found.scalar(select(func.count(Answer.id))) == 2


def test_what_is_owed_at_the_end_comes_when_the_study_is_opened_next(study, monkeypatch):
    one = Person(study, "one").come()
    one.begin(0)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full(0))
        with pytest.raises(RefusedError):
            one.answer(0)
    again = open_study(study.folder)
    assert len(numbers(again)) == 1
    again.close()


@pytest.mark.parametrize("cut", ["in the middle", "at the end", "empty"])
def test_lines_that_are_missing_or_cut_off_are_written_anew(study, monkeypatch, cut):
    monkeypatch.setattr(journal, "AT_ONCE", 2)
    Person(study, "one").come().finish()
    lines = study.journal.path.read_bytes().splitlines(keepends=True)
    kept = {
        "in the middle": lines[0] + lines[1][:40] + b"".join(lines[2:4]),
        "at the end": b"".join(lines[:5]) + lines[5][:-1],
        "empty": b"",
    }
    study.journal.path.write_bytes(kept[cut])
    again = open_study(study.folder)
    assert sorted(numbers(again)) == sorted(json.loads(line)["answer"] for line in lines)
    again.close()
    open_study(study.folder).close()
    assert len(numbers(study)) == len(lines), "what is there already is not written again"
