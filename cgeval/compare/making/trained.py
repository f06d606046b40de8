"""A place for a run and the way to train it go in; the steps come out that it still lacks until its images are sealed.

What was done is told by files alone: run.json, the index of checkpoints, sealed sets (docs/run-directory.md).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgeval.compare.making.steps import Step
from cgeval.runs import ImageSet, Run

SHORT = {"AtoB": "ab", "BtoA": "ba"}


@dataclass(frozen=True)
class Training:
    """How a run is made. source: CONFIG as the trainer takes it; options: what goes with it on the command line.

    directions: those that it will translate; data: where the dataset is, if the run does not remember the right place.
    """

    name: str
    path: Path
    source: str
    options: tuple[str, ...]
    directions: tuple[str, ...]
    data: Path | None = None


def training_steps(training: Training, split: str) -> list[Step]:
    """Train (or go on), then translate the split; done steps are among them, marked."""
    missing = missing_directions(training, split)
    return [_train(training, trained=not missing), _translate(training, split, missing)]


def sealed_sets(path: Path, split: str) -> tuple[ImageSet, ...]:
    """Of the split, in the run; none where there is no run yet."""
    if not (path / "run.json").is_file():
        return ()
    return tuple(image_set for image_set in Run.open(path).image_sets() if image_set.split == split)


def missing_directions(training: Training, split: str) -> tuple[str, ...]:
    """Those that it is yet to translate."""
    there = {image_set.direction for image_set in sealed_sets(training.path, split)}
    return tuple(way for way in training.directions if way not in there)


def share_done(path: Path) -> float:
    """How much of its epochs the newest checkpoint of a run has seen, 0 to 1; 0 where that is not known."""
    saved, epochs = _checkpoints(path), _epochs(path)
    return min(1.0, saved[-1]["epoch"] / epochs) if saved and epochs else 0.0


def seconds_taken(path: Path, images: int) -> float | None:
    """How long the whole training took, by the run's log, without the time between a stop and going on.

    images: of an epoch. None where the log does not hold every step that one process makes of so many images: several
    processes were faster together, and what a resumed run has lost was never told.
    """
    batch = Run.open(path).info.settings.get("optimiser", {}).get("batch_size", 1)
    seconds, before = 0.0, 0
    for row in _log(path):
        seconds += (row["step"] - before) * batch / row["images_per_s"]
        before = row["step"]
    return seconds if before and before == math.ceil(images / batch) * _epochs(path) else None


def comes_back(run: Run, sets: Sequence[ImageSet]) -> bool:
    """Whether the checkpoints that made the sets are there, and both directions are among them."""
    files = {saved["file"] for saved in _checkpoints(run.path)}
    ways = {image_set.direction for image_set in sets}
    return len(ways) == len(SHORT) and all(image_set.checkpoint in files for image_set in sets)


def _epochs(path: Path) -> int:
    """Of the whole training; 0 where there is no run yet."""
    settings = Run.open(path).info.settings.get("optimiser", {}) if (path / "run.json").is_file() else {}
    return int(settings.get("constant_epochs", 0) + settings.get("decay_epochs", 0))


def _log(path: Path) -> list[dict[str, Any]]:
    """The rows of the run's log with a step and a speed, in order; none where there is no log that can be read."""
    try:
        rows = [json.loads(line) for line in (path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [row for row in rows if isinstance(row.get("step"), int) and row.get("images_per_s", 0) > 0]


def _checkpoints(path: Path) -> list[dict[str, Any]]:
    """Of the run's index, oldest first; none where there is no index that can be read: the trainer says why."""
    try:
        content = json.loads((path / "checkpoints" / "index.json").read_bytes())
    except (OSError, ValueError):
        return []
    saved = content.get("checkpoints", []) if isinstance(content, dict) else []
    return [each for each in saved if isinstance(each.get("epoch"), int) and "file" in each]


def _train(training: Training, *, trained: bool) -> Step:
    """trained: its images are there, and so it counts as trained, wherever that was and however long."""
    title, path = f"train {training.name}", str(training.path)
    begun = (training.path / "run.json").is_file()
    share = share_done(training.path)
    if trained or share == 1:
        return Step(title, _train_command(training), done=True)
    if not begun:
        return Step(title, _train_command(training))
    moved = ("--data", str(training.data)) if training.data else ()
    resume = ("cyclegan", "train", str(training.path / "config.toml"), path, *moved, "--resume")
    return Step(f"go on with training {training.name}, {share:.0%} of whose epochs are done", resume)


def _train_command(training: Training) -> tuple[str, ...]:
    return ("cyclegan", "train", training.source, str(training.path), *training.options)


def _translate(training: Training, split: str, missing: Sequence[str]) -> Step:
    """Only the direction that is missing, where a kill has left one of two."""
    alone = ("--direction", SHORT[missing[0]]) if len(missing) == 1 < len(training.directions) else ()
    moved = ("--data", str(training.data)) if training.data else ()
    command = ("cyclegan", "translate", str(training.path), "--split", split, *alone, *moved)
    return Step(f"translate the {split} images by {training.name}", command, done=not missing)
