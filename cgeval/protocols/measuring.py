"""Items go in; one confusion matrix for each comes out, with thumbnails of what was compared.

Reading, resizing, counting and writing happen in threads beside the network's forward pass, which alone keeps the
main thread. What a prediction needs is given as a `Predictor`; without torch there is the one by colours.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import DataError
from cgeval.images import Picture
from cgeval.labels import LabelSet
from cgeval.metrics import ConfusionMatrix
from cgeval.protocols.pictures_in import Item, Size
from cgeval.protocols.predictions import PredictionCache
from cgeval.protocols.traps import thumbnail
from cgeval.truth import read_truth

ClassMap = NDArray[np.uint8]
Tick = Callable[[int], object]


class Predictor(Protocol):
    """What makes class maps of pictures."""

    def prepare(self, picture: Picture, truth_size: Size) -> Picture:
        """Bring a picture to the size it is looked at; called in threads."""

    def run(self, prepared: Sequence[Picture], truth_size: Size) -> list[ClassMap]:
        """The class map of each, at the truth's size; called in one thread."""


@dataclass(frozen=True)
class Measured:
    """What was counted. matrices: int64 [n, K + 1, K + 1], in the order of ids; thumbnails: uint8 [n, h, w].

    predicted: how many of the predictions were made now, the others having been kept from before.
    """

    ids: tuple[str, ...]
    matrices: NDArray[np.int64]
    truth_thumbnails: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]
    truth_sizes: frozenset[Size]
    predicted: int

    @classmethod
    def joined(cls, parts: Sequence["Measured"]) -> "Measured":
        """Several shards as one, in their order."""
        return cls(
            tuple(name for part in parts for name in part.ids),
            np.concatenate([part.matrices for part in parts]),
            np.concatenate([part.truth_thumbnails for part in parts]),
            np.concatenate([part.thumbnails for part in parts]),
            frozenset().union(*(part.truth_sizes for part in parts)),
            sum(part.predicted for part in parts),
        )


@dataclass(frozen=True)
class _Read:
    """An item whose truth is read: with a prediction that was kept, or with a picture that waits for one."""

    item: Item
    truth: ClassMap
    prediction: ClassMap | None
    prepared: Picture | None
    place: Path | None

    @property
    def size(self) -> Size:
        """Width and height of the truth."""
        return (self.truth.shape[1], self.truth.shape[0])


@dataclass(frozen=True)
class _Counted:
    matrix: NDArray[np.int64]
    truth_thumbnail: ClassMap
    thumbnail: ClassMap
    size: Size


def measure(
    items: Sequence[Item],
    labels: LabelSet,
    predictor: Predictor,
    *,
    cache: PredictionCache | None = None,
    batch_size: int = 4,
    tick: Tick = lambda _count: None,
) -> Measured:
    """Count every item; tick: called with the number of images done, for progress.

    Raises DataError and ImageError for a truth or a picture that cannot be read, naming the file.
    """
    if not items:
        raise DataError("there is no image to score: the set or the split is empty.")
    work = _Counting(labels, cache, predictor)
    finished: list[Future[_Counted]] = []
    predicted = 0
    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        try:
            for batch in _batches(_ahead(pool, work.read, items, 2 * batch_size + 2), batch_size):
                prepared = [read.prepared for read in batch if read.prepared is not None]
                predicted += len(prepared)
                maps = iter(predictor.run(prepared, batch[0].size) if prepared else [])
                for read in batch:
                    prediction = next(maps) if read.prediction is None else read.prediction
                    finished.append(pool.submit(work.finish, read, prediction))
                    _wait_for_the_oldest(finished, 4 * batch_size)
                tick(len(batch))
            counted = [future.result() for future in finished]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return _measured(items, counted, predicted)


def _measured(items: Sequence[Item], counted: Sequence[_Counted], predicted: int) -> Measured:
    return Measured(
        tuple(item.id for item in items),
        np.stack([each.matrix for each in counted]),
        np.stack([each.truth_thumbnail for each in counted]),
        np.stack([each.thumbnail for each in counted]),
        frozenset(each.size for each in counted),
        predicted,
    )


@dataclass(frozen=True)
class _Counting:
    """What the threads do with an item, before its prediction and after it."""

    labels: LabelSet
    cache: PredictionCache | None
    predictor: Predictor

    def read(self, item: Item) -> _Read:
        truth = read_truth(item.truth, self.labels)
        size = (truth.shape[1], truth.shape[0])
        place = self.cache.place(item.picture.identity(), size) if self.cache else None
        kept = self.cache.get(place, size) if self.cache and place else None
        prepared = self.predictor.prepare(item.picture.pixels(), size) if kept is None else None
        return _Read(item, truth, kept, prepared, place)

    def finish(self, read: _Read, prediction: ClassMap) -> _Counted:
        if self.cache and read.place and read.prediction is None:
            self.cache.put(read.place, prediction)
        matrix = ConfusionMatrix.of(read.truth, prediction, len(self.labels.classes))
        return _Counted(matrix.counts, thumbnail(read.truth), thumbnail(prediction), read.size)


def _ahead(
    pool: ThreadPoolExecutor, read: Callable[[Item], _Read], items: Sequence[Item], window: int
) -> Iterator[_Read]:
    """Each item read, in order, a few of them ahead of their turn."""
    coming: deque[Future[_Read]] = deque()
    for item in items:
        coming.append(pool.submit(read, item))
        if len(coming) >= window:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _batches(reads: Iterator[_Read], size: int) -> Iterator[list[_Read]]:
    """Neighbours whose truths are equally large, up to `size` of them."""
    batch: list[_Read] = []
    for read in reads:
        if batch and (len(batch) == size or batch[0].size != read.size):
            yield batch
            batch = []
        batch.append(read)
    if batch:
        yield batch


def _wait_for_the_oldest(finished: Sequence[Future[_Counted]], window: int) -> None:
    """Keep no more than `window` unfinished, and let a mistake come out where it was made."""
    if len(finished) > window:
        finished[-window - 1].result()
