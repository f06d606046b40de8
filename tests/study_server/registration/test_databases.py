"""A registration on either database: frozen once, also by two at once, and held against what came after."""

import hashlib
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from cgeval.errors import OutputError, RunError
from study_server.analysis.analysis import Choices
from study_server.judged import read_judged
from study_server.registration import FILE, deviations, freeze, freezing, registered_choices
from study_server.reporting.report import make_report
from study_server.sessions.study import now_utc, open_study
from tests.study_server.operating.answered import all_come, build
from tests.study_server.sessions.people import Clock, Person


@pytest.fixture
def study(tmp_path):
    return build(tmp_path)


def frozen(study, database_url, **choices) -> str:
    _, digest = freeze(study, Choices(rules=read_judged(study, database_url).rules, **choices), database_url)
    return digest


def answer(study, database_url) -> None:
    with closing(open_study(study, database_url, clock=Clock(now_utc()))) as opened:
        all_come(opened)


def test_a_registered_study_is_answered_and_reported_without_deviation(study, database_url):
    digest = frozen(study, database_url, margin=0.2, level=0.9)
    answer(study, database_url)
    judged = read_judged(study, database_url)
    assert judged.registration == digest
    choices = registered_choices(judged)
    assert deviations(judged, choices) == ()
    assert deviations(judged, replace(choices, pairs=None)) == (), "all pairs were registered"
    assert deviations(judged, replace(choices, pairs=()))
    report = make_report(study, database_url)
    assert report.deviations == ()
    assert (report.analysis.choices.level, report.analysis.choices.margin) == (0.9, 0.2)
    assert [(arm.name, arm.finished) for arm in report.analysis.arms] == [("one", 2), ("two", 2)]


def test_an_early_look_is_written_down_and_told_next_time(study, database_url):
    frozen(study, database_url)
    with closing(open_study(study, database_url, clock=Clock(now_utc()))) as opened:
        Person(opened, "one").come().finish()
    assert make_report(study, database_url, unfinished=True).judged.looks == ()
    report = make_report(study, database_url, unfinished=True)
    (at,) = report.judged.looks
    told = sorted(each.partition(" has ")[2] for each in report.deviations if "registered" in each)
    assert told == [f"{found}, fewer than the 2 registered." for found in ("0 finished sessions", "1 finished session")]
    assert any(at[:19] in each for each in report.deviations)


def test_answers_that_are_there_already_are_too_early(study, database_url):
    answer(study, database_url)
    with pytest.raises(RunError, match="24 answers already"):
        frozen(study, database_url)
    assert not (study / FILE).exists()


def test_of_two_at_once_the_first_stays_and_the_second_is_told(study, database_url, monkeypatch):
    """The other one freezes between the reading and the writing of this one."""
    other = partial(frozen, study, database_url, seed=1)
    digests = []

    def meanwhile(folder):
        monkeypatch.setattr(freezing, "verify_study", lambda _: [])
        digests.append(other())
        return []

    monkeypatch.setattr(freezing, "verify_study", meanwhile)
    with pytest.raises(OutputError, match="registered once"):
        frozen(study, database_url, seed=2)
    assert digests == [hashlib.sha256((study / FILE).read_bytes()).hexdigest()]
    assert digests[0] in (study / "preregistration.md").read_text()
    assert read_judged(study, database_url).registration == digests[0]


@pytest.mark.parametrize("last_word", ["json", "markdown"])
def test_a_kill_in_the_middle_freezes_nothing_and_the_next_one_does(study, database_url, monkeypatch, last_word):
    """What is told last is the digest, in the database; until then files are none that count."""
    write, wanted = freezing.write_atomic, {"json": 0, "markdown": 1}[last_word]
    written = []

    def killed(path, data):
        if len(written) == wanted:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)

    monkeypatch.setattr(freezing, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        frozen(study, database_url)
    assert read_judged(study, database_url).registration == ""
    monkeypatch.setattr(freezing, "write_atomic", write)
    digest = frozen(study, database_url, seed=3)
    assert hashlib.sha256((study / FILE).read_bytes()).hexdigest() == digest
    assert digest in (study / "preregistration.md").read_text()
