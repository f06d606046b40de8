"""Names of baselines and the main run go in; the steps that make those baselines, or their runs, come out.

A baseline is a run like any other. One that is there is taken, whoever made it; one that is not is made beside the main
run, as like it as the two methods allow: the same images, size, seed and number of epochs. pix2pix knows one direction,
so it is as many runs as the main run has directions.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cgeval.compare.making.steps import Step
from cgeval.compare.making.trained import SHORT, Training, sealed_sets, training_steps
from cgeval.compare.settings import flat_settings
from cgeval.datasets import find_dataset
from cgeval.errors import ConfigError, DataError
from cgeval.gatys.settings import load_settings
from cgeval.images import image_size
from cgeval.runs import DIRECTIONS, ImageSet, Run, direction_words

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
    def directions(self) -> list[str]:
        """Those of the main run, the usual one first."""
        return sorted({image_set.direction for image_set in self.sets}, key=lambda way: way != self.usual_direction)

    @property
    def direction(self) -> str:
        """The usual one, if the main run has it."""
        return self.directions[0]

    def words(self, way: str) -> str:
        """The direction as "labels -> photo"."""
        return direction_words(self.main.info.dataset, way)

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
    found = [each for name in names for each in BASELINES[name]([run for run in runs if _is(run, name)], like)]
    return list({each.path: each for each in reversed(found)}.values())[::-1]


def _is(run: Run, baseline: str) -> bool:
    """Whether the run is of that method, whatever stands behind a colon."""
    return run.info.method.partition(":")[0].lower() == baseline.partition(":")[0]


def _gatys(runs: Sequence[Run], like: Likeness) -> list[Baseline]:
    by_these = [run for run in runs if _is_by(run, like.gatys_weights)]
    own = like.place("gatys")
    if any(run.path == own for run in runs if run not in by_these):
        own = like.place(f"gatys-{Path(str(like.gatys_weights)).stem}")
    for run in by_these:
        if sealed_sets(run.path, like.split) and not (run.path == own and _is_begun(run, like.split)):
            return [_taken("gatys", run)]
    begun = next((run.info.settings.get("weights") for run in by_these if run.path == own), None)
    weights = like.gatys_weights or begun
    title = f"make Gatys et al. at {like.size_px} px: in the style of the whole collection, and of two of its images"
    command = ("cgeval", "gatys", str(like.dataset_path), str(own), "--size", str(like.size_px), "--split", like.split)
    way = () if like.direction == like.usual_direction else ("--direction", SHORT[like.direction])
    step = Step(title, (*command, *way, *(("--weights", weights) if weights else ())))
    return [Baseline(own, (step,), (like.direction,))]


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


def _pix2pix(runs: Sequence[Run], like: Likeness, only: str | None = None) -> list[Baseline]:
    """A run for each direction of the main run, or for one alone; a pix2pix knows no other than its own."""
    if only is not None and only not in like.directions:
        raise DataError(
            f"--baselines pix2pix:{SHORT[only]}: {like.main.path} has no {like.words(only)} to compare with: translate "
            "that direction first, or leave it out."
        )
    ways = [only] if only else like.directions
    there = {way: run for way in DIRECTIONS if (run := _of_way(runs, way, like.split))}
    if any(way not in there or not _has(there[way], way, like.split) for way in ways):
        _refuse_unpaired(like)
    baselines = [_one_way(way, there, like) for way in ways]
    return baselines if there or only else [_timed_together(each) for each in baselines]


def _of_way(runs: Sequence[Run], way: str, split: str) -> Run | None:
    """The run of that direction: one that is translated, whoever made it, or else one whose training was begun."""
    begun = [run for run in runs if run.info.producer.get("name") == "cyclegan"]
    begun = [run for run in begun if run.info.settings.get("direction", "AtoB") == way]
    return next((run for run in [*(run for run in runs if _has(run, way, split)), *begun]), None)


def _has(run: Run, way: str, split: str) -> bool:
    return any(image_set.direction == way for image_set in sealed_sets(run.path, split))


def _one_way(way: str, there: Mapping[str, Run], like: Likeness) -> Baseline:
    """There: by direction, what there is of pix2pix. What is not is made like the other direction, where that is."""
    name, run = f"pix2pix, {like.words(way)}", there.get(way)
    if run is not None and _has(run, way, like.split):
        return _taken(name, run)
    path = run.path if run else _free_place(way, like)
    twins = [str(twin.path / "config.toml") for twin in there.values() if _can_be_followed(twin)]
    config, changes = (twins[0], [f"direction={way}"]) if twins else _pix2pix_config(like, way)
    options = ("--data", str(like.dataset_path), *(word for change in changes for word in ("--set", change)))
    training = Training(name, path, config, options, (way,), like.data)
    return Baseline(path, tuple(training_steps(training, like.split)), planned=(way,))


def _can_be_followed(run: Run) -> bool:
    return run.info.settings.get("translator") == "pix2pix" and (run.path / "config.toml").is_file()


def _free_place(way: str, like: Likeness) -> Path:
    """The usual direction has the method's name, if no other run has taken it."""
    plain, full = like.place("pix2pix"), like.place(f"pix2pix-{way}")
    return plain if way == like.usual_direction and not (plain / "run.json").exists() else full


def _timed_together(baseline: Baseline) -> Baseline:
    """Both trainings take equally long, so that one of them is measured."""
    return replace(baseline, steps=tuple(replace(step, alike="pix2pix") for step in baseline.steps))


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


BASELINES: Mapping[str, Callable[[Sequence[Run], Likeness], list[Baseline]]] = {
    "gatys": _gatys,
    "pix2pix": _pix2pix,
    "pix2pix:ab": partial(_pix2pix, only="AtoB"),
    "pix2pix:ba": partial(_pix2pix, only="BtoA"),
}
