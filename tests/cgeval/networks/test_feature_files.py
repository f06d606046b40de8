"""The kinds of weight files are told apart by their keys and shapes; all else is refused in one sentence."""

import hashlib
import shutil
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from cgeval.errors import DownloadError, WeightsError  # noqa: E402
from cgeval.networks import feature_files  # noqa: E402
from cgeval.networks.feature_files import KNOWN_KINDS, random_vgg19, read_features, torchvision_place  # noqa: E402
from cgeval.networks.features import FeatureNetwork, describe_features, load_features  # noqa: E402

CPU = torch.device("cpu")
# The first three convolutions of VGG-19 by each kind of file.
WIDTHS = ((64, 3), (64, 64), (128, 64))
NAMES = {
    "torchvision": ("features.0", "features.2", "features.5"),
    "bare": ("0", "2", "5"),
    "notebook": ("conv1_1", "conv1_2", "conv2_1"),
    "normalised": ("2", "5", "9"),
}
CAFFE_MEAN_BGR = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
MEAN, STD = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def convolutions(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(o, i, 3, 3, generator=generator) / (3 * i**0.5), torch.randn(o, generator=generator) / 10)
        for o, i in WIDTHS
    ]


def state_of(kind):
    state = {}
    if kind == "normalised":
        turn = torch.tensor([[0.0, 0.0, 255.0], [0.0, 255.0, 0.0], [255.0, 0.0, 0.0]]).view(3, 3, 1, 1)
        state = {"0.weight": turn, "0.bias": -CAFFE_MEAN_BGR.flatten()}
    for name, (weight, bias) in zip(NAMES[kind], convolutions(), strict=True):
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return state


def saved(state, tmp_path, name="net.pth"):
    path = tmp_path / name
    torch.save(state, path)
    return str(path)


def plain(x):
    """relu2_1 of an input as the network wants it, padded by zeros."""
    (w1, b1), (w2, b2), (w3, b3) = convolutions()
    x = functional.conv2d(x, w1, b1, padding=1).relu()
    x = functional.conv2d(x, w2, b2, padding=1).relu()
    return functional.conv2d(functional.max_pool2d(x, 2), w3, b3, padding=1).relu()


def relu2_1(path, images):
    with torch.no_grad():
        return load_features(path, device=CPU, scale="as trained")(images, ["relu2_1"])["relu2_1"]


@pytest.fixture
def images():
    return torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(1)) * 255


@contextmanager
def refused(error, *words):
    """One sentence that has these words."""
    with pytest.raises(error) as caught:
        yield
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


# Kinds of files


@pytest.mark.parametrize("kind", ["torchvision", "bare"])
def test_torchvisions_keys_mean_torchvisions_input_which_is_said_to_be_assumed(kind, images, tmp_path):
    path = saved(state_of(kind), tmp_path)
    torch.testing.assert_close(relu2_1(path, images), plain((images / 255 - MEAN) / STD), rtol=1e-4, atol=1e-4)
    assert describe_features(path).assumed == "the input is scaled as for torchvision's own weights"


@pytest.mark.parametrize("digits", ["CAFFE_DIGITS", "TORCHVISION_DIGITS"])
def test_the_digest_tells_oxfords_weights_under_torchvisions_keys_from_torchvisions(
    digits, images, tmp_path, monkeypatch
):
    path = saved(state_of("torchvision"), tmp_path)
    monkeypatch.setattr(feature_files, digits, read_features(path, 0).identity[:8])
    seen = images.flip(1) - CAFFE_MEAN_BGR if digits == "CAFFE_DIGITS" else (images / 255 - MEAN) / STD
    torch.testing.assert_close(relu2_1(path, images), plain(seen), rtol=1e-4, atol=1e-3)
    assert describe_features(path).assumed == ""


def test_the_notebooks_file_sees_blue_first_and_promises_to_be_normalised(images, tmp_path):
    path = saved(state_of("notebook"), tmp_path)
    torch.testing.assert_close(relu2_1(path, images), plain(images.flip(1) - CAFFE_MEAN_BGR), rtol=1e-4, atol=1e-3)
    source = read_features(path, 0)
    assert source.is_normalised
    assert source.assumed == ""


def test_weights_that_break_the_promise_are_scaled_all_the_same(tmp_path):
    path = saved(state_of("notebook"), tmp_path)  # activations of about 30
    network = load_features(path, device=CPU)
    assert all(0.01 < scale < 0.2 for scale in network.scales.values())


def test_a_first_convolution_of_1x1_means_the_normalised_file_with_reflected_borders(images, tmp_path):
    source = read_features(saved(state_of("normalised"), tmp_path), 0)
    assert source.mean == (123.68, 116.779, 103.939)
    assert source.reflects
    assert source.rounds_up
    assert source.is_normalised
    inside = relu2_1(saved(state_of("normalised"), tmp_path), images)[..., 2:-2, 2:-2]
    expected = plain(images.flip(1) - CAFFE_MEAN_BGR)[..., 2:-2, 2:-2]
    torch.testing.assert_close(inside, expected, rtol=1e-4, atol=1e-3)


def test_squeezenet_with_a_classifier_is_torchvisions(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_1().eval()
    whole = read_features(saved(network.state_dict(), tmp_path), 0)
    assert whole.layers == ("relu1", *(f"fire{i}" for i in range(2, 10)))
    assert whole.assumed == "the input is scaled as for torchvision's own weights"
    state = {key: value for key, value in network.state_dict().items() if not key.startswith("classifier.")}
    ported = read_features(saved(state, tmp_path), 0)
    assert ported.assumed == "the input is scaled as for weights from the Caffe original, in RGB"
    images = torch.rand(1, 3, 41, 41) * 255  # odd sides: at even ones torchvision leaves the last pixels unseen
    with torch.no_grad():
        expected = network.features((images / 255 - MEAN) / STD)
        features = FeatureNetwork(whole, "max")(images, ["fire9"])["fire9"]
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_safetensors_and_half_precision_are_read_too(images, tmp_path):
    from safetensors.torch import save_file

    state = state_of("torchvision")
    save_file(state, tmp_path / "net.safetensors")
    expected = relu2_1(saved(state, tmp_path), images)
    assert torch.equal(relu2_1(str(tmp_path / "net.safetensors"), images), expected)
    halved = saved({key: value.half() for key, value in state.items()}, tmp_path, "half.pth")
    torch.testing.assert_close(relu2_1(halved, images), expected, rtol=0.02, atol=0.02)


def test_a_file_may_end_early_and_what_lies_behind_relu5_1_is_left(tmp_path):
    state, width = {}, 3
    for name, outputs in feature_files.VGG19_WIDTHS.items():
        state |= {f"{name}.weight": torch.zeros(1).expand(outputs, width, 3, 3), f"{name}.bias": torch.zeros(outputs)}
        width = outputs
    file = feature_files._File(state, "net.pth", "net.pth", "")
    assert feature_files._recognised(file).layers[-1] == "relu5_1"
    early = {key: value for key, value in state.items() if key < "conv3_2"}
    assert feature_files._recognised(file._replace(state=early)).layers[-1] == "relu3_1"


def test_a_file_is_named_by_its_name_and_told_by_its_digest(tmp_path):
    first = saved(state_of("notebook"), tmp_path)
    (tmp_path / "other").mkdir()
    second = shutil.copy(first, tmp_path / "other" / "renamed.pth")
    one, two = (load_features(str(path), device=CPU, scale="as trained") for path in (first, second))
    assert (one.weights, two.weights) == ("net.pth", "renamed.pth")
    with open(first, "rb") as file:  # noqa: PTH123
        assert one.identity == two.identity == hashlib.file_digest(file, "sha256").hexdigest()


# What is refused


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, ("holds nothing", KNOWN_KINDS)),
        (
            {"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.bias": torch.zeros(9)},
            ("conv1.weight [64, 3, 7, 7]", KNOWN_KINDS),
        ),
        (dict.fromkeys("abcde", torch.zeros(1)), ("a [1], b [1], c [1] and 2 more", KNOWN_KINDS)),
        ({"0.weight": torch.zeros(96, 3, 7, 7)}, ("0.weight [96, 3, 7, 7]", KNOWN_KINDS)),
    ],
)
def test_other_networks_are_refused_with_what_was_found_and_which_kinds_are_known(state, words, tmp_path):
    with refused(WeightsError, "net.pth", *words):
        read_features(saved(state, tmp_path), 0)


@pytest.mark.parametrize("name", ["vgg16", "vgg19_bn", "vgg11"])
def test_relatives_of_vgg19_are_refused(name, tmp_path):
    models = pytest.importorskip("torchvision").models.vgg
    letter = {"vgg16": "D", "vgg19_bn": "E", "vgg11": "A"}[name]
    with torch.device("meta"):
        modules = models.make_layers(models.cfgs[letter], batch_norm=name.endswith("bn"))
    state = {f"features.{key}": torch.zeros(()).expand(value.shape) for key, value in modules.state_dict().items()}
    with refused(WeightsError, "is another network", "VGG-19"):
        feature_files._recognised(feature_files._File(state, "net.pth", "net.pth", ""))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("conv1_2.weight"), ("with a gap", "'conv1_2.weight' is missing")),
        (lambda state: state.pop("conv2_1.bias"), ("with a gap", "'conv2_1.bias' is missing")),
        (
            lambda state: state.update({"conv1_2.bias": torch.zeros(3)}),
            ("'conv1_2.bias' is [3], and [64] is expected",),
        ),
        (lambda state: state["conv1_2.weight"].fill_(torch.nan), ("is damaged", "'conv1_2.weight'")),
        (lambda state: state["conv2_1.bias"].fill_(torch.inf), ("is damaged", "'conv2_1.bias'")),
        (lambda state: state.update({"fc6.weight": torch.zeros(1)}), ("another network", "'fc6.weight'", "VGG-19")),
    ],
)
def test_gaps_other_shapes_and_damage_are_named(change, words, tmp_path):
    state = state_of("notebook")
    change(state)
    with refused(WeightsError, "net.pth", *words):
        read_features(saved(state, tmp_path), 0)


def test_a_first_convolution_that_loses_colours_is_refused(tmp_path):
    state = state_of("normalised")
    state["0.weight"] = torch.ones(3, 3, 1, 1)
    with refused(WeightsError, "first convolution"):
        read_features(saved(state, tmp_path), 0)


def test_a_layer_of_nothing_but_zeros_is_refused(tmp_path):
    state = state_of("torchvision")
    state["features.2.weight"].zero_()
    state["features.2.bias"].fill_(-1)
    with refused(WeightsError, "net.pth is damaged", "relu1_2"):
        load_features(saved(state, tmp_path), device=CPU)


def test_what_is_not_there_or_no_file_of_weights_is_said(tmp_path):
    for missing in ("torchvison", str(tmp_path)):
        with refused(WeightsError, repr(missing), "torchvision, random or the path of a file"):
            read_features(missing, 0)
    (tmp_path / "notes.pth").write_text("no weights")
    with refused(WeightsError, "notes.pth"):
        read_features(str(tmp_path / "notes.pth"), 0)


# torchvision's by name


def test_address_and_digests_are_those_that_torchvision_has():
    models = pytest.importorskip("torchvision").models
    assert models.VGG19_Weights.IMAGENET1K_V1.url == feature_files.TORCHVISION_ADDRESS
    assert f"-{feature_files.TORCHVISION_DIGITS}.pth" in feature_files.TORCHVISION_ADDRESS
    assert f"-{feature_files.SQUEEZENET_DIGITS}.pth" in models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    address = "http://127.0.0.1:9/vgg19-dcbb9e9d.pth"  # where nobody answers
    monkeypatch.setattr(feature_files, "TORCHVISION_ADDRESS", address)
    return tmp_path


def test_without_a_network_the_sentence_says_where_to_put_the_file_and_what_else_there_is(cache):
    place = cache / "weights" / "vgg19-dcbb9e9d.pth"
    with refused(DownloadError, "127.0.0.1:9", f"put it at {place}", "--weights random", "--weights PATH"):
        load_features("torchvision", device=CPU)
    assert describe_features("torchvision").fetches == "http://127.0.0.1:9/vgg19-dcbb9e9d.pth"


def test_a_file_that_was_put_there_by_hand_is_compared_and_taken(cache, monkeypatch, images):
    place = torchvision_place()
    place.parent.mkdir()
    state = state_of("torchvision") | {"classifier.0.weight": torch.zeros(2, 2)}
    torch.save(state, place)
    with refused(WeightsError, str(place), "dcbb9e9d", "remove it"):
        load_features("torchvision", device=CPU)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    monkeypatch.setattr(feature_files, "TORCHVISION_DIGITS", digest[:8])
    network = load_features("torchvision", device=CPU, scale="as trained")
    assert (network.weights, network.identity, network.assumed) == ("torchvision", digest, "")
    assert describe_features("torchvision").fetches == ""
    features = network(images, ["relu2_1"])["relu2_1"]
    torch.testing.assert_close(features, plain((images / 255 - MEAN) / STD), rtol=1e-4, atol=1e-4)


# Random weights


def digest_of(source):
    digest = hashlib.sha256()
    for weight, bias in source.convolutions.values():
        digest.update(weight.numpy().tobytes() + bias.numpy().tobytes())
    return digest.hexdigest()


def test_random_weights_are_the_same_to_the_bit_on_every_machine():
    assert digest_of(random_vgg19(0)) == "65fb8317bd7b59211cfcd12162be64eba6370c78d643ad93a7da9925e801cdaf"


def test_random_weights_depend_on_the_seed_and_are_named_so():
    network = load_features("random", seed=7, device=CPU, scale="as trained")
    assert (network.weights, network.identity, network.is_random) == ("random, seed 7", "random-7", True)
    assert not torch.equal(random_vgg19(0).convolutions["conv1_1"][0], random_vgg19(7).convolutions["conv1_1"][0])


def test_random_weights_have_the_variance_of_he_et_al_and_no_bias():
    convolutions = list(random_vgg19(0).convolutions.items())
    for name, (weight, bias) in convolutions[1:]:
        assert float(weight.var()) == pytest.approx(2 / (9 * weight.shape[1]), rel=0.02), name
        assert float(weight.mean()) == pytest.approx(0, abs=2e-3)
        assert not bias.any()
