"""Small datasets, and folders of results as other programs write them, for the tests of adoption."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from cgeval.images import resize

WORDS = {
    "pytorch": ("{name}_real_A", "{name}_fake_B", "{name}_real_B"),
    "tensorflow": ("{name}-inputs", "{name}-outputs", "{name}-targets"),
    "pix2pixhd": ("{name}_input_label", "{name}_synthesized_image", "{name}_real_image"),
    "folders": ("real_A/{name}", "fake_B/{name}", "real_B/{name}"),
    "lua-pix2pix": ("input/{name}", "output/{name}", "target/{name}"),
    "spade": ("input_label/{name}", "synthesized_image/{name}", "real_image/{name}"),
    "flat": (None, "{name}", None),
}
SITES = {
    "pytorch": "facades/test_latest/images",
    "tensorflow": "facades/images",
    "pix2pixhd": "facades/test_latest/images",
    "folders": "facades/test_latest/images",
    "lua-pix2pix": "facades/latest_net_G_test/images",
    "spade": "facades/test_latest/images",
    "flat": "facades",
}


def photo(seed: int, px: int = 48) -> np.ndarray:
    """A soft picture of its own: [px, px, 3]."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return resize(small, px, px, "bicubic")


def labels(seed: int, px: int = 48) -> np.ndarray:
    """A picture of flat areas: [px, px, 3]."""
    small = np.random.default_rng(1000 + seed).choice(np.array([0, 70, 140, 220], dtype=np.uint8), (6, 6, 3))
    return resize(small, px, px, "nearest")


def translated(picture: np.ndarray) -> np.ndarray:
    return 255 - picture


def save(path: Path, picture: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def dataset(root: Path, ids: Iterable[str], *, paired: bool = True, split: str = "test", px: int = 48) -> Path:
    """A = labels, B = photos, of the same ids; the n-th image of A is labels(n), that of B is photo(n)."""
    for n, image_id in enumerate(ids):
        save(root / f"{split}A" / f"{image_id}.png", labels(n, px))
        save(root / f"{split}B" / f"{image_id}.png", photo(n, px))
    (root / "dataset.toml").write_text(
        f'name = "streets"\npaired = {str(paired).lower()}\ndomains = ["labels", "photos"]\nlabel_domain = "A"\n'
    )
    return root


def results(root: Path, layout: str, numbers: Mapping[str, int], *, px: int = 32, suffix: str = "png") -> Path:
    """What a program leaves of A to B: for each name the labels, the translation and the photo of its number."""
    images = root / SITES[layout]
    for name, n in numbers.items():
        shown = (labels(n, px), translated(labels(n, px)), photo(n, px))
        for pattern, picture in zip(WORDS[layout], shown, strict=True):
            if pattern:
                save(images / f"{pattern.format(name=name)}.{suffix}", picture)
    if layout != "flat":
        (images.parent / "index.html").write_text("<table></table>")
    return root / SITES[layout].partition("/")[0]


def both_ways(root: Path, numbers: Mapping[str, tuple[int, int]], *, px: int = 32, turned: bool = False) -> Path:
    """What the PyTorch CycleGAN leaves: fake_A and real_B are named after the A that was read beside them.

    turned: under --direction BtoA, where its A is the dataset's B.
    """
    images = root / SITES["pytorch"]
    ways = [("real_A", "fake_B", "rec_A"), ("real_B", "fake_A", "rec_B")]
    for name, (a, b) in numbers.items():
        for words, picture in zip(ways[::-1] if turned else ways, (labels(a, px), photo(b, px)), strict=True):
            for word, shown in zip(words, (picture, translated(picture), picture), strict=True):
                save(images / f"{name}_{word}.png", shown)
    return root / "facades"
