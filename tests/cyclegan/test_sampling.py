"""Batches are pure functions of (seed, epoch, step) and have the distribution of the reference's loader."""

import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

from cgeval.errors import ImageError
from cyclegan.data.cache import DecodedImages
from cyclegan.data.sampling import TrainingData, prefetch, stream

LOAD, CROP = 11, 8


def numbered(count: int, shift: int = 0) -> DecodedImages:
    """Pictures that tell which they are (red) and where a pixel stood (green: row, blue: column)."""
    pixels = np.zeros((count, LOAD, LOAD, 3), np.uint8)
    pixels[..., 0] = np.arange(shift, shift + count, dtype=np.uint8)[:, None, None]
    pixels[..., 1] = np.arange(LOAD, dtype=np.uint8)[:, None]
    pixels[..., 2] = np.arange(LOAD, dtype=np.uint8)
    return DecodedImages(pixels, tuple(str(i) for i in range(count)))


def data(count_a: int = 5, count_b: int = 7, **changes: object) -> TrainingData:
    plain = TrainingData(numbered(count_a), numbered(count_b, 100), False, CROP, True, 1, seed=0)
    return replace(plain, **changes)


def levels(batch: torch.Tensor) -> np.ndarray:
    """uint8-valued [n, crop, crop, 3] of a batch."""
    return np.rint((batch.numpy() + 1) * 127.5).astype(int).transpose(0, 2, 3, 1)


def drawn(picture: np.ndarray) -> tuple[int, int, int, bool]:
    """Number, top, left and flip of one crop of a numbered picture."""
    columns = picture[0, :, 2]
    return int(picture[0, 0, 0]), int(picture[0, 0, 1]), int(columns.min()), bool(columns[0] > columns[-1])


def epoch_of(source: TrainingData, epoch: int = 0) -> tuple[list[tuple[int, int, int, bool]], ...]:
    """Draws of A and of B over an epoch, filled-up ones included."""
    batches = [source.batch(epoch, step) for step in range(source.steps_per_epoch)]
    return tuple([drawn(p) for batch in batches for p in levels(batch[side])] for side in (0, 1))


# Which pictures


@pytest.mark.parametrize(("count_a", "count_b"), [(5, 7), (7, 5), (1, 4), (4, 1), (3, 3)])
def test_an_epoch_has_as_many_pictures_as_the_larger_domain(count_a, count_b):
    source = data(count_a, count_b)
    assert source.pictures_per_epoch == source.steps_per_epoch == max(count_a, count_b)
    seen = Counter(number for number, *_ in epoch_of(source)[0])
    assert set(seen) == set(range(count_a))
    assert max(seen.values()) - min(seen.values()) <= 1


def test_a_comes_in_a_new_random_order_every_epoch():
    source = data(6, 6)
    orders = {tuple(number for number, *_ in epoch_of(source, epoch)[0]) for epoch in range(20)}
    assert len(orders) == 20
    assert all(sorted(order) == list(range(6)) for order in orders)


def test_every_place_of_the_order_is_equally_likely_for_every_a():
    source, epochs = data(4, 4, flip=False), 2000
    counts = np.zeros((4, 4))
    for epoch in range(epochs):
        for place, number in enumerate(source._order(epoch)):
            counts[place, number] += 1
    assert abs(counts - epochs / 4).max() < 5 * np.sqrt(epochs * 0.25 * 0.75)


def test_b_is_drawn_uniformly_with_replacement():
    source, epochs = data(7, 7), 150
    draws = [epoch_of(source, epoch)[1] for epoch in range(epochs)]
    counts = np.bincount([number - 100 for numbers in draws for number, *_ in numbers], minlength=7)
    assert abs(counts - epochs).max() < 5 * np.sqrt(epochs * 7 * (1 / 7) * (6 / 7))
    assert any(len({number for number, *_ in numbers}) < 7 for numbers in draws)


def test_the_last_batch_is_filled_from_the_epochs_beginning_with_new_crops():
    source = data(5, 5, batch_size=4)
    assert source.steps_per_epoch == 2
    numbers, crops = zip(*((number, crop) for number, *crop in epoch_of(source)[0]), strict=True)
    assert numbers[5:8] == numbers[:3]
    assert crops[5:8] != crops[:3]


# Which window


def test_crops_and_flips_are_uniform_fair_and_independent():
    source = data(1, 50)
    a, b = (np.array([draw[1:] for epoch in range(30) for draw in epoch_of(source, epoch)[side]]) for side in (0, 1))
    count, room = len(a), LOAD - CROP + 1
    for draws in (a, b):
        for offsets in (draws[:, 0], draws[:, 1]):
            found = np.bincount(offsets, minlength=room)
            assert len(found) == room  # 0 and LOAD - CROP both occur, nothing outside
            assert abs(found - count / room).max() < 5 * np.sqrt(count / room)
        assert abs(draws[:, 2].mean() - 0.5) < 2.5 / np.sqrt(count)
    independent = np.corrcoef(np.hstack([a, b]).T.astype(float)) - np.eye(6)
    assert abs(independent).max() < 5 / np.sqrt(count)


def test_no_flip_and_no_room_leave_the_picture_as_it_is():
    source = data(crop_px=LOAD, flip=False)
    a, _ = source.batch(0, 0)
    number = int(levels(a)[0, 0, 0, 0])
    assert np.array_equal(levels(a)[0], source.a.pixels[number])


def test_pairs_are_the_same_picture_in_the_same_window():
    source = data(6, 6, paired=True, batch_size=3)
    for epoch in range(5):
        a, b = epoch_of(source, epoch)
        assert [(number + 100, *window) for number, *window in a] == b
        assert sorted(number for number, *_ in a) == list(range(6))


def test_a_crop_equals_the_references_transforms_on_the_same_draws():
    rng = np.random.default_rng(0)
    original = Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8))
    loaded = transforms.Resize([LOAD, LOAD], transforms.InterpolationMode.BICUBIC)(original)
    pixels = np.asarray(loaded)[None]
    marked = replace(data(), a=numbered(1), b=numbered(1, 100))
    source = replace(marked, a=DecodedImages(pixels, ("x",)), b=DecodedImages(pixels, ("x",)))
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])
    for epoch in range(12):
        for ours, mark in zip(source.batch(epoch, 0), marked.batch(epoch, 0), strict=True):
            _, top, left, flip = drawn(levels(mark)[0])
            crop = functional.crop(loaded, top, left, CROP, CROP)
            theirs = to_tensor(functional.hflip(crop) if flip else crop)
            torch.testing.assert_close(ours[0], theirs, rtol=0, atol=2e-7)


def test_batches_are_float32_in_minus_one_to_one():
    extremes = DecodedImages(
        np.stack([np.zeros((LOAD, LOAD, 3)), np.full((LOAD, LOAD, 3), 255)]).astype(np.uint8), ("0", "1")
    )
    a, b = data(2, 2, a=extremes, b=extremes, batch_size=2).batch(0, 0)
    assert a.dtype == b.dtype == torch.float32
    assert a.shape == b.shape == (2, 3, CROP, CROP)
    assert (float(a.min()), float(a.max())) == (-1.0, 1.0)


# A function of the position


def test_a_batch_needs_no_history():
    forwards = [data().batch(epoch, step) for epoch in range(2) for step in range(7)]
    backwards = [data().batch(epoch, step) for epoch in (1, 0) for step in reversed(range(7))][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_another_seed_draws_otherwise():
    assert epoch_of(data(seed=0)) != epoch_of(data(seed=1))
    assert epoch_of(data(seed=2**63 - 1)) != epoch_of(data(seed=2**63 - 2))


def test_the_draws_are_pinned():
    """A resumed run must see the same pictures in a later version: change these only with a new stream."""
    assert stream(3, 2, 5, 7).integers(1000, size=4).tolist() == [441, 669, 206, 48]
    a, b = epoch_of(data())
    assert a[:3] == [(2, 3, 3, True), (0, 2, 2, True), (4, 0, 1, True)]
    assert b[:3] == [(104, 1, 3, False), (103, 1, 3, False), (105, 2, 3, False)]


@settings(max_examples=40, deadline=None)
@given(
    count_a=st.integers(1, 9),
    count_b=st.integers(1, 9),
    batch=st.integers(1, 3),
    world=st.integers(1, 3),
    epoch=st.integers(0, 3),
    paired=st.booleans(),
)
def test_processes_see_together_what_one_with_the_larger_batch_sees(count_a, count_b, batch, world, epoch, paired):
    count_b = count_a if paired else count_b
    alone = data(count_a, count_b, paired=paired, batch_size=batch * world)
    ranks = [replace(alone, batch_size=batch, rank=rank, world=world) for rank in range(world)]
    assert {rank.steps_per_epoch for rank in ranks} == {alone.steps_per_epoch}
    for step in range(alone.steps_per_epoch):
        whole = alone.batch(epoch, step)
        parts = [rank.batch(epoch, step) for rank in ranks]
        for side in (0, 1):
            together = torch.stack([part[side] for part in parts], 1).flatten(0, 1)
            assert torch.equal(together, whole[side])


# Made ahead


def test_prefetched_batches_are_those_of_the_epoch_from_the_first_step_on():
    source = data(9, 9)
    for first in (0, 4, 8, 9):
        feed = prefetch(source, 2, first)
        steps = list(feed)
        assert [step for step, _, _ in steps] == list(range(first, 9))
        for step, a, b in steps:
            assert torch.equal(a, source.batch(2, step)[0])
            assert torch.equal(b, source.batch(2, step)[1])
        feed.close()


class Failing:
    """Batches whose third cannot be read."""

    steps_per_epoch = 5

    def batch(self, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if step == 2:
            raise ImageError("x.jpg is broken")
        return torch.zeros(1), torch.ones(1)


def test_an_error_in_the_thread_is_raised_where_the_batch_is_wanted():
    feed = prefetch(Failing(), 0, 0)
    batches = iter(feed)
    assert [next(batches)[0], next(batches)[0]] == [0, 1]
    with pytest.raises(ImageError, match=r"x\.jpg"):
        next(batches)
    feed.close()
    assert not feed.thread.is_alive()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_closing_ends_the_thread_in_the_middle_of_an_epoch(taken):
    before = threading.active_count()
    feed = prefetch(data(50, 50), 0, 0, depth=2)
    for _, _ in zip(range(taken), feed, strict=False):
        pass
    feed.close()
    feed.close()
    assert not feed.thread.is_alive()
    assert threading.active_count() == before


def test_batches_are_made_only_a_few_steps_ahead():
    feed = prefetch(data(50, 50), 0, 0, depth=3)
    deadline = time.monotonic() + 10
    while feed.ready.qsize() < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert feed.ready.qsize() == 3
    feed.close()


class Slow:
    """Batches that take 20 ms each."""

    steps_per_epoch = 5

    def batch(self, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        time.sleep(0.02)
        return torch.zeros(1), torch.zeros(1)


def test_the_time_waited_for_data_is_counted():
    hurried, patient = prefetch(Slow(), 0, 0), prefetch(Slow(), 0, 0)
    assert len(list(hurried)) == 5
    while not patient.ready.full():
        time.sleep(0.001)
    assert len(list(patient)) == 5
    assert patient.stats.seconds_waited < hurried.stats.seconds_waited
    assert hurried.stats.seconds_waited > 0.05
