"""Everything that changes while a scorer is trained goes in; files that survive a kill come out, and back.

training.json   what was begun: recipe, dataset, length; written once, before the first step
state.pt        networks, optimiser and position after some step; whole or the one before; gone when all is done
log.jsonl       a line for each stretch of steps and each validation
curves.png      the log as a picture
"""

import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from cgeval.errors import ConfigError, OutputError, RunError, SchemaError
from cgeval.files import LEFTOVER, remove_leftovers, write_atomic, write_json_atomic
from cgeval.metrics import WORDS
from cgeval.scorers.recipe import Recipe, differing, recipe_of

SCHEMA = 1
BEGUN, STATE, LOG, CURVES, LOCK = "training.json", "state.pt", "log.jsonl", "curves.png", "train.lock"
PARTS = {
    "step": int,
    "network": dict,
    "averaged": dict,
    "optimiser": dict,
    "best": dict,
    "stale": int,
    "seconds": float,
}
BROKEN = (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile, ValueError, LookupError)


Row = dict[str, Any]


@dataclass(frozen=True)
class Begun:
    """What a training was begun with. digest: of the train split's files; total_steps: how long it is."""

    recipe: Recipe
    dataset: str
    digest: str
    total_steps: int


@dataclass
class Position:
    """Where training stands. best: {} or the step, class_iou and network of the best validation; stale: validations
    since; seconds: spent on steps and validations."""

    step: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    stale: int = 0
    seconds: float = 0.0


def write_begun(folder: Path, begun: Begun) -> None:
    """Write training.json, with which a training can be resumed."""
    content = {"schema": SCHEMA} | asdict(begun) | {"recipe": begun.recipe.to_dict()}
    write_json_atomic(folder / BEGUN, content)


def read_begun(folder: Path) -> Begun:
    """What was begun in the folder; raises RunError where nothing was, or it cannot be read."""
    path = folder / BEGUN
    if not path.is_file():
        raise RunError(f"{folder} holds no training to resume: leave --resume away to start one there.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content.pop("schema")
        if schema == SCHEMA:
            return Begun(recipe=recipe_of(content.pop("recipe")), **content)
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise RunError(
            f"{path} does not say what was begun ({error!r}): restore it, or start anew elsewhere."
        ) from None
    raise SchemaError(f"{path} has schema {schema}, and this version reads schema {SCHEMA}.")


def recipe_over_begun(folder: Path, named: Mapping[str, Any]) -> Recipe:
    """The settings that were begun with, those that are named this time in their place; raises RunError."""
    return recipe_of(read_begun(folder).recipe.to_dict() | dict(named))


def progress(folder: Path) -> str | None:
    """How far an unfinished training is, in words; None where none was begun. Raises RunError."""
    if not (folder / BEGUN).is_file():
        return None
    rows = read_log(folder / LOG) if (folder / LOG).is_file() else []
    return f"step {rows[-1]['step'] if rows else 0} of {read_begun(folder).total_steps}"


def refuse_wrong_start(folder: Path) -> None:
    """Raise RunError or OutputError where a new training cannot begin: something is there already."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, and the folder of a scorer is expected: name another.")
    if (folder / BEGUN).is_file():
        raise RunError(
            f"{folder} holds a training that was begun: add --resume to go on with it, or name another folder."
        )
    others = sorted(path.name for path in folder.glob("*") if path.name != LOCK and not path.name.startswith(LEFTOVER))
    if others:
        raise OutputError(f"{folder} holds {others[0]!r} already: name a new folder for the scorer.")


def refuse_another(begun: Begun, recipe: Recipe, dataset: str, digest: str, folder: Path) -> None:
    """Raise ConfigError or RunError where a resumed training would go on with other settings or other photos."""
    if begun.dataset != dataset:
        raise RunError(f"{folder} was begun on {begun.dataset!r} and not on {dataset!r}: name that, or another folder.")
    changed = differing(begun.recipe, recipe)
    if changed:
        before, after = begun.recipe.to_dict(), recipe.to_dict()
        each = ", ".join(f"{key} {before[key]!r} and not {after[key]!r}" for key in changed)
        raise ConfigError(f"{folder} was begun with {each}, which a resumed training keeps: leave that away.")
    if begun.digest != digest:
        raise RunError(
            f"{folder} was begun with other photos of {begun.dataset!r}: restore them, or start anew in another folder."
        )


def save_state(folder: Path, content: Mapping[str, Any]) -> None:
    """Write state.pt whole, in place of the one before; raises OutputError."""
    import torch

    buffer = BytesIO()
    torch.save({"schema": SCHEMA} | dict(content), buffer)
    try:
        write_atomic(folder / STATE, buffer.getvalue())
    except OSError as error:
        raise OutputError(
            f"{folder / STATE} could not be written ({error.strerror or error}): free some space, then --resume."
        ) from None


def load_state(folder: Path) -> dict[str, Any] | None:
    """The content of state.pt on the host, None where nothing was saved yet; raises RunError for a damaged file."""
    import torch

    path = folder / STATE
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except BROKEN:
        raise RunError(f"{path} is damaged: remove it to train from the beginning with --resume.") from None
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise SchemaError(f"{path} has schema {found}, and this version reads schema {SCHEMA}.")
    wrong = [part for part, kind in PARTS.items() if not isinstance(content.get(part), kind)]
    if wrong:
        raise RunError(f"{path} lacks {', '.join(wrong)}: remove it to train from the beginning with --resume.")
    return dict(content)


def tidy(folder: Path, step: int) -> None:
    """Remove what a killed process left, and the lines of the log after `step`, which will be told again."""
    remove_leftovers(folder)
    path = folder / LOG
    if path.exists():
        rows = [row for row in read_log(path) if row["step"] <= step]
        write_atomic(path, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def append_row(folder: Path, row: Row) -> None:
    """Add a line to the log."""
    with (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps({key: _short(value) for key, value in row.items()}) + "\n")


def read_log(path: Path) -> list[Row]:
    """The rows in order; a last line that a kill left half-written is left out, any other that is no row is named."""
    rows: list[Row] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows.append({"step": int(row["step"])} | row)
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines):
                raise RunError(f"{path}:{number} is no row of a log ({error!r}): remove that line.") from None
    return rows


def draw_curves(rows: Sequence[Row], path: Path) -> None:
    """Loss, and the scores on the validation photos, by step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    learnt = [row for row in rows if "loss" in row]
    left.plot([row["step"] for row in learnt], [row["loss"] for row in learnt], linewidth=1)
    left.set(title="loss on the train photos", xlabel="step", ylabel="cross-entropy")
    measured = [row for row in rows if "class_iou" in row]
    for metric in WORDS:
        right.plot([row["step"] for row in measured], [row[metric] for row in measured], ".-", label=WORDS[metric])
    right.set(title="on the validation photos", xlabel="step", ylim=(0, 1))
    if measured:
        right.legend()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomic(path, buffer.getvalue())


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
