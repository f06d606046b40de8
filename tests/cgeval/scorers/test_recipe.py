"""The settings of a scorer's training: checked early, told in one sentence, the same after a trip through JSON."""

import json
import subprocess
import sys
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.errors import ConfigError
from cgeval.scorers.recipe import FREE_ON_RESUME, Recipe, default_size, differing, recipe_of


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"schedule": "step"}, "schedule is 'step': one of one_cycle, poly is expected."),
        ({"class_weights": "yes"}, "class_weights is 'yes': one of none, median_frequency, enet is expected."),
        ({"batch_size": 1}, "batch_size is 1: a whole number from 2 to 4096 is expected."),
        ({"batch_size": 2.5}, "batch_size is 2.5: a whole number from 2 to 4096 is expected."),
        ({"epochs": True}, "epochs is True: a whole number from 1 to 100000 is expected."),
        ({"learning_rate": float("nan")}, "learning_rate is nan: a number from 1e-08 to 10 is expected."),
        ({"learning_rate": "fast"}, "learning_rate is 'fast': a number from 1e-08 to 10 is expected."),
        ({"minutes": -1}, "minutes is -1: a number from 0 to 100000 is expected."),
        ({"size_px": (16, 64)}, "the width of size_px is 16: a whole number from 32 to 8192 is expected."),
        ({"size_px": (64,)}, "size_px is (64,): width and height are expected."),
        ({"zoom": (2.0, 1.0)}, "zoom is (2.0, 1.0): the lowest and the highest are expected, within 0.1 .. 10."),
        ({"zoom": (0.0, 1.0)}, "zoom is (0.0, 1.0): the lowest and the highest are expected, within 0.1 .. 10."),
        ({"encoder_weights": "a.pt"}, "encoder_weights is 'a.pt': none, imagenet or a file that is there is expected."),
        ({"flip": "no"}, "flip is 'no': true or false is expected."),
        ({"flip": 3}, "flip is 3: true or false is expected."),
        ({"zoom": 2}, "zoom is 2: the lowest and the highest are expected, within 0.1 .. 10."),
        ({"zoom": None}, "zoom is None: the lowest and the highest are expected, within 0.1 .. 10."),
        ({"zoom": [True, 2]}, "zoom is (True, 2): the lowest and the highest are expected, within 0.1 .. 10."),
        ({"size_px": 5}, "size_px is 5: width and height are expected."),
        ({"size_px": "64x48"}, "size_px is '64x48': width and height are expected."),
        ({"options": 3}, "options is 3: a table is expected, such as {decoder_channels = [64, 32]}."),
        ({"options": None}, "options is None: a table is expected, such as {decoder_channels = [64, 32]}."),
        ({"options": {"a": 2.5}}, "'a' in options is 2.5: a whole number, several, or a text is expected."),
        ({"options": {"a": [1, "b"]}}, "'a' in options is (1, 'b'): a whole number, several, or a text is expected."),
        ({"architecture": 4}, "architecture is 4: a text is expected."),
        ({"encoder": ["resnet18"]}, "encoder is ('resnet18',): a text is expected."),
        ({"encoder_weights": False}, "encoder_weights is False: a text is expected."),
        ({"device": 0}, "device is 0: a text is expected."),
        ({"threads": 1.5}, "threads is 1.5: a whole number from 0 to 4096 is expected."),
        ({"schedule": ["poly"]}, "schedule is ('poly',): one of one_cycle, poly is expected."),
        ({"learning_rate": float("inf")}, "learning_rate is inf: a number from 1e-08 to 10 is expected."),
    ],
)
def test_an_impossible_setting_is_told_in_one_sentence(settings, sentence):
    with pytest.raises(ConfigError) as error:
        recipe_of(settings).refuse_missing_file()
    assert str(error.value) == sentence


NUMBERS = st.integers() | st.just(10**400) | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(NUMBERS | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def recipe_or_sentence(key, value):
    try:
        return recipe_of({key: value})
    except ConfigError as error:
        return str(error)


@given(st.sampled_from([each.name for each in fields(Recipe)]), VALUES)
@settings(derandomize=True, deadline=None)
def test_a_value_of_any_type_is_a_recipe_or_one_sentence(key, value):
    found = recipe_or_sentence(key, value)
    if isinstance(found, str):
        assert key in found
        assert "\n" not in found
    else:
        assert recipe_of(json.loads(json.dumps(found.to_dict()))) == found


def test_an_unknown_setting_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match="a recipe has no setting 'lr': it has architecture, encoder"):
        recipe_of({"lr": 1.0})


def test_a_recipe_is_the_same_after_a_trip_through_json():
    recipe = Recipe(size_px=(320, 240), options={"decoder_channels": (64, 32)}, zoom=(1.0, 1.0))
    assert recipe_of(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_what_a_resumed_training_keeps_is_everything_but_where_it_runs():
    before = Recipe()
    assert differing(before, Recipe(device="cpu", threads=3, save_minutes=1.0)) == []
    assert differing(before, Recipe(batch_size=8, seed=1, zoom=(1.0, 1.0))) == ["zoom", "batch_size", "seed"]
    assert before.to_dict().keys() >= FREE_ON_RESUME


@given(st.integers(1, 5000), st.floats(0, 0.9), st.sampled_from(["one_cycle", "poly"]))
def test_the_learning_rate_rises_to_its_highest_and_then_only_falls(total, warm_up, schedule):
    recipe = Recipe(warm_up=warm_up, schedule=schedule, learning_rate=1e-2)
    rates = [recipe.learning_rate_at(step, total) for step in range(total)]
    top = rates.index(max(rates))
    assert min(rates) > 0
    assert max(rates) <= 1e-2 * (1 + 1e-12)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= warm_up * total + 1


def test_the_highest_rate_is_reached_and_the_last_is_next_to_nothing():
    recipe = Recipe(learning_rate=1e-2, warm_up=0.1)
    rates = [recipe.learning_rate_at(step, 1000) for step in range(1000)]
    assert max(rates) == pytest.approx(1e-2)
    assert rates[0] == pytest.approx(1e-2 * (1 / 25 + (24 / 25) / 100))
    assert rates[-1] < 1e-5


@pytest.mark.parametrize(
    ("own", "size"),
    [((480, 360), (416, 320)), ((2048, 1024), (512, 256)), ((128, 128), (128, 128)), ((20, 200), (32, 200))],
)
def test_photos_are_trained_at_their_own_size_unless_it_is_large(own, size):
    assert default_size(*own) == size


def test_a_small_decoder_is_asked_for_where_its_size_can_be_said():
    assert Recipe(architecture="segformer").arguments["decoder_segmentation_channels"] == 128
    own = Recipe(architecture="segformer", options={"decoder_segmentation_channels": 64})
    assert own.arguments["decoder_segmentation_channels"] == 64
    assert Recipe(architecture="unet", encoder="resnet18").arguments == {"architecture": "unet", "encoder": "resnet18"}


def test_reading_a_recipe_needs_no_torch():
    code = "import sys, cgeval.scorers.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
