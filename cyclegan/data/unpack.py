"""An archive file goes in; its plain files in a folder come out, or the reason why it is refused whole.

Nothing but plain files is ever made, so no extraction filter is needed, which Python 3.11.0 to 3.11.3 lack.
"""

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from cyclegan.data.disk import refuse_full

# RuntimeError is how zipfile says that a member is encrypted or packed in an unknown way; the last three are how the
# system says that one member is a file and another lies below it.
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)
CLASHES = (FileExistsError, IsADirectoryError, NotADirectoryError)

Members = Generator[tuple[str, IO[bytes] | None], None, None]  # name and content; None for what is no plain file


class BadArchiveError(Exception):
    """An archive that cannot be unpacked; the words say why, and follow its address: "holds '../x', which ..."."""


def unpack(file: Path, folder: Path) -> None:
    """Write every plain file of a zip or tar below the empty folder; links within a tar become copies.

    Raises BadArchiveError, also where a member leads out of the folder, and OutputError where the disk has no room;
    the folder then holds what was written before.
    """
    zipped = _head(file).startswith(b"PK")
    try:
        refuse_full(folder, _unpacked_bytes(file) if zipped else file.stat().st_size)
        with closing(_zipped(file) if zipped else _tarred(file)) as members:
            for name, content in tqdm(members, desc="unpacking", unit=" files"):
                if content is None or not _is_inside(name):
                    raise BadArchiveError(f"holds {name!r}, which leads outside or is no plain file")
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as target:
                    shutil.copyfileobj(content, target)
    except (*DAMAGED, *CLASHES) as error:
        raise BadArchiveError(f"cannot be unpacked ({str(error).rstrip('.')})") from None


def is_web_page(file: Path) -> bool:
    """Whether the file begins as a web page does, which a login or a proxy sends in an archive's place."""
    return _head(file).lstrip().startswith(b"<")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _unpacked_bytes(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def _zipped(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                yield member.filename, None
            elif not member.is_dir():
                with archive.open(member) as content:
                    yield member.filename, content


def _tarred(path: Path) -> Members:
    packed = _head(path).startswith(b"\x1f\x8b")
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:gz" if packed else "r:") as archive:
        for member in archive:
            if not member.isdir():
                try:
                    yield member.name, archive.extractfile(member)
                except KeyError:  # a link to what is not in the archive
                    yield member.name, None


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts
