"""What people did is read where a study wrote it, missed quietly where it did not, and refused where it is nonsense."""

from dataclasses import replace
from pathlib import Path

import pytest

from cgeval.compare.judgements import Judged, judged_images, rates_of_participants
from cgeval.errors import RecordError
from cgeval.records import Record

STUDY = Path("studies/s")
RECORD = Record("fooling_rate", "fooling_rate", 0.2, 3, "r", "test_AtoB", "0" * 64, "2026-01-01T00:00:00Z", "me")


def with_extra(**extra):
    return replace(RECORD, extra=extra)


def test_what_is_not_there_is_not_known():
    assert rates_of_participants(RECORD, STUDY) is None
    assert judged_images(RECORD, STUDY) is None


def test_participants_and_images_are_read():
    assert rates_of_participants(with_extra(per_participant=[0.1, 0.2, 0.3]), STUDY).tolist() == [0.1, 0.2, 0.3]
    found = judged_images(with_extra(per_image={"a": [1, 4], "b": [0, 0], "c": [3, 3]}), STUDY)
    assert found == {"a": Judged(1, 4), "c": Judged(3, 3)}
    assert [each.rate for each in found.values()] == [0.25, 1]


@pytest.mark.parametrize("rates", [[0.9, 0.9, 0.8], [0.2]])
def test_participants_whose_mean_is_another_rate_or_who_are_alone_are_left_out(rates):
    assert rates_of_participants(with_extra(per_participant=rates), STUDY) is None


@pytest.mark.parametrize("rates", ["many", [0.1, "x"], [0.1, 20], [True, False], {"a": 0.1}])
def test_rates_that_are_none_are_refused(rates):
    with pytest.raises(RecordError, match=r"per_participant of test_AtoB in studies/s is no list of fractions"):
        rates_of_participants(with_extra(per_participant=rates), STUDY)


@pytest.mark.parametrize("pair", [[2, 1], [1], [1, 2, 3], [0.5, 2], [-1, 2], [True, 2], 0.3, "1/2", None])
def test_judgements_that_are_none_are_refused(pair):
    with pytest.raises(RecordError, match=r"per_image of test_AtoB in studies/s has .* for 'a', and \[fooled, judg"):
        judged_images(with_extra(per_image={"a": pair}), STUDY)


def test_a_list_of_images_is_refused():
    with pytest.raises(RecordError, match="is no mapping of ids"):
        judged_images(with_extra(per_image=[[1, 2]]), STUDY)
