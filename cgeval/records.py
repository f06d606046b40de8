"""Numbers go in, one per line, with all that is needed to understand them; `Record`s come out. Only ever added to.

A record of the same protocol, metric, image set and conventions supersedes the earlier ones; `current` keeps the
last of each and says how many it replaced.
"""

import fcntl
import glob
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO

from cgeval.errors import RecordError, SchemaError
from cgeval.files import LEFTOVER, write_atomic

SCHEMA = 1
TEXTS = ("protocol", "metric", "run_id", "image_set", "index_sha256", "created_at", "producer")
KINDS: Mapping[str, type | UnionType] = dict.fromkeys(TEXTS, str) | {
    "value": int | float,
    "n": int,
    "low": int | float | None,
    "high": int | float | None,
    "interval": str | None,
    "convention": Mapping,
    "extra": Mapping,
}


@dataclass(frozen=True)
class Record:
    """One number. value, low, high: fractions where the metric is one, never percent; n: what the number is over.

    interval: name of the method behind low and high, such as "bootstrap over images, 95 %"; convention: every named
    choice that changes the number; index_sha256: the seal of the images that were measured.
    """

    protocol: str
    metric: str
    value: float
    n: int
    run_id: str
    image_set: str
    index_sha256: str
    created_at: str
    producer: str
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    convention: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes a later record a correction of an earlier one."""
        return (self.protocol, self.metric, self.image_set, json.dumps(dict(self.convention), sort_keys=True))


@dataclass(frozen=True)
class Current:
    """The valid record of a key, and how many earlier ones it superseded."""

    record: Record
    superseded: int


def append_record(run_path: Path, record: Record) -> None:
    """Add one record, as `append_records` adds several."""
    append_records(run_path, [record])


def append_records(run_path: Path, records: Sequence[Record]) -> None:
    """Add lines to `records/<protocol>.jsonl`, all or none: whatever kills the writer, nobody reads a part of them.

    One write could end in the middle, after whole lines; so the file is written anew, the old lines first, and takes
    the old one's place when it is on the disk. A last line that another program left half-written is no record, and
    goes. Raises RecordError for impossible values, ValueError for records of several protocols.
    """
    for record in records:
        _refuse_nonsense(record)
    (protocol,) = {record.protocol for record in records}
    path = run_path / "records" / f"{protocol}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(record), ensure_ascii=False, allow_nan=False) + "\n" for record in records]
    with _locked(path) as file:
        for leftover in path.parent.glob(f"{LEFTOVER}{glob.escape(path.name)}-*"):
            leftover.unlink()
        write_atomic(path, _whole_lines(file.read()) + "".join(lines).encode())


def read_records(run_path: Path, protocol: str | None = None) -> list[Record]:
    """Every record of a run (or of one protocol) in the order they were written; none where there are none.

    A last line that a kill left half-written is passed over; any other line that is no record raises RecordError.
    """
    paths = sorted((run_path / "records").glob("*.jsonl"))
    return [record for path in paths if protocol in (None, path.stem) for record in _read(path)]


def current(records: Iterable[Record]) -> list[Current]:
    """The last record of each key, in the order in which the keys first came."""
    kept: dict[tuple[str, str, str, str], Current] = {}
    for record in records:
        before = kept.get(record.key)
        kept[record.key] = Current(record, before.superseded + 1 if before else 0)
    return list(kept.values())


def _read(path: Path) -> list[Record]:
    records = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise RecordError(f"{path}:{number} is not JSON ({error}): remove that line.") from None
        records.append(_record(content, f"{path}:{number}"))
    return records


def _record(content: Any, where: str) -> Record:
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise SchemaError(f"{where} has schema {found}, and this version reads schema {SCHEMA}.")
    wrong = ", ".join(sorted(content.keys() ^ KINDS.keys() ^ {"schema"}))
    if wrong:
        raise RecordError(f"{where} is no record (missing or unknown keys: {wrong}): remove that line.")
    record = Record(**content)
    try:
        _refuse_nonsense(record)
    except RecordError as error:
        raise RecordError(f"{where} is no record ({str(error).rstrip('.')}): remove that line.") from None
    return record


def _refuse_nonsense(record: Record) -> None:
    for key, kind in KINDS.items():
        if not isinstance(vars(record)[key], kind):
            raise RecordError(f"{key} is {vars(record)[key]!r}, which is of the wrong type.")
    numbers = [number for number in (record.value, record.low, record.high) if number is not None]
    if not all(math.isfinite(number) for number in numbers):
        raise RecordError(
            f"{record.metric} is {record.value} ({record.low} .. {record.high}): only finite numbers are kept."
        )
    if record.low is not None and record.high is not None and not record.low <= record.value <= record.high:
        raise RecordError(f"{record.metric} = {record.value} lies outside its interval {record.low} .. {record.high}.")
    if record.n < 1:
        raise RecordError(f"{record.metric} is over n = {record.n}: a number needs at least one observation.")
    if "/" in record.protocol or not record.protocol:
        raise RecordError(f"{record.protocol!r} cannot name a protocol: no slash, not empty.")


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file at its beginning, made if it is not there, locked for one writer; waits for another to end.

    What was waited for may have been replaced by then, and the lock is then on a file that has no name any more.
    """
    while True:
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.seek(0)
                yield file
                return


def _whole_lines(content: bytes) -> bytes:
    """The content with a newline after a last line that is whole, without one that is not."""
    before, newline, last = content.rpartition(b"\n")
    if not last:
        return content
    try:
        json.loads(last)
    except ValueError:
        return before + newline
    return content + b"\n"
