"""Two class maps of 1024x2048 go in; how fast their matrix is beside the released formula and torchmetrics comes out.

`python -m benchmarks.fcn_score` measures it, with what else a score costs.

Rivals: "script" is the function released with pix2pix on the types it is called with there (bytes, `np.where`);
"masked" the same formula with a boolean mask on maps of int64; "torchmetrics" its MulticlassConfusionMatrix with
validation and an ignored index. Ours includes its checks. Maps: "areas" are smooth random areas of 19 classes;
"camvid" is a real label map enlarged by nearest neighbour (left out where there is no CamVid); "noise" has a random
class at every pixel, which no label map has, and is our worst case. All must count the same. Each side has a process
of its own and one thread.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.side_by_side import Action, Maker, Ratios, in_turn, ratios
from cgeval.images import find_images, read_ids
from cgeval.metrics import ConfusionMatrix, bootstrap_scores

WIDTH, HEIGHT = 2048, 1024
PAIRS = 21
CALLS = 10  # of each side in its turn, so that what a change of turns costs is spread over them
CLASS_MAP = NDArray[np.uint8]


@dataclass(frozen=True)
class Maps:
    """Two class maps [1024, 2048]; the truth has void, the prediction has not."""

    name: str
    truth: CLASS_MAP
    prediction: CLASS_MAP
    classes: int

    @property
    def pixels_per_run(self) -> float:
        """Mean length of what is counted at once: neither map changes inside."""
        both = np.stack([self.truth.ravel(), self.prediction.ravel()])
        return self.truth.size / (1 + np.count_nonzero((both[:, 1:] != both[:, :-1]).any(axis=0)))


@dataclass(frozen=True)
class Result:
    """Ours against one rival on one pair of maps; seconds of one call, medians over the turns."""

    maps: str
    classes: int
    pixels_per_run: float
    rival: str
    rival_seconds: float
    our_seconds: float
    faster: Ratios


def ours(maps: Maps) -> Action:
    """The library, checks included."""
    return _repeated(lambda: ConfusionMatrix.of(maps.truth, maps.prediction, maps.classes).counts[:-1, :-1])


def script(maps: Maps) -> Action:
    """The released formula on bytes, as the released script calls it."""
    truth, prediction, n = maps.truth.ravel(), maps.prediction.ravel(), maps.classes

    def count() -> NDArray[np.int64]:
        scored = np.where((truth >= 0) & (truth < n))[0]
        return np.bincount(n * truth[scored].astype(int) + prediction[scored], minlength=n**2).reshape(n, n)

    return _repeated(count)


def masked(maps: Maps) -> Action:
    """The same with a mask, on maps of int64."""
    truth, prediction, n = maps.truth.ravel().astype(int), maps.prediction.ravel().astype(int), maps.classes

    def count() -> NDArray[np.int64]:
        scored = (truth >= 0) & (truth < n)
        return np.bincount(n * truth[scored] + prediction[scored], minlength=n**2).reshape(n, n)

    return _repeated(count)


def torchmetrics(maps: Maps) -> Action:
    """The matrix of torchmetrics, with its validation; tensors of int64 are ready."""
    import torch
    from torchmetrics.classification import MulticlassConfusionMatrix

    torch.set_num_threads(1)  # as the others; two threads that wait for each other are slower where others work too
    metric = MulticlassConfusionMatrix(maps.classes, ignore_index=maps.classes, validate_args=True)
    truth, prediction = (torch.from_numpy(m.astype(np.int64)) for m in (maps.truth, maps.prediction))

    def count() -> NDArray[np.int64]:
        metric.reset()
        metric.update(prediction, truth)
        counts: NDArray[np.int64] = metric.compute().numpy()
        return counts

    return _repeated(count)


RIVALS: tuple[Maker, ...] = (script, masked, torchmetrics)


def areas(seed: int, classes: int, cells: int) -> CLASS_MAP:
    """Smooth areas of each class: where its own smooth noise, of `cells` x 2 `cells` values, is the highest."""
    rng = np.random.default_rng(seed)
    coarse = (Image.fromarray(rng.integers(0, 256, (cells, 2 * cells), dtype=np.uint8)) for _ in range(classes))
    smooth = np.stack([np.asarray(c.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) for c in coarse])
    found: CLASS_MAP = smooth.argmax(axis=0).astype(np.uint8)
    return found


def plausible_prediction(truth: CLASS_MAP, classes: int) -> CLASS_MAP:
    """The truth with every edge some pixels off, and other classes in a sixth of the area and where it is void."""
    other = areas(1, classes, 16)
    moved = np.roll(truth, (3, 5), axis=(0, 1))
    return np.where((areas(2, 6, 12) == 0) | (moved == classes), other, moved).astype(np.uint8)


def all_maps(camvid: Path) -> list[Maps]:
    """The pairs of maps that are measured."""
    truth = areas(0, 20, 8)
    found = [Maps("areas", truth, plausible_prediction(truth, 19), 19)]
    if camvid.is_dir():
        ids = Image.fromarray(read_ids(find_images(camvid / "test" / "label")[0]).astype(np.uint8))
        truth = np.asarray(ids.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST))
        found.append(Maps("camvid", truth, plausible_prediction(truth, 11), 11))
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, most, (HEIGHT, WIDTH), dtype=np.uint8) for most in (20, 19)]
    return [*found, Maps("noise", noise[0], noise[1], 19)]


def measure(maps: Maps, rival: Maker) -> Result:
    """Both in turn; SystemExit where they count differently."""
    theirs, own = in_turn((rival, maps), (ours, maps), pairs=PAIRS)
    if not np.array_equal(theirs.first, own.first):
        raise SystemExit(f"{rival.__name__} and we count the maps {maps.name!r} differently.")
    medians = theirs.median / CALLS, own.median / CALLS
    return Result(maps.name, maps.classes, maps.pixels_per_run, rival.__name__, *medians, ratios(theirs, own))


def bootstrap_seconds(images: int, classes: int, resamples: int) -> float:
    """Seconds for the intervals of all three scores; the quickest of five."""
    matrices = np.random.default_rng(0).integers(0, 10_000, (images, classes + 1, classes + 1))
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        bootstrap_scores(matrices, "reference", resamples=resamples)
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def _repeated(count: Action) -> Action:
    def count_often() -> NDArray[np.int64]:
        for _ in range(CALLS - 1):
            count()
        last: NDArray[np.int64] = count()
        return last

    return count_often
