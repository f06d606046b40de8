"""Label sets are the published ones; maps go from ids to colours and back; whatever does not fit is refused."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cgeval.errors import ConfigError, DataError
from cgeval.images import find_images, read_ids
from cgeval.labels import KNOWN, Label, LabelSet, label_set

TABLE = Path(__file__).parents[1] / "golden" / "cityscapes_labels.csv"
CITYSCAPES, SCORED, CAMVID = label_set("cityscapes"), label_set("cityscapes19"), label_set("camvid11")


def published() -> list[tuple[int, str, int | None, tuple[int, ...]]]:
    lines = [line.split(",") for line in TABLE.read_text().splitlines() if line[0].isdecimal()]
    return [(int(i), name, None if t == "-" else int(t), tuple(map(int, rgb))) for i, name, t, *rgb in lines]


# The published sets


def test_cityscapes_has_the_34_published_ids_names_train_ids_and_colours():
    ours = [(label.id, label.name, label.train_id, label.colour) for label in CITYSCAPES.labels]
    assert ours == published()
    assert len(ours) == 34


def test_the_19_scored_classes_are_the_published_train_ids_in_order():
    scored = {train_id: (name, colour) for _, name, train_id, colour in published() if train_id is not None}
    ours = [(label.id, (label.name, label.colour)) for label in SCORED.labels if not label.ignore]
    assert ours == sorted(scored.items())
    assert [i for i, _ in ours] == list(range(19))


def test_what_is_not_scored_is_marked_as_such():
    assert [label.id for label in CITYSCAPES.labels if not label.ignore] == [
        i for i, _, train_id, _ in published() if train_id is not None
    ]
    assert [label.id for label in SCORED.labels if label.ignore] == [255]
    assert [label.name for label in CAMVID.labels if label.ignore] == ["void"]


def test_camvid_has_the_eleven_classes_of_the_shared_data(shared_data):
    classes = json.loads((shared_data / "camvid" / "classes.json").read_text())["classes"]
    ours = [(label.id, label.name, label.colour, label.ignore) for label in CAMVID.labels]
    assert ours == [(c["id"], c["name"].replace("_", " "), tuple(c["rgb"]), c["ignore"]) for c in classes]


@pytest.mark.parametrize("name", KNOWN)
def test_a_set_has_each_id_once_and_calls_itself_by_its_name(name):
    found = label_set(name)
    assert found.name == name
    assert len(found.by_id) == len(found.labels)
    assert {label.train_id for label in found.labels} - {None} == set(range(11 if name == "camvid11" else 19))


# Ids to colours and back


def maps_of(labels: LabelSet):
    ids = st.sampled_from([label.id for label in labels.labels])
    return arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=ids)


@given(ids=maps_of(CITYSCAPES))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_map_survives_the_way_through_colours_up_to_classes_that_share_one(ids):
    back = CITYSCAPES.ids_of(CITYSCAPES.colours_of(ids))
    shared = {1: 0, 2: 0, 3: 0, 4: 0, 18: 17}
    assert back.tolist() == [[shared.get(int(i), int(i)) for i in row] for row in ids]


@given(ids=maps_of(SCORED))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_colours_survive_the_way_through_ids(ids):
    colours = SCORED.colours_of(ids)
    assert colours.dtype == np.uint8
    assert colours.shape == (*ids.shape, 3)
    assert (SCORED.colours_of(SCORED.ids_of(colours)) == colours).all()
    assert (SCORED.ids_of(colours) == ids).all()


def test_a_pixels_colour_is_its_labels_and_its_place_stays():
    ids = np.array([[26, 7], [23, 11]])
    assert CITYSCAPES.colours_of(ids).tolist() == [
        [[0, 0, 142], [128, 64, 128]],
        [[70, 130, 180], [70, 70, 70]],
    ]


def test_maps_of_every_integer_type_are_coloured_alike():
    for kind in (np.uint8, np.uint16, np.int32, np.int64):
        assert CITYSCAPES.colours_of(np.array([[26]], dtype=kind)).tolist() == [[[0, 0, 142]]]


def test_an_id_that_the_set_does_not_have_is_named():
    with pytest.raises(DataError, match=r"the id 34 \(2 unknown in all\), which label set 'cityscapes'"):
        CITYSCAPES.colours_of(np.array([[7, 34, 255]]))


def street() -> np.ndarray:
    """Large flat areas, as label maps have."""
    ids = np.full((64, 64), 7)
    ids[:30] = 23
    ids[20:40, 10:30] = 11
    ids[35:50, 40:60] = 26
    return CITYSCAPES.colours_of(ids)


def jpeg(picture: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize(
    "damaged",
    [jpeg(street()), np.asarray(Image.fromarray(street()).resize((40, 40), Image.Resampling.BICUBIC))],
    ids=["JPEG", "bicubic"],
)
def test_blended_colours_are_told_from_a_foreign_palette(damaged):
    with pytest.raises(DataError, match="probably it was resized with an interpolating filter or stored as JPEG"):
        CITYSCAPES.ids_of(damaged)


def test_a_foreign_palette_is_told_from_blended_colours():
    camvid = CAMVID.colours_of(np.array([[0, 1], [1, 4]]))
    with pytest.raises(DataError, match=r"100\.0% of the pixels have 3 colours.*probably it is coloured with another"):
        CITYSCAPES.ids_of(camvid)


def test_one_foreign_colour_is_given_as_an_example():
    picture = street()
    picture[5, 5] = (1, 2, 3)
    with pytest.raises(DataError, match=r"such as \(1, 2, 3\)"):
        CITYSCAPES.ids_of(picture)


def test_real_label_maps_survive_the_way_through_colours(shared_data):
    for path in find_images(shared_data / "camvid" / "val" / "label")[::25]:
        ids = read_ids(path)
        assert (CAMVID.ids_of(CAMVID.colours_of(ids)) == ids).all()


# Sets of one's own

OWN = """
name = "parks"
[[label]]
id = 3
name = "grass"
colour = [0, 200, 0]
train_id = 0
[[label]]
id = 9
name = "nothing"
colour = [0, 0, 0]
ignore = true
"""


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "parks.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_toml_file_is_a_label_set(tmp_path):
    found = label_set(own(tmp_path, OWN))
    assert (found.name, [(label.id, label.train_id, label.ignore) for label in found.labels]) == (
        "parks",
        [(3, 0, False), (9, None, True)],
    )
    assert found.ids_of(found.colours_of(np.array([[9, 3]]))).tolist() == [[9, 3]]


def test_a_toml_file_without_a_name_is_called_after_its_file(tmp_path):
    assert label_set(own(tmp_path, OWN.replace('name = "parks"', ""))).name == "parks"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (OWN, "", "'label' is missing"),
        (OWN, "label = 3", "is not a label set"),
        (OWN, "name = ", "Invalid value"),
        ("colour = [0, 200, 0]", "color = [0, 200, 0]", "unknown key 'color'"),
        ("id = 3\n", "", "'id' is missing"),
        ("id = 3", 'id = "3"', "id is '3', and whole numbers are expected"),
        ("id = 3", "id = 3.5", "id is 3.5"),
        ("id = 3", "id = 3000000000", "id 3000000000 is outside -65535 .. 65535"),
        ("id = 3", "id = -65536", "id -65536 is outside -65535 .. 65535"),
        ("[0, 200, 0]", "[0, 200]", "colour is [0, 200], and [red, green, blue] is expected"),
        ("[0, 200, 0]", "[0, 256, 0]", "outside 0 .. 255"),
        ("[0, 200, 0]", "[0, 0.5, 0]", "colour is 0.5"),
        ("[0, 200, 0]", "7", "colour is 7, and [red, green, blue]"),
        ("ignore = true", 'ignore = "no"', "true or false is expected"),
        ("train_id = 0", 'train_id = "0"', "train_id is '0'"),
        ("id = 9", "id = 3", "2 labels with 1 different ids: each id once"),
    ],
)
def test_each_mistake_in_a_toml_file_is_told(tmp_path, before, after, sentence):
    path = own(tmp_path, OWN.replace(before, after))
    with pytest.raises(ConfigError) as caught:
        label_set(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_file_that_is_no_text_is_no_label_set(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not a label set"):
        label_set(tmp_path / "a.toml")


def test_an_unknown_name_is_answered_with_those_there_are(tmp_path):
    for name in ("cityscape", tmp_path):
        with pytest.raises(ConfigError, match="cityscapes, cityscapes19, camvid11"):
            label_set(name)


# Scored classes


def made_of(*labels: tuple[int, int | None, bool]) -> LabelSet:
    """Labels by (id, train_id, ignore), each with a colour and a name of its own."""
    return LabelSet("own", tuple(Label(i, f"n{i}", (i % 256, 0, 1), ignore, place) for i, place, ignore in labels))


@pytest.mark.parametrize("labels", [CITYSCAPES, SCORED])
def test_cityscapes_scores_its_19_train_ids_in_their_order(labels):
    assert [label.name for label in labels.classes] == [name for _, name, place, _ in published() if place is not None]
    assert labels.class_colours.shape == (20, 3)
    assert labels.class_colours[-1].tolist() == [0, 0, 0]


@given(arrays(np.int32, (3, 5), elements=st.integers(0, 33)))
def test_a_class_map_has_each_ids_train_id_and_void_for_the_rest(ids):
    place_of = {i: place for i, _, place, _ in published()}
    expected = [[19 if place_of[i] is None else place_of[i] for i in row] for row in ids.tolist()]
    assert CITYSCAPES.class_map(ids).tolist() == expected
    assert CITYSCAPES.class_map(ids.astype(np.uint8)).tolist() == expected


@pytest.mark.parametrize("wrong", [-1, 34, 255, 26001])
def test_ids_that_the_set_does_not_have_are_no_class(wrong):
    ids = np.array([[7, wrong]], np.int32)
    assert not CITYSCAPES.knows(ids)
    assert CITYSCAPES.knows(ids[:, :1])
    with pytest.raises(DataError, match=f"holds the id {wrong} "):
        CITYSCAPES.class_map(ids)


def test_without_train_ids_every_label_that_is_not_ignored_is_a_class():
    labels = made_of((5, None, False), (9, None, True), (2, None, False))
    assert [label.id for label in labels.classes] == [5, 2]
    assert labels.class_map(np.array([[2, 5, 9]])).tolist() == [[1, 0, 2]]


def test_labels_that_share_a_train_id_are_one_class_of_the_firsts_name():
    labels = made_of((3, 0, False), (4, 1, False), (6, 0, False), (-1, None, False))
    assert [label.name for label in labels.classes] == ["n3", "n4"]
    assert labels.class_map(np.array([[3, 6, 4, -1]])).tolist() == [[0, 0, 1, 2]]


def test_gaps_and_too_many_classes_are_refused():
    with pytest.raises(ConfigError, match="train ids 0, 2: they must run 0, 1, 2 without a gap"):
        made_of((1, 0, False), (2, 2, False)).classes  # noqa: B018
    with pytest.raises(ConfigError, match="has 0 scored classes"):
        made_of((1, None, True)).classes  # noqa: B018
    with pytest.raises(ConfigError, match="has 300 scored classes"):
        made_of(*((i, None, False) for i in range(300))).classes  # noqa: B018
    with pytest.raises(ConfigError, match="at most 65535 apart"):
        made_of((0, None, False), (1 << 30, None, False)).class_map(np.zeros((1, 1), np.int32))
