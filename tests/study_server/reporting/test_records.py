"""Fooling rates become records by the seal of the images; only what is new is added, and `cgeval compare` shows it."""

import shutil
from dataclasses import replace

from click.testing import CliRunner

from cgeval.cli import cgeval
from cgeval.compare.judgements import judged_images, rates_of_participants
from cgeval.records import current, read_records
from cgeval.runs import Run
from study_server.manifest import SIMULATED, read_manifest, write_manifest
from study_server.reporting.records import record_rates
from study_server.reporting.report import make_report
from tests.study_server.reporting.answered import answer
from tests.study_server.reporting.judged_runs import SET


def records_of(folder):
    return read_records(folder, "fooling_rate")


def test_a_record_says_what_a_comparison_needs(built, complete):
    record_rates(make_report(complete))
    one, two = records_of(complete)
    sealed = Run.open(built.parent.parent / "runs" / "one").image_set(SET)
    assert (one.value, one.n, two.value) == (0.5, 4, 1 / 16)
    assert (one.run_id, one.image_set, one.index_sha256) == ("one", SET, sealed.index_sha256)
    assert one.low < one.value < one.high
    assert one.interval == "Korn-Graubard over participants, 95 %"
    assert one.convention == {
        "preset": "zhu2017",
        "asked": "real",
        "exposure": "100 ms",
        "exclusions": "more than 20% of exposures flagged",
        "level": 0.95,
    }
    assert (one.extra["study"], one.extra["participants"]) == (read_manifest(complete).study_id, 4)


def test_what_people_did_can_be_read_back(built, complete):
    record_rates(make_report(complete))
    one, _ = records_of(complete)
    sealed = Run.open(built.parent.parent / "runs" / "one").image_set(SET)
    images = judged_images(one, complete)
    assert sorted(rates_of_participants(one, complete)) == [0.25, 0.5, 0.5, 0.75]
    assert set(images) == {row.id for row in sealed.rows}
    assert sum(each.fooled for each in images.values()) == 8


def test_ids_are_known_without_the_run_too(complete):
    manifest = read_manifest(complete)
    moved = tuple(replace(source, where="/nowhere") for source in manifest.algorithms)
    write_manifest(complete, replace(manifest, algorithms=moved))
    record_rates(make_report(complete))
    assert set(records_of(complete)[0].extra["per_image"]) == {f"{i:03}" for i in range(8)}


def test_the_same_numbers_are_recorded_once(complete):
    assert "2 added" in record_rates(make_report(complete))[0]
    assert "none was added" in record_rates(make_report(complete))[0]
    assert len(records_of(complete)) == 2


def test_other_numbers_supersede_the_earlier_ones(study):
    answer(study, {"one": [3, 2, 2, 1]})
    record_rates(make_report(study, unfinished=True))
    (early,) = records_of(study)
    assert "not finished" in early.interval
    assert early.extra["finished"] is False
    (study / "study.db").unlink()
    answer(study, {"one": [3, 2, 2, 1], "two": [1, 0, 0, 0]})
    record_rates(make_report(study))
    own = [record for record in records_of(study) if record.run_id == "one"]
    assert [each.superseded for each in current(own)] == [1]
    assert "not finished" not in own[-1].interval


def test_simulated_participants_are_told_wherever_the_number_goes(complete):
    write_manifest(complete, replace(read_manifest(complete), warnings=(SIMULATED,)))
    record_rates(make_report(complete))
    assert all(record.interval.endswith("; simulated participants") for record in records_of(complete))


def test_images_of_a_folder_have_no_record_and_that_is_told(complete):
    manifest = read_manifest(complete)
    one, two = manifest.algorithms
    write_manifest(complete, replace(manifest, algorithms=(one, replace(two, run_id="", index_sha256=""))))
    told = record_rates(make_report(complete))
    assert [record.run_id for record in records_of(complete)] == ["one"]
    assert any("none of two" in line for line in told)


def test_a_study_without_numbers_writes_nothing(study):
    assert record_rates(make_report(study, unfinished=True)) == []
    assert not (study / "records").exists()


def test_a_comparison_of_the_runs_has_the_column(built, complete, tmp_path, monkeypatch):
    record_rates(make_report(complete))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(built.parent.parent / "runs", tmp_path / "runs")
    call = ["compare", "--main", "runs/one", "--study", str(complete), "--yes", "--format", "csv"]
    told = CliRunner().invoke(cgeval, call, catch_exceptions=False)
    assert told.exit_code == 0
    assert "fooling_rate" in told.output
    assert "0.0625" in told.output
