"""Columns line up, whatever the signs in them."""

from cgeval.tables import print_table, table_lines


def test_texts_to_the_left_and_numbers_to_the_right():
    lines = table_lines(("class", "n"), [("road", "9"), ("sky", "120")], numbers=(1,))
    assert lines == ["class    n", "road     9", "sky    120"]


def test_wide_and_combining_signs_take_the_columns_that_a_terminal_gives_them():
    lines = table_lines(("name", "n"), [("道路", "1"), ("e\u0301", "2")])
    assert lines == ["name  n", "道路  1", "e\u0301     2"]


def test_an_empty_table_says_so(capsys):
    print_table(("run", "n"), [])
    assert capsys.readouterr().out == "run  n\n(none yet)\n"
