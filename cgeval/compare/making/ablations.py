"""A configuration or a run goes in; the steps come out that make the paper's five objectives of it, and measure them.

Zhu et al. (arXiv 1703.10593, section 5.1.4, tables 4 and 5): the full objective; the cycle without GAN losses; the GAN
losses without a cycle; the GAN losses with the cycle of one direction. Nothing else differs between the five runs.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cgeval.compare.making.plan import Plan
from cgeval.compare.making.scoring import Candidate, Wish, measuring
from cgeval.compare.making.steps import Step, asked
from cgeval.compare.making.trained import (
    Training,
    comes_back,
    missing_directions,
    sealed_sets,
    seconds_taken,
    share_done,
    training_steps,
)
from cgeval.compare.settings import differing, flat_settings
from cgeval.datasets import Dataset, find_dataset
from cgeval.errors import ConfigError, RunError
from cgeval.runs import DIRECTIONS, Run

FULL = "full"
OBJECTIVES: Mapping[str, str] = {
    FULL: "CycleGAN",
    "cycle_alone": "cycle alone",
    "gan_alone": "GAN alone",
    "gan_forward_cycle": "GAN + forward cycle",
    "gan_backward_cycle": "GAN + backward cycle",
}
WORK: Mapping[str, float] = {  # of a step of the full objective: 6 residual blocks at 64 px on a CPU, no identity term
    FULL: 1.0,
    "cycle_alone": 0.95,
    "gan_alone": 0.55,
    "gan_forward_cycle": 0.8,
    "gan_backward_cycle": 0.8,
}
MAY_DIFFER = ("objective.name", "data.path", "compute.", "checkpoints.", "logging.")


@dataclass(frozen=True)
class Source:
    """What the five runs are made of. config: CONFIG as the trainer takes it; options: what goes with it when typed.

    places: the run of each objective; data: the dataset's folder; moved: the same, where runs remember another.
    """

    config: str
    options: tuple[str, ...]
    places: Mapping[str, Path]
    data: Path
    moved: Path | None


def ablation_source(config_or_run: str, data: Path | None, out: Path | None, changes: Sequence[str]) -> Source:
    """Read what the user named; raises ConfigError or RunError for what cannot be ablated."""
    path = Path(config_or_run)
    if (path / "run.json").is_file():
        return _of_run(Run.open(path), data, out, changes)
    settings = _settings_of(path)
    _refuse_other_objectives(config_or_run, settings, changes)
    folder, stem = out or Path("runs"), path.stem
    places = {name: folder / f"{stem}-{name}" for name in OBJECTIVES}
    found = data or _data_of(settings, places[FULL])
    if found is None:
        raise ConfigError(f"{config_or_run} names no dataset: add --data DIR.")
    given = ("--data", str(found)) if data else ()
    return Source(config_or_run, (*given, *_set(changes)), places, found, None)


def plan_ablations(source: Source, split: str, wish: Wish) -> Plan:
    """Train and translate each that is not there, and measure all as the full one is; raises a CgevalError."""
    _refuse_unlike([place for place in source.places.values() if (place / "run.json").is_file()])
    dataset, trainings = find_dataset(source.data), [_training(source, *item) for item in source.places.items()]
    if any(missing_directions(training, split) for training in trainings):
        dataset.split(split)  # what has no pictures is told now, and not after five trainings
    making = [step for training in trainings for step in training_steps(training, split)]
    main, *others = (_candidate(training, split, dataset.run_facts) for training in trainings)
    measured = measuring([main], others, split, wish)
    steps = (*_as_long_as_full(making, source.places, dataset), *measured.steps)
    return Plan(steps, tuple(source.places.values()), measured.notes, measured.unscored, measured.is_scored)


def _as_long_as_full(making: Sequence[Step], places: Mapping[str, Path], dataset: Dataset) -> list[Step]:
    """The trainings by what they compute, held against the full one: measured together, or by its log if it is done."""
    full, train = places[FULL], dataset.splits.get("train")
    images = max(len(train.a), len(train.b)) if train else 0
    taken = seconds_taken(full, images) if (full / "run.json").is_file() else None
    known_by = f"by the log of {full}" if taken is not None else ""
    names, told = {str(place): name for name, place in places.items()}, []
    for step in making:
        if step.command[:2] == ("cyclegan", "train") and not step.done:
            name = names[step.command[3]]
            work = WORK[name] * (1 - share_done(places[name]))
            seconds = taken * work if taken is not None else None
            step = replace(step, alike="objectives", work=work, seconds=seconds, known_by=known_by)
        told.append(step)
    return told


def _of_run(run: Run, data: Path | None, out: Path | None, changes: Sequence[str]) -> Source:
    settings = flat_settings(run.info.settings)
    made_by, objective = settings.get("translator"), settings.get("objective.name")
    if (made_by, objective) != ("cyclegan", FULL) or not (run.path / "config.toml").is_file():
        raise RunError(
            f"{run.path} is a run of {run.info.method} by {run.info.producer.get('name', '?')}, and ablations are made "
            "of a CycleGAN of the full objective that `cyclegan train` made: name its run, or a configuration."
        )
    if changes:
        raise ConfigError(f"--set {changes[0]}: the five runs must not differ, and {run.path} is there already.")
    stem, folder = run.path.resolve().name.removesuffix(f"-{FULL}"), out or run.path.parent
    places = {name: run.path if name == FULL else folder / f"{stem}-{name}" for name in OBJECTIVES}
    remembered = run.info.dataset.get("path")
    given = ("--data", str(data)) if data else ()
    return Source(str(run.path / "config.toml"), given, places, data or Path(str(remembered)), data)


def _settings_of(config: Path) -> dict[str, Any]:
    """By dotted key, of a TOML file or a ready configuration; raises ConfigError for what is neither."""
    try:
        text = config.read_text(encoding="utf-8-sig") if config.is_file() else _ready(config)
        return flat_settings(tomllib.loads(text))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{config} cannot be read as TOML ({error}): name a configuration.") from None


def _ready(config: Path) -> str:
    """The text of a ready configuration, which is the trainer's to know."""
    name = config.stem if str(config) in (f"{config.stem}.toml", f"configs/{config.stem}.toml") else str(config)
    try:
        return asked(("cyclegan", "configs", name)).decode()
    except RunError as error:
        raise ConfigError(f"{config} is neither a file nor a run: {error}") from None


def _refuse_other_objectives(config: str, settings: Mapping[str, Any], changes: Sequence[str]) -> None:
    """Raise ConfigError for a configuration of which the five objectives cannot be made."""
    changed = dict(change.split("=", 1) for change in changes if "=" in change)
    for key, only in {"translator": "cyclegan", "objective.name": FULL}.items():
        found = str(changed.get(key, settings.get(key, only))).strip(" \"'")
        if found != only:
            raise ConfigError(
                f"{config} with {key} = {found!r}: the five objectives are made of a CycleGAN with {key} = {only!r}: "
                "name such a configuration."
            )


def _data_of(settings: Mapping[str, Any], full: Path) -> Path | None:
    """The dataset that the configuration names, or that the full run was trained on."""
    remembered = Run.open(full).info.dataset.get("path") if (full / "run.json").is_file() else None
    named = remembered or settings.get("data.path")
    return Path(str(named)) if named else None


def _training(source: Source, name: str, place: Path) -> Training:
    objective = () if name == FULL else ("--set", f"objective.name={name}")
    options = (*source.options, *objective)
    return Training(OBJECTIVES[name], place, source.config, options, DIRECTIONS, source.moved)


def _candidate(training: Training, split: str, facts: Mapping[str, Any]) -> Candidate:
    sets, planned = sealed_sets(training.path, split), missing_directions(training, split)
    both = bool(planned) or comes_back(Run.open(training.path), sets)
    return Candidate(training.path, facts, sets, planned, is_both_ways=both)


def _refuse_unlike(paths: Sequence[Path]) -> None:
    """Raise ConfigError where runs that are there differ in more than the objective: they would show nothing."""
    runs = [Run.open(path) for path in paths]
    for path, run in zip(paths[1:], runs[1:], strict=True):
        if keys := differing(runs[0], run, MAY_DIFFER):
            raise ConfigError(
                f"{path} was trained with another {', '.join(keys)} than {paths[0]}, so that the two do not show what "
                "the objective does: move one of them away, or name another --out."
            )


def _set(changes: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for change in changes for word in ("--set", change))
