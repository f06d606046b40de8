"""FCN-8s, layer by layer, against sums written out in numpy; and its weights through a .caffemodel of either format."""

import numpy as np
import pytest

from cgeval.errors import WeightsError
from cgeval.networks.caffemodel import read_caffemodel
from tests.cgeval.networks import caffe_writer as caffe

torch = pytest.importorskip("torch")

from cgeval.networks.fcn8s import PARAMETERS, FCN8s, state_from_caffe  # noqa: E402

WIDTH, OUTPUTS = 2, 3
STAGES = {"1": 2, "2": 2, "3": 3, "4": 3, "5": 3}
SIZES = [(1, 1), (26, 58), (33, 47), (64, 90)]  # 198 more are a multiple of 32, or leave an odd rest at every pool


def shapes_of(width, outputs):
    """Shapes as the prototxt gives them, spelled out: layer -> tensor -> shape."""
    channels = {"1": width, "2": 2 * width, "3": 4 * width, "4": 8 * width, "5": 8 * width}
    shapes, before = {}, 3
    for stage, count in STAGES.items():
        for i in range(count):
            shapes[f"conv{stage}_{i + 1}"] = {"weight": (channels[stage], before, 3, 3), "bias": (channels[stage],)}
            before = channels[stage]
    for layer, inputs, kernel, made in [
        ("fc6_cs", 8 * width, 7, 64 * width),
        ("fc7_cs", 64 * width, 1, 64 * width),
        ("score_fr", 64 * width, 1, outputs),
        ("score_pool4", 8 * width, 1, outputs),
        ("score_pool3", 4 * width, 1, outputs),
    ]:
        shapes[layer] = {"weight": (made, inputs, kernel, kernel), "bias": (made,)}
    for layer, kernel in [("upscore2", 4), ("upscore_pool4", 4), ("upscore8", 16)]:
        shapes[layer] = {"weight": (outputs, outputs, kernel, kernel)}
    return shapes


LAYERS = {
    name: (arrays[0] * np.float32(1.5 / np.sqrt(arrays[0][0].size)), *arrays[1:])  # so that no layer dies out
    for name, arrays in caffe.random_layers(shapes_of(WIDTH, OUTPUTS), seed=5).items()
}


@pytest.fixture
def network():
    made = FCN8s(OUTPUTS, WIDTH).eval().requires_grad_(False)
    made.load_state_dict(state_from_caffe(LAYERS, "a.caffemodel", OUTPUTS, WIDTH))
    return made


# The independent computation: float64, one output at a time as a sum over the kernel's places


def convolved(image, weight, bias, padding):
    """Sum over the kernel's places of image times weight; no flip of the kernel."""
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    kernel = weight.shape[-1]
    height, width = padded.shape[1] - kernel + 1, padded.shape[2] - kernel + 1
    out = np.zeros((len(weight), height, width)) + bias[:, None, None]
    for y in range(kernel):
        for x in range(kernel):
            out += np.tensordot(weight[:, :, y, x], padded[:, y : y + height, x : x + width], 1)
    return out


def pooled(image):
    """The largest of every 2x2, where the last row or column may stand alone."""
    channels, height, width = image.shape
    out = np.full((channels, -(-height // 2), -(-width // 2)), -np.inf)
    for y in range(height):
        for x in range(width):
            out[:, y // 2, x // 2] = np.maximum(out[:, y // 2, x // 2], image[:, y, x])
    return out


def scattered(image, weight, stride):
    """Every input lays down its kernel, weighted, at `stride` times its place; weight is [inputs, outputs, k, k]."""
    _, height, width = image.shape
    kernel = weight.shape[-1]
    out = np.zeros((weight.shape[1], stride * (height - 1) + kernel, stride * (width - 1) + kernel))
    for y in range(height):
        for x in range(width):
            stamp = np.tensordot(image[:, y, x], weight, 1)
            out[:, stride * y : stride * y + kernel, stride * x : stride * x + kernel] += stamp
    return out


def crop_sum(first, second, offset):
    return first + second[:, offset : offset + first.shape[1], offset : offset + first.shape[2]]


def computed(image):
    """Every layer's output, by name, before its ReLU."""
    w = {name: [array.astype(np.float64) for array in arrays] for name, arrays in LAYERS.items()}
    out, x = {}, image.astype(np.float64)
    for stage, count in STAGES.items():
        for i in range(1, count + 1):
            name = f"conv{stage}_{i}"
            out[name] = convolved(x, *w[name], 100 if name == "conv1_1" else 1)
            x = np.maximum(out[name], 0)
        out[f"pool{stage}"] = x = pooled(x)
    for name in ("fc6_cs", "fc7_cs"):
        out[name] = convolved(x, *w[name], 0)
        x = np.maximum(out[name], 0)
    out["score_fr"] = convolved(x, *w["score_fr"], 0)
    out["upscore2"] = scattered(out["score_fr"], *w["upscore2"], 2)
    out["score_pool4"] = convolved(out["pool4"], *w["score_pool4"], 0)
    out["upscore_pool4"] = scattered(crop_sum(out["upscore2"], out["score_pool4"], 5), *w["upscore_pool4"], 2)
    out["score_pool3"] = convolved(out["pool3"], *w["score_pool3"], 0)
    out["upscore8"] = scattered(crop_sum(out["upscore_pool4"], out["score_pool3"], 9), *w["upscore8"], 8)
    out["score"] = out["upscore8"][:, 31 : 31 + image.shape[1], 31 : 31 + image.shape[2]]
    return out


def run(network, image):
    """Every layer's output, by name, and the scores."""
    found, hooks = {}, []
    for name, layer in network.named_children():

        def keep(_, __, out, name=name):
            found[name] = out[0].clone().numpy()  # before the ReLU in its place

        hooks.append(layer.register_forward_hook(keep))
    found["score"] = network(torch.from_numpy(image)[None])[0].numpy()
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_layer_gives_what_the_sums_give(network, size):
    image = np.random.default_rng(1).normal(0, 60, (3, *size)).astype(np.float32)
    expected, found = computed(image), run(network, image)
    assert found["score"].shape == (OUTPUTS, *size)
    assert found.keys() == {name for name in expected if not name.startswith("pool")}
    for name, ours in found.items():
        scale = np.abs(expected[name]).max()
        assert scale > 1e-3, f"{name} tells nothing"
        np.testing.assert_allclose(ours, expected[name], atol=1e-5 * scale, rtol=0, err_msg=name)


def test_images_of_a_batch_do_not_touch_each_other(network):
    images = torch.randn(2, 3, 20, 30, generator=torch.manual_seed(0)) * 50
    together, alone = network(images)[1:], network(images[1:])
    torch.testing.assert_close(together, alone, atol=1e-5 * alone.abs().max().item(), rtol=0)


def test_the_network_of_the_paper_has_its_134_473_084_parameters():
    with torch.device("meta"):
        full = FCN8s()
    assert sum(parameter.numel() for parameter in full.parameters()) == 134_473_084 == PARAMETERS
    assert {name: tuple(value.shape) for name, value in full.state_dict().items()} == {
        f"{layer}.{name}": shape for layer, tensors in shapes_of(64, 20).items() for name, shape in tensors.items()
    }


@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 33), (128, 256), (1024, 2048)])
def test_scores_are_as_large_as_the_image(height, width):
    with torch.device("meta"):
        scores = FCN8s()(torch.empty(1, 3, height, width))
    assert scores.shape == (1, 20, height, width)


@pytest.mark.parametrize(("stream", "stride"), [("score_fr", 32), ("score_pool4", 16), ("score_pool3", 8)])
def test_each_stream_shows_a_thing_where_it_is_within_half_its_stride(stream, stride):
    # Convolutions that pass their input on, deconvolutions that enlarge bilinearly: the crops alone decide the place.
    network = FCN8s(1, 1).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.zero_()
    for name, layer in network.named_children():
        size = layer.kernel_size[0]
        if name.startswith("up"):
            ramp = 1 - (torch.arange(size) - (size - 1) / 2).abs() / (size / 2)
            layer.weight[0, 0] = ramp[:, None] * ramp
        elif not name.startswith("score") or name == stream:
            layer.weight[0, 0, size // 2, size // 2] = 1
    image = torch.zeros(1, 3, 160, 256)
    image[..., 64:96, 128:160] = 1
    scores = network(image)[0, 0]
    weights = scores / scores.sum()
    assert (weights.sum(1) @ torch.arange(160.0)).item() == pytest.approx(79.5, abs=stride / 2)
    assert (weights.sum(0) @ torch.arange(256.0)).item() == pytest.approx(143.5, abs=stride / 2)


# The weights


@pytest.mark.parametrize("version", [caffe.net_v1, caffe.net_v2])
@pytest.mark.parametrize("shape", [caffe.shape_packed, caffe.shape_unpacked, caffe.shape_old])
@pytest.mark.parametrize("data", [caffe.packed, caffe.unpacked])
def test_a_caffemodel_of_either_format_gives_the_state(tmp_path, version, shape, data):
    path = tmp_path / "fcn.caffemodel"
    path.write_bytes(version(LAYERS, shape=shape, data=data))
    state = state_from_caffe(read_caffemodel(path), path, OUTPUTS, WIDTH)
    made = FCN8s(OUTPUTS, WIDTH)
    made.load_state_dict(state)  # strict: every name and shape
    for layer, arrays in LAYERS.items():
        for name, array in zip(("weight", "bias"), arrays, strict=False):
            np.testing.assert_array_equal(made.state_dict()[f"{layer}.{name}"].numpy(), array)


def test_the_state_shares_the_arrays_memory():
    state = state_from_caffe(LAYERS, "a.caffemodel", OUTPUTS, WIDTH)
    assert state["fc6_cs.weight"].data_ptr() == LAYERS["fc6_cs"][0].ctypes.data


def refusal(layers, outputs=OUTPUTS, width=WIDTH):
    with pytest.raises(WeightsError) as caught:
        state_from_caffe(layers, "a.caffemodel", outputs, width)
    text = str(caught.value)
    assert text.startswith("a.caffemodel is not FCN-8s")
    assert text.endswith(".")
    return text


def test_all_that_is_missing_unexpected_or_of_another_shape_is_named_at_once():
    others = {name: arrays for name, arrays in LAYERS.items() if name not in ("fc6_cs", "fc7_cs")}
    others |= {"fc6": LAYERS["fc6_cs"], "fc8": LAYERS["fc7_cs"]}
    others["conv1_1"] = (LAYERS["conv1_1"][0][:, :1], LAYERS["conv1_1"][1])
    others["upscore2"] = (*LAYERS["upscore2"], np.zeros(OUTPUTS, np.float32))
    others["score_fr"] = LAYERS["score_fr"][:1]
    assert refusal(others) == (
        "a.caffemodel is not FCN-8s with 3 outputs: fc6_cs, fc7_cs missing; fc6, fc8 unexpected; conv1_1 2x1x3x3 and 2 "
        "where 2x3x3x3 and 2 is expected; score_fr 3x128x1x1 where 3x128x1x1 and 3 is expected; upscore2 3x3x4x4 and 3 "
        "where 3x3x4x4 is expected: fcn-8s-cityscapes.caffemodel is expected, whole."
    )


def test_the_network_for_pascal_is_named_by_its_outputs():
    assert "score_fr 3x128x1x1 and 3 where 20x128x1x1 and 20 is expected" in refusal(LAYERS, outputs=20)


def test_deconvolutions_in_groups_are_another_network():
    grouped = LAYERS | {"upscore2": (LAYERS["upscore2"][0][:, :1],)}
    assert "upscore2 3x1x4x4 where 3x3x4x4 is expected" in refusal(grouped)


def test_only_a_bias_may_have_the_four_axes_of_old_files():
    weight, bias = LAYERS["score_fr"]
    state_from_caffe(LAYERS | {"score_fr": (weight, bias.reshape(1, 1, 1, -1))}, "a.caffemodel", OUTPUTS, WIDTH)
    assert "score_fr" in refusal(LAYERS | {"score_fr": (weight, bias.reshape(-1, 1, 1, 1))})
    assert "score_fr" in refusal(LAYERS | {"score_fr": (weight.reshape(1, 1, OUTPUTS, -1), bias)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_layer(value):
    broken = {name: tuple(array.copy() for array in arrays) for name, arrays in LAYERS.items()}
    broken["fc6_cs"][0].flat[7] = value
    broken["score_fr"][1][0] = value
    assert "infinite or undefined values in fc6_cs, score_fr" in refusal(broken)


def test_infinities_that_cancel_out_are_refused():
    broken = LAYERS | {"score_fr": (LAYERS["score_fr"][0], np.array([np.inf, -np.inf, 0], np.float32))}
    assert "infinite or undefined values in score_fr" in refusal(broken)


def test_large_finite_values_are_no_infinities():
    large = LAYERS | {"score_fr": (np.full_like(LAYERS["score_fr"][0], 3e38), LAYERS["score_fr"][1])}
    state_from_caffe(large, "a.caffemodel", OUTPUTS, WIDTH)


def test_a_thousand_strange_names_stay_one_short_sentence():
    strange = {f"{i}\n{'x' * 200}": LAYERS["conv1_1"] for i in range(1000)}
    text = refusal(LAYERS | strange | {"conv1_2": LAYERS["conv1_2"] * 1000})
    assert "\n" not in text
    assert "and 970 more unexpected" in text
    assert "and 1997 more where" in text
    assert len(text) < 2500
