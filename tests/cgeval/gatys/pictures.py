"""Tiny pictures, folders and datasets for the tests of this folder."""

from pathlib import Path

import numpy as np

from cgeval.images import Picture, write_png

COLOURS = np.array([(128, 64, 128), (70, 130, 180), (107, 142, 35), (0, 0, 142)], dtype=np.uint8)


def photo(seed: int, width: int = 24, height: int = 24) -> Picture:
    """Noise that no two seeds share."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def label_map(seed: int, width: int = 24, height: int = 24) -> Picture:
    """Four colours in blocks of eight pixels."""
    blocks = np.random.default_rng(seed).integers(0, 4, (-(-height // 8), -(-width // 8)))
    return COLOURS[np.kron(blocks, np.ones((8, 8), int))[:height, :width]]


def write_photos(folder: Path, count: int, seed: int = 0, **size: int) -> Path:
    """Photos 0.png, 1.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        write_png(folder / f"{i}.png", photo(seed + i, **size))
    return folder


def write_dataset(root: Path, *, train: int = 3, test: int = 2) -> Path:
    """A paired dataset: A holds label maps, B photos; two of the photos are in a folder of their own."""
    for split, count, seed in (("train", train, 0), ("test", test, 100)):
        for i in range(count):
            for domain, make in (("A", label_map), ("B", photo)):
                path = root / f"{split}{domain}" / "drive" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_png(path, make(seed + i))
    facts = ('name = "streets"', 'label_set = "cityscapes"', 'label_domain = "A"', "paired = true", "size_px = 32")
    (root / "dataset.toml").write_text("\n".join(facts) + "\n")
    return root
