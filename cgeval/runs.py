"""A folder goes in; a `Run` comes out: who made it, which sealed sets of images it holds. And the writer of such sets.

The format is documented in docs/run-directory.md. Written last means complete: an image set exists when its
`set.json` does, and `index_sha256` in it pins every pixel.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import RunError, SchemaError, SealError
from cgeval.files import lock, sha256_file, write_atomic, write_json_atomic
from cgeval.images import encode_png

SCHEMA = 1
DIRECTIONS = ("AtoB", "BtoA")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
Kinds = Mapping[str, type | UnionType]
RUN_KEYS: Kinds = {
    "schema": int,
    "run_id": str,
    "method": str,
    "dataset": dict,
    "producer": dict,
    "created_at": str,
    "settings": dict,
}
SET_KEYS: Kinds = {
    "schema": int,
    "name": str,
    "direction": str,
    "split": str,
    "checkpoint": str | None,
    "count": int,
    "index_sha256": str,
    "created_at": str,
    "extra": dict,
}
ROW_KEYS: Kinds = {"id": str, "file": str, "sha256": str, "source": str, "target": str | None}


@dataclass(frozen=True)
class RunInfo:
    """Content of run.json. dataset: name, path, domains and more; producer: name and version of the program."""

    run_id: str
    method: str
    dataset: Mapping[str, Any]
    producer: Mapping[str, Any]
    created_at: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


@dataclass(frozen=True)
class Row:
    """One image of a set: id, file below the set's folder, digest of the file, the ids it came from and aims at."""

    id: str
    file: str
    sha256: str
    source: str
    target: str | None = None


@dataclass(frozen=True)
class ImageSet:
    """A sealed set of translated images."""

    path: Path
    name: str
    direction: str
    split: str
    checkpoint: str | None
    count: int
    index_sha256: str
    created_at: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[Row, ...]:
        """One row per image, in the order they were written; raises RunError for an index that is none."""
        index = self.path / "index.jsonl"
        try:
            lines = index.read_bytes().removesuffix(b"\n").split(b"\n")
        except OSError as error:
            raise RunError(f"{index} cannot be read ({error.strerror}): restore it.") from None
        rows = tuple(Row(**_checked(line, f"{index}:{i}", ROW_KEYS)) for i, line in enumerate(lines, 1))
        outside = [row.file for row in rows if not _is_below(row.file)]
        if outside:
            raise RunError(f"{index} names {outside[0]!r}, and a file inside the image set is expected: restore it.")
        if len({row.id for row in rows}) < len(rows):
            raise RunError(f"{index} has an id twice, and ids pair images: restore it.")
        return rows

    def verify(self, seen: Callable[[Row], object] = lambda _row: None) -> None:
        """Check the index and every file against their digests; raises SealError at the first that differs.

        seen: called after each image, for progress.
        """
        index = self.path / "index.jsonl"
        if not index.is_file() or sha256_file(index) != self.index_sha256:
            raise SealError(f"{index} is not the one that was sealed: restore it, or translate again with --overwrite.")
        rows = self.rows
        if len(rows) != self.count:
            raise SealError(f"{index} has {len(rows)} images and set.json says {self.count}: restore both.")
        for row in rows:
            file = self.path / row.file
            if not file.is_file():
                raise SealError(f"{file} is missing from a sealed set of {self.count}: restore it, or translate again.")
            if sha256_file(file) != row.sha256:
                raise SealError(f"{file} was changed after it was sealed: restore it, or translate again.")
            seen(row)


class ImageSetWriter:
    """Adds images to a set that is being written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.ids: set[str] = set()

    def add(self, image_id: str, image: NDArray[np.uint8], *, source: str, target: str | None) -> None:
        """Write uint8 [h, w, 3] as PNG under its id.

        Raises RunError for an id that is there already or is no path below the set, and for another kind of array.
        """
        if image_id in self.ids:
            raise RunError(f"the id {image_id!r} comes twice in one image set: ids pair images and must be unique.")
        if not _is_below(image_id):
            raise RunError(f"the id {image_id!r} is not a plain path below the image set, in UTF-8.")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            found = f"{image.dtype} {list(image.shape)}"
            raise RunError(f"the image {image_id!r} is {found}, and uint8 [height, width, 3] is expected.")
        data = encode_png(image)
        path = self.folder / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.ids.add(image_id)
        digest = hashlib.sha256(data).hexdigest()
        self.rows.append(Row(image_id, f"{image_id}.png", digest, source, target))


@dataclass(frozen=True)
class Run:
    """A run directory."""

    path: Path
    info: RunInfo

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        method: str,
        dataset: Mapping[str, Any],
        producer: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
    ) -> "Run":
        """Make a new run; raises RunError where one is already, or a file is in the way."""
        if (path / "run.json").exists():
            raise RunError(f"{path} already holds a run: name another folder.")
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file, and a folder is expected for a run: name another place.")
        path.mkdir(parents=True, exist_ok=True)
        info = RunInfo(path.resolve().name, method, dict(dataset), dict(producer), now(), dict(settings or {}))
        write_json_atomic(path / "run.json", asdict(info))
        return cls(path, info)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open a run; raises RunError where there is none, SchemaError for another version's."""
        file = path / "run.json"
        if not file.is_file():
            what = "not a run: it holds no run.json" if path.is_dir() else "a file" if path.exists() else "not there"
            raise RunError(f"{path} is {what}; `cgeval runs FOLDER` lists the runs below a folder.")
        return cls(path, RunInfo(**_read(file, RUN_KEYS)))

    def image_sets(self) -> list[ImageSet]:
        """The sealed sets by name; what is being written, or was left half-written, is not among them."""
        files = sorted((self.path / "images").glob("*/set.json"))
        return [_image_set(file) for file in files if not file.parent.name.startswith(".")]

    def image_set(self, name: str) -> ImageSet:
        """The sealed set of that name; raises RunError naming those there are."""
        sets = {image_set.name: image_set for image_set in self.image_sets()}
        if name not in sets:
            raise RunError(f"{self.path} has no image set {name!r}; there: {', '.join(sets) or 'none yet'}.")
        return sets[name]

    @contextmanager
    def write_image_set(
        self,
        name: str,
        *,
        direction: str,
        split: str,
        checkpoint: str | None,
        extra: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Iterator[ImageSetWriter]:
        """Write a set that exists only when the block has ended well; an exception leaves what was there before.

        Raises RunError for a name that is taken, unless overwrite, and RunBusyError for a set that another process
        is writing; a set without images is refused.
        """
        final = self._place(name, direction)
        final.parent.mkdir(parents=True, exist_ok=True)
        work, aside = (final.parent / f".{state}-{name}" for state in ("writing", "replaced"))
        with lock(final.parent / f".{name}.lock"):
            _tidy(final, work, aside)
            if (final / "set.json").exists() and not overwrite:
                raise RunError(f"{final} is sealed: add --overwrite to replace it.")
            try:
                work.mkdir()
                writer = ImageSetWriter(work)
                yield writer
                facts = {"name": name, "direction": direction, "split": split, "checkpoint": checkpoint}
                _seal(work, writer.rows, facts | {"extra": dict(extra or {})})
                _replace(work, final, aside)
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def _place(self, name: str, direction: str) -> Path:
        if not NAME.fullmatch(name):
            raise RunError(f"{name!r} cannot name an image set: letters, digits and . _ + - are allowed.")
        if direction not in DIRECTIONS:
            raise RunError(f"direction is {direction!r}, and {' or '.join(DIRECTIONS)} is expected.")
        return self.path / "images" / name


def find_runs(folder: Path) -> tuple[list[Run], list[RunError]]:
    """Every run in the folder or below it, by path, and what is wrong with those that cannot be read.

    One broken run hides no other. Raises RunError where the folder is missing.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is {'a file' if folder.exists() else 'not there'}: a folder with runs is expected.")
    runs, broken = [], []
    for file in sorted(folder.rglob("run.json")):
        try:
            run = Run.open(file.parent)
            run.image_sets()
            runs.append(run)
        except RunError as error:
            broken.append(error)
    return runs, broken


def direction_words(facts: Mapping[str, Any], direction: str) -> str:
    """What is made of what: "labels -> photo" or "photo -> labels" where a domain is label maps, else the names.

    facts: the `dataset` of run.json; a domain without a name is A or B.
    """
    source, target = direction.split("to")
    if facts.get("label_domain") in ("A", "B"):
        return "labels -> photo" if source == facts["label_domain"] else "photo -> labels"
    domains = facts.get("domains")
    names = domains if isinstance(domains, Mapping) else {}
    return f"{names.get(source, source)} -> {names.get(target, target)}"


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seal(folder: Path, rows: Iterable[Row], facts: Mapping[str, Any]) -> None:
    lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows]
    if not lines:
        raise RunError(f"the image set {facts['name']!r} would be empty: there was no image to translate.")
    index = "".join(lines).encode()
    write_atomic(folder / "index.jsonl", index)
    seal = {"count": len(lines), "index_sha256": hashlib.sha256(index).hexdigest(), "created_at": now()}
    write_json_atomic(folder / "set.json", {"schema": SCHEMA} | dict(facts) | seal)


def _replace(work: Path, final: Path, aside: Path) -> None:
    """Rename is atomic only onto nothing, so an old set first steps aside; `_tidy` mends what a kill leaves of this."""
    if final.exists():
        final.rename(aside)
    try:
        work.rename(final)
    finally:
        _tidy(final, work, aside)


def _tidy(final: Path, work: Path, aside: Path) -> None:
    """Remove what a writer left that did not end well; a set that stepped aside for nothing comes back."""
    if aside.exists() and not final.exists():
        aside.rename(final)
    for leftover in (work, aside):
        if leftover.exists():
            shutil.rmtree(leftover)


def _is_below(name: str) -> bool:
    """Whether the name is a relative path in its one spelling, that stays inside and can be written as UTF-8."""
    plain = all(part not in ("", ".", "..") for part in name.split("/"))
    return plain and not re.search(r"[\x00\ud800-\udfff]", name)


def _image_set(file: Path) -> ImageSet:
    content = _read(file, SET_KEYS)
    del content["schema"]
    if content["direction"] not in DIRECTIONS:
        raise RunError(f"{file}: direction is {content['direction']!r}, and {' or '.join(DIRECTIONS)} is expected.")
    if content["name"] != file.parent.name:
        raise RunError(
            f"{file} is the set {content['name']!r} in a folder of another name: give the folder its name back, "
            "or move a copy out of the run."
        )
    return ImageSet(file.parent, **content)


def _read(file: Path, kinds: Kinds) -> dict[str, Any]:
    """The JSON object in the file, of this schema, with exactly these keys; raises SchemaError or RunError."""
    try:
        return _checked(file.read_bytes(), str(file), kinds)
    except OSError as error:
        raise RunError(f"{file} cannot be read ({error.strerror}): restore it.") from None


def _checked(text: bytes, where: str, kinds: Kinds) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise RunError(f"{where} is not JSON ({error}): restore it.") from None
    if not isinstance(content, dict):
        raise RunError(f"{where} is {type(content).__name__}, and a JSON object is expected: restore it.")
    found = content.get("schema")
    if "schema" in kinds and found != SCHEMA:
        raise SchemaError(
            f"{where} has schema {found}, and this version reads schema {SCHEMA}: use the version that wrote it."
        )
    if content.keys() != kinds.keys():
        wrong = ", ".join(sorted(content.keys() ^ kinds.keys()))
        raise RunError(f"{where} has missing or unknown keys ({wrong}): it was edited by hand; restore it.")
    for key, kind in kinds.items():
        if not isinstance(content[key], kind):
            raise RunError(f"{where}: {key} is {content[key]!r}, which is of the wrong type: restore it.")
    return content
