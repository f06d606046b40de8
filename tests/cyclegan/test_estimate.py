"""`--dry-run`: a configuration that can be trained with, the sizes by hand, and time and memory that are measured."""

import json
import re
import tomllib

import pytest
import torch

from cgeval.errors import ConfigError
from cyclegan import state
from cyclegan.config import from_dict, load_config
from cyclegan.estimate import as_json, as_text, estimate_run, measure_step
from cyclegan.step import TrainStep
from tests.cyclegan.conftest import SMALL


def describe_run(config) -> str:
    return as_text(estimate_run(config))


@pytest.fixture
def minute_steps(monkeypatch) -> None:
    """Nothing is measured; every step takes a minute."""
    monkeypatch.setattr("cyclegan.estimate.measure_step", lambda step: 60.0)


def saved_at(run, config, at: int) -> None:
    """A checkpoint of the run after so many steps."""
    step = TrainStep(config, torch.device("cpu"))
    content = state.capture(step, state.Position(at), [state.process_state(step)])
    state.save(run / "checkpoints", content, metric=None, is_best=False, rule=config.checkpoints)


def line(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"# {start}")]
    return found


def test_the_text_is_the_whole_configuration_and_can_be_saved_as_one(small):
    config = small("seed=5")
    assert from_dict(tomllib.loads(describe_run(config)), "the text") == config


# paper's networks: 11,378,179 and 7,837,699 for 9 and 6 blocks; 2,764,737 for the discriminator
def test_parameters_are_counted(small):
    text = describe_run(small("networks.width=64", "networks.disc_width=64", "networks.disc_layers=3"))
    assert re.findall(r"# (\w+) +([\d,]+)(?: parameters)", text) == [
        ("gen_ab", "7,837,699"),
        ("gen_ba", "7,837,699"),
        ("disc_a", "2,764,737"),
        ("disc_b", "2,764,737"),
        ("total", "21,204,872"),
    ]


def test_the_run_is_counted_by_hand(small):
    """7 pictures of B are an epoch, in batches of 2 that is 4 steps, times 3 epochs."""
    text = describe_run(small("optimiser.batch_size=2"))
    assert "5 of A, 7 of B, unpaired" in line(text, "images")
    assert line(text, "steps").split() == ["#", "steps", "12", "in", "3", "epochs"]
    assert line(text, "disk").startswith(f"# disk    {12 * 36 * 36 * 3 / 2**20:.1f} MiB")


def test_the_size_of_a_checkpoint_is_that_of_the_file(small, tmp_path):
    config = small("networks.width=32")
    step = TrainStep(config, torch.device("cpu"))
    measure_step(step)
    content = state.capture(step, state.Position(), [state.process_state(step)])
    path = state.save(tmp_path, content, metric=None, is_best=False, rule=config.checkpoints)
    told = float(re.search(r"([\d.]+) MiB for each checkpoint", describe_run(config))[1])
    assert told == pytest.approx(path.stat().st_size / 2**20, rel=0.05)


def test_time_is_that_of_a_real_step(small, monkeypatch):
    text = describe_run(small())
    assert re.search(r"# time    [\d.e-]+ s, measured on random images", text)
    monkeypatch.setattr("cyclegan.estimate.measure_step", lambda step: 600.0)
    assert [entry for entry in describe_run(small()).splitlines() if entry.startswith("# time")] == [
        "# time    10.0 min, measured on random images",
        "# time    3.5 h",
    ]


def test_measuring_stops_early_where_a_step_takes_long(small, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("cyclegan.estimate.time.perf_counter", lambda: next(clock))
    assert measure_step(TrainStep(small(), torch.device("cpu"))) == 10
    assert next(clock) == 40


def test_memory_is_the_processs_own_and_says_what_pytorch_takes(small):
    size = r"([\d.]+) (.iB)"
    found = re.search(rf"memory  {size} at the peak of the process, {size} of it PyTorch itself", describe_run(small()))
    assert found
    peak, before = (float(found[i]) * (1024 if found[i + 1] == "GiB" else 1) for i in (1, 3))
    assert 50 < before <= peak < 20000


def test_programs_read_the_same_estimate(small, minute_steps):
    estimate = estimate_run(small("optimiser.batch_size=2"))
    content = json.loads(as_json(estimate))
    assert content["parameters"] == {"gen_ab": 31939, "gen_ba": 31939, "disc_a": 845, "disc_b": 845}
    found = {key: content[key] for key in ("images_a", "images_b", "epochs", "steps", "steps_done")}
    assert found == {"images_a": 5, "images_b": 7, "epochs": 3, "steps": 12, "steps_done": 0}
    assert (content["seconds_per_step"], content["seconds"], content["unknown"]) == (60.0, 12 * 60.0, None)
    assert content["device"].startswith("cpu")
    text = as_text(estimate)
    for word in (f"one step on {content['device']}", "gen_ab          31,939", "steps   12 in 3 epochs", "12.0 min"):
        assert word in text
    assert f"{content['memory_bytes'] / 2**20:.1f} MiB" in text or f"{content['memory_bytes'] / 2**30:.2f} GiB" in text
    assert f"{content['checkpoint_bytes'] / 2**20:.1f} MiB for each checkpoint" in text


def test_of_a_resumed_run_the_steps_that_are_left_are_counted(small, minute_steps, tmp_path):
    saved_at(tmp_path / "run", small(), 15)
    estimate = estimate_run(small(), tmp_path / "run")
    content = json.loads(as_json(estimate))
    assert (content["steps"], content["steps_done"], content["seconds"]) == (21, 15, 6 * 60.0)
    assert line(as_text(estimate), "steps").endswith("21 in 3 epochs, 15 of them done")
    assert "# time    6.0 min for those that are left" in as_text(estimate)


def test_a_run_that_is_done_or_has_no_checkpoint_yet_is_counted_too(small, minute_steps, tmp_path):
    assert estimate_run(small(), tmp_path / "none").seconds == 21 * 60.0
    saved_at(tmp_path / "run", small(), 21)
    assert estimate_run(small(), tmp_path / "run").seconds == 0


def test_without_the_dataset_programs_are_told_why_nothing_is_known(minute_steps):
    content = json.loads(as_json(estimate_run(load_config("small", SMALL))))
    assert [content[key] for key in ("images_a", "images_b", "epochs", "steps", "seconds")] == [None] * 5
    assert content["unknown"].startswith("no dataset is named: give --data DIR")
    assert content["seconds_per_step"] == 60.0


def test_nothing_is_written(small, images, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    describe_run(small())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("path", "words"),
    [("", "no dataset is named: give --data DIR"), ("/nowhere/at all", "/nowhere/at all is not there")],
)
def test_without_the_dataset_only_the_length_is_unknown(path, words):
    found = describe_run(load_config("small", SMALL, {"data.path": path}))
    assert words in line(found, "the whole run")
    assert "MiB for each checkpoint" in found
    assert tomllib.loads(found)["data"]["path"] == path


def test_mistakes_are_named(small):
    with pytest.raises(ConfigError, match=r"translator = 'stargan' is unknown; .*cyclegan, pix2pix"):
        describe_run(small("translator=stargan"))
