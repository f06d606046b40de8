"""Networks, optimisers, pools, random state and position go in; one file, whole or not there, comes out; and back.

`checkpoints/index.json` names the files, their step and why each is kept; programs read it and never a file's
name. A checkpoint is a plain dict of tensors, numbers and strings that `torch.load(weights_only=True)` reads:

    {"schema": 1, "config": {...}, "step": n, "epoch": e, "data_digest": "...",
     "networks": {name: state_dict}, "optimisers": {phase: state_dict},
     "processes": [{"pools": {...}, "rng": ...}, ...], "best": {"value": v, "step": n} or {}}
"""

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cgeval.errors import ConfigError, OutputError, RunError, SchemaError
from cgeval.files import remove_leftovers, write_atomic, write_json_atomic
from cyclegan.config import Checkpoints, TrainConfig, bound_keys, from_dict
from cyclegan.step import TrainStep

SCHEMA = 1
INDEX = "index.json"
OWN_WAY = ("lr", "fused", "capturable", "foreach")
PARTS = {
    "config": dict,
    "step": int,
    "epoch": int,
    "data_digest": str,
    "networks": dict,
    "optimisers": dict,
    "processes": list,
    "best": dict,
}


@dataclass(frozen=True)
class Saved:
    """One line of the index: a checkpoint file and what is in it. kept: why it outlives the newest."""

    file: str
    step: int
    epoch: int
    metric: float | None = None
    kept: bool = False


@dataclass(frozen=True)
class Index:
    """The checkpoints of a run, oldest first, and the file that is best by the validation metric."""

    saved: tuple[Saved, ...] = ()
    best: str | None = None

    @property
    def newest(self) -> Saved | None:
        """The last whole checkpoint."""
        return self.saved[-1] if self.saved else None


@dataclass(frozen=True)
class Position:
    """Where training stands: optimiser steps done, epochs done, and the best validation value so far."""

    step: int = 0
    epoch: int = 0
    data_digest: str = ""
    best: dict[str, float] = field(default_factory=dict)


def process_state(step: TrainStep) -> dict[str, Any]:
    """What each process has for itself: its pools and torch's random state (dropout)."""
    rng = {"cpu": torch.get_rng_state()}
    if step.device.type == "cuda":
        rng["cuda"] = torch.cuda.get_rng_state(step.device)
    if step.device.type == "mps":
        rng["mps"] = torch.mps.get_rng_state()
    return {"pools": _on_host(step.translator.pools.state_dict()), "rng": rng}


def capture(step: TrainStep, position: Position, processes: list[Any]) -> dict[str, Any]:
    """The checkpoint's content, on the host."""
    networks = {name: _on_host(network.state_dict()) for name, network in step.translator.networks.items()}
    optimisers = {name: _on_host(optimiser.state_dict()) for name, optimiser in step.optimisers.items()}
    content = {"schema": SCHEMA, "config": step.config.to_dict(), "networks": networks, "optimisers": optimisers}
    return content | {"processes": processes} | asdict(position)


def restore(step: TrainStep, content: Mapping[str, Any]) -> Position:
    """Put a checkpoint's content into a step built from the same configuration; returns where it stood."""
    _refuse_other_state(step, content)
    for name, network in step.translator.networks.items():
        network.load_state_dict(content["networks"][name])
    for name, optimiser in step.optimisers.items():
        _restore_optimiser(optimiser, content["optimisers"][name])
    mine = content["processes"][step.world.rank]
    step.translator.pools.load_state_dict(mine["pools"])
    torch.set_rng_state(mine["rng"]["cpu"])
    if step.device.type == "cuda" and "cuda" in mine["rng"]:
        torch.cuda.set_rng_state(mine["rng"]["cuda"], step.device)
    if step.device.type == "mps" and "mps" in mine["rng"]:
        torch.mps.set_rng_state(mine["rng"]["mps"])
    return Position(content["step"], content["epoch"], content["data_digest"], dict(content["best"]))


def _restore_optimiser(optimiser: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """The moments of a checkpoint, in this step's own way of computing: `compute` may change on resume.

    Fused Adam walks raw memory, so each moment gets its parameter's memory order.
    """
    own = [{key: group[key] for key in OWN_WAY if key in group} for group in optimiser.param_groups]
    groups = [group | way for group, way in zip(saved["param_groups"], own, strict=True)]
    optimiser.load_state_dict({"state": saved["state"], "param_groups": groups})
    for group, way in zip(optimiser.param_groups, own, strict=True):
        group.update(way)
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim():
                state[key] = torch.empty_like(parameter).copy_(value)


def save(folder: Path, content: Mapping[str, Any], *, metric: float | None, is_best: bool, rule: Checkpoints) -> Path:
    """Write the checkpoint, then the index that names it, then drop what the rule no longer keeps."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    index, step, epoch = read_index(folder), int(content["step"]), int(content["epoch"])
    file = f"step-{step:08d}.pt"
    others = [saved for saved in index.saved if saved.file != file]
    best = file if is_best else index.best
    staying = tuple(saved for saved in others if saved.kept or saved.file == best)
    entry = Saved(file, step, epoch, metric, _is_kept(rule, epoch, others))
    buffer = BytesIO()
    torch.save(dict(content), buffer)
    try:
        write_atomic(folder / file, buffer.getvalue())
        write_json_atomic(folder / INDEX, _index_to_json(Index((*staying, entry), best)))
    except OSError as error:
        raise OutputError(_not_saved(folder, index, error)) from error
    named = {file, *(saved.file for saved in staying)}
    for path in folder.glob("step-*.pt"):
        if path.name not in named:  # also one that a kill left there before the index named it
            path.unlink(missing_ok=True)
    return folder / file


def read_index(folder: Path) -> Index:
    """The index of a run's checkpoints; empty where there is none."""
    path = folder / INDEX
    if not path.is_file():
        _refuse_lost_index(folder)
        return Index()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content["schema"]
        index = _index_from_json(content) if found == SCHEMA else Index()
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is not a checkpoint index ({error!r}), so it was edited: restore it, or start a new run."
        ) from None
    if found != SCHEMA:
        raise SchemaError(f"{path} has schema {found}, and this version reads schema {SCHEMA}.")
    return index


def find(folder: Path, which: str = "newest") -> Path:
    """Path of the newest or best checkpoint, or of the one at a step (`which` = "newest", "best" or a number)."""
    index = read_index(folder)
    files = {str(saved.step): saved.file for saved in index.saved}
    if index.newest is not None:
        files["newest"] = index.newest.file
    if index.best is not None:
        files["best"] = index.best
    if which not in files:
        there = ", ".join(files) or "none yet"
        hint = "; checkpoints.best_by names a metric to choose it by" if which == "best" else ""
        raise RunError(f"{folder} has no checkpoint {which!r}{hint}; there: {there}.")
    return folder / files[which]


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint's content onto the host; raises RunError for a file that is no whole checkpoint."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path} is gone: the index names it, so the run was changed by hand.") from None
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, ValueError, LookupError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise RunError(f"{path} is not a whole checkpoint ({reason}); try --checkpoint with another step.") from None
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise SchemaError(f"{path} has schema {found}, and this version reads schema {SCHEMA}.")
    wrong = [part for part, kind in PARTS.items() if not isinstance(content.get(part), kind)]
    if wrong:
        raise RunError(f"{path} is not a whole checkpoint (no {', '.join(wrong)}): restore it.")
    return dict(content)


def saved_config(content: Mapping[str, Any], where: Path) -> TrainConfig:
    """The configuration inside a checkpoint."""
    return from_dict(content["config"], str(where))


def _is_kept(rule: Checkpoints, epoch: int, others: list[Saved]) -> bool:
    """`every` keeps the first checkpoint of each span of `keep_every_epochs` epochs, wherever in an epoch it falls."""
    if rule.keep != "every":
        return rule.keep == "all"
    kept = [saved.epoch // rule.keep_every_epochs for saved in others if saved.kept]
    return epoch // rule.keep_every_epochs > max(kept, default=0)


def _refuse_other_state(step: TrainStep, content: Mapping[str, Any]) -> None:
    """Raise ConfigError or RunError where the step is not the one that the checkpoint was taken from."""
    count, size = len(content["processes"]), step.world.size
    if not content["optimisers"]:
        raise RunError("the checkpoint holds imported weights and no optimiser: it translates and is not trained on.")
    if count != size:
        raise RunError(
            f"the checkpoint was written by {count} process(es) and this run has {size}: resume with the same number, "
            "since each has its own image pool."
        )
    changed = bound_keys(from_dict(content["config"], "the checkpoint"), step.config)
    if changed:
        raise ConfigError(
            f"the checkpoint was made with other settings ({', '.join(changed)}): a resumed run keeps them; "
            "put them back into the run's config.toml."
        )


def _refuse_lost_index(folder: Path) -> None:
    """A kill can leave one checkpoint without an index, the very first; where there are more, somebody removed it."""
    files = sorted(path.name for path in folder.glob("step-*.pt"))
    if len(files) > 1:
        raise RunError(f"{folder} holds {len(files)} checkpoints and no {INDEX}: restore it, or start a new run.")


def _index_to_json(index: Index) -> dict[str, Any]:
    return {"schema": SCHEMA, "best": index.best, "checkpoints": [asdict(saved) for saved in index.saved]}


def _index_from_json(content: Mapping[str, Any]) -> Index:
    """Raises ValueError, KeyError or TypeError for anything that `_index_to_json` does not write."""
    saved = tuple(Saved(**entry) for entry in content["checkpoints"])
    best: str | None = content["best"]
    for entry in saved:
        numbers = (entry.step, entry.epoch, entry.kept, entry.metric or 0.0)
        if not all(isinstance(number, int | float) for number in numbers) or Path(entry.file).name != entry.file:
            raise ValueError(f"{entry} is no checkpoint")
    if best is not None and best not in [entry.file for entry in saved]:
        raise ValueError(f"the best, {best!r}, is not in it")
    return Index(saved, best)


def _not_saved(folder: Path, index: Index, error: OSError) -> str:
    whole = f"the last whole one is step {index.newest.step}" if index.newest else "none has been saved yet"
    return (
        f"no checkpoint could be written into {folder} ({error.strerror or error}); {whole}. "
        "Free some space and go on with --resume."
    )


def _on_host(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _on_host(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_on_host(item) for item in value]
    return value
