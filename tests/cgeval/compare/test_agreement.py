"""Automatic numbers are held against people's, method by method and image by image, and only what may be is held."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cgeval.compare.agreement import OVER_METHODS
from cgeval.compare.agreement_tables import is_agreement
from cgeval.compare.gather import compare, find_subjects, runs_of_one_dataset
from cgeval.errors import DataError, RecordError
from cgeval.matrices import read_matrices
from cgeval.metrics import segmentation_scores
from cgeval.records import append_records, read_records
from cgeval.runs import Run
from tests.cgeval.compare.judged import IDS, METHODS, RATES, SKILLS, a_study, judge
from tests.cgeval.compare.runs_with_records import a_run, add_set, add_study, score

SCORES = ["pixel_accuracy", "class_accuracy", "class_iou"]
LABELS = ["CycleGAN", "CoGAN", "pix2pix", "Cycle alone"]


def compared(folder, **how):
    subjects = find_subjects(runs_of_one_dataset((), folder / "runs", None), "test", None)
    return compare(subjects, "test", agreement=True, **how)


def over(comparison, what, metric):
    (found,) = [each for each in comparison.agreements if (each.over, each.metric) == (what, metric)]
    return found


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Four methods, whose rates are in the order of their skills."""
    folder = tmp_path_factory.mktemp("judged")
    a_study(folder)
    return folder


@pytest.fixture(scope="module")
def agreed(judged):
    return compared(judged)


@pytest.fixture
def own(judged, tmp_path):
    """The same to be written into."""
    shutil.copytree(judged, tmp_path, dirs_exist_ok=True)
    return tmp_path


# Over methods


def test_every_automatic_number_of_the_judged_images_is_held_against_the_rates(agreed):
    found = [each.metric for each in agreed.agreements if each.over == OVER_METHODS]
    assert found == [*SCORES, "reconstruction_l1"]
    assert [point.label for point in over(agreed, OVER_METHODS, "class_iou").points] == LABELS


def test_what_ranks_as_people_do_agrees_and_of_errors_the_lower_is_the_better(agreed):
    for metric in (*SCORES, "reconstruction_l1"):
        found = over(agreed, OVER_METHODS, metric)
        assert (found.rho.value, found.tau.value) == pytest.approx((1, 1))
        assert found.p_value == pytest.approx(2 / 24)
    assert not over(agreed, OVER_METHODS, "reconstruction_l1").higher_is_better


def test_what_ranks_otherwise_does_not(own):
    study = own / "studies" / "streets"
    judge(study, dict(zip(METHODS, (0.3, 0.1, 0.2, 0.25), strict=True)))
    found = over(compared(own), OVER_METHODS, "class_iou")
    rates = dict(zip(("CycleGAN", "pix2pix", "Cycle alone", "CoGAN"), (0.3, 0.1, 0.2, 0.25), strict=True))
    values = [point.value for point in found.points]
    people = [rates[point.label] for point in found.points]
    assert found.rho.value == pytest.approx(stats.spearmanr(values, people).statistic)
    assert found.tau.value == pytest.approx(stats.kendalltau(values, people).statistic)


def test_methods_whose_numbers_are_far_apart_keep_their_places(agreed):
    """Participants differ by 0.04 and methods by 0.1; skills by more than images make out."""
    found = over(agreed, OVER_METHODS, "class_iou")
    assert (found.rho.low, found.rho.high) == pytest.approx((1, 1))


def test_participants_that_differ_much_open_the_interval(own):
    study = own / "studies" / "streets"
    for name, rate in zip(METHODS, RATES, strict=True):
        people = [0.0, 2 * rate] * 4
        judge(study, {name: rate}, participants=8, per_participant=people)
    found = over(compared(own), OVER_METHODS, "class_iou")
    assert found.rho.value == pytest.approx(1)
    assert found.rho.low < 0.9


def test_without_participants_rates_are_drawn_from_their_intervals(tmp_path):
    study = a_study(tmp_path, per_participant=None)
    narrow = over(compared(tmp_path), OVER_METHODS, "class_iou").rho
    assert narrow.low == pytest.approx(1)
    records = read_records(study)
    append_records(study, [replace(each, low=0.0, high=0.6) for each in records])
    wide = over(compared(tmp_path), OVER_METHODS, "class_iou").rho
    assert wide.low < 0.5
    append_records(study, [replace(each, low=None, high=None, interval=None) for each in records])
    sure = over(compared(tmp_path), OVER_METHODS, "class_iou").rho
    assert (sure.low, sure.high) == pytest.approx((1, 1))


def test_what_a_study_says_of_its_people_stands_beside_their_agreement(own):
    study = own / "studies" / "streets"
    told = "Korn-Graubard over participants, 95 %; simulated participants"
    append_records(study, [replace(each, interval=told) for each in read_records(study)])
    tables = [table for table in compared(own).tables if is_agreement(table)]
    assert len(tables) == 2
    assert {group.facts["people"] for table in tables for group in table.groups} == {told}


def test_an_interval_of_another_level_is_drawn_from_as_such(own):
    """The same ends are nearer to the middle, in standard deviations, where they hold less."""
    study = own / "studies" / "streets"
    lows = []
    for level in (0.999, 0.5):
        records = [
            replace(each, low=each.value - 0.1, high=each.value + 0.1, convention=each.convention | {"level": level})
            for each in read_records(study)[:4]
        ]
        bare = [replace(each, extra={"study": each.extra["study"], "preset": level}) for each in records]
        append_records(study, bare)
        found = [each for each in compared(own).agreements if (each.over, each.metric) == (OVER_METHODS, "class_iou")]
        lows += [each.rho.low for each in found if each.study.convention.get("level") == level]
    assert lows[1] < lows[0]


def test_people_who_are_all_alike_are_no_certainty(own):
    """Of participants of one rate each draw is the same; the study's own interval knows better."""
    study = own / "studies" / "streets"
    for name, rate in zip(METHODS, RATES, strict=True):
        judge(study, {name: rate}, per_participant=[rate] * 20)
    records = read_records(study)[-4:]
    append_records(study, [replace(each, low=0.0, high=0.6) for each in records])
    assert over(compared(own), OVER_METHODS, "class_iou").rho.low < 0.5


def test_two_methods_have_no_order_and_a_note_says_so(tmp_path):
    a_study(tmp_path, 2)
    comparison = compared(tmp_path)
    found = over(comparison, OVER_METHODS, "class_iou")
    assert (found.rho, found.tau, found.p_value) == (None, None, None)
    told = [note for note in comparison.notes if "no agreement over methods" in note]
    assert told == [
        "Agreement with people, labels -> photo (study streets, preset zhu2017), no agreement over methods for "
        "per-pixel accuracy, per-class accuracy, class IoU and reconstruction error (L1): 2 methods with both, and 3 "
        "are needed."
    ]
    assert not [table for table in comparison.tables if table.title.endswith("over methods")]


def test_rates_that_are_all_the_same_have_no_order(own):
    study = own / "studies" / "streets"
    judge(study, dict.fromkeys(METHODS, 0.2))
    assert any("people were fooled by all 4 methods alike" in note for note in compared(own).notes)


def test_images_of_the_arms_keep_no_two_methods_out_of_one_column(own):
    """Each arm shows other images of its set; a fooling rate is over people."""
    study = own / "studies" / "streets"
    records = read_records(study)
    for i, record in enumerate(records):
        shown = {IDS[i]: [1, 4], IDS[i + 1]: [2, 4], IDS[i + 2]: [1, 5]}
        append_records(study, [replace(record, extra={**record.extra, "per_image": shown})])
    comparison = compared(own)
    columns = [group for group in comparison.tables[0].groups if group.protocol == "fooling_rate"]
    assert len(columns) == 1
    assert len(over(comparison, OVER_METHODS, "class_iou").points) == 4


def test_other_presets_are_never_pooled(tmp_path):
    study = a_study(tmp_path, 3)
    fourth = a_run(tmp_path / "runs" / "other", "CoGAN", ids=IDS)
    score(fourth, skill=0.3)
    judge(study, {"other": 0.3}, preset="isola2017")
    comparison = compared(tmp_path)
    counts = [len(each.points) for each in comparison.agreements if (each.over, each.metric) == ("methods", SCORES[0])]
    assert sorted(counts) == [1, 3]


def test_what_was_measured_otherwise_is_a_row_of_its_own(own):
    for name in METHODS:
        score(Run.open(own / "runs" / name), scorer="other")
    comparison = compared(own)
    (table,) = [table for table in comparison.tables if table.title.endswith("over methods")]
    labels = [row.label for row in table.rows]
    assert len(labels) == len(set(labels)) == 7
    assert any(label.startswith("class IoU (scorer") for label in labels)


def test_numbers_of_the_direction_that_nobody_judged_are_not_held(own):
    for name, skill in zip(METHODS, SKILLS, strict=True):
        run = Run.open(own / "runs" / name)
        add_set(run, "BtoA", IDS)
        score(run, "test_BtoA", skill=skill)
    assert {each.study.direction for each in compared(own).agreements} == {"AtoB"}
    assert len([each for each in compared(own).agreements if each.over == OVER_METHODS]) == 4


# Over images


def test_each_images_own_accuracy_is_held_against_how_often_it_fooled(judged, agreed):
    found = over(agreed, "pix2pix", "pixel_accuracy")
    run = Run.open(judged / "runs" / "pix2pix")
    record = next(each for each in read_records(run.path) if each.metric == "pixel_accuracy")
    matrices = read_matrices(run.path, record)["run"]
    own = dict(zip(matrices.ids, segmentation_scores(matrices.matrices, "cityscapes").pixel_accuracy, strict=True))
    judged_record = next(each for each in read_records(judged / "studies" / "streets") if each.run_id == "pix2pix")
    people = {name: fooled / n for name, (fooled, n) in judged_record.extra["per_image"].items()}
    assert {point.label: (point.value, point.rate) for point in found.points} == {
        name: (pytest.approx(own[name]), people[name]) for name in IDS
    }
    values, rates = [own[name] for name in IDS], [people[name] for name in IDS]
    assert found.rho.value == pytest.approx(stats.spearmanr(values, rates).statistic)
    assert found.tau.value == pytest.approx(stats.kendalltau(values, rates).statistic)
    assert found.rho.low < found.rho.value < found.rho.high


def test_reconstruction_errors_are_held_by_image_too(judged, agreed):
    found = over(agreed, "CycleGAN", "reconstruction_l1")
    record = next(each for each in read_records(judged / "runs" / "streets") if each.metric == "reconstruction_l1")
    values = np.array([record.extra["per_image"][point.label] for point in found.points])
    rates = [point.rate for point in found.points]
    assert found.rho.value == pytest.approx(-stats.spearmanr(values, rates).statistic)


def test_only_images_that_have_both_are_held(own):
    study = own / "studies" / "streets"
    record = next(each for each in read_records(study) if each.run_id == "streets")
    judged_ones = {IDS[0]: [1, 4], IDS[1]: [2, 4], IDS[2]: [0, 5], IDS[3]: [0, 0], "gone": [1, 2]}
    append_records(study, [replace(record, extra={**record.extra, "per_image": judged_ones})])
    comparison = compared(own)
    assert [point.label for point in over(comparison, "CycleGAN", "class_iou").points] == list(IDS[:3])


def test_few_images_and_few_judgements_are_told(agreed, tmp_path):
    (table,) = [table for table in agreed.tables if table.title.endswith("over images")]
    assert table.footnotes[0].startswith("Judgements of each image, on average: CycleGAN 10.0; ")
    assert table.footnotes[1].startswith("Look out: fewer than 30 images")
    assert "pix2pix (12)" in table.footnotes[1]
    assert len(table.footnotes) == 2
    ids = tuple(f"street/{i:03}" for i in range(40))
    a_study(tmp_path, ids=ids, per_image={name: [i % 4, 3 + i % 2] for i, name in enumerate(ids)})
    (table,) = [table for table in compared(tmp_path).tables if table.title.endswith("over images")]
    assert len(table.footnotes) == 2
    assert table.footnotes[1].startswith("Look out: fewer than 5 judgements of each image")


def test_a_study_that_kept_nothing_by_image_is_held_over_methods_only(tmp_path):
    a_study(tmp_path, per_image=None, per_participant=None, study=None, preset=None)
    comparison = compared(tmp_path)
    assert {each.over for each in comparison.agreements} == {OVER_METHODS}
    (told,) = [note for note in comparison.notes if "no agreement over the images" in note]
    assert "of CycleGAN, CoGAN, pix2pix and Cycle alone" in told
    assert "evaluate the study" in told


def test_the_same_files_give_the_same_numbers(judged, agreed):
    assert json.dumps(compared(judged).agreements, default=vars) == json.dumps(agreed.agreements, default=vars)


# What cannot be


def test_without_a_study_of_these_images_it_is_an_error(tmp_path):
    score(a_run(tmp_path / "runs" / "streets"))
    with pytest.raises(DataError, match="no study has judged these images"):
        compared(tmp_path)


def test_nonsense_in_a_study_is_one_sentence(tmp_path):
    a_study(tmp_path, per_image={IDS[0]: [3, 2]})
    with pytest.raises(RecordError, match=r"has \[3, 2\] for 'street/000'"):
        compared(tmp_path)


def test_nobody_asks_nothing_is_held(own):
    subjects = find_subjects(runs_of_one_dataset((), own / "runs", None), "test", None)
    comparison = compare(subjects, "test")
    assert comparison.agreements == ()
    assert not any(is_agreement(table) for table in comparison.tables)


def test_records_of_a_study_as_older_versions_wrote_them_are_enough(tmp_path):
    runs = [a_run(tmp_path / "runs" / name, method) for name, method in (("a", "cyclegan"), ("b", "x"), ("c", "y"))]
    for run, skill in zip(runs, SKILLS, strict=False):
        score(run, skill=skill)
    add_study(tmp_path / "studies" / "s", [(run, "test_AtoB", rate) for run, rate in zip(runs, RATES, strict=False)])
    assert over(compared(tmp_path), OVER_METHODS, "class_iou").rho.value == pytest.approx(1)
