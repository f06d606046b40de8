"""Networks are built by name and give logits at the photo's size; a wrong name or file is answered by a sentence."""

import json

import pytest

from cgeval.errors import ConfigError, WeightsError

torch = pytest.importorskip("torch")
smp = pytest.importorskip("segmentation_models_pytorch")
timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")

from safetensors.torch import save_file  # noqa: E402

from cgeval.networks import segmenters  # noqa: E402
from cgeval.networks.segmenters import (  # noqa: E402
    ARCHITECTURES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    build_network,
    fit_state,
    preprocessing,
    read_state,
)
from cgeval.networks.weights import TORCHVISION_NAMES  # noqa: E402

TINY = {"architecture": "pspnet", "encoder": "tu-test_resnet"}


def tiny(**changes):
    return build_network("smp", {**TINY, **changes}, 3)


@pytest.fixture
def photos():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


# Building


@pytest.mark.parametrize("architecture", ["deeplabv3plus", "fpn", "linknet", "pspnet", "segformer", "unet"])
def test_an_architecture_gives_logits_at_the_photos_size(architecture, photos):
    arguments = {"architecture": architecture, "encoder": "tu-test_efficientnet"}
    network = build_network("smp", arguments, 5).eval()
    stride = preprocessing("smp", arguments, network).stride
    assert 64 % stride == 96 % stride == 0
    with torch.no_grad():
        assert network(photos).shape == (2, 5, 64, 96)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2", "tu-test_resnet"])
def test_every_architecture_fits_the_usual_encoders(architecture, encoder):
    arguments = {"architecture": architecture, "encoder": encoder}
    network = build_network("smp", arguments, 5).eval()
    stride = preprocessing("smp", arguments, network).stride
    height, width = 128 - 128 % stride, 160 - 160 % stride
    with torch.no_grad():
        assert network(torch.zeros(1, 3, height, width)).shape == (1, 5, height, width)


def test_the_architectures_are_those_of_the_library_but_the_one_that_takes_one_size_only():
    assert {*ARCHITECTURES, "dpt"} >= smp.MODEL_ARCHITECTURES_MAPPING.keys()
    assert "dpt" not in ARCHITECTURES


def test_torchvisions_networks_are_known_by_its_own_names():
    assert sorted(TORCHVISION_NAMES) == torchvision.models.list_models(torchvision.models.segmentation)


def test_a_network_of_torchvisions_gives_its_logits_alone(photos):
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    ours = build_network("torchvision", {"architecture": "lraspp_mobilenet_v3_large"}, 4).eval()
    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4).eval()
    fit_state(ours, {f"network.{name}": tensor for name, tensor in theirs.state_dict().items()}, "theirs")
    with torch.no_grad():
        assert torch.equal(ours(photos), theirs(photos)["out"])


def test_the_papers_network_is_built_at_any_width(photos):
    with torch.no_grad():
        assert build_network("fcn8s", {"width": 2}, 6)(photos).shape == (2, 6, 64, 96)


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("onnx", {}, "there is no kind of network 'onnx': there are smp, smp-hub, torchvision, fcn8s."),
        ("smp", {**TINY, "architecture": "unett"}, "did you mean unet"),
        ("smp", {**TINY, "architecture": "xyz"}, "there are deeplabv3,"),
        ("smp", {**TINY, "encoder": "resnet19"}, "there is no encoder 'resnet19': did you mean resnet18"),
        ("smp", {**TINY, "encoder": "tu-resnet19"}, "did you mean tu-resnet18"),
        ("smp", {"architecture": "unet"}, "'encoder' is missing"),
        ("smp", {**TINY, "depth": 3}, "'depth' is unknown"),
        ("smp", {**TINY, "encoder_depth": 9}, "cannot be built on the encoder"),
        ("smp", {"architecture": "unetplusplus", "encoder": "mit_b0"}, "cannot be built on the encoder mit_b0"),
        ("torchvision", {"architecture": "fcn_resnet5"}, "did you mean fcn_resnet50"),
        ("torchvision", {"architecture": "fcn_resnet50", "encoder_weights": "imagenet"}, "name an smp architecture"),
        ("fcn8s", {"depth": 3}, "'depth' is unknown"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_sentence(kind, arguments, words):
    with pytest.raises(ConfigError) as caught:
        build_network(kind, arguments, 3)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# Weights of an encoder


def test_an_encoder_takes_torchvisions_weights_from_a_file_and_computes_what_torchvision_does(tmp_path):
    theirs = torchvision.models.resnet18(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    arguments = {"architecture": "pspnet", "encoder": "resnet18", "encoder_depth": 5}
    arguments["encoder_weights"] = str(tmp_path / "resnet18.pth")
    encoder = build_network("smp", arguments, 3).eval().encoder
    features = torch.nn.Sequential(*list(theirs.children())[:-2])
    photo = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(encoder(photo)[-1], features(photo), atol=1e-5)


def test_an_encoder_of_timms_takes_timms_weights_from_a_file(tmp_path):
    theirs = timm.create_model("test_resnet", pretrained=False)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    encoder = tiny(encoder_weights=str(tmp_path / "model.safetensors")).encoder
    wanted = theirs.state_dict()
    loaded = {name.removeprefix("model."): tensor for name, tensor in encoder.state_dict().items()}
    assert len(loaded) > 10
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in loaded.items())


def test_imagenet_weights_come_from_the_repository_that_the_library_pins(tmp_path, monkeypatch):
    save_file(tiny().encoder.model.state_dict(), tmp_path / "model.safetensors")
    asked = []

    def hub_file(repository, name, otherwise, revision):
        asked.append((repository, name, revision))
        assert f"hf download {repository} {name}" in otherwise
        return tmp_path / name

    monkeypatch.setattr(segmenters, "hub_file", hub_file)
    tiny(encoder_weights="imagenet")
    assert asked.pop()[:2] == ("timm/test_resnet.r160_in1k", "model.safetensors")
    with pytest.raises(WeightsError, match="do not fit it"):
        build_network("smp", {**TINY, "encoder": "resnet18", "encoder_weights": "imagenet"}, 3)
    settings = smp.encoders.encoders["resnet18"]["pretrained_settings"]["imagenet"]
    assert asked == [(settings["repo_id"], "model.safetensors", settings["revision"])]


def test_another_encoders_weights_and_a_missing_file_are_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.pth")
    arguments = {"architecture": "pspnet", "encoder": "resnet18", "encoder_weights": str(tmp_path / "other.pth")}
    with pytest.raises(WeightsError, match=r"other\.pth\) do not fit it .* give the weights of that very encoder"):
        build_network("smp", arguments, 3)
    with pytest.raises(WeightsError, match=r"nowhere\.pth' are not there: imagenet, none or a file"):
        tiny(encoder_weights="nowhere.pth")


def test_an_encoder_without_imagenet_weights_is_said():
    with pytest.raises(ConfigError, match="no ImageNet weights of the encoder tu-efficientnet_b8: train from scratch"):
        tiny(encoder="tu-efficientnet_b8", encoder_weights="imagenet")


# What a network wants to see


def test_from_scratch_a_network_sees_imagenets_mean_and_std():
    seen = preprocessing("smp", TINY, tiny())
    assert (seen.mean, seen.std, seen.channels) == (IMAGENET_MEAN, IMAGENET_STD, "RGB")
    assert seen.stride == 8  # PSPNet's encoder has three stages


HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 1]}
CAFFES = {"input_range": [0, 255], "input_space": "BGR", "mean": [104, 117, 124], "std": [1, 1, 1]}


@pytest.mark.parametrize(
    ("facts", "mean", "std", "channels"),
    [
        (HALF, (127.5, 127.5, 127.5), (127.5, 63.75, 255.0), "RGB"),
        (CAFFES, (104.0, 117.0, 124.0), (1.0, 1.0, 1.0), "BGR"),
    ],
)
def test_with_imagenet_weights_it_sees_what_they_were_trained_with(tmp_path, monkeypatch, facts, mean, std, channels):
    (tmp_path / "config.json").write_text(json.dumps(facts))
    monkeypatch.setattr(segmenters, "hub_file", lambda repository, name, otherwise, revision: tmp_path / name)
    arguments = {"architecture": "unet", "encoder": "resnet18", "encoder_weights": "imagenet"}
    seen = preprocessing("smp", arguments, torch.nn.Identity())
    assert (seen.mean, seen.std, seen.channels, seen.stride) == (mean, std, channels, 32)


def test_timms_own_table_says_what_its_encoders_were_trained_with():
    seen = preprocessing("smp", {**TINY, "encoder": "tu-mobilevit_s", "encoder_weights": "imagenet"}, tiny())
    assert (seen.mean, seen.std) == ((0.0,) * 3, (255.0,) * 3)


# Files of weights


def test_both_kinds_of_files_are_read(tmp_path):
    state = {"weight": torch.randn(2, 3)}
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    assert all(
        torch.equal(read_state(tmp_path / name)["weight"], state["weight"]) for name in ("a.pth", "a.safetensors")
    )


class Harmful:
    def __reduce__(self):
        return print, ("this must never be printed",)


def test_a_file_that_would_run_code_is_refused_and_nothing_is_run(tmp_path, capsys):
    torch.save({"weight": Harmful()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="is no file of weights"):
        read_state(tmp_path / "a.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04", b"\xff" * 64])
def test_a_broken_file_is_refused_in_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_state(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_with_more_than_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3, "state": {}}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="is no state_dict"):
        read_state(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bias": None}, "1 missing, 0 foreign ('bias' is missing)"),
        ({"extra": torch.zeros(1)}, "0 missing, 1 foreign ('extra' is not the network's)"),
        ({"bias": torch.zeros(3)}, "'bias' is [3], and [2] is expected"),
        ({"bias": torch.tensor([0.0, float("nan")])}, "'bias' holds numbers that are infinite or none"),
    ],
)
def test_tensors_that_do_not_fit_are_named_and_the_network_stays_as_it_was(changes, words):
    network = torch.nn.Linear(2, 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)} | changes
    with pytest.raises(WeightsError) as caught:
        fit_state(network, {name: tensor for name, tensor in state.items() if tensor is not None}, "file")
    assert words in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("encoder", ["zzzzzz", "tu-zzzzzzzzzzzz"])
def test_an_encoder_that_is_like_none_is_answered_in_a_short_sentence(encoder):
    with pytest.raises(ConfigError) as caught:
        build_network("smp", {**TINY, "encoder": encoder}, 2)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "..." not in sentence
    assert len(sentence) < 200
