"""Every method and every image of an agreement is on the page, where its numbers say."""

import re
from dataclasses import replace

import pytest

from cgeval.compare.agreement import OVER_METHODS
from cgeval.compare.comparison import Comparison
from cgeval.compare.gather import compare, find_subjects, runs_of_one_dataset
from cgeval.compare.report import write_report
from cgeval.compare.report.agreement import _letter, agreement_sections
from cgeval.compare.report.tables import section
from tests.cgeval.compare.judged import IDS, METHODS, a_study
from tests.cgeval.compare.report.pages import page_of


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Comparison:
    folder = tmp_path_factory.mktemp("judged")
    a_study(folder)
    return compare(find_subjects(runs_of_one_dataset((), folder / "runs", None), "test", None), "test", agreement=True)


@pytest.fixture(scope="module")
def page(judged, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "report.html"
    return page_of(write_report(judged, path, examples=0, command="cgeval compare --agreement"))


def test_methods_stand_where_their_numbers_are(judged):
    methods, _ = agreement_sections(judged)
    (panels,) = methods.panels
    scores, errors = panels.scatters[2], panels.scatters[3]
    found = {each.label: each for each in judged.agreements[2].points}
    letters = {letter: label for letter, label, _ in panels.key}
    assert [letter for letter, *_ in panels.key] == ["a", "b", "c", "d"]
    for panel in (scores, errors):
        ordered = sorted(panel.spots, key=lambda spot: spot.at[0])
        rates = [found[letters[spot.mark]].rate for spot in ordered]
        assert rates == sorted(rates)  # agreement rises, of errors too
        assert [spot.at[1] for spot in ordered] == sorted((spot.at[1] for spot in ordered), reverse=True)
        for spot in panel.spots:
            assert spot.up[0] < spot.at[1] < spot.up[1]
            assert spot.across[0] <= spot.at[0] <= spot.across[1]
    assert errors.head == "reconstruction error (L1), lower is better"
    assert errors.across[0].at > errors.across[-1].at
    assert re.fullmatch(r"rho 1\.00, tau-b 1\.00, n = 4", scores.told)


def test_images_are_a_cloud_of_a_dot_each(judged):
    _, images = agreement_sections(judged)
    assert [panels.title for panels in images.panels] == [subject.label for subject in judged.subjects]
    for panels in images.panels:
        assert len(panels.scatters) == 4
        for scatter in panels.scatters:
            dots = re.findall(r"M(\d+) (\d+)h0", scatter.cloud)
            assert len(dots) == len(IDS)
            assert all(0 <= int(place) <= 1000 for dot in dots for place in dot)


def test_the_page_has_a_section_with_both_tables_and_all_drawings(page, judged):
    text = page.text
    assert "Agreement with people" in text
    assert "over methods" in text
    assert [each for each in page.all("a") if each.attributes["href"] == "#people"]
    (people,) = [each for each in page.all("section") if each.attributes.get("id") == "people"]
    assert "Spearman's rho" in people.text
    assert "Look out: an order of 4 methods tells little" in " ".join(people.text.split())
    drawn = [each for each in page.all("div") if each.attributes.get("class") == "scatter"]
    assert len(drawn) == 4 + 4 * len(METHODS)
    assert all(each.attributes["role"] == "img" and each.attributes["aria-label"] for each in drawn)
    assert "Measured otherwise" not in text
    values = {value for value, _ in page.numbers}
    for each in judged.agreements:
        assert {each.rho.value, each.tau.value} <= values


def test_its_words_are_explained(page):
    terms = [each.text for each in page.all("dt")]
    assert {"Spearman's rho", "Kendall's tau-b"} <= set(terms)


def test_nothing_of_it_is_on_a_page_that_was_not_asked(judged, tmp_path):
    bare = replace(judged, tables=judged.tables[:1], agreements=())
    page = page_of(write_report(bare, tmp_path / "r.html", examples=0, command="cgeval compare"))
    assert "Agreement with people" not in page.text


def test_how_it_was_measured_is_told_once_for_all_parts(judged):
    whole = [section(judged, table, drawn=False) for table in judged.tables if table.title.endswith("over images")]
    _, images = agreement_sections(judged)
    assert len(images.section.parts) == len(whole[0].parts) == 4
    assert [bool(part.facts) for part in images.section.parts] == [True, False, False, False]


def test_labels_of_any_kind_are_escaped(judged, tmp_path):
    evil = "<script>alert(1)</script>"
    subjects = (replace(judged.subjects[0], label=evil), *judged.subjects[1:])
    old = judged.subjects[0].label
    agreements = tuple(
        replace(
            each,
            over=evil if each.over == old else each.over,
            points=tuple(replace(point, label=evil if point.label == old else point.label) for point in each.points),
        )
        for each in judged.agreements
    )
    changed = replace(judged, subjects=subjects, agreements=agreements)
    page = page_of(write_report(changed, tmp_path / "r.html", examples=0, command="cgeval compare --agreement"))
    assert page.all("script") == []
    assert evil in page.text
    assert any(each.over == OVER_METHODS for each in agreements)


def test_letters_go_on_after_z():
    assert [_letter(i) for i in (0, 25, 26, 27, 701, 702)] == ["a", "z", "aa", "ab", "zz", "aaa"]
