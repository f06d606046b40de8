"""The table for a terminal: what fits beside each other, what is marked, what stands below."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.compare.comparison import Number
from cgeval.compare.renderers import as_text
from cgeval.compare.renderers.grid import text_width
from tests.cgeval.compare.renderers import comparisons

LABELS = st.text(st.characters(), max_size=60)


def row_of(text, label):
    """The words of the first line that begins with the label."""
    (line, *_) = (line for line in text.splitlines() if line.startswith(label))
    return line.removeprefix(label).split("  ")


def cells(text, label):
    return [word.strip() for word in row_of(text, label) if word.strip()]


@pytest.mark.parametrize("width", [80, 100, 120, 140])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(text_width(line) for line in as_text(comparisons.rich(), width, bold=False).splitlines()) <= width


@settings(max_examples=25, deadline=None)
@given(LABELS, LABELS, st.sampled_from([80, 100, 140]))
def test_any_label_leaves_the_numbers_below_each_other(first, second, width):
    text = as_text(comparisons.labelled(f"a{first}", f"b{second}"), width, bold=False)
    lines = text.splitlines()
    assert max(text_width(line) for line in lines) <= width
    values = [line for line in lines if re.search(r" 0\.100\b.* 0\.200\b.* 0\.300\b", line)]
    assert len(values) == 2
    assert len({text_width(line[: line.index(" 0.100")]) for line in values}) == 1


@settings(max_examples=25, deadline=None)
@given(LABELS, LABELS)
def test_nothing_that_comes_from_names_steers_the_terminal(label, title):
    text = as_text(comparisons.labelled(label, title=title, note=title), 100, bold=False)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    text.encode()


def test_it_begins_with_what_is_compared_and_what_the_sign_means():
    first, second, *_ = as_text(comparisons.rich(), 140, bold=False).splitlines()
    assert first == "camvid, split test: compared with CycleGAN"
    assert second.startswith("* the best of its column, or not told from the best by intervals")
    assert "not corrected" in second


def test_without_best_numbers_no_sign_is_explained():
    assert "*" not in as_text(replace(comparisons.rich(), tables=(comparisons.other_table(),)), 100, bold=False)


def test_numbers_have_intervals_and_the_best_its_sign():
    text = as_text(comparisons.plain(), 100, bold=False)
    assert cells(text, "CycleGAN") == ["0.447", "[0.435, 0.459]", "0.215", "[0.203, 0.227]", "0.153", "[0.141, 0.165]"]
    assert cells(text, "pix2pix") == [
        "0.731* [0.719, 0.743]",
        "0.410* [0.398, 0.422]",
        "0.315* [0.303, 0.327]",
    ]


def test_in_a_narrow_terminal_intervals_stand_below():
    lines = as_text(comparisons.plain(), 60, bold=False).splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("CycleGAN"))
    assert lines[at].split() == ["CycleGAN", "0.447", "0.215", "0.153"]
    assert lines[at + 1].split("  ")[-3:] == ["[0.435, 0.459]", "[0.203, 0.227]", "[0.141, 0.165]"]


def test_the_best_is_bold_only_where_it_is_asked_for():
    assert "\x1b[1m0.731\x1b[0m* [0.719, 0.743]" in as_text(comparisons.plain(), 100, bold=True)
    assert "\x1b" not in as_text(comparisons.plain(), 100, bold=False)


def test_by_default_nothing_is_bold_where_output_is_no_terminal_and_the_width_is_the_terminals(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "90")
    text = as_text(comparisons.rich())
    assert "\x1b" not in text
    assert max(text_width(line) for line in text.splitlines()) == 90


def test_a_very_wide_terminal_is_not_filled():
    assert as_text(comparisons.rich(), 400, bold=False) == as_text(comparisons.rich(), 140, bold=False)


def test_groups_stand_side_by_side_where_they_fit():
    table = comparisons.first_table()
    narrow = replace(table, groups=table.groups[2:], rows=())
    rows = tuple(
        replace(row, numbers={(place - 2, metric): cell for (place, metric), cell in row.numbers.items() if place > 1})
        for row in table.rows
    )
    both = replace(comparisons.rich(), tables=(replace(narrow, rows=rows),))
    text = as_text(both, 100, bold=False)
    assert "fooling rate (%)" in text
    assert cells(text, "CycleGAN") == ["26.8* [25.6, 28.0]", "0.0487", "[0.0466, 0.0508]"]
    assert cells(text, "pix2pix") == ["29.4* [28.2, 30.6]", "-"]


def test_rows_without_a_number_are_left_out_and_named():
    text = as_text(comparisons.rich(), 140, bold=False)
    assert "no numbers: pix2pix; Gatys, starry night; Gatys, the scream; Gatys, average of 367 photos" in text


def test_real_images_and_what_should_be_bad_are_set_apart():
    lines = as_text(comparisons.rich(), 100, bold=False).splitlines()
    labels = ["real images (the ceiling)", "CycleGAN", "Cycle alone", "shuffled photos (should be"]
    firsts = [next(i for i, line in enumerate(lines) if line.startswith(label)) for label in labels]
    assert all(set(lines[at - 1]) == {"-"} for at in firsts)
    (pix2pix, *_) = (i for i, line in enumerate(lines) if line.startswith("pix2pix"))
    assert not lines[pix2pix - 1].startswith("-")


def test_differences_have_interval_p_and_holm_in_a_table_of_their_own():
    text = as_text(comparisons.plain(), 140, bold=False)
    numbers, _, differences = text.partition("Minus CycleGAN")
    assert "Holm" in differences
    assert cells(differences, "pix2pix")[0] == "+0.284 [+0.269, +0.299] <0.001 (0.002)"
    assert "+0.284" not in numbers
    assert "\nCycleGAN " not in differences


def test_narrow_terminals_have_p_values_below():
    lines = as_text(comparisons.plain(), 80, bold=False).partition("Minus CycleGAN")[2].splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("pix2pix"))
    assert lines[at].split() == ["pix2pix", "+0.284", "+0.196", "+0.161"]
    assert lines[at + 1].split("  ")[-1] == "[+0.146, +0.176]"
    assert lines[at + 2].split("    ")[-1] == "<0.001 (0.002)"


def test_n_stands_over_the_group_where_all_share_it():
    assert "labels -> photo, n = 233, 128x128 px" in as_text(comparisons.plain(), 100, bold=False)


def test_n_has_a_column_where_it_differs():
    whole = comparisons.plain()
    (table,) = whole.tables
    main, other = table.rows
    fewer = replace(other, numbers={key: replace(cell, n=60) for key, cell in other.numbers.items()})
    text = as_text(replace(whole, tables=(replace(table, rows=(main, fewer)),)), 100, bold=False)
    assert "n = " not in text
    assert cells(text, "CycleGAN")[0] == "233"
    assert cells(text, "pix2pix")[0] == "60"


def test_an_n_that_nobody_knows_is_not_shown_as_a_number():
    table = comparisons.published_table()
    rows = tuple(
        replace(row, numbers={key: Number(cell.value, 0) for key, cell in row.numbers.items() if key[0] == 0})
        for row in table.rows
    )
    text = as_text(replace(comparisons.rich(), tables=(replace(table, rows=rows),)), 100, bold=False)
    assert not re.search(r"\bn\b( = | +per-pixel)", text)
    assert cells(text, "CoGAN") == ["0.40", "0.10", "0.06"]


def test_what_was_measured_otherwise_and_what_is_printed_have_tables_of_their_own():
    lines = as_text(comparisons.rich(), 140, bold=False).splitlines()
    titles = [lines[i - 1] for i, line in enumerate(lines) if line and set(line) == {"="}]
    first, *others = (table.title for table in comparisons.rich().tables)
    assert titles == others
    assert lines[0].startswith(first)  # the heading has said it


def test_an_unsure_number_has_a_sign_that_is_explained():
    text = as_text(comparisons.rich(), 140, bold=False)
    assert " 0.07?" in text
    assert text.count("\n? read in one place only") == 1
    assert text.count("one place only") == 1


def test_facts_footnotes_and_notes_stand_below():
    text = as_text(comparisons.rich(), 140, bold=False)
    assert re.search(r"^scorer +labels -> photo: camvid \(segformer", text, re.MULTILINE)
    assert "Differences: paired bootstrap over the same 233 images" in text
    assert text.splitlines()[-2].startswith("note: pix2pix has no photo -> labels")


def test_a_fooling_rates_n_counts_participants():
    text = as_text(comparisons.rich(), 140, bold=False)
    assert "n = 1000 participants" in text
    whole = comparisons.rich()
    table = whole.tables[0]
    rows = [
        replace(row, numbers={key: replace(cell, n=24) if key[0] == 2 else cell for key, cell in row.numbers.items()})
        if row.label == "pix2pix"
        else row
        for row in table.rows
    ]
    text = as_text(replace(whole, tables=(replace(table, rows=tuple(rows)),)), 140, bold=False)
    assert re.search(r"^ +participants +fooling rate", text, re.MULTILINE)
    assert "n = 1000" not in text


def test_what_the_first_table_tells_is_not_told_again():
    text = as_text(comparisons.rich(), 140, bold=False)
    other = comparisons.other_table()
    (group,) = other.groups
    again = replace(other, groups=(replace(group, facts=comparisons.LABELS_TO_PHOTO.facts),))
    assert text.count(comparisons.INTERVAL) == 1
    assert "big (fcn8s)" in text
    assert "\nthe rest  as in the first table\n" in text
    alone = as_text(replace(comparisons.rich(), tables=(again,)), 140, bold=False)
    assert comparisons.INTERVAL in alone
    assert "the rest" not in alone


def test_a_table_without_numbers_says_so():
    table = replace(comparisons.first_table(), rows=())
    assert "There are no numbers yet." in as_text(replace(comparisons.rich(), tables=(table,)), 100, bold=False)
