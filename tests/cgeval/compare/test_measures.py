"""Numbers stand side by side only if they were measured alike; what speaks of other images does not count."""

from dataclasses import replace

import pytest

from cgeval.compare.agreement_tables import title_of
from cgeval.compare.measures import NEWEST, Wanted, alike, family, measured, newest, stale
from cgeval.compare.subjects import find_subjects
from cgeval.metrics import METRICS
from cgeval.records import Record, append_records, read_records
from tests.cgeval.compare.runs_with_records import (
    EARLY,
    IDS,
    LATE,
    OTHER_IDS,
    SIZE,
    a_run,
    add_set,
    add_study,
    reconstruct,
    score,
    seal_again,
)


def subject_of(run):
    return find_subjects([run], "test", None)[0]


def found_in(run, folder=None):
    path = folder or run.path
    return measured(subject_of(run), read_records(path), path)


# What is found


def test_a_score_is_one_row_of_three_metrics(tmp_path):
    run = a_run(tmp_path / "r")
    records = score(run)
    (each,) = found_in(run)
    assert tuple(each.records) == each.measure.metrics == METRICS
    assert list(each.records.values()) == records
    measure = each.measure
    assert (measure.title, measure.protocol, measure.direction) == ("labels -> photo", "fcn-score-scorer-size", "AtoB")
    assert (measure.n, measure.size_px, measure.higher_is_better) == (len(IDS), SIZE, True)
    assert measure.convention == records[0].convention


def test_a_number_that_was_measured_again_counts_once_and_is_the_last(tmp_path):
    run = a_run(tmp_path / "r")
    score(run, skill=0.2, at=LATE)
    again = score(run, skill=0.7, at=EARLY)  # the order of the lines decides, not the clock
    (each,) = found_in(run)
    assert list(each.records.values()) == again
    assert each.superseded == 3


def test_numbers_of_replaced_images_do_not_count_and_are_told(tmp_path):
    run = a_run(tmp_path / "r")
    old = score(run)
    reconstruct(run)
    seal_again(run)
    assert found_in(run) == []
    assert [record.metric for record in stale(subject_of(run), read_records(run.path))] == [
        *METRICS,
        "reconstruction_l1",
    ]
    new = score(run, skill=0.7)
    (each,) = found_in(run)
    assert list(each.records.values()) == new != old
    assert each.superseded == 0  # the old ones are of other images
    assert [record.metric for record in stale(subject_of(run), read_records(run.path))] == ["reconstruction_l1"]


def test_an_older_number_of_the_present_images_counts_though_a_later_one_is_of_others(tmp_path):
    run = a_run(tmp_path / "r")
    (first, *_) = score(run)
    append_records(run.path, [replace(first, index_sha256="0" * 64)])
    (each,) = found_in(run)
    assert each.records["pixel_accuracy"] == first


def test_each_variant_has_its_own_numbers(tmp_path):
    run = a_run(tmp_path / "r", "gatys", directions=())
    for variant, skill in (("one", 0.2), ("two", 0.8)):
        score(run, add_set(run, variant=variant), skill=skill)
    one, two = find_subjects([run], "test", None)
    records = read_records(run.path)
    values = [measured(each, records, run.path)[0].record.value for each in (one, two)]
    assert values[0] < 0.4 < 0.6 < values[1]


def test_a_reconstruction_says_where_it_goes_and_that_lower_is_better(tmp_path):
    run = a_run(tmp_path / "r")
    reconstruct(run)
    reconstruct(run, "test_BtoA")
    titles = [each.measure.title for each in found_in(run)]
    assert titles == ["labels -> photo -> labels", "photo -> labels -> photo"]
    assert not found_in(run)[0].measure.higher_is_better


def test_a_fooling_rate_belongs_by_its_seal_and_keeps_its_study_apart(tmp_path):
    run = a_run(tmp_path / "runs" / "r")
    one, two = (add_study(tmp_path / "studies" / name, [(run, "test_AtoB", 0.3)]) for name in ("one", "two"))
    (first,), (second,) = found_in(run, one), found_in(run, two)
    assert first.measure.title == "labels -> photo, judged by people"
    assert first.measure.convention["study"] == "one"
    assert not alike(first.measure, second.measure)


def rated(study, run, name="test_AtoB", study_id=None):
    """The fooling rates that a study of that id has of the run, in its folder."""
    add_study(study, [(run, name, 0.3)])
    if study_id:
        *_, record = read_records(study)
        append_records(study, [replace(record, extra=record.extra | {"study": study_id})])
    return found_in(run, study)[-1].measure


@pytest.mark.parametrize(
    ("told", "people"),
    [({}, "people"), ({"simulated": True}, "simulated people"), ({"finished": False}, "people, unfinished")],
)
def test_what_a_fooling_rate_is_worth_stands_in_its_title(tmp_path, told, people):
    run = a_run(tmp_path / "runs" / "r")
    add_study(tmp_path / "streets", [(run, "test_AtoB", 0.3)])
    (record,) = read_records(tmp_path / "streets")
    append_records(tmp_path / "streets", [replace(record, extra=record.extra | told)])
    measure = found_in(run, tmp_path / "streets")[-1].measure
    assert measure.title == f"labels -> photo, judged by {people}"
    assert title_of(measure) == f"Agreement with {people}, labels -> photo (study streets)"


def test_two_studies_whose_folders_have_one_name_are_kept_apart(tmp_path):
    run = a_run(tmp_path / "runs" / "r")
    one, two = (rated(tmp_path / place / "streets", run) for place in ("studies", "elsewhere"))
    assert one.convention["study"] == two.convention["study"] == "streets"
    assert not alike(one, two)


def test_one_study_of_several_methods_is_one_measure_and_its_copy_is_told_by_its_id(tmp_path):
    runs = [a_run(tmp_path / "runs" / name) for name in ("r", "s")]
    one, two = (rated(tmp_path / "studies" / "streets", run) for run in runs)
    assert alike(one, two)
    here, there, other = (
        rated(tmp_path / place / "streets", run, study_id=study_id)
        for place, run, study_id in (("a", runs[0], "x1"), ("b", runs[1], "x1"), ("c", runs[1], "x2"))
    )
    assert alike(here, there)
    assert not alike(here, other)


def test_a_protocol_of_another_program_is_a_group_of_its_own(tmp_path):
    run = a_run(tmp_path / "r", dataset="maps")
    image_set = run.image_set("test_AtoB")
    texts = ("taste", "likes", 0.5, 2, "r", "test_AtoB", image_set.index_sha256, EARLY, "me 1")
    append_records(run.path, [Record(*texts)])
    (each,) = found_in(run)
    assert (each.measure.title, each.measure.size_px) == ("labels -> photo, taste", None)


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        ("fcn-score-paper", "score"),
        ("label-score", "score"),
        ("fooling-zhu2017", "fooling"),
        ("reconstruction", "reconstruction"),
        ("kid", "kid"),
    ],
)
def test_protocols_are_of_families(protocol, name):
    assert family(protocol) == name


# What is alike


@pytest.mark.parametrize("how", [{"scorer": "big"}, {"convention": "reference"}, {"protocol": "paper"}])
def test_what_was_measured_otherwise_is_not_alike(tmp_path, how):
    run = a_run(tmp_path / "r")
    score(run)
    score(run, **how)
    one, other = found_in(run)
    assert not alike(one.measure, other.measure)
    assert alike(one.measure, one.measure)


def test_images_of_another_size_are_not_alike(tmp_path):
    small, large = a_run(tmp_path / "small"), a_run(tmp_path / "large")
    score(small)
    score(large, size_px=(32, 32))
    assert not alike(found_in(small)[0].measure, found_in(large)[0].measure)


def test_other_images_are_not_alike_even_if_they_are_as_many(tmp_path):
    runs = [a_run(tmp_path / "a"), a_run(tmp_path / "b", ids=OTHER_IDS), a_run(tmp_path / "c", ids=IDS[:5])]
    for run in runs:
        score(run)
        reconstruct(run)
    first, *others = [found_in(run) for run in runs]
    for other in others:
        assert not any(alike(ours.measure, theirs.measure) for ours, theirs in zip(first, other, strict=True))


def test_people_may_have_answered_more_often_for_one_method_than_for_another(tmp_path):
    run = a_run(tmp_path / "runs" / "r")
    study = tmp_path / "studies" / "one"
    (few,) = found_in(run, add_study(study, [(run, "test_AtoB", 0.3)], n=24))
    (many,) = found_in(run, add_study(study, [(run, "test_AtoB", 0.3)], n=25))
    assert few.measure.n != many.measure.n
    assert alike(few.measure, many.measure)


def test_the_words_of_a_title_do_not_part_what_is_alike(tmp_path):
    run = a_run(tmp_path / "r")
    score(run)
    (each,) = found_in(run)
    assert alike(each.measure, replace(each.measure, title="other words", facts={}))


# Which of them


def test_the_newest_of_each_direction_is_chosen_labels_to_photo_first(tmp_path):
    run = a_run(tmp_path / "r")
    reconstruct(run)
    score(run, "test_BtoA", at=EARLY)
    score(run, scorer="new", at=LATE)
    score(run, scorer="old", at=EARLY)
    chosen = newest(found_in(run), NEWEST)
    assert [each.measure.protocol for each in chosen] == ["fcn-score-scorer-size", "label-score", "reconstruction"]
    assert chosen[0].measure.convention["scorer"] == "new"


def test_of_one_second_the_last_line_is_the_newest(tmp_path):
    run = a_run(tmp_path / "r")
    for scorer in ("one", "two"):
        score(run, scorer=scorer, at=EARLY)
    assert newest(found_in(run), NEWEST)[0].measure.convention["scorer"] == "two"


@pytest.mark.parametrize(
    ("wanted", "scorers"),
    [
        (Wanted(), ["camvid"]),
        (Wanted(scorer="big"), ["big"]),
        (Wanted(scorer="scorers/big"), ["big"]),
        (Wanted(scorer="scorers/big/scorer.safetensors"), ["big"]),
        (Wanted(scorer="nobody"), []),
        (Wanted(protocol="paper"), ["big"]),
        (Wanted(convention="reference"), ["camvid"]),
        (Wanted(scorer="camvid", convention="cityscapes"), ["camvid"]),
    ],
)
def test_a_user_may_ask_for_a_scorer_a_protocol_or_a_convention(tmp_path, wanted, scorers):
    run = a_run(tmp_path / "r")
    score(run, scorer="big", protocol="paper")
    score(run)
    score(run, convention="reference", at=LATE)
    chosen = newest(found_in(run), wanted)
    assert [each.measure.convention["scorer"] for each in chosen] == scorers
    if wanted.convention:
        assert chosen[0].measure.convention["absent class"] == wanted.convention


def test_a_scorer_may_be_named_by_the_beginning_of_its_digest(tmp_path):
    run = a_run(tmp_path / "r")
    sha256 = str(score(run)[0].convention["scorer_sha256"])
    assert newest(found_in(run), Wanted(scorer=sha256[:12]))
    assert not newest(found_in(run), Wanted(scorer=sha256[:3]))


def test_what_has_no_scorer_is_not_asked_for_one(tmp_path):
    run = a_run(tmp_path / "r")
    score(run, "test_BtoA")
    reconstruct(run)
    asked = Wanted(scorer="nobody", protocol="paper", convention="reference")
    assert [each.measure.protocol for each in newest(found_in(run), asked)] == ["reconstruction"]
    assert len(newest(found_in(run), Wanted(scorer="nobody", protocol="paper"))) == 2


# Facts for the reader


def test_facts_name_scorer_protocol_and_means_and_no_digest_of_the_truth(tmp_path):
    run = a_run(tmp_path / "r")
    score(run)
    facts = found_in(run)[0].measure.facts
    assert list(facts) == ["protocol", "scorer", "means", "label set", "intervals"]
    assert facts["scorer"].startswith("camvid (sha256 ")
    score(run, "test_BtoA")
    assert found_in(run)[1].measure.facts["choices"] == "classified at output size, colours scored, distance L2"
    assert facts["scorer"].endswith(", class IoU 0.700 on its own validation photos)")
