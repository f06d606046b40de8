"""The planner: the field's figures, its formulas by hand, and whether simulated studies bear it out."""

import json
import sys
from math import sqrt
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cgeval.errors import ConfigError
from study_server.analysis.clusters import Counts, intraclass_correlation
from study_server.analysis.intervals import clustered, korn_graubard
from study_server.analysis.planning import (
    MOST_PARTICIPANTS,
    Design,
    People,
    difference_for_power,
    half_width,
    participants_for_half_width,
    participants_for_power,
    power,
    recruited,
    t_half_width,
)
from study_server.analysis.simulation import simulate_power, simulate_widths, simulated
from study_server.cli import main
from tests.study_server.small_study import small_study

RATES = st.floats(0.01, 0.99)
ICCS = st.floats(0, 0.9)


# Figures that are known


def test_55_participants_know_27_percent_to_within_5_points_by_t_and_58_by_korn_and_graubard():
    assert participants_for_half_width(Design(), 0.27, 0.05, t_half_width) == 55
    assert participants_for_half_width(Design(), 0.27, 0.05) == 58


def test_51_participants_of_each_algorithm_tell_20_from_30_percent():
    assert participants_for_power(Design(), 0.2, 0.3, 0.8) == 51


def test_25_participants_know_27_percent_to_within_7_and_a_half_points():
    assert t_half_width(Design(), 0.27, 25) == pytest.approx(0.075, abs=0.001)
    assert half_width(Design(), 0.27, 25) == pytest.approx(0.079, abs=0.001)


def test_the_variance_by_hand():
    # 0.2 x 0.8 = 0.16; 1 + (5 - 1) x 0.25 = 2; 0.16 x 2 / (5 x 8) = 0.008
    assert Design(trials=5, icc=0.25).variance(0.2, 8) == pytest.approx(0.008)


# Formulas against the analysis


def test_the_half_widths_are_those_of_the_analysis_for_a_study_that_shows_what_was_planned():
    apart = sqrt(40 * Design().variance(0.5, 40) * 39 / 40)  # so that s^2 / 40 is the planned variance
    fooled = 20 + 40 * apart * np.array([-1.0, 1.0] * 20)
    counts = Counts(fooled, np.full(40, 40.0))
    around, by_t = korn_graubard(counts), clustered(counts)
    assert counts.variance == pytest.approx(Design().variance(0.5, 40))
    assert half_width(Design(), 0.5, 40) == pytest.approx((around.high - around.low) / 2)
    assert by_t is not None
    assert t_half_width(Design(), 0.5, 40) == pytest.approx((by_t[1].high - by_t[1].low) / 2)


def test_where_few_are_fooled_at_all_the_plan_has_the_floor_of_the_analysis():
    with_floor, without = Design(icc=0.02, trials=10), Design(icc=0.15, trials=10)
    assert half_width(with_floor, 0.02, 30) == pytest.approx(half_width(without, 0.02, 30))
    assert half_width(with_floor, 0.3, 30) < half_width(without, 0.3, 30)


def test_the_power_is_that_of_scipys_noncentral_t():
    one, two = Design().variance(0.2, 30), Design().variance(0.35, 30)
    degrees = (one + two) ** 2 / ((one**2 + two**2) / 29)
    shifted, critical = stats.nct(degrees, 0.15 / sqrt(one + two)), stats.t.ppf(0.975, degrees)
    assert power(Design(), 0.2, 0.35, 30) == pytest.approx(1 - shifted.cdf(critical) + shifted.cdf(-critical))


def test_a_test_that_so_few_cannot_reach_has_no_power():
    assert power(Design(), 0.05, 0.95, 3) == 0  # the smallest p-value of 3 and 3 is 2 / 20
    assert power(Design(), 0.05, 0.95, 4) > 0.9
    assert power(Design(pairs=10), 0.05, 0.95, 4) == 0  # 2 / 70 against 0.005


def test_more_pairs_need_more_participants():
    needed = [participants_for_power(Design(pairs=pairs), 0.2, 0.3, 0.8) for pairs in (1, 3, 6, 10)]
    assert needed == sorted(set(needed))
    assert needed[1] == 68


@settings(max_examples=50, deadline=None, derandomize=True)
@given(rate=RATES, icc=ICCS, wanted=st.floats(0.01, 0.4))
def test_the_number_is_the_fewest_that_suffice(rate, icc, wanted):
    design = Design(icc=icc)
    needed = participants_for_half_width(design, rate, wanted)
    assert half_width(design, rate, needed) <= wanted
    assert needed == 2 or half_width(design, rate, needed - 1) > wanted


@settings(max_examples=50, deadline=None, derandomize=True)
@given(rate=RATES, other=RATES, icc=ICCS, wanted=st.floats(0.1, 0.99))
def test_the_fewest_have_the_power_whichever_rate_is_named_first(rate, other, icc, wanted):
    if abs(rate - other) < 0.02:
        return
    design = Design(icc=icc)
    needed = participants_for_power(design, rate, other, wanted)
    assert power(design, rate, other, needed) >= wanted > (power(design, rate, other, needed - 1) if needed > 2 else 0)
    assert participants_for_power(design, other, rate, wanted) == needed


@pytest.mark.parametrize("rate", [0.1, 0.27, 0.5, 0.8])
def test_the_difference_that_a_number_shows_is_the_one_that_needs_it(rate):
    found = difference_for_power(Design(), rate, 40, 0.8)
    assert found is not None
    assert (found > 0) == (rate <= 0.5)
    assert power(Design(), rate, rate + found, 40) == pytest.approx(0.8, abs=1e-4)


def test_no_difference_is_shown_by_two_people():
    assert difference_for_power(Design(), 0.5, 2, 0.8) is None


def test_all_numbers_are_finite_far_out():
    powers = [
        power(Design(icc=0), 0.2, 0.2 + d, n) for d in (1e-6, 0.01, 0.5, 0.8) for n in (4, 100, MOST_PARTICIPANTS)
    ]
    assert np.isfinite(powers).all()
    assert powers[-1] == 1


def test_who_has_to_start_so_that_enough_are_left():
    assert recruited(50) == People(50, 50, 50)
    assert recruited(90, excluded=0.1, drop_out=0.5) == People(90, 100, 200)
    assert recruited(58, excluded=0.05, drop_out=0.1) == People(58, 62, 69)


# Simulation


def test_simulated_people_have_the_rate_and_the_correlation_that_were_asked_for():
    drawn = list(simulated(Design(icc=0.2), 0.3, 4000, 5, np.random.default_rng(0)))
    assert np.mean([counts.rate for counts in drawn]) == pytest.approx(0.3, abs=0.01)
    assert intraclass_correlation(drawn) == pytest.approx(0.2, abs=0.01)


def test_people_who_are_all_alike_and_rates_without_chance():
    (alike,) = simulated(Design(icc=0), 0.3, 4000, 1, np.random.default_rng(0))
    assert alike.design_effect == pytest.approx(1, abs=0.1)
    for rate in (0.0, 1.0):
        (certain,) = simulated(Design(), rate, 10, 1, np.random.default_rng(0))
        assert (certain.rates == rate).all()


def test_the_same_seed_gives_the_same_and_another_one_another():
    found = [simulate_widths(Design(), 0.3, 20, 50, seed).half_width for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("rate", "other", "design"), [(0.2, 0.3, Design()), (0.3, 0.6, Design()), (0.5, 0.7, Design(icc=0.25, pairs=3))]
)
def test_the_planned_number_reaches_its_power(rate, other, design):
    needed = participants_for_power(design, rate, other, 0.8)
    told: list[int] = []
    found = simulate_power(design, rate, other, needed, studies=400, seed=1, done=told.append)
    assert found.value > 0.8 - 0.03 - 2 * found.error
    assert sum(told) == 400


@pytest.mark.parametrize(("rate", "wanted", "icc"), [(0.27, 0.05, 0.15), (0.05, 0.03, 0.15), (0.5, 0.08, 0.02)])
def test_the_planned_number_has_the_half_width(rate, wanted, icc):
    design = Design(icc=icc)
    found = simulate_widths(design, rate, participants_for_half_width(design, rate, wanted), studies=1000)
    assert found.half_width == pytest.approx(wanted, rel=0.1)
    assert found.half_width < wanted * 1.03
    assert 0.92 < found.covered.value < 0.99


# The command


@pytest.fixture
def run(monkeypatch, capsys):
    """The command; its exit code, what it printed, and what it said on the error stream."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study-server", "plan", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return call


HALF_WIDTH = ("--rate", 0.27, "--half-width", 0.05)
DIFFERENCE = ("--rate", 0.2, "--difference", 0.1)


def test_the_text_tells_the_number_what_it_costs_and_the_curve(run):
    code, told, _ = run(*HALF_WIDTH, "--excluded", 0.05, "--drop-out", 0.1, "--price", 1.5)
    assert code == 0
    lines = told.splitlines()
    assert lines[1] == "58 participants of each algorithm (by the clustered t interval 55)"
    (planned,) = (line for line in lines if line.startswith("0.15"))
    assert planned.split() == ["0.15", "6.85", "58", "62", "69", "62", "93.00", "<"]
    bars = [line.count("█") for line in lines if "±" in line and "█" in line]
    assert len(bars) > 8
    assert bars == sorted(bars, reverse=True)


def test_the_json_says_the_same(run):
    code, told, _ = run(*DIFFERENCE, "--algorithms", 3, "--price", 2, "--json")
    plan = json.loads(told)
    assert code == 0
    assert plan["participants"] == {"analysed": 68, "finish": 68, "start": 68}
    assert (plan["design"]["pairs"], plan["cost"]) == (3, 408)
    assert plan["power"] == pytest.approx(power(Design(pairs=3), 0.2, 0.3, 68))
    assert {row["icc"]: row["analysed"] for row in plan["by_icc"]}[0.15] == 68
    powers = [point["power"] for point in plan["curve"]]
    assert powers == sorted(powers)


def test_a_given_number_is_told_what_it_shows(run):
    plan = json.loads(run("--rate", 0.27, "--participants", 25, "--json")[1])
    assert plan["half_width"] == pytest.approx(half_width(Design(), 0.27, 25))
    assert plan["difference"] == pytest.approx(difference_for_power(Design(), 0.27, 25, 0.8))
    assert "±7.9 points" in run("--rate", 0.27, "--participants", 25)[1]


def test_of_a_study_its_settings_are_taken_and_its_answers_are_not_looked_at(run, tmp_path):
    study = small_study(
        tmp_path, ("one", "two", "three"), 30, trials={"practice": 0, "scored": 20}, participants={"per_algorithm": 30}
    )
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    plan = json.loads(run(study, "--rate", 0.3, "--json")[1])
    assert (plan["design"]["trials"], plan["design"]["pairs"], plan["recruiting"]["algorithms"]) == (20, 3, 3)
    assert plan["participants"]["analysed"] == 30
    wanted = json.loads(run(study, *DIFFERENCE, "--trials", 40, "--algorithms", 2, "--json")[1])
    assert wanted["participants"]["analysed"] == 51
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before
    assert not (study / "study.db").exists()


def test_the_check_tries_the_plan(run):
    code, told, _ = run(*HALF_WIDTH, "--check", "--studies", 300)
    assert code == 0
    assert "of intervals hold the rate" in told
    simulated_plan = json.loads(run(*DIFFERENCE, "--check", "--studies", 200, "--json")[1])["simulated"]
    assert [each["what"] for each in simulated_plan] == ["power"]
    both = json.loads(run("--rate", 0.2, "--participants", 20, "--check", "--studies", 100, "--json")[1])["simulated"]
    assert [each["what"] for each in both] == ["half-width", "power"]


def test_a_plan_that_promises_too_much_ends_with_1(run, monkeypatch):
    monkeypatch.setattr("study_server.cli.planned.participants_for_power", lambda *_: 20)
    code, told, _ = run(*DIFFERENCE, "--check", "--studies", 200)
    assert code == 1
    assert "promises too much" in told


def test_the_curve_is_drawn(run, tmp_path):
    for wanted in (HALF_WIDTH, DIFFERENCE, ("--rate", 0.3, "--participants", 10)):
        assert run(*wanted, "--plot", tmp_path / "curve.svg")[0] == 0
        drawn = ElementTree.fromstring((tmp_path / "curve.svg").read_text(encoding="utf-8"))
        lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
        assert len(lines) == 3
        for line in lines:
            points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
            assert len(points) > 5
            assert all(0 <= x <= 640 and 0 <= y <= 400 for x, y in points)


def test_a_terminal_without_blocks_gets_plain_signs(run, monkeypatch):
    class Plain:
        encoding = "ascii"

    monkeypatch.setattr("study_server.cli.planned.sys.stdout", Plain())
    from study_server.cli.planned import _printable

    assert _printable("±5 ██▌") == "+-5 ##"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", 0, "--half-width", 0.05), "the expected rate is 0"),
        (("--rate", 1, "--half-width", 0.05), "the expected rate is 1"),
        (("--rate", "nan", "--half-width", 0.05), "the expected rate is nan"),
        (("--rate", 0.9, "--difference", 0.2), "gives a rate of 1.1"),
        (("--rate", 0.1, "--difference", -0.2), "gives a rate of -0.1"),
        (("--rate", 0.2, "--difference", 0), "the difference is 0"),
        ((*DIFFERENCE, "--power", 1), "the power is 1"),
        ((*DIFFERENCE, "--power", 0.05), "which chance alone gives"),
        ((*DIFFERENCE, "--icc", -0.1), "the intraclass correlation is -0.1"),
        ((*DIFFERENCE, "--icc", 1), "the intraclass correlation is 1"),
        ((*DIFFERENCE, "--icc", "nan"), "the intraclass correlation is nan"),
        ((*DIFFERENCE, "--trials", 0), "a session has 0 trials"),
        ((*DIFFERENCE, "--algorithms", 1), "say --algorithms 2"),
        ((*DIFFERENCE, "--algorithms", 0), "--algorithms is 0"),
        ((*DIFFERENCE, "--pairs", 2), "--pairs is 2"),
        ((*DIFFERENCE, "--pairs", 0), "0 pairs"),
        ((*DIFFERENCE, "--drop-out", 1), "the drop-out share is 1"),
        ((*DIFFERENCE, "--excluded", -0.1), "the excluded share is -0.1"),
        ((*DIFFERENCE, "--price", -1), "--price is -1"),
        ((*DIFFERENCE, "--level", 1), "the level of intervals is 1"),
        ((*DIFFERENCE, "--plot", "curve.png"), "ends in .svg"),
        ((*DIFFERENCE, "--plot", "/proc/curve.svg"), "/proc/curve.svg cannot be written"),
        ((*DIFFERENCE, "--plot", "no/such/folder/curve.svg"), "is not there"),
        ((*DIFFERENCE, "--half-width", 0.05), "2 things to plan for"),
        (("--rate", 0.2), "0 things to plan for"),
        (("--rate", 0.2, "--participants", 1), "--participants is 1"),
        (("--rate", 0.2, "--half-width", 0.5), "the half-width is 0.5"),
        (("--rate", 0.2, "--half-width", 1e-5), "more than 1,000,000 participants"),
        (("--half-width", 0.05), "Missing option '--rate'"),
        (("no-such-study", "--rate", 0.2), "is no study"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments, said):
    code, told, error = run(*arguments)
    assert (code, told) == (2, "")
    assert error.startswith("Error: ")
    assert len(error.splitlines()) == 1
    assert said in error


def test_the_same_mistakes_are_errors_of_the_library():
    for mistake in (
        lambda: Design(icc=-0.1),
        lambda: half_width(Design(), 0, 10),
        lambda: power(Design(), 0.2, 1.2, 10),
        lambda: participants_for_power(Design(), 0.2, 0.3, 1),
        lambda: recruited(10, excluded=1),
    ):
        with pytest.raises(ConfigError):
            mistake()
