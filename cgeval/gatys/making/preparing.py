"""A request goes in; everything it names comes out, opened and looked at, with nothing written yet.

Contents and style images are all decoded once here, so that a broken one is named before hours of work, and so that
what decides the pictures is known by digests and not by names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch

from cgeval.allocator import keep_freed_memory
from cgeval.devices import find_device
from cgeval.errors import ConfigError, DataError, RunError
from cgeval.gatys.collection import network_facts
from cgeval.gatys.making.contents import Contents, content_digest, fitted_size, open_contents, picture_size, plain_name
from cgeval.gatys.making.keeping import Known, Observer, known_style
from cgeval.gatys.making.pending import differing
from cgeval.gatys.making.wanted import Named, Wanted, wanted_styles
from cgeval.gatys.making.words import counted
from cgeval.gatys.settings import GatysSettings
from cgeval.networks.features import FeatureNetwork, load_features
from cgeval.runs import Run

METHOD = "gatys"
DEEPEST_WANTED = "relu5_1"
BATCH_ON_CPU, BATCH_ON_GPU = 1, 16
NOT_IN_FACTS = ("changed", "adapted", "weights")  # who set a value does not matter, and a file may lie elsewhere


@dataclass(frozen=True)
class Request:
    """What is asked for. directions: None: labels -> photo where the dataset has labels, else A -> B.

    batch_size: None: as the device likes it; save_style: another place for the one style that is averaged.
    """

    content: Path
    run_path: Path
    named: Named
    settings: GatysSettings
    split: str | None = None
    directions: tuple[str, ...] | None = None
    size_px: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    overwrite: bool = False
    save_style: Path | None = None


@dataclass(frozen=True)
class Way:
    """One direction: its contents with their digest, and the styles; single images of a collection are found later."""

    contents: Contents
    digest: str
    styles: tuple[Known, ...]


@dataclass(frozen=True)
class Prepared:
    """A request whose parts have all been looked at. settings: fitted to the network's layers."""

    request: Request
    ways: tuple[Way, ...]
    network: FeatureNetwork
    settings: GatysSettings
    device: torch.device

    @property
    def batch_size(self) -> int:
        """So many images at once."""
        return batch_size_for(self.request, self.device)

    @property
    def run_facts(self) -> dict[str, Any]:
        """What run.json says of the run, but who made it when."""
        return run_facts(self.network, self.settings, self.ways[0].contents)

    def facts(self, way: Way, known: Known) -> dict[str, Any]:
        """All that decides the pictures of a set, as JSON has it."""
        settings = {key: value for key, value in self.settings.to_dict().items() if key not in NOT_IN_FACTS}
        contents = way.contents
        return {
            "style": dict(known.facts),
            "network": network_facts(self.network),
            "settings": settings,
            "size_px": contents.size_px,
            "squashed": contents.squashed,
            "content_filter": contents.filter,
            "content_sha256": way.digest,
        }

    def observer(self, contents: Contents) -> Observer:
        """Who looks at the styles of these contents."""
        return observer_of(self.network, self.settings, contents)


def prepare(request: Request) -> Prepared:
    """Open and look at all that is named; raises a CgevalError in one sentence."""
    found = open_contents(request.content, split=request.split, directions=request.directions, size_px=request.size_px)
    wanted = {each.direction: wanted_styles(request.named, request.content, each.direction) for each in found}
    refuse_save_style(request, wanted)
    device = find_device(request.device)
    if device.type == "cpu":
        keep_freed_memory()
    network, settings = load_network(request.settings, device)
    for contents in found:
        refuse_small(contents, wanted[contents.direction], network, settings)
    refuse_other_run(request, run_facts(network, settings, found[0]))
    ways = []
    for contents in found:
        observer = observer_of(network, settings, contents)
        styles = tuple(known_style(each, observer) for each in wanted[contents.direction])
        ways.append(Way(contents, content_digest(contents), styles))
    return Prepared(request, tuple(ways), network, settings, device)


def open_request(request: Request) -> tuple[list[Contents], dict[str, list[Wanted]]]:
    """The contents, and the styles by direction, as names and headers of files tell; raises a CgevalError."""
    found = open_contents(request.content, split=request.split, directions=request.directions, size_px=request.size_px)
    wanted = {each.direction: wanted_styles(request.named, request.content, each.direction) for each in found}
    refuse_save_style(request, wanted)
    return found, wanted


def load_network(settings: GatysSettings, device: torch.device) -> tuple[FeatureNetwork, GatysSettings]:
    """The network that the settings name, and the settings fitted to its layers."""
    network = load_features(
        settings.weights,
        pooling=settings.pooling,
        seed=settings.seed,
        device=device,
        scale=settings.scale,
        precision=settings.precision,
    )
    return network, settings.for_network(network.name, network.layers)


def batch_size_for(request: Request, device: torch.device) -> int:
    """As asked for, else as the device likes it: a CPU gains nothing by more than one."""
    return request.batch_size or (BATCH_ON_CPU if device.type == "cpu" else BATCH_ON_GPU)


def run_facts(network: FeatureNetwork, settings: GatysSettings, contents: Contents) -> dict[str, Any]:
    """What all sets of one run have in common: method, dataset and settings, as run.json has them."""
    own = {"size_px": contents.size_px, "network": network_facts(network)}
    return {
        "method": method_of(network),
        "dataset": dict(contents.facts),
        "settings": {**settings.to_dict(), **own},
    }


def differs_from(run: Run, facts: Mapping[str, Any]) -> str:
    """In words, what of the run's method, dataset and settings is another; "" where nothing is."""
    theirs = {"method": run.info.method, "dataset": run.info.dataset, "settings": run.info.settings}
    return differing(_binding(theirs), _binding(facts))


def refuse_other_run(request: Request, facts: Mapping[str, Any]) -> None:
    """Raise RunError, naming what differs, where a run is there that was made otherwise, unless overwrite."""
    if request.overwrite or not (request.run_path / "run.json").is_file():
        return
    run = Run.open(request.run_path)
    changed = differs_from(run, facts)
    if changed:
        raise RunError(
            f"{run.path} was made with another {changed}: name another folder for the run, or add --overwrite to make "
            f"it anew, without its {counted(len(run.image_sets()), 'image set')}."
        )


def _binding(facts: Mapping[str, Any]) -> dict[str, Any]:
    settings = {key: value for key, value in facts["settings"].items() if key not in NOT_IN_FACTS}
    return {"method": facts["method"], "dataset": facts["dataset"].get("name"), **settings}


def method_of(network: FeatureNetwork) -> str:
    """As tables call it: "gatys" with the whole trained VGG-19, else with the network's name behind a colon."""
    if network.is_random:
        return f"{METHOD}:{network.name}-random"
    if network.name != "vgg19":
        return f"{METHOD}:{network.name}"
    deepest = network.layers[-1]
    return METHOD if deepest == DEEPEST_WANTED else f"{METHOD}:vgg19-{deepest.replace('relu', 'conv')}"


def observer_of(network: FeatureNetwork, settings: GatysSettings, contents: Contents) -> Observer:
    """Who looks at the styles of these contents."""
    return Observer(network, settings.gram_keys, contents.size_px, contents.squashed)


def refuse_small(
    contents: Contents, wanted: Sequence[Wanted], network: FeatureNetwork, settings: GatysSettings
) -> None:
    """Raise DataError where a content or a style image would be too small, at the coarsest stage, for a layer."""
    least, scale = network.smallest_px(settings.layers), min(stage.scale for stage in settings.stages)
    styles = [(file, contents.squashed and each.of_dataset) for each in wanted for file in each.files]
    for file, squashed in [*((file, contents.squashed) for file in contents.files), *styles]:
        whole = picture_size(file)
        width, height = fitted_size(*whole, contents.size_px, squashed=squashed)
        if _coarsest(width, height, scale) < least:
            longer = 1.0 if squashed else max(whole) / min(whole)  # for one pixel of the shorter side
            sizes = count(max(contents.size_px + 1, int(((least - 1) / scale - 1) * longer)))
            works = next(px for px in sizes if _coarsest(*fitted_size(*whole, px, squashed=squashed), scale) >= least)
            raise DataError(
                f"{file.path} would be {width}x{height} px, which at stages that begin at {scale:g} of the size is too "
                f"small for the layers of {network.name} (at least {least} px on each side): take --size {works} or "
                "more."
            )


def _coarsest(width: int, height: int, scale: float) -> int:
    """The shorter side at the coarsest stage."""
    return max(1, round(min(width, height) * scale))


def refuse_save_style(request: Request, wanted: Mapping[str, Sequence[Wanted]]) -> None:
    """Raise ConfigError where not exactly one style is averaged, or the place does not end as such files do."""
    place = request.save_style
    if place is None:
        return
    averaged = [each for styles in wanted.values() for each in styles if each.kind in ("images", "collection")]
    if len(averaged) != 1:
        raise ConfigError(
            f"--save-style takes the one style that is averaged, and {len(averaged)} are: name --collection and one "
            "--direction."
        )
    if place.suffix != ".safetensors":
        raise ConfigError(f"--save-style {place}: a file that ends in .safetensors is expected.")


def set_name(contents: Contents, wanted: Wanted, network: FeatureNetwork) -> str:
    """<split>_<direction>-<style>, which says so itself where the network is random."""
    name = f"{plain_name(contents.split, 'split')}_{contents.direction}-{wanted.name}"
    return f"{name}-random" if network.is_random else name
