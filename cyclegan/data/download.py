"""A dataset's name goes in; the folder that the trainer reads comes out: fetched, checked, and whole or not there.

While it comes in, all of it lies in OUT.download beside OUT, and an interrupted transfer goes on from there.
"""

import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import tomli_w

from cgeval.datasets import open_dataset
from cgeval.errors import ConfigError, DownloadError, ImageError, LayoutError, OutputError
from cgeval.files import lock, sha256_file, write_atomic
from cgeval.images import find_images
from cyclegan.data.archives import Archive, archive_named
from cyclegan.data.transfer import Transfer
from cyclegan.data.unpack import BadArchiveError, is_web_page, unpack


@dataclass(frozen=True)
class _Copy:
    """The archive's file on this machine. fetched: it is ours to remove, not the user's own."""

    file: Path
    address: str
    fetched: bool

    @cached_property
    def sha256(self) -> str:
        """Digest of the whole file."""
        return sha256_file(self.file)

    def refused(self, found: str, advice: str) -> DownloadError:
        """The mistake to raise; a fetched file goes, so that the next try starts afresh."""
        if self.fetched:
            self.file.unlink()
        gone = "it was removed, and the same command fetches it afresh; " if self.fetched else ""
        return DownloadError(f"{self.address} {found}: {gone}{advice}.")


def fetch_dataset(name: str, out: Path, *, mirror: str | None = None, sha256: str | None = None) -> list[str]:
    """Fetch the archive, check it, unpack it into `out`; returns sentences that the user should read.

    mirror: an http(s) or file address or a path, of the archive or of the folder that holds it. sha256: the digest
    that it must have, in place of the published one. Raises DownloadError, OutputError if `out` exists, and
    ConfigError for an unknown name, mirror or digest.
    """
    archive = archive_named(name)
    expected = _parsed(sha256) or archive.sha256
    place = _official(archive) if mirror is None else _mirrored(archive, mirror)
    if out.exists() or out.is_symlink():
        raise OutputError(f"{out} exists already: name another folder, or remove it.")
    work = out.with_name(f"{out.name}.download")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{work} cannot be made ({error.strerror}): name another folder.") from None
    with lock(work / "lock"):
        try:
            copy = _obtain(archive, place, work)
            said = _compare(archive, copy, expected) + _install(archive, copy, work / "unpacked", out)
            if copy.fetched:
                copy.file.unlink()
        finally:
            _tidy(work)
    return said


def _parsed(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256.strip()):
        raise ConfigError(f"--sha256 is {sha256!r}: 64 hexadecimal digits are expected, as `sha256sum` prints them.")
    return sha256.strip().lower()


def _official(archive: Archive) -> str:
    if archive.withdrawn:
        raise DownloadError(
            f"{archive.file} was withdrawn by its authors, as the licence of Cityscapes does not let them pass it "
            "on: register at https://www.cityscapes-dataset.com, fetch leftImg8bit and gtFine there, and run "
            "`cyclegan data prepare SOURCE OUT` (or give a copy that you have with --mirror)."
        )
    return archive.address


def _mirrored(archive: Archive, mirror: str) -> str | Path:
    """An http address, or the path of a file that is there."""
    if "://" not in mirror:
        return _local(archive, Path(mirror))
    try:
        parts = urlsplit(mirror)
    except ValueError as error:
        raise ConfigError(f"--mirror is {mirror!r}, which is no address: {error}.") from None
    if parts.scheme == "file":
        return _local(archive, Path(url2pathname(parts.path)))
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"--mirror is {mirror!r}: an http, https or file address or a path is expected.")
    whole = parts.path.endswith((".zip", ".tar.gz", ".tgz", ".tar"))
    return urlunsplit(parts if whole else parts._replace(path=f"{parts.path.rstrip('/')}/{archive.file}"))


def _local(archive: Archive, path: Path) -> Path:
    file = path / archive.file if path.is_dir() else path
    if not file.is_file():
        raise DownloadError(
            f"--mirror: {file} is not there: give the archive {archive.file}, the folder that holds it, "
            "or an address that begins with http:// or https://."
        )
    return file


def _obtain(archive: Archive, place: str | Path, work: Path) -> _Copy:
    if isinstance(place, Path):
        return _Copy(place, str(place), fetched=False)
    part = work / f"{archive.file}.part"
    otherwise = f"fetch {archive.file} by other means and give its path with --mirror"
    Transfer(place, part, f"{otherwise} (an older address is {archive.older})", archive.size_bytes).complete()
    return _Copy(part, place, fetched=True)


def _tidy(work: Path) -> None:
    """Leave the folder behind only where a part in it is worth keeping."""
    shutil.rmtree(work / "unpacked", ignore_errors=True)
    if not any(part.stat().st_size for part in work.glob("*.part")):
        shutil.rmtree(work, ignore_errors=True)


def _compare(archive: Archive, copy: _Copy, expected: str | None) -> list[str]:
    """Refuse what is no archive, or has another digest than expected; says so where there is none to compare with."""
    if is_web_page(copy.file):
        raise copy.refused("is a web page and not an archive", f"fetch {archive.file} in a browser and give --mirror")
    if expected is None:
        return [
            f"{archive.name}: no digest is published, so the archive could not be compared; its sha256 is "
            f"{copy.sha256}, and giving that with --sha256 makes sure of the same file another time."
        ]
    if copy.sha256 != expected:
        raise copy.refused(
            f"has the sha256 {copy.sha256} where {expected} is expected, so it is damaged or another file",
            f"if you trust it as it is, give --sha256 {copy.sha256}",
        )
    return []


def _install(archive: Archive, copy: _Copy, folder: Path, out: Path) -> list[str]:
    """Unpack into `folder`, describe, try, and only then rename to `out`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        unpack(copy.file, folder)
    except BadArchiveError as error:
        advice = f"get {archive.file} from elsewhere and give it with --mirror"
        raise copy.refused(str(error), advice) from None
    root = _top(folder, archive.file.partition(".")[0])
    if not (root / "dataset.toml").exists():
        write_atomic(root / "dataset.toml", tomli_w.dumps(_facts(archive, copy)).encode())
    said = _try(archive, copy, root, out)
    root.rename(out)
    return said


def _top(folder: Path, name: str) -> Path:
    """The folder of that name, or the only one there is, or all that was unpacked."""
    if (folder / name).is_dir():
        return folder / name
    shown = [child for child in folder.iterdir() if not child.name.startswith((".", "__MACOSX"))]
    return shown[0] if len(shown) == 1 and shown[0].is_dir() else folder


def _facts(archive: Archive, copy: _Copy) -> dict[str, Any]:
    domains = {"domains": list(archive.domains)} if archive.domains else {}
    return {"name": archive.name, **domains, "source": f"{_public(copy)} (sha256 {copy.sha256})"}


def _public(copy: _Copy) -> str:
    """The address without what a signed link adds to it, which is a secret; a path of the user's as it is."""
    return urlsplit(copy.address)._replace(query="", fragment="").geturl() if copy.fetched else copy.address


def _try(archive: Archive, copy: _Copy, root: Path, out: Path) -> list[str]:
    """Read the folder as the trainer will. A broken image is told and not refused: training can leave it out."""
    try:
        if archive.domains:
            open_dataset(root)
        elif not find_images(root):
            raise LayoutError(f"{root} holds no images (jpg, png, bmp, tif, webp).")
    except ImageError as error:
        return [str(error).replace(str(root), str(out))]
    except LayoutError as error:
        kept = f" (kept as {copy.file}; remove it to fetch afresh)" if copy.fetched else ""
        raise DownloadError(f"{copy.address}{kept} is no dataset: {str(error).replace(str(root), 'it')}") from None
    return []
