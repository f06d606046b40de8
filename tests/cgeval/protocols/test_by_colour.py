"""photo -> labels: the nearest colour, before or after enlarging, among the scored colours or all."""

import numpy as np
import pytest

from cgeval.errors import ConfigError
from cgeval.labels import label_set
from cgeval.protocols.by_colour import ByColour

CITY = label_set("cityscapes")
ROAD, CAR = (128, 64, 128), (0, 0, 142)


def test_noisy_colours_are_their_classes_at_the_truths_size():
    picture = np.array([[ROAD, CAR]], np.uint8) + np.uint8(9)
    assert ByColour(CITY).prepare(picture, (4, 2)).tolist() == [[0, 0, 13, 13]] * 2


def test_black_is_a_truck_among_the_scored_colours_and_void_among_all():
    black = np.zeros((1, 1, 3), np.uint8)
    assert ByColour(CITY).prepare(black, (1, 1)).tolist() == [[14]]
    assert ByColour(CITY, choice="all").prepare(black, (1, 1)).tolist() == [[19]]


def test_enlarging_first_invents_colours_between():
    """Halfway between road and car lies another class's colour, or not: the map has other edges."""
    picture = np.array([[ROAD, (70, 130, 180)]], np.uint8)
    before = ByColour(CITY).prepare(picture, (64, 1))
    after = ByColour(CITY, classified_at="truth").prepare(picture, (64, 1))
    assert set(before.ravel().tolist()) == {0, 10}
    assert not np.array_equal(before, after)


def test_an_unknown_place_is_refused():
    with pytest.raises(ConfigError, match="classified at output or truth size, and not 'nowhere'"):
        ByColour(CITY, classified_at="nowhere")
