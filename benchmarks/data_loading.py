"""How long a training step waits for its images: the batch's own time, and the wait in a real training.

    python -m benchmarks.data_loading [--json benchmarks/results/data_loading.json]

On pictures that it makes itself. "wait" is measured by the trainer, in a run of the smallest ready network, whose
steps are the shortest; the first epoch's decoding is told beside it.
"""

import argparse
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.train_step import hardware
from cgeval.datasets import open_dataset
from cgeval.files import write_json_atomic
from cgeval.runs import now
from cyclegan.config import load_config
from cyclegan.data.cache import Load, cached_images
from cyclegan.data.sampling import TrainingData
from cyclegan.session import Request, train_run

IMAGES, BATCHES = 120, 60


@dataclass(frozen=True)
class Loading:
    """One image size. decode: milliseconds per image, once; batch: per batch of one pair, in every epoch."""

    crop_px: int
    decode_ms: float
    batch_ms: float


@dataclass(frozen=True)
class Wait:
    """A training of `steps` steps at crop_px: seconds in all, and seconds for which the step waited for images."""

    crop_px: int
    steps: int
    seconds: float
    seconds_waited: float


def measure_loading(folder: Path, crop_px: int) -> Loading:
    """Decode JPEGs of 256 px into the cache, then draw batches of one from it."""
    dataset = open_dataset(folder)
    files, load_px = dataset.split("train").a, crop_px * 286 // 256
    begun = time.perf_counter()
    images = cached_images(files, Load(load_px, "bicubic"), folder / f"cache{crop_px}", progress=False)
    decoded = time.perf_counter()
    data = TrainingData(images, images, paired=False, crop_px=crop_px, flip=True, batch_size=1, seed=0)
    data.batch(0, 0)
    drawn = time.perf_counter()
    for step in range(BATCHES):
        data.batch(1, step)
    ended = time.perf_counter()
    return Loading(crop_px, 1000 * (decoded - begun) / len(files), 1000 * (ended - drawn) / BATCHES)


def measure_wait(folder: Path) -> Wait:
    """Train the demonstration's network, the smallest, for one epoch of the images."""
    changes = ["optimiser.constant_epochs=1", "optimiser.decay_epochs=0", "logging.tensorboard=false"]
    config = load_config("demo", [*changes, "checkpoints.every_minutes=60"], {"data.path": str(folder)})
    outcome = train_run(Request(config, folder / "run", resume=False))
    return Wait(config.data.crop_px, outcome.total_steps, outcome.seconds, outcome.seconds_waited_for_data)


def main() -> None:
    """Print both measurements; --json writes them with the hardware."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CGEVAL_CACHE"] = str(folder / "cache")
        _make_jpegs(folder)
        loading = [measure_loading(folder, px) for px in (64, 128, 256)]
        wait = measure_wait(folder)
    print(f"on {hardware()}")
    for row in loading:
        print(
            f"{row.crop_px:>4} px   once: {row.decode_ms:.2f} ms an image   every step: {row.batch_ms:.2f} ms a batch"
        )
    share = wait.seconds_waited / wait.seconds
    print(f"{wait.steps} steps of the smallest network: {wait.seconds:.1f} s, {share:.2%} of it waiting for images")
    if options.json:
        content = {"measured_at": now(), "hardware": hardware(), "loading": [asdict(row) for row in loading]}
        write_json_atomic(options.json, content | {"training": asdict(wait)})


def _make_jpegs(folder: Path) -> None:
    """Smooth pictures of 256 px with some noise, as JPEGs of some 20 kB."""
    rng = np.random.default_rng(0)
    for domain in ("trainA", "trainB"):
        (folder / domain).mkdir()
        for number in range(IMAGES):
            coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((256, 256), 3)
            noise = rng.integers(-12, 13, (256, 256, 3))
            picture = np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / domain / f"{number}.jpg", quality=90)


if __name__ == "__main__":
    main()
