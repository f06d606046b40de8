"""A folder goes in; a `Run` comes out: who made it, which sealed sets of images it holds. And the writer of such sets.

The format is documented in docs/run-directory.md. Written last means complete: an image set exists when its
`set.json` does, and `index_sha256` in it pins every pixel.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import RunError, SchemaError, SealError
from cgeval.files import sha256_file, write_atomic, write_json_atomic
from cgeval.images import encode_png

SCHEMA = 1
DIRECTIONS = ("AtoB", "BtoA")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


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
        """One row per image, in the order they were written."""
        lines = (self.path / "index.jsonl").read_text(encoding="utf-8").splitlines()
        return tuple(Row(**json.loads(line)) for line in lines)

    def verify(self, seen: Callable[[Row], object] = lambda _row: None) -> None:
        """Check the index and every file against their digests; raises SealError at the first that differs.

        seen: called after each image, for progress.
        """
        index = self.path / "index.jsonl"
        if not index.is_file() or sha256_file(index) != self.index_sha256:
            raise SealError(f"{index} is not the one that was sealed: restore it, or translate again with --overwrite.")
        for row in self.rows:
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
        """Write uint8 [h, w, 3] as PNG under its id; raises RunError for an id that is there or leads outside."""
        if image_id in self.ids:
            raise RunError(f"the id {image_id!r} comes twice in one image set: ids pair images and must be unique.")
        if not image_id or image_id.startswith("/") or ".." in Path(image_id).parts:
            raise RunError(f"the id {image_id!r} is not a path below the image set.")
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
        """Make a new run; raises RunError where one is already."""
        if (path / "run.json").exists():
            raise RunError(f"{path} already holds a run: name another folder.")
        path.mkdir(parents=True, exist_ok=True)
        info = RunInfo(path.resolve().name, method, dict(dataset), dict(producer), now(), dict(settings or {}))
        write_json_atomic(path / "run.json", asdict(info))
        return cls(path, info)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open a run; raises RunError where there is none, SchemaError for another version's."""
        file = path / "run.json"
        if not file.is_file():
            what = "no such folder" if not path.exists() else "not a run: it holds no run.json"
            raise RunError(f"{path} is {what}; `cgeval runs FOLDER` lists the runs below a folder.")
        return cls(path, RunInfo(**_checked(file, set(RunInfo.__dataclass_fields__))))

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

        Raises RunError for a name that is taken, unless overwrite; a set without images is refused.
        """
        final = self._place(name, direction, overwrite)
        final.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".writing-{name}-", dir=final.parent))
        work.chmod(0o755)
        try:
            writer = ImageSetWriter(work)
            yield writer
            facts = {"name": name, "direction": direction, "split": split, "checkpoint": checkpoint}
            _seal(work, writer.rows, facts | {"extra": dict(extra or {})})
            _replace(work, final)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _place(self, name: str, direction: str, overwrite: bool) -> Path:
        if not NAME.fullmatch(name):
            raise RunError(f"{name!r} cannot name an image set: letters, digits and . _ + - are allowed.")
        if direction not in DIRECTIONS:
            raise RunError(f"direction is {direction!r}, and {' or '.join(DIRECTIONS)} is expected.")
        final = self.path / "images" / name
        if (final / "set.json").exists() and not overwrite:
            raise RunError(f"{final} is sealed: add --overwrite to replace it.")
        return final


def find_runs(folder: Path) -> list[Run]:
    """Every run in the folder or below it, by path; raises RunError where the folder is missing."""
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder.")
    return [Run.open(file.parent) for file in sorted(folder.rglob("run.json"))]


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


def _replace(work: Path, final: Path) -> None:
    """Rename is atomic only onto nothing, so an old set first steps aside under a hidden name."""
    if final.exists():
        aside = Path(tempfile.mkdtemp(prefix=f".replaced-{final.name}-", dir=final.parent))
        final.rename(aside / final.name)
        work.rename(final)
        shutil.rmtree(aside)
    else:
        work.rename(final)


def _image_set(file: Path) -> ImageSet:
    content = _checked(file, set(ImageSet.__dataclass_fields__) - {"path"} | {"schema"})
    content.pop("schema")
    return ImageSet(file.parent, **content)


def _checked(file: Path, keys: set[str]) -> dict[str, Any]:
    """The JSON object in the file with exactly these keys; raises SchemaError or RunError."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise RunError(f"{file} cannot be read as JSON ({error}): restore it.") from None
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise SchemaError(
            f"{file} has schema {found}, and this version reads schema {SCHEMA}: use the version that wrote it."
        )
    if content.keys() != keys:
        wrong = ", ".join(sorted(content.keys() ^ keys))
        raise RunError(f"{file} has missing or unknown keys ({wrong}): it was edited by hand; restore it.")
    return dict(content)
