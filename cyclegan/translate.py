"""A run and the images of a split or a folder go in; a sealed set of translated images comes out.

Each output carries the id of the image it was made from, so B's translations are named after B. Every image is
translated; there is no silent limit. Inputs are squashed to the crop size as the reference's test program does.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cgeval.errors import ConfigError, RunError
from cgeval.images import from_network, to_network, write_png
from cgeval.runs import Run
from cyclegan import state
from cyclegan.config import TrainConfig
from cyclegan.data.cache import decode, load_for
from cyclegan.data.layout import Dataset, ImageFile, open_dataset
from cyclegan.models import TRANSLATORS
from cyclegan.pictures import Picture
from cyclegan.show import dropout_layers
from cyclegan.step import build_translator

REFERENCE_NAMES = {"AtoB": ("real_A", "fake_B"), "BtoA": ("real_B", "fake_A")}


@dataclass(frozen=True)
class Translation:
    """What to translate: `direction` "AtoB" or "BtoA", the images, and how they are named in the image set."""

    direction: str
    split: str
    files: tuple[ImageFile, ...]
    is_label_domain: bool
    targets: frozenset[str]

    @property
    def set_name(self) -> str:
        """Name of the image set in the run."""
        return f"{self.split}_{self.direction}"


@dataclass(frozen=True)
class Generators:
    """The generators of one checkpoint, ready to translate, by direction; `checkpoint` is the file's name."""

    config: TrainConfig
    by_direction: dict[str, nn.Module]
    checkpoint: str
    step: int


def load_generators(run_path: Path, which: str = "newest", device: torch.device | None = None) -> Generators:
    """The generators that a checkpoint of the run holds; a run of imported weights may have only one."""
    path = state.find(run_path / "checkpoints", which)
    content = state.load(path)
    config = state.saved_config(content, path)
    if config.translator not in TRANSLATORS:
        raise RunError(
            f"{run_path} was made by the translator {config.translator!r}, which this version does not know."
        )
    translator = build_translator(config)
    ready = {}
    for direction, name in translator.directions.items():
        if name in content["networks"]:
            network = translator.networks[name]
            network.load_state_dict(content["networks"][name])
            ready[direction] = _at_test_time(network, config).to(device or torch.device("cpu"))
    return Generators(config, ready, path.name, int(content["step"]))


def translations(dataset: Dataset, split: str, directions: Sequence[str]) -> list[Translation]:
    """What to do for a split of a dataset; paired images name their counterpart as the target."""
    part = dataset.split(split)
    work = []
    for direction in directions:
        files, others, domain = (part.a, part.b, "A") if direction == "AtoB" else (part.b, part.a, "B")
        targets = frozenset(file.id for file in others) if dataset.paired else frozenset[str]()
        work.append(Translation(direction, split, files, dataset.label_domain == domain, targets))
    return work


def folder_translation(folder: Path, direction: str) -> Translation:
    """What to do for a plain folder of images."""
    dataset = open_dataset(folder, folder)
    return Translation(direction, folder.resolve().name, dataset.split("train").a, False, frozenset())


def translate_into_run(
    run: Run,
    generators: Generators,
    work: Translation,
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    export: Path | None = None,
) -> int:
    """Translate and seal; returns the number of images. export: also the reference's results layout, in this folder."""
    if work.direction not in generators.by_direction:
        there = ", ".join(generators.by_direction)
        raise ConfigError(f"{run.path} translates {there} and not {work.direction}: choose another --direction.")
    network = generators.by_direction[work.direction]
    save = _reference_writer(export, work.direction) if export else None
    facts = {"step": generators.step, "size_px": generators.config.data.crop_px}
    with run.write_image_set(
        work.set_name,
        direction=work.direction,
        split=work.split,
        checkpoint=generators.checkpoint,
        extra=facts,
        overwrite=overwrite,
    ) as writer:
        for file, real, fake in _translated(network, generators.config, work, batch_size):
            target = file.id if file.id in work.targets else None
            writer.add(file.id, fake, source=file.id, target=target)
            if save is not None:
                save(file.id, real, fake)
    return len(work.files)


def _translated(
    network: nn.Module, config: TrainConfig, work: Translation, batch_size: int
) -> Iterator[tuple[ImageFile, Picture, Picture]]:
    alone = config.networks.norm == "batch" or dropout_layers(network)
    size = 1 if alone else batch_size
    load = load_for(work.files, work.is_label_domain, config.data.crop_px)
    device = next(network.parameters()).device
    with tqdm(total=len(work.files), desc=f"{work.split} {work.direction}", unit="img") as bar:
        for first in range(0, len(work.files), size):
            files = work.files[first : first + size]
            real = [decode(file, load) for file in files]
            batch = torch.from_numpy(np.stack([to_network(picture) for picture in real]))
            fake = _forward(network, batch.to(device), files[0].id if alone else None)
            for file, picture, image in zip(files, real, fake.float().cpu().numpy(), strict=True):
                yield file, picture, from_network(image)
            bar.update(len(files))


@torch.no_grad()
def _forward(network: nn.Module, batch: Tensor, seed_text: str | None) -> Tensor:
    """Dropout is seeded by the image's id, so an image's translation depends on nothing else."""
    if seed_text is None:
        return network(batch)  # type: ignore[no-any-return]
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(hashlib.sha256(seed_text.encode()).digest()[:8], "big") >> 1)
        return network(batch)  # type: ignore[no-any-return]


def _at_test_time(network: nn.Module, config: TrainConfig) -> nn.Module:
    """pix2pix keeps dropout and the single image's statistics at test time (Isola et al. 2017, section 3.4)."""
    keeps_noise = config.translator == "pix2pix"
    return network.train(keeps_noise)


def _reference_writer(folder: Path, direction: str) -> Callable[[str, Picture, Picture], None]:
    """Writes `images/<id>_real_A.png` and `<id>_fake_B.png`, as the PyTorch reference's results folder has them."""
    real_name, fake_name = REFERENCE_NAMES[direction]

    def save(image_id: str, real: Picture, fake: Picture) -> None:
        for name, picture in ((real_name, real), (fake_name, fake)):
            path = folder / "images" / f"{image_id}_{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, picture)

    return save


def plan(
    run: Run, generators: Generators, *, split: str, folder: Path | None, direction: str | None, data: Path | None
) -> list[Translation]:
    """The translations that the command's options ask for; direction: "ab", "ba", "both" or None for all there are."""
    wanted = {"ab": ["AtoB"], "ba": ["BtoA"], "both": ["AtoB", "BtoA"], None: list(generators.by_direction)}[direction]
    if folder is not None:
        if len(wanted) != 1:
            raise ConfigError("--input translates one folder one way: add --direction ab or --direction ba.")
        return [folder_translation(folder, wanted[0])]
    root = data or Path(str(run.info.dataset.get("path", "")))
    if not str(root) or str(root) == ".":
        raise ConfigError(f"{run.path} does not say where its dataset is: give --data DIR or --input DIR.")
    second = generators.config.data.path_b
    return translations(open_dataset(root, Path(second) if second and data is None else None), split, wanted)
