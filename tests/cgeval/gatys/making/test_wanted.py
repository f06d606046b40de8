"""Which styles are meant by what a user names."""

import pytest

from cgeval.errors import ConfigError, LayoutError
from cgeval.gatys.making.wanted import Named, single_of, wanted_styles
from cgeval.images import write_png
from tests.cgeval.gatys.pictures import photo, write_dataset, write_photos


def test_a_dataset_has_its_own_the_training_images_that_are_aimed_at(tmp_path):
    data = write_dataset(tmp_path / "data", train=5)
    (style,) = wanted_styles(Named(), data, "AtoB")
    assert (style.name, style.variant, style.kind, style.singles) == ("collection", "collection", "collection", 2)
    assert [file.path.parent.parent.name for file in style.files] == ["trainB"] * 5
    assert style.filter == "bicubic"
    (style,) = wanted_styles(Named(singles=0), data, "BtoA")
    assert style.files[0].path.parent.parent.name == "trainA"
    assert (style.filter, style.singles) == ("nearest", 0)


def test_single_images_and_a_folders_average(tmp_path):
    night, monet = tmp_path / "starry night.png", write_photos(tmp_path / "monet", 3)
    write_png(night, photo(0))
    collection, single = wanted_styles(Named((night,), (monet,), 1), tmp_path, "AtoB")
    assert (single.name, single.variant, single.kind) == ("starry-night", "starry night", "image")
    assert (collection.name, collection.variant, len(collection.files)) == ("collection-monet", "collection monet", 3)
    assert collection.singles == 1
    alone = single_of(collection, collection.files[2])
    assert (alone.name, alone.variant, alone.kind, alone.files) == ("2", "2", "image", (collection.files[2],))


def test_several_images_are_averaged_into_one_style(tmp_path):
    folder = write_photos(tmp_path / "two", 2)
    (style,) = wanted_styles(Named(collection=(folder / "0.png", folder / "1.png")), tmp_path, "AtoB")
    assert (style.kind, style.name, style.variant, len(style.files)) == ("images", "0+1", "0 + 1", 2)


def test_a_saved_style_is_named_like_an_image(tmp_path):
    (tmp_path / "monet.safetensors").write_bytes(b"")
    (style,) = wanted_styles(Named((tmp_path / "monet.safetensors",)), tmp_path, "AtoB")
    assert (style.kind, style.name, style.files) == ("saved", "monet", ())


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (Named(), "no style is named"),
        (Named(styles=("photos",)), "name it by --collection"),
        (Named(styles=("photos/0.png", "again/0.png")), "two styles would be called '0'"),
        (Named(styles=("photos/0.png",), singles=2), "add --collection DIR"),
        (Named(collection=("photos",), singles=9), "--styles is 9, and the collection has 2"),
        (Named(collection=("old.safetensors",)), "named by --style"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(tmp_path, named, told):
    write_photos(tmp_path / "photos", 2)
    write_photos(tmp_path / "again", 1)
    styles, collection = (tuple(tmp_path / path for path in paths) for paths in (named.styles, named.collection))
    with pytest.raises(ConfigError, match=told):
        wanted_styles(Named(styles, collection, named.singles), tmp_path / "photos", "AtoB")


@pytest.mark.parametrize("name", ["nowhere.jpg", "old.safetensors"])
def test_a_style_that_is_not_there(tmp_path, name):
    with pytest.raises(LayoutError, match=f"{name} is not there"):
        wanted_styles(Named((tmp_path / name,)), tmp_path, "AtoB")


def test_a_dataset_is_no_collection_and_an_empty_folder_is_none(tmp_path):
    data = write_dataset(tmp_path / "data")
    with pytest.raises(LayoutError, match="name one folder of it"):
        wanted_styles(Named(collection=(data,)), tmp_path, "AtoB")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LayoutError, match="holds no images"):
        wanted_styles(Named(collection=(tmp_path / "empty",)), tmp_path, "AtoB")
