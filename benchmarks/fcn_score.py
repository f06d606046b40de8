"""What an FCN score costs beside the network: the matrix, the rest of an image's way, the other direction, intervals.

    python -m benchmarks.fcn_score [--json benchmarks/results/fcn_score_cpu.json] [--data ../shared/data/camvid]

Matrix: see benchmarks/confusion.py, whose ratios to the released formula and to torchmetrics are measured here again.
Image: all that is done with one 256 px translation and its 1024x2048 truth but the network, one step after the other in
one thread; the program does it in threads beside the network. photo -> labels: one 256 px picture, 19 classes, to its
class map. Kept: a score whose predictions are in the cache, per image of 1024x2048. Overlap: the wall time per image
beside a network that takes a fixed time for each, which is what the rest adds.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.confusion import HEIGHT, RIVALS, WIDTH, all_maps, areas, bootstrap_seconds, measure
from benchmarks.train_step import hardware
from cgeval.files import write_json_atomic
from cgeval.images import encode_png, read_rgb, resize, write_png
from cgeval.labels import label_set
from cgeval.metrics import ConfusionMatrix
from cgeval.protocols import measuring
from cgeval.protocols.by_colour import ByColour
from cgeval.protocols.pictures_in import Item, Noise, Size
from cgeval.protocols.predictions import PredictionCache
from cgeval.protocols.traps import thumbnail
from cgeval.runs import now
from cgeval.truth import read_truth

REPEATS = 15
LABELS = label_set("cityscapes")
IDS = np.array([*(label.id for label in LABELS.classes), 0], dtype=np.uint8)
NETWORK_SECONDS = 0.25
IMAGES = 24


def median_ms(work: Callable[[], object]) -> float:
    """Median of the calls' milliseconds, after two that are not counted."""
    seconds = []
    for _ in range(REPEATS + 2):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return 1000 * statistics.median(seconds[2:])


def image_steps(folder: Path) -> dict[str, float]:
    """Milliseconds of each step of a 1024x2048 image but the network's forward pass, in one thread."""
    truth = areas(0, 20, 8)
    prediction = np.minimum(np.roll(truth, (3, 5), axis=(0, 1)), 18)
    picture = Noise("picture", (256, 256)).pixels()
    truth_file, picture_file, kept = folder / "truth.png", folder / "picture.png", folder / "kept.png"
    write_png(truth_file, IDS[truth])
    write_png(picture_file, picture)
    write_png(kept, prediction)
    steps: dict[str, Callable[[], object]] = {
        "read the truth": lambda: read_truth(truth_file, LABELS),
        "read the translation": lambda: read_rgb(picture_file),
        "enlarge the translation": lambda: resize(picture, WIDTH, HEIGHT, "bilinear"),
        "count the matrix": lambda: ConfusionMatrix.of(truth, prediction, 19),
        "make thumbnails": lambda: (thumbnail(truth), thumbnail(prediction)),
        "keep the prediction": lambda: encode_png(prediction),
    }
    return {name: median_ms(step) for name, step in steps.items()}


def by_colour_ms() -> float:
    """Milliseconds from a 256 px picture to its class map at that size."""
    colours = LABELS.class_colours[areas(3, 19, 8)[::4, ::8]].astype(np.int16)
    noisy = (colours + np.random.default_rng(0).integers(-20, 20, colours.shape)).clip(0, 255).astype(np.uint8)
    way = ByColour(LABELS)
    return median_ms(lambda: way.prepare(noisy, (noisy.shape[1], noisy.shape[0])))


class SleepingNetwork:
    """A network on another device: each image takes NETWORK_SECONDS, in which this processor is free."""

    def __init__(self, answer: NDArray[np.uint8]) -> None:
        self.answer = answer

    def prepare(self, picture: NDArray[np.uint8], truth_size: Size) -> NDArray[np.uint8]:
        """As the paper's protocol does."""
        return resize(picture, *truth_size, "bilinear")

    def run(self, prepared: Sequence[NDArray[np.uint8]], truth_size: Size) -> list[NDArray[np.uint8]]:  # noqa: ARG002
        """The same answer for each."""
        time.sleep(NETWORK_SECONDS * len(prepared))
        return [self.answer for _ in prepared]


def whole_score(folder: Path) -> dict[str, float]:
    """Seconds per image of a score beside a sleeping network, and of one whose predictions are kept."""
    truth = areas(0, 20, 8)
    write_png(folder / "truth.png", IDS[truth])
    network = SleepingNetwork(np.minimum(np.roll(truth, 5, axis=1), 18))
    items = [Item(str(i), Noise(str(i), (256, 256)), folder / "truth.png") for i in range(IMAGES)]
    cache = PredictionCache(folder / "cache", "benchmark")
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        measuring.measure(items, LABELS, network, cache=cache, batch_size=1)
        seconds.append((time.perf_counter() - begun) / IMAGES)
    return {"network": NETWORK_SECONDS, "with_network": seconds[0], "predictions_kept": seconds[1]}


def matrices(camvid: Path) -> list[dict[str, Any]]:
    """Our matrix beside each rival's, on each pair of maps."""
    found = []
    for maps in all_maps(camvid):
        for rival in RIVALS:
            result = measure(maps, rival)
            found.append(asdict(result))
            times = f"{1000 * result.our_seconds:5.2f} ms, {rival.__name__:12} {1000 * result.rival_seconds:6.1f} ms"
            ratio = f"{result.faster.median:5.1f} times faster ({result.faster.low:.1f} .. {result.faster.high:.1f})"
            print(f"  {maps.name:7} ours {times}: {ratio}")
    return found


def main() -> None:
    """Print all of it; --json writes the figures with the hardware."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="CamVid, with test/label")
    options = parser.parse_args()
    print(f"on {hardware()}, numpy {np.__version__}\nmatrix of {WIDTH}x{HEIGHT}")
    found: dict[str, Any] = {"matrix": matrices(options.data)}
    with tempfile.TemporaryDirectory() as name:
        found["image_ms"] = image_steps(Path(name))
        found["score_seconds_per_image"] = whole_score(Path(name))
    for step, ms in found["image_ms"].items():
        print(f"  {step:24}{ms:7.1f} ms")
    print(f"  {'all but the network':24}{sum(found['image_ms'].values()):7.1f} ms an image, one after the other")
    for key, seconds in found["score_seconds_per_image"].items():
        print(f"  {key:24}{1000 * seconds:7.1f} ms an image")
    found["by_colour_ms"] = by_colour_ms()
    print(f"photo -> labels, 256 px   {found['by_colour_ms']:7.1f} ms")
    found["bootstrap"] = {"images": 500, "classes": 19, "resamples": 2000}
    found["bootstrap"]["seconds"] = bootstrap_seconds(**found["bootstrap"])
    print(f"bootstrap, 2,000 resamples of 500 images: {found['bootstrap']['seconds']:.3f} s")
    if options.json:
        about = {"measured_at": now(), "hardware": hardware(), "numpy": np.__version__, "size_px": [WIDTH, HEIGHT]}
        about |= {"load_average": os.getloadavg()[0]}
        write_json_atomic(options.json, about | found)


if __name__ == "__main__":
    main()
