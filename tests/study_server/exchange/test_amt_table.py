"""What result files look like in the wild, and one sentence for what is none."""

from pathlib import Path

import pytest

from cgeval.errors import DataError
from study_server.exchange.amt_table import read_assignments
from tests.study_server.exchange.amt_files import Line, judged, write_results


@pytest.fixture
def lines() -> list[Line]:
    return [Line("W1", judged("alg", [True, False, None])), Line("W2", judged("alg", [False, False, True]))]


def selections(file: Path, base: int | None = None) -> list[list[str | None]]:
    return [[trial.selection for trial in each.trials] for each in read_assignments(file, base)]


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("told", [False, True])
def test_numbers_start_at_0_or_1(tmp_path, lines, base, told):
    file = write_results(tmp_path / "results.csv", lines, base)
    found = read_assignments(file, base if told else None)
    assert [[trial.index for trial in each.trials] for each in found] == [[0, 1, 2], [0, 1, 2]]
    assert selections(file) == [["right", "right", None], ["left", "right", "right"]]
    assert [(each.worker, each.status) for each in found] == [("W1", "Approved"), ("W2", "Approved")]


@pytest.mark.parametrize("cell", ["", "unset", "{}", " unset ", "UNSET"])
def test_what_is_not_answered_is_missing(tmp_path, cell):
    file = write_results(tmp_path / "results.csv", [Line("W", [("left", "gt/1", "a/1", cell)] * 2)])
    assert selections(file) == [[None, None]]


def test_a_column_of_answers_that_is_not_there_is_missing_answers(tmp_path, lines):
    file = write_results(tmp_path / "results.csv", lines, leave_out=["Answer.selection1"])
    assert selections(file) == [["right", None, None], ["left", None, "right"]]
    file = write_results(tmp_path / "first.csv", lines, leave_out=["Answer.selection0"])
    with pytest.raises(DataError, match=r"mixes its numbering.*--zero-based"):
        selections(file)
    assert selections(file, 0) == [[None, "right", None], [None, "right", "right"]]


def test_lines_may_be_shorter_than_others(tmp_path):
    lines = [Line("W1", judged("alg", [True] * 4)), Line("W2", judged("alg", [False] * 2))]
    assert [len(each) for each in selections(write_results(tmp_path / "results.csv", lines))] == [4, 2]


def test_a_byte_order_mark_semicolons_and_spaces_are_no_trouble(tmp_path, lines):
    text = write_results(tmp_path / "results.csv", lines).read_text(encoding="utf-8").replace('","', '" ; "')
    (tmp_path / "excel.csv").write_text(
        text.replace('" ; "', '";"').replace('"left"', '" Left "'), encoding="utf-8-sig"
    )
    assert selections(tmp_path / "excel.csv") == selections(tmp_path / "results.csv")


def without(text: str, *wanted: str) -> str:
    return text.replace(*wanted, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b,c,d,e\n1,2,3,4,5\n", r"no columns Input.images_left.*its columns are a, b, c, d, \.\.\."),
        (b"PK\x03\x04rest", "workbook of Excel"),
        (b"\xff\xfe\x00a", "no text in UTF-8"),
        (b'gt_side0,"images_left0', "no whole CSV"),
        (b"gt_side0,images_left0,images_right0\nleft,gt/1,a/1\n", "input file of the AMT tool"),
        (b"gt_side1,images_left1,images_right1\nleft,gt/1,a/1\n", "input file of the AMT tool"),
        (
            b"WorkerId,Input.gt_side0,Input.images_left0,Input.images_right0\nW,left,gt/1,a/1\n",
            "no column Answer.selection0 or Answer.selection1",
        ),
        (b"Input.gt_side0,Answer.selection0\nleft,left\n", "no columns Input.images_left..., Input.images_right..."),
        (b"Input.images_left0,Input.images_right0,Answer.selection0\na/1,b/1,left\n", "say by --real"),
        (
            b"Input.gt_side0,Input.images_left0,Input.images_right0,Answer.selection0\nleft,gt/1,a/1,up\n",
            "row 2: Answer.selection0 is 'up'",
        ),
        (
            b"Input.gt_side0,Input.images_left0,Input.images_right0,Answer.selection0\n,gt/1,a/1,left\n",
            "row 2: Input.gt_side0 is ''",
        ),
        (
            b"Input.gt_side0,Input.images_left0,Input.images_right0,Answer.selection0\nleft,gt/1,,left\n",
            "row 2: trial 0 has one image",
        ),
        (
            b"Input.gt_side0,Input.images_left0,Input.images_right0,Answer.selection0\nleft,gt/1,a/1\n",
            "row 2 has 3 cells, and the head 4",
        ),
        (b"Input.gt_side0,Input.images_left0,Input.images_right0,Answer.selection0\n", "no row with images"),
        (b"Input.gt_side0,Input.images_left0,Input.images_right0,Answer.selection0,Answer.selection0\n", "twice"),
    ],
)
def test_what_is_no_result_is_told_in_one_sentence(tmp_path, content, said):
    (tmp_path / "results.csv").write_bytes(content)
    with pytest.raises(DataError, match=said) as told:
        read_assignments(tmp_path / "results.csv")
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    for file in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_assignments(file)


HEAD = "Input.gt_side{0},Input.images_left{1},Input.images_right{2},Answer.selection{3}"


@pytest.mark.parametrize(
    ("numbers", "base", "said"),
    [
        ([(0, 0, 0, 1), (1, 1, 1, 2)], None, "starts with Input.gt_side0 and with Answer.selection1"),
        ([(1, 0, 0, 0), (2, 1, 1, 1)], None, "mixes its numbering"),
        ([(0, 0, 0, 1), (1, 1, 1, 2)], 0, "Answer.selection2 without images"),
        ([(0, 0, 0, 0), (1, 1, 2, 1)], None, "no column Input.gt_side2"),
        ([(5, 5, 5, 5)], None, "starts with Input.images_left5"),
        ([(0, 0, 0, 0)], 1, "--one-based says"),
    ],
)
def test_mixed_numbering_is_refused(tmp_path, numbers, base, said):
    head = ",".join(HEAD.format(*each) for each in numbers)
    line = ",".join(["left,gt/1,a/1,left"] * len(numbers))
    (tmp_path / "results.csv").write_text(f"{head}\n{line}\n")
    with pytest.raises(DataError, match=said):
        read_assignments(tmp_path / "results.csv", base)
