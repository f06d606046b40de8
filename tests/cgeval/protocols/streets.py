"""A tiny labelled dataset, a run of its translations, and a scorer's header, for the tests of this folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cgeval.images import read_rgb, resize, write_png
from cgeval.labels import label_set
from cgeval.runs import Run
from cgeval.scorers.store import ScorerFile, ScorerInfo, write_scorer

LABELS = label_set("camvid11")
TRUTH_SIZE, SIZE = (24, 16), (12, 8)  # width, height of the label maps and of the translations


def write_dataset(root: Path, n: int = 4, seed: int = 0) -> Path:
    """n label maps in blocks of four pixels, photos in the colours of the labels, made darker; void in one corner."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        ids = np.kron(rng.integers(0, 11, (4, 6)), np.ones((4, 4), int)).astype(np.uint8)
        ids[:4, :4] = 11
        for folder, picture in (
            ("test_ids", ids),
            ("testA", resize(LABELS.colours_of(ids), *SIZE, "nearest")),
            ("testB", resize(LABELS.colours_of(ids) // 2, *SIZE, "nearest")),
        ):
            path = root / folder / "drive" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, picture)
    facts = ('label_set = "camvid11"', 'label_domain = "A"', 'truth = "{split}_ids"', "paired = true")
    (root / "dataset.toml").write_text("\n".join(facts) + "\n")
    return root


def write_run(path: Path, dataset: Path, wrong_rows: int = 2) -> Run:
    """Translations both ways that are the true pictures, but for the uppermost rows, which are road."""
    facts = {"name": dataset.name, "path": str(dataset), "label_set": "camvid11", "label_domain": "A"}
    run = Run.create(path, method="cyclegan", dataset=facts, producer={"name": "me", "version": "1"})
    for direction, folder, colour in (("AtoB", "testB", 64), ("BtoA", "testA", 128)):
        with run.write_image_set(f"test_{direction}", direction=direction, split="test", checkpoint=None) as writer:
            for picture in sorted((dataset / folder / "drive").iterdir()):
                image = read_rgb(picture)
                image[:wrong_rows] = (colour, colour // 2, colour)
                name = f"drive/{picture.stem}"
                writer.add(name, image, source=name, target=name)
    return run


def write_header(folder: Path, **changes: object) -> ScorerFile:
    """A scorer that says what the tests need and holds one number; it can be planned with, not run."""
    info = ScorerInfo(
        name=folder.name,
        kind="smp",
        arguments={"architecture": "unet", "encoder": "resnet18"},
        labels=LABELS,
        outputs=11,
        size_px=(24, 16),
        protocol="scorer-size",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        channels="RGB",
        stride=1,
        trained_on={"name": "elsewhere"},
        validation={},
        source={},
        parameters=1,
        producer="me 1",
        created_at="2026-01-01T00:00:00Z",
    )
    return write_scorer(folder, {"one": torch.zeros(1)}, replace(info, **changes))


class NearestHalfColour:
    """A scorer whose class is that of the nearest halved colour: of -|x - c|^2, all but the term in x alone."""

    def __init__(self, file: ScorerFile, _device: torch.device) -> None:
        self.file, self.info = file, file.info
        self.colours = torch.tensor(LABELS.class_colours[:-1] // 2, dtype=torch.float32)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        products = torch.einsum("nchw,kc->nkhw", images.float(), self.colours)
        return 2 * products - (self.colours**2).sum(dim=1)[:, None, None]
