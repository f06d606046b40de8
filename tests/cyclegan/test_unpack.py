"""What an archive holds lies in the folder byte by byte, or the archive is refused: nothing leads outside."""

import io
import shutil
import stat
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from cgeval.errors import OutputError
from cyclegan.data.unpack import BadArchiveError, is_web_page, unpack
from tests.cyclegan.archive_server import refused, tarred, zipped

FILES = {f"set/{split}/{i}.png": np.random.default_rng(i).bytes(3000) for split in ("train", "test") for i in range(4)}
ZIP = zipped(FILES)
TAR_GZ = tarred(FILES)


@pytest.fixture
def unpacked(tmp_path):
    """Call it with an archive's bytes to have the folder that it was unpacked into."""
    folder = tmp_path / "in" / "folder"
    folder.mkdir(parents=True)

    def unpack_bytes(body):
        (tmp_path / "archive").write_bytes(body)
        unpack(tmp_path / "archive", folder)
        return folder

    yield unpack_bytes
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "archive"}
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("body", [ZIP, TAR_GZ, tarred(FILES, mode="w")], ids=["zip", "tar.gz", "tar"])
def test_every_file_is_there_byte_by_byte(unpacked, body):
    assert contents(unpacked(body)) == FILES


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("again", [link("set/a", "train/0.png"), link("set/a", "set/train/0.png", tarfile.LNKTYPE)])
def test_a_link_within_a_tar_becomes_a_copy(unpacked, again):
    folder = unpacked(tarred(FILES, again))
    assert not (folder / "set" / "a").is_symlink()
    assert contents(folder) == {**FILES, "set/a": FILES["set/train/0.png"]}


def zip_with_link():
    memory = io.BytesIO(ZIP)
    with zipfile.ZipFile(memory, "a") as archive:
        member = zipfile.ZipInfo("set/train/link.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    return memory.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        zipped({**FILES, "../escaped.png": b"x"}),
        zipped({**FILES, "/tmp/escaped.png": b"x"}),
        zipped({**FILES, "set/..\\..\\escaped.png": b"x"}),
        zip_with_link(),
        tarred({**FILES, "set/../../escaped.png": b"x"}),
        tarred({**FILES, "/tmp/escaped.png": b"x"}),
        tarred(FILES, link("set/train/escaped.png", "/etc/passwd")),
        tarred(FILES, link("set/train/escaped.png", "../../../../etc/passwd")),
        tarred(FILES, link("set/train/escaped.png", "/etc/passwd", tarfile.LNKTYPE)),
        tarred(FILES, link("set/train/escaped.png", "", tarfile.FIFOTYPE)),
    ],
)
def test_a_member_that_leads_outside_refuses_the_archive(unpacked, body):
    with pytest.raises(BadArchiveError, match=r"^holds '.*(escaped|link)\.png', which leads outside"):
        unpacked(body)


@pytest.mark.parametrize(
    "body",
    [
        ZIP[: len(ZIP) - 100],
        TAR_GZ[: len(TAR_GZ) - 100],
        TAR_GZ[:100] + TAR_GZ[110:],
        tarred(FILES, mode="w:xz"),
        b"",
        b"just text",
        zipped({"set": b"a file", "set/1.png": b"below it"}),
    ],
)
def test_what_is_damaged_or_no_archive_is_refused(unpacked, body):
    with pytest.raises(BadArchiveError, match=r"^cannot be unpacked \(.*[^.]\)$"):
        unpacked(body)


def test_an_encrypted_archive_is_refused(unpacked):
    body = bytearray(ZIP)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(mark) + flags] |= 1
    with pytest.raises(BadArchiveError, match="encrypted"):
        unpacked(bytes(body))


def test_an_archive_that_unpacks_to_more_than_the_disk_holds_is_refused(unpacked, monkeypatch):
    bomb = bytearray(ZIP)
    entry = bomb.rindex(b"PK\x01\x02")
    bomb[entry + 24 : entry + 28] = (2**32 - 2).to_bytes(4, "little")  # the last member claims 4 GB
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**32 - 2))
    with refused(OutputError, "4.29 GB"):
        unpacked(bytes(bomb))


@pytest.mark.parametrize(
    ("body", "page"), [(b"\n <!DOCTYPE html>", True), (b"<html>", True), (ZIP, False), (b"", False)]
)
def test_a_web_page_is_recognised_by_its_first_bytes(tmp_path, body, page):
    (tmp_path / "archive").write_bytes(body)
    assert is_web_page(tmp_path / "archive") is page
