"""The paper's five objectives: planned alike, taken where they are, gone on with where they were begun."""

import json
import shutil
from pathlib import Path

import pytest

from cgeval.compare.making import ablations
from cgeval.compare.making.ablations import OBJECTIVES, WORK, ablation_source, plan_ablations
from cgeval.compare.making.plan import Plan
from cgeval.compare.making.scoring import Wish
from cgeval.compare.making.steps import Step
from cgeval.datasets import find_dataset
from cgeval.errors import ConfigError, LayoutError, RunError
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import a_run, write_streets

SETTINGS = {
    "translator": "cyclegan",
    "seed": 0,
    "data": {"path": "/nowhere", "crop_px": 16},
    "objective": {"name": "full", "identity_weight": 0.0},
    "optimiser": {"constant_epochs": 1, "decay_epochs": 1},
    "compute": {"threads": 0},
}
OTHERS = ("cycle_alone", "gan_alone", "gan_forward_cycle", "gan_backward_cycle")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset; `cyclegan configs` knows small and pix2pix_maps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ablations, "asked", configs)
    write_streets(tmp_path / "streets")
    return tmp_path


def configs(command: tuple[str, ...]) -> bytes:
    """In the place of `cyclegan configs NAME`."""
    ready = {"small": b'translator = "cyclegan"', "pix2pix_maps": b'translator = "pix2pix"'}
    if command[2] not in ready:
        raise RunError(f"no ready configuration {command[2]!r}; there are {', '.join(ready)}.")
    return ready[command[2]]


def log(run: Run, *rows: tuple[int, float]) -> None:
    """Its log: the step and the images a second of each row."""
    lines = [json.dumps({"step": step, "epoch": 1, "images_per_s": speed}) for step, speed in rows]
    (run.path / "log.jsonl").write_text("\n".join(lines))


def trained(
    path: str, objective: str = "full", *, directions: tuple[str, ...] = ("AtoB", "BtoA"), epochs: int = 2
) -> Run:
    """A run as the trainer leaves it: config.toml, an index of checkpoints, sealed sets made by the newest."""
    method = "cyclegan" if objective == "full" else f"cyclegan:{objective}"
    run = a_run(Path(path), method, directions=directions, dataset=Path("streets").resolve())
    settings = SETTINGS | {"objective": {"name": objective, "identity_weight": 0.0}}
    rewrite(run.path / "run.json", settings=settings, producer={"name": "cyclegan", "version": "1"})
    (run.path / "config.toml").write_text("seed = 0\n")
    saved = [{"file": "step-8.pt", "step": 8, "epoch": epochs, "metric": None, "kept": False}] if epochs else []
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "index.json").write_text(json.dumps({"schema": 1, "best": None, "checkpoints": saved}))
    for name in directions:
        rewrite(run.path / "images" / f"test_{name}" / "set.json", checkpoint="step-8.pt")
    return Run.open(run.path)


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def plan(source: str = "small", *, data: str | None = "streets", out: str | None = None, changes=()) -> Plan:
    folder = Path(data) if data else None
    found = ablation_source(source, folder, Path(out) if out else None, changes)
    return plan_ablations(found, "test", Wish(data=found.moved))


def typed(found: Plan) -> list[str]:
    return [" ".join(step.command) for step in found.left]


def test_five_runs_are_trained_translated_measured_and_differ_in_the_objective_alone():
    found = typed(plan())
    assert found[:2] == [
        "cyclegan train small runs/small-full --data streets",
        "cyclegan translate runs/small-full --split test",
    ]
    assert [found[i] for i in range(2, 10, 2)] == [
        f"cyclegan train small runs/small-{name} --data streets --set objective.name={name}" for name in OTHERS
    ]
    measured = [command.split()[:3] for command in found[10:]]
    each = [[["cgeval", "fcn-score"], ["cyclegan", "reconstruct"]]] * 5
    assert measured == [
        [*words, f"runs/small-{name}"] for name, pair in zip(OBJECTIVES, each, strict=True) for words in pair
    ]


def test_the_five_are_those_that_the_trainer_knows():
    models = pytest.importorskip("cyclegan.models.cyclegan", reason="needs the extra `train`")
    assert set(OBJECTIVES) == set(models.OBJECTIVES)


def test_settings_are_changed_for_all_five():
    commands = [command for command in typed(plan(changes=["optimiser.batch_size=2"])) if " train " in command]
    assert len(commands) == 5
    assert all(" --set optimiser.batch_size=2" in command for command in commands)


def test_a_run_is_the_full_objective_and_the_others_come_beside_it():
    trained("elsewhere/streets")
    found = typed(plan("elsewhere/streets", data=None))
    assert [command for command in found if " train " in command] == [
        f"cyclegan train elsewhere/streets/config.toml elsewhere/streets-{name} --set objective.name={name}"
        for name in OTHERS
    ]


def test_the_full_run_of_an_earlier_call_may_be_named_instead_of_its_configuration():
    trained("runs/small-full")
    assert typed(plan("runs/small-full", data=None))[0].split()[3] == "runs/small-cycle_alone"


def test_what_is_there_is_taken_and_what_was_begun_is_gone_on_with():
    trained("runs/small-full")
    trained("runs/small-cycle_alone", "cycle_alone", directions=("AtoB",))
    trained("runs/small-gan_alone", "gan_alone", directions=(), epochs=1)
    trained("runs/small-gan_forward_cycle", "gan_forward_cycle", directions=(), epochs=0)
    found = [command for command in typed(plan()) if "translate" in command or " train " in command]
    assert found == [
        "cyclegan translate runs/small-cycle_alone --split test --direction ba",
        "cyclegan train runs/small-gan_alone/config.toml runs/small-gan_alone --resume",
        "cyclegan translate runs/small-gan_alone --split test",
        "cyclegan train runs/small-gan_forward_cycle/config.toml runs/small-gan_forward_cycle --resume",
        "cyclegan translate runs/small-gan_forward_cycle --split test",
        "cyclegan train small runs/small-gan_backward_cycle --data streets --set objective.name=gan_backward_cycle",
        "cyclegan translate runs/small-gan_backward_cycle --split test",
    ]
    titles = [step.title for step in plan().steps if step.done]
    assert "train CycleGAN" in titles
    assert "go on with training GAN alone, 50% of whose epochs are done" in [step.title for step in plan().left]


def test_a_configuration_of_ones_own_names_its_dataset():
    Path("mine.toml").write_text('[data]\npath = "streets"\n')
    assert typed(plan("mine.toml", data=None))[0] == "cyclegan train mine.toml runs/mine-full"


def test_where_the_runs_go_can_be_said():
    assert typed(plan(out="other"))[0].split()[3] == "other/small-full"


def test_a_dataset_that_has_moved_is_told_to_every_command():
    trained("runs/streets")
    shutil.move("streets", "moved")
    commands = typed(plan("runs/streets", data="moved"))
    assert all("--data moved" in command or "--dataset moved" in command for command in commands)


# How long


def trainings(found: Plan) -> dict[str, Step]:
    """The steps that train, by the run's name."""
    return {Path(step.command[3]).name: step for step in found.left if step.command[:2] == ("cyclegan", "train")}


def to_train_on() -> int:
    """The pictures of the test split are for training too; how many there are."""
    for domain in "AB":
        shutil.copytree(f"streets/test{domain}", f"streets/train{domain}")
    return len(find_dataset(Path("streets")).split("train").a)


def test_the_five_are_measured_together_each_by_what_it_computes_and_has_left():
    trained("runs/small-gan_alone", "gan_alone", directions=(), epochs=1)
    found = trainings(plan())
    assert {step.alike for step in found.values()} == {"objectives"}
    half = {"gan_alone": WORK["gan_alone"] / 2}
    assert {name: step.work for name, step in found.items()} == {
        f"small-{name}": work for name, work in {**WORK, **half}.items()
    }
    assert {step.seconds for step in found.values()} == {None}
    assert max(WORK, key=lambda name: WORK[name]) == "full"


def test_a_full_run_says_by_its_log_how_long_the_others_take():
    """Of two epochs the first 2 steps at 1 image/s, all others at 2."""
    steps = 2 * to_train_on()
    log(trained("runs/small-full"), (2, 1.0), (steps, 2.0))
    found = trainings(plan())
    assert {name: step.seconds for name, step in found.items()} == {
        f"small-{name}": pytest.approx((2 + (steps - 2) / 2) * WORK[name]) for name in OTHERS
    }
    assert found["small-gan_alone"].known_by == "by the log of runs/small-full"


@pytest.mark.parametrize(("share", "speed"), [(0, 1.0), (0.5, 1.0), (1, 0.0)])
def test_a_log_that_lacks_steps_says_nothing(share, speed):
    """Half of them are what two processes make, each of which sees half of the images."""
    log(trained("runs/small-full"), (int(share * 2 * to_train_on()), speed))
    assert {step.seconds for step in trainings(plan()).values()} == {None}


def test_a_log_that_is_none_says_nothing():
    (trained("runs/small-full").path / "log.jsonl").write_text("{")
    assert {step.seconds for step in trainings(plan()).values()} == {None}


# Mistakes


def test_a_split_that_the_dataset_lacks_is_told_before_five_trainings():
    source = ablation_source("small", Path("streets"), None, ())
    with pytest.raises(LayoutError, match="no split 'nonsense'; there: "):
        plan_ablations(source, "nonsense", Wish())


@pytest.mark.parametrize("name", ["smal", "smal.toml", "elsewhere/small.toml", "streets"])
def test_what_is_no_configuration_is_refused_and_told_which_there_are(name):
    with pytest.raises(ConfigError, match=f"{name} is neither a file nor a run: .* there are small, pix2pix_maps"):
        plan(name)


@pytest.mark.parametrize("name", ["small", "small.toml", "configs/small.toml"])
def test_a_ready_configuration_is_named_as_the_trainer_takes_it(name):
    assert typed(plan(name))[0] == f"cyclegan train {name} runs/small-full --data streets"


def test_of_another_translator_or_objective_five_cannot_be_made():
    Path("mine.toml").write_text('[objective]\nname = "gan_alone"\n')
    with pytest.raises(ConfigError, match="translator = 'pix2pix'"):
        plan("pix2pix_maps")
    with pytest.raises(ConfigError, match=r"mine.toml with objective.name = 'gan_alone'"):
        plan("mine.toml")
    with pytest.raises(ConfigError, match=r"objective.name = 'cycle_alone'"):
        plan(changes=["objective.name=cycle_alone"])
    assert trainings(plan("mine.toml", changes=['objective.name="full"']))


def test_a_run_of_another_method_has_no_ablations():
    run = trained("runs/p")
    rewrite(run.path / "run.json", method="pix2pix", settings={"translator": "pix2pix", "objective": {"name": "full"}})
    with pytest.raises(RunError, match="runs/p is a run of pix2pix by cyclegan, and ablations are made of a CycleGAN"):
        plan("runs/p")


def test_an_ablation_has_none_either():
    trained("runs/g", "gan_alone")
    with pytest.raises(RunError, match="of the full objective"):
        plan("runs/g")


def test_settings_cannot_be_changed_for_four_of_five():
    trained("runs/streets")
    with pytest.raises(ConfigError, match="--set seed=1: the five runs must not differ, and runs/streets is there"):
        plan("runs/streets", changes=["seed=1"])


def test_runs_that_differ_in_more_than_the_objective_are_refused():
    trained("runs/small-full")
    other = trained("runs/small-gan_alone", "gan_alone")
    settings = SETTINGS | {"seed": 3, "objective": {"name": "gan_alone"}, "compute": {"threads": 4}}
    rewrite(other.path / "run.json", settings=settings)
    with pytest.raises(ConfigError, match=r"with another seed, objective.identity_weight than runs/small-full"):
        plan()


def test_a_configuration_without_a_dataset_asks_for_one():
    with pytest.raises(ConfigError, match="small names no dataset: add --data DIR"):
        plan(data=None)


def test_a_dataset_that_is_not_there_is_told():
    with pytest.raises(LayoutError, match="nothing is not there"):
        plan(data="nothing")


@pytest.mark.parametrize("text", ["[data\n", "data = \n"])
def test_a_broken_configuration_is_one_sentence(text):
    Path("mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"mine.toml cannot be read as TOML"):
        plan("mine.toml", data=None)
