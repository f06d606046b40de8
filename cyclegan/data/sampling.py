"""Decoded images and a seed go in; batches of random crops come out, each a pure function of where it stands.

As in the reference: A in a new random order every epoch, B drawn at random with replacement, a uniform crop and
a fair horizontal flip, independent for A and B (alike for a pair), an epoch of max(|A|, |B|) pictures. Every
draw belongs to (seed, epoch, picture), so a batch needs no history, and two processes with batch 1 see together
what one with batch 2 sees. The last batch of an epoch is filled up from the epoch's beginning.
"""

import math
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cgeval.images import to_network
from cyclegan.data.cache import DecodedImages

ORDER_STREAM, PICTURE_STREAM = 1, 2


def stream(seed: int, kind: int, epoch: int, number: int) -> np.random.Generator:
    """A random generator that depends on nothing but these four numbers."""
    return np.random.Generator(np.random.Philox(key=[seed, kind], counter=[0, 0, number, epoch]))


@dataclass(frozen=True)
class TrainingData:
    """The training images of one process; `rank` of `world` processes sees every world-th picture of each step."""

    a: DecodedImages
    b: DecodedImages
    paired: bool
    crop_px: int
    flip: bool
    batch_size: int
    seed: int
    rank: int = 0
    world: int = 1

    @property
    def pictures_per_epoch(self) -> int:
        """max(|A|, |B|), the reference's epoch."""
        return max(len(self.a), len(self.b))

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in which every picture is seen."""
        return math.ceil(self.pictures_per_epoch / (self.batch_size * self.world))

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Two float32 tensors [batch_size, 3, crop_px, crop_px] in [-1, 1]."""
        order = self._order(epoch)
        first = step * self.batch_size * self.world + self.rank
        numbers = [first + i * self.world for i in range(self.batch_size)]
        pairs = [self._pair(epoch, number, order) for number in numbers]
        return _stacked([a for a, _ in pairs]), _stacked([b for _, b in pairs])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return stream(self.seed, ORDER_STREAM, epoch, 0).permutation(self.pictures_per_epoch)

    def _pair(self, epoch: int, number: int, order: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        rng = stream(self.seed, PICTURE_STREAM, epoch, number)
        place = int(order[number % self.pictures_per_epoch])
        a, drawn = place % len(self.a), int(rng.integers(len(self.b)))
        window_a, window_b = self._window(rng, self.a), self._window(rng, self.b)
        if self.paired:
            return self.a.pixels[a][window_a], self.b.pixels[a][window_a]
        return self.a.pixels[a][window_a], self.b.pixels[drawn][window_b]

    def _window(self, rng: np.random.Generator, images: DecodedImages) -> tuple[slice, slice]:
        room = images.pixels.shape[1] - self.crop_px
        top, left = (int(offset) for offset in rng.integers(room + 1, size=2))
        columns = slice(left, left + self.crop_px)
        if self.flip and rng.random() < 0.5:
            columns = slice(left + self.crop_px - 1, left - 1 if left else None, -1)
        return slice(top, top + self.crop_px), columns


def _stacked(pictures: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack([to_network(picture) for picture in pictures]))


@dataclass
class PrefetchStats:
    """Seconds that the consumer has waited for a batch."""

    seconds_waited: float = 0.0


@dataclass
class Prefetch:
    """The batches of one epoch, made in a thread a few steps ahead; `close` ends the thread."""

    data: TrainingData
    epoch: int
    first_step: int = 0
    depth: int = 4
    stats: PrefetchStats = field(default_factory=PrefetchStats)

    def __post_init__(self) -> None:
        self.ready: queue.Queue[tuple[int, Tensor, Tensor] | BaseException | None] = queue.Queue(self.depth)
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
        self.thread.start()

    def __iter__(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        while True:
            begun = time.perf_counter()
            item = self.ready.get()
            self.stats.seconds_waited += time.perf_counter() - begun
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """End the thread, whether or not the epoch is over."""
        self.closed.set()
        while self.thread.is_alive():
            try:
                self.ready.get_nowait()
            except queue.Empty:
                self.thread.join(0.01)

    def _work(self) -> None:
        try:
            for step in range(self.first_step, self.data.steps_per_epoch):
                if not self._put((step, *self.data.batch(self.epoch, step))):
                    return
            self._put(None)
        except Exception as error:
            self._put(error)

    def _put(self, item: tuple[int, Tensor, Tensor] | BaseException | None) -> bool:
        while not self.closed.is_set():
            try:
                self.ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


def prefetch(data: TrainingData, epoch: int, first_step: int, depth: int = 4) -> Prefetch:
    """Iterate over (step, a, b) from `first_step` to the end of the epoch."""
    return Prefetch(data, epoch, first_step, depth)
