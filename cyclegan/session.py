"""A configuration and a path go in; the run is created or gone on with, trained under a lock, and described."""

import shlex
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cgeval.allocator import keep_freed_memory
from cgeval.datasets import find_dataset
from cgeval.errors import CgevalError, ConfigError, DataError, OutputError, RunError
from cgeval.files import lock, write_atomic
from cgeval.runs import Run
from cyclegan import __version__, state
from cyclegan.config import Data, TrainConfig, bound_keys, differing_keys, load_config
from cyclegan.devices import choose_device
from cyclegan.distributed import World, from_lead, join_world, leave_world, wait_for_all
from cyclegan.inputs import Inputs, open_inputs
from cyclegan.loop import Outcome, Training
from cyclegan.models import TRANSLATORS

BEGINNING = ("train.lock", "config.toml")


@dataclass(frozen=True)
class Request:
    """What the user asked for: the run's path, and whether it may exist already."""

    config: TrainConfig
    run_path: Path
    resume: bool


def train_run(request: Request) -> Outcome:
    """Train under the run's lock, so that a second trainer is refused; every process of a group calls this."""
    config = check_translator(request.config)
    device_type = choose_device(config.compute).type
    if device_type == "cpu":
        keep_freed_memory()
    world = join_world(device_type)
    try:
        ended = _ended(request) if world.size == 1 else None
        if ended is not None:
            return ended
        device = choose_device(config.compute, world.local_rank)
        with ExitStack() as held:
            inputs = _prepare(request, held, world)
            ended = _train(request, Training(config, request.run_path, inputs, world, device))
        wait_for_all(world)  # else one that ends early, and badly, takes the leading one with it before all is written
        return ended
    finally:
        leave_world()


def _ended(request: Request) -> Outcome | None:
    """How a run ended that is gone on with and has nothing left to do; None where there may be something.

    So a program may resume whatever is there: neither the data nor the networks are touched. Where settings are new,
    the best is still to be measured, or the last picture is older than the last checkpoint, the long way decides.
    """
    run_path, config = request.run_path, request.config
    if not request.resume or not (run_path / "run.json").is_file():
        return None
    newest = state.read_index(run_path / "checkpoints").newest
    if newest is None or newest.epoch < config.optimiser.epochs or config != load_config(str(run_path / "config.toml")):
        return None
    if newest.metric is None and config.checkpoints.best_by != "none":
        return None
    file = run_path / "checkpoints" / newest.file
    if not _is_older(file, run_path / "losses.png"):
        return None
    with lock(run_path / "train.lock"):
        state.load(file)
    return Outcome(True, newest.step, newest.step, newest.step, 0.0, 0.0, _splits(config.data))


def _is_older(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.stat().st_mtime_ns <= other.stat().st_mtime_ns


def _splits(data: Data) -> tuple[str, ...]:
    """Of the dataset, as its folders tell it; none where it is gone."""
    try:
        return tuple(find_dataset(Path(data.path), Path(data.path_b) if data.path_b else None).splits)
    except DataError:
        return ()


def _prepare(request: Request, held: ExitStack, world: World) -> Inputs:
    """The leading process checks, decodes, locks and starts; the others wait, and end quietly if it cannot."""
    mistake: CgevalError | None = None
    if world.leads:
        try:
            inputs = _prepare_alone(request, held)
        except CgevalError as error:
            mistake = error
    if from_lead(mistake is not None, world):
        raise mistake or SystemExit(2)
    return inputs if world.size == 1 else open_inputs(request.config, world)


def _prepare_alone(request: Request, held: ExitStack) -> Inputs:
    refuse_wrong_start(request)
    inputs = open_inputs(request.config, World())
    for path in inputs.dataset.skipped:
        print(f"left out, since it is broken: {path}", file=sys.stderr)
    request.run_path.mkdir(parents=True, exist_ok=True)
    held.enter_context(lock(request.run_path / "train.lock"))
    if not request.resume:
        start(request, inputs)
    return inputs


def _train(request: Request, training: Training) -> Outcome:
    if request.resume:
        training.resume()
    if request.resume and training.world.leads:
        _tell_changes(request)
        write_settings(request)
    if training.world.leads and request.config.compute.compile != "off":
        print("Compiling: the first steps take minutes.", file=sys.stderr)
    return training.run()


def _tell_changes(request: Request) -> None:
    changed = differing_keys(load_config(str(request.run_path / "config.toml")), request.config)
    if changed:
        print(f"From here on {request.run_path} has another {', '.join(changed)}.", file=sys.stderr)


def check_translator(config: TrainConfig) -> TrainConfig:
    """The same configuration; raises ConfigError for a translator that is not known."""
    if config.translator not in TRANSLATORS:
        raise ConfigError(
            f"translator = {config.translator!r} is unknown; the known ones are {', '.join(TRANSLATORS)}."
        )
    return config


def refuse_wrong_start(request: Request) -> None:
    """Raise RunError if a run is there without --resume or none is with it, OutputError where none can be written."""
    _refuse_place(request.run_path, request.config.data.path)
    exists = (request.run_path / "run.json").is_file()
    if exists and not request.resume:
        raise RunError(
            f"{request.run_path} already holds a run: add --resume to go on with it, or name another folder."
        )
    if request.resume and not exists:
        raise RunError(f"{request.run_path} holds no run to resume: leave --resume away to start one there.")
    if not exists:
        _refuse_occupied(request.run_path)
    if request.resume:
        if "imported_weights" in Run.open(request.run_path).info.producer:
            raise RunError(
                f"{request.run_path} holds imported weights, which translate and have no optimiser to go on with: "
                "train a new run in another folder."
            )
        refuse_other_settings(load_config(str(request.run_path / "config.toml")), request.config, request.run_path)


def refuse_other_settings(before: TrainConfig, settings: TrainConfig, run_path: Path) -> None:
    """Raise ConfigError for settings that a resumed run keeps, and say which command has them all."""
    changed = bound_keys(before, settings)
    if changed:
        own = " ".join(shlex.quote(str(path)) for path in (run_path / "config.toml", run_path))
        raise ConfigError(
            f"{run_path} was started with another {', '.join(changed)}, which a resumed run keeps: "
            f"`cyclegan train {own} --resume` has its settings; of yours only logging, checkpoints, compute and "
            "data.path may be new."
        )


def start(request: Request, inputs: Inputs) -> None:
    """Write config.toml, without which nothing resumes, then run.json of a new run."""
    write_settings(request)
    facts = inputs.dataset.run_facts | {"training_digest": inputs.digest}
    producer = {"name": "cyclegan", "version": __version__}
    method = request.config.translator
    if request.config.objective.name != "full":
        method = f"{method}:{request.config.objective.name}"
    Run.create(request.run_path, method=method, dataset=facts, producer=producer, settings=request.config.to_dict())


def _refuse_occupied(run_path: Path) -> None:
    """Raise RunError for a folder that holds anything but what a kill leaves of a run's very beginning."""
    others = sorted(path.name for path in run_path.glob("*") if path.name not in BEGINNING)
    if others:
        raise RunError(f"{run_path} holds {others[0]!r} and is no run: name a new folder for the run.")


def _refuse_place(run_path: Path, data: str) -> None:
    there = next(path for path in (run_path, *run_path.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise OutputError(f"{there} is a file, and RUN is a folder to write a run into: name another.")
    if data and run_path.resolve() == Path(data).resolve():
        raise OutputError(f"{run_path} is the dataset: name another folder for the run, which writes its own files.")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OutputError(f"nothing can be written into {there} ({error.strerror}): name another RUN.") from None


def write_settings(request: Request) -> None:
    """Write config.toml; for a resumed run only once it is known that it can go on."""
    write_atomic(request.run_path / "config.toml", request.config.to_toml().encode())


def newest_step(run_path: Path) -> int:
    """Steps done in the newest checkpoint; 0 where there is none."""
    newest = state.read_index(run_path / "checkpoints").newest
    return newest.step if newest else 0
