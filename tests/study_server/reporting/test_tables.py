"""Tables have the analysis' numbers in words; each says by which protocol they are."""

from dataclasses import replace

import pytest

from study_server.analysis.closer import ImageRate
from study_server.analysis.intervals import Interval
from study_server.manifest import SIMULATED
from study_server.reporting.extremes import convincing
from study_server.reporting.page_summary import headlines
from study_server.reporting.report import make_report
from study_server.reporting.tables import headline, tables
from study_server.reporting.wording import plain
from tests.study_server.reporting.answered import answer

IMAGES = (("once", (1, 1), (0.025, 1)), ("often", (9, 10), (0.55, 0.99)), ("never", (0, 3), (0, 0.71)))


@pytest.fixture(scope="module")
def report(judged):
    return make_report(judged, margin=0.1)


def by_name(report):
    return {table.name: table for table in tables(report)}


def test_every_table_says_preset_and_question_and_its_rows_fit_its_heads(report):
    found = tables(report)
    names = ["rates", "contrasts", "equivalence", "exclusions", "checks", "closer", "images"]
    assert [table.name for table in found] == names
    for table in found:
        assert "(zhu2017, asked for the real image)" in table.title
        assert {len(row) for row in table.rows} == {len(table.heads)}
        assert all(cell for row in table.rows for cell in row)


def test_the_headline_comes_first_and_has_rate_interval_n_and_trials(report):
    estimate = report.analysis.estimates["one"]
    first = dict(zip(headline(report)[0].heads, headline(report)[0].rows[0], strict=True))
    ends = [100 * end for end in (estimate.interval.low, estimate.interval.high)]
    assert first["algorithm"] == "one"
    assert first["fooled %"] == "50.0"
    assert first["95 % interval"] == f"[{ends[0]:.1f}, {ends[1]:.1f}]"
    assert (first["n"], first["trials"], first["excluded"]) == ("4", "16", "0")
    assert first["SE"] == "10.2"  # of 0.75, 0.5, 0.5, 0.25
    assert first["± AMT"] == f"{100 * estimate.amt:.1f}"


def test_differences_have_signs(report):
    (row,) = by_name(report)["contrasts"].rows
    assert row[:2] == ("one - two", "+43.8")
    assert row[3] == "4, 4"


def test_equivalence_is_there_only_with_a_margin(report, judged):
    assert by_name(report)["equivalence"].title.startswith("Equivalence to 50 % within 10.0 points")
    assert [row[-1] for row in by_name(report)["equivalence"].rows] == ["not shown", "not shown"]
    assert "equivalence" not in by_name(make_report(judged))


def test_equivalence_is_shown_alike_in_the_table_and_on_the_page(judged):
    """One is at 50 % with a standard error of 10.2 points, which is 4.4 of them from 95 %: p = 0.011 by t with 3."""
    report = make_report(judged, margin=0.45)
    assert [row[-2:] for row in by_name(report)["equivalence"].rows] == [("0.011", "yes"), ("0.427", "not shown")]
    one, two = map(plain, headlines(report))
    assert "That is within 45 points of 50 % (TOST, p = 0.011)." in one
    assert "That is not shown to be within 45 points" in two


def test_what_lies_behind_a_rate_is_each_in_its_row(report):
    """Fooled in the first 3, 2, 2 and 1 of four trials, the real image right, left, right, left; none in practice."""
    rows = {row[1]: row[2:] for row in by_name(report)["closer"].rows if row[0] == "one"}
    assert {what: (row[0], row[2]) for what, row in rows.items()} == {
        "scored": ("50.0", "4"),
        "practice": ("0.0", "4"),
        "first third": ("87.5", "4"),
        "middle third": ("25.0", "4"),
        "last third": ("0.0", "4"),
        "last third - first, points": ("-87.5", "4"),
        "clicked left": ("62.5", "4"),
        "real image left": ("37.5", "4"),
        "real image right": ("62.5", "4"),
        "reaction time, ms": ("500", "16"),
        "where fooled, ms": ("500", "8"),
        "where not fooled, ms": ("500", "8"),
        "exposure measured, ms": ("100", "16"),
        "exposures flagged": ("0.0", "16"),
        "scored, not answered": ("0", "16"),
    }
    assert rows["last third - first, points"][1] == "[-100.0, -47.7]"
    assert rows["real image left"][1] == "[0.0, 77.3]"


def test_notes_say_which_pairs_and_which_level(report):
    found = by_name(report)
    assert "after Holm over all pairs" in found["contrasts"].notes[0]
    assert "where p is at most 0.05." in found["equivalence"].notes[0]
    choices = replace(report.analysis.choices, pairs=(("one", "two"),), level=0.9)
    other = by_name(replace(report, analysis=replace(report.analysis, choices=choices)))
    assert "after Holm over the registered pairs" in other["contrasts"].notes[0]
    assert "where p is at most 0.1." in other["equivalence"].notes[0]
    assert found["contrasts"].heads[2] == "95 % interval"
    assert other["contrasts"].heads[2] == "90 % interval"


def test_who_gave_no_scored_answer_is_not_analysed(report):
    arms = (replace(report.analysis.arms[0], finished=7, excluded={"too fast": 2}, without=1), report.analysis.arms[1])
    shown = replace(report, analysis=replace(report.analysis, arms=arms))
    assert by_name(shown)["exclusions"].rows[0][-2:] == ("1", "4")


def test_images_are_called_as_they_are_where_they_came_from(report):
    rows = [row for row in by_name(report)["images"].rows if row[0] == "one"]
    assert sorted(row[2] for row in rows) == [f"{i:03}.png" for i in range(8)]
    assert sum(int(row[4]) for row in rows) == 16
    assert sum(int(row[3]) for row in rows) == 8
    assert [row[1] for row in rows] == ["most"] * 4 + ["least"] * 4


def test_an_image_that_few_have_judged_is_not_the_most_convincing_one():
    once, often, never = (ImageRate(name, *n, Interval(*ends)) for name, n, ends in IMAGES)
    assert convincing((once, often, never), 5) == ([often], [never])
    assert convincing((once,), 5) == ([once], [])


def test_simulated_people_and_an_unfinished_study_stand_over_every_table(report):
    manifest = replace(report.judged.manifest, warnings=(SIMULATED,))
    shown = replace(report, judged=replace(report.judged, manifest=manifest, wanted=5))
    for table in tables(shown):
        assert "(zhu2017, asked for the real image; simulated participants; unfinished)" in table.title


def test_excluded_participants_are_counted_by_rule(study):
    answer(study, {"one": [3, 2, 2, 1]})
    answered = {row[0]: row for row in by_name(make_report(study, unfinished=True))["exclusions"].rows}
    assert answered == {"one": ("one", "4", "0", "0", "4"), "two": ("two", "0", "0", "0", "0")}


def test_all_excluded_leaves_a_row_without_a_rate(study):
    answer(study, {"one": [3, 2, 2, 1], "two": [0, 0, 0, 0]}, flags=["exposure"])
    report = make_report(study)
    assert report.analysis.estimates == {}
    assert [table.name for table in tables(report)] == ["rates", "exclusions"]
    assert by_name(report)["rates"].rows[0] == ("one", "-", "-", "0", "0", "4", "-", "-", "-", "-")


def test_one_participant_has_a_rate_and_no_error(study):
    answer(study, {"one": [2]})
    row = by_name(make_report(study, unfinished=True))["rates"].rows[0]
    assert row[1] == "50.0"
    assert row[3] == "1"
    assert row[6] == "-"
