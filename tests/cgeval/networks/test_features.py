"""Features are those that torchvision's networks and the files' own programs give; nothing overwrites them.

The references are torchvision's modules, or the layers of a file written down one by one.
"""

import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from torch import nn  # noqa: E402

from cgeval.errors import ConfigError, DataError  # noqa: E402
from cgeval.networks.calibration import noise_images  # noqa: E402
from cgeval.networks.features import (  # noqa: E402
    describe_features,
    load_features,
    mean_activations,
    to_bfloat16,
)

CPU = torch.device("cpu")
MEAN, STD = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
CAFFE_MEAN = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
VGG_FILE = "weights/vgg19_normalised_conv3_1/vgg_normalised_conv3_1.pth"
SQUEEZENET_FILE = "weights/squeezenet_v1.1/squeezenet1_1_features_rgb.pth"
# The modules of torchvision's `features` whose outputs are the layers.
VGG_AT = {"relu1_1": 1, "relu1_2": 3, "relu2_1": 6, "relu2_2": 8, "relu3_1": 11, "relu3_2": 13, "relu3_3": 15}
VGG_AT |= {"relu3_4": 17, "relu4_1": 20, "relu4_2": 22, "relu4_3": 24, "relu4_4": 26, "relu5_1": 29}
SQUEEZENET_AT = {"relu1": 1, "fire2": 3, "fire3": 4, "fire4": 6, "fire5": 7, "fire6": 9, "fire7": 10, "fire8": 11}
SQUEEZENET_AT |= {"fire9": 12}
NORMALISED_AT = {"relu1_1": 3, "relu1_2": 6, "relu2_1": 10, "relu2_2": 13, "relu3_1": 17}


def pictures(n=1, height=33, width=38, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, height, width, generator=generator) * 255


def by_module(sequence, x, places):
    """What comes out of these modules of a sequence."""
    found = {}
    for i, module in enumerate(sequence):
        x = module(x)
        found |= {name: x.clone() for name, place in places.items() if place == i}
    return found


def assert_same(features, expected):
    assert list(features) == list(expected)
    for name, each in expected.items():
        bound = 1e-5 * float(each.abs().max())
        torch.testing.assert_close(features[name], each, rtol=1e-4, atol=bound, msg=name)


@pytest.fixture(scope="module")
def vgg19():
    """torchvision's VGG-19 up to relu5_1, drawn so that activations keep their size, with biases."""
    torch.manual_seed(0)
    modules = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"])[:30]
    for module in modules:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return modules.eval()


@pytest.fixture(scope="module")
def vgg19_file(vgg19, tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save({f"features.{key}": value for key, value in vgg19.state_dict().items()}, file)
    return str(file)


@pytest.fixture(scope="module")
def small():
    """A random VGG-19, as it was drawn."""
    return load_features("random", device=CPU, scale="as trained")


# What comes out


@torch.no_grad()
def test_torchvisions_vgg19_gives_the_same_features(vgg19, vgg19_file):
    network = load_features(vgg19_file, device=CPU, scale="as trained")
    images = pictures()
    assert network.layers == tuple(VGG_AT)
    assert_same(network(images, network.layers), by_module(vgg19, (images / 255 - MEAN) / STD, VGG_AT))


@torch.no_grad()
def test_average_pooling_takes_the_place_of_max_pooling(vgg19, vgg19_file):
    network = load_features(vgg19_file, device=CPU, scale="as trained", pooling="average")
    averaging = [nn.AvgPool2d(2) if isinstance(module, nn.MaxPool2d) else module for module in vgg19]
    images = pictures()
    expected = by_module(averaging, (images / 255 - MEAN) / STD, VGG_AT)
    assert_same(network(images, network.layers), expected)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(32, 32), (37, 42)])
def test_gatys_normalised_file_gives_what_its_own_layers_give(shared_data, height, width):
    def padded(inputs, outputs):
        return [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), nn.ReLU()]

    pool = nn.MaxPool2d(2, ceil_mode=True)
    layers = [nn.Conv2d(3, 3, 1), *padded(3, 64), *padded(64, 64), pool, *padded(64, 128), *padded(128, 128), pool]
    reference = nn.Sequential(*layers, *padded(128, 256))
    reference.load_state_dict(torch.load(shared_data / VGG_FILE, weights_only=True))
    network = load_features(str(shared_data / VGG_FILE), device=CPU, scale="as trained")
    images = pictures(1, height, width)
    assert_same(network(images, network.layers), by_module(reference, images / 255, NORMALISED_AT))


@torch.no_grad()
def test_torchvisions_squeezenet_gives_the_same_features_from_the_ported_file(shared_data):
    reference = torchvision.models.squeezenet1_1().features.eval()
    state = torch.load(shared_data / SQUEEZENET_FILE, weights_only=True)
    reference.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    network = load_features(str(shared_data / SQUEEZENET_FILE), device=CPU, scale="as trained")
    images = pictures(1, 65, 71)
    assert "Caffe original" in network.assumed
    assert_same(network(images, network.layers), by_module(reference, images - CAFFE_MEAN, SQUEEZENET_AT))
    even = images[..., :64, :70]
    reflected = nn.functional.pad(even - CAFFE_MEAN, [0, 1, 0, 1], mode="reflect")
    assert_same(network(even, network.layers), by_module(reference, reflected, SQUEEZENET_AT))


@pytest.mark.parametrize("size", [(33, 33), (34, 35), (35, 36), (36, 38)])
@pytest.mark.parametrize("file", [SQUEEZENET_FILE, VGG_FILE])
def test_every_pixel_is_seen_at_every_size(shared_data, file, size):
    network = load_features(str(shared_data / file), device=CPU, scale="as trained")
    images = pictures(1, *size).requires_grad_()
    (gradient,) = torch.autograd.grad(
        sum(each.square().sum() for each in network(images, network.layers).values()), images
    )
    assert (gradient != 0).any(dim=1).all()


@torch.no_grad()
def test_an_image_gives_in_a_batch_what_it_gives_alone(small):
    images = pictures(3, 12, 16)
    together = small(images, ["relu1_2", "relu3_1"])
    for i in range(3):
        assert_same({name: each[i : i + 1] for name, each in together.items()}, small(images[i : i + 1], together))


# How it comes out


@torch.no_grad()
def test_features_are_not_overwritten_by_the_layers_behind_them(small):
    images = pictures(1, 16, 16)
    together = small(images, small.layers)
    for layer in small.layers:
        assert torch.equal(small(images, [layer])[layer], together[layer])


def test_it_goes_no_deeper_than_is_asked_for(small):
    ran = []
    hooks = [step.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, step in small.steps.items()]
    assert list(small(pictures(), ["relu2_1", "relu1_1"])) == ["relu1_1", "relu2_1"]
    assert ran == ["relu1_1", "relu1_2", "pool1", "relu2_1"]
    assert small(pictures(), []) == {}
    for hook in hooks:
        hook.remove()


def test_only_the_images_get_a_gradient_and_it_is_that_of_torchvisions_network(vgg19, vgg19_file):
    network = load_features(vgg19_file, device=CPU, scale="as trained")
    assert not any(parameter.requires_grad for parameter in network.parameters())
    images = pictures(1, 16, 18).requires_grad_()
    ours, theirs = network(images, ["relu3_1"]), by_module(vgg19, (images / 255 - MEAN) / STD, {"relu3_1": 11})
    gradient, expected = (torch.autograd.grad(each["relu3_1"].square().sum(), images)[0] for each in (ours, theirs))
    assert_same({"gradient": gradient}, {"gradient": expected})


def test_bfloat16_gives_float32_features_that_are_close(small):
    network = load_features("random", device=CPU, scale="as trained")
    to_bfloat16(network)
    images = pictures(1)
    exact, rounded = (each(images, ["relu1_1", "relu2_1"]) for each in (small, network))
    assert network.precision == "bf16"
    assert torch.equal(exact["relu1_1"], rounded["relu1_1"])  # the first convolution stays exact
    assert rounded["relu2_1"].dtype == torch.float32
    assert 0 < float((exact["relu2_1"] - rounded["relu2_1"]).norm() / exact["relu2_1"].norm()) < 0.01


# The scale of activations


def test_unit_scale_brings_every_layer_to_a_mean_of_one_and_changes_nothing_else(vgg19_file):
    trained = load_features(vgg19_file, device=CPU, scale="as trained")
    scaled = load_features(vgg19_file, device=CPU)
    assert set(trained.scales.values()) == {1.0}
    assert mean_activations(scaled, noise_images()) == pytest.approx(dict.fromkeys(scaled.layers, 1.0), rel=1e-4)
    images = pictures(1)
    features = {name: each * scaled.scales[name] for name, each in trained(images, trained.layers).items()}
    assert_same(scaled(images, scaled.layers), features)


def test_unit_scale_reaches_the_layers_of_squeezenet(shared_data):
    network = load_features(str(shared_data / SQUEEZENET_FILE), device=CPU)
    assert mean_activations(network, noise_images()) == pytest.approx(dict.fromkeys(network.layers, 1.0), rel=1e-4)
    assert 0.02 < network.scales["fire4"] < 0.04


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_a_file_that_is_normalised_already_is_left_alone(shared_data, pooling):
    network = load_features(str(shared_data / VGG_FILE), device=CPU, pooling=pooling)
    assert set(network.scales.values()) == {1.0}
    assert network.scale == "unit"


def test_gatys_file_has_mean_activations_near_one_on_photos(shared_data):
    from PIL import Image

    to_tensor = torchvision.transforms.functional.pil_to_tensor
    files = sorted((shared_data / "horse2zebra" / "testB").iterdir())[:2]
    photos = torch.stack([to_tensor(Image.open(file).convert("RGB")) for file in files]).float()
    network = load_features(str(shared_data / VGG_FILE), device=CPU)
    assert all(0.6 < mean < 1.7 for mean in mean_activations(network, photos).values())


# What cannot be


def test_a_layer_that_the_network_lacks_is_refused_with_those_that_it_has(small):
    with pytest.raises(
        ConfigError, match=r"^vgg19 \(random, seed 0\) has no layer 'fire2': it has relu1_1, .*relu5_1\.$"
    ):
        small(pictures(), ["relu1_1", "fire2"])


@pytest.mark.parametrize(("layer", "least"), [("relu1_2", 1), ("relu2_1", 2), ("relu3_4", 4), ("relu5_1", 16)])
def test_an_image_too_small_for_the_deepest_layer_is_refused(small, layer, least):
    assert small.smallest_px(["relu1_1", layer]) == least
    small(pictures(1, least, least), [layer])
    if least > 1:
        with pytest.raises(
            DataError, match=f"40 x {least - 1} pixels is too small for {layer} .* {least} x {least} are"
        ):
            small(pictures(1, least - 1, 40), ["relu1_1", layer])


@pytest.mark.parametrize(("file", "least"), [(VGG_FILE, 5), (SQUEEZENET_FILE, 16)])
def test_reflection_and_large_windows_need_their_pixels_too(shared_data, file, least):
    network = load_features(str(shared_data / file), device=CPU, scale="as trained")
    network(pictures(1, least, least), network.layers)
    with pytest.raises(DataError, match=f"at least {least} x {least} are expected"):
        network(pictures(1, 64, least - 1), network.layers)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pooling": "mean"}, "pooling is 'mean': max or average is expected."),
        ({"scale": "2"}, "scale is '2': unit or as trained is expected."),
        ({"precision": "fp16"}, "precision is 'fp16': fp32 or bf16 is expected."),
        (
            {"precision": "bf16"},
            "precision is 'bf16', which takes a CUDA device and would not finish on cpu: use fp32.",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_read(arguments, sentence):
    with pytest.raises(ConfigError) as caught:
        load_features("/nowhere", device=CPU, **arguments)
    assert str(caught.value) == sentence


# What can be said before


def test_the_facts_are_those_of_the_network(small, vgg19_file, shared_data):
    squeezenet = load_features(str(shared_data / SQUEEZENET_FILE), device=CPU, scale="as trained")
    mine = load_features(vgg19_file, device=CPU, scale="as trained")
    for weights, network in (("random", small), (vgg19_file, mine), (str(shared_data / SQUEEZENET_FILE), squeezenet)):
        facts = describe_features(weights)
        for name in ("name", "weights", "is_random", "layers", "assumed"):
            assert getattr(facts, name) == getattr(network, name)
        assert facts.fetches == ""
