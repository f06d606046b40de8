"""A run and the images of a split or a folder go in; a sealed set of translated images comes out.

Each output carries the id of the image it was made from, so B's translations are named after B. Every image is
translated; there is no silent limit. Inputs are squashed to the crop size as the reference's test program does.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cgeval.datasets import Dataset, ImageFile, open_dataset
from cgeval.errors import ConfigError, LayoutError, RunError
from cgeval.images import encode_png, find_images, from_network, to_network
from cgeval.runs import Run
from cyclegan import state
from cyclegan.config import TrainConfig
from cyclegan.data.cache import Load, decode, domain_load, load_for
from cyclegan.journal import patience_s
from cyclegan.models import TRANSLATORS
from cyclegan.pictures import Picture
from cyclegan.show import at_test_time
from cyclegan.step import build_translator

OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}
REFERENCE_NAMES = {"AtoB": ("real_A", "fake_B", "rec_A"), "BtoA": ("real_B", "fake_A", "rec_B")}
SavePictures = Callable[[str, Sequence[Picture]], None]


@dataclass(frozen=True)
class Translation:
    """What to translate: `direction` "AtoB" or "BtoA", the images, and how they are brought to the networks' size.

    split: what the images are called in the image set's name; source: the folder they came from; targets: ids of
    images that show what the translation should be.
    """

    direction: str
    split: str
    source: Path
    files: tuple[ImageFile, ...]
    load: Load
    targets: frozenset[str] = frozenset()

    @property
    def set_name(self) -> str:
        """Name of the image set in the run."""
        return f"{self.split}_{self.direction}"


@dataclass(frozen=True)
class Generators:
    """The generators of one checkpoint, ready to translate, by direction.

    which: how it was asked for, "newest", "best" or a step; checkpoint: the file's name.
    """

    config: TrainConfig
    by_direction: Mapping[str, nn.Module]
    which: str
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
            ready[direction] = at_test_time(network, translator).to(device or torch.device("cpu"))
    if not ready:
        raise RunError(f"{path} holds no generator: restore it, or take another --checkpoint.")
    return Generators(config, ready, which, path.name, int(content["step"]))


def plan(
    run: Run, generators: Generators, *, split: str, folder: Path | None, direction: str | None, data: Path | None
) -> list[Translation]:
    """The translations that the command's options ask for; direction: "ab", "ba", "both" or None for all there are."""
    wanted = {"ab": ["AtoB"], "ba": ["BtoA"], "both": ["AtoB", "BtoA"], None: list(generators.by_direction)}[direction]
    for way in wanted:
        _generator(run, generators, way)
    if folder is None:
        return translations(_dataset(run, generators.config, data), split, wanted, generators.config.data.crop_px)
    if len(wanted) != 1:
        raise ConfigError("--input translates one folder one way: add --direction ab or --direction ba.")
    holds_labels = run.info.dataset.get("label_domain") == wanted[0][0]
    return [folder_translation(folder, wanted[0], generators.config.data.crop_px, holds_labels)]


def translations(dataset: Dataset, split: str, directions: Sequence[str], size_px: int) -> list[Translation]:
    """What to do for a split of a dataset; paired images name their counterpart as the target."""
    part = dataset.split(split)
    work = []
    for direction in directions:
        files, others = (part.a, part.b) if direction == "AtoB" else (part.b, part.a)
        targets = frozenset(file.id for file in others) if dataset.paired else frozenset[str]()
        load = domain_load(dataset, direction[0], size_px)
        work.append(Translation(direction, split, dataset.root, files, load, targets))
    return work


def folder_translation(folder: Path, direction: str, size_px: int, holds_labels: bool = False) -> Translation:
    """What to do for a plain folder of images; label maps are declared or recognised, as in a dataset."""
    if not folder.is_dir():
        raise LayoutError(f"{folder} is {'a file' if folder.exists() else 'not there'}: --input takes a folder.")
    if not find_images(folder):
        raise LayoutError(f"{folder} holds no images (jpg, png, bmp, tif, webp): --input takes a folder of them.")
    files = open_dataset(folder, folder).split("train").a
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", folder.resolve().name).strip("-._+") or "input"
    return Translation(direction, name, folder.resolve(), files, load_for(files, holds_labels, size_px))


def refuse_sealed(run: Run, work: Sequence[Translation]) -> None:
    """Raise RunError, before anything is translated, where an image set of one of these names is there already."""
    there = {image_set.name for image_set in run.image_sets()}
    taken = [translation.set_name for translation in work if translation.set_name in there]
    if taken:
        raise RunError(f"{run.path} already has the sealed set {' and '.join(taken)}: add --overwrite to replace it.")


def translate_into_run(
    run: Run,
    generators: Generators,
    work: Translation,
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    export: Path | None = None,
) -> int:
    """Translate and seal; returns the number of images.

    export: a folder for the reference's results layout too, <run>/<split>_latest/images/<id>_{real_A,fake_B,rec_A}.png
    or {real_B,fake_A,rec_B}; rec is the way back, where the run has both directions.
    """
    networks = [_generator(run, generators, work.direction)]
    way_back = generators.by_direction.get(OPPOSITE[work.direction])
    if export is not None and way_back is not None:
        networks.append(way_back)
    facts = {"step": generators.step, "size_px": generators.config.data.crop_px, "source": str(work.source)}
    results = _reference_results(export, run, generators, work) if export is not None else nullcontext(_save_nothing)
    with (
        run.write_image_set(
            work.set_name,
            direction=work.direction,
            split=work.split,
            checkpoint=generators.checkpoint,
            extra=facts,
            overwrite=overwrite,
        ) as writer,
        results as save,
    ):
        for file, pictures in _translated(networks, work, batch_size):
            target = file.id if file.id in work.targets else None
            writer.add(file.id, pictures[1], source=file.id, target=target)
            save(file.id, pictures)
    return len(work.files)


def _generator(run: Run, generators: Generators, direction: str) -> nn.Module:
    if direction not in generators.by_direction:
        there = " and ".join(generators.by_direction) or "nothing"
        raise ConfigError(f"{run.path} translates {there} and not {direction}: choose another --direction.")
    return generators.by_direction[direction]


def _dataset(run: Run, config: TrainConfig, data: Path | None) -> Dataset:
    """The dataset that the run remembers, or the one in `data`; broken files are left out where training did so."""
    remembered = str(run.info.dataset.get("path", ""))
    if data is None and not remembered:
        raise ConfigError(f"{run.path} does not say where its dataset is: give --data DIR or --input DIR.")
    if data is None and not Path(remembered).is_dir():
        raise ConfigError(f"the dataset of {run.path} is no longer at {remembered}: say where it is with --data DIR.")
    second = Path(config.data.path_b) if config.data.path_b and data is None else None
    return open_dataset(data or Path(remembered), second, skip_broken=config.data.skip_broken)


def _translated(
    networks: Sequence[nn.Module], work: Translation, batch_size: int
) -> Iterator[tuple[ImageFile, list[Picture]]]:
    """Each image with its picture as the networks see it and what each network, after the one before, makes of it."""
    alone = networks[0].training  # noise and statistics that must be the image's own
    size = 1 if alone else batch_size
    device = next(networks[0].parameters()).device
    name = f"{work.split} {work.direction}"
    with tqdm(total=len(work.files), desc=name, unit="img", mininterval=patience_s(), dynamic_ncols=True) as bar:
        for first in range(0, len(work.files), size):
            files = work.files[first : first + size]
            real = [decode(file, work.load) for file in files]
            batch = torch.from_numpy(np.stack([to_network(picture) for picture in real]))
            made = _forward(networks, batch.to(device), files[0].id if alone else None)
            outputs = [[from_network(image) for image in fake.float().cpu().numpy()] for fake in made]
            yield from zip(files, map(list, zip(real, *outputs, strict=True)), strict=True)
            bar.update(len(files))


@torch.no_grad()
def _forward(networks: Sequence[nn.Module], batch: Tensor, seed_text: str | None) -> list[Tensor]:
    """Dropout is seeded by the image's id, so an image's translation depends on nothing else."""
    made = [batch]
    devices = [batch.device] if batch.device.type == "cuda" else []
    with torch.random.fork_rng(devices, enabled=seed_text is not None):
        if seed_text is not None:
            torch.manual_seed(int.from_bytes(hashlib.sha256(seed_text.encode()).digest()[:8], "big") >> 1)
        for network in networks:
            made.append(network(made[-1]))
    return made[1:]


def _save_nothing(_image_id: str, _pictures: Sequence[Picture]) -> None:
    """Where no results layout is asked for."""


@contextmanager
def _reference_results(folder: Path, run: Run, generators: Generators, work: Translation) -> Iterator[SavePictures]:
    """Files under a hidden name, moved to their places when the block has ended well; the set's lock is held."""
    epoch = "latest" if generators.which == "newest" else generators.which
    images = folder / run.info.run_id / f"{work.split}_{epoch}" / "images"
    hidden = folder / f".writing-{run.info.run_id}-{work.set_name}"
    shutil.rmtree(hidden, ignore_errors=True)

    def save(image_id: str, pictures: Sequence[Picture]) -> None:
        for name, picture in zip(REFERENCE_NAMES[work.direction], pictures, strict=False):
            path = hidden / f"{image_id}_{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(picture))

    try:
        yield save
        for path in sorted(hidden.rglob("*.png")):
            place = images / path.relative_to(hidden)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
