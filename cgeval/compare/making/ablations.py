"""A configuration or a run goes in; the steps come out that make the paper's five objectives of it, and measure them.

Zhu et al. (arXiv 1703.10593, section 5.1.4, tables 4 and 5): the full objective; the cycle without GAN losses; the GAN
losses without a cycle; the GAN losses with the cycle of one direction. Nothing else differs between the five runs.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgeval.compare.making.plan import Plan
from cgeval.compare.making.scoring import Candidate, Wish, measuring
from cgeval.compare.making.trained import (
    Training,
    comes_back,
    flat_settings,
    missing_directions,
    sealed_sets,
    training_steps,
)
from cgeval.datasets import find_dataset
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
    if path.suffix == ".toml" and not path.is_file():
        raise ConfigError(
            f"{path} is not there: name a TOML file, a run, or a ready configuration of `cyclegan configs`."
        )
    folder, stem = out or Path("runs"), path.stem
    places = {name: folder / f"{stem}-{name}" for name in OBJECTIVES}
    found = data or _data_of(path, places[FULL])
    if found is None:
        raise ConfigError(f"{config_or_run} names no dataset: add --data DIR.")
    given = ("--data", str(found)) if data else ()
    return Source(config_or_run, (*given, *_set(changes)), places, found, None)


def plan_ablations(source: Source, split: str, wish: Wish) -> Plan:
    """Train and translate each that is not there, and measure all as the full one is; raises a CgevalError."""
    _refuse_unlike([place for place in source.places.values() if (place / "run.json").is_file()])
    trainings = [_training(source, name, place) for name, place in source.places.items()]
    making = [step for training in trainings for step in training_steps(training, split)]
    facts = find_dataset(source.data).run_facts
    main, *others = (_candidate(training, split, facts) for training in trainings)
    measured = measuring(main, others, split, wish)
    return Plan((*making, *measured.steps), tuple(source.places.values()), measured.notes)


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


def _data_of(config: Path, full: Path) -> Path | None:
    """The dataset that the configuration names, or that the full run was trained on."""
    if (full / "run.json").is_file():
        remembered = Run.open(full).info.dataset.get("path")
        return Path(remembered) if remembered else None
    if not config.is_file():
        return None
    try:
        named = tomllib.loads(config.read_text(encoding="utf-8-sig")).get("data", {}).get("path")
    except (ValueError, AttributeError, OSError):
        raise ConfigError(f"{config} cannot be read as TOML: name a configuration, or add --data DIR.") from None
    return Path(named) if named else None


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
    settings = {path: flat_settings(Run.open(path).info.settings) for path in paths}
    for path in paths[1:]:
        one, other = settings[paths[0]], settings[path]
        keys = [key for key in one | other if not key.startswith(MAY_DIFFER) and one.get(key) != other.get(key)]
        if keys:
            raise ConfigError(
                f"{path} was trained with another {', '.join(keys)} than {paths[0]}, so that the two do not show what "
                "the objective does: move one of them away, or name another --out."
            )


def _set(changes: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for change in changes for word in ("--set", change))
