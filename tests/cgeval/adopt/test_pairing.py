"""Who belongs to whom, by names, by numbers and by what pictures show; and every doubt is a refusal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.adopt.pairing import (
    BORDER,
    FARTHEST,
    Pairing,
    Refusal,
    by_content,
    by_index,
    by_name,
    nearest,
    numbers_in,
    thumbnail,
)
from cgeval.images import find_images, read_rgb, resize
from cgeval.labels import label_set
from cgeval.truth import read_label_ids
from tests.cgeval.adopt.foreign import labels, photo, through_jpeg

NATURAL = [str(n) for n in range(1, 13)]


def thumbnails(pictures):
    return np.stack([thumbnail(picture) for picture in pictures])


# By name


@pytest.mark.parametrize(
    ("name", "image_id", "how"),
    [
        ("aachen/aachen_000000_000019", "aachen/aachen_000000_000019", "their names"),
        ("aachen/x_leftImg8bit", "aachen/x", "their names without endings"),
        ("aachen_000000_000019", "aachen/aachen_000000_000019", "the last part of their names"),
        ("x_leftImg8bit", "aachen/x", "the last part of their names without endings"),
        ("x_gtFine_color", "aachen/x", "the last part of their names without endings"),
        ("x_gtFine_labelIds", "x_leftImg8bit", "their names without endings"),
        ("7_A_fake_B", "7", "their names without endings"),
        ("7-outputs", "7", "their names without endings"),
        ("0007", "7", "the numbers that their names are"),
    ],
)
def test_a_name_finds_its_image(name, image_id, how):
    assert by_name([name], ["other", image_id]) == Pairing(how, {name: image_id}, {})


def test_the_strictest_rule_that_fits_all_names_is_taken():
    assert by_name(["a/1", "b/1"], ["a/1", "b/1"]).how == "their names"
    assert by_name(["x_A", "x_B"], ["x_A", "x_B"]).ids == {"x_A": "x_A", "x_B": "x_B"}


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["1"], ["a/1", "b/1"]),  # which of the two?
        (["1_A", "1_B"], ["1"]),  # both?
        (["01", "1"], ["1", "2"]),
        (["a", "b", "c"], ["a", "b"]),  # an extra one
    ],
)
def test_what_is_not_one_to_one_or_not_complete_is_refused(names, ids):
    assert isinstance(by_name(names, ids), Refusal)


def test_a_refusal_says_how_many_fit_and_which_does_not():
    assert "2 of 3 results have the name of an image there (first without: 'c')" in by_name("abc", "abd").reason


@pytest.mark.parametrize(
    ("names", "ids", "first"),
    [
        (["0", "1", "2"], ["1", "2", "3"], 0),
        (["1", "2", "3"], ["0", "1", "2"], 1),
        (["0_A", "1_A"], ["1_B", "2_B", "3_B"], 0),
        (["img000", "img001"], ["1", "2"], 0),
    ],
)
def test_names_counted_from_0_against_ids_from_1_are_off_by_one(names, ids, first):
    refusal = by_name(names, ids)
    assert "off by one" in refusal.reason
    assert f"--pair index --index-from {first} --index-order natural" in refusal.advice
    assert by_index(names, ids, first, "natural").ids[names[0]] == ids[0]


def test_a_dataset_with_gaps_is_not_called_off_by_one():
    assert "off by one" not in by_name(["0", "1"], ["1", "2", "7"]).reason


# By number


def test_a_number_counts_into_the_datasets_order():
    from_0 = {str(n): str(n + 1) for n in range(12)}
    assert by_index(list(from_0), NATURAL, 0, "natural").ids == from_0
    assert by_index(NATURAL, NATURAL, 1, "natural").ids == {name: name for name in NATURAL}
    assert by_index(["img_3.0".removesuffix(".0")], NATURAL, 1, "natural").ids == {"img_3": "3"}


def test_names_without_numbers_are_counted_by_rank_in_the_stated_order():
    names = ["x2y1", "x10y1", "x1y1"]
    assert by_index(names, list("abc"), 0, "natural").ids == {"x1y1": "a", "x2y1": "b", "x10y1": "c"}
    assert by_index(names, list("abc"), 0, "lexicographic").ids == {"x10y1": "a", "x1y1": "b", "x2y1": "c"}


def test_a_number_outside_the_split_is_refused():
    refusal = by_index(NATURAL, NATURAL, 0, "natural")
    assert "numbered 1 to 12, and from 0 the 12 images there are 0 to 11 (first outside: '12')" in refusal.reason


def test_ranks_of_some_of_the_images_are_refused():
    assert "cannot be told" in by_index(["a1b1", "a1b2"], list("abc"), 0, "natural").reason


@pytest.mark.parametrize("names", [["1", "01"], ["a1", "b2"], ["f1_2", "f1_3"], ["a", "1"]])
def test_names_have_numbers_only_if_they_are_alike_but_for_one(names):
    assert numbers_in(names) is None


# By what the pictures show


@given(order=st.permutations(range(12)), kind=st.sampled_from([photo, labels]), px=st.sampled_from([48, 64, 128]))
@settings(max_examples=40, deadline=None)
def test_any_permutation_of_names_is_recovered_from_the_pictures(order, kind, px):
    ids = [f"id{n}" for n in range(12)]
    known = thumbnails(kind(n, 96) for n in range(12))
    smaller = "bicubic" if kind is photo else "nearest"
    seen = thumbnails(resize(kind(n, 96), px, px, smaller) for n in order)
    names = [str(place) for place in range(12)]
    assert by_content(names, seen, ids, known).ids == {name: f"id{n}" for name, n in zip(names, order, strict=True)}


@pytest.mark.parametrize("quality", [50, 95])
def test_jpeg_inputs_of_another_size_are_recognised(quality):
    known = thumbnails(photo(n, 96) for n in range(20))
    seen = thumbnails(through_jpeg(resize(photo(n, 96), 48, 64, "bilinear"), quality) for n in (7, 3, 11))
    assert by_content(list("abc"), seen, [str(n) for n in range(20)], known).ids == {"a": "7", "b": "3", "c": "11"}


def test_a_picture_that_the_dataset_has_twice_is_refused():
    known = thumbnails([photo(0), photo(1), photo(0)])
    refusal = by_content(["a"], thumbnails([photo(0)]), ["x", "y", "z"], known)
    assert "1 of 1 input images look like two images there (first: 'a', like 'x' and 'z')" in refusal.reason


def test_a_picture_that_the_dataset_lacks_is_refused_with_its_distance():
    refusal = by_content(["a", "b"], thumbnails([photo(0), photo(9)]), ["x", "y"], thumbnails([photo(0), photo(1)]))
    assert refusal.reason.startswith("1 of 2 input images look like none there (first: 'b', whose nearest")
    assert f"{FARTHEST:.0f} is the limit" in refusal.reason


def test_a_frame_between_two_of_the_datasets_is_refused():
    frames = thumbnails((photo(0) * (1 - share) + photo(1) * share).astype(np.uint8) for share in (0, 0.05, 0.1))
    refusal = by_content(["a"], frames[1:2], ["x", "y"], frames[[0, 2]])
    assert "like 'x' and 'y'" in refusal.reason or "like 'y' and 'x'" in refusal.reason


def test_two_inputs_that_look_like_one_image_are_refused():
    brighter = np.clip(photo(0).astype(np.int32) + 4, 0, 255).astype(np.uint8)
    refusal = by_content(["a", "b"], thumbnails([photo(0), brighter]), ["x"], thumbnails([photo(0)]))
    assert "'a' and 'b' like 'x'" in refusal.reason


def test_an_input_that_is_there_twice_is_told_as_a_repeat():
    """The reference goes round the smaller domain: the first images come again at the end."""
    pairing = by_content(
        list("abc"), thumbnails([photo(0), photo(1), photo(0)]), ["x", "y"], thumbnails([photo(0), photo(1)])
    )
    assert (pairing.ids, pairing.repeats) == ({"a": "x", "b": "y"}, {"c": "a"})


def test_leaning_is_the_place_on_the_line_between_two_pictures():
    known = np.array([[0, 0, 0, 0], [10, 0, 0, 0]], dtype=np.float32)
    at_the_nearest, a_third, aside = nearest(np.array([[0, 0, 0, 0], [3, 0, 0, 0], [1, 9, 0, 0]], np.float32), known)
    assert (at_the_nearest.place, at_the_nearest.distance, at_the_nearest.leaning) == (0, 0, 0)
    assert a_third.leaning == pytest.approx(0.3)
    assert aside.leaning == pytest.approx(0.1)  # what is at right angles to the line does not count
    assert aside.distance == pytest.approx((82 / 4) ** 0.5)


def test_blocks_give_what_one_computation_gives(monkeypatch):
    seen, known = thumbnails(photo(n) for n in range(7)), thumbnails(photo(n, 64) for n in range(9))
    whole = nearest(seen, known)
    monkeypatch.setattr("cgeval.adopt.pairing.BLOCK", 2)
    assert [near.place for near in nearest(seen, known)] == [near.place for near in whole] == list(range(7))


# Real pictures


@pytest.fixture(scope="module")
def frames(shared_data):
    """CamVid's validation photos and maps: consecutive frames, 2 of 30 a second apart, hardly different."""
    folder, set_of_labels = shared_data / "camvid" / "val", label_set("camvid11")
    photos = [read_rgb(path) for path in find_images(folder / "photo")[:40]]
    maps = [
        set_of_labels.colours_of(read_label_ids(path, set_of_labels)) for path in find_images(folder / "label")[:40]
    ]
    return photos, maps


@pytest.mark.parametrize(("kind", "smaller"), [(0, "bicubic"), (0, "bilinear"), (1, "nearest"), (1, "bicubic")])
def test_neighbouring_frames_are_told_apart_at_another_size(frames, kind, smaller):
    pictures = frames[kind]
    ids = [str(n) for n in range(len(pictures))]
    order = np.random.default_rng(0).permutation(len(pictures))
    seen = thumbnails(resize(pictures[n], 128, 128, smaller) for n in order)
    pairing = by_content(ids, seen, ids, thumbnails(pictures))
    assert pairing.ids == {name: str(n) for name, n in zip(ids, order, strict=True)}


def test_neighbouring_frames_are_told_apart_through_jpeg(frames):
    pictures = frames[0]
    ids = [str(n) for n in range(len(pictures))]
    seen = thumbnails(through_jpeg(resize(picture, 128, 128, "bicubic"), 50) for picture in pictures)
    assert by_content(ids, seen, ids, thumbnails(pictures)).ids == {name: name for name in ids}
    assert max(abs(near.leaning) for near in nearest(seen, thumbnails(pictures))) < BORDER


def test_frames_whose_neighbours_alone_are_in_the_dataset_are_refused(frames):
    odd, even = thumbnails(frames[0][1::2]), thumbnails(frames[0][::2])
    assert isinstance(by_content([str(n) for n in range(20)], odd, [str(n) for n in range(20)], even), Refusal)
