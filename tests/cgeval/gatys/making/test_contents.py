"""Which images are stylised, at which size, under which names."""

import numpy as np
import pytest

from cgeval.errors import CgevalError, ConfigError, ImageError, LayoutError
from cgeval.gatys.making.contents import batches, content_digest, is_dataset, open_contents
from cgeval.images import write_png
from tests.cgeval.gatys.pictures import COLOURS, photo, write_dataset, write_photos


def test_a_datasets_split_is_squashed_and_aims_at_its_pairs(tmp_path):
    (contents,) = open_contents(write_dataset(tmp_path / "data"))
    assert (contents.direction, contents.split, contents.size_px) == ("AtoB", "test", 32)
    assert [file.id for file in contents.files] == ["drive/0", "drive/1"]
    assert contents.targets == {"drive/0", "drive/1"}
    assert contents.facts["label_domain"] == "A"
    assert contents.read(contents.files[0]).shape == (32, 32, 3)


def test_label_maps_keep_their_colours_and_photos_are_smoothed(tmp_path):
    maps, photos = open_contents(write_dataset(tmp_path / "data"), directions=["AtoB", "BtoA"], size_px=20)
    assert (maps.filter, photos.filter) == ("nearest", "bicubic")
    colours = {tuple(colour) for colour in maps.read(maps.files[0]).reshape(-1, 3)}
    assert colours <= {tuple(colour) for colour in COLOURS}


def test_a_folder_keeps_shapes_and_its_longer_side_becomes_the_size(tmp_path):
    write_photos(tmp_path / "my holidays", 1, width=40, height=20)
    (contents,) = open_contents(tmp_path / "my holidays", size_px=80)
    assert contents.split == "my-holidays"
    assert contents.size_of(contents.files[0]) == (80, 40)
    assert contents.read(contents.files[0]).shape == (40, 80, 3)


def test_one_file_is_content_under_its_own_name(tmp_path):
    write_png(tmp_path / "tübingen.png", photo(0))
    (contents,) = open_contents(tmp_path / "tübingen.png")
    assert [file.id for file in contents.files] == ["tübingen"]
    assert (contents.split, contents.size_px, contents.targets) == ("t-bingen", 256, frozenset())


def test_batches_hold_one_size_each_and_every_image_once(tmp_path):
    write_photos(tmp_path / "mixed", 3, width=20, height=20)
    write_png(tmp_path / "mixed" / "1.png", photo(7, width=30, height=20))
    write_photos(tmp_path / "mixed" / "more", 3, width=20, height=20)
    (contents,) = open_contents(tmp_path / "mixed", size_px=24)
    made = batches(contents, 2)
    assert [len(batch) for batch in made] == [2, 2, 1, 1]
    assert {file.id for batch in made for file in batch} == {file.id for file in contents.files}
    assert all(len({contents.size_of(file) for file in batch}) == 1 for batch in made)


def test_the_digest_is_of_pixels_and_not_of_files(tmp_path):
    (before,) = open_contents(write_photos(tmp_path / "a", 2))
    (copied,) = open_contents(write_photos(tmp_path / "b", 2))
    assert content_digest(before) == content_digest(copied)
    (larger,) = open_contents(tmp_path / "a", size_px=64)
    assert content_digest(larger) != content_digest(before)
    changed = photo(0)
    changed[0, 0, 0] ^= 255
    write_png(tmp_path / "b" / "0.png", changed)
    assert content_digest(copied) != content_digest(before)


def test_aligned_pictures_are_split_in_the_middle(tmp_path):
    for split in ("train", "test"):
        (tmp_path / "data" / split).mkdir(parents=True)
        write_png(tmp_path / "data" / split / "x.png", np.concatenate([photo(1), photo(2)], axis=1))
    one, other = open_contents(tmp_path / "data", directions=["AtoB", "BtoA"], size_px=24)
    assert np.array_equal(one.read(one.files[0]), photo(1))
    assert np.array_equal(other.read(other.files[0]), photo(2))


@pytest.mark.parametrize("kind", ["missing", "empty", "no image", "broken dataset"])
def test_what_is_no_content_is_one_sentence(tmp_path, kind):
    path = tmp_path / "here"
    if kind != "missing":
        path.mkdir()
    if kind == "no image":
        path = path / "image.png"
        path.write_text("none")
    if kind == "broken dataset":
        write_photos(path / "trainA", 1)
    with pytest.raises(CgevalError) as error:
        open_contents(path)
    assert str(path.name) in str(error.value)
    assert isinstance(error.value, ImageError if kind == "no image" else LayoutError)


def test_a_broken_image_is_named_before_the_long_work(tmp_path):
    write_photos(tmp_path / "a", 3)
    whole = (tmp_path / "a" / "1.png").read_bytes()
    (tmp_path / "a" / "1.png").write_bytes(whole[: len(whole) // 2])
    (contents,) = open_contents(tmp_path / "a")
    with pytest.raises(ImageError, match=r"1\.png"):
        content_digest(contents)


def test_splits_and_directions_belong_to_datasets(tmp_path):
    folder = write_photos(tmp_path / "a", 1)
    with pytest.raises(ConfigError, match="--split val"):
        open_contents(folder, split="val")
    with pytest.raises(ConfigError, match="leave out --direction"):
        open_contents(folder, directions=["BtoA"])
    with pytest.raises(LayoutError, match="no split 'val'; there: train, test"):
        open_contents(write_dataset(tmp_path / "data"), split="val")


def test_a_folder_is_a_dataset_if_it_looks_like_one(tmp_path):
    assert is_dataset(write_dataset(tmp_path / "data"))
    assert not is_dataset(write_photos(tmp_path / "a", 1))
    assert not is_dataset(tmp_path / "nowhere")
