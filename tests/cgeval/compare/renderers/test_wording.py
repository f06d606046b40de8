"""Digits, words and facts that all renderers share."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.compare.comparison import Difference, Number, Row, Table
from cgeval.compare.renderers.facts import facts, group_names
from cgeval.compare.renderers.wording import (
    Column,
    columns,
    difference_words,
    group_words,
    label_words,
    metric_words,
    number_words,
    one_line,
    p_words,
)
from tests.cgeval.compare.renderers import comparisons


def column(metric, decimals=3, printed=False, lower=False):
    return Column(0, metric, decimals, lower, printed)


def shown(value, table=None, place=0, metric="pixel_accuracy"):
    table = table or comparisons.first_table()
    (found,) = (each for each in columns(table, place) if each.metric == metric)
    words = number_words(value, found)
    return f"{words.value} {words.interval}".strip()


def printed_table(*values):
    cells = ({(0, "pixel_accuracy"): Number(value, 500)} for value in values)
    rows = tuple(Row(f"method {i}", "published", cell) for i, cell in enumerate(cells))
    return Table("printed", comparisons.GROUPS[:1], rows)


def test_a_score_has_three_decimals_and_its_interval_in_brackets():
    assert shown(Number(0.44697635, 233, 0.43483976, 0.45927371)) == "0.447 [0.435, 0.459]"


def test_a_fooling_rate_is_a_fraction_inside_and_percent_with_one_decimal_in_tables():
    table = comparisons.first_table()
    assert shown(Number(0.268, 1000, 0.24, 0.296), table, 2, "fooling_rate") == "26.8 [24.0, 29.6]"
    assert columns(table, 2)[0].head == "fooling rate (%)"


def test_a_reconstruction_error_has_four_decimals_and_says_that_less_is_better():
    table = comparisons.first_table()
    assert shown(Number(0.04871, 233), table, 3, "reconstruction_l1") == "0.0487"
    assert columns(table, 3)[0].head == "reconstruction error (L1), lower is better"


def test_a_metric_that_nobody_has_words_for_is_shown_by_its_name():
    assert metric_words("kernel_distance") == "kernel distance"


def test_printed_numbers_have_as_many_decimals_as_are_printed():
    table = printed_table(0.40, 0.1, 0.06)
    assert [shown(row.numbers[0, "pixel_accuracy"], table) for row in table.rows] == ["0.40", "0.10", "0.06"]


def test_printed_decimals_are_not_those_of_binary_fractions():
    table = printed_table(2.6 / 100, 0.1 + 0.2)
    assert shown(Number(0.1 + 0.2, 1), table) == "0.300"


def test_a_printed_plus_or_minus_stays_one():
    table = comparisons.published_table()
    cells = {row.label: row.numbers[1, "fooling_rate"] for row in table.rows if (1, "fooling_rate") in row.numbers}
    assert shown(cells["CycleGAN"], table, 1, "fooling_rate") == "26.8 ± 2.8"
    assert shown(cells["CoGAN"], table, 1, "fooling_rate") == "0.6 ± 0.5"


def test_a_number_that_was_measured_has_its_usual_decimals_however_round_it_is():
    assert shown(Number(0.5, 10, 0.25, 0.75)) == "0.500 [0.250, 0.750]"


def test_differences_have_signs():
    words = difference_words(Difference(-0.01238, -0.0251, 0.0004, 0.032, 0.095), column("class_iou"))
    assert (words.value, words.interval, words.p_values) == ("-0.012", "[-0.025, +0.000]", "0.032 (0.095)")


def test_a_difference_may_come_without_interval_and_p_value():
    words = difference_words(Difference(0.5, None, None, None, None), column("class_iou"))
    assert (words.value, words.interval, words.p_values) == ("+0.500", "", "")


@pytest.mark.parametrize(
    ("p_value", "words"), [(None, ""), (0.0, "<0.001"), (0.00099, "<0.001"), (0.001, "0.001"), (1.0, "1.000")]
)
def test_a_p_value_is_never_shown_as_nothing(p_value, words):
    assert p_words(p_value) == words


def test_no_minus_stands_before_nothing():
    assert column("class_iou").digits(-0.0001) == "0.000"
    assert column("class_iou").digits(-0.0) == "0.000"
    assert column("class_iou").digits(-0.0, signed=True) == "+0.000"
    assert column("class_iou").digits(-0.001) == "-0.001"


@settings(deadline=None)
@given(st.floats(-1, 1), st.sampled_from(["class_iou", "fooling_rate", "reconstruction_l1"]))
def test_digits_are_the_value_to_within_half_of_the_last(value, metric):
    decimals = {"class_iou": 3, "fooling_rate": 1, "reconstruction_l1": 4}[metric]
    scale = 100 if metric == "fooling_rate" else 1
    for signed in (True, False):
        back = float(column(metric, decimals).digits(value, signed=signed))
        assert abs(back - scale * value) <= 0.5 * 10**-decimals + 1e-9


@settings(deadline=None)
@given(st.text(st.characters()))
def test_a_label_is_one_line_that_steers_no_terminal(text):
    line = one_line(text)
    assert line.isprintable() or not any(sign < " " or sign in "\x7f\x9b\u2028\u2029" for sign in line)
    assert len(line.splitlines()) <= 1
    line.encode()  # no half of a sign


def test_a_name_that_is_no_utf8_is_shown_with_a_sign_for_what_is_none():
    assert one_line(b"caf\xe9 noir".decode("utf-8", "surrogateescape")) == "caf\ufffd noir"


def test_rows_that_are_no_methods_say_what_they_are():
    assert label_words(Row("real images", "ceiling", {})) == "real images (the ceiling)"
    assert label_words(Row("noise", "sanity", {}, note="static")) == "noise (static)"
    assert label_words(Row("CycleGAN", "main", {})) == "CycleGAN"


def test_a_group_is_named_by_its_metric_or_title_and_by_more_where_that_is_the_same():
    names = group_names(comparisons.GROUPS)
    assert names == ("labels -> photo", "photo -> labels", "fooling rate", "reconstruction error (L1)")
    paper = replace(comparisons.LABELS_TO_PHOTO, protocol="fcn-score-paper")
    back = replace(comparisons.FOOLING, title="photo -> labels")
    assert group_names([comparisons.LABELS_TO_PHOTO, paper, comparisons.FOOLING, back]) == (
        "labels -> photo (fcn-score-scorer-size)",
        "labels -> photo (fcn-score-paper)",
        "fooling rate, labels -> photo",
        "fooling rate, photo -> labels",
    )


def test_what_stands_over_a_group_has_n_only_where_all_share_it():
    assert group_words(comparisons.LABELS_TO_PHOTO, 233) == ("labels -> photo", "n = 233", "128x128 px")
    assert group_words(comparisons.FOOLING, None) == ("labels -> photo",)
    assert group_words(comparisons.FOOLING, 25) == ("labels -> photo", "n = 25 participants")


def test_each_fact_is_told_once_with_the_groups_it_is_true_of():
    known = {(fact.heading, fact.groups): fact.text for fact in facts(comparisons.first_table())}
    shared = ("labels -> photo", "photo -> labels", "reconstruction error (L1)")
    assert known["intervals", shared] == comparisons.INTERVAL
    assert known["intervals", ("fooling rate",)] == comparisons.WILSON
    assert ("scorer", ("labels -> photo",)) in known


def test_groups_of_one_metric_are_named_by_it_where_a_fact_is_true_of_all_of_them():
    back = replace(comparisons.RECONSTRUCTION, title="photo -> labels -> photo")
    table = Table("t", (comparisons.LABELS_TO_PHOTO, comparisons.RECONSTRUCTION, back), ())
    groups = {fact.text: fact.groups for fact in facts(table)}
    assert groups[comparisons.RECONSTRUCTION.facts["protocol"]] == ("reconstruction error (L1)",)
    other = replace(back, facts={"protocol": "another"})
    groups = {fact.text: fact.groups for fact in facts(replace(table, groups=(*table.groups[:2], other)))}
    assert groups["another"] == ("reconstruction error (L1), photo -> labels -> photo",)


def test_after_a_first_table_only_what_differs_is_told():
    first = comparisons.first_table()
    known = [(fact.heading, fact.text) for fact in facts(comparisons.other_table(), first=first)]
    assert known == [
        ("protocol", "fcn-score-scorer-size"),
        ("scorer", "big (fcn8s)"),
        ("the rest", "as in the first table"),
    ]
    assert facts(comparisons.other_table()) == facts(comparisons.other_table(), first=Table("t", (), ()))


def test_a_fact_of_all_groups_names_none():
    assert all(fact.groups == () for fact in facts(comparisons.other_table()))


def test_the_cells_say_how_intervals_were_made_where_the_group_does_not():
    table = comparisons.first_table()
    silent = replace(table, groups=(replace(table.groups[0], facts={}), *table.groups[1:]))
    assert ("intervals", comparisons.INTERVAL) in [(fact.heading, fact.text) for fact in facts(silent, [0])]
