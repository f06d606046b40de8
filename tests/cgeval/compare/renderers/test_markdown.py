"""Markdown: as many cells as heads whatever labels hold, and as GitHub's reader would show them."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cgeval.compare.renderers import as_markdown
from cgeval.compare.renderers.grid import text_width
from cgeval.compare.renderers.markdown import escaped, prose
from cgeval.compare.renderers.wording import one_line
from tests.cgeval.compare.renderers import comparisons

ANY = st.text(st.characters(), max_size=40)
SPECIAL = st.text(st.sampled_from("\\|`*_[]()<>~$&#!-+=.1 a\n"), max_size=20)


def tables(text):
    """Every table of the text as rows of cells; pipes behind an odd number of backslashes are letters."""
    found = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    return [[cells(line) for line in each.splitlines()] for each in found]


def cells(line):
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip() for cell in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]]


def shown(text):
    """What a reader sees of a text without code."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def rendered(text):
    """Rows of cells of every table, and all text, by a reader that is not ours."""
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found, words = [], []
    for token in reader.parse(text):
        if token.type == "table_open":
            found.append([])
        if token.type == "tr_open":
            found[-1].append([])
        if token.type == "inline":
            plain = "".join(child.content for child in token.children)
            words.append(plain)
            if token.map and found and found[-1] and text.splitlines()[token.map[0]].startswith("|"):
                found[-1][-1].append(plain)
    return found, words


@settings(max_examples=30, deadline=None)
@given(st.lists(ANY | SPECIAL, min_size=1, max_size=3))
@example(["|"])
@example(["\\|"])
@example(["a\\"])
@example(["\n| x |"])
def test_any_label_leaves_the_table_its_columns(labels):
    found = tables(as_markdown(comparisons.labelled(*labels)))
    assert [len(rows) for rows in found] == [len(labels) + 3, len(labels) + 2]
    assert [{len(row) for row in rows} for rows in found] == [{4}, {7}]
    assert [shown(row[0]) for row in found[0][3:]] == [one_line(label) for label in labels]


@settings(max_examples=30, deadline=None)
@given(ANY | SPECIAL)
@example("a_b *c* `d` <e> [f](g) $h$ ~~i~~ &amp; #1 \\| !")
@example("`` ` ``")
@example("*")
def test_another_reader_sees_the_label_as_it_is(label):
    found, _ = rendered(as_markdown(comparisons.labelled(f"a{label}")))
    assert found[0][2][0] == one_line(f"a{label}")
    assert found[1][1][0] == one_line(f"a{label}")
    assert found[1][1][2] == "<0.001 (0.002)"


@settings(max_examples=30, deadline=None)
@given(SPECIAL.map(lambda text: text.replace("`", "")))
@example("- no list")
@example("1. no list")
@example("+")
@example("> no quotation")
def test_a_note_is_one_sentence_for_another_reader(text):
    _, words = rendered(f"- {prose(text)}\n")
    assert words == ([one_line(text)] if one_line(text) else [])


def test_commands_in_sentences_are_code_and_the_rest_is_text():
    assert prose("A_1 | `cyclegan train --set a_b=*` *trains*") == r"A\_1 \| `cyclegan train --set a_b=*` \*trains\*"


def test_a_lone_backtick_is_a_backtick():
    assert prose("a ` b") == r"a \` b"


def test_the_rich_one_has_a_table_for_each_group_and_for_its_differences():
    found = tables(as_markdown(comparisons.rich()))
    heads = [rows[0] for rows in found]
    scores = ["per-pixel accuracy", "per-class accuracy", "class IoU"]
    error = "reconstruction error (L1), lower is better"
    assert heads == [
        ["", *scores],
        ["", *scores],
        ["", "fooling rate (%)"],
        ["", error],
        ["", scores[0], "p (Holm)", scores[1], "p (Holm)", scores[2], "p (Holm)"],
        ["", scores[0], "p (Holm)", scores[1], "p (Holm)", scores[2], "p (Holm)"],
        ["", error, "p (Holm)"],
        ["", *scores],
        ["", *scores],
        ["", "fooling rate (%)"],
    ]


def test_the_best_is_bold_and_what_does_not_compete_slanted():
    rows = {row[0]: row[1:] for row in tables(as_markdown(comparisons.rich()))[0]}
    assert rows["pix2pix"][0] == "**0.731** [0.719, 0.743]"
    assert rows["CycleGAN"][0] == "0.447 [0.435, 0.459]"
    assert "*real images (the ceiling)*" in rows
    assert "*noise (should be bad)*" in rows


def test_numbers_are_set_to_the_right():
    _, marks, *_ = tables(as_markdown(comparisons.plain()))[0]
    assert [mark.endswith(":") for mark in marks] == [False, True, True, True]


def test_the_source_is_in_columns_too():
    for rows in re.findall(r"(?:^\|.*\|$\n?)+", as_markdown(comparisons.rich()), re.MULTILINE):
        assert len({text_width(line) for line in rows.splitlines()}) == 1


def test_heads_say_n_and_lists_say_how_it_was_measured():
    text = as_markdown(comparisons.rich())
    assert "\n**labels -> photo**, n = 233, 128x128 px\n" in text
    assert "\n- scorer (labels -> photo): camvid (segformer" in text
    assert "\n- intervals (fooling rate): Wilson score, 95 %\n" in text
    assert "\n### Notes\n\n- pix2pix has no photo -> labels: `cyclegan train --set direction=BtoA` trains" in text


def test_an_unsure_number_has_a_sign_that_is_explained_where_it_is():
    text = as_markdown(comparisons.rich())
    assert " 0.07? |" in text
    assert text.count("\n- ?: read in one place only") == 1
    assert text.count("one place only") == 1


def test_a_table_without_numbers_says_so():
    table = replace(comparisons.first_table(), rows=())
    assert "There are no numbers yet." in as_markdown(replace(comparisons.rich(), tables=(table,)))


def test_escaping_leaves_common_labels_alone():
    for label in ("CycleGAN", "Gatys, starry night", "GAN + forward cycle", "real images (the ceiling)"):
        assert escaped(label) == label
