"""A folder goes in; what is known of the scorer in it comes out, without torch. And the writer of such folders.

A scorer is a segmentation network with all that one must know to measure with it. `scorer.safetensors` holds its
tensors, and in the format's metadata JSON about them under one key and their SHA-256 under another, by which damage is
seen; the SHA-256 of the whole file is the scorer's identity.
The format: 8 bytes, little-endian, the length of a JSON header; the header; the tensors.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from cgeval.errors import ConfigError, OutputError, WeightsError
from cgeval.files import LEFTOVER, make_usual, sha256_file
from cgeval.labels import Label, LabelSet
from cgeval.runs import NAME

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
FILE = "scorer.safetensors"
KEY, DIGEST_KEY = "cgeval_scorer", "cgeval_tensors_sha256"
FOLDER = Path("scorers")
KINDS = ("smp", "torchvision", "smp-hub", "fcn8s")
PROTOCOLS = ("paper", "scorer-size")
CHANNELS = ("RGB", "BGR")
LENGTH_BYTES = 8
NO_DIGEST = "0" * 64
MOST_LETTERS = 100  # of a name, which is part of paths
MOST_HEADER_BYTES = 16 << 20  # a thousand tensors need a tenth of a megabyte
HOW_TO_MAKE = (
    "`cgeval scorer train DATASET scorers/NAME` makes one, and `cgeval scorer import-caffe FILE scorers/NAME` makes "
    "one of the paper's weights"
)

INFO_KEYS: Mapping[str, type] = {
    "name": str,
    "kind": str,
    "arguments": dict,
    "labels": dict,
    "outputs": int,
    "size_px": list,
    "protocol": str,
    "mean": list,
    "std": list,
    "channels": str,
    "stride": int,
    "trained_on": dict,
    "validation": dict,
    "source": dict,
    "parameters": int,
    "producer": str,
    "created_at": str,
}
LABEL_KEYS: Mapping[str, type] = {"id": int, "name": str, "colour": list, "ignore": bool, "train_id": int}


@dataclass(frozen=True)
class ScorerInfo:
    """What must be known of a network to measure with it.

    name: the folder's when it was made, in letters, digits and . _ + -. kind and arguments: what rebuilds the network.
    outputs: its channels, of which channel i < K is class i of the label set and the rest are void. size_px: width and
    height it was trained at. protocol: "paper" or "scorer-size", how it is meant to be used. mean, std: on the scale
    0 .. 255, in the order of channels, "RGB" or "BGR". stride: sides are padded to a multiple of it. trained_on:
    dataset, split, n, digest. validation: its own score on validation photos, {} if unknown. source: where it was
    imported from, {} if it was not.
    """

    name: str
    kind: str
    arguments: Mapping[str, Any]
    labels: LabelSet
    outputs: int
    size_px: tuple[int, int]
    protocol: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: str
    stride: int
    trained_on: Mapping[str, Any]
    validation: Mapping[str, Any]
    source: Mapping[str, Any]
    parameters: int
    producer: str
    created_at: str


@dataclass(frozen=True)
class ScorerFile:
    """A scorer on the disk, of which only the header was read.

    Its digest is taken when it is first asked for, and then goes wherever the value goes, other processes included;
    `load_scorer` refuses a file that no longer has it.
    """

    path: Path
    info: ScorerInfo

    @cached_property
    def sha256(self) -> str:
        """The scorer's identity: the digest of the file's bytes."""
        try:
            return sha256_file(self.path)
        except OSError as error:
            raise WeightsError(f"{self.path} cannot be read ({error.strerror}): restore it.") from None


def read_header(path: Path) -> ScorerInfo:
    """What the file says of itself; no tensor is read.

    Raises WeightsError for a file that is cut, corrupt, no scorer, or another version's.
    """
    try:
        with path.open("rb") as file:
            header = _header(file, path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}): restore it.") from None
    metadata = header.get("__metadata__")
    text = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise WeightsError(f"{path} is a safetensors file that no scorer was written into: {HOW_TO_MAKE}.")
    return _info(_object(text, f"{path}: {KEY}"), path)


def refuse_damaged(path: Path) -> None:
    """Raise WeightsError unless the bytes of the tensors are those that were written; a file may not say which."""
    try:
        with path.open("rb") as file:
            metadata = _header(file, path).get("__metadata__")
            written = metadata.get(DIGEST_KEY) if isinstance(metadata, dict) else None
            damaged = written is not None and hashlib.file_digest(file, "sha256").hexdigest() != written
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}): restore it.") from None
    if damaged:
        raise WeightsError(
            f"{path} is damaged: its tensors are not those that were written: restore it, or make the scorer again."
        )


def open_scorer(name_or_path: str | Path, folder: Path = FOLDER) -> ScorerFile:
    """The scorer in a folder, in a file, or of that name in `folder`; raises WeightsError naming those there are."""
    path = Path(name_or_path)
    found = next((file for file in (path, path / FILE, folder / path / FILE) if file.is_file()), None)
    if found is None:
        raise WeightsError(_nothing_there(path, folder))
    if found.suffix == ".caffemodel":
        raise WeightsError(
            f"{found} is Caffe's: `cgeval scorer import-caffe {found} scorers/NAME` makes a scorer of it."
        )
    return ScorerFile(found, read_header(found))


def find_scorers(folder: Path) -> tuple[list[ScorerFile], list[WeightsError]]:
    """Every scorer in the folder or below it, by path, and what is wrong with those that cannot be read.

    One broken scorer hides no other. Raises WeightsError where the folder is missing.
    """
    if not folder.is_dir():
        what = "a file, and a folder with scorers is expected" if folder.exists() else "not there"
        raise WeightsError(f"{folder} is {what}: {HOW_TO_MAKE}.")
    files, broken = [], []
    for path in _scorer_paths(folder):
        try:
            files.append(ScorerFile(path, read_header(path)))
        except WeightsError as error:
            broken.append(error)
    return files, broken


def fitting(files: Iterable[ScorerFile], labels: LabelSet) -> list[ScorerFile]:
    """Those whose classes are the label set's: the same names in the same order."""
    names = _names(labels)
    return [file for file in files if _names(file.info.labels) == names]


def refuse_other_classes(info: ScorerInfo, labels: LabelSet) -> None:
    """Raise WeightsError, naming the first difference, unless the scorer's classes are the label set's."""
    ours, theirs = _names(info.labels), _names(labels)
    if ours == theirs:
        return
    i = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    a, b = (repr(names[i]) if i < len(names) else "none" for names in (ours, theirs))
    same = "the same classes in another order" if sorted(ours) == sorted(theirs) else f"{len(ours)} classes"
    raise WeightsError(
        f"the scorer {info.name!r} has {same} and label set {labels.name!r} has {len(theirs)} (class {i} is {a} in the "
        f"scorer and {b} in the label set): name a scorer of these classes with --scorer; {HOW_TO_MAKE}."
    )


def refuse_taken(folder: Path) -> None:
    """Raise OutputError where a scorer is already; to be asked before the work, and not only when it is written."""
    if (folder / FILE).exists():
        raise OutputError(f"{folder / FILE} is a scorer already: name another folder, or remove that one.")


def write_scorer(
    folder: Path, tensors: "Mapping[str, Tensor]", info: ScorerInfo, *, overwrite: bool = False
) -> ScorerFile:
    """Write the scorer into the folder, whole or not at all, and read it back.

    Numbers that are not finite become null, and what a name must not hold becomes "-".
    Raises OutputError where there is a scorer already, unless overwrite, and where it cannot be written;
    WeightsError for facts that contradict each other.
    """
    final, part = folder / FILE, folder / f"{LEFTOVER}{FILE}-{os.getpid()}"
    if not overwrite:
        refuse_taken(folder)
    text = _text(replace(info, name=_plain(info.name)))
    _info(_object(text, str(final)), final)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _save(part, tensors, text)
        read_header(part)
        part.replace(final)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}): name another folder.") from None
    finally:
        if folder.is_dir():
            part.unlink(missing_ok=True)
    return ScorerFile(final, read_header(final))


def _save(part: Path, tensors: "Mapping[str, Tensor]", text: str) -> None:
    """Write the file and flush it to the disk."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, part, metadata={KEY: text, DIGEST_KEY: NO_DIGEST})
    except SafetensorError as error:
        raise OutputError(f"{part.parent} cannot be written ({error}): name another folder.") from None
    with part.open("rb+") as file:
        _write_digest(file)
        os.fsync(file.fileno())
    make_usual(part)


def _write_digest(file: BufferedRandom) -> None:
    """Put the digest of the tensors where its place was kept: the header stays as long as it was."""
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    header = file.read(length)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    place = f'"{DIGEST_KEY}":"'.encode()
    file.seek(LENGTH_BYTES)
    file.write(header.replace(place + NO_DIGEST.encode(), place + digest.encode()))


def _text(info: ScorerInfo) -> str:
    facts = {field.name: getattr(info, field.name) for field in fields(info)} | {"labels": asdict(info.labels)}
    return json.dumps(_finite({"schema": SCHEMA} | facts), allow_nan=False, ensure_ascii=False, default=os.fspath)


def _plain(name: str) -> str:
    """The name in letters, digits and . _ + -, the first a letter or digit; "scorer" where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).lstrip("._+-")[:MOST_LETTERS] or "scorer"


def _finite(content: Any) -> Any:
    """The same with null where a number is not finite, as of a class that no photo shows: JSON has no such number."""
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _nothing_there(path: Path, folder: Path) -> str:
    """The sentence for a name that leads to no scorer."""
    from cgeval.scorers.training_state import progress

    for begun in (path, folder / path):
        if stands := progress(begun):
            return f"{begun} is in training: {stands}; go on by `cgeval scorer train DATASET {begun} --resume`."
    what = f"{path} holds no {FILE}" if path.is_dir() else f"there is no scorer {str(path)!r}"
    names = [str(file.parent.relative_to(folder)) for file in _scorer_paths(folder)]
    there = f"in {folder} there are {', '.join(names)}" if names else f"there is none in {folder} yet"
    return f"{what}, and {there}: {'name one of them; ' if names else ''}{HOW_TO_MAKE}."


def _scorer_paths(folder: Path) -> list[Path]:
    """Files of finished scorers below the folder; a link to a scorer's folder counts, and hidden folders do not."""
    found = {*folder.rglob(FILE), *folder.glob(f"*/{FILE}")}
    return sorted(path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts))


def _names(labels: LabelSet) -> list[str]:
    return [label.name for label in labels.classes]


def _header(file: BinaryIO, path: Path) -> dict[str, Any]:
    start = file.read(LENGTH_BYTES)
    length = int.from_bytes(start, "little")
    if len(start) < LENGTH_BYTES or not 2 <= length <= MOST_HEADER_BYTES:
        raise WeightsError(f"{path} is no safetensors file: the folder or file of a scorer is expected; {HOW_TO_MAKE}.")
    text = file.read(length)
    if len(text) < length:
        raise WeightsError(f"{path} ends within its header, so it was cut off: restore it, or make the scorer again.")
    header = _object(text, str(path))
    _refuse_another_length(header, LENGTH_BYTES + length, os.fstat(file.fileno()).st_size, path)
    return header


def _object(text: str | bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{where} is not JSON ({error}): restore the file.") from None
    if not isinstance(content, dict):
        raise WeightsError(f"{where} is {type(content).__name__}, and a JSON object is expected: restore the file.")
    return content


def _refuse_another_length(header: Mapping[str, Any], tensors_begin: int, found: int, path: Path) -> None:
    """A file that was cut, or has something behind it, shows by its length alone."""
    try:
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    except (TypeError, KeyError, IndexError, ValueError):
        raise WeightsError(f"{path} does not say where its tensors lie: restore it.") from None
    expected = tensors_begin + max(ends, default=0)
    if found != expected:
        raise WeightsError(
            f"{path} has {found} bytes where its header says {expected}, so it was cut off or changed: restore it, "
            "or make the scorer again."
        )


def _info(content: dict[str, Any], path: Path) -> ScorerInfo:
    """The facts in the JSON, each of the right kind; raises WeightsError."""
    found = content.pop("schema", None)
    if found != SCHEMA:
        raise WeightsError(
            f"{path} has schema {found}, and this version reads schema {SCHEMA}: use the version that wrote it."
        )
    _refuse_other_keys(content, INFO_KEYS, path, "")
    labels = _label_set(content["labels"], path)
    lists = {key: tuple(content[key]) for key in ("size_px", "mean", "std")}
    info = ScorerInfo(**content | lists | {"labels": labels})
    problem = _contradiction(info)
    if problem:
        raise WeightsError(f"{path}: {problem}: restore the file, or make the scorer again.")
    return info


def _refuse_other_keys(content: Mapping[str, Any], kinds: Mapping[str, type], path: Path, where: str) -> None:
    """Raise WeightsError unless the object has exactly these keys, with values of these kinds."""
    if content.keys() != kinds.keys():
        wrong = ", ".join(sorted(content.keys() ^ kinds.keys()))
        raise WeightsError(f"{path} has missing or unknown keys ({where}{wrong}): use the version that wrote it.")
    for key, kind in kinds.items():
        if type(content[key]) is not kind and not (key == "train_id" and content[key] is None):
            raise WeightsError(f"{path}: {where}{key} is {content[key]!r}, which is of the wrong type: restore it.")


def _label_set(content: dict[str, Any], path: Path) -> LabelSet:
    _refuse_other_keys(content, {"name": str, "labels": list}, path, "labels.")
    labels = []
    for table in content["labels"]:
        if not isinstance(table, dict):
            raise WeightsError(f"{path}: a label is {table!r}, and an object is expected: restore it.")
        _refuse_other_keys(table, LABEL_KEYS, path, "labels.labels.")
        if not _are(table["colour"], 3, int, lambda value: 0 <= value <= 255):
            raise WeightsError(
                f"{path}: a colour is {table['colour']}, and [red, green, blue] is expected: restore it."
            )
        labels.append(Label(**table | {"colour": tuple(table["colour"])}))
    label_set = LabelSet(content["name"], tuple(labels))
    if len(label_set.by_id) != len(labels):
        raise WeightsError(f"{path} has {len(labels)} labels with {len(label_set.by_id)} different ids: restore it.")
    try:
        label_set.classes  # noqa: B018  # raises where there are none, or their places have gaps
    except ConfigError as error:
        raise WeightsError(f"{path}: {error}") from None
    return label_set


def _contradiction(info: ScorerInfo) -> str | None:
    """What of the facts cannot be, in words; None where all can."""
    if not NAME.fullmatch(info.name) or len(info.name) > MOST_LETTERS:
        return f"name is {info.name!r:.120}, and up to {MOST_LETTERS} letters, digits and . _ + - are expected"
    classes = len(info.labels.classes)
    chosen = {"kind": (info.kind, KINDS), "protocol": (info.protocol, PROTOCOLS), "channels": (info.channels, CHANNELS)}
    for key, (found, known) in chosen.items():
        if found not in known:
            return f"{key} is {found!r}, and {' or '.join(known)} is expected"
    if info.outputs < classes:
        return f"outputs is {info.outputs}, which is too few for the {classes} classes of {info.labels.name!r}"
    if not _are(info.size_px, 2, int, lambda value: value > 0):
        return f"size_px is {info.size_px}, and width and height are expected"
    if not _are(info.mean, 3, (int, float), math.isfinite):
        return f"mean is {info.mean}, and three numbers are expected"
    if not _are(info.std, 3, (int, float), lambda value: math.isfinite(value) and value > 0):
        return f"std is {info.std}, and three numbers above 0 are expected"
    if info.stride < 1 or info.parameters < 1:
        return f"stride is {info.stride} and parameters {info.parameters}, and both must be at least 1"
    return None


def _are(values: Any, count: int, kind: type | tuple[type, ...], fits: Callable[[Any], bool]) -> bool:
    """Whether these are so many values of that kind (a truth value is no number), each of which fits."""
    return len(values) == count and all(
        isinstance(value, kind) and not isinstance(value, bool) and fits(value) for value in values
    )
