"""Differences have a sign that can be read off an example, Holm's p-values are the textbook's, ids pair images."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.compare.differences import corrected, differences, has_matrices, holm, per_image, resample
from cgeval.compare.measures import alike, measured
from cgeval.compare.subjects import find_subjects
from cgeval.errors import RecordError
from cgeval.matrices import Matrices, write_matrices
from cgeval.metrics import PairedDifference, paired_bootstrap
from cgeval.records import Record, append_records, read_records
from tests.cgeval.compare.runs_with_records import IDS, OTHER_IDS, a_run, matrices_of, reconstruct, score

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def everything(*runs):
    """What is measured of each run, by the subject's label."""
    subjects = find_subjects(runs, "test", None)
    return {each.label: measured(each, read_records(each.run.path), each.run.path) for each in subjects}


# Holm


def test_holm_is_the_textbooks_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_difference_is_not_corrected_and_none_gives_none():
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(P_VALUES)
@settings(deadline=None, derandomize=True)
def test_holm_is_the_plain_transcription(p_values):
    """Reject the smallest at a / m, the next at a / (m - 1), ... until one is not: the least a that rejects each."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    expected = [0.0] * len(p_values)
    for rank, i in enumerate(order):
        steps = [(len(p_values) - k) * p_values[order[k]] for k in range(rank + 1)]
        expected[i] = min(1.0, max(steps))
    assert holm(p_values) == expected


@given(P_VALUES, st.randoms(use_true_random=False))
@settings(deadline=None, derandomize=True)
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p_values, random):
    adjusted = holm(p_values)
    for p_value, found in zip(p_values, adjusted, strict=True):
        assert p_value <= found <= min(1.0, len(p_values) * p_value)
    shuffled = list(range(len(p_values)))
    random.shuffle(shuffled)
    assert holm([p_values[i] for i in shuffled]) == [adjusted[i] for i in shuffled]


def test_differences_without_a_p_value_are_not_counted():
    found = {"a": PairedDifference(0.1, 0.0, 0.2, 0.02), "b": PairedDifference(0.1, None, None, None)}
    assert [each.holm for each in corrected(found).values()] == [0.02, None]


# Convention


def test_a_method_that_is_better_than_main_differs_by_more_than_0(tmp_path):
    main, better = a_run(tmp_path / "main"), a_run(tmp_path / "better", "pix2pix")
    score(main, skill=0.3)
    score(better, skill=0.9)
    found = everything(main, better)
    told = differences(resample([found["CycleGAN"][0], found["pix2pix"][0]]).resampled, "CycleGAN")
    assert list(told) == ["pix2pix"]
    for difference in told["pix2pix"].values():
        assert 0 < difference.low < difference.difference < difference.high
        assert difference.p_value == 2 / 5001  # the smallest of 5000 resamples


def test_a_reconstruction_that_is_worse_than_mains_has_a_larger_error_and_differs_by_more_than_0(tmp_path):
    main, worse = a_run(tmp_path / "main"), a_run(tmp_path / "worse", "other")
    reconstruct(main, error=0.1)
    reconstruct(worse, error=0.3)
    found = everything(main, worse)
    told = differences(resample([found["CycleGAN"][0], found["other"][0]]).resampled, "CycleGAN")
    assert told["other"]["reconstruction_l1"].low > 0


def test_without_main_among_them_there_is_no_difference(tmp_path):
    run = a_run(tmp_path / "r")
    score(run)
    assert differences(resample(everything(run)["CycleGAN"]).resampled, "pix2pix") == {}


# By image


def test_any_two_are_paired_as_the_paired_bootstrap_has_it(tmp_path):
    runs = [a_run(tmp_path / name, name) for name in ("one", "two", "three")]
    for run, skill in zip(runs, (0.5, 0.55, 0.7), strict=True):
        score(run, skill=skill)
    kept = [each[0] for each in everything(*runs).values()]
    matrices = {each.subject.label: per_image(each).values for each in kept}
    for label, found in differences(resample(kept).resampled, "two").items():
        alone = paired_bootstrap(matrices[label], matrices["two"], "cityscapes", resamples=5000)
        assert found == alone


def test_values_by_image_are_paired_by_id_and_not_by_their_order(tmp_path):
    main, other = a_run(tmp_path / "main"), a_run(tmp_path / "other", "other")
    record = reconstruct(main)
    backwards = dict(reversed(record.extra["per_image"].items()))
    image_set = other.image_set("test_AtoB")
    copy = vars(record) | {"image_set": image_set.name, "index_sha256": image_set.index_sha256}
    append_records(other.path, [Record(**copy | {"extra": record.extra | {"per_image": backwards}})])
    found = everything(main, other)
    (told,) = differences(resample([found["CycleGAN"][0], found["other"][0]]).resampled, "CycleGAN")["other"].values()
    assert (told.low, told.high, told.p_value) == (0, 0, 1)


def test_values_that_the_number_is_no_mean_of_are_not_paired(tmp_path):
    run = a_run(tmp_path / "r")
    record = reconstruct(run)
    for changes in ({"value": 0.5, "high": 0.6}, {"extra": {"per_image": {"one": record.value}}}, {"extra": {}}):
        append_records(run.path, [Record(**vars(record) | changes)])
        (each,) = everything(run)["CycleGAN"]
        assert per_image(each) is None
        assert resample([each]).resampled == {}


def test_matrices_that_are_gone_leave_a_score_unpaired_and_damaged_ones_are_told(tmp_path):
    runs = [a_run(tmp_path / "a"), a_run(tmp_path / "b", "b")]
    for run in runs:
        score(run)
    found = everything(*runs)
    (file,) = (runs[1].path / "records" / "matrices").iterdir()
    whole = file.read_bytes()
    file.unlink()
    assert not has_matrices(found["b"][0])
    assert list(resample([found["CycleGAN"][0], found["b"][0]]).resampled) == ["CycleGAN"]
    file.write_bytes(whole[:-30])
    with pytest.raises(RecordError, match=r"cannot be read .*: restore it, or score"):
        resample([found["CycleGAN"][0], found["b"][0]])


def test_matrices_without_those_of_the_run_and_values_that_are_no_numbers_are_told(tmp_path):
    run = a_run(tmp_path / "r")
    file = write_matrices(run.path, "other", {"real photos": Matrices(IDS, matrices_of(IDS, 0.9, "real"))})
    for record in score(run):
        append_records(run.path, [Record(**vars(record) | {"extra": record.extra | {"matrices": file}})])
    with pytest.raises(RecordError, match=r"pixel_accuracy of test_AtoB in .* has no matrices of 'run' behind it"):
        resample(everything(run)["CycleGAN"])
    other = a_run(tmp_path / "s")
    record = reconstruct(other)
    append_records(other.path, [Record(**vars(record) | {"extra": {"per_image": dict.fromkeys(IDS, "x")}})])
    with pytest.raises(RecordError, match=r"has a per_image of something else than numbers: measure it again"):
        resample(everything(other)["CycleGAN"])


def test_equal_truths_under_other_ids_are_not_paired(tmp_path):
    runs = [a_run(tmp_path / "a"), a_run(tmp_path / "b", "b", ids=OTHER_IDS)]
    convention = score(runs[0])[0].convention
    file = write_matrices(runs[1].path, "again", {"run": Matrices(OTHER_IDS, matrices_of(IDS, 0.6, "b"))})
    for record in score(runs[1]):
        changes = {"convention": convention, "extra": record.extra | {"matrices": file}}
        append_records(runs[1].path, [Record(**vars(record) | changes)])
    found = everything(*runs)
    assert alike(found["CycleGAN"][0].measure, found["b"][-1].measure)
    paired = resample([found["CycleGAN"][0], found["b"][-1]])
    assert list(paired.resampled) == ["CycleGAN"]
    (why,) = paired.notes
    assert re.search("^b, .*no paired difference to CycleGAN, since 16 ids", why)


def test_one_image_has_a_difference_without_interval_and_p_value(tmp_path):
    runs = [a_run(tmp_path / "a", ids=IDS[:1]), a_run(tmp_path / "b", "b", ids=IDS[:1])]
    for run, skill in zip(runs, (0.2, 0.8), strict=True):
        score(run, skill=skill)
    found = everything(*runs)
    told = differences(resample([found["CycleGAN"][0], found["b"][0]]).resampled, "CycleGAN")["b"]["pixel_accuracy"]
    assert told.difference > 0
    assert (told.low, told.high, told.p_value) == (None, None, None)
    assert np.isfinite(told.difference)
