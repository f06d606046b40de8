"""Drawn photos with class maps: three colours with noise, which a network learns in seconds. And the recipe for it."""

import numpy as np

from cgeval.datasets import ImageFile
from cgeval.images import write_png
from cgeval.labelled import Labelled, LabelledSplit
from cgeval.labels import Label, LabelSet
from cgeval.scorers.recipe import Recipe

LABELS = LabelSet(
    "drawn",
    (
        Label(0, "grass", (60, 160, 60), train_id=0),
        Label(1, "wall", (170, 90, 60), train_id=1),
        Label(2, "sky", (90, 140, 220), train_id=2),
        Label(3, "ghost", (250, 250, 0), train_id=3),
        Label(9, "void", (0, 0, 0), ignore=True),
    ),
)
QUICK = {
    "architecture": "segformer",
    "encoder": "tu-test_resnet",
    "options": {"decoder_segmentation_channels": 32},
    "batch_size": 4,
    "epochs": 6,
    "learning_rate": 4e-3,
    "threads": 1,
    "device": "cpu",
    "validations": 4,
}


def quick_recipe(**changes):
    settings = QUICK | changes
    if settings["architecture"] != "segformer":
        settings["options"] = {}
    return Recipe(**settings)


def draw(rng, width=64, height=48):
    """Photo and ids of one scene: sky above grass, a wall somewhere, a rim of void, noise over all."""
    ids = np.zeros((height, width), dtype=np.uint8)
    ids[: rng.integers(12, 30)] = 2
    left, top = rng.integers(4, 36), rng.integers(8, 24)
    ids[top : top + 20, left : left + 20] = 1
    photo = LABELS.colours_of(ids).astype(np.int16) + rng.integers(-30, 31, (height, width, 3))
    ids[:2] = 9
    return np.clip(photo, 0, 255).astype(np.uint8), ids


def drawn_dataset(root, seed=0, **counts):
    """A labelled dataset with so many photos in each split."""
    rng = np.random.default_rng(seed)
    splits = {name: _split(root / name, rng, count) for name, count in (counts or {"train": 16, "val": 4}).items()}
    return Labelled(root, "drawn", LABELS, "drawn", "A", splits)


def _split(folder, rng, count):
    photos, truth = {}, {}
    for kind in ("photo", "label"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        name = f"{number:03d}"
        photo, ids = draw(rng)
        write_png(folder / "photo" / f"{name}.png", photo)
        write_png(folder / "label" / f"{name}.png", ids)
        photos[name] = ImageFile(name, folder / "photo" / f"{name}.png")
        truth[name] = folder / "label" / f"{name}.png"
    return LabelledSplit(folder.name, photos, truth)
