"""Stylised images: what is lowered, that batches do not couple images, and what cannot go wrong unnoticed."""

import hashlib

import numpy as np
import pytest
import torch
from torch.nn import functional

from cgeval.errors import ConfigError, DataError, NonFiniteLossError
from cgeval.gatys.colours import RGB_TO_YIQ
from cgeval.gatys.gram import gram
from cgeval.gatys.styles import Style, style_of, to_tensor
from cgeval.gatys.transfer import Objective, noise, stylise
from tests.cgeval.gatys.small_vgg import pictures, quick, small_vgg, style

CPU = torch.device("cpu")


def objective(settings, contents, network=None):
    network = network or small_vgg(settings.pooling)
    return Objective(network, to_tensor(contents, CPU), style(network, settings), settings)


def plain_loss(network, image, content, grams, settings):
    """The formula of the preset for one image, [1, 3, h, w], written out."""
    found = network(image, network.layers)
    aim = network(content, [settings.content_layer])[settings.content_layer]
    here = found[settings.content_layer]
    c, m = here.shape[1], here.shape[2] * here.shape[3]
    content_part = ((here - aim) ** 2).sum() * (0.5 if settings.preset == "paper" else 1 / (c * m))
    style_part = 0
    for layer, weight in zip(settings.style_layers, settings.style_weights, strict=True):
        n, m = found[layer].shape[1], found[layer].shape[2] * found[layer].shape[3]
        flat = found[layer].reshape(n, m)
        if settings.preset == "paper":
            style_part += weight * ((flat @ flat.T - grams[layer] * m) ** 2).sum() / (4 * n**2 * m**2)
        elif settings.preset == "neural-style":
            style_part += weight * functional.mse_loss(flat @ flat.T / (n * m), grams[layer] / n)
        else:
            style_part += weight * functional.mse_loss(flat @ flat.T / m, grams[layer])
    x = image[0]
    variation = ((x[:, :-1, 1:] - x[:, :-1, :-1]) ** 2 + (x[:, 1:, :-1] - x[:, :-1, :-1]) ** 2).sum() / 2
    return (
        settings.content_weight * content_part
        + settings.style_weight * style_part
        + settings.total_variation * variation
    )


@pytest.mark.parametrize("preset", ["notebook", "paper", "neural-style"])
@pytest.mark.parametrize("scale", ["unit", "as trained"])
def test_the_loss_of_each_preset_is_its_formula(preset, scale):
    settings = quick(f"preset={preset}", f"scale={scale}")
    network, contents = small_vgg(settings.pooling), pictures(2)
    found = objective(settings, contents, network)
    images = to_tensor(pictures(2, seed=5), CPU)
    grams = style(network, settings).grams
    expected = [
        float(plain_loss(network, images[i : i + 1], to_tensor(contents[i : i + 1], CPU), grams, settings))
        for i in range(2)
    ]
    parts = found(images)
    assert parts.total.tolist() == pytest.approx(expected, rel=1e-4)
    assert all(min(part.tolist()) > 0 for part in (parts.content, parts.style))
    assert (float(parts.variation[0]) > 0) == (preset == "neural-style")


def test_the_gradient_agrees_with_finite_differences():
    settings = quick("preset=neural-style")
    found, images = objective(settings, pictures(2)), to_tensor(pictures(2, seed=5), CPU)
    losses, gradients = found.gradients(images)
    direction = gradients[:1] / gradients[:1].norm()
    step = 0.5  # of a level, in all; losses are float32
    with torch.no_grad():
        after, before = (found(images + sign * step * torch.cat([direction, 0 * direction])).total for sign in (1, -1))
    assert float((after - before)[0] / (2 * step)) == pytest.approx(float(gradients[0].norm()), rel=0.02)
    assert float(after[1]) == pytest.approx(float(losses[1]), rel=1e-6), "the other image's loss does not move"


@pytest.mark.parametrize("preset", ["notebook", "paper", "neural-style"])
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_losses_fall(preset, optimiser):
    settings = quick(f"preset={preset}", f"optimiser={optimiser}", "stages=1:12")
    network, contents = small_vgg(settings.pooling), pictures(2)
    aim = style(network, settings)
    first = Objective(network, to_tensor(contents, CPU), aim, settings)
    started = to_tensor(contents, CPU)
    if settings.start == "noise":
        started = torch.from_numpy(noise(16, 20, 0)).expand(2, -1, -1, -1)
    before = first(started).total
    after = stylise(network, contents, aim, settings)
    assert all(now < 0.5 * then for now, then in zip(after.losses, before.tolist(), strict=True))
    assert after.images.shape == contents.shape
    assert after.images.dtype == np.uint8


def test_the_losses_that_are_told_are_those_of_the_pictures_that_are_given():
    settings = quick()
    network, contents = small_vgg(), pictures(2)
    made = stylise(network, contents, style(network, settings), settings)
    parts = objective(settings, contents, network)(to_tensor(made.images, CPU))
    assert made.losses == pytest.approx(parts.total.tolist(), rel=0.2), "but for rounding and clipping to uint8"
    for total, content, of_style in zip(made.losses, made.content_losses, made.style_losses, strict=True):
        assert total == pytest.approx(content + of_style, rel=1e-5)


@pytest.mark.parametrize("changes", [(), ("optimiser=adam",), ("preset=paper",), ("history=2",)])
def test_an_image_comes_out_of_a_batch_as_it_does_alone(changes):
    settings = quick("stages=1:8", *changes)
    network, contents = small_vgg(settings.pooling), pictures(3)
    contents[1] //= 4  # a dark one: another scale of loss and gradient
    aim = style(network, settings)
    together = stylise(network, contents, aim, settings)
    order = [2, 0, 1]
    shuffled = stylise(network, contents[order], aim, settings)
    for i in range(3):
        alone = stylise(network, contents[i : i + 1], aim, settings)
        assert together.losses[i] == pytest.approx(alone.losses[0], rel=1e-3)
        assert close(together.images[i], alone.images[0])
        assert close(together.images[order[i]], shuffled.images[i])


def close(one, other):
    """Equal but for numbers that were about to be rounded up."""
    apart = np.abs(one.astype(int) - other)
    return apart.max() <= 1 and apart.mean() < 0.02


def test_the_same_call_gives_the_same_bytes():
    settings = quick("start=noise")
    network, contents = small_vgg(), pictures(2)
    one, other = (stylise(network, contents, style(network, settings), settings) for _ in range(2))
    assert one.images.tobytes() == other.images.tobytes()
    assert one.losses == other.losses


def test_noise_is_the_same_on_every_machine_and_number_of_threads():
    digests = set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        digests.add(hashlib.sha256(noise(6, 5, seed=3).tobytes()).hexdigest())
    assert digests == {"26183f38f1828a7ce5b8130082eb065e6da6d61dfac549722f24f8c3cdcd8a70"}
    assert not np.array_equal(noise(6, 5, seed=3), noise(6, 5, seed=4))
    drawn = noise(64, 64, seed=0)
    assert drawn.mean(axis=(1, 2)) == pytest.approx([123.68, 116.779, 103.939], abs=0.1)
    assert drawn.std(axis=(1, 2)) == pytest.approx([1.0] * 3, abs=0.05)


def test_a_picture_in_its_own_style_stays_as_it_is():
    settings = quick("stages=1:6")
    network, contents = small_vgg(), pictures(1, 24, 24)
    own = style_of(network, contents[0], settings.gram_keys, "itself")
    made = stylise(network, contents, own, settings)
    assert close(made.images[0], contents[0])
    assert made.losses[0] == pytest.approx(0, abs=1e-3 * settings.content_weight)


def test_coarse_stages_leave_less_to_do_at_the_full_size():
    settings, plain = quick("stages=0.5:25,1:5"), quick("stages=1:5")
    network, contents = small_vgg(), pictures(2, 32, 32)
    aim = style_of(network, pictures(1, 48, 48, seed=7)[0], settings.gram_keys, "strokes")
    fine, coarse = (stylise(network, contents, aim, each).losses for each in (plain, settings))
    assert all(one < other for one, other in zip(coarse, fine, strict=True))


def test_each_step_is_told_and_what_is_raised_there_ends_the_work():
    settings = quick("stages=0.5:4,1:6")
    network, contents = small_vgg(), pictures(2)
    told = []
    stylise(network, contents, style(network, settings), settings, told.append)
    shares = [progress.done for progress in told]
    assert len(shares) >= 10
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares[3] == pytest.approx(4 * 0.25 / (4 * 0.25 + 6)), "a step at half the size costs a quarter"
    assert told[-1].loss > 0

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylise(network, contents, style(network, settings), settings, stop)


def test_the_contents_colours_are_kept_where_that_is_asked_for():
    contents = 100 + pictures(1) // 5  # far from black and white, where clipping would change colours
    network = small_vgg()
    plain, keeping = quick("style_weight=1e7"), quick("style_weight=1e7", "keep_colours=true")
    first = stylise(network, contents, style(network, plain), plain)
    made = stylise(network, contents, style(network, keeping), keeping)
    assert made.losses == first.losses, "colours are put back at the end"

    def chroma(images):
        return np.einsum("oc,nhwc->nhwo", np.array(RGB_TO_YIQ)[1:], images.astype(float))

    inside = ((made.images > 0) & (made.images < 255)).all(axis=-1)
    assert inside.mean() > 0.5
    assert np.abs(chroma(made.images) - chroma(contents))[inside].max() < 1.5, "one level of rounding a channel"
    assert np.abs(chroma(first.images) - chroma(contents))[inside].max() > 5


def test_a_loss_that_is_no_number_names_the_image_and_what_to_change():
    settings = quick("stages=1:3")
    network, contents = small_vgg(), pictures(2)
    aim = style(network, settings)
    broken = Style("broken", "image", 1, {key: each * float("inf") for key, each in aim.grams.items()}, "")
    with pytest.raises(NonFiniteLossError, match=r"the loss of image 1 of 2 is nan from the start: lower style_weight"):
        stylise(network, contents, broken, settings)
    with pytest.raises(NonFiniteLossError, match=r"the loss of horse\.jpg is nan"):
        stylise(network, contents, broken, settings, names=["horse.jpg", "zebra.jpg"])


def test_a_style_without_the_layers_or_scales_is_refused():
    network, settings = small_vgg(), quick()
    flat = style_of(network, pictures(1)[0], settings.style_layers, "saved")
    with pytest.raises(ConfigError, match=r"the style 'saved' has no Gram matrix of relu1_1@0\.5"):
        stylise(network, pictures(1), flat, settings)


def test_an_image_too_small_for_the_deepest_layer_is_refused():
    network, settings = small_vgg(rounds_up=False), quick("stages=1:2")
    with pytest.raises(DataError, match="too small for relu5_1"):
        stylise(network, pictures(1, 8, 8), style(network, settings), settings)


def test_one_network_may_have_gram_matrices_of_any_kind_of_layer():
    network, settings = small_vgg(), quick("style_layers=relu4_2", "content_layer=relu1_1", "stages=1:3")
    made = stylise(network, pictures(1), style(network, settings), settings)
    features = network(to_tensor(made.images, CPU), ["relu4_2"])
    assert gram(features["relu4_2"]).shape == (1, 16, 16)
