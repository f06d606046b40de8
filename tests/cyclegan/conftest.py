"""A small unpaired dataset, a small configuration, and a cache folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.config import TrainConfig, load_config

SMALL = [
    "data.load_px=36",
    "data.crop_px=32",
    "networks.generator=resnet6",
    "networks.width=4",
    "networks.disc_width=4",
    "networks.disc_layers=1",
    "optimiser.constant_epochs=2",
    "optimiser.decay_epochs=1",
    "optimiser.pool_size=3",
    "compute.device=cpu",
    "compute.threads=1",
    "logging.every_steps=2",
    "logging.samples_every_steps=4",
    "logging.sample_rows=2",
    "logging.tensorboard=false",
]


torch.set_num_threads(1)  # the suite shares the machine, and bits must not depend on the number of cores


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """trainA: warm gradients, trainB: cold noise; 5 and 7 pictures of 40 x 40; two of each to test with."""
    rng = np.random.default_rng(0)
    root = tmp_path / "images"
    for folder, count, colour in (("trainA", 5, 0), ("trainB", 7, 2), ("testA", 2, 0), ("testB", 3, 2)):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            picture = rng.integers(0, 120, (40, 40, 3), dtype=np.uint8)
            picture[..., colour] = np.linspace(100, 255, 40).astype(np.uint8)
            Image.fromarray(picture).save(root / folder / f"{folder[-1].lower()}{i}.png")
    return root


@pytest.fixture
def small(images: Path) -> Callable[..., TrainConfig]:
    """A configuration of seconds: small("optimiser.batch_size=2") on the small dataset."""

    def make(*changes: str) -> TrainConfig:
        return load_config("small", [*SMALL, f"data.path={images}", *changes])

    return make
