import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from cgeval.errors import OutputError
from study_server.analysis.exclusions import Rules
from study_server.analysis.judgements import judgements_of
from study_server.judged import Judged
from study_server.manifest import SIMULATED
from study_server.reporting.page import write_page
from study_server.reporting.report import Report
from tests.study_server.reporting.simulated import Parsed, imported, judged_of, report_of
from tests.study_server.small_study import small_study

PEOPLE = {"one": (5, 4, 7, 3), "two": (1, 0, 2, 3)}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study(tmp_path_factory.mktemp("page"), pairs=14, trials={"practice": 3, "scored": 10})


@pytest.fixture(scope="module")
def judged(study: Path) -> Judged:
    return judged_of(study, PEOPLE)


def source_of(report: Report, tmp_path: Path) -> str:
    write_page(tmp_path / "page.html", report)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def page_of(report: Report, tmp_path: Path) -> Parsed:
    return Parsed(source_of(report, tmp_path))


def test_the_page_asks_for_nothing_from_elsewhere(judged: Judged, tmp_path: Path) -> None:
    source = source_of(report_of(judged), tmp_path)
    page = Parsed(source)
    assert "http://" not in source
    assert "https://" not in source
    assert "url(" not in page.style
    assert "@import" not in page.style
    links = [each[key] for _, each in page.tags for key in ("src", "href", "srcset", "data", "poster") if key in each]
    assert links
    assert all(str(link).startswith(("data:", "#")) for link in links)
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in page.tags}


def test_the_policy_lets_pass_this_style_sheet_alone(judged: Judged, tmp_path: Path) -> None:
    page = page_of(report_of(judged), tmp_path)
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    policy = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in str(policy[0])
    assert str(policy[0]).startswith("default-src 'none'")
    assert not any("style" in each for _, each in page.tags)  # such attributes would be forbidden


def test_every_inner_link_leads_somewhere(judged: Judged, tmp_path: Path) -> None:
    page = page_of(report_of(judged), tmp_path)
    ids = [each["id"] for _, each in page.tags if "id" in each]
    assert len(ids) == len(set(ids))
    assert {str(each["href"])[1:] for each in page.all("a")} <= set(ids)


def test_numbers_are_those_of_the_analysis(judged: Judged, tmp_path: Path) -> None:
    report = report_of(judged, margin=0.1)
    numbers = set(page_of(report, tmp_path).numbers)
    for found in report.analysis.estimates.values():
        assert found.equivalence is not None
        assert found.closer.tiring is not None
        assert {found.rate, found.error, found.effective, found.amt, found.icc, found.design_effect} <= numbers
        assert {found.equivalence.p_value, found.closer.tiring.value, found.closer.left.value} <= numbers
        assert {image.rate for image in found.closer.images} <= numbers
    (pair,) = report.analysis.contrasts
    assert {pair.difference, pair.p_value, pair.adjusted} <= numbers


def test_it_begins_with_a_plain_sentence_for_each_algorithm(judged: Judged, tmp_path: Path) -> None:
    report = report_of(judged)
    text = page_of(report, tmp_path).text
    ends = report.analysis.estimates["one"].interval
    assert (
        f"People took the images of one for real in 47.5 % of trials (95 % interval {100 * ends.low:.1f} to "
        f"{100 * ends.high:.1f} %; 4 participants × 10 trials; 50 % would be indistinguishable)."
    ) in text
    assert "People took the images of two for real in 15.0 % of trials" in text
    assert "one fooled people more often than two by 32.5 points" in text
    assert "Preset zhu2017: one image after the other" in text


def test_other_estimators_stand_beside_by_name(judged: Judged, tmp_path: Path) -> None:
    report = report_of(judged)
    text = page_of(report, tmp_path).text
    found = report.analysis.estimates["one"]
    assert found.gee is not None
    assert found.bootstrap is not None
    for name, rate, ends in (
        ("GEE", found.gee.rate, found.gee.interval),
        ("bootstrap of participants", found.rate, found.bootstrap),
    ):
        assert f"{name} {100 * rate:.1f} [{100 * ends.low:.1f}, {100 * ends.high:.1f}]" in text


def test_drawings_are_told_and_tables_have_captions_and_scopes(judged: Judged, tmp_path: Path) -> None:
    page = page_of(report_of(judged), tmp_path)
    drawings = page.all("svg")
    assert any("strip" in str(each.get("class")) for each in drawings)
    for each in drawings:
        is_part = each.get("class") == "open"  # of another drawing
        is_told = each.get("role") == "img" and each.get("aria-label")
        assert is_part or is_told or each.get("aria-hidden") == "true"
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(each.get("scope") for each in page.all("th"))
    assert all(each.get("alt") for each in page.all("img"))


def test_the_flow_of_participants_adds_up(judged: Judged, tmp_path: Path) -> None:
    report = report_of(replace(judged, rules=Rules(fast_ms=502, fast_share=0.6)))  # in its order, the first two people
    text = page_of(report, tmp_path).text
    assert [arm.excluded for arm in report.analysis.arms] == [{"too fast": 0}, {"too fast": 2}]
    assert "entered 12" in text
    assert "declined 2" in text
    assert "finished 8 4 4" in text
    assert "more than 60 % of answers under 502 ms 2 0 2" in text
    assert "analysed 6 4 2" in text
    assert "Rules that were not in use: catch trials, one side, exposures." in text


def test_what_to_be_careful_about_is_said(judged: Judged, tmp_path: Path) -> None:
    early = replace(judged, wanted=25, looks=("2026-03-04T10:00:00Z", "2026-03-05T10:00:00Z"))
    text = page_of(report_of(early, deviations=("20 trials were registered.",)), tmp_path).text
    assert "The study is not finished: one has 4 of 25 participants and two has 4 of 25 participants." in text
    assert "seen 2 times before all algorithms were complete (first on 4 March 2026)" in text
    assert "Not as registered: 20 trials were registered." in text
    assert "were judged, and about 200 are wanted" in text


def test_simulated_people_and_accepted_tells_are_said(judged: Judged, tmp_path: Path) -> None:
    assert judged.manifest is not None
    assert "simulated" not in page_of(report_of(judged), tmp_path).text
    told = replace(judged.manifest, warnings=(SIMULATED, "The fakes are all brighter."))
    text = page_of(report_of(replace(judged, manifest=told)), tmp_path).text
    assert "Simulated people took the images of one for real" in text
    assert "The participants are simulated: no people answered" in text
    assert "this was accepted: The fakes are all brighter." in text


def test_a_finished_study_is_not_called_unfinished(judged: Judged, tmp_path: Path) -> None:
    text = page_of(report_of(judged), tmp_path).text
    assert "not finished" not in text
    assert "Not as registered" not in text


def test_equivalence_is_told_where_a_margin_was_declared(judged: Judged, tmp_path: Path) -> None:
    assert "TOST" not in page_of(report_of(judged), tmp_path).text
    text = page_of(report_of(judged, margin=0.05), tmp_path).text
    assert "That is not shown to be within 5 points of 50 % (TOST, p =" in text


def test_how_it_was_made_is_told(judged: Judged, tmp_path: Path) -> None:
    text = page_of(report_of(judged), tmp_path).text
    assert judged.manifest is not None
    said = ("study-server report study", "cgeval 9.9", "200 of each bootstrap", judged.manifest.config_sha256)
    assert all(each in text for each in (*said, *(source.digest for source in judged.manifest.algorithms)))


def test_an_imported_study_has_tables_in_place_of_pictures(judged: Judged, tmp_path: Path) -> None:
    page = page_of(report_of(imported(judged)), tmp_path)
    assert not page.all("img")
    assert "The most convincing of one" in page.text


@pytest.mark.parametrize(
    "people", [{"one": (3,), "two": (0,)}, {"one": (0, 0), "two": (10, 10)}, {"one": (2, 3), "two": ()}]
)
def test_small_and_extreme_studies_give_a_page(study: Path, people: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    page = page_of(report_of(judged_of(study, people), margin=0.1), tmp_path)
    assert "People took the images of one" in page.text
    assert "nan" not in page.text


def test_a_page_is_made_where_everybody_was_excluded(judged: Judged, tmp_path: Path) -> None:
    text = page_of(report_of(replace(judged, rules=Rules(one_sided_share=0.1))), tmp_path).text
    assert "Of one nothing can be said: all 4 participants were excluded." in text
    assert "What the numbers are" not in text
    assert "analysed 0 0 0" in text


def test_a_page_is_made_where_nobody_came(judged: Judged, tmp_path: Path) -> None:
    nobody = replace(judged, judgements=judgements_of([], [], ("one", "two")), states={}, wanted=25)
    text = page_of(report_of(nobody), tmp_path).text
    assert "Of one nothing can be said: nobody has finished." in text


def test_names_are_text_and_nothing_else(judged: Judged, tmp_path: Path) -> None:
    odd = replace(judged.judgements, arms=("<script>alert(1)</script>", 'a"b & c'))
    page = page_of(report_of(imported(replace(judged, judgements=odd))), tmp_path)
    assert not page.all("script")
    assert "<script>alert(1)</script>" in page.text
    assert 'a"b & c' in page.text


def test_a_place_that_cannot_be_written_is_refused(judged: Judged, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="name another place"):
        write_page(tmp_path / "file" / "page.html", report_of(judged))
