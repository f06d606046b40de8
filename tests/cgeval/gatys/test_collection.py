"""A style's file: small, whole or not there, and refused where it does not belong."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from cgeval.errors import OutputError, WeightsError
from cgeval.gatys.collection import KEY, read_style, style_digest_in, write_style
from cgeval.gatys.styles import Style

NETWORK = SimpleNamespace(name="vgg19", weights="torchvision", identity="ab" * 32, pooling="max", scale="unit")
WIDTHS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}
LAYERS = ("relu1_1", "relu2_1")


def style(layers=LAYERS):
    grams = {layer: torch.rand(WIDTHS[layer], WIDTHS[layer]) for layer in layers}
    return Style("collection monet", "collection", 1072, grams, "cd" * 32)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "monet.safetensors"
    write_style(path, style(), NETWORK, 256)
    return path


def test_what_was_written_is_read_to_the_bit(tmp_path):
    written = style()
    write_style(tmp_path / "new" / "folder" / "monet.safetensors", written, NETWORK, 256)
    read = read_style(tmp_path / "new" / "folder" / "monet.safetensors", NETWORK, ["relu2_1"])
    assert replace(read.style, grams={}) == replace(written, grams={})
    assert list(read.style.grams) == ["relu2_1"]
    assert torch.equal(read.style.grams["relu2_1"], written.grams["relu2_1"])
    assert (read.size_px, read.network["weights"]) == (256, "torchvision")
    assert style_digest_in(tmp_path / "new" / "folder" / "monet.safetensors") == "cd" * 32


def test_a_style_of_vgg_19_is_a_file_of_two_and_a_half_megabytes(tmp_path):
    write_style(tmp_path / "all.safetensors", style(WIDTHS), NETWORK, 256)
    assert (tmp_path / "all.safetensors").stat().st_size / 1e6 == pytest.approx(2.44, abs=0.01)


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "squeezenet1_1"), ("identity", "0" * 64), ("pooling", "average"), ("scale", "as trained")],
)
def test_another_network_is_refused_by_name(saved, key, value):
    other = SimpleNamespace(**{**vars(NETWORK), key: value})
    with pytest.raises(WeightsError, match=r"was made by vgg19 \(torchvision, max pooling, unit\) and not by"):
        read_style(saved, other, LAYERS)


def test_a_renamed_weight_file_is_the_same_network(saved):
    read_style(saved, SimpleNamespace(**{**vars(NETWORK), "weights": "copy.pth"}), LAYERS)


def test_a_layer_that_was_not_averaged_is_refused(saved):
    with pytest.raises(WeightsError, match="no Gram matrix of relu5_1, only of relu1_1, relu2_1"):
        read_style(saved, NETWORK, ["relu1_1", "relu5_1"])


def test_changed_numbers_are_noticed(saved):
    data = bytearray(saved.read_bytes())
    data[-3] ^= 1
    saved.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged"):
        read_style(saved, NETWORK, LAYERS)
    assert style_digest_in(saved) is None


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_what_is_no_style_is_one_sentence(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="no safetensors file that can be read"):
        read_style(path, NETWORK, LAYERS)
    assert style_digest_in(path) is None


def test_other_safetensors_files_and_other_schemas_are_refused(saved):
    tensors = load_file(saved)
    save_file(tensors, saved)
    with pytest.raises(WeightsError, match="holds no style"):
        read_style(saved, NETWORK, LAYERS)
    save_file(tensors, saved, {KEY: json.dumps({"schema": 2})})
    with pytest.raises(WeightsError, match="has schema 2"):
        read_style(saved, NETWORK, LAYERS)
    for text, told in (("[1]", "has schema None"), ("{", "is not JSON"), ('{"schema": 1}', "is missing")):
        save_file(tensors, saved, {KEY: text})
        with pytest.raises(WeightsError, match=told):
            read_style(saved, NETWORK, LAYERS)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_style(tmp_path / "file" / "x.safetensors", style(), NETWORK, 256)
