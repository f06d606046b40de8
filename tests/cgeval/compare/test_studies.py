"""Fooling rates are found beside the runs; a study that is named must be of these images."""

import pytest

from cgeval.compare.studies import find_studies, read_studies
from cgeval.compare.subjects import find_subjects
from cgeval.errors import DataError
from tests.cgeval.compare.runs_with_records import OTHER_IDS, a_run, add_study, score, seal_again


@pytest.fixture
def subjects(tmp_path):
    return find_subjects([a_run(tmp_path / "runs" / "r")], "test", None)


def test_studies_lie_beside_the_folder_of_runs_or_here_and_are_found_once(tmp_path, subjects, monkeypatch):
    run = subjects[0].run
    beside = [add_study(tmp_path / "studies" / name, [(run, "test_AtoB", 0.1)]) for name in ("b", "a")]
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    assert find_studies(subjects) == (beside[1], beside[0])
    own = add_study(here / "studies" / "mine", [(run, "test_AtoB", 0.1)])
    assert {path.resolve() for path in find_studies(subjects)} == {*beside, own}
    monkeypatch.chdir(tmp_path)
    assert len(find_studies(subjects)) == 2


def test_without_studies_there_are_no_fooling_rates(tmp_path, subjects, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_studies(subjects) == ()
    assert read_studies(subjects, None) == {}


def test_a_named_study_is_the_only_one_that_is_read(tmp_path, subjects):
    run = subjects[0].run
    one, two = (add_study(tmp_path / "studies" / name, [(run, "test_AtoB", 0.1)]) for name in ("one", "two"))
    assert list(read_studies(subjects, None)) == [one, two]
    assert list(read_studies(subjects, two)) == [two]


def test_only_fooling_rates_are_read(tmp_path, subjects):
    run = subjects[0].run
    study = add_study(tmp_path / "studies" / "s", [(run, "test_AtoB", 0.1)])
    add_study(study, [(run, "test_AtoB", 0.9)], protocol="agreement")
    assert [record.value for record in read_studies(subjects, None)[study]] == [0.1]


def test_a_named_study_of_other_images_is_refused(tmp_path, subjects):
    other = a_run(tmp_path / "runs" / "other", ids=OTHER_IDS)
    study = add_study(tmp_path / "studies" / "s", [(other, "test_AtoB", 0.1), (other, "test_BtoA", 0.1)])
    with pytest.raises(DataError, match=r"judges other images than are compared \(other/test_AtoB, other/test_BtoA"):
        read_studies(subjects, study)
    assert read_studies(subjects, None)[study]  # what merely lies there does no harm


def test_a_named_study_of_images_that_were_replaced_is_refused(tmp_path, subjects):
    study = add_study(tmp_path / "studies" / "s", [(subjects[0].run, "test_AtoB", 0.1)])
    seal_again(subjects[0].run)
    with pytest.raises(DataError, match="judges other images"):
        read_studies(find_subjects([subjects[0].run], "test", None), study)


def test_a_study_that_is_not_there_or_has_no_rate_yet_is_told(tmp_path, subjects):
    with pytest.raises(DataError, match="there is no study at"):
        read_studies(subjects, tmp_path / "nowhere")
    score(subjects[0].run)
    with pytest.raises(DataError, match="has no fooling rate in its records yet"):
        read_studies(subjects, subjects[0].run.path)
