"""A folder of another program's results goes in; a run with sealed image sets comes out, or one sentence why not.

Every picture keeps its size and its pixels, and gets the id of the dataset's image that it was made from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cgeval.adopt.against import Against, open_against
from cgeval.adopt.layouts import ForeignResults, recognise
from cgeval.adopt.resolving import Claims, resolve
from cgeval.adopt.writing import PRODUCER, PlannedSet, plan, write
from cgeval.errors import ConfigError, LayoutError
from cgeval.runs import ImageSet, Run, RunInfo, now


@dataclass(frozen=True)
class AdoptedSet:
    """One sealed set. word: what its program calls it; how: it was paired; unchanged: it was there before."""

    image_set: ImageSet
    word: str
    how: str
    notes: tuple[str, ...]
    unchanged: bool


@dataclass(frozen=True)
class Adopted:
    """What became of a folder of results."""

    run: Run
    found: ForeignResults
    sets: tuple[AdoptedSet, ...]


def adopt(
    folder: Path,
    run_path: Path,
    *,
    method: str | None = None,
    dataset: Path | None = None,
    claims: Claims | None = None,
    overwrite: bool = False,
) -> Adopted:
    """Make a run of a folder of results, or add to the run that was made of it before.

    method: as tables will call it; by default as the folder calls the experiment. dataset: whose images were
    translated; without one, the ids are the results' own names. What was adopted before, of the same files, is left
    alone.

    Raises LayoutError, DataError, ImageError, RunError or ConfigError in one sentence, and writes nothing then.
    """
    claims = claims or Claims()
    found = recognise(folder)
    if found is None:
        what = "holds no images (jpg, png, bmp, tif, webp)" if folder.is_dir() else _what_else(folder)
        raise LayoutError(f"{folder} {what}: a folder of translated images is expected.")
    if run_path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{run_path} lies in the results themselves: name a new folder for the run.")
    against = None if dataset is None else open_against(dataset, claims.split, found.phase)
    plans = [plan(each, found, against, claims) for each in resolve(found, against, claims)]
    if claims.set_name is not None and len(plans) > 1:
        raise ConfigError(f"--name names one image set, and {found.root} holds two: add --direction ab or ba.")
    info = _info(run_path, method or found.experiment, against, plans)
    run, same = write(run_path, info, plans, overwrite=overwrite)
    return Adopted(run, found, tuple(_adopted(run, planned, same[planned.name]) for planned in plans))


def _what_else(folder: Path) -> str:
    return "is a file" if folder.exists() else "is not there"


def _info(run_path: Path, method: str, against: Against | None, plans: Sequence[PlannedSet]) -> RunInfo:
    facts = against.facts if against else {"name": "unknown", "path": "", "paired": False}
    settings = {
        "source": plans[0].extra["source"],
        "layout": plans[0].extra["layout"],
        "pairing": {planned.name: planned.resolved.pairing.how for planned in plans},
    }
    producer = {"name": PRODUCER, "version": version("cgeval")}
    return RunInfo(run_path.resolve().name, method, facts, producer, now(), settings)


def _adopted(run: Run, planned: PlannedSet, unchanged: bool) -> AdoptedSet:
    each = planned.resolved
    return AdoptedSet(run.image_set(planned.name), each.part.word, each.pairing.how, planned.notes, unchanged)
