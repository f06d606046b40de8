"""Commands that are told, timed and run: in order, with their progress and not their results, and stopped together."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cgeval.compare.making import steps
from cgeval.compare.making.steps import Step, about, argv, asked, plan_lines, run_program, run_steps, timed, total_words
from cgeval.errors import RunError

TRAIN, GATYS, SCORE = ("cyclegan", "train", "small", "runs/a b"), ("cgeval", "gatys", "d"), ("cgeval", "fcn-score", "r")
# A program in the place of ours: `say WORD`, `fail CODE`, or `wait`, which saves when it is asked to stop.
FAKE = """
import json, pathlib, signal, sys, time
words = [word for word in sys.argv[1:]]
log = pathlib.Path("log")
def note(word):
    with log.open("a") as file: file.write(word + "\\n")
def stop(number, frame):
    note(signal.Signals(number).name)
    time.sleep(0.5)
    sys.exit(130)
if "wait" in words:
    for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, stop)
    note("begun")
    time.sleep(30)
    note("ended")
elif "--dry-run" in words:
    note("dry")
    answer = json.dumps({"seconds": 90.0, "fetches": "far" if "far" in words else None})
    print(answer if "mute" not in words else "nothing that a program can read")
    if "wrong" in words: sys.exit("Warning: old.\\nError: no such dataset.")
    if "broken" in words: raise ZeroDivisionError
elif "fail" in words:
    print("Error: no such run.", file=sys.stderr)
    sys.exit(int(words[-1]))
else:
    note(" ".join(words))
    print("a table")
    print("a bar", file=sys.stderr)
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of `cgeval` and `cyclegan`; returns the folder, in which `log` says what was run."""
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(steps, "argv", lambda command: [sys.executable, "fake.py", *command])
    return tmp_path


def logged(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


# What is told


def test_a_plan_says_what_is_there_what_is_to_be_done_how_long_and_by_which_command():
    done = [Step("train", TRAIN, done=True, seconds=9), Step("seal", TRAIN, done=True)]
    plan = [done[0], Step("make", GATYS, seconds=150), done[1], Step("score", SCORE)]
    assert plan_lines(plan) == [
        "  there  train",
        "  there  seal",
        "     1.  make (about 2.5 min)",
        "         cgeval gatys d",
        "     2.  score",
        "         cgeval fcn-score r",
    ]
    assert total_words(plan) == "2 steps, about 2.5 min and what the others take"


def test_a_command_can_be_typed_as_it_is_told():
    assert "'runs/a b'" in plan_lines([Step("train", TRAIN)])[1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a minute"),
        (59, "less than a minute"),
        (119, "about 119 s"),
        (150, "about 2.5 min"),
        (1800, "about 30 min"),
        (9000, "about 2.5 h"),
        (3e5, "about 3.5 days"),
    ],
)
def test_a_duration_is_as_exact_as_an_estimate_may_be(seconds, words):
    assert about(seconds) == words


def test_where_a_time_is_from_is_told_if_nobody_measured_it():
    (line, _) = plan_lines([Step("train", TRAIN, seconds=150, known_by="by the log of runs/a")])
    assert line == "     1.  train (about 2.5 min, by the log of runs/a)"


def test_only_what_makes_something_new_is_asked_about():
    making = [("cyclegan", "train"), ("cyclegan", "translate"), ("cgeval", "gatys")]
    measuring = [("cgeval", "fcn-score"), ("cyclegan", "reconstruct")]
    assert [Step("", (*command, "x")).is_making for command in (*making, *measuring)] == [True] * 3 + [False] * 2


# Times


def test_the_time_is_what_the_commands_own_dry_run_says(fake):
    assert timed(Step("", TRAIN)).seconds == 90
    assert logged(fake) == ["dry"]


def test_weights_that_come_first_are_told_since_their_time_is_not_known(fake):
    assert timed(Step("make it", (*GATYS, "far"))).title == "make it, for which its weights are fetched first"
    assert timed(Step("make it", GATYS)).title == "make it"


def test_what_has_no_dry_run_or_is_done_or_known_is_not_tried(fake):
    for step in (Step("", SCORE), Step("", TRAIN, done=True), Step("", TRAIN, seconds=3)):
        assert timed(step) == step
    assert logged(fake) == []


def test_a_dry_run_that_knows_no_time_leaves_it_unknown(fake):
    assert timed(Step("", (*TRAIN, "mute"))).seconds is None


def test_a_dry_run_that_refuses_is_told_once_in_its_own_words(fake, capfd):
    with pytest.raises(RunError) as refused:
        timed(Step("", (*TRAIN, "wrong")))
    assert str(refused.value) == "no such dataset."
    assert capfd.readouterr().err == ""


def test_a_dry_run_that_breaks_shows_all_that_it_said(fake, capfd):
    with pytest.raises(
        RunError, match="`cyclegan train small 'runs/a b' broken --dry-run --json` ended with exit code 1"
    ):
        timed(Step("", (*TRAIN, "broken")))
    assert "Traceback" in capfd.readouterr().err


def test_what_a_quick_command_says_beside_its_answer_is_passed_on(fake, capfd):
    assert asked(("cgeval", "say")) == b"a table\n"
    assert capfd.readouterr().err == "a bar\n"


# Running


def test_steps_run_in_order_and_done_ones_do_not(fake, capfd):
    said: list[str] = []
    plan = [Step("one", ("cgeval", "say", "1")), Step("two", SCORE, done=True), Step("three", ("cyclegan", "say", "3"))]
    run_steps(plan, again="cgeval compare", say=said.append)
    assert logged(fake) == ["cgeval say 1", "cyclegan say 3"]
    assert [text.splitlines()[0] for text in said] == ["[1/2] one", "[2/2] three"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "a bar\n" * 2


def test_a_step_that_fails_ends_all_and_says_what_to_type_after_mending(fake, capfd):
    with pytest.raises(RunError) as failed:
        run_steps(
            [Step("score", ("cgeval", "fail", "2")), Step("next", SCORE)],
            again="cgeval compare --yes",
            say=lambda _: None,
        )
    assert str(failed.value) == (
        "step 1 of 2, `cgeval fail 2`, ended with exit code 2 and says above why: mend that and type `cgeval compare "
        "--yes` again, which goes on from there."
    )
    assert capfd.readouterr().err == "Error: no such run.\n"
    assert logged(fake) == []


def test_a_step_that_was_stopped_stops_all_and_says_how_to_go_on(fake):
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_steps([Step("one", ("cgeval", "fail", "130")), Step("", SCORE)], again="cgeval compare", say=said.append)
    assert said[-1].endswith("go on with:\n  cgeval compare")
    assert logged(fake) == []


def test_a_command_is_run_by_this_python_whatever_is_on_the_path_or_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    (tmp_path / "click.py").write_text("raise SystemExit(7)")
    assert argv(("cgeval", "show"))[0] == sys.executable
    assert run_program(("cgeval", "--version")) == 0
    assert run_program(("cgeval", "show", "nothing")) == 2


# Signals: the program that runs the steps alone gets them, as a supervisor sends them


RUNNER = """
import sys
from cgeval.compare.making import steps
steps.argv = lambda command: [sys.executable, "fake.py", *command]
try:
    plan = [steps.Step("wait", ("cgeval", "wait")), steps.Step("", ("cgeval", "say"))]
    steps.run_steps(plan, again="AGAIN", say=print)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def runner(fake: Path):
    """A process that has begun to run the steps."""
    process = subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, text=True)
    wait_for(fake, "begun")
    yield process
    process.kill()
    process.communicate()


def wait_for(folder: Path, word: str) -> None:
    until = time.monotonic() + 20
    while word not in logged(folder):
        assert time.monotonic() < until, logged(folder)
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_step_is_waited_for(fake, runner, number):
    runner.send_signal(number)
    out, _ = runner.communicate(timeout=20)
    assert runner.returncode == 130
    assert logged(fake) == ["begun", number.name]
    assert out.endswith("Stopped in step 1 of 2. What was done is kept; go on with:\n  AGAIN\n")


def test_an_echo_of_a_signal_is_not_a_second_one(fake, runner):
    for _ in range(2):
        runner.send_signal(signal.SIGINT)
        time.sleep(0.05)
    runner.communicate(timeout=20)
    assert logged(fake) == ["begun", "SIGINT"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent is gone")
def test_what_was_begun_saves_and_ends_when_the_program_is_killed(fake, runner):
    runner.kill()
    wait_for(fake, "SIGTERM")
    assert logged(fake) == ["begun", "SIGTERM"]
