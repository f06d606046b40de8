"""Numbers go in, one per line, with all that is needed to understand them; `Record`s come out. Only ever added to.

A record of the same protocol, metric, image set and conventions supersedes the earlier ones; `current` keeps the
last of each and says how many it replaced.
"""

import fcntl
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO

from cgeval.errors import RecordError, SchemaError

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
    """Add one line to `records/<protocol>.jsonl` and flush it to the disk; raises RecordError for impossible values.

    A last line that a kill left half-written is no record, and goes.
    """
    _refuse_nonsense(record)
    path = run_path / "records" / f"{record.protocol}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(record), ensure_ascii=False, allow_nan=False) + "\n"
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # else another writer's half line would look like a killed one's
        _end_last_line(file)
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


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


def _end_last_line(file: BinaryIO) -> None:
    """Give a last line its newline if it is whole, cut it off if it is not."""
    file.seek(0)
    last = file.read().rpartition(b"\n")[2]
    if not last:
        return
    try:
        json.loads(last)
        file.write(b"\n")
    except ValueError:
        file.truncate(file.seek(-len(last), os.SEEK_END))
