"""A report is of the declared choices; who looks too early is told so, and it is written down."""

from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import select

from cgeval.errors import ConfigError, RunError
from study_server.analysis.analysis import Choices, analyse
from study_server.judged import read_judged
from study_server.registration import freeze
from study_server.reporting.facts import cautions, notes
from study_server.reporting.report import make_report
from study_server.store.engine import open_database
from study_server.store.models import Event
from tests.study_server.reporting.answered import answer


def looks(folder, database_url=None):
    with closing(open_database(folder, database_url)) as database, database.read() as found:
        return list(found.scalars(select(Event.kind)))


def test_a_complete_study_is_analysed_and_nothing_is_written_down(complete):
    report = make_report(complete, command="study-server report noise")
    assert {name: each.rate for name, each in report.analysis.estimates.items()} == {"one": 0.5, "two": 1 / 16}
    assert report.command == "study-server report noise"
    assert report.created_at.endswith("Z")
    assert looks(complete) == []


def test_an_unfinished_study_is_not_shown_and_the_sentence_says_how_it_would_be(study):
    answer(study, {"one": [1, 2, 3, 4], "two": [0]})
    with pytest.raises(ConfigError, match=r"not finished \(two has 1 of 4 participants\).*--unfinished"):
        make_report(study)
    assert looks(study) == []


def test_who_looks_all_the_same_is_written_down_each_time(study, database_url):
    answer(study, {"one": [1, 2, 3, 4], "two": [0]}, database_url)
    first, second = (make_report(study, database_url, unfinished=True) for _ in range(2))
    assert first.analysis.estimates["two"].counts.participants == 1
    assert (len(first.judged.looks), len(second.judged.looks)) == (0, 1)
    assert looks(study, database_url) == ["rates_shown", "rates_shown"]


def test_where_nobody_has_come_there_is_a_report_without_numbers(study):
    report = make_report(study, unfinished=True)
    assert looks(study) == []  # there was nothing to see
    assert report.analysis.estimates == {}
    assert [arm.finished for arm in report.analysis.arms] == [0, 0]


def test_the_margin_is_the_registered_one_unless_another_is_given(study):
    freeze(study, Choices(rules=read_judged(study).rules, margin=0.2, level=0.9))
    answer(study, {"one": [3, 2, 2, 1], "two": [1, 0, 0, 0]})
    registered, own = make_report(study), make_report(study, margin=0.1)
    assert "All is as it was registered before anybody took part." not in notes(own)
    assert (registered.analysis.choices.margin, registered.analysis.choices.level) == (0.2, 0.9)
    assert own.analysis.choices.margin == 0.1
    assert not any("margin" in each for each in registered.deviations)
    assert any("margin" in each for each in own.deviations)


def test_what_is_no_study_is_told(tmp_path):
    with pytest.raises(RunError, match="is no study"):
        make_report(tmp_path)


def test_an_interval_that_is_combined_of_two_is_told(study):
    answer(study, {"one": [0, 0, 0, 0], "two": [2, 2, 2, 2]})
    assert any(
        each.startswith("one and two: few participants were fooled at all") for each in cautions(make_report(study))
    )


def test_whoever_is_excluded_altogether_is_told_once(study):
    rules = replace(read_judged(study).rules, fast_ms=200, fast_share=0.2)
    answer(study, {"one": [3, 2, 2, 1], "two": [1, 0, 0, 0]}, rt_ms=50)
    told = replace(read_judged(study), rules=rules)
    report = replace(make_report(study), judged=told, analysis=analyse(told.judgements, Choices(rules=rules)))
    assert cautions(report) == (
        "Of one nothing can be said: all 4 participants were excluded.",
        "Of two nothing can be said: all 4 participants were excluded.",
    )
