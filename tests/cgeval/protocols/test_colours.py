"""A drawn label map becomes labels by the nearest colour: exactly, ties and all, by a named metric and palette."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cgeval.errors import ConfigError
from cgeval.labels import Label, LabelSet, label_set
from cgeval.protocols import colours as module
from cgeval.protocols.colours import classify_colours, palette

CITYSCAPES, CAMVID = label_set("cityscapes"), label_set("camvid11")
NAMES = [label.name for label in CITYSCAPES.classes]


def by_broadcasting(image, colours, metric):
    """Distances of every pixel to every colour in 64-bit whole numbers; argmin takes the first of equals."""
    differences = image[:, :, None].astype(np.int64) - colours.astype(np.int64)
    distances = (differences**2 if metric == "L2" else np.abs(differences)).sum(axis=-1)
    return distances.argmin(axis=-1)


def name_of(colour, metric="L2"):
    colours, classes = palette(CITYSCAPES, "scored")
    image = np.array([[colour]], dtype=np.uint8)
    return NAMES[classes[classify_colours(image, colours, metric)][0, 0]]


# Nearest, exactly


@settings(max_examples=60, deadline=None)
@given(
    image=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    colours=arrays(np.uint8, st.tuples(st.integers(1, 40), st.just(3)), elements=st.sampled_from([0, 1, 64, 128, 255])),
    metric=st.sampled_from(["L1", "L2"]),
)
def test_the_nearest_is_what_broadcasting_finds_ties_and_twins_too(image, colours, metric):
    assert np.array_equal(classify_colours(image, colours, metric), by_broadcasting(image, colours, metric))


@pytest.mark.parametrize("metric", ["L1", "L2"])
def test_256_colours_and_the_farthest_corners_do_not_overflow(metric):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    corners = np.array([[[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]], dtype=np.uint8)
    only = np.array([[255, 255, 255]] * 255 + [[0, 0, 0]], dtype=np.uint8)
    assert np.array_equal(classify_colours(corners, colours, metric), by_broadcasting(corners, colours, metric))
    assert classify_colours(corners, only, metric)[0, [0, -1]].tolist() == [255, 0]


def test_of_colours_equally_near_the_first_counts():
    grey = np.array([[[10, 10, 10]]], dtype=np.uint8)
    below_above = np.array([[9, 10, 10], [11, 10, 10]], dtype=np.uint8)
    assert classify_colours(grey, below_above, "L2") == 0
    assert classify_colours(grey, below_above[::-1], "L2") == 0


def test_work_in_parts_is_the_same_work(monkeypatch):
    image = np.random.default_rng(1).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    colours, _ = palette(CITYSCAPES, "all")
    whole = classify_colours(image, colours)
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 100)
    assert np.array_equal(classify_colours(image, colours), whole)
    assert whole.shape == (37, 53)
    assert whole.dtype == np.uint8


def test_a_view_of_a_larger_picture_is_classified_as_what_it_shows():
    image = np.random.default_rng(2).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    colours, _ = palette(CAMVID, "scored")
    turned = image[::-1, ::2]
    assert np.array_equal(classify_colours(turned, colours), by_broadcasting(turned, colours, "L2"))


# What was never settled, and moves the number


def test_black_falls_to_truck_among_the_19_colours():
    assert name_of((0, 0, 0), "L2") == "truck"
    assert name_of((0, 0, 0), "L1") == "truck"


def test_black_is_void_where_all_colours_compete():
    colours, classes = palette(CITYSCAPES, "all")
    black = np.zeros((1, 1, 3), dtype=np.uint8)
    assert classes[classify_colours(black, colours)] == len(NAMES)


def test_l1_and_l2_disagree_on_one_colour_in_seven():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(len(levels), -1, 3)
    colours, _ = palette(CITYSCAPES, "scored")
    disagree = (classify_colours(cube, colours, "L1") != classify_colours(cube, colours, "L2")).mean()
    assert disagree == pytest.approx(0.137, abs=0.003)


# Palettes


@pytest.mark.parametrize("labels", [CITYSCAPES, CAMVID], ids=lambda labels: labels.name)
def test_scored_is_each_class_by_its_own_colour(labels):
    colours, classes = palette(labels, "scored")
    assert [tuple(c) for c in colours.tolist()] == [label.colour for label in labels.classes]
    assert classes.tolist() == list(range(len(labels.classes)))


def test_all_has_each_of_cityscapes_29_colours_once_and_the_first_label_says_what_it_means():
    colours, classes = palette(CITYSCAPES, "all")
    meant = {tuple(colour): place for colour, place in zip(colours.tolist(), classes.tolist(), strict=True)}
    assert len(colours) == len(meant) == 29
    assert meant[(0, 0, 0)] == 19
    assert meant[(153, 153, 153)] == NAMES.index("pole")  # polegroup has it too
    assert meant[(250, 170, 160)] == 19  # parking
    assert sorted(place for place in meant.values() if place < 19) == list(range(19))


@pytest.mark.parametrize("choice", ["scored", "all"])
def test_a_map_in_the_sets_own_colours_comes_back_as_its_classes(choice):
    ids = np.random.default_rng(3).integers(0, 12, (24, 32))
    colours, classes = palette(CAMVID, choice)
    back = classes[classify_colours(CAMVID.colours_of(ids), colours)]
    expected = CAMVID.class_map(ids)
    scored = slice(None) if choice == "all" else expected != 11  # without black among them, void becomes some class
    assert np.array_equal(back[scored], expected[scored])


def test_more_colours_than_a_byte_can_number_are_refused():
    labels = LabelSet("many", tuple(Label(i, f"c{i}", (i % 256, i // 256, 0), i >= 5) for i in range(300)))
    assert len(palette(labels, "scored")[0]) == 5
    with pytest.raises(ConfigError, match="300 colours, and up to 256 can be told apart"):
        palette(labels, "all")


def test_labels_that_share_a_class_keep_their_own_colours():
    """Painted in either colour, a pixel is the class; the colour of another class stays nearest to its own."""
    labels = LabelSet(
        "cars",
        (
            Label(0, "car", (0, 0, 142), False, 0),
            Label(1, "caravan", (0, 0, 90), False, 0),
            Label(2, "truck", (0, 0, 70), False, 1),
            Label(3, "void", (0, 0, 0), True),
        ),
    )
    colours, classes = palette(labels, "scored")
    assert (colours.tolist(), classes.tolist()) == ([[0, 0, 142], [0, 0, 90], [0, 0, 70]], [0, 0, 1])
    picture = np.array([[(0, 0, 142), (0, 0, 90), (0, 0, 70)]], np.uint8)
    assert classes[classify_colours(picture, colours)].tolist() == [[0, 0, 1]]
