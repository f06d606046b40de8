"""Weight files of the reference: every variant of its history comes in, ours go out, wrong files are named."""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from benchmarks.plain import plain_patchgan, plain_resnet, plain_unet
from cgeval.errors import ConfigError, OutputError, RunError, WeightsError
from cgeval.runs import Run
from cyclegan import state
from cyclegan.cli.weights import export, import_weights
from cyclegan.config import Networks
from cyclegan.interop import read_reference_state
from cyclegan.models.generators import build_generator
from cyclegan.step import TrainStep
from cyclegan.translate import load_generators
from tests.cyclegan.test_against_reference import picture, scrambled

NORMS = (nn.InstanceNorm2d, nn.BatchNorm2d)


def in_old_style(network: nn.Module) -> "OrderedDict[str, Tensor]":
    """The state dict as PyTorch before 0.4 saved it: instance norms with running statistics."""
    weights = OrderedDict(network.state_dict())
    for name, layer in network.named_modules():
        if isinstance(layer, nn.InstanceNorm2d):
            weights[f"{name}.running_mean"] = torch.full((layer.num_features,), 0.3)
            weights[f"{name}.running_var"] = torch.full((layer.num_features,), 2.0)
            weights[f"{name}.num_batches_tracked"] = torch.tensor(1234)
    return weights


def saved(weights: object, path: Path, **how: bool) -> Path:
    torch.save(weights, path, **how)
    return path


def same_network(path: Path, plain: nn.Module, size: int = 64) -> Networks:
    """The file's generator gives what the plain network gives; returns the settings that were detected."""
    found = read_reference_state(path)
    ours = build_generator(found.networks)
    ours.load_state_dict(found.state)
    with torch.no_grad():
        expected = plain.eval()(picture(1, size))
        torch.testing.assert_close(ours.eval()(picture(1, size)), expected, rtol=0, atol=2e-5)
    return found.networks


@pytest.mark.parametrize("blocks", [6, 9])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_every_resnet_file(tmp_path, blocks, dropout, prefix):
    plain = scrambled(plain_resnet(blocks, 8, dropout=dropout))
    weights = OrderedDict((prefix + name, value) for name, value in plain.state_dict().items())
    found = same_network(saved(weights, tmp_path / "g.pth"), plain)
    assert found.model_dump(include={"generator", "width", "norm", "dropout"}) == {
        "generator": f"resnet{blocks}",
        "width": 8,
        "norm": "instance",
        "dropout": dropout,
    }


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("blocks", [6, 9])
def test_old_files_with_running_statistics(tmp_path, blocks, zipped):
    plain = scrambled(plain_resnet(blocks, 8))
    path = saved(in_old_style(plain), tmp_path / "old.pth", _use_new_zipfile_serialization=zipped)
    same_network(path, plain)
    assert not [name for name in read_reference_state(path).state if "running" in name]


def test_half_precision_and_parameters_become_plain_float32(tmp_path):
    plain = scrambled(plain_resnet(6, 8)).half()
    path = saved({name: nn.Parameter(value) for name, value in plain.state_dict().items()}, tmp_path / "half.pth")
    weights = read_reference_state(path).state
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert not any(value.requires_grad for value in weights.values())
    same_network(path, plain.float())


@pytest.mark.parametrize(("downs", "size"), [(7, 128), (8, 256)])
@pytest.mark.parametrize("norm", NORMS)
def test_unet_files(tmp_path, downs, size, norm):
    plain = scrambled(plain_unet(downs, 8, norm=norm))
    found = same_network(saved(in_old_style(plain), tmp_path / "g.pth"), plain, size)
    assert found.generator == f"unet{size}"
    assert found.norm == ("instance" if norm is nn.InstanceNorm2d else "batch")


def test_batch_norm_files_without_the_counter(tmp_path):
    plain = scrambled(plain_unet(7, 8))
    weights = {name: value for name, value in plain.state_dict().items() if "num_batches" not in name}
    same_network(saved(weights, tmp_path / "g.pth"), plain, 128)


def resnet_state(**changes: Tensor) -> dict[str, Tensor]:
    return dict(plain_resnet(6, 4).state_dict()) | changes


def without(name: str) -> dict[str, Tensor]:
    return {key: value for key, value in resnet_state().items() if key != name}


def saved_bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def zip_of_text() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return buffer.getvalue()


WRONG_FILES = {
    "is empty": b"",
    "web page": b"\n<!DOCTYPE html><html><title>404</title></html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "no file that torch.save wrote": b"these are not weights, but words",
    "cut off or damaged": saved_bytes(plain_resnet(6, 4).state_dict())[:5000],
    "cut off or damaged: compare": zip_of_text(),
    "pickled collections.deque": b"\x80\x02ccollections\ndeque\n.",
    "holds a list": saved_bytes([torch.zeros(3)]),
    "holds a Tensor": saved_bytes(torch.zeros(3)),
    "state_dict, epoch": saved_bytes({"state_dict": {"a": torch.zeros(1)}, "epoch": 3}),
    "with nothing in it": saved_bytes({}),
    "is a discriminator": saved_bytes(plain_patchgan(4).state_dict()),
    "another network": saved_bytes(nn.Linear(2, 2).state_dict()),
    "has no model.7.weight": saved_bytes(without("model.7.weight")),
    r"model.4.weight has the shape \[8, 4, 5, 5\]": saved_bytes(
        resnet_state(**{"model.4.weight": torch.zeros(8, 4, 5, 5)})
    ),
    "also has model.99.thing": saved_bytes({"model.99.thing": torch.zeros(1)} | resnet_state()),
    "undefined values in model.4.bias": saved_bytes(resnet_state(**{"model.4.bias": torch.full((8,), torch.nan)})),
    "1 channels into 3": saved_bytes(resnet_state(**{"model.1.weight": torch.zeros(4, 1, 7, 7)})),
    "4 residual blocks": saved_bytes(plain_resnet(4, 4).state_dict()),
    "U-Net of 6 levels": saved_bytes(plain_unet(6, 4).state_dict()),
}


@pytest.mark.parametrize("sentence", WRONG_FILES)
def test_wrong_files_get_one_sentence(tmp_path, sentence):
    path = tmp_path / "latest_net_G.pth"
    path.write_bytes(WRONG_FILES[sentence])
    with pytest.raises(WeightsError, match=sentence) as caught:
        read_reference_state(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickled_code_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "g.pth"
    path.write_bytes(pickle.dumps({"model.1.weight": Trap()}, protocol=2))
    with pytest.raises(WeightsError, match="could run code"):
        read_reference_state(path)
    assert not (tmp_path / "sprung").exists()


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(WeightsError, match="is a folder"):
        read_reference_state(tmp_path)
    with pytest.raises(WeightsError, match="No such file"):
        read_reference_state(tmp_path / "none.pth")


WHOLE = {zipped: io.BytesIO() for zipped in (False, True)}
for _zipped, _buffer in WHOLE.items():
    torch.save(plain_resnet(6, 4).state_dict(), _buffer, _use_new_zipfile_serialization=_zipped)


@settings(max_examples=60, deadline=None)
@given(zipped=st.booleans(), share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_in_words(tmp_path_factory, zipped, share):
    data = WHOLE[zipped].getvalue()
    path = tmp_path_factory.mktemp("cut") / "g.pth"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError):
        read_reference_state(path)


# the commands


def invoke(command, *arguments: object):
    """The command's output; errors come through, as cgeval.console sees them."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def invoke_raising(command, *arguments: object) -> None:
    CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)


def test_import_makes_a_run_that_translates_like_the_reference(tmp_path):
    plain = scrambled(plain_resnet(6, 8))
    path = saved(in_old_style(plain), tmp_path / "latest_net_G.pth")
    said = invoke(import_weights, path, tmp_path / "run", "--direction", "ba", "--size", 64)
    assert "resnet6, width 8, instance norm" in said
    run, ready = Run.open(tmp_path / "run"), load_generators(tmp_path / "run")
    assert list(ready.by_direction) == ["BtoA"]
    assert run.info.method == "cyclegan"
    assert run.info.producer["imported_weights"]["BtoA"]["file"] == "latest_net_G.pth"
    with torch.no_grad():
        expected, found = plain(picture(5, 64)), ready.by_direction["BtoA"](picture(5, 64))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_both_directions_and_the_dataset(tmp_path, images):
    ab, ba = (scrambled(plain_resnet(6, 4), seed) for seed in (1, 2))
    files = [saved(net.state_dict(), tmp_path / f"{name}.pth") for name, net in (("ab", ab), ("ba", ba))]
    invoke(import_weights, files[0], tmp_path / "run", "--other", files[1], "--data", images)
    ready = load_generators(tmp_path / "run")
    for direction, plain in (("AtoB", ab), ("BtoA", ba)):
        with torch.no_grad():
            found = ready.by_direction[direction](picture(1, 32))
            torch.testing.assert_close(found, plain(picture(1, 32)), rtol=0, atol=1e-5)
    assert Path(Run.open(tmp_path / "run").info.dataset["path"]) == images.resolve()


def test_batch_norm_alone_becomes_pix2pix_one_way(tmp_path):
    path = saved(scrambled(plain_unet(7, 4)).state_dict(), tmp_path / "g.pth")
    invoke(import_weights, path, tmp_path / "run", "--direction", "ba")
    ready = load_generators(tmp_path / "run")
    assert (ready.config.translator, ready.config.direction) == ("pix2pix", "BtoA")
    assert ready.by_direction["BtoA"].training  # dropout and the image's own statistics stay on


def test_import_refuses_what_does_not_fit(tmp_path):
    small, wide = (saved(plain_resnet(6, w).state_dict(), tmp_path / f"{w}.pth") for w in (4, 8))
    with pytest.raises(WeightsError, match="different networks"):
        invoke_raising(import_weights, small, tmp_path / "run", "--other", wide)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="multiple of 4"):
        invoke_raising(import_weights, small, tmp_path / "run", "--size", 130)
    invoke(import_weights, small, tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run"):
        invoke_raising(import_weights, small, tmp_path / "run")


@pytest.fixture
def trained(small, tmp_path) -> Path:
    """A run with one checkpoint of all four networks, away from their initial values."""
    config = small("networks.disc_layers=3", "data.load_px=64", "data.crop_px=64", "networks.convolution=winograd2")
    step = TrainStep(config, torch.device("cpu"))
    for seed, network in enumerate(step.translator.networks.values()):
        scrambled(network, seed)
    run = Run.create(tmp_path / "run", method="cyclegan", dataset={"name": "x"}, producer={"name": "t"})
    content = state.capture(step, state.Position(step=7), [state.process_state(step)])
    state.save(run.path / "checkpoints", content, metric=None, is_best=False, rule=config.checkpoints)
    return run.path


def test_export_to_the_reference(trained, tmp_path):
    said = invoke(export, trained, tmp_path / "out", "--format", "reference")
    assert "--netG resnet_6blocks --ngf 4 --norm instance --no_dropout" in said
    content = state.load(state.find(trained / "checkpoints"))["networks"]
    pairs = {"G_A": "gen_ab", "G_B": "gen_ba", "D_A": "disc_b", "D_B": "disc_a"}
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(files) == {f"latest_net_{name}.pth" for name in pairs}
    for name, ours in pairs.items():
        weights = torch.load(files[f"latest_net_{name}.pth"], weights_only=True)
        plain = plain_resnet(6, 4) if name.startswith("G") else plain_patchgan(4)
        assert list(weights) == list(plain.state_dict())
        plain.load_state_dict(weights)
        assert all(torch.equal(value, content[ours][key]) for key, value in plain.state_dict().items())
    with torch.no_grad():
        plain = plain_resnet(6, 4)
        plain.load_state_dict(torch.load(files["latest_net_G_A.pth"], weights_only=True))
        found = load_generators(trained).by_direction["AtoB"](picture(2, 64))
        torch.testing.assert_close(found, plain(picture(2, 64)), rtol=0, atol=1e-5)


def test_import_then_export_gives_the_same_weights(tmp_path):
    weights = scrambled(plain_unet(7, 4)).state_dict()
    path = saved(weights, tmp_path / "g.pth")
    invoke(import_weights, path, tmp_path / "run")
    invoke(export, tmp_path / "run", tmp_path / "out", "--format", "reference")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["latest_net_G.pth"]
    back = torch.load(tmp_path / "out" / "latest_net_G.pth", weights_only=True)
    assert list(back) == list(weights)
    assert all(torch.equal(back[name], weights[name]) for name in weights)


def test_export_one_way_and_only_once(trained, tmp_path):
    arguments = [trained, tmp_path / "out", "--format", "reference", "--direction", "ba"]
    invoke(export, *arguments)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"latest_net_G_B.pth", "latest_net_D_B.pth"}
    with pytest.raises(OutputError, match="--overwrite"):
        invoke_raising(export, *arguments)
    invoke(export, *arguments, "--overwrite")


def test_export_refusals(tmp_path):
    path = saved(plain_resnet(6, 4).state_dict(), tmp_path / "g.pth")
    invoke(import_weights, path, tmp_path / "run")
    with pytest.raises(ConfigError, match="translates AtoB only"):
        invoke_raising(export, tmp_path / "run", tmp_path / "out", "--format", "reference", "--direction", "both")
    with pytest.raises(OutputError, match="a folder is expected"):
        invoke_raising(export, tmp_path / "run", tmp_path / "model.onnx", "--format", "reference")
    with pytest.raises(OutputError, match="is a file"):
        invoke_raising(export, tmp_path / "run", tmp_path / "run" / "run.json", "--format", "reference")
    with pytest.raises(WeightsError, match="is a checkpoint of this program"):
        read_reference_state(state.find(tmp_path / "run" / "checkpoints"))


def onnx_output(path: Path, image: Tensor) -> Tensor:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["translation"], {"image": image.numpy()})[0])


def test_onnx_of_any_batch_and_size(trained, tmp_path):
    pytest.importorskip("onnxscript")
    said = invoke(export, trained, tmp_path / "out", "--format", "onnx", "--direction", "ab")
    assert "gen_ab.onnx (checked" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gen_ab.onnx"]
    network = load_generators(trained).by_direction["AtoB"]
    for count, height, width in ((1, 64, 64), (3, 36, 100), (1, 8, 128)):
        image = picture(count, 128, count=count)[:, :, :height, :width].contiguous()
        with torch.no_grad():
            torch.testing.assert_close(
                onnx_output(tmp_path / "out" / "gen_ab.onnx", image), network(image), rtol=0, atol=1e-4
            )


@pytest.mark.slow
def test_onnx_of_pix2pix_normalises_each_image_by_itself(tmp_path):
    pytest.importorskip("onnxscript")
    plain = scrambled(plain_unet(7, 4, dropout=False))
    path = saved(plain.state_dict(), tmp_path / "g.pth")
    invoke(import_weights, path, tmp_path / "run")
    invoke(export, tmp_path / "run", tmp_path / "out", "--format", "onnx")
    images = picture(1, 128, count=2)
    with torch.no_grad():
        expected = torch.cat([plain.train()(image[None]) for image in images])
    found = onnx_output(tmp_path / "out" / "gen_ab.onnx", images)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    wide = onnx_output(tmp_path / "out" / "gen_ab.onnx", torch.cat([images, images.flip(3)], 3))
    assert wide.shape == (2, 3, 128, 256)


def test_translate_command_takes_an_imported_run(tmp_path):
    from cyclegan.cli.translate import translate

    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(2):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(
            photos / f"{i}.png"
        )
    path = saved(scrambled(plain_resnet(6, 4)).state_dict(), tmp_path / "g.pth")
    invoke(import_weights, path, tmp_path / "run", "--size", 64)
    invoke(translate, tmp_path / "run", "--input", photos, "--direction", "ab", "--device", "cpu")
    image_set = Run.open(tmp_path / "run").image_set("photos_AtoB")
    image_set.verify()
    assert [row.id for row in image_set.rows] == ["0", "1"]
