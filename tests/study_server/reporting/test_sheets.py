"""Programs get the numbers as they were computed, with what they are of in every row."""

import csv
import io
import json

import pytest

from study_server.reporting.report import make_report
from study_server.reporting.sheets import as_csv, as_json


@pytest.fixture(scope="module")
def report(judged):
    return make_report(judged, margin=0.1)


def rows_of(report, name):
    return list(csv.DictReader(io.StringIO(as_csv(report)[name])))


def test_json_has_the_numbers_of_the_analysis(report):
    told = json.loads(as_json(report))
    one, two = (arm["estimate"] for arm in told["arms"])
    assert (one["fooling_rate"], two["fooling_rate"]) == (0.5, 1 / 16)
    assert [one["interval"]["low"], one["interval"]["high"]] == [
        report.analysis.estimates["one"].interval.low,
        report.analysis.estimates["one"].interval.high,
    ]
    assert one["per_participant"][0] == {"fooled": 3, "trials": 4}
    assert one["closer"]["practice"]["value"] == 0.0
    assert one["equivalence"]["margin"] == 0.1
    assert sum(image["judged"] for image in one["images"]) == 16
    assert told["study"]["preset"] == "zhu2017"
    assert told["study"]["finished"] is True
    assert told["contrasts"][0]["difference"] == 0.5 - 1 / 16


def test_every_row_of_csv_says_which_study_and_protocol_it_is_of(report):
    for name in as_csv(report):
        for row in rows_of(report, name):
            assert (row["study"], row["preset"], row["asked"]) == (report.judged.study_id, "zhu2017", "real")


def test_csv_has_rates_as_fractions_and_all_images(report):
    rates = rows_of(report, "rates.csv")
    assert [float(row["fooling_rate"]) for row in rates] == [0.5, 1 / 16]
    assert [row["participants"] for row in rates] == ["4", "4"]
    assert len(rows_of(report, "images.csv")) == 16
    assert len(rows_of(report, "contrasts.csv")) == 1


def test_tables_without_a_row_have_the_heads_of_those_with_one(report, study):
    empty, full = as_csv(make_report(study, unfinished=True)), as_csv(report)
    assert {name: text.splitlines()[0] for name, text in empty.items()} == {
        name: text.splitlines()[0] for name, text in full.items()
    }


def test_nobody_yet_is_null_and_empty_cells(study):
    report = make_report(study, unfinished=True)
    told = json.loads(as_json(report))
    assert [arm["estimate"] for arm in told["arms"]] == [None, None]
    assert told["study"]["lacking"] == {"one": 4, "two": 4}
    assert [row["fooling_rate"] for row in rows_of(report, "rates.csv")] == ["", ""]
    assert rows_of(report, "images.csv") == []
