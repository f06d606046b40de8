"""Names of baselines and the main run go in; the steps that make those baselines, or their runs, come out.

A baseline is a run like any other. One that is there is taken, whoever made it; one that is not is made beside the main
run, as like it as the two methods allow: the same images, size, seed and number of epochs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgeval.compare.making.steps import Step
from cgeval.compare.making.trained import SHORT, Training, flat_settings, sealed_sets, training_steps
from cgeval.datasets import find_dataset
from cgeval.errors import ConfigError, DataError
from cgeval.gatys.settings import load_settings
from cgeval.images import image_size
from cgeval.runs import ImageSet, Run

SINGLE_STYLES = 2  # beside the collection, as in the paper's figures 15 and 16
CHOSEN = ("preset", "scale", "pooling", "seed", "gram", "optimiser", "stages", "start", "keep_colours")  # of Gatys
NINE_BLOCKS_FROM_PX = 256  # nine blocks from here on, six below (paper, section 7.2)
KEPT = (  # settings of the main run that pix2pix takes over; its loss, norm and optimiser stay its own
    "seed",
    "data.flip",
    "networks.width",
    "networks.disc_width",
    "networks.disc_layers",
    "optimiser.batch_size",
    "optimiser.constant_epochs",
    "optimiser.decay_epochs",
)


@dataclass(frozen=True)
class Likeness:
    """What the baselines must be like. sets: the main run's sealed sets of the split.

    folder: where runs are made; data: where the dataset is, if it has moved; gatys_weights: as `cgeval gatys` takes
    them, None for its own choice.
    """

    main: Run
    sets: Sequence[ImageSet]
    split: str
    folder: Path
    data: Path | None = None
    gatys_weights: str | None = None

    @property
    def dataset_path(self) -> Path:
        """Where the dataset is; raises DataError where nobody says so."""
        remembered = self.main.info.dataset.get("path")
        if self.data is None and not remembered:
            raise DataError(f"{self.main.path} does not say where its dataset is: name the folder by --dataset DIR.")
        return self.data or Path(str(remembered))

    @property
    def size_px(self) -> int:
        """The longer side of the main run's images."""
        said = self.sets[0].extra.get("size_px")
        return said if isinstance(said, int) else max(image_size(self.sets[0].path / self.sets[0].rows[0].file))

    @property
    def usual_direction(self) -> str:
        """Of a method that knows one: labels -> photo where there are labels, as in the paper's table 2."""
        return "BtoA" if self.main.info.dataset.get("label_domain") == "B" else "AtoB"

    @property
    def direction(self) -> str:
        """The usual one, if the main run has it."""
        ways = {image_set.direction for image_set in self.sets}
        return self.usual_direction if self.usual_direction in ways else min(ways)

    def place(self, baseline: str) -> Path:
        """Where that baseline is made."""
        name = re.sub(r"[^A-Za-z0-9._+-]+", "-", str(self.main.info.dataset.get("name", "dataset"))).strip("-.")
        return self.folder / f"{name or 'dataset'}-{baseline}"


@dataclass(frozen=True)
class Baseline:
    """A run that is there or will be. planned: directions that its steps, done or not, are yet to make images of."""

    path: Path
    steps: tuple[Step, ...]
    planned: tuple[str, ...] = ()


def read_baselines(text: str) -> tuple[str, ...]:
    """The names in "gatys,pix2pix"; raises ConfigError for one that does not exist, saying which do."""
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in BASELINES]
    if unknown or not names:
        found = f"{unknown[0]!r} is no baseline" if unknown else "no baseline is named"
        raise ConfigError(f"--baselines {text}: {found}; there are {', '.join(BASELINES)}.")
    return tuple(names)


def plan_baselines(names: Sequence[str], runs: Sequence[Run], like: Likeness) -> list[Baseline]:
    """What there is of each, and what it needs. runs: those of the dataset that there are; raises DataError."""
    return [BASELINES[name]([run for run in runs if _is(run, name)], like) for name in names]


def _is(run: Run, baseline: str) -> bool:
    """Whether the run is of that method, whatever stands behind a colon."""
    return run.info.method.partition(":")[0].lower() == baseline


def _gatys(runs: Sequence[Run], like: Likeness) -> Baseline:
    by_these = [run for run in runs if _is_by(run, like.gatys_weights)]
    own = like.place("gatys")
    if any(run.path == own for run in runs if run not in by_these):
        own = like.place(f"gatys-{Path(str(like.gatys_weights)).stem}")
    for run in by_these:
        if sealed_sets(run.path, like.split) and not (run.path == own and _is_begun(run, like.split)):
            return _taken("gatys", run)
    begun = next((run.info.settings.get("weights") for run in by_these if run.path == own), None)
    weights = like.gatys_weights or begun
    title = f"make Gatys et al. at {like.size_px} px: in the style of the whole collection, and of two of its images"
    command = ("cgeval", "gatys", str(like.dataset_path), str(own), "--size", str(like.size_px), "--split", like.split)
    way = () if like.direction == like.usual_direction else ("--direction", SHORT[like.direction])
    return Baseline(
        own, (Step(title, (*command, *way, *(("--weights", weights) if weights else ()))),), (like.direction,)
    )


def _is_by(run: Run, weights: str | None) -> bool:
    """Whether the run was made with the weights that the user names, if any are named, wherever the file lies now."""
    return weights is None or Path(str(run.info.settings.get("weights"))).name == Path(weights).name


def _is_begun(run: Run, split: str) -> bool:
    """Whether it is what an interrupted making leaves: pictures that wait to be sealed, or the collection alone.

    A run with settings of the user's own is what the user wanted, and is taken as it is.
    """
    usual = load_settings(None, None, (), {}).to_dict()
    if any(run.info.settings.get(key, usual[key]) != usual[key] for key in CHOSEN):
        return False
    waiting = any((run.path / "gatys").glob("*/facts.json"))
    variants = [image_set.extra.get("variant") for image_set in sealed_sets(run.path, split)]
    return waiting or ("collection" in variants and len(variants) <= SINGLE_STYLES)


def _taken(name: str, run: Run) -> Baseline:
    return Baseline(run.path, (Step(f"{name}, taken from {run.path}", (), done=True),))


def _pix2pix(runs: Sequence[Run], like: Likeness) -> Baseline:
    translated = [run for run in runs if sealed_sets(run.path, like.split)]
    if translated:
        return _taken("pix2pix", translated[0])
    _refuse_unpaired(like)
    begun = [run for run in runs if run.info.producer.get("name") == "cyclegan"]
    direction = begun[0].info.settings.get("direction", "AtoB") if begun else like.direction
    path = begun[0].path if begun else like.place("pix2pix")
    config, changes = _pix2pix_config(like, direction)
    options = ("--data", str(like.dataset_path), *(word for change in changes for word in ("--set", change)))
    training = Training("pix2pix", path, config, options, (direction,), like.data)
    return Baseline(path, tuple(training_steps(training, like.split)), planned=(direction,))


def _refuse_unpaired(like: Likeness) -> None:
    paired = like.main.info.dataset.get("paired")
    if not (find_dataset(like.dataset_path).paired if paired is None else paired):
        raise DataError(
            f"pix2pix learns from pairs, and dataset {like.main.info.dataset.get('name', like.dataset_path)} is "
            "unpaired: leave pix2pix out of --baselines, or say paired = true in its dataset.toml if equal names are "
            "the same scene."
        )


def _pix2pix_config(like: Likeness, direction: str) -> tuple[str, list[str]]:
    """The ready configuration, and what is to be changed in it to be like the main run."""
    flat = flat_settings(like.main.info.settings)
    crop = like.size_px
    load = flat.get("data.load_px") if flat.get("data.crop_px") == crop else None
    generator, norm = _generator(crop, str(flat.get("networks.generator", "")))
    changes = {"data.load_px": load or round(crop * 286 / 256), "data.crop_px": crop}
    changes |= {"networks.generator": generator, "networks.norm": norm}
    changes |= {key: flat[key] for key in KEPT if key in flat}
    if direction != "AtoB":
        changes["direction"] = direction
    config = "pix2pix_maps" if generator == "unet256" else "pix2pix_cityscapes"
    return config, [f"{key}={_toml(value)}" for key, value in changes.items()]


def _generator(crop_px: int, of_main: str) -> tuple[str, str]:
    """The U-Net of the pix2pix paper and batch norm where it fits, else a residual network and instance norm."""
    for multiple in (256, 128):
        if crop_px % multiple == 0:
            return f"unet{multiple}", "batch"
    if of_main.startswith("resnet"):
        return of_main, "instance"
    return "resnet9" if crop_px >= NINE_BLOCKS_FROM_PX else "resnet6", "instance"


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


BASELINES: Mapping[str, Callable[[Sequence[Run], Likeness], Baseline]] = {"gatys": _gatys, "pix2pix": _pix2pix}
