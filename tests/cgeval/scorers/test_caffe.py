"""A .caffemodel becomes a scorer that sees what Caffe's network saw, once, and never beside another one."""

import hashlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cgeval.errors import ConfigError, OutputError, WeightsError
from cgeval.labels import KNOWN, Label, LabelSet
from cgeval.scorers import caffe as module
from cgeval.scorers.caffe import import_caffe
from cgeval.scorers.store import open_scorer
from tests.cgeval.networks import caffe_writer as caffe

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from cgeval.networks.fcn8s import PARAMETERS, FCN8s  # noqa: E402
from cgeval.scorers.scorer import load_scorer  # noqa: E402
from tests.cgeval.networks.test_fcn8s import shapes_of  # noqa: E402

WIDTH = 1
LAYERS = caffe.random_layers(shapes_of(WIDTH, 20), seed=8, scale=0.2)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fcn-8s-cityscapes.caffemodel"
    path.write_bytes(caffe.net_v2(LAYERS))
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(kind, match, *arguments, **options):
    with pytest.raises(kind, match=match) as caught:
        import_caffe(*arguments, width=WIDTH, **options)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_the_scorer_says_how_the_paper_measures_and_where_it_came_from(file, tmp_path):
    made = import_caffe(file, tmp_path / "scorers" / "paper", sha256=digest(file), width=WIDTH)
    info = open_scorer("paper", tmp_path / "scorers").info
    assert made.info == info
    assert (info.name, info.kind, info.protocol, info.size_px) == ("paper", "fcn8s", "paper", (2048, 1024))
    assert (info.mean, info.std, info.channels) == ((72.78044, 83.21195, 73.45286), (1.0, 1.0, 1.0), "BGR")
    assert (info.outputs, info.stride, len(info.labels.classes)) == (20, 1, 19)
    assert info.labels == KNOWN["cityscapes"]
    assert info.source == {"file": "fcn-8s-cityscapes.caffemodel", "sha256": digest(file)}
    assert info.parameters == sum(array.size for arrays in LAYERS.values() for array in arrays)
    assert info.validation == {}


@pytest.mark.parametrize("version", [caffe.net_v1, caffe.net_v2])
def test_the_scorer_sees_blue_first_less_the_mean_through_the_files_network(file, tmp_path, version):
    file.write_bytes(version(LAYERS, shape=caffe.shape_old if version is caffe.net_v1 else caffe.shape_packed))
    scorer = load_scorer(import_caffe(file, tmp_path / "paper", width=WIDTH), torch.device("cpu"))
    network = FCN8s(20, WIDTH).eval().requires_grad_(False)
    for layer, arrays in LAYERS.items():
        for name, array in zip(("weight", "bias"), arrays, strict=False):
            network.get_submodule(layer).get_parameter(name).copy_(torch.from_numpy(array))
    photo = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    seen = photo[:, :, ::-1].astype(np.float32) - np.array((72.78044, 83.21195, 73.45286), np.float32)
    expected = network(torch.from_numpy(seen.transpose(2, 0, 1).copy())[None])
    found = scorer.logits(torch.from_numpy(photo.transpose(2, 0, 1).copy())[None])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_importing_the_same_file_again_changes_nothing(file, tmp_path):
    first = import_caffe(file, tmp_path / "paper", width=WIDTH)
    before = first.path.read_bytes()
    again = import_caffe(file, tmp_path / "paper", sha256=f" {digest(file).upper()}\n", width=WIDTH)
    assert again == first
    assert first.path.read_bytes() == before


def test_another_file_or_another_label_set_does_not_take_its_place(file, tmp_path):
    scorer = import_caffe(file, tmp_path / "paper", width=WIDTH)
    before = digest(scorer.path)
    refused(OutputError, "with other labels", file, tmp_path / "paper", KNOWN["cityscapes19"])
    file.write_bytes(caffe.net_v1(LAYERS))
    refused(OutputError, "made of another file", file, tmp_path / "paper")
    assert digest(scorer.path) == before


def test_a_scorer_that_is_there_and_broken_is_named(file, tmp_path):
    scorer = import_caffe(file, tmp_path / "paper", width=WIDTH)
    os.truncate(scorer.path, scorer.path.stat().st_size // 2)
    refused(WeightsError, "cut off", file, tmp_path / "paper")


def test_another_digest_is_refused_and_nothing_is_written(file, tmp_path):
    other = "0" * 64
    refused(WeightsError, f"SHA-256 {digest(file)}, and {other} is expected", file, tmp_path / "out", sha256=other)
    assert not (tmp_path / "out").exists()


def test_a_web_page_is_called_one(file, tmp_path):
    file.write_bytes(b"<!DOCTYPE html><html>404</html>")
    refused(WeightsError, "web page", file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_digest_is_compared_before_the_file_is_understood(file, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "read_caffemodel", None)
    refused(WeightsError, "and 0{64} is expected", file, tmp_path / "out", sha256="0" * 64)


@pytest.mark.parametrize("malformed", ["", "abc", "0" * 63, "g" * 64, "0" * 65])
def test_what_is_no_digest_is_refused(file, tmp_path, malformed):
    refused(ConfigError, "64 hexadecimal digits are expected", file, tmp_path / "out", sha256=malformed)
    assert not (tmp_path / "out").exists()


def test_weights_of_another_network_are_refused_and_nothing_is_written(file, tmp_path):
    file.write_bytes(caffe.net_v2({name: arrays for name, arrays in LAYERS.items() if name != "upscore8"}))
    refused(WeightsError, "upscore8 missing", file, tmp_path / "out")
    with pytest.raises(WeightsError, match="conv1_1 1x3x3x3 and 1 where 64x3x3x3 and 64 is expected"):
        import_caffe(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("labels", [KNOWN["camvid11"], LabelSet("one", (Label(0, "a", (0, 0, 0)),))])
def test_labels_with_another_number_of_classes_are_refused(file, tmp_path, labels):
    refused(ConfigError, "the weights know 19", file, tmp_path / "out", labels)


def test_a_place_that_is_a_file_is_refused(file, tmp_path):
    refused(OutputError, "cannot be written", file, file)
    assert file.read_bytes() == caffe.net_v2(LAYERS)


def test_a_missing_file_is_refused(tmp_path):
    refused(WeightsError, "cannot be read", tmp_path / "none.caffemodel", tmp_path / "out")


def test_the_module_is_light_until_it_imports():
    code = "import sys, cgeval.scorers.caffe, cgeval.networks.caffemodel; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def folder_of_gigabytes(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)  # pytest would keep it for three more runs


@pytest.mark.slow
def test_a_file_of_the_papers_size_is_imported_and_held_once(folder_of_gigabytes):
    file = folder_of_gigabytes / "fcn-8s-cityscapes.caffemodel"
    random = np.random.default_rng(0)
    with file.open("wb") as out:
        for layer, tensors in shapes_of(64, 20).items():
            arrays = [random.standard_normal(shape, np.float32) for shape in tensors.values()]
            out.write(caffe.chunk(100, caffe.layer_v2(layer, arrays)))
    code = """
import resource, sys
from pathlib import Path
import safetensors.torch, cgeval.networks.fcn8s
from cgeval.scorers.caffe import import_caffe
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
made = import_caffe(Path(sys.argv[1]), Path(sys.argv[2]))
print(made.info.parameters, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    command = [sys.executable, "-c", code, str(file), str(folder_of_gigabytes / "paper")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    parameters, grown = map(int, done.stdout.split())
    assert parameters == PARAMETERS
    assert grown < 1.2 * 4 * PARAMETERS
