"""The examples of docs/statistics.md and docs/planning-a-study.md, computed."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from study_server.analysis.bootstraps import amt_standard_deviation, participant_bootstrap
from study_server.analysis.clusters import intraclass_correlation
from study_server.analysis.contrasts import contrast, holm
from study_server.analysis.gee import gee
from study_server.analysis.intervals import (
    clustered,
    effective_trials,
    equivalence,
    korn_graubard,
    pooled_wilson,
    t_quantile,
)
from study_server.analysis.judgements import judgements_of
from study_server.analysis.planning import Design
from study_server.analysis.simulation import pooled_z_test
from study_server.analysis.twoway import two_way
from study_server.cli import main
from tests.study_server.analysis.people import counts

DOCS = Path(__file__).resolve().parents[3] / "docs"
ONE, OTHER = counts([1, 2, 3, 6], 10), counts([4, 5, 6, 7], 10)


def brackets(interval) -> str:
    return f"[{interval.low:.3f}, {interval.high:.3f}]"


def two_people_two_images():
    """The first person is fooled by image A alone, the second by both."""
    clicks = {("one", "A"): True, ("one", "B"): False, ("two", "A"): True, ("two", "B"): True}
    rows = [
        {"session": who, "image": image, "index": i, "phase": "scored", "real_side": "left"}
        | {"clicked": "right" if fooled else "left", "fooled": fooled}
        for i, ((who, image), fooled) in enumerate(clicks.items())
    ]
    return two_way(judgements_of([("one", "arm"), ("two", "arm")], rows))


def example() -> dict[str, str]:
    """Name of each row, and its last cell."""
    error, by_t = clustered(ONE)
    found = contrast("one", ONE, "other", OTHER)
    log_odds = gee(ONE)
    tested = equivalence(ONE, 0.2)
    return {
        "rate": f"{ONE.rate:.3f}",
        "variance V": f"{ONE.variance:.6f}",
        "clustered SE": f"{error:.4f}",
        "clustered t interval": brackets(by_t),
        "design effect": f"{ONE.design_effect:.3f}",
        "ICC": f"{intraclass_correlation([ONE]):.4f}",
        "effective trials": f"{effective_trials(ONE):.3f}",
        "Korn-Graubard interval": brackets(korn_graubard(ONE)),
        "participant bootstrap": brackets(participant_bootstrap(ONE)),
        "± AMT": f"{amt_standard_deviation(ONE):.4f}",
        "GEE": brackets(log_odds.interval),
        "pooled Wilson": brackets(pooled_wilson(ONE)),
        "two-way SE": f"{two_people_two_images().error:.3f}",
        "TOST": f"{tested.p_value:.3f}",
        "difference": f"{found.difference:.3f}",
        "its Welch interval": f"[{found.low:.3f}, {found.high:.3f}]",
        "permutation test": f"{found.p_value:.4f}",
        "Holm": ", ".join(f"{p:.2f}" for p in holm([0.01, 0.04, 0.03])),
        "pooled z-test": f"{pooled_z_test(ONE, OTHER):.4f}",
        "planned variance": f"{Design().variance(0.27, 55):.6f}",
        "planned half-width by t": f"{t_quantile(0.975, 54) * Design().variance(0.27, 55) ** 0.5:.4f}",
    }


def test_the_worked_example_is_what_the_analysis_computes():
    page = (DOCS / "statistics.md").read_text(encoding="utf-8")
    section = page.split("## A worked example")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| ([^|]+) \|.*\| ([^|]+) \|$", section, flags=re.MULTILINE))
    told = {name: cell for name, cell in rows.items() if name != "what" and not name.startswith("-")}
    assert told == example()


def plans() -> list[tuple[str, str]]:
    """Each command of the page that is shown with what it prints."""
    page = (DOCS / "planning-a-study.md").read_text(encoding="utf-8")
    return re.findall(r"^```\n\$ (study-server plan .*?)\n(.+?)^```", page, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(4))
def test_the_plans_of_the_page_are_printed_so(number, monkeypatch, capsys):
    assert len(plans()) == 4
    command, printed = plans()[number]
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out == printed
