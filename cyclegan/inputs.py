"""The `[data]` settings go in; training batches, sample images and validation images of one dataset come out."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cgeval.datasets import Dataset, ImageFile, Split, open_dataset
from cgeval.errors import ConfigError, LayoutError, RunError
from cgeval.files import cache_folder
from cgeval.images import to_network
from cyclegan.config import TrainConfig
from cyclegan.data.cache import DecodedImages, Load, cached_images, decode, domain_load
from cyclegan.data.sampling import TrainingData
from cyclegan.distributed import World, wait_for_all
from cyclegan.models import TRANSLATORS


@dataclass(frozen=True)
class Inputs:
    """All images of a run. samples: two batches of fixed images, real A and real B; digest: of the training set.

    loads: how whole pictures of domain A and B come to the crop size, by domain.
    """

    dataset: Dataset
    training: TrainingData
    samples: tuple[Tensor, Tensor]
    validation_files: tuple[Sequence[ImageFile], Sequence[ImageFile]]
    loads: Mapping[str, Load]
    digest: str

    @property
    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of single-image batches, float32 [1, 3, px, px]; the shorter domain starts again."""
        files_a, files_b = self.validation_files
        for i in range(max(len(files_a), len(files_b))):
            file_a, file_b = files_a[i % len(files_a)], files_b[i % len(files_b)]
            yield self.whole([file_a], "A"), self.whole([file_b], "B")

    def whole(self, files: Sequence[ImageFile], domain: str) -> Tensor:
        """Whole pictures squashed to the crop size, as at test time: float32 [N, 3, px, px] in [-1, 1]."""
        return whole_images(files, self.loads[domain])

    def refuse_other_data(self, digest: str) -> None:
        """Raise RunError if the run was trained on other images than these."""
        if digest != self.digest:
            raise RunError(
                f"{self.dataset.root} no longer holds the images that this run was trained on "
                f"(digest {self.digest[:12]}, expected {digest[:12]}): give the original folder with --data."
            )


def open_inputs(config: TrainConfig, world: World) -> Inputs:
    """Open the dataset, decode it once into the cache, and pick the fixed images."""
    dataset = dataset_of(config)
    needs_pairs = TRANSLATORS[config.translator].needs_pairs
    if needs_pairs and not dataset.paired:
        raise ConfigError(
            f"{config.translator} needs paired images, and {dataset.root} is not paired: give aligned A|B pictures, "
            "or the same names in trainA and trainB with paired = true in dataset.toml."
        )
    train = dataset.split("train")
    loads = {domain: domain_load(dataset, domain, config.data.load_px) for domain in ("A", "B")}
    caches = _decoded(config, dataset, train, loads, world)
    training = TrainingData(
        caches[0],
        caches[1],
        paired=needs_pairs,
        crop_px=config.data.crop_px,
        flip=config.data.flip,
        batch_size=config.optimiser.batch_size,
        seed=config.seed,
        rank=world.rank,
        world=world.size,
    )
    whole = {domain: replace(load, size_px=config.data.crop_px) for domain, load in loads.items()}
    test, rows = dataset.splits.get("test", train), config.logging.sample_rows
    shown = test if test.a and test.b else train
    samples = whole_images(spread(shown.a, rows), whole["A"]), whole_images(spread(shown.b, rows), whole["B"])
    return Inputs(dataset, training, samples, _validation_files(config, dataset), whole, digest_of(caches))


def dataset_of(config: TrainConfig) -> Dataset:
    """Open the configured dataset; raises ConfigError where none is named."""
    if not config.data.path:
        raise ConfigError("no dataset is named: give --data DIR, or data.path in the configuration.")
    path_b = Path(config.data.path_b) if config.data.path_b else None
    return open_dataset(Path(config.data.path), path_b, skip_broken=config.data.skip_broken)


def whole_images(files: Sequence[ImageFile], load: Load) -> Tensor:
    """Whole pictures squashed to load.size_px: float32 [N, 3, px, px] in [-1, 1]."""
    return torch.from_numpy(np.stack([to_network(decode(file, load)) for file in files]))


def spread(files: Sequence[ImageFile], count: int) -> list[ImageFile]:
    """`count` files evenly spaced over the sequence; they start again where there are fewer."""
    return [files[i * max(len(files), count) // count % len(files)] for i in range(count)]


def digest_of(caches: Sequence[DecodedImages]) -> str:
    """Digest of every pixel of the training images as they are decoded, whatever their folder is called."""
    digest = hashlib.sha256()
    for cache in caches:
        for name in cache.ids:
            digest.update(name.encode() + b"\0")
        for picture in cache.pixels:
            digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


def _decoded(
    config: TrainConfig, dataset: Dataset, train: Split, loads: Mapping[str, Load], world: World
) -> list[DecodedImages]:
    if not train.a or not train.b:
        raise LayoutError(f"{dataset.root} has {len(train.a)} images of domain A and {len(train.b)} of B to train on.")
    skip, folder = config.data.skip_broken, cache_folder()
    caches = [
        cached_images(files, loads[domain], folder, skip_broken=skip, progress=world.leads)
        for domain, files in (("A", train.a), ("B", train.b))
    ]
    wait_for_all(world)
    if dataset.paired and caches[0].ids != caches[1].ids:
        raise LayoutError(f"{dataset.root} changed while it was read, and its pairs no longer match: start again.")
    return caches


def _validation_files(config: TrainConfig, dataset: Dataset) -> tuple[Sequence[ImageFile], Sequence[ImageFile]]:
    if config.checkpoints.best_by == "none":
        return (), ()
    split = dataset.split(config.checkpoints.validation_split)
    if not split.a or not split.b:
        raise LayoutError(f"{dataset.root} has a split {split.name!r} with images of one domain only to validate on.")
    count = config.checkpoints.validation_images
    return spread(split.a, min(count, len(split.a))), spread(split.b, min(count, len(split.b)))
