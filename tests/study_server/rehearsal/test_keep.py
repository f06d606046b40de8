"""A rehearsal's copy can be kept: it is a study of its own, finished, and says that nobody real answered."""

import pytest
from click.testing import CliRunner

from cgeval.errors import OutputError
from study_server.analysis.analysis import Choices
from study_server.building.verify import verify_study
from study_server.cli import study_server
from study_server.judged import read_judged
from study_server.manifest import read_manifest
from study_server.registration import deviations, freeze, registered_choices
from study_server.rehearsal.people import Crowd
from study_server.rehearsal.rehearse import rehearse
from tests.study_server.small_study import small_study

PEOPLE, ANSWERS = 6, 5


def files_of(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    trials = {"practice": 1, "scored": ANSWERS - 1}
    study = small_study(tmp_path_factory.mktemp("keep"), pairs=8, trials=trials, participants={"per_algorithm": 50})
    freeze(study, Choices(read_judged(study).rules, margin=0.2))
    return study


@pytest.fixture(scope="module")
def rehearsed(built, tmp_path_factory):
    """The kept folder, what was found, and whether the study was left alone."""
    keep = tmp_path_factory.mktemp("kept") / "study"
    before = files_of(built)
    found = rehearse(built, PEOPLE, 2, Crowd({"one": 1.0, "two": 0.0}), 0, lambda: None, keep)
    return keep, found, files_of(built) == before


def test_the_copy_is_a_finished_study_of_its_own(built, rehearsed):
    keep, found, _ = rehearsed
    before, kept, judged = read_manifest(built), read_manifest(keep), read_judged(keep)
    assert verify_study(keep) == []
    assert kept.study_id != before.study_id
    assert kept.stimuli == before.stimuli
    assert not any(file.is_symlink() for file in keep.rglob("*"))
    assert judged.states == {"DONE": PEOPLE}
    assert judged.unfinished == {}
    assert judged.judgements.fooled.sum() == found.arms["one"] * ANSWERS


def test_it_is_evaluated_as_was_registered_and_deviates_from_nothing(rehearsed):
    judged = read_judged(rehearsed[0])
    choices = registered_choices(judged)
    assert choices == Choices(judged.rules, margin=0.2, pairs=(("one", "two"),))
    assert judged.registration == ""
    assert deviations(judged, choices) == ()


def test_it_says_that_its_participants_are_simulated(built, rehearsed):
    assert read_manifest(rehearsed[0]).is_simulated
    assert not read_manifest(built).is_simulated


def test_the_study_itself_is_not_touched(rehearsed):
    keep, _, is_untouched = rehearsed
    assert is_untouched
    assert [file.name for file in keep.parent.iterdir()] == ["study"]


def test_what_is_there_already_is_refused_before_anybody_comes(built, tmp_path):
    told = CliRunner().invoke(study_server, ["rehearse", str(built), "--keep", str(tmp_path)])
    assert isinstance(told.exception, OutputError)
    assert "is there already" in str(told.exception)


def test_an_export_of_it_says_so_beside_the_files_which_do_not(rehearsed, tmp_path):
    words = ["export", str(rehearsed[0]), "--out", str(tmp_path / "out"), "--format", "amt"]
    told = CliRunner().invoke(study_server, words)
    assert told.exit_code == 0
    assert "the participants are simulated" in told.stderr
