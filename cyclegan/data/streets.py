"""A folder, counts and a seed go in; a generated street-scene dataset comes out, whole or not at all.

It lets everything be tried with no download: label maps in the Cityscapes palette (A), matching photos (B), and
the maps of ids. Every image has a random stream of its own, so any of them is the same whatever else is made.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tomli_w
from numpy.typing import NDArray
from tqdm import tqdm

from cgeval.errors import ConfigError
from cgeval.files import write_atomic
from cgeval.labels import label_set
from cyclegan.data.prepare import describe, whole_folder, write_pair
from cyclegan.data.streets_paint import paint
from cyclegan.data.streets_scene import random_scene

VERSION = 1
SPLITS = {"train": 0, "test": 1}


def street(seed: int, split: str, number: int, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Photo uint8 [size_px, size_px, 3] and Cityscapes ids uint8 [size_px, size_px] of one scene."""
    rng = np.random.Generator(np.random.Philox(key=[seed, VERSION], counter=[0, 0, SPLITS[split], number]))
    return paint(random_scene(rng), size_px)


def write_streets(
    out: Path, *, train: int = 200, test: int = 50, size_px: int = 128, seed: int = 0, progress: bool = True
) -> None:
    """Write the dataset in the layout of `cyclegan data prepare`; raises OutputError if `out` exists.

    seed: 0 .. 2**63 - 1, else ConfigError.
    """
    if not 0 <= seed < 1 << 63:
        raise ConfigError(f"--seed is {seed}, and a number from 0 to {(1 << 63) - 1} is expected.")
    jobs = [("train", i) for i in range(train)] + [("test", i) for i in range(test)]
    with whole_folder(out) as work:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            done = pool.map(partial(_write, work, seed, size_px), jobs, chunksize=8)
            for _ in tqdm(done, total=len(jobs), desc="drawing", unit="scene", disable=not progress):
                pass
        facts = describe("streets", "cityscapes", size_px) | {"generator": f"streets {VERSION}", "seed": seed}
        write_atomic(work / "dataset.toml", tomli_w.dumps(facts).encode())


def _write(root: Path, seed: int, size_px: int, job: tuple[str, int]) -> None:
    split, number = job
    photo, ids = street(seed, split, number, size_px)
    write_pair(root, split, f"{number:05d}", (label_set("cityscapes").colours_of(ids), photo, ids))
