"""The `[data]` settings go in; training batches, sample images and validation images of one dataset come out."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cgeval.errors import ConfigError, LayoutError, RunError
from cgeval.images import to_network
from cyclegan.config import TrainConfig
from cyclegan.data.cache import DecodedImages, cached_images, decode, load_for
from cyclegan.data.layout import Dataset, ImageFile, Split, open_dataset
from cyclegan.data.sampling import TrainingData
from cyclegan.distributed import World, wait_for_all
from cyclegan.models import TRANSLATORS


@dataclass(frozen=True)
class Inputs:
    """All images of a run. samples: two batches of fixed images, real A and real B; digest: of the training set."""

    dataset: Dataset
    training: TrainingData
    samples: tuple[Tensor, Tensor]
    validation_files: tuple[Sequence[ImageFile], Sequence[ImageFile]]
    crop_px: int
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
        return whole_images(self.dataset, files, domain, self.crop_px)

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
        raise ConfigError(f"{config.translator} needs paired images, and {dataset.root} is not paired.")
    train = dataset.split("train")
    caches = _decoded(config, dataset, train, world)
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
    px, rows = config.data.crop_px, config.logging.sample_rows
    shown = dataset.splits.get("test", train)
    samples = tuple(whole_images(dataset, spread(files, rows), d, px) for d, files in (("A", shown.a), ("B", shown.b)))
    return Inputs(
        dataset, training, (samples[0], samples[1]), _validation_files(config, dataset), px, digest_of(caches)
    )


def dataset_of(config: TrainConfig) -> Dataset:
    """Open the configured dataset; raises ConfigError where none is named."""
    if not config.data.path:
        raise ConfigError("no dataset is named: give --data DIR, or data.path in the configuration.")
    path_b = Path(config.data.path_b) if config.data.path_b else None
    return open_dataset(Path(config.data.path), path_b, skip_broken=config.data.skip_broken)


def whole_images(dataset: Dataset, files: Sequence[ImageFile], domain: str, size_px: int) -> Tensor:
    """Whole pictures squashed to size_px: float32 [N, 3, px, px] in [-1, 1]."""
    load = load_for(files, dataset.label_domain == domain, size_px)
    return torch.from_numpy(np.stack([to_network(decode(file, load)) for file in files]))


def cache_folder() -> Path:
    """Where decoded images are kept between runs: $CGEVAL_CACHE, else the user's cache folder."""
    own = os.environ.get("CGEVAL_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cgeval"


def spread(files: Sequence[ImageFile], count: int) -> list[ImageFile]:
    """`count` files evenly spaced over the sequence; they start again where there are fewer."""
    return [files[i * max(len(files), count) // count % len(files)] for i in range(count)]


def digest_of(caches: Sequence[DecodedImages]) -> str:
    """Digest of the training images as they are decoded, whatever their folder is called."""
    digest = hashlib.sha256()
    for cache in caches:
        for name in cache.ids:
            digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(cache.pixels[:: max(1, len(cache.ids) // 64)]).tobytes())
    return digest.hexdigest()


def _decoded(config: TrainConfig, dataset: Dataset, train: Split, world: World) -> list[DecodedImages]:
    if not train.a or not train.b:
        raise LayoutError(f"{dataset.root} has {len(train.a)} images of domain A and {len(train.b)} of B to train on.")
    caches = []
    for domain, files in (("A", train.a), ("B", train.b)):
        load = load_for(files, dataset.label_domain == domain, config.data.load_px)
        caches.append(
            cached_images(files, load, cache_folder(), skip_broken=config.data.skip_broken, progress=world.leads)
        )
    wait_for_all(world)
    return caches


def _validation_files(config: TrainConfig, dataset: Dataset) -> tuple[Sequence[ImageFile], Sequence[ImageFile]]:
    if config.checkpoints.best_by == "none":
        return (), ()
    split = dataset.split(config.checkpoints.validation_split)
    count = config.checkpoints.validation_images
    return spread(split.a, min(count, len(split.a))), spread(split.b, min(count, len(split.b)))
