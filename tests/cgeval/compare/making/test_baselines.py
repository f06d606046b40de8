"""Baselines: a run that is there is taken; one that is not is made as like the main run as the methods allow."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from cgeval.compare.making.baselines import BASELINES, Likeness, plan_baselines, read_baselines
from cgeval.compare.making.trained import sealed_sets
from cgeval.errors import ConfigError, DataError
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import a_run, add_set, write_streets

SETTINGS = {
    "translator": "cyclegan",
    "direction": "AtoB",
    "seed": 7,
    "data": {"path": "/nowhere", "load_px": 72, "crop_px": 64, "flip": False},
    "networks": {"generator": "resnet6", "width": 16, "disc_width": 32, "disc_layers": 2, "norm": "instance"},
    "objective": {"name": "full", "gan": "least_squares"},
    "optimiser": {"learning_rate": 4e-4, "batch_size": 2, "constant_epochs": 4, "decay_epochs": 3, "pool_size": 50},
    "compute": {"device": "auto", "threads": 1},
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user stands: streets/ (paired, with label maps) and runs/streets, a CycleGAN of it at 64 px."""
    monkeypatch.chdir(tmp_path)
    write_streets(tmp_path / "streets")
    a_run(Path("runs/streets"), dataset=tmp_path / "streets")
    rewrite(Path("runs/streets/run.json"), settings=SETTINGS)
    for name in ("test_AtoB", "test_BtoA"):
        rewrite(Path("runs/streets/images") / name / "set.json", extra={"size_px": 64})
    return tmp_path


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def likeness(**changes: object) -> Likeness:
    run = Run.open(Path("runs/streets"))
    facts = {"main": run, "sets": sealed_sets(run.path, "test"), "split": "test", "folder": Path("runs")}
    return Likeness(**(facts | changes))


def commands(*names: str, runs: tuple[Run, ...] = (), **changes: object) -> list[str]:
    """What is left to do, as a user would type it."""
    planned = plan_baselines(names, runs, likeness(**changes))
    return [" ".join(step.command) for each in planned for step in each.steps if not step.done]


def trained(path: str, direction: str, *, epochs: int) -> Run:
    """A pix2pix of the trainer that has seen so many of its 7 epochs, and has no pictures."""
    if not Path(path).exists():
        a_run(Path(path), "pix2pix", directions=(), dataset=Path("streets").resolve())
    settings = SETTINGS | {"translator": "pix2pix", "direction": direction}
    rewrite(Path(path, "run.json"), settings=settings, producer={"name": "cyclegan", "version": "1"})
    saved = [{"file": "step-1.pt", "step": 1, "epoch": epochs, "metric": None, "kept": False}]
    Path(path, "checkpoints").mkdir(exist_ok=True)
    index = {"schema": 1, "best": None, "checkpoints": saved}
    Path(path, "checkpoints", "index.json").write_text(json.dumps(index))
    return Run.open(Path(path))


def changes_in(command: str) -> dict[str, str]:
    words = command.split()
    return dict(word.split("=") for before, word in pairwise(words) if before == "--set")


# Names


def test_names_are_read_as_they_are_typed():
    assert read_baselines("gatys, pix2pix,gatys") == ("gatys", "pix2pix")


@pytest.mark.parametrize("text", ["gatys,cogan", "", ",", "Gatys"])
def test_an_unknown_baseline_is_answered_with_those_there_are(text):
    with pytest.raises(ConfigError) as refused:
        read_baselines(text)
    assert "there are gatys, pix2pix" in str(refused.value)
    assert str(refused.value).count(".") == 1


# Gatys


def test_gatys_is_made_at_the_size_of_the_main_run_over_the_same_split(place):
    (command,) = commands("gatys")
    assert command == f"cgeval gatys {place / 'streets'} runs/streets-gatys --size 64 --split test"


def test_gatys_takes_the_weights_that_are_named(place):
    assert commands("gatys", gatys_weights="random")[0].endswith(" --weights random")


def test_gatys_goes_on_until_the_collection_and_both_single_styles_are_sealed(place):
    run = a_run(Path("runs/streets-gatys"), "gatys", directions=(), dataset=place / "streets")
    add_set(run, "AtoB", variant="collection")
    assert len(commands("gatys", runs=(run,))) == 1
    for style in ("one", "two"):
        add_set(run, "AtoB", variant=style)
    assert commands("gatys", runs=(run,)) == []


def test_somebodys_own_gatys_is_taken_with_the_styles_that_it_has(place):
    run = a_run(Path("runs/starry"), "gatys:vgg19-random", directions=(), dataset=place / "streets")
    add_set(run, "AtoB", variant="starry night")
    (taken,) = plan_baselines(["gatys"], [run], likeness())
    assert (taken.path, taken.planned, [step.done for step in taken.steps]) == (run.path, (), [True])


def test_a_gatys_by_other_weights_than_are_named_is_not_taken_and_not_touched(place):
    run = a_run(Path("runs/streets-gatys"), "gatys", directions=(), dataset=place / "streets")
    add_set(run, "AtoB", variant="starry night")
    rewrite(run.path / "run.json", settings={"weights": "/elsewhere/vgg.pth"})
    runs = (Run.open(run.path),)
    assert commands("gatys", runs=runs, gatys_weights="here/vgg.pth") == []
    assert " runs/streets-gatys-random " in commands("gatys", runs=runs, gatys_weights="random")[0]


def test_a_gatys_run_with_settings_of_the_users_own_is_taken_as_it_is(place):
    run = a_run(Path("runs/streets-gatys"), "gatys", directions=(), dataset=place / "streets")
    add_set(run, "AtoB", variant="collection")
    rewrite(run.path / "run.json", settings={"weights": "random", "stages": [[1.0, 10]]})
    assert commands("gatys", runs=(Run.open(run.path),)) == []


def test_an_interrupted_gatys_is_gone_on_with_by_the_weights_that_it_was_begun_with(place):
    run = a_run(Path("runs/streets-gatys"), "gatys", directions=(), dataset=place / "streets")
    add_set(run, "AtoB", variant="one")
    rewrite(run.path / "run.json", settings={"weights": "random"})
    (run.path / "gatys" / "test_AtoB-two").mkdir(parents=True)
    (run.path / "gatys" / "test_AtoB-two" / "facts.json").write_text("{}")
    assert commands("gatys", runs=(Run.open(run.path),))[0].endswith(" --weights random")


# pix2pix


def test_pix2pix_is_trained_and_translated_by_the_trainers_own_commands(place):
    train, translate = commands("pix2pix:ab")
    assert train.startswith(f"cyclegan train pix2pix_cityscapes runs/streets-pix2pix --data {place / 'streets'} --set ")
    assert translate == "cyclegan translate runs/streets-pix2pix --split test"


def test_pix2pix_is_a_training_for_each_direction_of_the_main_run_and_the_two_differ_in_nothing_else(place):
    there, translate, back, translate_back = commands("pix2pix")
    assert [translate, translate_back] == [
        f"cyclegan translate runs/streets-pix2pix{end} --split test" for end in ("", "-BtoA")
    ]
    assert back.split()[3] == "runs/streets-pix2pix-BtoA"
    assert changes_in(back) == changes_in(there) | {"direction": "BtoA"}


def test_a_main_run_with_one_direction_gets_a_pix2pix_of_that_one(place):
    (only,) = [each for each in sealed_sets(Path("runs/streets"), "test") if each.direction == "BtoA"]
    train, translate = commands("pix2pix", sets=(only,))
    assert changes_in(train)["direction"] == "BtoA"
    assert translate == "cyclegan translate runs/streets-pix2pix-BtoA --split test"
    with pytest.raises(DataError, match=r"pix2pix:ab: runs/streets has no labels -> photo to compare with"):
        commands("pix2pix:ab", sets=(only,))


def test_one_direction_may_be_left_out_and_naming_it_too_makes_nothing_twice(place):
    assert [command.split()[3] for command in commands("pix2pix:ba")[::2]] == ["runs/streets-pix2pix-BtoA"]
    assert commands("pix2pix", "pix2pix:ba") == commands("pix2pix:ab", "pix2pix:ba") == commands("pix2pix")


def test_both_trainings_take_equally_long_so_one_of_them_is_measured(place):
    steps = [step for each in plan_baselines(["pix2pix"], (), likeness()) for step in each.steps]
    assert {step.alike for step in steps} == {"pix2pix"}
    assert [step.title for step in steps[::2]] == ["train pix2pix, labels -> photo", "train pix2pix, photo -> labels"]


def test_pix2pix_is_as_like_the_main_run_as_the_methods_allow(place):
    found = changes_in(commands("pix2pix:ab")[0])
    assert found == {
        "seed": "7",
        "data.load_px": "72",
        "data.crop_px": "64",
        "data.flip": "false",
        "networks.generator": "resnet6",
        "networks.norm": "instance",
        "networks.width": "16",
        "networks.disc_width": "32",
        "networks.disc_layers": "2",
        "optimiser.batch_size": "2",
        "optimiser.constant_epochs": "4",
        "optimiser.decay_epochs": "3",
    }


@pytest.mark.parametrize(
    ("size", "config", "generator", "norm", "load"),
    [
        (64, "pix2pix_cityscapes", "resnet6", "instance", "72"),
        (128, "pix2pix_cityscapes", "unet128", "batch", "143"),
        (256, "pix2pix_maps", "unet256", "batch", "286"),
        (384, "pix2pix_cityscapes", "unet128", "batch", "429"),
        (512, "pix2pix_maps", "unet256", "batch", "572"),
        (200, "pix2pix_cityscapes", "resnet6", "instance", "223"),
    ],
)
def test_the_generator_is_the_papers_u_net_where_the_size_is_a_multiple_of_its(
    place, size, config, generator, norm, load
):
    for name in ("test_AtoB", "test_BtoA"):
        rewrite(Path("runs/streets/images") / name / "set.json", extra={"size_px": size})
    train, _ = commands("pix2pix:ab")
    found = changes_in(train)
    assert train.split()[2] == config
    assert (found["networks.generator"], found["networks.norm"], found["data.load_px"]) == (generator, norm, load)


def test_what_is_planned_is_a_configuration_that_the_trainer_takes(place):
    config = pytest.importorskip("cyclegan.config", reason="needs the extra `train`")
    for train, direction in zip(commands("pix2pix")[::2], ("AtoB", "BtoA"), strict=True):
        words = train.split()
        changes = [word for before, word in pairwise(words) if before == "--set"]
        settings = config.load_config(words[2], changes)
        assert (settings.translator, settings.direction, settings.optimiser.epochs) == ("pix2pix", direction, 7)
        assert (settings.optimiser.pool_size, settings.objective.gan) == (0, "vanilla")


def test_a_main_run_of_another_program_gives_its_size_and_the_rest_is_the_papers(place):
    rewrite(Path("runs/streets/run.json"), settings={})
    assert changes_in(commands("pix2pix")[0]) == {
        "data.load_px": "72",
        "data.crop_px": "64",
        "networks.generator": "resnet6",
        "networks.norm": "instance",
    }


def test_labels_become_photos_whichever_domain_holds_them(place):
    file = Path("runs/streets/run.json")
    rewrite(file, dataset=json.loads(file.read_text())["dataset"] | {"label_domain": "B"})
    there, _, back, _ = commands("pix2pix")
    assert (there.split()[3], changes_in(there)["direction"]) == ("runs/streets-pix2pix", "BtoA")
    assert (back.split()[3], "direction" in changes_in(back)) == ("runs/streets-pix2pix-AtoB", False)


def test_unpaired_data_is_refused_in_one_sentence(place):
    file = Path("runs/streets/run.json")
    rewrite(file, dataset=json.loads(file.read_text())["dataset"] | {"paired": False})
    with pytest.raises(DataError, match="pix2pix learns from pairs, and dataset streets is unpaired"):
        commands("pix2pix")


def test_a_pix2pix_that_is_there_is_taken_whoever_made_it(place):
    runs = tuple(
        a_run(Path(f"runs/{name}"), "pix2pix", directions=(way,), dataset=place / "streets")
        for name, way in (("theirs", "BtoA"), ("others", "AtoB"))
    )
    assert commands("pix2pix", runs=runs) == []
    assert [each.path.name for each in plan_baselines(["pix2pix"], runs, likeness())] == ["others", "theirs"]
    assert [command.split()[3] for command in commands("pix2pix", runs=runs[:1])[::2]] == ["runs/streets-pix2pix"]


def test_what_is_there_of_pix2pix_is_what_the_other_direction_is_trained_like(place):
    run = trained("runs/streets-pix2pix", "AtoB", epochs=7)
    add_set(run, "AtoB")
    (run.path / "config.toml").write_text("")
    train, translate = commands("pix2pix", runs=(Run.open(run.path),))
    twin = f"cyclegan train {run.path}/config.toml {run.path}-BtoA --data {place / 'streets'} --set direction=BtoA"
    assert (train, translate) == (twin, f"cyclegan translate {run.path}-BtoA --split test")


def test_a_place_that_another_run_has_taken_is_left_to_it(place):
    run = a_run(Path("runs/streets-pix2pix"), "pix2pix", directions=("BtoA",), dataset=place / "streets")
    assert commands("pix2pix", runs=(run,))[0].split()[3] == "runs/streets-pix2pix-AtoB"


def test_the_training_that_was_interrupted_is_gone_on_with_whichever_direction_it_has(place):
    done, begun = trained("runs/one", "AtoB", epochs=7), trained("runs/other", "BtoA", epochs=4)
    add_set(done, "AtoB")
    assert commands("pix2pix", runs=(done, begun)) == [
        "cyclegan train runs/other/config.toml runs/other --resume",
        "cyclegan translate runs/other --split test",
    ]


def test_a_training_that_was_interrupted_is_gone_on_with(place):
    resume = "cyclegan train runs/streets-pix2pix/config.toml runs/streets-pix2pix --resume"
    for epochs, left in ((0, 2), (4, 2), (7, 1)):
        found = commands("pix2pix:ab", runs=(trained("runs/streets-pix2pix", "AtoB", epochs=epochs),))
        assert len(found) == left
        assert (found[0] == resume) == (left == 2)
        assert found[-1] == "cyclegan translate runs/streets-pix2pix --split test"


def test_where_the_dataset_has_moved_every_command_says_where_it_is_now(place):
    gatys, train, translate = commands("gatys", "pix2pix:ab", data=Path("moved"))
    assert gatys.startswith("cgeval gatys moved ")
    assert " --data moved " in train
    assert translate.endswith(" --data moved")


def test_every_name_has_a_plan():
    assert list(BASELINES) == ["gatys", "pix2pix", "pix2pix:ab", "pix2pix:ba"]
