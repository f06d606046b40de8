import math
from pathlib import Path

import numpy as np
import pytest

from study_server.analysis.clusters import Counts
from study_server.analysis.contrasts import Contrast
from study_server.reporting.page_figures import Axis, differences, forest, linear_axis, rate_axis, sessions, strips
from study_server.reporting.report import Report
from tests.study_server.reporting.simulated import judged_of, report_of
from tests.study_server.small_study import small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study(tmp_path_factory.mktemp("figures"), pairs=14, trials={"practice": 3, "scored": 10})


@pytest.fixture(scope="module")
def report(study: Path) -> Report:
    return report_of(judged_of(study, {"one": (5, 4, 7, 3), "two": (1, 0, 2, 3)}))


def back(axis: Axis, place: float) -> float:
    """The value of a place."""
    low, high = axis.at(axis.low), axis.at(axis.high)
    return axis.low + (axis.high - axis.low) * (place - low) / (high - low)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.6), (-0.07, 0.31), (0.0, 1743.0), (0.2, 0.2)])
def test_an_axis_has_round_ends_that_hold_its_values(low: float, high: float) -> None:
    axis = linear_axis(low, high, str)
    assert axis.low <= low + 1e-9
    assert axis.high >= high - 1e-9
    assert 3 <= len(axis.ticks) <= 9
    steps = np.diff([tick.at for tick in axis.ticks])
    assert np.allclose(steps, steps[0])


def test_fifty_percent_is_always_on_the_axis_of_rates() -> None:
    axis = rate_axis([0.02, 0.1])
    assert axis.chance == axis.at(0.5)
    assert axis.low < 0.5 < axis.high
    assert rate_axis([0.97]).high == pytest.approx(1)


def test_the_forest_has_each_estimator_at_its_place(report: Report) -> None:
    plot = forest(report.analysis)
    for block in plot.blocks:
        found = report.analysis.estimates[block.name]
        headline, *others = block.rows
        assert headline.kind == "headline"
        assert headline.low is not None
        assert headline.high is not None
        assert back(plot.axis, headline.at) == pytest.approx(found.rate)
        assert back(plot.axis, headline.low) == pytest.approx(found.interval.low)
        assert back(plot.axis, headline.high) == pytest.approx(found.interval.high)
        assert {row.kind for row in others} == {"other"}
        names = [row.label for row in others]
        assert names == [
            "clustered standard error, t", "bootstrap of participants", "GEE", "participants and images",
            "± as the AMT tool prints",
        ]  # fmt: skip


def test_one_participant_has_the_estimators_that_one_can_have(study: Path) -> None:
    plot = forest(report_of(judged_of(study, {"one": (3,), "two": (2,)})).analysis)
    assert [row.label for row in plot.blocks[0].rows] == ["Korn–Graubard", "± as the AMT tool prints"]


def test_every_participant_stands_in_a_heap(report: Report) -> None:
    drawn = strips(report.analysis)
    for strip in drawn.strips:
        counts = report.analysis.estimates[strip.name].counts
        assert sum(heap.participants for heap in strip.heaps) == counts.participants
        assert sum(len(heap.dots) for heap in strip.heaps) == counts.participants
        places = sorted(back(drawn.axis, heap.at) for heap in strip.heaps for _ in heap.dots)
        assert places == pytest.approx(sorted(counts.rates))


def test_heaps_that_are_too_tall_become_bars(study: Path) -> None:
    drawn = strips(report_of(judged_of(study, {"one": (3,) * 16 + (5,) * 4, "two": (3, 3)})).analysis)
    bars = drawn.strips[0].heaps
    assert drawn.have_bars
    assert drawn.have_dots
    assert not any(heap.dots for heap in bars)
    assert bars[0].bar_px == pytest.approx(4 * bars[1].bar_px)


def test_sessions_show_practice_thirds_and_sides(report: Report) -> None:
    plot = sessions(report.analysis)
    labels = [row.label for row in plot.blocks[0].rows]
    assert labels[:2] == ["practice", "scored"]
    assert len(labels) == 7
    last, closer = plot.blocks[0].rows[4], report.analysis.estimates["one"].closer
    assert back(plot.axis, last.at) == pytest.approx(closer.thirds[2].value)


def test_differences_have_nothing_at_zero() -> None:
    pairs = [Contrast("a", "b", -0.1, -0.2, 0.0, 0.04), Contrast("a", "c", 0.05, None, None, None)]
    plot = differences(pairs)
    assert plot.axis.chance == plot.axis.at(0.0)
    assert "0" in [tick.text for tick in plot.axis.ticks]
    first, second = (block.rows[0] for block in plot.blocks)
    assert first.at < plot.axis.at(0.0) < second.at
    assert second.low is None
    assert first.beside == "[−20.0, +0.0]"


def test_two_way_intervals_use_the_fewer_of_people_and_images(report: Report) -> None:
    plot = forest(report.analysis)
    found = report.analysis.estimates["one"]
    row = next(row for row in plot.blocks[0].rows if row.label == "participants and images")
    assert found.two_way is not None
    assert row.high is not None
    assert isinstance(found.counts, Counts)
    reach = back(plot.axis, row.high) - found.counts.fooled.sum() / found.counts.total
    t_of_three = 3.182446
    assert math.isclose(reach, t_of_three * found.two_way.error, rel_tol=1e-5)
