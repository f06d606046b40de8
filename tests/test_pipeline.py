"""The whole path at a tiny size: draw streets, train, stop and go on, translate both ways, show and verify."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cgeval.cli import cgeval
from cgeval.console import run as run_program
from cgeval.datasets import open_dataset
from cgeval.errors import SealError
from cgeval.images import read_rgb
from cgeval.runs import Run
from cyclegan import state
from cyclegan.cli import cyclegan
from cyclegan.config import load_config
from cyclegan.data.streets import write_streets
from cyclegan.session import Request, train_run
from cyclegan.translate import load_generators, plan, translate_into_run

TINY = [
    "data.load_px=36",
    "data.crop_px=32",
    "networks.width=4",
    "networks.disc_width=4",
    "networks.disc_layers=1",
    "optimiser.constant_epochs=1",
    "optimiser.decay_epochs=1",
    "logging.every_steps=2",
    "compute.device=cpu",
    "compute.threads=1",
]


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "streets"
    write_streets(folder, train=4, test=3, size_px=40, seed=1, progress=False)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)


@pytest.fixture
def types(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Type a command, expect its exit code, and return what it printed."""

    def call(line: str, *words: object, code: int = 0) -> str:
        program, *first = line.split()
        monkeypatch.setattr(sys, "argv", [program, *first, *map(str, words)])
        with pytest.raises(SystemExit) as end:
            run_program({"cyclegan": cyclegan, "cgeval": cgeval}[program])
        out, err = capsys.readouterr()
        assert (end.value.code or 0) == code, err
        return out + err

    return call


def test_as_a_library(streets, tmp_path):
    config = load_config("small", TINY, {"data.path": str(streets)})
    outcome = train_run(Request(config, tmp_path / "runs" / "one", resume=False))
    assert (outcome.finished, outcome.step) == (True, 8)

    run, generators = Run.open(tmp_path / "runs" / "one"), load_generators(tmp_path / "runs" / "one")
    for work in plan(run, generators, split="test", folder=None, direction=None, data=None):
        assert translate_into_run(run, generators, work) == 3

    dataset = open_dataset(streets)
    for image_set, truth in zip(run.image_sets(), (dataset.split("test").b, dataset.split("test").a), strict=True):
        image_set.verify()
        assert [row.target for row in image_set.rows] == [file.id for file in truth]
        for row in image_set.rows:
            assert read_rgb(image_set.path / row.file).shape == (32, 32, 3)
    assert run.info.dataset["label_set"] == "cityscapes"
    assert run.info.dataset["domains"] == {"A": dataset.domains[0], "B": dataset.domains[1]}


def test_as_typed(streets, tmp_path, types, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = [word for change in TINY for word in ("--set", change)]
    assert "streets: paired, A = labels, B = photos" in types("cyclegan data check", streets)
    assert "steps   8 in 2 epochs" in types("cyclegan train small runs/one --dry-run --data", streets, *changes)
    assert not Path("runs").exists()
    said = types("cyclegan train small runs/one --data", streets, *changes)
    assert "cyclegan translate runs/one --split test" in said
    said = types("cyclegan translate runs/one --split test")
    assert "3 images in runs/one/images/test_AtoB" in said
    assert "3 images in runs/one/images/test_BtoA" in said
    assert "one" in types("cgeval runs")
    shown = types("cgeval show runs/one")
    for word in ("cyclegan", "streets", "test_AtoB", "test_BtoA", "step-00000008.pt"):
        assert word in shown
    content = json.loads(types("cgeval show runs/one --json"))
    assert [image_set["count"] for image_set in content["image_sets"]] == [3, 3]
    assert "2 image sets, 6 images: every one is as it was sealed" in types("cgeval verify runs/one")


def test_a_pixel_that_is_changed_afterwards_is_found(streets, tmp_path, types, monkeypatch):
    monkeypatch.chdir(tmp_path)
    types("cyclegan train small run --data", streets, *(word for change in TINY for word in ("--set", change)))
    types("cyclegan translate run --direction ab")
    image_set = Run.open(Path("run")).image_set("test_AtoB")
    path = image_set.path / image_set.rows[1].file
    picture = read_rgb(path)
    picture[0, 0, 0] ^= 1
    Image.fromarray(picture).save(path)
    with pytest.raises(SealError, match="was changed after it was sealed"):
        image_set.verify()
    assert image_set.rows[1].file in types("cgeval verify run", code=1)


def test_the_networks_learn(streets, tmp_path):
    """The cycle loss of the last rows is well below that of the first."""
    config = load_config(
        "small",
        [*TINY, "optimiser.constant_epochs=12", "optimiser.learning_rate=2e-3", "logging.every_steps=4"],
        {"data.path": str(streets)},
    )
    train_run(Request(config, tmp_path / "run", resume=False))
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    cycles = np.array([row["cycle_a"] + row["cycle_b"] for row in rows])
    assert cycles[-3:].mean() < 0.8 * cycles[:3].mean()
    assert state.read_index(tmp_path / "run" / "checkpoints").newest.step == rows[-1]["step"] == 52
