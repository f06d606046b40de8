"""Batches to train on: the same for the same step, photo and truth cut alike, class maps never interpolated."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.errors import DataError, ImageError
from cgeval.images import resize, write_png
from cgeval.scorers.samples import Samples, batches, class_weights, load_photos, recoloured
from tests.cgeval.scorers.drawn import LABELS, drawn_dataset

VOID = 4


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), train=7).split("train").pairs()


@pytest.fixture(scope="module")
def photos(files):
    return load_photos(files, LABELS, None, None)


def samples_of(photos, **changes):
    plain = {"size_px": (64, 48), "window_px": (64, 64), "zoom": (0.5, 2.0), "flip": True, "jitter": 0.3}
    return Samples(photos, **(plain | {"batch_size": 4, "seed": 3} | changes))


def coded(photos):
    """The same photos, each pixel's red telling its class: what is cut alike shows."""
    held = [(np.stack([truth * 60, truth * 0, truth * 0], axis=2), truth) for _, truth in photos.held]
    return replace(photos, held=held)


def test_a_batch_is_uint8_photos_and_class_maps_of_the_window(photos):
    images, truth = samples_of(photos).batch(0)
    assert (images.dtype, images.shape) == (torch.uint8, (4, 3, 64, 64))
    assert (truth.dtype, truth.shape) == (torch.uint8, (4, 64, 64))


def test_the_same_seed_and_step_give_the_same_batch_and_others_another(photos):
    batch = samples_of(photos).batch(5)
    assert all(torch.equal(a, b) for a, b in zip(batch, samples_of(photos).batch(5), strict=True))
    assert not torch.equal(batch[0], samples_of(photos).batch(6)[0])
    assert not torch.equal(batch[0], samples_of(photos, seed=4).batch(5)[0])


def test_batches_from_any_step_are_those_of_that_step_whatever_the_threads(photos):
    samples = samples_of(photos)
    for workers in (1, 3):
        for step, (images, truth) in enumerate(batches(samples, 3, 9, workers), 3):
            assert torch.equal(images, samples.batch(step)[0])
            assert torch.equal(truth, samples.batch(step)[1])
        assert step == 8
    assert list(batches(samples, 4, 4, 1)) == []
    assert len(list(batches(samples, 4, 6, 1))) == 2


def test_a_broken_file_in_a_thread_reaches_the_trainer(files, photos, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = [(name, replace(image, path=tmp_path / "broken.png"), truth) for name, image, truth in files]
    feed = batches(samples_of(replace(photos, files=broken, held=None)), 0, 4, 2)
    with pytest.raises(ImageError, match=r"broken\.png"):
        next(feed)


def test_closing_early_ends_the_threads(photos):
    feed = batches(samples_of(photos), 0, 10_000, 2)
    assert len(list(islice(feed, 3))) == 3
    feed.close()
    assert list(feed) == []


def test_every_photo_is_seen_once_an_epoch_and_the_last_batch_is_filled_up(photos):
    samples = samples_of(photos, size_px=(64, 48), window_px=(64, 48), zoom=(1.0, 1.0), flip=False, jitter=0)
    assert samples.steps_per_epoch == 2
    for epoch in (0, 1):
        seen = np.concatenate([samples.batch(2 * epoch + place)[0].permute(0, 2, 3, 1).numpy() for place in (0, 1)])
        places = [next(i for i, (photo, _) in enumerate(photos.held) if np.array_equal(photo, one)) for one in seen]
        assert sorted(places[:7]) == list(range(7))
        assert places[7] == places[0]


def test_at_zoom_1_without_changes_the_photo_and_its_map_come_as_they_are(photos):
    size = (64, 64)
    samples = samples_of(photos, size_px=size, window_px=size, zoom=(1.0, 1.0), flip=False, jitter=0, batch_size=7)
    images, truth = samples.batch(0)
    whole = {resize(photo, *size, "bilinear").tobytes(): resize(ids, *size, "nearest") for photo, ids in photos.held}
    for image, ids in zip(images.permute(0, 2, 3, 1).numpy(), truth.numpy(), strict=True):
        assert np.array_equal(whole[image.tobytes()], ids)


def all_alike(truth, reach=2):
    """Where a class map [n, h, w] has one class in all directions, so that no filter mixes two."""
    shifts = [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
    inner = np.stack([np.roll(truth, shift, axis=(1, 2)) == truth for shift in shifts]).all(axis=0)
    inner[:, :reach], inner[:, -reach:], inner[:, :, :reach], inner[:, :, -reach:] = False, False, False, False
    return inner


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.4, 3), st.sampled_from([(32, 32), (64, 64), (96, 32), (32, 96)]))
def test_photo_and_truth_are_cut_alike_and_no_class_is_invented(photos, step, zoom, window):
    samples = samples_of(coded(photos), window_px=window, zoom=(zoom, zoom), jitter=0)
    images, truth = samples.batch(step)
    red, truth = images[:, 0].numpy(), truth.numpy()
    assert set(np.unique(truth)) <= {0, 1, 2, VOID}
    inside = all_alike(truth) & (truth != VOID)
    assert inside.any()
    assert np.array_equal(red[inside], truth[inside] * 60)


def test_where_the_window_leaves_the_picture_the_truth_is_void_and_the_border_is_repeated(photos):
    grass = [(np.full((48, 64, 3), 77, np.uint8), np.zeros((48, 64), np.uint8)) for _ in range(len(photos))]
    samples = samples_of(replace(photos, held=grass), zoom=(0.5, 0.5), jitter=0)
    images, truth = samples.batch(0)
    assert (images == 77).all()
    assert ((truth == 0).sum(dim=(1, 2)) == 32 * 24).all()
    assert ((truth == VOID).sum(dim=(1, 2)) == 64 * 64 - 32 * 24).all()


def test_photos_and_maps_of_different_sizes_show_the_same(photos):
    double = [(photo, np.repeat(np.repeat(truth, 2, 0), 2, 1)) for photo, truth in photos.held]
    ours, theirs = samples_of(photos).batch(1), samples_of(replace(photos, held=double)).batch(1)
    assert torch.equal(ours[0], theirs[0])
    assert (ours[1] == theirs[1]).float().mean() > 0.97


def test_photos_that_do_not_fit_into_memory_are_decoded_when_asked_for(files, photos):
    loose = load_photos(files, LABELS, None, None, most_bytes=1000)
    assert loose.held is None
    assert np.array_equal(loose.pixels, photos.pixels)
    for ours, theirs in zip(samples_of(loose).batch(2), samples_of(photos).batch(2), strict=True):
        assert torch.equal(ours, theirs)


def test_photos_are_kept_at_the_size_asked_for(files):
    small = load_photos(files, LABELS, (32, 24), (16, 12))
    assert {(photo.shape, truth.shape) for photo, truth in small.held} == {((24, 32, 3), (12, 16))}
    assert small.pixels.sum() == 7 * 48 * 64
    assert len(small.first(3)) == 3


def test_class_pixels_are_counted_over_whole_maps(photos):
    assert photos.pixels.shape == (7, 5)
    counted = np.stack([np.bincount(truth.ravel(), minlength=5) for _, truth in photos.held])
    assert np.array_equal(photos.pixels, counted)


def test_class_weights_are_those_of_the_papers():
    pixels = np.array([[80, 20, 0, 0, 10], [50, 0, 50, 0, 999]])  # 4 classes, the last never seen; void counts nowhere
    assert class_weights(pixels, "none").tolist() == [1, 1, 1, 1]
    enet = 1 / np.log(1.02 + np.array([0.65, 0.1, 0.25]))
    assert class_weights(pixels, "enet") == pytest.approx([*enet, 1])
    frequency = np.array([130 / 200, 20 / 100, 50 / 100])
    assert class_weights(pixels, "median_frequency") == pytest.approx([*(0.5 / frequency), 1])


def test_other_light_changes_colours_and_not_what_is_where():
    rng = np.random.default_rng(0)
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[:, 4:] = (200, 90, 40)
    changed = recoloured(photo, rng, 0.5)
    assert not np.array_equal(changed, photo)
    assert len({tuple(pixel) for pixel in changed[:, :4].reshape(-1, 3)}) == 1
    assert len({tuple(pixel) for pixel in changed[:, 4:].reshape(-1, 3)}) == 1
    assert recoloured(photo, rng, 0) is photo


def test_other_light_leaves_grey_grey():
    grey = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[None, :, None], 3, axis=2)
    changed = recoloured(grey, np.random.default_rng(1), 0.3).astype(int)
    assert (changed.max(axis=2) - changed.min(axis=2)).max() <= 1


def test_a_map_in_unknown_ids_is_refused_while_reading(files, tmp_path):
    write_png(tmp_path / "bad.png", np.full((48, 64), 77, np.uint8))
    name, image, _ = files[0]
    with pytest.raises(DataError, match=r"bad\.png .*77"):
        load_photos([(name, image, tmp_path / "bad.png")], LABELS, None, None)
