"""Columns of a terminal: wide signs, signs that join others, cells of several lines."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.compare.renderers.grid import Cell, Grid, GridColumn, GridGroup, text_width, wrapped


def grid(*labels, cells=(), head="head", group=("group",), rules=frozenset()):
    column = GridColumn(head, tuple(cells) or tuple(Cell(("1",)) for _ in labels))
    return Grid(labels, (GridGroup(group, (column,)),), rules)


def test_wide_signs_count_two_and_signs_that_join_none():
    assert text_width("画風") == 4
    assert text_width("cafe\u0301") == 4
    assert text_width("e\u200d\u20dd") == 1
    assert text_width("a—b") == 3


@settings(deadline=None)
@given(st.text(), st.integers(2, 40))
def test_wrapped_lines_fit_and_hold_every_sign_in_order(text, columns):
    lines = wrapped(text, columns)
    assert all(text_width(line) <= columns for line in lines)
    assert "".join("".join(lines).split(" ")) == "".join(text.split(" "))


def test_words_that_fit_are_not_broken():
    assert wrapped("two words here", 9) == ["two words", "here"]
    assert wrapped("unbreakable", 4) == ["unbr", "eaka", "ble"]
    assert wrapped("", 4) == [""]


def test_a_sign_that_joins_stays_with_the_one_before_it():
    assert wrapped("aaae\u0301bbb", 4) == ["aaae\u0301", "bbb"]


def test_cells_stand_below_each_other_whatever_the_labels_are():
    lines = grid("ab", "画風", "cafe\u0301").lines(6)
    assert {text_width(line[: line.index("1")]) for line in lines[3:]} == {8}


def test_a_cell_of_two_lines_makes_the_row_two_lines_high():
    lines = grid("a", "b", cells=[Cell(("1", "2")), Cell(("3",))]).lines(1)
    assert [line.split() for line in lines[3:]] == [["a", "1"], ["2"], ["b", "3"]]


def test_a_rule_stands_over_the_rows_that_begin_a_part():
    lines = grid("a", "b", "c", rules=frozenset({0, 2})).lines(1)
    assert [set(line.strip()) == {"-"} for line in lines[2:]] == [True, False, False, True, False]


def test_a_head_is_broken_between_its_parts_before_its_words():
    lines = grid("a", group=("labels -> photo", "n = 233"), cells=[Cell(("1",))]).lines(1)
    assert [line.strip() for line in lines[:2]] == ["labels -> photo", "n = 233"]


def test_the_next_group_begins_behind_a_head_that_is_wider_than_its_numbers():
    narrow = GridGroup(("a head that is wide",), (GridColumn("x", (Cell(("1",)),)),))
    lines = Grid(("label",), (narrow, narrow)).lines(5)
    first, second = (match.start() for match in re.finditer("a head", lines[0]))
    assert [match.start() for match in re.finditer("1", lines[-1])] == [first, second]


def test_only_the_marked_part_is_bold_and_only_when_asked_for():
    best = grid("a", cells=[Cell(("0.731* [0.7, 0.8]",), bold=5)])
    assert best.lines(1, bold=True)[-1].endswith("\x1b[1m0.731\x1b[0m* [0.7, 0.8]")
    assert "\x1b" not in best.lines(1)[-1]
