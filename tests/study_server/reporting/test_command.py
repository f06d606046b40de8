"""`study-server report` as it is typed."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cgeval.errors import ConfigError
from study_server.cli import study_server
from study_server.rehearsal.people import Crowd
from study_server.rehearsal.rehearse import rehearse
from study_server.reporting.report import make_report
from tests.study_server.reporting.answered import answer
from tests.study_server.small_study import small_study

RATES = {"good": 0.4, "middling": 0.25, "bad": 0.08}


def call(*words):
    return CliRunner().invoke(study_server, ["report", *map(str, words)])


def test_rates_are_printed_and_the_report_lies_in_the_study(complete):
    told = call(complete)
    assert told.exit_code == 0
    assert told.output.index("Fooling rate") < told.output.index("report.html")
    assert (complete / "report" / "report.html").stat().st_size > 1000
    assert (complete / "records" / "fooling_rate.jsonl").is_file()


def test_json_is_alone_on_the_output(complete, tmp_path):
    told = call(complete, "--json", "--margin", "0.1", "--out", tmp_path / "out")
    content = json.loads(told.stdout)
    assert content["analysis"]["margin"] == 0.1
    assert content["made"]["command"] == f"study-server report {complete} --margin 0.1"
    assert (tmp_path / "out" / "report.json").is_file()
    assert not (complete / "report").exists()


def test_an_unfinished_study_ends_with_a_sentence_and_nothing_is_written(study):
    answer(study, {"one": [1]})
    told = call(study)
    assert isinstance(told.exception, ConfigError)
    assert not (study / "report").exists()
    assert call(study, "--unfinished").exit_code == 0


def test_records_that_cannot_be_read_are_refused_before_anything_is_written(complete):
    (complete / "records").mkdir()
    (complete / "records" / "fooling_rate.jsonl").write_text("x\n")
    assert "is not JSON" in str(call(complete).exception)
    assert not (complete / "report").exists()


def test_a_place_that_is_taken_is_refused_before_anybody_looks(study, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert "more than a report" in str(call(study, "--unfinished", "--out", tmp_path / "mine").exception)
    assert make_report(study, unfinished=True).judged.looks == ()


def test_no_torch_and_no_server_is_imported(complete):
    script = (
        "import sys; from study_server.cli import study_server\n"
        f"study_server(['report', {str(complete)!r}], standalone_mode=False)\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = loaded & {'torch', 'torchvision', 'pandas', 'matplotlib', 'flask'}\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr


@pytest.mark.slow
def test_a_rehearsal_gives_back_the_rates_that_were_put_in(tmp_path):
    trials = {"practice": 2, "scored": 20}
    study = small_study(tmp_path, tuple(RATES), pairs=40, trials=trials)
    rehearse(study, 75, 2, Crowd(RATES), 0, lambda: None, tmp_path / "kept")
    analysis = make_report(tmp_path / "kept").analysis
    for name, rate in RATES.items():
        interval = analysis.estimates[name].interval
        assert interval.low <= rate <= interval.high
    assert sorted(RATES, key=lambda name: -analysis.estimates[name].rate) == list(RATES)
    assert all(each.difference > 0 for each in analysis.contrasts)
    good_bad = next(each for each in analysis.contrasts if (each.one, each.other) == ("good", "bad"))
    assert good_bad.adjusted < 0.05
