"""The noise that stands for photos, and what is made of a network's means over it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cgeval.errors import WeightsError  # noqa: E402
from cgeval.networks.calibration import FALL, noise_images, unit_scales  # noqa: E402


def test_the_noise_is_always_the_same():
    images = noise_images()
    assert images.shape == (4, 3, 96, 96)
    assert images.dtype == torch.float32
    assert torch.equal(images, noise_images())
    some = images[[0, 1, 2, 3], [0, 1, 2, 2], [0, 40, 95, 95], [0, 50, 17, 17]]
    assert some.tolist() == pytest.approx([184.8350, 217.5659, 102.6250, 93.0508], abs=1e-3)
    assert float(images.mean()) == pytest.approx(114.9417, abs=1e-3)


def test_its_spectrum_falls_as_that_of_photos():
    grey = noise_images().mean(dim=1).double().numpy()
    power = (np.abs(np.fft.rfft2(grey)) ** 2).mean(axis=0)
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(96)[None, :])
    inside = (frequency > 0.03) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-2 * FALL, abs=0.25)


def test_it_varies_in_brightness_more_than_in_colour():
    red, green, blue = noise_images().transpose(0, 1).reshape(3, -1).double()
    assert 40 < float(green.std()) < 60
    assert float((red - blue).std()) < 0.6 * float(green.std())


def test_each_mean_is_brought_to_one():
    assert unit_scales({"relu1_1": 4.0, "relu1_2": 0.5}, "net.pth") == {"relu1_1": 0.25, "relu1_2": 2.0}


@pytest.mark.parametrize(("means", "kept"), [((0.5, 1.5), True), ((1.0, 0.2), True), ((50.0, 300.0), False)])
def test_a_promise_of_one_is_believed_where_it_may_be_true(means, kept):
    scales = unit_scales(dict(zip("ab", means, strict=True)), "net.pth", is_normalised=True)
    assert (set(scales.values()) == {1.0}) is kept


@pytest.mark.parametrize("mean", [0.0, float("nan")])
def test_a_silent_layer_is_damage(mean):
    with pytest.raises(WeightsError, match=r"^net\.pth is damaged: nothing comes out of its layer relu1_2"):
        unit_scales({"relu1_1": 1.0, "relu1_2": mean}, "net.pth")
