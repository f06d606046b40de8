"""Bars of classes: the records' values, the ceiling counted again from the matrices, the label set's colours."""

from dataclasses import replace

import pytest

from cgeval.compare.gather import compare, find_subjects
from cgeval.compare.report.classes import ACROSS, class_plots
from cgeval.labels import label_set
from cgeval.matrices import read_matrices
from cgeval.metrics import segmentation_scores
from tests.cgeval.compare.renderers.comparisons import plain
from tests.cgeval.compare.runs_with_records import a_run, score


@pytest.fixture(scope="module")
def plots(whole):
    return class_plots(whole)


def test_a_bar_is_as_long_as_the_records_value(whole, plots):
    row = whole.tables[0].rows[1]
    for metric, line in (("class_iou", 0), ("class_accuracy", 1)):
        found = row.numbers[0, metric].record.extra["by_class"]
        for each in plots[0].rows:
            bar = each.lines[line].bars[0]
            assert bar.exact == found[each.name]["value"]
            assert bar.at == pytest.approx(100 * bar.exact)
            assert (bar.low, bar.high) == pytest.approx((100 * found[each.name]["low"], 100 * found[each.name]["high"]))


def test_the_ceiling_is_that_of_the_real_photos(whole, plots):
    main = whole.subjects[0]
    record = whole.tables[0].rows[1].numbers[0, "class_iou"].record
    scores = segmentation_scores(read_matrices(main.run.path, record)["real photos"].matrices.sum(axis=0), "cityscapes")
    assert [row.lines[0].bars[0].ceiling for row in plots[0].rows] == pytest.approx(100 * scores.ious)
    assert [row.lines[1].bars[0].ceiling for row in plots[0].rows] == pytest.approx(100 * scores.accuracies)


def test_the_mean_of_the_bars_is_the_number_in_the_table(whole, plots):
    number = whole.tables[0].rows[1].numbers[0, "class_iou"]
    bars = [row.lines[0].bars[0].exact for row in plots[0].rows]
    assert sum(bars) / len(bars) == pytest.approx(number.value)


def test_classes_have_the_colours_of_their_label_set_and_shares_that_are_all(plots):
    assert {row.name: row.colour for row in plots[0].rows} == {
        each.name: each.colour for each in label_set("camvid11").classes
    }
    assert sum(float(row.share.removesuffix(" %")) for row in plots[0].rows) == pytest.approx(100, abs=1)


def test_no_more_than_six_methods_stand_side_by_side_and_none_is_left_out(whole, plots):
    to_photo = [plot for plot in plots if plot.title == "labels -> photo"]
    main, *others = [subject.label for subject in whole.subjects]
    assert all(len(plot.heads) <= ACROSS for plot in to_photo)
    assert all(plot.heads[0][0] == main for plot in to_photo), "each part is read beside the main one"
    assert [label for plot in to_photo for label, _ in plot.heads[1:]] == others


def test_without_matrices_there_are_bars_and_no_ceiling(tmp_path):
    run = a_run(tmp_path / "run", directions=("AtoB",))
    score(run)
    for file in (run.path / "records" / "matrices").iterdir():
        file.unlink()
    (plot,) = class_plots(compare(find_subjects([run], "test", None), "test"))
    assert not plot.has_ceiling
    assert all(
        bar.ceiling is None and bar.at is not None for row in plot.rows for line in row.lines for bar in line.bars
    )


def test_a_class_without_a_value_is_told_and_not_drawn(whole):
    rows = []
    for row in whole.tables[0].rows:
        numbers = {key: without_sky(number) for key, number in row.numbers.items()}
        rows.append(replace(row, numbers=numbers))
    table = replace(whole.tables[0], rows=tuple(rows))
    bar = class_plots(replace(whole, tables=(table,)))[0].rows[0].lines[0].bars[0]
    assert (bar.at, bar.value, bar.exact) == (None, "", None)
    assert bar.text == "CycleGAN, sky, class IoU: no value"


def without_sky(number):
    """The number, its record's class sky without a value."""
    if number.record is None or not number.record.extra.get("by_class"):
        return number
    classes = {**number.record.extra["by_class"], "sky": {"value": None, "low": None, "high": None}}
    return replace(number, record=replace(number.record, extra={**number.record.extra, "by_class": classes}))


def test_records_without_classes_have_no_bars():
    assert class_plots(plain()) == []
    assert class_plots(replace(plain(), tables=())) == []
