"""A `.caffemodel` goes in; its weights come out as float32 arrays by layer name. No Caffe, no protobuf, no torch.

The file is a message `NetParameter` of protocol buffers. A message is a row of fields; a field is a key (its number,
and how it is written: the wire type) and a value; a value may be a message again. Numbers of fields are those of
BVLC/caffe's caffe.proto; both ways of writing layers are read, `layer` (V2) and `layers` (V1, before 2015), and the
16-bit, 32-bit and 64-bit `raw_data` that NVIDIA's Caffe writes (its trtcaffe.proto). Unknown fields are stepped over.

The file is read once from front to back and never held as a whole: each array is allocated when its length has been
found to lie inside the file, and filled from the file directly.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import WeightsError

Layers = dict[str, tuple[NDArray[np.float32], ...]]

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4, groups, Caffe never writes
WIDTHS = {FIXED64: 8, FIXED32: 4}
LAYERS_V1, LAYER_V2 = 2, 100  # fields of NetParameter
NAME_AND_BLOBS = {LAYERS_V1: (4, 6), LAYER_V2: (1, 7)}  # fields of a layer
NUM, WIDTH, DATA, SHAPE, DOUBLE_DATA, RAW_TYPE, RAW_DATA = 1, 4, 5, 7, 8, 10, 12  # fields of BlobProto
DIM = 1  # field of BlobShape
RAW_TYPES = {0: "<f8", 1: "<f4", 2: "<f2"}
MOST_AXES = 32  # Caffe's own limit
MOST_NAME_BYTES = 256
MOST_BYTES = (1 << 31) - 1  # of a message of protocol buffers, so also of a file
MOST_FIELDS = 1_000_000  # a network of a thousand layers has a hundred thousand
FIRST_RECORDS, MOST_RECORDS = 64, 1 << 20

AGAIN = "fetch it again, from a place that still has it"
NOT_CAFFES = "a .caffemodel is expected"
MAGIC = (  # how the file begins, what it is then, what to do
    (b"PK\x03\x04", "a zip archive, as PyTorch's .pth files are", NOT_CAFFES),
    (b"\x80[\x02-\x05]", "a pickle, as PyTorch's older .pth files are", NOT_CAFFES),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, Caffe's other format", "save it as a .caffemodel with Caffe"),
    (b"\x93NUMPY", "a NumPy array", NOT_CAFFES),
    (b"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|(?s:.{257}ustar)", "packed", "unpack it first"),
    (b"(?s:.{6})\0\0{", "a safetensors file", NOT_CAFFES),
    (b"\x89PNG|\xff\xd8\xff|GIF8|%PDF", "a picture or document", AGAIN),
    (b"\x08", "another message of protocol buffers, such as Caffe's .solverstate or ONNX", NOT_CAFFES),
    (b"\0{64}", "zeros, as a download that was never filled", AGAIN),
)
TEXTS = (  # what the text has in it, what it is then, what to do
    (r"^version https://git-lfs", "a pointer of Git LFS and not the file itself", "run `git lfs pull` there"),
    (r"^<!doctype html|<html|<head|<body", "a web page, as a dead link answers", AGAIN),
    (r"^<", "XML, as a refused download answers", AGAIN),
    (
        r"^(#.*\n\s*)*(name|input|input_dim|layers?|net|train_net|base_lr|force_backward)\s*[:{]",
        "a prototxt, which describes a network and holds no weights",
        "the .caffemodel that belongs to it is expected",
    ),
)


def read_caffemodel(path: Path) -> Layers:
    """The arrays of every layer that has any, by its name, in the file's order: weights first, then the bias.

    Arrays have the shape that the file gives them: four axes where it is old, also for a bias ([1, 1, 1, n]). Values
    may be infinite or undefined. Raises WeightsError saying what the file is instead, or where it breaks off.
    """
    try:
        if path.is_dir():
            raise WeightsError(f"{path} is a folder: the .caffemodel inside it is expected.")
        if path.exists() and not path.is_file():
            raise WeightsError(f"{path} is no file: {NOT_CAFFES}.")
        with path.open("rb") as file:
            return _read(_Source(file, os.fstat(file.fileno()).st_size), path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}): {NOT_CAFFES}.") from None


class _WireError(Exception):
    """The bytes are no NetParameter: what was found, and where."""


@dataclass(frozen=True)
class _Field:
    """A field: its number, its wire type, and where its value lies; `value` is that of a varint.

    A run, of fixed numbers that follow each other, lies where its keys and numbers do; `value` is a key's length.
    """

    number: int
    wire: int
    value: int
    start: int
    end: int


@dataclass
class _Source:
    """The file as a row of fields."""

    file: BufferedReader
    size: int
    fields_seen: int = 0

    def fields(self, start: int, end: int) -> Iterator[_Field]:
        """The fields between two places; fixed numbers of one field that follow each other come as one run."""
        while start < end:
            self.fields_seen += 1
            if self.fields_seen > MOST_FIELDS:
                raise _WireError(f"more than {MOST_FIELDS} fields")
            found = self._field(start, end)
            yield found
            start = found.end

    def varint(self, start: int, end: int) -> tuple[int, int]:
        """A whole number of up to ten bytes, and the place behind it."""
        self.file.seek(start)
        value = 0
        for i, byte in enumerate(self.file.read(min(10, end - start))):
            value |= (byte & 127) << (7 * i)
            if byte < 128:
                return value, start + i + 1
        raise _WireError(f"no whole number at byte {start}")

    def text(self, found: _Field) -> str:
        """A name."""
        length = found.end - found.start
        if found.wire != LENGTH or length > MOST_NAME_BYTES:
            raise _WireError(f"no name at byte {found.start}")
        self.file.seek(found.start)
        return self.file.read(length).decode("utf-8", "replace")

    def numbers(self, found: _Field, kind: str) -> NDArray[Any]:
        """The numbers of a packed field, or of a run, in one array of that kind, such as "<f4"."""
        item, length = np.dtype(kind).itemsize, found.end - found.start
        if found.wire == LENGTH:
            if length % item:
                raise _WireError(f"{length} bytes at byte {found.start}, which is no row of {item}-byte numbers")
            values = np.empty(length // item, kind)
            self._fill(values, found.start)
            return values
        if WIDTHS.get(found.wire) != item:
            raise _WireError(f"no {item}-byte numbers at byte {found.start}")
        return self._unpacked(found, kind)

    def _field(self, start: int, end: int) -> _Field:
        key, place = self.varint(start, end)
        number, wire = key >> 3, key & 7
        if not 1 <= number < 1 << 29:
            raise _WireError(f"no field at byte {start}")
        if wire == VARINT:
            value, behind = self.varint(place, end)
            return _Field(number, wire, value, place, behind)
        if wire == LENGTH:
            length, place = self.varint(place, end)
            if length > end - place:
                raise _WireError(f"{length} bytes promised at byte {place}, where {end - place} follow")
            return _Field(number, wire, length, place, place + length)
        if wire not in WIDTHS:
            raise _WireError(f"no field at byte {start}")
        if place + WIDTHS[wire] > end:
            raise _WireError(f"{WIDTHS[wire]} bytes promised at byte {place}, where {end - place} follow")
        return _Field(number, wire, place - start, start, self._run_end(start, place - start, WIDTHS[wire], end))

    def _run_end(self, start: int, key_bytes: int, width: int, end: int) -> int:
        """The place behind the last of the records (key and number) from `start` on that have the first one's key."""
        record, count, place = key_bytes + width, FIRST_RECORDS, start
        first = self._records(start, 1, record)[0, :key_bytes]
        while place + record <= end:
            count = min(count, (end - place) // record)
            others = (self._records(place, count, record)[:, :key_bytes] != first).any(axis=1)
            same = int(others.argmax()) if others.any() else count
            place += same * record
            if same < count:
                break
            count = min(2 * count, MOST_RECORDS)
        return place

    def _unpacked(self, found: _Field, kind: str) -> NDArray[Any]:
        """The numbers of a run, whose every number has its key before it; `found.value` is the length of the key."""
        record = found.value + np.dtype(kind).itemsize
        values = np.empty((found.end - found.start) // record, kind)
        for i in range(0, len(values), MOST_RECORDS):
            part = values[i : i + MOST_RECORDS]
            rows = self._records(found.start + i * record, len(part), record)
            part[:] = np.ascontiguousarray(rows[:, found.value :]).view(kind)[:, 0]
        return values

    def _records(self, start: int, count: int, record: int) -> NDArray[np.uint8]:
        rows = np.empty((count, record), np.uint8)
        self._fill(rows, start)
        return rows

    def _fill(self, values: NDArray[Any], start: int) -> None:
        """Fill the array from the file; its length was checked against the file's before."""
        self.file.seek(start)
        if values.size and self.file.readinto(values.reshape(-1).view(np.uint8).data) != values.nbytes:
            raise _WireError(f"{values.nbytes} bytes promised at byte {start}, and the file became shorter")


def _read(source: _Source, path: Path) -> Layers:
    if source.size > MOST_BYTES:
        raise WeightsError(f"{path} has {source.size} bytes, and no .caffemodel has 2 GiB or more: {NOT_CAFFES}.")
    layers: Layers = {}
    described = 0
    try:
        for found in source.fields(0, source.size):
            if found.number in NAME_AND_BLOBS:
                name, blobs = _layer(source, found)
                described += 1
                if blobs and name in layers:
                    raise _WireError(f"layer {name!r} has weights twice")
                layers |= {name: blobs} if blobs else {}
    except _WireError as error:
        raise _refusal(source, path, str(error), bool(layers)) from None
    if described and not layers:
        raise WeightsError(f"{path} describes {described} layers and holds no weights: the .caffemodel is expected.")
    if not layers:
        raise _refusal(source, path, "no layers", False)
    return layers


def _layer(source: _Source, layer: _Field) -> tuple[str, tuple[NDArray[np.float32], ...]]:
    """A layer's name, and its arrays."""
    name_field, blobs_field = NAME_AND_BLOBS[layer.number]
    name, blobs = "", []
    for found in _message(source, layer):
        if found.number == name_field:
            name = source.text(found)
        elif found.number == blobs_field:
            blobs.append(found)
    try:
        return name, tuple(_blob(source, found) for found in blobs)
    except _WireError as error:
        raise _WireError(f"layer {name!r}: {error}") from None


def _blob(source: _Source, blob: _Field) -> NDArray[np.float32]:
    """One array, in the shape that the file gives it."""
    parts: dict[int, list[_Field]] = {DATA: [], DOUBLE_DATA: [], RAW_DATA: []}
    old: dict[int, int] = {}
    dims: list[int] = []
    raw_type = 0
    for found in _message(source, blob):
        if found.number in parts:
            parts[found.number].append(found)
        elif found.number == SHAPE:
            dims += _dims(source, found)
        elif NUM <= found.number <= WIDTH and found.wire == VARINT:
            old[found.number] = found.value
        elif found.number == RAW_TYPE:
            raw_type = found.value
    shape = tuple(old.get(number, 0) for number in range(NUM, WIDTH + 1)) if old else tuple(dims)
    return _shaped(_values(source, parts, raw_type), shape)


def _dims(source: _Source, shape: _Field) -> list[int]:
    """The lengths of the axes, packed or one by one."""
    dims: list[int] = []
    for found in _message(source, shape):
        if found.number != DIM:
            continue
        place = found.start
        while place < found.end:
            dim, place = source.varint(place, found.end)
            dims.append(dim)
            if found.wire not in (VARINT, LENGTH) or len(dims) > MOST_AXES:
                raise _WireError(f"no shape at byte {shape.start}")
    return dims


def _values(source: _Source, parts: dict[int, list[_Field]], raw_type: int) -> NDArray[np.float32]:
    """The values of a blob in a row: of the 64-bit ones if there are any, as in Caffe."""
    number = next((number for number in (DOUBLE_DATA, RAW_DATA) if parts[number]), DATA)
    if number == RAW_DATA and raw_type not in RAW_TYPES:
        raise _WireError(f"raw data of type {raw_type}, which is no floating-point number")
    kind = {DATA: "<f4", DOUBLE_DATA: "<f8", RAW_DATA: RAW_TYPES.get(raw_type, "")}[number]
    arrays = [source.numbers(found, kind) for found in parts[number]]
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which the caller looks for
        arrays = [array.astype(np.float32, copy=False) for array in arrays]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, np.float32)


def _shaped(values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if math.prod(shape) != len(values) or 0 in shape or len(shape) > MOST_AXES:
        words = "x".join(map(str, shape[:MOST_AXES])) or "of one number"
        raise _WireError(f"the shape {words} and {len(values)} values")
    return values.reshape(shape)


def _message(source: _Source, found: _Field) -> Iterator[_Field]:
    """The fields of a field that is a message."""
    if found.wire != LENGTH:
        raise _WireError(f"no message at byte {found.start}")
    return source.fields(found.start, found.end)


def _refusal(source: _Source, path: Path, found: str, began_well: bool) -> WeightsError:
    """The sentence for a file that cannot be read to its end."""
    source.file.seek(0)
    head = source.file.read(4096)
    known = None if began_well else _kind(head)
    if known:
        return WeightsError(f"{path} is {known[0]}: {known[1]}.")
    if began_well:
        return WeightsError(f"{path} was cut off or damaged ({found}, in a file of {source.size} bytes): {AGAIN}.")
    return WeightsError(f"{path} is no .caffemodel, or only the beginning of one ({found}): {AGAIN}.")


def _kind(head: bytes) -> tuple[str, str] | None:
    """What a file that begins so is, and what to do; None if nobody knows."""
    if not head:
        return "empty", AGAIN
    for magic, what, advice in MAGIC:
        if re.match(magic, head):
            return what, advice
    if any(byte < 32 and byte not in b"\t\r\n\f" for byte in head):
        return None
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    for pattern, what, advice in TEXTS:
        if re.search(pattern, text):
            return what, advice
    if "\ufffd" in text[:-1]:  # the last letter may be cut in the middle
        return None
    return f"a text that begins with {text[:40]!r}", NOT_CAFFES
