"""Which photos are trained on and which validate, at which sizes, and what is said of them."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cgeval.datasets import ImageFile
from cgeval.errors import DataError, LayoutError
from cgeval.images import write_png
from cgeval.labelled import LabelledSplit
from cgeval.scorers import material, samples
from cgeval.scorers.material import choose_photos, load_material
from tests.cgeval.scorers.drawn import drawn_dataset, quick_recipe


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), train=16, val=4, test=3)


def load(dataset, recipe=None):
    said = []
    source = choose_photos(dataset, 0)
    return load_material(dataset, source, recipe or quick_recipe(), said.append, progress=False), said


def without(dataset, *names):
    return replace(dataset, splits={name: split for name, split in dataset.splits.items() if name not in names})


def test_without_a_val_split_a_tenth_of_train_is_held_out(dataset):
    dataset = without(dataset, "val")
    source = choose_photos(dataset, seed=1)
    assert (len(source.train), len(source.validation), source.validation_split) == (15, 1, "train (held out)")
    held = {name for name, *_ in source.validation}
    assert held.isdisjoint(name for name, *_ in source.train)
    assert choose_photos(dataset, seed=1) == source
    assert any(choose_photos(dataset, seed=seed) != source for seed in range(2, 6))
    assert "There is no val split, so 1 of the train photos are held out to validate." in load(dataset)[1]


def test_the_test_split_is_never_chosen(dataset):
    source = choose_photos(dataset, 0)
    chosen = {path for _, _, path in [*source.train, *source.validation]}
    assert chosen.isdisjoint(dataset.split("test").truth.values())
    assert source.validation_split == "val"


def test_too_few_photos_are_refused(dataset):
    with pytest.raises(DataError, match="has 0 train photos with a label map"):
        choose_photos(replace(dataset, splits={"train": LabelledSplit("train", {}, {})}), 0)
    with pytest.raises(LayoutError, match="no labelled split 'train'"):
        choose_photos(without(dataset, "train"), 0)


def test_photos_without_a_map_are_counted(dataset):
    split = dataset.split("train")
    more = {**split.photos, "alone": ImageFile("alone", split.photos["000"].path)}
    lonely = replace(dataset, splits={**dataset.splits, "train": replace(split, photos=more)})
    _, said = load(lonely)
    assert "1 train photo without a label map is left out." in said


def test_classes_that_no_photo_shows_are_named_and_maps_of_nothing_refused(dataset, tmp_path):
    assert load(dataset)[1] == ["No train photo shows 'ghost': the scorer will not know it."]
    void = drawn_dataset(tmp_path / "data", train=4, val=2)
    for path in void.split("train").truth.values():
        write_png(path, np.full((48, 64), 9, dtype=np.uint8))
    with pytest.raises(DataError, match="show no scored class of 'drawn'"):
        load(void)


def test_windows_are_filled_up_to_what_networks_take_and_validation_is_at_the_truths_size(dataset):
    found, _ = load(dataset, quick_recipe(size_px=(40, 33)))
    assert found.size_px == (40, 33)
    assert found.samples.window_px == (64, 64)
    photo, truth = found.validation.at(0)
    assert (photo.shape, truth.shape) == ((33, 40, 3), (48, 64))


def test_large_photos_are_kept_no_larger_than_the_highest_zoom_shows(dataset):
    found, _ = load(dataset, quick_recipe(size_px=(32, 32), zoom=(0.5, 1.25)))
    photo, truth = found.samples.photos.at(0)
    assert (photo.shape, truth.shape) == ((40, 40, 3), (40, 40))
    found, _ = load(dataset, quick_recipe(size_px=(64, 48)))
    assert found.samples.photos.at(0)[0].shape == (48, 64, 3)


def test_that_memory_does_not_suffice_is_said(dataset, monkeypatch):
    monkeypatch.setattr(material, "load_photos", partial(samples.load_photos, most_bytes=1000))
    found, said = load(dataset)
    assert found.samples.photos.held is None
    assert any(sentence.startswith("The 16 train photos do not fit into memory") for sentence in said)


def test_the_size_of_the_validation_photos_is_known_unless_they_differ(dataset, tmp_path):
    assert load(dataset, quick_recipe(size_px=(40, 33)))[0].validation_photo_px == (64, 48)
    mixed = drawn_dataset(tmp_path / "data", train=4, val=2)
    write_png(mixed.split("val").photos["000"].path, np.zeros((24, 32, 3), dtype=np.uint8))
    assert load(mixed)[0].validation_photo_px is None
