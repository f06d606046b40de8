"""A name becomes a folder that the trainer reads, from a small server of the test's own; it is whole or not there."""

import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from cgeval.datasets import open_dataset
from cgeval.errors import ConfigError, DownloadError, OutputError, RunBusyError
from cgeval.files import lock
from cgeval.images import encode_png
from cyclegan.cli.data import data
from cyclegan.data import transfer
from cyclegan.data.archives import DATASETS
from cyclegan.data.download import fetch_dataset
from tests.cyclegan.archive_server import refused, serving, sha256, tarred, zipped


def picture(seed, width=48):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (48, width, 3), dtype=np.uint8))


UNPAIRED = {
    f"horse2zebra/{split}{domain}/{i}.png": picture(seed)
    for seed, (split, domain, i) in enumerate((s, d, i) for s in ("train", "test") for d in "AB" for i in range(5))
}
ALIGNED = {f"facades/{split}/{i}.png": picture(i, 96) for split in ("train", "val", "test") for i in range(3)}
HORSES = zipped(UNPAIRED)
FACADES = tarred(ALIGNED)
HALF = len(HORSES) // 2


@pytest.fixture
def server():
    with serving({"/horse2zebra.zip": HORSES, "/facades.tar.gz": FACADES}) as server:
        yield server


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def fetch_horses(server, out, **changes):
    return fetch_dataset("horse2zebra", out, **{"mirror": server.address, "sha256": sha256(HORSES), **changes})


@pytest.fixture
def cut_at_half(server, monkeypatch):
    """Call it with OUT to have the part that a cut transfer leaves there."""

    def cut(out):
        server.plan.cuts = [HALF]
        with monkeypatch.context() as patch, refused(DownloadError, "was cut at", "the same command goes on"):
            patch.setattr(transfer, "ATTEMPTS", 1)
            fetch_horses(server, out)
        server.asked.clear()
        return out.with_name(f"{out.name}.download") / "horse2zebra.zip.part"

    return cut


def names(folder):
    return [path.name for path in folder.iterdir()]


def assert_horses(out):
    found = {f"horse2zebra/{p.relative_to(out).as_posix()}": p.read_bytes() for p in out.rglob("*.png")}
    assert found == UNPAIRED
    assert names(out.parent) == [out.name]


# What a whole transfer leaves


def test_an_archive_becomes_a_folder_that_the_trainer_reads_and_nothing_else_stays(server, tmp_path):
    assert fetch_horses(server, tmp_path / "horses") == []
    assert_horses(tmp_path / "horses")
    dataset = open_dataset(tmp_path / "horses")
    assert (dataset.name, dataset.domains, dataset.paired) == ("horse2zebra", ("horses", "zebras"), False)
    assert [len(dataset.split(name).b) for name in ("train", "test")] == [5, 5]


def test_dataset_toml_says_where_the_images_came_from_and_pins_them(server, tmp_path):
    fetch_horses(server, tmp_path / "horses")
    facts = tomllib.loads((tmp_path / "horses" / "dataset.toml").read_text())
    assert facts["source"] == f"{server.address}/horse2zebra.zip (sha256 {sha256(HORSES)})"


def test_a_pix2pix_archive_is_paired_and_its_unpublished_digest_is_told(server, tmp_path):
    (said,) = fetch_dataset("pix2pix_facades", tmp_path / "facades", mirror=server.address)
    assert "could not be compared" in said
    assert sha256(FACADES) in said
    assert "--sha256" in said
    dataset = open_dataset(tmp_path / "facades")
    assert dataset.paired
    assert {name: len(split.a) for name, split in dataset.splits.items()} == {"train": 3, "val": 3, "test": 3}


def test_a_pinned_digest_is_compared_and_then_nothing_is_told(server, tmp_path):
    digest = sha256(FACADES).upper()
    assert fetch_dataset("pix2pix_facades", tmp_path / "facades", mirror=server.address, sha256=digest) == []


def test_a_set_of_test_photos_needs_images_and_no_two_domains(server, tmp_path):
    server.plan.files["/ae_photos.zip"] = zipped({"ae_photos/testB/1.png": picture(0)})
    fetch_dataset("ae_photos", tmp_path / "photos", mirror=server.address)
    assert (tmp_path / "photos" / "testB" / "1.png").is_file()


def test_the_mirrors_address_may_be_the_archive_itself_with_a_query(server, tmp_path):
    server.plan.files = {"/any/name.zip": HORSES}
    fetch_horses(server, tmp_path / "horses", mirror=f"{server.address}/any/name.zip?token=1")
    assert server.asked == [("/any/name.zip?token=1", None, None)]


def test_a_broken_image_is_told_and_does_not_lose_the_others(server, tmp_path):
    body = zipped({**UNPAIRED, "horse2zebra/trainA/broken.png": b"no picture"})
    server.plan.files = {"/horse2zebra.zip": body}
    (said,) = fetch_horses(server, tmp_path / "horses", sha256=sha256(body))
    assert f"{tmp_path}/horses/trainA/broken.png" in said
    assert len(open_dataset(tmp_path / "horses", skip_broken=True).split("train").a) == 5


# Going on with what is there


def test_a_transfer_cut_at_half_goes_on_from_there(server, tmp_path, cut_at_half):
    part = cut_at_half(tmp_path / "horses")
    assert part.read_bytes() == HORSES[:HALF]
    fetch_horses(server, tmp_path / "horses")
    assert server.asked == [("/horse2zebra.zip", f"bytes={HALF}-", '"first"')]
    assert_horses(tmp_path / "horses")


def test_a_whole_part_needs_no_server(server, tmp_path, cut_at_half):
    part = cut_at_half(tmp_path / "horses")
    part.write_bytes(HORSES)  # killed after the last byte and before unpacking
    fetch_horses(server, tmp_path / "horses")
    assert server.asked == []
    assert_horses(tmp_path / "horses")


def test_a_killed_process_leaves_a_part_and_the_same_command_goes_on(server, tmp_path):
    server.plan.cuts, server.plan.hold_s = [HALF], 20.0
    arguments = ["horse2zebra", tmp_path / "horses", "--mirror", server.address, "--sha256", sha256(HORSES)]
    command = [sys.executable, "-m", "cyclegan", "data", "download", *map(str, arguments)]
    part = tmp_path / "horses.download" / "horse2zebra.zip.part"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        for _ in range(1500):
            if part.exists() and part.stat().st_size:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    have = part.stat().st_size
    assert 0 < have <= HALF
    assert not (tmp_path / "horses").exists()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [asked[1] for asked in server.asked] == [None, f"bytes={have}-"]
    assert "cyclegan data check" in done.stdout
    assert_horses(tmp_path / "horses")


# Refusals: each one sentence, nothing half-written


def test_a_wrong_digest_names_both_and_the_next_try_starts_afresh(server, tmp_path):
    wrong = "0" * 64
    with refused(DownloadError, sha256(HORSES), wrong, "removed", f"--sha256 {sha256(HORSES)}"):
        fetch_horses(server, tmp_path / "horses", sha256=wrong)
    assert names(tmp_path) == []
    fetch_horses(server, tmp_path / "horses")
    assert [asked[1] for asked in server.asked] == [None, None]


def test_the_published_digest_is_used_when_none_is_given(server, tmp_path):
    with refused(DownloadError, "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1"):
        fetch_horses(server, tmp_path / "horses", sha256=None)
    assert names(tmp_path) == []


def test_a_missing_file_is_told_with_its_address(server, tmp_path):
    with refused(DownloadError, f"{server.address}/horse2zebra.zip answers 404", "--mirror"):
        server.plan.files = {}
        fetch_horses(server, tmp_path / "horses")
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_in_place_of_the_archive_is_recognised(server, tmp_path, kind):
    server.plan.files["/horse2zebra.zip"] = b"\n<!DOCTYPE html><title>Please log in</title>"
    server.plan.kind = kind
    with refused(DownloadError, "web page", "--mirror"):
        fetch_horses(server, tmp_path / "horses")
    assert names(tmp_path) == []


def test_without_a_network_the_official_address_is_named(tmp_path, monkeypatch):
    def no_names(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    with refused(DownloadError, DATASETS["maps"].address, "Name or service not known", "cyclegan data streets OUT"):
        fetch_dataset("maps", tmp_path / "maps")
    assert names(tmp_path) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_that_leads_outside_refuses_the_whole_archive(server, tmp_path, pack):
    body = pack({**UNPAIRED, "../../escaped.png": b"x"})
    server.plan.files["/horse2zebra.zip"] = body
    (tmp_path / "in").mkdir()
    with refused(DownloadError, "holds '../../escaped.png', which leads outside", "removed", "--mirror"):
        fetch_horses(server, tmp_path / "in" / "horses", sha256=sha256(body))
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


@pytest.mark.parametrize("body", [HORSES[:-100], FACADES[:-100], b"", b"just text"])
def test_what_cannot_be_unpacked_is_told_and_removed(server, tmp_path, body):
    server.plan.files["/horse2zebra.zip"] = body
    with refused(DownloadError, f"{server.address}/horse2zebra.zip cannot be unpacked", "removed", "--mirror"):
        fetch_horses(server, tmp_path / "horses", sha256=sha256(body))
    assert names(tmp_path) == []


def test_a_full_disk_leaves_nothing_behind(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(HORSES)))
    with refused(OutputError, str(tmp_path), "make room"):
        fetch_horses(server, tmp_path / "horses")
    assert names(tmp_path) == []


def test_an_unknown_name_leaves_nothing_behind(tmp_path):
    with refused(ConfigError, "'horse2zebr'", "horse2zebra"):
        fetch_dataset("horse2zebr", tmp_path / "out")
    assert names(tmp_path) == []


def test_an_archive_that_is_no_dataset_is_kept_for_the_user_to_look_at(server, tmp_path):
    body = zipped({"horse2zebra/trainA/1.png": picture(0)})
    server.plan.files["/horse2zebra.zip"] = body
    part = tmp_path / "horses.download" / "horse2zebra.zip.part"
    with refused(DownloadError, f"kept as {part}", "it has trainA and no trainB"):
        fetch_horses(server, tmp_path / "horses", sha256=sha256(body))
    assert part.read_bytes() == body
    assert names(tmp_path) == ["horses.download"]
    assert not (tmp_path / "horses.download" / "unpacked").exists()


def test_an_existing_folder_is_left_alone_and_no_server_is_asked(server, tmp_path):
    (tmp_path / "horses").mkdir()
    with refused(OutputError, "exists already"):
        fetch_horses(server, tmp_path / "horses")
    assert server.asked == []
    assert names(tmp_path) == ["horses"]


def test_a_file_in_the_way_of_the_folder_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with refused(OutputError, "file/horses.download cannot be made"):
        fetch_horses(server, tmp_path / "file" / "horses")


def test_two_commands_do_not_write_into_one_part(server, tmp_path, cut_at_half):
    part = cut_at_half(tmp_path / "horses")
    with lock(part.parent / "lock"), refused(RunBusyError, "horses.download", "process"):
        fetch_horses(server, tmp_path / "horses")
    assert part.stat().st_size == HALF
    assert server.asked == []


@pytest.mark.parametrize("name", ["cityscapes", "pix2pix_cityscapes"])
def test_a_withdrawn_set_is_told_with_where_to_register(tmp_path, name):
    with refused(DownloadError, "licence", "cityscapes-dataset.com", "cyclegan data prepare"):
        fetch_dataset(name, tmp_path / "out")


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1/x", "http://[broken", "sftp://x/horse2zebra.zip"])
def test_a_mirror_that_is_no_address_is_told(tmp_path, mirror):
    with refused(ConfigError, "--mirror", mirror):
        fetch_dataset("horse2zebra", tmp_path / "out", mirror=mirror)


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 63])
def test_a_digest_of_the_wrong_form_is_told(tmp_path, digest):
    with refused(ConfigError, "--sha256", "64"):
        fetch_dataset("horse2zebra", tmp_path / "out", sha256=digest)


# A copy that the user has


@pytest.mark.parametrize("form", ["{0}", "{0}/horse2zebra.zip", "file://{0}", "file://{0}/horse2zebra.zip"])
def test_a_local_copy_serves_and_is_left_where_it_is(tmp_path, form):
    place = tmp_path / "my copies"
    place.mkdir()
    (place / "horse2zebra.zip").write_bytes(HORSES)
    (tmp_path / "new").mkdir()
    mirror = form.format(place) if form[0] == "{" else form.format(str(place).replace(" ", "%20"))
    fetch_dataset("horse2zebra", tmp_path / "new" / "horses", mirror=mirror, sha256=sha256(HORSES))
    assert_horses(tmp_path / "new" / "horses")
    assert (place / "horse2zebra.zip").read_bytes() == HORSES


@pytest.mark.parametrize(
    "body", [tarred(UNPAIRED), tarred(UNPAIRED, mode="w"), zipped({**UNPAIRED, "__MACOSX/._x": b""})]
)
def test_a_local_copy_may_be_packed_in_another_way(tmp_path, body):
    (tmp_path / "mine").write_bytes(body)
    fetch_dataset("horse2zebra", tmp_path / "new" / "x", mirror=str(tmp_path / "mine"), sha256=sha256(body))
    assert_horses(tmp_path / "new" / "x")


@pytest.mark.parametrize(
    ("top", "beside"), [("", {}), ("other/", {}), ("other/", {"__MACOSX/x": b""}), ("horse2zebra/", {"README": b""})]
)
def test_the_images_are_found_whatever_the_top_folder_is_called_and_whatever_lies_beside_it(tmp_path, top, beside):
    body = zipped({name.replace("horse2zebra/", top): content for name, content in UNPAIRED.items()} | beside)
    (tmp_path / "mine.zip").write_bytes(body)
    fetch_dataset("horse2zebra", tmp_path / "new" / "x", mirror=str(tmp_path / "mine.zip"), sha256=sha256(body))
    assert_horses(tmp_path / "new" / "x")


def test_a_local_copy_with_a_wrong_digest_is_not_removed(tmp_path):
    (tmp_path / "horse2zebra.zip").write_bytes(HORSES)
    with refused(DownloadError, str(tmp_path / "horse2zebra.zip"), sha256(HORSES), f"--sha256 {sha256(HORSES)}"):
        fetch_dataset("horse2zebra", tmp_path / "out", mirror=str(tmp_path))
    assert names(tmp_path) == ["horse2zebra.zip"]


def test_a_withdrawn_set_that_the_user_has_is_unpacked(tmp_path):
    body = zipped({name.replace("horse2zebra", "cityscapes"): content for name, content in UNPAIRED.items()})
    (tmp_path / "cityscapes.zip").write_bytes(body)
    fetch_dataset("cityscapes", tmp_path / "out", mirror=str(tmp_path), sha256=sha256(body))
    assert open_dataset(tmp_path / "out").domains == ("photos", "labels")


def test_a_local_copy_that_is_not_there_is_told(tmp_path):
    with refused(DownloadError, str(tmp_path / "horse2zebra.zip"), "not there", "http://"):
        fetch_dataset("horse2zebra", tmp_path / "out", mirror=str(tmp_path))


# The command


def test_the_command_lists_the_names_with_what_they_are():
    done = CliRunner().invoke(data, ["download", "--list"])
    assert done.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in done.output.splitlines())
    assert list(lines) == list(DATASETS)
    assert lines["horse2zebra"] == "horses and zebras; 116.9 MB"
    assert "withdrawn" in lines["cityscapes"]


def test_the_command_prints_what_to_do_next(server, tmp_path):
    out = tmp_path / "facades"
    done = CliRunner().invoke(data, ["download", "pix2pix_facades", str(out), "--mirror", server.address])
    assert done.exit_code == 0, done.output
    assert sha256(FACADES) in done.output
    assert done.output.endswith(f"{out} is ready: cyclegan data check {out}\n")


def test_the_module_needs_no_torch():
    code = "import sys, cyclegan.data.download; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
