"""The sentences at the head: who is nearest to the ceiling, by how much, and what is not told apart."""

from dataclasses import replace

import pytest

from cgeval.compare.comparison import Difference, Number, Row
from cgeval.compare.report.summary import summary
from tests.cgeval.compare.renderers.comparisons import FCN, GROUPS, MAIN, beside, plain, rich

IOU = (0, "class_iou")


def row(label, kind, value, difference=None, *, best=False):
    """A row of one number, with its difference to the main one: value, low, high, p, Holm."""
    differences = {IOU: Difference(*difference)} if difference else {}
    return Row(label, kind, {IOU: Number(value, 233, value - 0.01, value + 0.01, best=best)}, differences)


def sentences(*rows, group=0, ceiling=True):
    """The summary of a table of these rows, below a ceiling of 0.438."""
    real = (Row(**beside("real images", "ceiling", 0, (0.8096, 0.5801, 0.4382))),) if ceiling else ()
    table = replace(plain().tables[0], groups=GROUPS[group : group + 1], rows=(*real, *rows))
    return summary(replace(plain(), tables=(table,), main=MAIN.label))


MAIN_ROW = row("CycleGAN", "main", 0.153)


def test_another_method_ahead_of_the_main_one():
    assert sentences(MAIN_ROW, row("pix2pix", "method", 0.248, (0.095, 0.088, 0.102, 0.0004, 0.0011), best=True)) == [
        "From labels to photo, pix2pix comes nearest to the ceiling: its class IoU of 0.248 is 57 % of the ceiling "
        "(0.438), and 0.095 [0.088, 0.102] above CycleGAN (p = 0.001 by Holm).",
        "Held against CycleGAN by class IoU, and told apart where p by Holm is below 0.05: from labels to photo, "
        "pix2pix is better.",
    ]


def test_the_main_method_ahead_of_the_next():
    others = [
        row("GAN alone", "ablation", 0.08, (-0.073, -0.08, -0.066, 0.0004, 0.0009)),
        row("Cycle alone", "ablation", 0.02, (-0.133, -0.14, -0.126, 0.0004, 0.0009)),
    ]
    first, _ = sentences(replace(MAIN_ROW, numbers={IOU: replace(MAIN_ROW.numbers[IOU], best=True)}), *others)
    assert first.endswith("(0.438), and 0.073 [0.066, 0.080] above GAN alone (p < 0.001 by Holm).")


def test_what_is_not_told_apart_is_named():
    equal = row("pix2pix", "method", 0.154, (0.001, -0.01, 0.012, 0.8, 1.0), best=True)
    main = replace(MAIN_ROW, numbers={IOU: replace(MAIN_ROW.numbers[IOU], best=True)})
    assert sentences(main, equal) == [
        "From labels to photo, pix2pix comes nearest to the ceiling: its class IoU of 0.154 is 35 % of the ceiling "
        "(0.438).",
        "Held against CycleGAN by class IoU, and told apart where p by Holm is below 0.05: from labels to photo, "
        "pix2pix is not told apart.",
    ]


def differing(label, by, holm):
    return row(label, "method", 0.153 + by, (by, by - 0.01, by + 0.01, 0.0004, holm))


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([("a", 0.2, 0.01), ("b", -0.05, 0.049), ("c", 0.1, 0.05)], "a is better, b is worse and c is not told apart"),
        ([(name, -0.05, 0.01) for name in "abcd"], "all 4 others are worse"),
        ([("z", 0.2, 0.01), *((name, -0.05, 0.01) for name in "abcd")], "z is better and the other 4 are worse"),
        ([("z", -0.1, 0.01), *((n, 0.05, 0.01) for n in "abcd")], "z is worse and the other 4 are better"),
        ([("a, b", 0.2, 0.01), ("c", 0.1, 0.01)], "“a, b” and c are better"),
    ],
)
def test_what_holm_tells_apart_from_the_main_method_is_named_or_counted(others, told):
    found = sentences(MAIN_ROW, *(differing(*each) for each in others))[1]
    assert found.endswith(f"from labels to photo, {told}.")


def test_what_has_no_paired_difference_is_neither_better_nor_worse():
    found = sentences(MAIN_ROW, differing("a", 0.2, 0.01), row("b", "method", 0.1))[1]
    assert found.endswith("a is better and b is not over the same images.")


def test_a_method_that_stands_alone():
    assert sentences(MAIN_ROW) == [
        "From labels to photo, only CycleGAN is measured: its class IoU of 0.153 is 35 % of the ceiling (0.438)."
    ]


def test_without_a_ceiling_the_best_is_only_the_best():
    other = row("pix2pix", "method", 0.248, (0.095, 0.088, 0.102, 0.0004, None), best=True)
    assert sentences(MAIN_ROW, other, ceiling=False)[0] == (
        "From labels to photo, pix2pix is best: its class IoU of 0.248 is 0.095 [0.088, 0.102] above CycleGAN "
        "(p < 0.001)."
    )


def test_without_a_paired_difference_both_numbers_are_told():
    first, *_ = sentences(MAIN_ROW, row("pix2pix", "method", 0.248, best=True))
    assert first.endswith("is 57 % of the ceiling (0.438); CycleGAN has 0.153.")


def test_many_equals_are_counted():
    others = [row(name, "method", 0.1, (-0.05, -0.2, 0.1, 0.5, 1.0), best=True) for name in "abcde"]
    assert sentences(MAIN_ROW, *others)[-1] == (
        "Held against CycleGAN by class IoU, and told apart where p by Holm is below 0.05: from labels to photo, all 5 "
        "others are not told apart."
    )


def test_people_are_told_in_percent():
    table = replace(
        plain().tables[0],
        groups=(GROUPS[2],),
        rows=(Row("CycleGAN", "main", {(0, "fooling_rate"): Number(0.268, 1000, 0.24, 0.29, best=True)}),),
    )
    assert summary(replace(plain(), tables=(table,))) == [
        "From labels to photo, only CycleGAN is measured: its fooling rate of 26.8 %."
    ]


def test_two_directions_are_two_sentences_and_no_more():
    found = summary(rich())
    assert [sentence.partition(",")[0] for sentence in found[:2]] == ["From labels to photo", "From photo to labels"]
    assert len(found) == 3


@pytest.mark.parametrize("tables", [(), (replace(plain().tables[0], rows=()),)])
def test_nothing_measured_is_said(tables):
    assert summary(replace(plain(), tables=tables)) == [
        "Nothing is measured yet: the figures show what the methods made."
    ]


def test_the_metric_of_the_sentence_is_the_one_that_counts_mistakes_too():
    assert FCN[-1] == "class_iou"
    assert "class IoU" in summary(plain())[0]
