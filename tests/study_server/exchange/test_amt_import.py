"""Results of the AMT tool become a study: whole or not at all, one participant a worker, no worker's id anywhere."""

import json
from pathlib import Path

import pytest

from cgeval.errors import ConfigError, DataError, OutputError
from study_server.analysis.analysis import Choices, analyse
from study_server.analysis.judgements import CATCH, PRACTICE, SCORED
from study_server.exchange.amt_import import Reading, import_amt
from study_server.judged import Judged, read_judged
from tests.study_server.exchange.amt_files import Line, judged, tool_rates, write_results


def imported(file: Path | list[Path], out: Path, **how) -> Judged:
    import_amt([file] if isinstance(file, Path) else file, out, Reading(**how))
    return read_judged(out)


def rates(found: Judged) -> dict[str, float]:
    analysis = analyse(found.judgements, Choices(resamples=10, permutations=10))
    return {name: estimate.rate for name, estimate in analysis.estimates.items()}


@pytest.fixture
def lines() -> list[Line]:
    """Two practice trials and eight others, four people; one is fooled in all, one in none."""
    practice = judged("alg", [True, False])
    return [
        Line(f"A{number}SECRET", practice + judged("alg", [i < number for i in range(8)], first=2))
        for number in (0, 3, 5, 8)
    ]


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("ending", ["", ".png", ".JPEG"])
def test_rates_practice_and_sides(tmp_path, base, ending):
    trials = judged("deep/alg.v2", [True, True, False, False, True, None], ending)
    found = imported(write_results(tmp_path / "r.csv", [Line("W", trials)], base), tmp_path / "out", practice=2)
    assert found.judgements.arms == ("deep/alg.v2",)
    assert rates(found) == {"deep/alg.v2": pytest.approx(1 / 3)}
    assert list(found.judgements.phase) == [PRACTICE] * 2 + [SCORED] * 4
    assert list(found.judgements.real_left) == [False, True] * 3
    assert list(found.judgements.clicked_left) == [False, True, True, False, False, False]
    assert list(found.judgements.answered) == [True] * 5 + [False]
    assert found.judgements.images[:2] == ("deep/alg.v2/0", "deep/alg.v2/1")
    assert (found.preset, found.asked, found.states) == ("amt", "fake", {"DONE": 1})


def test_the_rates_are_those_of_the_tool(tmp_path, lines):
    file = write_results(tmp_path / "r.csv", [*lines, Line("other", judged("z", [True] * 7 + [False] * 3))])
    found = imported(file, tmp_path / "out", practice=2)
    assert rates(found) == pytest.approx(tool_rates(file, 2, 10))
    assert rates(found)["alg"] == 0.5


def test_no_worker_s_id_is_in_any_file_nor_any_assignment_s(tmp_path, lines):
    imported(write_results(tmp_path / "r.csv", lines), tmp_path / "out")
    text = "".join(file.read_text() for file in (tmp_path / "out").iterdir())
    assert "SECRET" not in text
    assert "A-r-" not in text
    assert {name for name, _ in json.loads((tmp_path / "out" / "imported.json").read_text())["sessions"]} == {
        "p001", "p002", "p003", "p004"
    }  # fmt: skip


def test_a_participant_s_number_does_not_tell_the_line(tmp_path):
    """With 12 people, the file's order would come out by chance once in 479,001,600 times."""
    lines = [Line(f"W{i:02}", judged("alg", [j < i for j in range(12)])) for i in range(12)]
    found = imported(write_results(tmp_path / "r.csv", lines), tmp_path / "out").judgements
    fooled = list(found.per_participant(found.fooled))
    assert sorted(fooled) == list(range(12))
    assert fooled != sorted(fooled)


def test_a_worker_who_came_often_is_one_participant(tmp_path):
    lines = [
        Line("W", judged("alg", [True] * 4)),
        Line("V", judged("alg", [False] * 4)),
        Line("W", judged("alg", [False] * 4)),
    ]
    summary = import_amt([write_results(tmp_path / "r.csv", lines)], tmp_path / "out", Reading())
    assert (summary.sessions, summary.workers, summary.came_again) == (3, 2, 1)
    found = read_judged(tmp_path / "out").judgements
    assert sorted(found.per_participant()) == [4, 8]
    assert rates(read_judged(tmp_path / "out")) == {"alg": pytest.approx(0.25)}, "each person counts alike"
    busy = found.per_participant().argmax()
    assert list(found.index[found.participant == busy]) == list(range(8))


def test_a_worker_who_judged_several_algorithms_is_one_in_each(tmp_path):
    mixed = [*judged("a", [True, True]), *judged("b", [False, False], first=2)]
    summary = import_amt(
        [write_results(tmp_path / "r.csv", [Line("W", mixed), Line("V", mixed)])], tmp_path / "out", Reading()
    )
    assert rates(read_judged(tmp_path / "out")) == {"a": 1, "b": 0}
    assert summary.participants == {"a": 2, "b": 2}
    alone = [Line("W", mixed), Line("V", judged("a", [True, None]))]
    summary = import_amt([write_results(tmp_path / "s.csv", alone)], tmp_path / "other", Reading(practice=1))
    assert (summary.participants, summary.trials) == ({"a": 2, "b": 1}, {"a": 2, "b": 2})
    assert (summary.practice, summary.missing) == (2, {"a": 1, "b": 0})
    assert any("several algorithms" in note for note in read_judged(tmp_path / "out").notes)
    people = json.loads((tmp_path / "out" / "imported.json").read_text())["people"]
    assert people == {"p001 a": "p001", "p001 b": "p001", "p002 a": "p002", "p002 b": "p002"}


def test_lines_without_a_worker_are_different_people_and_that_is_told(tmp_path, lines):
    file = write_results(tmp_path / "r.csv", lines, leave_out=["WorkerId"])
    found = imported(file, tmp_path / "out")
    assert len(found.judgements.participants) == 4
    assert any("without a worker's id" in note for note in found.notes)


@pytest.mark.parametrize(("folder", "named"), [("vigilance", None), ("data/catch", "catch")])
def test_catch_trials_are_counted_apart(tmp_path, folder, named):
    trials = judged("alg", [True, False]) + judged(folder, [True, False, False], first=2)
    summary = import_amt(
        [write_results(tmp_path / "r.csv", [Line("W", trials)])], tmp_path / "out", Reading(catch=named)
    )
    found = read_judged(tmp_path / "out").judgements
    assert (summary.catch, summary.trials) == (3, {"alg": 2})
    assert list(found.phase) == [SCORED] * 2 + [CATCH] * 3
    assert list(found.fooled[found.phase == CATCH]) == [True, False, False]


def test_catch_trials_are_a_worker_s_whatever_was_judged(tmp_path):
    trials = judged("a", [True]) + judged("vigilance", [True], first=1) + judged("b", [True], first=2)
    summary = import_amt([write_results(tmp_path / "r.csv", [Line("W", trials)])], tmp_path / "out", Reading())
    found = read_judged(tmp_path / "out").judgements
    assert summary.catch == 1
    assert list(found.per_participant(found.phase == CATCH)) == [1, 1]


def test_practice_on_other_images_makes_no_algorithm_of_them(tmp_path):
    """One practice trial is noise, the other of a folder of easy images; nobody is scored on either."""
    practice = judged("vigilance", [True]) + judged("easy", [False], first=1)
    lines = [Line(f"W{i}", practice + judged(name, [True, False], first=2)) for i, name in enumerate("aab")]
    found = imported(write_results(tmp_path / "r.csv", lines), tmp_path / "out", practice=2)
    assert found.judgements.arms == ("a", "b")
    assert sorted(found.judgements.participants) == ["p001", "p002", "p003"]
    assert list(found.judgements.per_participant(found.judgements.phase == PRACTICE)) == [2, 2, 2]
    practised = analyse(found.judgements, Choices(resamples=10, permutations=10)).estimates["a"].closer.practice
    assert (practised.value, practised.participants) == (0.5, 2)
    assert not any("several algorithms" in note for note in found.notes)


def test_some_who_judged_several_algorithms_are_told_although_others_judged_none(tmp_path):
    """As many pairs of worker and algorithm as there are workers."""
    both = judged("a", [True]) + judged("b", [False], first=1)
    catch = judged("vigilance", [True, True])
    found = imported(write_results(tmp_path / "r.csv", [Line("W", both), Line("V", catch)]), tmp_path / "out")
    assert any("several algorithms" in note for note in found.notes)


def test_the_folder_of_real_images_may_be_named(tmp_path, lines):
    with_side = write_results(tmp_path / "r.csv", lines)
    sides = [f"Input.gt_side{number}" for number in range(10)]
    without = write_results(tmp_path / "n.csv", lines, leave_out=sides)
    expected = rates(imported(with_side, tmp_path / "out"))
    assert rates(imported(without, tmp_path / "named", real="gt")) == expected
    assert rates(imported(with_side, tmp_path / "both", real="gt")) == expected
    with pytest.raises(DataError, match=r"row 2: gt_side is right, and --real alg says left"):
        imported(with_side, tmp_path / "wrong", real="alg")
    with pytest.raises(DataError, match=r"none of .* lies in the folder photos"):
        imported(without, tmp_path / "none", real="photos")


def test_who_was_asked_for_the_real_one_was_fooled_by_the_other_side(tmp_path, lines):
    file = write_results(tmp_path / "r.csv", lines[:1])
    assert rates(imported(file, tmp_path / "fake", practice=2)) == {"alg": 0}
    found = imported(file, tmp_path / "real", practice=2, asked="real")
    assert rates(found) == {"alg": 1}
    assert found.asked == "real"


def test_several_files_and_downloads_that_overlap(tmp_path, lines):
    first = write_results(tmp_path / "a.csv", [Line("V", lines[0].trials, assignment="same"), lines[1]])
    second = write_results(tmp_path / "b.csv", [Line("V", lines[0].trials, assignment="same"), lines[3]], base=1)
    summary = import_amt([first, second], tmp_path / "out", Reading())
    assert (summary.sessions, summary.twice) == (3, 1)
    assert len(read_judged(tmp_path / "out").judgements.participants) == 3
    third = write_results(tmp_path / "c.csv", [Line("V", lines[2].trials, assignment="same")])
    with pytest.raises(DataError, match="same assignment with other answers"):
        import_amt([first, third], tmp_path / "never", Reading())


def test_a_file_is_named_once(tmp_path, lines):
    file = write_results(tmp_path / "r.csv", lines)
    (tmp_path / "copy.csv").write_bytes(file.read_bytes())
    for other in (file, tmp_path / "copy.csv"):
        with pytest.raises(ConfigError, match="the same content"):
            imported([file, other], tmp_path / "out")


def test_rejected_assignments_are_told(tmp_path, lines):
    file = write_results(tmp_path / "r.csv", [*lines, Line("bad", lines[0].trials, status="Rejected")])
    assert any("1 assignments were rejected" in note for note in imported(file, tmp_path / "out").notes)


@pytest.mark.parametrize(
    ("trials", "how", "error", "said"),
    [
        (judged("alg", [None] * 4), {}, DataError, "none of the 4 scored trials has an answer"),
        (judged("alg", [True] * 4), {"practice": 4}, ConfigError, "4 in the longest assignment, 4 are practice"),
        (judged("vigilance", [True] * 4), {}, ConfigError, "no trial is left to be scored"),
        (judged("alg", [True] * 4), {"catch": "trap"}, ConfigError, "--catch trap: no image"),
        ([("left", "gt/1", "1.png", "left")], {}, DataError, r"1\.png is in no folder"),
        (
            [("left", "gt/1", "a/1", "left"), ("right", "gt/1", "a/1", "left")],
            {},
            DataError,
            "name the folder .* --real",
        ),
        ([("left", "gt/1", "gt/2", "left")], {}, DataError, "name the folder .* --real"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_and_nothing_is_written(tmp_path, trials, how, error, said):
    file = write_results(tmp_path / "r.csv", [Line("W", trials)])
    with pytest.raises(error, match=said):
        imported(file, tmp_path / "out", **how)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv"]


def test_a_folder_that_is_there_stays(tmp_path, lines):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis").touch()
    with pytest.raises(OutputError, match="there already"):
        imported(write_results(tmp_path / "r.csv", lines), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis"]


def test_an_import_that_fails_in_the_middle_leaves_nothing(tmp_path, lines, monkeypatch):
    def full(folder, *_):
        (folder / "judgements.jsonl").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("study_server.exchange.amt_import.write_imported", full)
    with pytest.raises(OutputError, match="No space left"):
        imported(write_results(tmp_path / "r.csv", lines), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv"]


def test_algorithms_are_in_the_order_of_their_names(tmp_path):
    lines = [Line(f"W{i}", judged(name, [True, False])) for i, name in enumerate("cabcab")]
    assert imported(write_results(tmp_path / "r.csv", lines), tmp_path / "out").judgements.arms == ("a", "b", "c")
