"""What a dry run measures, and how all steps follow from a few."""

import numpy as np
import pytest
import torch

from cgeval.gatys.making.estimate import estimate, extrapolated, remembering_seconds, step_seconds
from cgeval.gatys.making.preparing import load_network
from cgeval.gatys.styles import style_of
from tests.cgeval.gatys.networks import request, write_squeezenet
from tests.cgeval.gatys.pictures import photo, write_photos


def test_steps_that_take_the_same_add_up():
    assert extrapolated(np.array([0.5, 0.5, 0.5]), 0.0, 400, 100) == pytest.approx(200)


def test_a_history_that_fills_makes_later_steps_slower():
    """0.5 s each, and up to 0.2 s more: full after 100 steps, on average half full before."""
    measured = 0.5 + 0.2 * np.arange(5) / 100
    told = extrapolated(measured, 0.2, 300, 100)
    exact = sum(0.5 + 0.2 * min(i, 100) / 100 for i in range(300))
    assert told == pytest.approx(exact, rel=1e-3)


def test_one_odd_step_does_not_decide():
    assert extrapolated(np.array([0.5, 0.5, 90.0]), 0.0, 10, 100) == pytest.approx(5)


def test_the_first_steps_are_timed_and_the_very_first_is_left_out(tmp_path):
    asked = request(tmp_path, tmp_path, write_squeezenet(tmp_path / "w.pth"), changes=("stages=1:7",)).settings
    network, settings = load_network(asked, torch.device("cpu"))
    style = style_of(network, photo(1, 32, 32), settings.gram_keys, "x")
    seconds = step_seconds(network, photo(2, 32, 32)[None], style, settings)
    assert len(seconds) == 6
    assert (seconds > 0).all()
    assert 0 <= remembering_seconds(settings, torch.device("cpu")) < 1e-4


def test_time_goes_with_images_and_styles(tmp_path):
    """One measurement is of one image; the plan multiplies it."""
    content = write_photos(tmp_path / "content", 3)
    weights = write_squeezenet(tmp_path / "w.pth")
    styles = (content / "0.png", content / "1.png")
    plan = estimate(request(content, tmp_path / "run", weights, styles=styles))
    assert (plan.left, len(plan.sets)) == (6, 2)
    assert plan.seconds == pytest.approx(6 * plan.seconds_per_image, abs=0.5)
    assert (plan.batch_size, plan.device, plan.size_px) == (1, "cpu", 32)
