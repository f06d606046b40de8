"""The whole file: it asks for nothing, holds every number of the comparison, escapes what it is given, and is whole."""

import base64
import hashlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from cgeval.compare.comparison import Table
from cgeval.compare.renderers.wording import columns, difference_words, number_words
from cgeval.compare.report import report as module
from cgeval.compare.report import write_report
from cgeval.errors import OutputError
from tests.cgeval.compare.renderers.comparisons import labelled, plain, rich
from tests.cgeval.compare.report.pages import page_of

COMMAND = "cgeval compare --baselines gatys,pix2pix"
EVIL = "</style></title><script>alert('x')</script><img src=x onerror=alert(1)> & \"quoted\""


@pytest.fixture(scope="module")
def page(whole, tmp_path_factory):
    """The report of the town, with everything in it."""
    return page_of(write_report(whole, tmp_path_factory.mktemp("out") / "report.html", command=COMMAND))


@pytest.fixture(scope="module")
def rich_page(tmp_path_factory):
    """All kinds of rows and tables, and no pictures."""
    return page_of(write_report(rich(), tmp_path_factory.mktemp("rich") / "r.html", examples=0, command=COMMAND))


# It asks for nothing


def test_nothing_is_fetched_from_anywhere(page):
    assert page.all("script", "iframe", "object", "embed", "base", "form", "video", "audio", "source") == []
    for element in page.elements:
        for name in ("src", "srcset", "poster", "data", "action", "xlink:href", "background"):
            if name in element.attributes and element.tag != "data":
                assert element.attributes[name].startswith("data:image/"), (element.tag, name)
    assert [each.attributes for each in page.all("link")] == [{"rel": "icon", "href": "data:,"}]
    assert not re.search(r"url\(|@import|@font-face|https?:", page.all("style")[0].text)


def test_links_lead_to_places_in_the_page_or_to_arxiv(page):
    places = {each.attributes["id"] for each in page.elements if "id" in each.attributes}
    for link in page.all("a"):
        target = link.attributes["href"]
        assert target.removeprefix("#") in places or re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{4,5}", target)


def test_the_policy_lets_pass_one_style_sheet_and_pictures_in_the_file(page):
    (policy,) = [each.attributes["content"] for each in page.all("meta") if "http-equiv" in each.attributes]
    digest = base64.b64encode(hashlib.sha256(page.all("style")[0].text.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_nothing_in_the_page_needs_what_the_policy_forbids(page, rich_page):
    for element in (*page.elements, *rich_page.elements):
        assert "style" not in element.attributes
        assert not [name for name in element.attributes if name.startswith("on")]


# It says what the comparison says


def expected_numbers(comparison):
    """Exact value and digits of each number and difference, in any order."""
    for table in comparison.tables:
        for place in range(len(table.groups)):
            for column in columns(table, place):
                for row in table.rows:
                    if column.key in row.numbers:
                        number = row.numbers[column.key]
                        yield number.value, number_words(number, column).value
                    if column.key in row.differences:
                        difference = row.differences[column.key]
                        yield difference.value, difference_words(difference, column).value.replace("-", "−")


def test_every_number_stands_in_a_table_with_its_exact_value(rich_page):
    assert sorted(rich_page.numbers) == sorted(expected_numbers(rich()))


def test_real_runs_numbers_are_those_of_the_comparison_too(whole, page):
    assert set(expected_numbers(whole)) <= set(page.numbers)


def test_intervals_p_values_and_what_is_unsure_are_told(rich_page):
    assert "[0.435, 0.459]" in rich_page.text
    assert "0.812 1.000" in rich_page.text  # p, then Holm's
    assert "<0.001 0.002" in rich_page.text
    assert "0.07?" in rich_page.text


def test_best_numbers_are_marked_for_the_eye_and_for_the_ear(rich_page):
    best = [cell for cell in rich_page.all("td") if "best" in cell.attributes.get("class", "").split()]
    numbers = [cell for table in rich().tables for row in table.rows for cell in row.numbers.values()]
    assert len(best) == sum(cell.best for cell in numbers)
    assert all("(best)" in cell.text for cell in best)


def test_what_was_measured_otherwise_or_printed_stands_apart(rich_page):
    heads = [each.text for each in rich_page.all("h2")]
    assert heads == [
        "Scores",
        "Measured otherwise",
        "Printed elsewhere",
        "What the numbers are",
        "How each number was made",
        "Sources",
    ]


def test_title_split_notes_and_command_are_there(page, rich_page):
    assert [each.text for each in page.all("h1")] == ["Translations of streets, compared"]
    assert "test split" in page.text
    assert COMMAND in page.text
    assert "cyclegan train --set direction=BtoA" in [each.text for each in rich_page.all("code")]


def test_a_comparison_without_any_table_is_a_page_too(tmp_path):
    empty = replace(plain(), tables=())
    assert "Nothing is measured yet" in page_of(write_report(empty, tmp_path / "r.html", examples=0, command="x")).text


def test_a_table_without_rows_is_a_page_too(tmp_path):
    bare = replace(plain(), tables=(Table("nothing", plain().tables[0].groups, ()),))
    assert "Nothing is measured yet" in page_of(write_report(bare, tmp_path / "r.html", examples=0, command="x")).text


# It is well formed, and can be read without eyes


def test_every_drawing_is_well_formed_xml(page, rich_page):
    assert len(page.drawings) > 100
    for drawing in (*page.drawings, *rich_page.drawings):
        ET.fromstring(drawing)


def test_nothing_is_drawn_beside_the_drawing(page, rich_page):
    for element in (*page.elements, *rich_page.elements):
        for name in ("x", "x1", "x2", "y1", "y2", "width"):
            value = element.attributes.get(name, "")
            if value.endswith("%"):
                assert 0 <= float(value[:-1]) <= 100, element


def test_every_head_of_a_table_says_what_it_is_the_head_of(page, rich_page):
    for head in (*page.all("th"), *rich_page.all("th")):
        assert head.attributes.get("scope") in ("row", "col", "colgroup", "rowgroup"), head.text


def test_pictures_and_drawings_have_words(page):
    assert all(each.attributes["alt"] for each in page.all("img"))
    for drawing in page.drawings:
        assert 'aria-hidden="true"' in drawing or "<title>" in drawing


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name(page):
    places = {each.attributes.get("id") for each in page.elements}
    boxes = [each for each in page.all("div") if each.attributes.get("class") == "scroll"]
    assert boxes
    for box in boxes:
        assert box.attributes["tabindex"] == "0"
        assert box.attributes.get("aria-label") or box.attributes["aria-labelledby"] in places


def test_no_id_is_there_twice(page, rich_page):
    for each in (page, rich_page):
        ids = [element.attributes["id"] for element in each.elements if "id" in element.attributes]
        assert len(ids) == len(set(ids))


# It is safe


def test_whatever_a_name_holds_is_text(tmp_path):
    comparison = labelled(EVIL, title=EVIL, note=EVIL)
    comparison = replace(comparison, dataset={**comparison.dataset, "name": EVIL}, split=EVIL)
    page = page_of(write_report(comparison, tmp_path / "r.html", examples=0, command=EVIL))
    assert page.all("script", "img") == []
    assert len(page.all("style")) == 1
    assert page.text.count("alert('x')") >= 5


def test_a_name_that_is_no_utf_8_is_shown_as_well_as_it_can_be(tmp_path):
    path = write_report(labelled("bad \udcff name"), tmp_path / "r.html", examples=0, command="x \udcff")
    assert "bad � name" in page_of(path).text


# It is written whole


def test_it_is_written_into_folders_that_are_made(tmp_path):
    path = tmp_path / "new" / "deep" / "report.html"
    assert write_report(plain(), path, examples=0, command="x") == path
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_a_failure_leaves_the_old_report(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("the old one")
    monkeypatch.setattr(module, "how_it_was_made", lambda comparison: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(plain(), path, examples=0, command="x")
    assert path.read_text() == "the old one"


@pytest.mark.parametrize("place", ["file/report.html", "folder"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"cannot be written \(.*\): name another place for the report\.$"):
        write_report(plain(), tmp_path / place, examples=0, command="x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def test_the_same_comparison_gives_the_same_page(whole, tmp_path):
    one, other = (write_report(whole, tmp_path / name, command="x").read_bytes() for name in ("a.html", "b.html"))
    assert one == other


def test_the_module_needs_nothing_heavy_until_it_writes():
    heavy = "{'jinja2', 'torch', 'matplotlib', 'pandas', 'scipy'}"
    code = f"import sys, cgeval.compare.report; print({heavy} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
