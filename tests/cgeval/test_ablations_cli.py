"""`cgeval ablations` as a user meets it: five runs alike, from a configuration or a run, and the tables of them."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cgeval.cli import main
from cgeval.compare.making import ablations, steps
from cgeval.compare.making import plan as making
from cgeval.compare.making.ablations import OBJECTIVES
from cgeval.compare.making.plan import FILES
from cgeval.errors import RunError
from cgeval.runs import Run
from tests.cgeval.compare import stand_in
from tests.cgeval.compare.runs_with_records import IDS, a_run, write_streets
from tests.cgeval.protocols.streets import write_header

Call = Callable[..., tuple[int, str, str]]
TYPED = ("ablations", "small", "--data", "streets", "--yes")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset and a scorer; whatever is started is done by a stand-in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(steps, "run_program", stand_in.run_program)
    monkeypatch.setattr(making, "timed", stand_in.timed)
    monkeypatch.setattr(ablations, "asked", configs)
    write_streets(tmp_path / "streets", IDS[:4])
    write_header(tmp_path / "scorers" / "camvid")
    return tmp_path


def configs(command: tuple[str, ...]) -> bytes:
    """In the place of `cyclegan configs NAME`."""
    if command[2] != "small":
        raise RunError(f"no ready configuration {command[2]!r}; there is small.")
    return b'translator = "cyclegan"'


@pytest.fixture
def cgeval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Type the command; exit code, output, errors."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cgeval", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


def log() -> list[str]:
    return Path("log").read_text().splitlines() if Path("log").exists() else []


def test_typed_with_a_configuration(place, cgeval):
    code, out, err = cgeval(*TYPED)
    assert code == 0, err
    assert "To do: 20 steps, about 4.1 min and what the others take." in err
    for words in ("CycleGAN", "Cycle alone", "GAN alone", "GAN + forward cycle", "GAN + backward cycle"):
        assert words in out
    for words in ("labels -> photo", "photo -> labels", "reconstruction error"):
        assert words in out
    assert sorted(path.name for path in Path("runs").iterdir()) == sorted(f"small-{name}" for name in OBJECTIVES)
    assert sorted(path.name for path in Path("ablations").iterdir()) == sorted(FILES)
    assert out.splitlines()[-2] == "report  ablations/report.html"


def test_the_rows_are_in_the_order_of_the_papers_tables(place, cgeval):
    cgeval(*TYPED)
    first = Path("ablations/table.md").read_text()
    places = [
        first.index(words) for words in ("CycleGAN", "Cycle alone", "GAN alone", "GAN + forward", "GAN + backward")
    ]
    assert places == sorted(places)


def test_typed_again_nothing_is_made_again(place, cgeval):
    cgeval(*TYPED)
    code, _, err = cgeval(*TYPED[:-1])
    assert (code, err) == (0, "")
    assert len(log()) == 20


def test_a_run_gets_the_four_others(place, cgeval):
    run = a_run(Path("runs/streets"), ids=IDS[:4], dataset=place / "streets")
    stand_in.train(["config.toml", str(run.path), "--resume"])
    file = run.path / "run.json"
    file.write_text(
        file.read_text()
        .replace('"name": "me"', '"name": "cyclegan"')
        .replace('"settings": {"seed": 0}', '"settings": {"translator": "cyclegan", "objective": {"name": "full"}}')
    )
    code, out, err = cgeval("ablations", "runs/streets", "--yes")
    assert code == 0, err
    assert [line.split()[1:4] for line in log() if " train " in line] == [
        ["train", "runs/streets/config.toml", f"runs/streets-{name}"] for name in list(OBJECTIVES)[1:]
    ]
    assert "GAN + backward cycle" in out


@pytest.mark.parametrize("step", ["train", "translate", "fcn-score", "reconstruct"])
def test_a_step_that_fails_is_gone_on_with_when_the_command_is_typed_again(place, cgeval, step):
    (place / "trouble").write_text(step)
    code, out, err = cgeval(*TYPED)
    assert (code, out) == (2, "")
    assert err.endswith("type `cgeval ablations small --data streets --yes` again, which goes on from there.\n")
    (place / "trouble").unlink()
    assert cgeval(*TYPED)[0] == 0
    assert len(log()) == 20


def test_a_plan_shows_what_is_there(place, cgeval):
    cgeval(*TYPED)
    shutil.rmtree("runs/small-gan_alone")
    code, out, err = cgeval(*TYPED, "--dry-run")
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[0] == "Measuring how long it takes here to train GAN alone ..."
    assert [line.split()[0] for line in lines[2:18]] == ["there"] * 8 + [
        "1.",
        "cyclegan",
        "2.",
        "cyclegan",
        "3.",
        "cgeval",
        "4.",
        "cyclegan",
    ]
    assert "     1.  train GAN alone (about 60 s)" in err
    assert len(log()) == 20


def test_nobody_to_ask_is_one_sentence(place, cgeval):
    code, out, err = cgeval(*TYPED[:-1])
    assert (code, out) == (2, "")
    assert err.startswith(
        "Error: to do: 20 steps, beginning with `cyclegan train small runs/small-full --data streets`"
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["small"], "small names no dataset: add --data DIR."),
        (["smal", "--data", "streets"], "smal is neither a file nor a run: no ready configuration 'smal'"),
        (["small", "--data", "streets", "--split", "nonsense"], "no split 'nonsense'; there: "),
        (["small", "--data", "nothing"], "nothing is not there"),
        (["runs/none", "--data", "streets", "--tables", "streets/dataset.toml"], "and a folder is expected"),
        (["small", "--data", "streets", "--rows", "none.txt"], "none.txt is not there"),
    ],
)
def test_a_mistake_is_one_sentence_exit_code_2_and_nothing_is_made(place, cgeval, words, sentence):
    code, out, err = cgeval("ablations", *words, "--yes")
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert log() == []
    assert sorted(path.name for path in place.iterdir()) == ["scorers", "streets"]


def test_a_run_of_another_objective_is_refused(place, cgeval):
    a_run(Path("runs/gan"), "cyclegan:gan_alone", dataset=place / "streets")
    assert Run.open(Path("runs/gan")).info.method == "cyclegan:gan_alone"
    code, _, err = cgeval("ablations", "runs/gan", "--yes")
    assert code == 2
    assert "ablations are made of a CycleGAN of the full objective" in err


def test_without_a_scorer_the_plan_says_before_any_training_how_to_make_one(place, cgeval):
    shutil.rmtree(place / "scorers")
    code, _, err = cgeval(*TYPED, "--dry-run")
    assert code == 0
    told = err[err.index("Not scored, labels -> photo: ") :]
    assert f"`cgeval scorer train {place / 'streets'} scorers/streets`" in told
    assert log() == []
