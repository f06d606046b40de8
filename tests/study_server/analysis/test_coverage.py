"""Whether intervals and tests keep what they promise, on few simulated studies; `benchmarks.coverage` takes many."""

import json
from dataclasses import fields
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis_speed import build, measure
from benchmarks.coverage import ICCS, PARTICIPANTS, RATES, Cell, Margin, Planned, lines
from study_server.analysis.analysis import Choices, analyse
from study_server.analysis.intervals import Interval, clustered, equivalence, korn_graubard, pooled_wilson
from study_server.analysis.planning import Design
from study_server.analysis.simulation import Share, holds, pooled_z_test, simulate_power, simulated
from tests.study_server.analysis.people import counts, judged

ROOT = Path(__file__).resolve().parents[3]
STUDIES = 400


def share(hits) -> Share:
    found = [bool(hit) for hit in hits]
    return Share(sum(found), len(found))


@pytest.fixture(scope="module")
def cells():
    """Simulated studies of each cell."""
    cases = product(PARTICIPANTS, RATES, ICCS)
    return {
        (n, rate, icc): list(simulated(Design(icc=icc), rate, n, STUDIES, np.random.default_rng([n, i])))
        for i, (n, rate, icc) in enumerate(cases)
    }


def test_korn_and_graubards_intervals_cover_what_they_say(cells):
    assert len(cells) == 27
    found = {case: share(holds(korn_graubard(each), case[1]) for each in drawn) for case, drawn in cells.items()}
    assert all(0.93 - 3 * 0.0128 < each.value < 0.98 + 3 * 0.007 for each in found.values())
    assert 0.94 < np.mean([each.value for each in found.values()]) < 0.97


def test_wilsons_over_all_trials_cover_half_of_it(cells):
    usual = [case for case in cells if case[2] >= 0.15]
    found = [share(holds(pooled_wilson(each), rate) for each in cells[n, rate, icc]) for n, rate, icc in usual]
    assert all(each.value < 0.65 for each in found)


def test_the_clustered_t_interval_is_too_short_for_few_people_and_rare_fooling(cells):
    found = share(holds(clustered(each)[1], 0.05) for each in cells[10, 0.05, 0.25])
    assert found.value < 0.85


@pytest.mark.parametrize(("n", "rate", "icc"), [(10, 0.27, 0.15), (25, 0.05, 0.15), (25, 0.5, 0.02)])
def test_false_positives_of_two_algorithms_are_as_rare_as_they_should(n, rate, icc):
    found = simulate_power(Design(icc=icc), rate, rate, n, studies=500, seed=5)
    assert 0.03 - 2 * found.error < found.value < 0.07 + 2 * found.error


def test_false_positives_of_the_pooled_test_are_not(cells):
    drawn = cells[25, 0.27, 0.15]
    found = share(pooled_z_test(one, two) < 0.05 for one, two in zip(drawn[::2], drawn[1::2], strict=True))
    assert 0.35 < found.value < 0.6


def test_the_pooled_test_is_that_of_the_books():
    # 20 and 30 of 100: z = 0.1 / sqrt(0.25 x 0.75 x 0.02) = 1.633
    assert pooled_z_test(counts([20], 100), counts([30], 100)) == pytest.approx(0.1025, abs=1e-4)
    assert pooled_z_test(counts([0], 100), counts([0], 100)) == 1


def test_who_stands_on_the_margin_is_rarely_called_equivalent():
    drawn = simulated(Design(), 0.4, 50, 1000, np.random.default_rng(0))
    found = share(equivalence(each, 0.1).p_value <= 0.05 for each in drawn)
    assert 0.02 < found.value < 0.08
    within = simulated(Design(), 0.5, 200, 100, np.random.default_rng(0))
    assert share(equivalence(each, 0.1).p_value <= 0.05 for each in within).value > 0.9


@pytest.mark.parametrize(("fooled", "rate"), [(0, 0.0), (8, 1.0)])
def test_all_is_defined_where_nobody_and_where_everybody_is_fooled(fooled, rate):
    people = judged({"one": [fooled] * 10, "two": [fooled] * 10, "other": [4] * 10})
    found = analyse(people, Choices(margin=0.1, resamples=200, permutations=199))
    one = found.estimates["one"]
    assert one.rate == rate
    assert rate in (one.interval.low, one.interval.high)
    assert 0.05 < one.interval.high - one.interval.low < 0.5
    assert (one.clustered, one.bootstrap) == (Interval(rate, rate), Interval(rate, rate))
    assert (one.error, one.amt) == (0, 0)
    assert one.gee is None
    assert one.equivalence.p_value > 0.9
    same, *others = found.contrasts
    assert (same.difference, same.p_value) == (0, 1)
    assert all(each.p_value < 0.05 for each in others)


# What was measured


def measured(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def of(kind, row):
    return kind(**{field.name: row[field.name] for field in fields(kind)})


def test_the_tables_of_the_document_are_those_that_were_measured():
    found = measured("coverage.json")
    cells, margins, plans = (
        [of(kind, row) for row in found[name]]
        for kind, name in ((Cell, "cells"), (Margin, "margins"), (Planned, "plans"))
    )
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    assert [line for line in lines(cells, margins, plans) if line not in page] == []


def test_what_was_measured_keeps_the_promises():
    found = measured("coverage.json")
    assert len(found["cells"]) == 27
    assert all(0.93 <= cell["korn_graubard"] <= 0.98 for cell in found["cells"])
    assert all(0.03 <= cell["permutation_test"] <= 0.07 for cell in found["cells"])
    assert all(margin["equivalent"] <= 0.07 for margin in found["margins"])
    assert all(plan["power"] >= plan["wanted"] - 0.03 for plan in found["plans"])


def test_a_million_judgements_took_less_than_ten_seconds_and_two_gigabytes():
    found = measured("analysis_speed.json")
    assert found["judgements"] == 1_000_000
    assert found["read_seconds"] + found["analyse_seconds"] < 10
    assert found["peak_bytes"] < 2e9
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    told = f"read in {found['read_seconds']:.1f} s and analysed in {found['analyse_seconds']:.1f} s"
    assert f"{told}, with {found['peak_bytes'] / 1e9:.2f} GB" in " ".join(page.split())


def test_the_study_of_the_speed_test_is_one(tmp_path):
    found = measure(build(tmp_path, 200))
    assert found.judgements == 200 * 50
    assert found.rates == {"one": pytest.approx(0.2, abs=0.05), "two": pytest.approx(0.3, abs=0.05)}
