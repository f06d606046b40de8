"""A run's sealed translations go in; how well the other generator brings their inputs back comes out, as records.

A -> B -> A: mean |back - input|, levels in [0, 1], over all pixels and channels of an image and then over the images.
The way back starts from the sealed 8-bit images and not from the generator's floats, so that everybody can repeat it
from what the run holds, and hidden signals that only float images carry do not count: a CycleGAN can pass details on
where no eye sees them (Chu et al. 2017, arXiv 1712.02950, "CycleGAN, a Master of Steganography").
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from cgeval.datasets import ImageFile, find_dataset
from cgeval.errors import DataError, RunError
from cgeval.images import Picture, read_rgb, to_network
from cgeval.metrics import Interval, bootstrap_mean, interval_name
from cgeval.records import Record, append_records
from cgeval.runs import ImageSet, Row, Run, direction_words, now
from cyclegan import state
from cyclegan.data.cache import Load, decode
from cyclegan.journal import patience_s
from cyclegan.translate import OPPOSITE, Generators, Translation, load_generators, plan

PROTOCOL, METRIC = "reconstruction", "reconstruction_l1"
CONVENTION = {"reconstructed from": "sealed 8-bit images", "levels": "[0, 1]"}
RESAMPLES, LEVEL, SEED = 2000, 0.95, 0
DIGITS = 6  # that are kept of an image's value: the next depend on batch and device


@dataclass(frozen=True)
class WayBack:
    """One sealed set to translate back. network: the generator of the other direction.

    inputs: what the images were made from, by id; load: how the network saw it; words: the direction, as records say
    it; dataset: its name.
    """

    image_set: ImageSet
    rows: tuple[Row, ...]
    network: nn.Module
    inputs: Mapping[str, ImageFile]
    load: Load
    words: str
    dataset: str


@dataclass(frozen=True)
class Reconstruction:
    """per_image: mean |back - input| by the image's id, in [0, 1]; interval: of their mean, None for one image."""

    way: WayBack
    per_image: Mapping[str, float]
    interval: Interval | None

    @property
    def value(self) -> float:
        """Mean over the images, each with the same weight."""
        return float(np.mean(list(self.per_image.values())))


def plan_back(
    run: Run,
    split: str,
    *,
    checkpoint: str | None = None,
    data: Path | None = None,
    device: torch.device | None = None,
) -> list[WayBack]:
    """A way back for each sealed set of the split, all checked before an image is translated.

    checkpoint: "newest", "best" or a step; None for the one that made the images, and no other will do. data: where
    the dataset is now. Raises RunError, SealError, DataError or ConfigError in one sentence.
    """
    sets = _sets(run, split)
    steps = [_step_of(run, image_set, checkpoint) for image_set in sets]
    generators = {step: _both_ways(run, step, device) for step in dict.fromkeys(steps)}
    work = {
        (step, each.direction): each
        for step, both in generators.items()
        for each in plan(run, both, split=split, folder=None, direction="both", data=data)
    }
    return [
        _way_back(run, image_set, generators[step], work[step, image_set.direction])
        for image_set, step in zip(sets, steps, strict=True)
    ]


def reconstruct(way: WayBack, batch_size: int = 8) -> Reconstruction:
    """Translate every image of the set back and measure it; raises ImageError or RunError naming what is wrong."""
    found: dict[str, float] = {}
    with tqdm(
        total=len(way.rows), desc=f"{way.image_set.name} back", unit="img", mininterval=patience_s(), dynamic_ncols=True
    ) as bar:
        for first in range(0, len(way.rows), batch_size):
            rows = way.rows[first : first + batch_size]
            pairs = [_pair(way, row) for row in rows]
            found |= zip((row.id for row in rows), _distances(way.network, pairs), strict=True)
            bar.update(len(rows))
    per_image = {image_id: round(value, DIGITS) for image_id, value in found.items()}
    return Reconstruction(way, per_image, _interval(per_image))


def _interval(per_image: Mapping[str, float]) -> Interval | None:
    values = np.array(list(per_image.values()))
    return bootstrap_mean(values, resamples=RESAMPLES, seed=SEED, level=LEVEL)


def write_results(run: Run, found: Sequence[Reconstruction]) -> list[Record]:
    """Add one record for each direction to the run, all or none; returns them."""
    records = [_record(run, each) for each in found]
    append_records(run.path, records)
    return records


def _sets(run: Run, split: str) -> list[ImageSet]:
    sealed = run.image_sets()
    found = [image_set for image_set in sealed if image_set.split == split]
    if not found:
        there = f"sealed are: {', '.join(each.name for each in sealed)}" if sealed else "none is sealed yet"
        command = shlex.join(["cyclegan", "translate", str(run.path), "--split", split])
        raise RunError(f"{run.path} holds no image set of split {split!r} ({there}): `{command}` makes them.")
    return found


def _step_of(run: Run, image_set: ImageSet, asked: str | None) -> str:
    """Step of the checkpoint that made the images, as text; raises RunError where it is gone, or another was asked."""
    folder, made_by = run.path / "checkpoints", image_set.checkpoint
    if made_by is None:
        raise RunError(
            f"{image_set.path} was made by no checkpoint of {run.path}, so there is nothing to lead back: only what "
            "`cyclegan translate` made has a reconstruction."
        )
    steps = {saved.file: str(saved.step) for saved in state.read_index(folder).saved}
    if made_by not in steps:
        raise RunError(
            f"{image_set.path} was made by {made_by}, which is not among the checkpoints of {run.path} "
            f"({', '.join(steps) or 'none'}): translate again with --overwrite."
        )
    if asked is not None and state.find(folder, asked).name != made_by:
        raise RunError(
            f"{image_set.path} was made by {made_by} and not by the checkpoint {asked!r}: leave --checkpoint away, or "
            f"translate again with --checkpoint {asked} --overwrite."
        )
    return steps[made_by]


def _both_ways(run: Run, step: str, device: torch.device | None) -> Generators:
    generators = load_generators(run.path, step, device)
    if len(generators.by_direction) < 2:
        (there,) = generators.by_direction
        raise RunError(
            f"{run.path} translates {there} alone, and a reconstruction needs the generator of the way back too: it is "
            "measured on runs of CycleGAN."
        )
    return generators


def _way_back(run: Run, image_set: ImageSet, generators: Generators, work: Translation) -> WayBack:
    image_set.verify()
    rows, inputs = image_set.rows, {file.id: file for file in work.files}
    missing = [row.source for row in rows if row.source not in inputs]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(rows)} images of {image_set.path} were made from images that split "
            f"{work.split!r} of {work.source} lacks (first: {missing[0]!r}): restore them, or name the dataset that "
            "was translated by --data DIR."
        )
    facts = run.info.dataset if "domains" in run.info.dataset else find_dataset(work.source).run_facts
    network = generators.by_direction[OPPOSITE[image_set.direction]]
    name = str(facts.get("name", work.source.name))
    return WayBack(image_set, rows, network, inputs, work.load, direction_words(facts, image_set.direction), name)


def _pair(way: WayBack, row: Row) -> tuple[Picture, Picture]:
    """The sealed image and its input as the network saw it."""
    sealed, seen = read_rgb(way.image_set.path / row.file), decode(way.inputs[row.source], way.load)
    if sealed.shape != seen.shape:
        (height, width), size = sealed.shape[:2], way.load.size_px
        raise RunError(
            f"{way.image_set.path / row.file} is {width}x{height} px, and its checkpoint makes {size}x{size}: "
            "translate again with --overwrite."
        )
    return sealed, seen


@torch.no_grad()
def _distances(network: nn.Module, pairs: Sequence[tuple[Picture, Picture]]) -> list[float]:
    """Mean |back - input| of each, levels in [0, 1]."""
    device = next(network.parameters()).device
    sealed, seen = (
        torch.from_numpy(np.stack([to_network(side) for side in sides])) for sides in zip(*pairs, strict=True)
    )
    back = network(sealed.to(device)).double().cpu()
    return [float(distance) / 2 for distance in (back - seen.double()).abs().mean(dim=(1, 2, 3))]


def _record(run: Run, found: Reconstruction) -> Record:
    image_set, interval = found.way.image_set, found.interval
    return Record(
        protocol=PROTOCOL,
        metric=METRIC,
        value=found.value,
        n=len(found.per_image),
        run_id=run.info.run_id,
        image_set=image_set.name,
        index_sha256=image_set.index_sha256,
        created_at=now(),
        producer=f"cyclegan {version('cgeval')}",
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval=interval_name(RESAMPLES, LEVEL) if interval else None,
        convention=CONVENTION,
        extra=_facts(found),
    )


def _facts(found: Reconstruction) -> dict[str, Any]:
    """What a reader of the number may ask next."""
    way = found.way
    return {
        "direction": way.words,
        "dataset": way.dataset,
        "split": way.image_set.split,
        "size_px": [way.load.size_px, way.load.size_px],
        "checkpoint": way.image_set.checkpoint,
        "resamples": RESAMPLES,
        "seed": SEED,
        "per_image": dict(found.per_image),
    }
