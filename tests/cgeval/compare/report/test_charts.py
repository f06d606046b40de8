"""Axes hold their values between round marks; dots and curves lie where the numbers are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgeval.compare.report.charts import BOX, EDGE, Axis, curve, dot_plot, fitting_axis, linear_axis
from tests.cgeval.compare.renderers.comparisons import first_table, plain

values = st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6)), min_size=1, max_size=20)
positive = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20)


@given(values)
def test_an_axis_holds_all_values_and_has_a_few_round_marks(found):
    axis = linear_axis(found)
    slack = 1e-6 * max(1.0, axis.high - axis.low)
    assert axis.low <= min(found) + slack
    assert axis.high >= max(found) - slack
    assert 2 <= len(axis.ticks) <= 8
    assert [tick.at for tick in axis.ticks] == sorted(tick.at for tick in axis.ticks)
    assert len({tick.text for tick in axis.ticks}) == len(axis.ticks)


@given(values)
def test_marks_say_where_they_stand(found):
    for tick in linear_axis(found).ticks:
        assert float(tick.text.replace(",", "")) == pytest.approx(tick.value, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("found", "marks"), [
    ([0.02, 0.44], ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
    ([0.8, 0.84], ["0.80", "0.81", "0.82", "0.83", "0.84"]),
    ([0, 1], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ([0, 3670], ["0", "1,000", "2,000", "3,000", "4,000"]),
    ([0, 0], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ([0.1, 0.1], ["0.04", "0.06", "0.08", "0.10", "0.12", "0.14", "0.16"]),
])  # fmt: skip
def test_marks_are_those_that_a_person_would_choose(found, marks):
    assert [tick.text for tick in linear_axis(found).ticks] == marks


def test_an_axis_in_percent_places_fractions():
    axis = linear_axis([0.012, 0.294], scale=100)
    assert [tick.text for tick in axis.ticks] == ["0", "10", "20", "30"]
    assert axis.at(0.1) == axis.ticks[1].at


@given(positive)
def test_a_curve_stays_in_its_box(found):
    axis = fitting_axis(found)
    path = curve(enumerate(found), Axis(0, len(found)), axis)
    numbers = [float(number) for number in path.removeprefix("M").split()]
    assert all(0 <= number <= BOX for number in numbers)
    assert len(numbers) == 2 * len(found)


def test_values_far_apart_get_a_logarithmic_axis_and_others_do_not():
    assert fitting_axis([0.01, 1.0]).is_log
    assert not fitting_axis([0.5, 1.0]).is_log
    assert not fitting_axis([0.0, 1.0]).is_log
    assert not fitting_axis([-1.0, 1.0]).is_log


def test_on_a_logarithmic_axis_equal_factors_are_equally_far():
    axis = fitting_axis([0.01, 10.0])
    one, ten, hundred = (axis.share(value) for value in (0.01, 0.1, 1.0))
    assert ten - one == pytest.approx(hundred - ten)
    assert [tick.text for tick in axis.ticks] == ["0.01", "0.1", "1", "10"]


def test_a_dot_lies_where_its_number_is_and_says_it():
    plot = dot_plot(first_table(), [0])
    row = next(row for row in plot.rows if row.label == "pix2pix")
    axis = plot.columns[0].axis
    width = 100 - 2 * EDGE
    assert row.dots[0].at == pytest.approx(EDGE + width * (0.7312 - axis.low) / (axis.high - axis.low))
    assert row.dots[0].low < row.dots[0].at < row.dots[0].high
    assert row.dots[0].text == "pix2pix, per-pixel accuracy: 0.731 [0.719, 0.743]"


def test_lines_stand_at_the_ceiling_and_at_the_main_row():
    column = dot_plot(first_table(), [0]).columns[2]
    assert column.ceiling == pytest.approx(column.axis.at(0.4382))
    assert column.main == pytest.approx(column.axis.at(0.15349684))


def test_a_metric_that_one_method_has_is_not_drawn():
    table = plain().tables[0]
    assert dot_plot(table, [0]) is not None
    alone = type(table)(table.title, table.groups, table.rows[:1])
    assert dot_plot(alone, [0]) is None


def test_a_method_without_a_number_has_no_dot():
    plot = dot_plot(first_table(), [2, 3])
    row = next(row for row in plot.rows if row.label == "pix2pix")
    assert [dot is None for dot in row.dots] == [False, True]
    assert all(math.isfinite(dot.at) for row in plot.rows for dot in row.dots if dot)
