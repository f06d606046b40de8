"""What is missing is told, asked about and made; the tables are written all at once or not at all."""

import json
import sys
from pathlib import Path

import click
import pytest

from cgeval.compare import renderers
from cgeval.compare.gather import compare, find_subjects, runs_of_one_dataset
from cgeval.compare.making import plan as making
from cgeval.compare.making import steps
from cgeval.compare.making.baselines import Likeness
from cgeval.compare.making.plan import (
    FILES,
    Consent,
    Pictures,
    Plan,
    make,
    plan_comparison,
    refuse_output,
    write_outputs,
)
from cgeval.compare.making.scoring import Wish
from cgeval.compare.making.steps import Step
from cgeval.compare.making.trained import sealed_sets
from cgeval.errors import ConfigError, OutputError
from tests.cgeval.compare import stand_in
from tests.cgeval.compare.runs_with_records import IDS, a_run, a_town, score, write_streets

TRAIN = Step("train it", ("cyclegan", "train", "small", "runs/x"))
SCORE = Step("score it", ("cgeval", "fcn-score", "runs/x"))
FAKE = """
import pathlib, sys
if "--dry-run" in sys.argv: print('{"seconds": 60}')
else: open("log", "a").write(" ".join(sys.argv[1:]) + "\\n")
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which commands are only written down."""
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(steps, "argv", lambda command: [sys.executable, "fake.py", *command])
    return tmp_path


@pytest.fixture
def said() -> list[str]:
    return []


def was_run() -> list[str]:
    return Path("log").read_text().splitlines() if Path("log").exists() else []


def at_terminal(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    """Somebody sits there and answers so."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: answer)


def consent(*, yes: bool = False, look: bool = False) -> Consent:
    return Consent(yes, look, "cgeval compare")


# Asking


def test_what_stays_unmeasured_is_told_before_anything_is_made(said):
    note = "Not scored, labels -> photo: no scorer is there."
    make(Plan((TRAIN,), notes=(note,)), consent(look=True), said.append)
    assert said[-1].splitlines()[-2] == note
    assert "the same command typed again makes the scores" in said[-1]
    assert was_run() == []


@pytest.mark.parametrize("notes", [(), ("Not scored, labels -> photo: no scorer is there.",)])
def test_where_nothing_will_be_scored_that_is_told_and_enter_is_not_enough(said, monkeypatch, notes):
    defaults = []
    at_terminal(monkeypatch, answer=True)
    monkeypatch.setattr(click, "confirm", lambda *_, default, **__: defaults.append(default) or default)
    assert not make(Plan((TRAIN,), notes=notes, is_scored=False), consent(), said.append)
    assert "no fcn score comes of this" in said[-2].splitlines()[-1].lower()
    assert make(Plan((TRAIN,), notes=notes), consent(), said.append)
    assert defaults == [False, True]
    assert make(Plan((TRAIN,), notes=notes, is_scored=False), consent(yes=True), said.append)


def test_of_steps_that_are_alike_the_one_with_most_work_is_measured_and_the_others_follow(said, monkeypatch):
    measured = []
    monkeypatch.setattr(making, "timed", lambda step: measured.append(step) or stand_in.timed(step))
    half, whole = (Step(f"train {work}", TRAIN.command, alike="all", work=work) for work in (0.5, 1.0))
    known = Step("train known", TRAIN.command, seconds=300, alike="all")
    make(Plan((half, TRAIN, whole, known, SCORE)), consent(look=True), said.append)
    assert measured == [TRAIN, whole]
    assert [text for text in said if text.startswith("Measuring")] == [
        f"Measuring how long it takes here to {title} ..." for title in ("train it", "train 1.0")
    ]
    assert [line.rpartition("(")[2] for line in said[-1].splitlines() if "train" in line and ". " in line] == [
        "less than a minute)",
        "about 60 s)",
        "about 60 s)",
        "about 5.0 min)",
    ]
    assert "To do: 5 steps, about 7.5 min and what the others take" in said[-1]


def test_alike_steps_whose_time_nobody_can_say_are_measured_once_too(said, monkeypatch):
    measured = []
    monkeypatch.setattr(making, "timed", lambda step: measured.append(step) or step)
    steps_alike = tuple(Step(f"train {i}", TRAIN.command, alike="all") for i in range(3))
    make(Plan(steps_alike), consent(look=True), said.append)
    assert len(measured) == 1
    assert said[-1].startswith("To do: 3 steps.")


def test_what_makes_something_is_told_with_its_time_and_asked_about(said, monkeypatch):
    at_terminal(monkeypatch, answer=True)
    assert make(Plan((TRAIN, SCORE)), consent(), said.append)
    assert said[1].splitlines() == [
        "To do: 2 steps, about 60 s and what the others take.",
        "     1.  train it (about 60 s)",
        "         cyclegan train small runs/x",
        "     2.  score it",
        "         cgeval fcn-score runs/x",
    ]
    assert was_run() == ["cyclegan train small runs/x", "cgeval fcn-score runs/x"]


def test_who_says_no_has_nothing_made(said, monkeypatch):
    at_terminal(monkeypatch, answer=False)
    assert not make(Plan((TRAIN, SCORE)), consent(), said.append)
    assert (said[-1], was_run()) == ("Nothing was made.", [])


def test_yes_is_not_asked(said):
    assert make(Plan((TRAIN,)), consent(yes=True), said.append)
    assert was_run() == ["cyclegan train small runs/x"]


def test_nobody_to_ask_is_one_sentence_and_takes_no_time(said):
    with pytest.raises(ConfigError) as refused:
        make(Plan((Step("", ("cgeval", "gatys", "d"), done=True), TRAIN, SCORE)), consent(), said.append)
    assert str(refused.value).startswith(
        "to do: 2 steps, beginning with `cyclegan train small runs/x`, and there is no"
    )
    assert "--yes" in str(refused.value)
    assert (said, was_run()) == ([], [])


def test_what_only_measures_is_told_and_not_asked_about(said):
    assert make(Plan((SCORE,)), consent(), said.append)
    assert said == ["[1/1] score it\n      cgeval fcn-score runs/x"]
    assert was_run() == ["cgeval fcn-score runs/x"]


@pytest.mark.parametrize("plan", [Plan((TRAIN, SCORE)), Plan((SCORE,))])
def test_who_only_looks_sees_the_plan_and_nothing_happens(said, plan):
    assert not make(plan, consent(look=True), said.append)
    assert "cgeval fcn-score runs/x" in said[-1]
    assert was_run() == []


def test_where_all_is_there_nothing_is_said(said):
    assert make(Plan((Step("train it", TRAIN.command, done=True),)), consent(), said.append)
    assert said == []


# Planning


def planned(place: Path, *names: str) -> Plan:
    runs = runs_of_one_dataset((), Path("runs"), None)
    subjects = find_subjects(runs, "test", None)
    main = subjects[0].run
    like = Likeness(main, sealed_sets(main.path, "test"), "test", Path("runs"))
    return plan_comparison(subjects, names, runs, like, Wish())


def test_baselines_are_made_before_anything_is_measured_and_then_measured_too(place):
    dataset = write_streets(place / "streets")
    run = a_run(Path("runs/streets"), dataset=dataset)
    for name in ("test_AtoB", "test_BtoA"):
        score(run, name)
    found = [step.command[1] for step in planned(place, "gatys", "pix2pix").left]
    assert found == ["gatys", *["train", "translate"] * 2, "fcn-score"]  # the scorer of the main run is not at hand
    assert len(planned(place, "gatys", "pix2pix").notes) == 1
    assert planned(place, "gatys", "pix2pix").unscored == ("AtoB",)


def test_a_main_row_of_two_runs_decides_for_both_directions(place):
    dataset = write_streets(place / "streets")
    for name, way in (("there", "AtoB"), ("back", "BtoA")):
        score(a_run(Path(f"runs/{name}"), "pix2pix", dataset=dataset, directions=(way,)), f"test_{way}")
    other = a_run(Path("runs/other"), "CoGAN", dataset=dataset)
    score(other, "test_AtoB")
    runs = runs_of_one_dataset((), Path("runs"), None)
    subjects = find_subjects(runs, "test", Path("runs/there"))
    like = Likeness(subjects[0].run, tuple(subjects[0].sets.values()), "test", Path("runs"))
    (step,) = plan_comparison(subjects, (), runs, like, Wish()).left
    assert step.command[:7] == ("cgeval", "fcn-score", "runs/other", "--split", "test", "--direction", "ba")


def test_a_whole_town_needs_nothing(place):
    a_town(place, IDS[:3])
    found = planned(place, "gatys", "pix2pix")
    assert (found.left, found.notes) == ([], ())
    assert sorted(found.runs) == [Path(f"runs/{name}") for name in ("gatys", "pix2pix", "pix2pix-BtoA")]


# Writing


@pytest.fixture
def comparison(place):
    a_town(place, IDS[:3])
    return compare(find_subjects(runs_of_one_dataset((), Path("runs"), None), "test", None), "test")


def test_report_and_tables_are_written_into_one_folder(comparison):
    written = write_outputs(comparison, Path("out/here"), Pictures(examples=1), "cgeval compare")
    assert sorted(path.name for path in Path("out/here").iterdir()) == sorted(FILES)
    assert [path.name for path in written] == list(FILES)
    assert all(path.stat().st_size > 100 for path in written)
    assert json.loads(Path("out/here/comparison.json").read_text())
    assert Path("out/here/report.html").read_text().lstrip().startswith("<!")


def test_a_failure_on_the_way_leaves_the_earlier_tables_as_they_were(comparison, monkeypatch):
    write_outputs(comparison, Path("out"), Pictures(examples=0), "cgeval compare")
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}

    def broken(_comparison: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(renderers, "as_json", broken)
    for folder in ("out", "new"):
        with pytest.raises(ZeroDivisionError):
            write_outputs(comparison, Path(folder), Pictures(examples=0), "cgeval compare --published")
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert not Path("new").exists()


def test_a_file_in_the_way_is_told_before_anything_is_made(place):
    (place / "taken").write_text("")
    for path in ("taken", "taken/inside"):
        with pytest.raises(OutputError, match="taken is a file, and a folder is expected"):
            refuse_output(Path(path))
    refuse_output(Path("new/folder"))


def test_a_folder_that_cannot_be_written_into_is_one_sentence(comparison, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making, "write_atomic", full)
    with pytest.raises(OutputError, match=r"out cannot be written into \(No space left on device\)"):
        write_outputs(comparison, Path("out"), Pictures(), "cgeval compare")
