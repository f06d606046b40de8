"""A request goes in; what it will make, and how long that takes on this machine, come out. Nothing is written.

A few steps of each stage are measured on content images, and the time of all others follows from them.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cgeval.devices import find_device
from cgeval.gatys.collection import SUFFIX
from cgeval.gatys.making.contents import Contents, batches
from cgeval.gatys.making.keeping import LOOKED_AT, remembered_ids, style_place
from cgeval.gatys.making.pending import finished_count
from cgeval.gatys.making.preparing import (
    Request,
    batch_size_for,
    load_network,
    open_request,
    refuse_other_run,
    refuse_small,
    run_facts,
    set_name,
)
from cgeval.gatys.making.wanted import Wanted, single_of
from cgeval.gatys.optimiser import BatchLBFGS
from cgeval.gatys.settings import GatysSettings, Stage
from cgeval.gatys.styles import Style, device_of, style_of
from cgeval.gatys.transfer import Pictures, Progress, stylise
from cgeval.images import resize
from cgeval.networks.feature_files import RANDOM
from cgeval.networks.features import FeatureNetwork, describe_features

MOST_STEPS, MOST_SECONDS = 60, 4.0  # measured of each stage
FEWEST_STEPS, FEW = 3, 5
REMEMBERED_PX = 128  # side of an image whose history no cache holds


@dataclass(frozen=True)
class PlannedSet:
    """One set. name: None where its style is yet to be chosen out of a collection; left: images still to be made."""

    name: str | None
    style: str
    direction: str
    images: int
    left: int


@dataclass(frozen=True)
class Estimate:
    """seconds: for all that is left; fetches: address of weights that come first, whose time is not in it, or ""."""

    sets: tuple[PlannedSet, ...]
    seconds: float
    seconds_per_image: float
    settings: GatysSettings
    network: str
    size_px: int
    device: str
    batch_size: int
    fetches: str = ""

    @property
    def left(self) -> int:
        """Images still to be made, of all sets."""
        return sum(each.left for each in self.sets)


class _EnoughError(Exception):
    """As many steps were measured as were wanted."""


def estimate(request: Request) -> Estimate:
    """Look at what is named and there, and measure; raises what making it would raise, as far as names can tell."""
    found, wanted = open_request(request)
    device, fetches = find_device(request.device), describe_features(request.settings.weights).fetches
    chosen = replace(request.settings, weights=RANDOM) if fetches else request.settings  # as fast, and at hand
    network, settings = load_network(chosen, device)
    for contents in found:
        refuse_small(contents, wanted[contents.direction], network, settings)
    if not fetches:
        refuse_other_run(request, run_facts(network, settings, found[0]))
    batch_size = batch_size_for(request, device)
    per_image, per_look = measure(network, settings, found[0], batch_size)
    sets = [each for contents in found for each in _planned(request, contents, wanted[contents.direction], network)]
    looks = sum(_looks(request.run_path, way, each) for way, styles in wanted.items() for each in styles)
    seconds = sum(each.left for each in sets) * per_image + (looks * per_look if any(e.left for e in sets) else 0)
    which = f"{network.name} ({'torchvision' if fetches else network.weights})"
    settings = replace(settings, weights=request.settings.weights)
    return Estimate(
        tuple(sets), seconds, per_image, settings, which, found[0].size_px, str(device), batch_size, fetches
    )


def measure(
    network: FeatureNetwork, settings: GatysSettings, contents: Contents, batch_size: int
) -> tuple[float, float]:
    """Seconds for one content image, and for one look at a style image of the same size."""
    batch = batches(contents, batch_size)[0]
    pictures = np.stack([contents.read(file) for file in batch])
    style, per_look = _looked(network, pictures[0], settings)
    remembering = remembering_seconds(settings, device_of(network)) if settings.optimiser == "lbfgs" else 0.0
    seconds = 0.0
    for stage in settings.stages:
        height, width = (max(1, round(side * stage.scale)) for side in pictures.shape[1:3])
        small = np.stack([resize(picture, width, height, "bicubic") for picture in pictures])
        measured = step_seconds(network, small, style, replace(settings, stages=(Stage(1.0, stage.steps),)))
        seconds += extrapolated(measured, remembering * small.size, stage.steps, settings.history)
    return seconds / len(batch), per_look


def step_seconds(
    network: FeatureNetwork, pictures: Pictures, style: Style, settings: GatysSettings
) -> NDArray[np.float64]:
    """Seconds of each of the first steps, but the very first, which warms up."""
    ends = [time.perf_counter()]
    done = 0.0

    def note(progress: Progress) -> None:
        nonlocal done
        if progress.done > done:
            _wait()
            ends.append(time.perf_counter())
            done = progress.done
        if len(ends) > FEWEST_STEPS and (ends[-1] - ends[0] > MOST_SECONDS or len(ends) > MOST_STEPS):
            raise _EnoughError

    with suppress(_EnoughError):
        stylise(network, pictures, style, settings, note)
    seconds = np.diff(ends)
    return seconds[1:] if len(seconds) > 1 else seconds


def remembering_seconds(settings: GatysSettings, device: torch.device) -> float:
    """By how much a full history slows a step of L-BFGS down, for each number of an image."""
    images = torch.zeros(1, 3, REMEMBERED_PX, REMEMBERED_PX, device=device)
    curvature = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).to(device) + 0.1
    optimiser = BatchLBFGS(images, history=settings.history)
    seconds = []
    for _ in range(settings.history + FEW):
        gradients = curvature * (images - 1)
        losses = (gradients * (images - 1)).sum().view(1) / 2
        _wait()
        begun = time.perf_counter()
        optimiser.step(images, losses, gradients)
        _wait()
        seconds.append(time.perf_counter() - begun)
    slower = float(np.median(seconds[-FEW:]) - np.median(seconds[1 : FEW + 1]))
    return max(0.0, slower) / images.numel()


def extrapolated(seconds: NDArray[np.float64], remembering: float, steps: int, history: int) -> float:
    """Of all steps, from those of the first ones: each takes longer by its share of a full history."""
    shares = np.minimum(np.arange(steps), history) / history
    measured = shares[: len(seconds)].mean() if steps else 0.0
    return steps * float(np.median(seconds)) + remembering * float((shares - measured).sum())


def _wait() -> None:
    """Until a GPU has done what it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _looked(network: FeatureNetwork, picture: Pictures, settings: GatysSettings) -> tuple[Style, float]:
    style_of(network, picture, settings.gram_keys, "warm")
    begun = time.perf_counter()
    style = style_of(network, picture, settings.gram_keys, "measured")
    return style, time.perf_counter() - begun


def _planned(
    request: Request, contents: Contents, wanted: Sequence[Wanted], network: FeatureNetwork
) -> list[PlannedSet]:
    """Every set of one direction, and what of it is finished."""
    sets = []
    for each in wanted:
        sets.append(_one(request.run_path, contents, set_name(contents, each, network), each.variant))
        place = style_place(request.run_path, each.name, contents.direction, ".json")
        ids = remembered_ids(place) or []
        for i in range(each.singles):
            name = set_name(contents, _chosen(each, ids[i]), network) if i < len(ids) else None
            sets.append(_one(request.run_path, contents, name, f"image {i + 1} of {each.variant}"))
    return sets


def _chosen(wanted: Wanted, image_id: str) -> Wanted:
    return single_of(wanted, next((file for file in wanted.files if file.id == image_id), wanted.files[0]))


def _one(run_path: Path, contents: Contents, name: str | None, style: str) -> PlannedSet:
    images = len(contents.files)
    sealed = name is not None and (run_path / "images" / name / "set.json").is_file()
    finished = images if sealed else finished_count(run_path, name) if name else 0
    return PlannedSet(name, style, contents.direction, images, max(0, images - finished))


def _looks(run_path: Path, direction: str, wanted: Wanted) -> int:
    """How many images the network has still to look at for a style: to average them, and to find some of them."""
    averaged = style_place(run_path, wanted.name, direction, SUFFIX).is_file()
    known = not wanted.singles or remembered_ids(style_place(run_path, wanted.name, direction, ".json")) is not None
    n = len(wanted.files)
    return (0 if averaged else n) + (0 if known else min(n, LOOKED_AT))
