"""Resolved results go in; sealed image sets in a run come out, or one error and nothing written.

The run appears when all of its sets are whole, so that a folder that is half adopted is none.
"""

import hashlib
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cgeval.adopt.against import Against, ids_of
from cgeval.adopt.layouts import ForeignResults
from cgeval.adopt.resolving import Claims, Resolved
from cgeval.errors import ConfigError, DataError, RunError
from cgeval.files import lock, sha256_file, write_json_atomic
from cgeval.images import image_header, image_size, read_rgb
from cgeval.runs import NAME, ImageSet, Run, RunInfo

PRODUCER = "cgeval adopt"
LOCK = ".adopting.lock"


@dataclass(frozen=True)
class Picture:
    """One translation to adopt: whose it is, where it lies, and what its file is. size: width and height."""

    id: str
    target: str | None
    name: str
    path: Path
    sha256: str
    format: str
    size: tuple[int, int]


@dataclass(frozen=True)
class PlannedSet:
    """One image set to write. digest: of the files and of what they are taken for; notes: what to tell a user."""

    name: str
    split: str
    resolved: Resolved
    pictures: tuple[Picture, ...]
    source: ForeignResults

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the set."""
        return (*self.resolved.notes, *_about_repeats(self.resolved), *_about_files(self.pictures))

    @property
    def digest(self) -> str:
        """SHA-256 of the ids, targets and files of the set."""
        lines = (f"{each.id}\0{each.target}\0{each.sha256}\n" for each in self.pictures)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def extra(self) -> dict[str, Any]:
        """What the seal says of where the pictures came from."""
        return {
            "layout": self.source.layout.name,
            "source": str(self.source.root.resolve()),
            "word": self.resolved.part.word,
            "pairing": self.resolved.pairing.how,
            "split_count": self.resolved.split_count,
            "missing_count": self.resolved.missing_count,
            "notes": list(self.notes),
            "source_formats": dict(Counter(each.format for each in self.pictures)),
            "source_sizes": dict(Counter(f"{each.size[0]}x{each.size[1]}" for each in self.pictures)),
            "source_names": {each.id: each.name for each in self.pictures if each.id != each.name},
            "source_sha256": self.digest,
        }

    def is_same(self, there: ImageSet) -> bool:
        """Whether the sealed set is of these files and pairs."""
        return there.direction == self.resolved.direction and there.extra.get("source_sha256") == self.digest


def plan(each: Resolved, found: ForeignResults, against: Against | None, claims: Claims) -> PlannedSet:
    """Every picture read once, in the dataset's order, so that a broken one is found before anything is written."""
    order = {image_id: i for i, image_id in enumerate(ids_of(against.inputs(each.direction)) if against else ())}
    rows = sorted(each.pairing.ids.items(), key=lambda row: order.get(row[1], 0))

    def inspect(row: tuple[str, str]) -> Picture:
        name, image_id = row
        path, target = each.part.fakes[name], against.target(image_id) if against else None
        size, kind = image_size(path), image_header(path).format
        return Picture(image_id, target, name, path, sha256_file(path), kind, size)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = tqdm(pool.map(inspect, rows), total=len(rows), desc="reading the results", unit="img", disable=None)
        pictures = tuple(read)
    _refuse_two_of_one(each, pictures)
    split = against.split if against else claims.split or found.phase or "test"
    name = f"{split}_{each.direction}" if claims.set_name is None else claims.set_name
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name an image set (letters, digits and . _ + - can): add --name NAME.")
    return PlannedSet(name, split, each, pictures, found)


def write(
    run_path: Path, info: RunInfo, plans: Sequence[PlannedSet], *, overwrite: bool
) -> tuple[Run, Mapping[str, bool]]:
    """The run with all of these sets, and of each set whether it was there already, of the same files.

    Raises RunError for a folder that holds something else, and for sets of other files, unless overwrite;
    RunBusyError where another process adopts into the run.
    """
    if (run_path / "run.json").is_file():
        run = Run.open(run_path)
        same = _there_already(run, info, plans, overwrite)
        if all(same.values()):
            return run, same
    else:
        _refuse_occupied(run_path, plans)
    (run_path / "images").mkdir(parents=True, exist_ok=True)
    with lock(run_path / "images" / LOCK):
        if (run_path / "run.json").is_file():
            return _add(Run.open(run_path), info, plans, overwrite)
        with _nothing_half_written(run_path, plans):
            for planned in plans:
                _write_set(Run(run_path, info), planned, overwrite=True)
            facts = {"dataset": info.dataset, "producer": info.producer, "settings": info.settings}
            run = Run.create(run_path, method=info.method, **facts)
        return run, {planned.name: False for planned in plans}


def _there_already(run: Run, info: RunInfo, plans: Sequence[PlannedSet], overwrite: bool) -> dict[str, bool]:
    """Of each planned set, whether the run has it, of the same files and pairs; raises RunError for what cannot be."""
    there = {image_set.name: image_set for image_set in run.image_sets()}
    same = {planned.name: planned.name in there and planned.is_same(there[planned.name]) for planned in plans}
    if _gains_dataset(run, info):
        same = dict.fromkeys(same, False)
    if not all(same.values()):
        _refuse_other(run, info, plans)
        _refuse_other_dataset(run, info, plans, overwrite)
        _refuse_changed(run, [name for name in same if name in there and not same[name]], overwrite)
    return same


def _add(run: Run, info: RunInfo, plans: Sequence[PlannedSet], overwrite: bool) -> tuple[Run, Mapping[str, bool]]:
    same = _there_already(run, info, plans, overwrite)
    for planned in plans:
        if not same[planned.name]:
            _write_set(run, planned, overwrite)
    if _gains_dataset(run, info):
        settings = {**run.info.settings, "pairing": info.settings["pairing"]}
        run = Run(run.path, replace(run.info, dataset=info.dataset, settings=settings))
        write_json_atomic(run.path / "run.json", asdict(run.info))
    return run, same


def _gains_dataset(run: Run, info: RunInfo) -> bool:
    """Whether the run was adopted against no dataset, and one is named now."""
    adopted = run.info.producer.get("name") == PRODUCER
    return adopted and not run.info.dataset.get("path") and bool(info.dataset.get("path"))


def _write_set(run: Run, planned: PlannedSet, overwrite: bool) -> None:
    with run.write_image_set(
        planned.name,
        direction=planned.resolved.direction,
        split=planned.split,
        checkpoint=None,
        extra=planned.extra,
        overwrite=overwrite,
    ) as writer:
        for each in tqdm(planned.pictures, desc=planned.name, unit="img", disable=None):
            writer.add(each.id, read_rgb(each.path), source=each.id, target=each.target)


def _refuse_two_of_one(each: Resolved, pictures: Sequence[Picture]) -> None:
    kept = {picture.name: picture.sha256 for picture in pictures}
    for repeat, first in each.pairing.repeats.items():
        if sha256_file(each.part.fakes[repeat]) != kept[first]:
            raise DataError(
                f"{repeat!r} and {first!r} in {each.part.word} are different translations of the same input image: "
                "remove one of them, or pair by --pair name."
            )


def _about_repeats(each: Resolved) -> Iterator[str]:
    repeats = each.pairing.repeats
    if repeats:
        repeat, first = next(iter(repeats.items()))
        yield f"{len(repeats)} results are there twice and left out the second time (first: {repeat!r} is {first!r})"


def _about_files(pictures: Sequence[Picture]) -> Iterator[str]:
    jpeg = sum(each.format == "JPEG" for each in pictures)
    sizes = Counter(each.size for each in pictures)
    if jpeg:
        yield f"JPEG predictions: {jpeg} of {len(pictures)} files are JPEG, which changes a score"
    if len(sizes) > 1:
        told = ", ".join(f"{count} of {width}x{height}" for (width, height), count in sizes.most_common(3))
        yield f"sizes differ: {told}"


def _refuse_other(run: Run, info: RunInfo, plans: Sequence[PlannedSet]) -> None:
    """Raise RunError where the run is of another program or method, or has the same direction from another folder."""
    source, maker = info.settings["source"], run.info.producer.get("name")
    if maker != PRODUCER:
        raise RunError(f"{run.path} is a run that was made by {maker}: name a new folder for {source}.")
    directions = {planned.resolved.direction for planned in plans}
    for there in run.image_sets():
        if there.direction in directions and there.extra.get("source") != source:
            raise RunError(
                f"{run.path} holds {there.name}, which was adopted from {there.extra.get('source')}: name a new folder "
                f"for {source}."
            )
    if run.info.method != info.method:
        raise RunError(
            f"{run.path} has the method {run.info.method!r}, and yours is {info.method!r}: name a new folder, or add "
            f"--method {shlex.quote(run.info.method)}."
        )


def _refuse_other_dataset(run: Run, info: RunInfo, plans: Sequence[PlannedSet], overwrite: bool) -> None:
    """Raise RunError for another dataset; a run that has none gets one if all of its sets are to be replaced."""
    before, path = run.info.dataset.get("path"), info.dataset.get("path")
    if before == path:
        return
    if not _gains_dataset(run, info):
        raise RunError(f"{run.path} was adopted against {before}: name a new folder for the run, or that --dataset.")
    if not overwrite:
        raise RunError(
            f"{run.path} was adopted against no dataset: add --overwrite to adopt it anew against {path}, or name a "
            "new folder for the run."
        )
    names = {planned.name for planned in plans}
    left = [there.name for there in run.image_sets() if there.name not in names]
    if left:
        raise RunError(
            f"{run.path} was adopted against no dataset and would keep {' and '.join(left)} of that: name a new folder "
            "for the run."
        )


def _refuse_changed(run: Run, names: Sequence[str], overwrite: bool) -> None:
    if names and not overwrite:
        raise RunError(
            f"{run.path} already holds {' and '.join(names)} of other files or pairs: add --overwrite to replace it."
        )


def _refuse_occupied(run_path: Path, plans: Sequence[PlannedSet]) -> None:
    """Raise RunError for a folder that holds anything but what a kill leaves of the same sets."""
    if run_path.exists() and not run_path.is_dir():
        raise RunError(f"{run_path} is a file, and a folder is expected for a run: name another place.")
    others = [path for path in sorted(run_path.glob("*")) if path.name != "images"]
    names = {planned.name for planned in plans}
    others += [path for path in sorted((run_path / "images").glob("[!.]*")) if path.name not in names]
    if others:
        raise RunError(
            f"{run_path} holds {str(others[0].relative_to(run_path))!r} and is no run: name a new folder for the run."
        )


@contextmanager
def _nothing_half_written(run_path: Path, plans: Sequence[PlannedSet]) -> Iterator[None]:
    """Remove the sets of a run that did not come to be, and the folders that were made for them."""
    try:
        yield
    except BaseException:
        if not (run_path / "run.json").is_file():
            for planned in plans:
                shutil.rmtree(run_path / "images" / planned.name, ignore_errors=True)
                (run_path / "images" / f".{planned.name}.lock").unlink(missing_ok=True)
            (run_path / "images" / LOCK).unlink(missing_ok=True)
            for folder in (run_path / "images", run_path):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        raise
