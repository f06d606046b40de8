"""From a request to a sealed run, with a real network of small size: what is written, kept, found again and refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cgeval.errors import CgevalError, ConfigError, DataError, OutputError, RunBusyError, RunError, WeightsError
from cgeval.files import lock
from cgeval.gatys.making import keeping
from cgeval.gatys.making.keeping import Observer, pictures_digest
from cgeval.gatys.making.preparing import load_network, method_of
from cgeval.gatys.making.session import make
from cgeval.gatys.making.wanted import Named, wanted_styles
from cgeval.gatys.settings import load_settings
from cgeval.gatys.styles import average_style
from cgeval.images import read_rgb, write_png
from cgeval.protocols.planning import Choices, plan
from cgeval.runs import Run
from tests.cgeval.gatys.networks import request, write_squeezenet
from tests.cgeval.gatys.pictures import photo, write_dataset, write_photos

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These networks are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_squeezenet(tmp_path_factory.mktemp("weights") / "small.pth")


def quiet(_words):
    """Nobody listens."""


def made(*args, **others):
    return make(request(*args, **others), quiet)


def pictures(run_path):
    """Every picture of every sealed set, by set and id."""
    return {
        (image_set.name, row.id): read_rgb(image_set.path / row.file)
        for image_set in Run.open(run_path).image_sets()
        for row in image_set.rows
    }


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_a_dataset_is_stylised_by_the_average_of_the_other_domain_and_by_two_of_its_images(tmp_path, weights):
    data = write_dataset(tmp_path / "data", train=4)
    result = made(data, tmp_path / "run", weights)
    run = Run.open(tmp_path / "run")
    collection, *singles = [each.image_set for each in result.produced]
    assert collection.name == "test_AtoB-collection"
    assert collection.extra["style"] | {"digest": ""} == {
        "name": "collection", "kind": "collection", "n": 4, "digest": "", "size_px": 32,
    }  # fmt: skip
    assert [each.extra["variant"][:6] for each in singles] == ["drive/", "drive/"]
    assert [each.extra["style"]["n"] for each in singles] == [1, 1]
    assert run.info.method == "gatys:squeezenet1_1"
    assert run.info.dataset["label_domain"] == "A"
    assert run.info.settings["stages"] == [[1.0, 4]]
    assert run.info.settings["network"]["identity"] == collection.extra["network"]["identity"]
    for image_set in run.image_sets():
        image_set.verify()
        assert [(row.id, row.target) for row in image_set.rows] == [("drive/0", "drive/0"), ("drive/1", "drive/1")]
    lines = [json.loads(line) for line in (run.path / "gatys" / "losses.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    assert result.sheet == run.path / "gatys" / "styles.png"
    assert read_rgb(result.sheet).shape[2] == 3


def test_the_same_command_finds_everything_and_makes_nothing(tmp_path, weights):
    data = write_dataset(tmp_path / "data")
    made(data, tmp_path / "run", weights)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "images").rglob("*.png")}
    again = made(data, tmp_path / "run", weights)
    assert [each.was_there for each in again.produced] == [True] * 3
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "images").rglob("*.png")}


def test_a_later_call_adds_sets_and_both_directions_go_into_one_run(tmp_path, weights):
    data = write_dataset(tmp_path / "data")
    made(data, tmp_path / "run", weights, singles=0)
    made(data, tmp_path / "run", weights, singles=0, directions=("AtoB", "BtoA"))
    made(data, tmp_path / "run", weights, styles=(data / "trainB" / "drive" / "1.png",))
    assert [each.name for each in Run.open(tmp_path / "run").image_sets()] == [
        "test_AtoB-1", "test_AtoB-collection", "test_BtoA-collection",
    ]  # fmt: skip


def test_the_fcn_score_plans_a_run_of_this_kind(tmp_path, weights):
    data = write_dataset(tmp_path / "data")
    made(data, tmp_path / "run", weights, singles=0, directions=("BtoA",))
    (job,) = plan(Run.open(tmp_path / "run"), Choices(dataset=data))
    assert (job.direction, job.image_set.name, len(job.items)) == ("photo -> labels", "test_BtoA-collection", 2)


def test_an_average_is_kept_and_used_again(tmp_path, weights, monkeypatch):
    content, monet = write_photos(tmp_path / "content", 1), write_photos(tmp_path / "monet", 3, seed=50)
    made(content, tmp_path / "run", weights, collection=(monet,))
    saved = tmp_path / "run" / "gatys" / "styles" / "collection-monet_AtoB.safetensors"
    first = pictures(tmp_path / "run")
    (tmp_path / "run" / "images" / "content_AtoB-collection-monet").rename(tmp_path / "aside")
    monkeypatch.setattr(keeping, "average_style", None)  # it is not asked
    made(content, tmp_path / "run", weights, collection=(monet,))
    assert same(pictures(tmp_path / "run"), first)
    named = made(content, tmp_path / "other", weights, styles=(saved,))
    assert [each.task.variant for each in named.produced] == ["collection monet"]
    assert same(
        {key[1]: value for key, value in pictures(tmp_path / "other").items()},
        {key[1]: value for key, value in first.items()},
    )


def test_an_average_of_images_that_changed_is_made_again(tmp_path, weights):
    content, monet = write_photos(tmp_path / "content", 1), write_photos(tmp_path / "monet", 3, seed=50)
    made(content, tmp_path / "run", weights, collection=(monet,))
    write_png(monet / "1.png", photo(99))
    with pytest.raises(RunError, match=r"was made with another style\.digest"):
        made(content, tmp_path / "run", weights, collection=(monet,))
    before = pictures(tmp_path / "run")
    made(content, tmp_path / "run", weights, collection=(monet,), overwrite=True)
    assert not same(pictures(tmp_path / "run"), before)


def test_the_digest_that_is_known_before_is_that_of_the_style(tmp_path, weights):
    network, settings = load_network(request(tmp_path, tmp_path, weights).settings, CPU)
    (wanted,) = wanted_styles(Named(), write_dataset(tmp_path / "data"), "AtoB")
    look = Observer(network, settings.style_layers, 24, squashed=True).look(wanted)
    style = average_style(network, wanted.files, look, name="x", kind="collection")
    assert pictures_digest(wanted.files, look) == style.digest


def test_save_style_keeps_the_average_where_it_is_told(tmp_path, weights):
    content, monet = write_photos(tmp_path / "content", 1), write_photos(tmp_path / "monet", 2, seed=50)
    place = tmp_path / "styles" / "monet.safetensors"
    made(content, tmp_path / "run", weights, collection=(monet,), save_style=place)
    assert (
        place.read_bytes() == (tmp_path / "run" / "gatys" / "styles" / "collection-monet_AtoB.safetensors").read_bytes()
    )
    place.unlink()
    assert made(content, tmp_path / "run", weights, collection=(monet,), save_style=place).produced[0].was_there
    assert place.is_file()
    other = write_photos(tmp_path / "other", 2, seed=70)
    with pytest.raises(RunError, match="not the style of these images"):
        made(content, tmp_path / "run2", weights, collection=(other,), save_style=place)
    with pytest.raises(ConfigError, match="--save-style takes the one style that is averaged"):
        made(content, tmp_path / "run3", weights, styles=(monet / "0.png",), save_style=place)


def test_another_setting_is_refused_by_name_and_overwrite_begins_anew(tmp_path, weights):
    content, night = write_photos(tmp_path / "content", 1), tmp_path / "night.png"
    write_png(night, photo(9))
    made(content, tmp_path / "run", weights, styles=(night,))
    with pytest.raises(RunError, match=r"another content_weight \(1000000\.0, and now 2\.0\).*without its 1 image set"):
        made(content, tmp_path / "run", weights, styles=(night,), changes=("content_weight=2",))
    made(content, tmp_path / "run", weights, styles=(night,), changes=("content_weight=2",), overwrite=True)
    run = Run.open(tmp_path / "run")
    assert run.info.settings["content_weight"] == 2.0
    assert [each.extra["settings"]["content_weight"] for each in run.image_sets()] == [2.0]
    assert len((run.path / "gatys" / "losses.jsonl").read_text().splitlines()) == 1


def test_other_contents_and_other_datasets_do_not_mix(tmp_path, weights):
    content, night = write_photos(tmp_path / "content", 2), tmp_path / "night.png"
    write_png(night, photo(9))
    made(content, tmp_path / "run", weights, styles=(night,))
    write_png(content / "1.png", photo(77))
    with pytest.raises(RunError, match="another content_sha256"):
        made(content, tmp_path / "run", weights, styles=(night,))
    with pytest.raises(RunError, match=r"another dataset \(content, and now elsewhere\)"):
        made(write_photos(tmp_path / "elsewhere", 1), tmp_path / "run", weights, styles=(night,))


def test_what_is_no_place_for_a_run_is_refused_and_left_alone(tmp_path, weights):
    content = write_photos(tmp_path / "content", 1)
    night = content / "0.png"
    Run.create(tmp_path / "trained", method="cyclegan", dataset={}, producer={})
    write_photos(tmp_path / "mine", 1)
    (tmp_path / "file").write_text("")
    for place, error, told in (
        ("trained", RunError, "is a run of cyclegan"),
        ("mine", RunError, "holds '0.png' and is no run"),
        ("file", OutputError, "is a file"),
        ("content/run", OutputError, "in the folder of the contents"),
    ):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(error, match=told):
            made(content, tmp_path / place, weights, styles=(night,))
        assert sorted(tmp_path.rglob("*")) == before


def test_bad_input_leaves_nothing_behind(tmp_path, weights):
    content = write_photos(tmp_path / "content", 1)
    broken = write_photos(tmp_path / "broken", 3)
    (broken / "2.png").write_bytes((broken / "2.png").read_bytes()[:200])
    text, thin = tmp_path / "text.jpg", tmp_path / "thin.png"
    text.write_text("no image")
    write_png(thin, photo(1, width=400, height=9))
    for others, error in (
        ({"styles": (text,)}, CgevalError),
        ({"collection": (broken,)}, CgevalError),
        ({"styles": (content / "0.png",), "changes": ("style_layers=relu7_1",)}, ConfigError),
        ({"styles": (content / "0.png",), "changes": ("stages=0.1:1,1:1",)}, DataError),
        ({"styles": (content / "0.png",), "device": "cuda:99"}, ConfigError),
        ({"styles": (tmp_path / "gone.png",)}, CgevalError),
        ({"styles": (thin,)}, DataError),
    ):
        with pytest.raises(error):
            made(content, tmp_path / "run", weights, **others)
        assert not (tmp_path / "run").exists()
    with pytest.raises(WeightsError):
        made(content, tmp_path / "run", text, styles=(content / "0.png",))
    assert not (tmp_path / "run").exists()


def test_a_second_process_waits_its_turn(tmp_path, weights):
    content = write_photos(tmp_path / "content", 1)
    (tmp_path / "run" / "gatys").mkdir(parents=True)
    with lock(tmp_path / "run" / "gatys" / "lock"), pytest.raises(RunBusyError, match=f"process {os.getpid()}"):
        made(content, tmp_path / "run", weights, styles=(content / "0.png",))


def test_methods_are_named_after_their_network(tmp_path, weights, shared_data):
    vgg19 = shared_data / "weights" / "vgg19_normalised_conv3_1" / "vgg_normalised_conv3_1.pth"
    for which, name in ((str(weights), "gatys:squeezenet1_1"), (str(vgg19), "gatys:vgg19-conv3_1")):
        network, _ = load_network(load_settings(values={"weights": which, "scale": "as trained"}), CPU)
        assert method_of(network) == name


def test_a_random_network_says_so_in_method_and_sets(tmp_path):
    content = write_photos(tmp_path / "content", 1)
    made(content, tmp_path / "run", "random", styles=(content / "0.png",), changes=RANDOM)
    run = Run.open(tmp_path / "run")
    assert run.info.method == "gatys:vgg19-random"
    assert [each.name for each in run.image_sets()] == ["content_AtoB-0-random"]


RANDOM = ("stages=1:1", "style_layers=relu1_1", "content_layer=relu1_2", "scale=as trained")
KILLED = """
import sys
import torch
from cgeval.gatys.making.session import make
from tests.cgeval.gatys.networks import request
from pathlib import Path
torch.set_num_threads(1)
content, run, weights = map(Path, sys.argv[1:4])
make(request(content, run, weights, styles=(content / "0.png",), changes=("stages=1:40",), batch_size=2), print)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_after_a_kill_or_a_stop_the_same_pictures_come_as_without(tmp_path, weights, number):
    content = write_photos(tmp_path / "content", 6, width=64, height=64)
    whole, killed = ([str(content), str(tmp_path / name), str(weights)] for name in ("whole", "killed"))
    run_program(whole).communicate()
    process = run_program(killed)
    kept = tmp_path / "killed" / "gatys" / "content_AtoB-0" / "losses.jsonl"
    until(lambda: kept.is_file() and kept.read_bytes().count(b"\n") >= 2)
    process.send_signal(number)
    process.communicate()
    assert Run.open(tmp_path / "killed").image_sets() == []
    finished = kept.read_bytes().count(b"\n")
    assert 2 <= finished < 6
    run_program(killed).communicate()
    assert same(pictures(tmp_path / "killed"), pictures(tmp_path / "whole"))


def run_program(words):
    root = Path(__file__).resolve().parents[4]
    command = [sys.executable, "-c", KILLED, *words]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.002)
