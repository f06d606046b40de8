import json
from pathlib import Path

import click
import pytest

from cgeval.images import Header
from study_server.checking.findings import Finding, Severity
from study_server.checking.seen import ImagesSeen, Measures, Seen
from study_server.checking.verdict import as_json, as_text, fails

IMAGES = tuple(
    Seen(f"{i}.png", Header(kind, "RGB", False, (), None), 64, 48, str(i), i == 0, 0, 40.0, measures)
    for i, (kind, measures) in enumerate(
        [
            ("PNG", Measures(True, 1.0, False, 9.0, 100.0)),
            ("PNG", Measures(False, 0.0, False, 8.0, 90.0)),
            ("TIFF", None),
        ]
    )
)
REAL = ImagesSeen("real", Path("photos"), IMAGES)
FAKE = ImagesSeen("cyclegan", Path("fakes"), IMAGES[2:], ("b.png is empty.",))


def finding(severity: Severity) -> Finding:
    return Finding("jpeg", severity, "The grid is there " * 12 + ".", "Make it again.", 0.9)


def test_the_table_has_a_column_for_each_side():
    table = as_text(REAL, [(FAKE, [])], 100).split("\n\n")[0].splitlines()
    assert table[0].split() == ["real", "cyclegan"]
    assert "format                    PNG (2) and 1 more  TIFF" in table
    assert "size                      64x48               64x48" in table
    assert "traces of JPEG            1 of 2              too small to tell" in table
    assert "sharpness (grey levels)   8.5                 -" in table


@pytest.mark.parametrize(
    ("severity", "bad", "next_words"),
    [
        (Severity.SPOILS, True, "(cyclegan: jpeg), then run this check again"),
        (Severity.GIVES_AWAY, True, "(cyclegan: jpeg), then run this check again"),
        (Severity.MAY_HELP, False, "may help a careful participant"),
        (Severity.NOTE, False, "the images can be shown"),
    ],
)
def test_the_last_words_say_what_to_do_next(severity, bad, next_words):
    results = [(FAKE, [finding(severity)])]
    assert fails(results) is bad
    assert next_words in as_text(REAL, results, 1000).split("\n\n")[-1]


def test_a_clean_algorithm_is_not_named_among_the_bad():
    clean = ImagesSeen("pix2pix", Path("clean"), IMAGES)
    text = as_text(REAL, [(clean, []), (FAKE, [finding(Severity.GIVES_AWAY)])], 1000)
    assert "Nothing found that tells the two sides apart." in text
    assert "(cyclegan: jpeg)" in text


def test_text_is_wrapped_and_a_finding_is_indented_below_its_head():
    lines = click.unstyle(as_text(REAL, [(FAKE, [finding(Severity.GIVES_AWAY)])], 60)).splitlines()
    head = lines.index("gives the answer away: jpeg")
    assert lines[head + 1].startswith("  The grid")
    assert "  -> Make it again." in lines
    assert max(map(len, lines[head:])) <= 60


def test_json_holds_the_counts_and_the_findings():
    told = json.loads(as_json(REAL, [(FAKE, [finding(Severity.NOTE)])]))
    assert (told["real"]["name"], told["real"]["folder"], told["real"]["images"]) == ("real", "photos", 3)
    assert (told["real"]["measured"], told["real"]["jpeg_grids"], told["real"]["jpeg_grids_of"]) == (2, 1, 2)
    (algorithm,) = told["algorithms"]
    assert (algorithm["unreadable"], algorithm["sharpness"]) == (1, None)
    assert algorithm["findings"][0] | {"found": ""} == {
        "tell": "jpeg",
        "severity": "note",
        "found": "",
        "todo": "Make it again.",
        "right": 0.9,
    }
