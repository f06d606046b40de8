"""Only what was measured alike shares a table; the title of a further one says what differs, in words."""

from dataclasses import replace

import pytest

from cgeval.compare.comparison import Measure
from cgeval.compare.gather import compare
from cgeval.compare.measures import Wanted
from cgeval.compare.subjects import find_subjects
from cgeval.compare.tabulate import what_differs
from cgeval.metrics import METRICS
from cgeval.records import append_records
from tests.cgeval.compare.runs_with_records import (
    EARLY,
    IDS,
    LATE,
    OTHER_IDS,
    a_run,
    add_set,
    add_study,
    reconstruct,
    score,
)

AB = ("AtoB",)
PLAIN = Measure(
    title="labels -> photo",
    protocol="fcn-score-scorer-size",
    direction="AtoB",
    metrics=METRICS,
    n=233,
    convention={"absent class": "cityscapes", "truth": "aaaa", "scorer": "camvid", "scorer_sha256": 64 * "a"},
    size_px=(128, 128),
)


def compared(*runs, **how):
    return compare(find_subjects(runs, "test", None), "test", **how)


def labels(table):
    return [row.label for row in table.rows]


# What differs


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 60, "convention": PLAIN.convention | {"truth": "bbbb"}}, "n = 60, not 233"),
        ({"convention": PLAIN.convention | {"truth": "bbbb"}}, "other images"),
        ({"convention": PLAIN.convention | {"scorer": "big", "scorer_sha256": 64 * "b"}}, "scorer big, not camvid"),
        (
            {"convention": PLAIN.convention | {"scorer_sha256": 64 * "b"}},
            "another scorer camvid (sha256 bbbbbbbbbbbb, not aaaaaaaaaaaa)",
        ),
        ({"convention": PLAIN.convention | {"absent class": "reference"}}, "absent class reference, not cityscapes"),
        ({"size_px": (64, 32)}, "64x32 px, not 128x128 px"),
        ({"size_px": None}, "size not said, not 128x128 px"),
        ({"protocol": "fcn-score-paper"}, "protocol fcn-score-paper, not fcn-score-scorer-size"),
        ({"metrics": ("class_iou",)}, "class_iou, not pixel_accuracy and class_accuracy and class_iou"),
        ({"convention": PLAIN.convention | {"threads": 1}}, "threads 1, of which the first table says nothing"),
        ({"convention": {**PLAIN.convention, "absent class": None}}, "absent class not said, not cityscapes"),
        (
            {"n": 60, "convention": PLAIN.convention | {"scorer": "big", "scorer_sha256": 64 * "b", "truth": "b"}},
            "n = 60, not 233; scorer big, not camvid",
        ),
        ({"direction": "BtoA"}, "not measured for CycleGAN"),
        ({"protocol": "fooling-x"}, "not measured for CycleGAN"),
    ],
)
def test_the_title_of_a_further_table_says_what_differs(changes, words):
    assert what_differs(replace(PLAIN, **changes), [PLAIN], "CycleGAN") == words


# Tables


def test_measures_of_main_are_groups_of_the_first_table_in_a_fixed_order(whole):
    table = whole.tables[0]
    assert [(group.title, group.metrics[0]) for group in table.groups] == [
        ("labels -> photo", "pixel_accuracy"),
        ("photo -> labels", "pixel_accuracy"),
        ("labels -> photo, judged by people", "fooling_rate"),
        ("labels -> photo -> labels", "reconstruction_l1"),
        ("photo -> labels -> photo", "reconstruction_l1"),
    ]
    assert table.title == "streets, split test"


def test_rows_are_real_images_main_methods_ablations_and_what_should_be_bad(whole):
    table = whole.tables[0]
    kinds = [row.kind for row in table.rows]
    assert kinds == ["ceiling", "main", *["method"] * 4, *["ablation"] * 4, "sanity", "sanity"]
    assert (labels(table)[0], labels(table)[-2:]) == ("Real images", ["Shuffled images", "Noise"])


def test_real_images_have_the_numbers_that_stand_beside_mains_record_in_both_directions(whole):
    real, main = whole.tables[0].rows[:2]
    for place, name in ((0, "real photos"), (1, "true labels")):
        for metric in METRICS:
            beside = main.numbers[place, metric].record.extra["beside"][name]
            number = real.numbers[place, metric]
            assert (number.value, number.n, number.low, number.high) == tuple(
                beside[key] for key in ("value", "n", "low", "high")
            )
            assert number.record is None
    assert not any(place > 1 for place, _ in real.numbers)


def test_without_sanity_rows_in_the_records_there_are_none(tmp_path):
    run = a_run(tmp_path / "r")
    score(run)
    assert labels(compared(run).tables[0]) == ["Real images", "CycleGAN"]


def test_a_number_is_the_records_and_leads_back_to_it(tmp_path):
    run = a_run(tmp_path / "r")
    records = score(run)
    row = compared(run).tables[0].rows[1]
    assert [number.record for number in row.numbers.values()] == records
    for record in records:
        number = row.numbers[0, record.metric]
        assert (number.value, number.low, number.high) == (record.value, record.low, record.high)
        assert (number.n, number.interval) == (record.n, record.interval)


@pytest.mark.parametrize(
    ("how", "title"),
    [
        ({"scorer": "big"}, "scorer big, not camvid"),
        ({"convention": "reference"}, "absent class reference, not cityscapes"),
        ({"protocol": "paper"}, "protocol fcn-score-paper, not fcn-score-scorer-size"),
        ({"size_px": (32, 32)}, "32x32 px, not 16x8 px"),
    ],
)
def test_what_was_measured_otherwise_stands_in_a_table_of_its_own(tmp_path, how, title):
    main, same, other = (a_run(tmp_path / name, name, directions=AB) for name in ("cyclegan", "same", "other"))
    score(main)
    score(same)
    score(other, **how)
    first, further = compared(main, same, other).tables
    assert further.title == title
    assert labels(further) == ["Real images", "other"]
    assert not [row for row in first.rows if row.label == "other" and row.numbers]
    assert first.groups != further.groups


def test_fewer_and_other_images_stand_apart(tmp_path):
    main = a_run(tmp_path / "main", directions=AB)
    few = a_run(tmp_path / "few", "few", directions=AB, ids=IDS[:3])
    other = a_run(tmp_path / "other", "other", directions=AB, ids=OTHER_IDS)
    for run in (main, few, other):
        score(run)
        reconstruct(run)
    tables = compared(main, few, other).tables
    assert [table.title for table in tables[1:]] == ["n = 3, not 8", "other images"]
    assert [len(table.groups) for table in tables] == [2, 2, 2]
    for table in tables[1:]:
        assert not any(row.differences for row in table.rows)


def test_both_directions_that_differ_alike_share_a_further_table(tmp_path):
    main, few = a_run(tmp_path / "main"), a_run(tmp_path / "few", "few", ids=IDS[:3])
    for run in (main, few):
        for name in ("test_AtoB", "test_BtoA"):
            score(run, name)
    _, further = compared(main, few).tables
    assert [group.title for group in further.groups] == ["labels -> photo", "photo -> labels"]


def test_where_main_was_measured_otherwise_too_others_are_compared_with_it_there(tmp_path):
    main, other = (a_run(tmp_path / name, name, directions=AB) for name in ("cyclegan", "other"))
    score(main, scorer="big", skill=0.5)
    score(main, skill=0.5, at=LATE)
    score(other, scorer="big", skill=0.9)
    first, further = compared(main, other).tables
    assert labels(further) == ["Real images", "CycleGAN", "other"]
    assert further.rows[2].differences[0, "class_iou"].low > 0
    assert not any(row.differences for row in first.rows)


def test_what_only_others_have_stands_apart(tmp_path):
    main, other = a_run(tmp_path / "runs" / "main"), a_run(tmp_path / "runs" / "other", "other")
    score(main)
    score(other)
    study = add_study(tmp_path / "studies" / "s", [(other, "test_AtoB", 0.3)])
    first, further = compared(main, other, study=study).tables
    assert further.title == "not measured for CycleGAN"
    assert further.groups[0].metrics == ("fooling_rate",)
    assert [group.metrics[0] for group in first.groups] == ["pixel_accuracy"]


def test_without_a_number_of_main_the_first_table_has_rows_and_no_columns(tmp_path):
    main, other = a_run(tmp_path / "main"), a_run(tmp_path / "other", "other")
    score(other)
    first, further = compared(main, other).tables
    assert (first.groups, labels(first)) == ((), ["CycleGAN", "other"])
    assert further.title == "not measured for CycleGAN"


def test_the_wanted_measure_of_main_makes_the_first_table(tmp_path):
    main, other = (a_run(tmp_path / name, name, directions=AB) for name in ("cyclegan", "other"))
    for run in (main, other):
        score(run, scorer="big", at=EARLY)
        score(run, scorer="camvid", at=LATE)
    assert compared(main, other).tables[0].groups[0].convention["scorer"] == "camvid"
    asked = compared(main, other, wanted=Wanted(scorer="big"))
    assert [table.groups[0].convention["scorer"] for table in asked.tables] == ["big", "camvid"]
    assert asked.tables[1].title == "scorer camvid, not big"


def test_a_trap_that_was_recognised_is_a_footnote_that_names_all_that_are_in_it(tmp_path):
    run, other = a_run(tmp_path / "r"), a_run(tmp_path / "s", "pix2pix")
    score(run, traps=["one class", "below shuffled"])
    score(other, traps=["below shuffled"])
    told = [line for line in compared(run, other).tables[0].footnotes if line.startswith("Look out")]
    assert told == [
        "Look out, labels -> photo: one class: CycleGAN (`cgeval fcn-score` says it in full).",
        "Look out, labels -> photo: below shuffled: CycleGAN; pix2pix (`cgeval fcn-score` says it in full).",
    ]


def test_a_footnote_says_how_differences_are_made_for_how_many_they_are_corrected_and_how_small_p_can_be(whole):
    (footnote,) = whole.tables[0].footnotes
    assert footnote.startswith("Differences: paired bootstrap over images, percentile, 95 %, 5000 resamples;")
    cells = [each for row in whole.tables[0].rows for each in row.differences.values()]
    assert f"p cannot be below {min(each.p_value for each in cells):.2g}," in footnote
    assert f"over the {len(cells)} of this table, below {min(each.holm for each in cells):.2g}." in footnote


def test_what_another_program_leaves_beside_a_number_does_no_harm(tmp_path):
    run = a_run(tmp_path / "r")
    for record in score(run):
        extra = record.extra | {"beside": {"real photos": 0.9, "noise": {"value": 0.1}}, "traps": "none"}
        extra |= {"size_px": ["a", "b"], "scorer_validation": {"class_iou": 0.5}}
        append_records(run.path, [replace(record, extra=extra)])
    (table,) = compared(run).tables
    assert (labels(table), table.groups[0].size_px) == (["CycleGAN"], None)


# Marks


def test_real_images_and_what_should_be_bad_are_never_marked_and_have_no_differences(whole):
    for row in whole.tables[0].rows:
        if row.kind in ("ceiling", "sanity"):
            assert not any(number.best for number in row.numbers.values())
            assert not row.differences


def test_the_best_of_each_column_is_marked_by_its_direction(tmp_path):
    main, better = a_run(tmp_path / "main", directions=AB), a_run(tmp_path / "better", "better", directions=AB)
    for run, skill, error in ((main, 0.3, 0.3), (better, 0.9, 0.1)):
        score(run, skill=skill)
        reconstruct(run, error=error)
    _, ours, theirs = compared(main, better).tables[0].rows
    assert not any(number.best for number in ours.numbers.values())
    assert all(number.best for number in theirs.numbers.values())
    assert theirs.differences[0, "class_iou"].value > 0
    assert theirs.differences[1, "reconstruction_l1"].value < 0


def test_two_runs_of_the_same_images_are_both_best_and_differ_by_nothing(tmp_path):
    runs = [a_run(tmp_path / name / "same", "cyclegan", directions=AB) for name in ("a", "b")]
    for run in runs:
        score(run)
    _, *rows = compared(*runs).tables[0].rows
    assert all(number.best for row in rows for number in row.numbers.values())
    for difference in rows[1].differences.values():
        assert (difference.value, difference.low, difference.high, difference.p_value) == (0, 0, 0, 1)


def test_variants_of_gatys_are_rows_of_one_table(tmp_path):
    main, gatys = a_run(tmp_path / "main", directions=AB), a_run(tmp_path / "g", "gatys", directions=())
    score(main)
    for variant in ("one", "two"):
        score(gatys, add_set(gatys, variant=variant), skill=0.2)
    assert labels(compared(main, gatys).tables[0]) == ["Real images", "CycleGAN", "Gatys, one", "Gatys, two"]
