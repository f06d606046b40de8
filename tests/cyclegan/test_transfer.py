"""Files come over a real socket, from a small server of the test's own: whole, or as a part to go on with."""

import shutil
import socket
from http.client import HTTPResponse
from types import SimpleNamespace

import numpy as np
import pytest

from cgeval.errors import DownloadError, OutputError
from cyclegan.data import transfer
from cyclegan.data.transfer import Transfer
from tests.cyclegan.archive_server import refused, serving

BODY = np.random.default_rng(0).bytes(400_000)
OTHER = np.random.default_rng(1).bytes(410_000)
HALF = len(BODY) // 2


@pytest.fixture
def server():
    with serving({"/file.zip": BODY}) as server:
        yield server


@pytest.fixture
def part(tmp_path):
    return tmp_path / "file.zip.part"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)


@pytest.fixture
def once(monkeypatch):
    """One connection per call, so that a test sees what a cut leaves."""
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)


def fetch(server, part, path="/file.zip", size_bytes=None):
    address = server if isinstance(server, str) else server.address
    Transfer(address + path, part, "ask a friend", size_bytes).complete()


def cut_at_half(server, part, outlook="the same command goes on from there"):
    server.plan.cuts = [HALF]
    with refused(DownloadError, "was cut at 0.2 MB of 0.4 MB", outlook):
        fetch(server, part)
    assert part.read_bytes() == BODY[:HALF]
    server.asked.clear()


def test_a_file_arrives_whole(server, part):
    fetch(server, part)
    assert part.read_bytes() == BODY


def test_a_server_that_does_not_tell_the_length_is_read_to_the_end(server, part):
    server.plan.tells_length = False
    fetch(server, part)
    assert part.read_bytes() == BODY


def test_the_address_is_asked_for_as_it_is(server, part):
    fetch(server, part, "/file.zip?token=1")
    assert server.asked == [("/file.zip?token=1", None, None)]


# Going on with what is there


def test_a_transfer_cut_at_half_goes_on_from_there(server, part, once):
    cut_at_half(server, part)
    fetch(server, part)
    assert server.asked == [("/file.zip", f"bytes={HALF}-", '"first"')]
    assert part.read_bytes() == BODY


def test_it_goes_on_by_itself_after_cuts_that_brought_something(server, part, capsys):
    server.plan.cuts = [HALF // 2, HALF]
    fetch(server, part)
    assert [asked[1] for asked in server.asked] == [None, f"bytes={HALF // 2}-", f"bytes={HALF}-"]
    assert "going on" in capsys.readouterr().err
    assert part.read_bytes() == BODY


def test_it_gives_up_when_a_connection_brings_nothing(server, part):
    server.plan.cuts = [HALF, HALF, HALF]
    with refused(DownloadError, "was cut"):
        fetch(server, part)
    assert len(server.asked) == 2


def test_a_connection_that_brings_nothing_at_all_promises_nothing(server, part):
    server.plan.cuts = [0]
    with refused(DownloadError, "was cut at 0.0 MB", "starts anew"):
        fetch(server, part)


def test_a_server_that_falls_silent_is_not_waited_for_forever(server, part, once, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.2)
    server.plan.cuts, server.plan.hold_s = [HALF], 20.0
    with refused(DownloadError, "did not answer in time"):
        fetch(server, part)
    server.plan.hold.set()
    fetch(server, part)
    assert part.read_bytes() == BODY


def test_an_interrupt_from_the_keyboard_keeps_the_part_and_says_so(server, part, monkeypatch, capsys):
    read, reads = HTTPResponse.read1, []

    def interrupted(response, n):
        reads.append(n)
        if len(reads) == 3:
            raise KeyboardInterrupt
        return read(response, n)

    monkeypatch.setattr(HTTPResponse, "read1", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(server, part)
    assert f"kept in {part}" in capsys.readouterr().err
    fetch(server, part)
    assert server.asked[1][1] is not None
    assert part.read_bytes() == BODY


def test_last_modified_serves_where_there_is_no_strong_etag(server, part, once):
    server.plan.etag = 'W/"weak"'
    cut_at_half(server, part)
    fetch(server, part)
    assert server.asked == [("/file.zip", f"bytes={HALF}-", server.plan.modified)]
    assert part.read_bytes() == BODY


def test_without_etag_and_date_nothing_vouches_for_the_part_and_it_starts_anew(server, part, once):
    server.plan.etag = server.plan.modified = None
    cut_at_half(server, part, "the same command starts anew")
    fetch(server, part)
    assert server.asked == [("/file.zip", None, None)]
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("description", ["", "[]", '{"unknown": 1}', None])
def test_without_its_description_nothing_vouches_for_the_part_either(server, part, once, description):
    cut_at_half(server, part)
    part.with_suffix(".json").unlink()
    if description is not None:
        part.with_suffix(".json").write_text(description)
    fetch(server, part)
    assert server.asked == [("/file.zip", None, None)]
    assert part.read_bytes() == BODY


def test_a_server_that_ignores_ranges_starts_from_zero(server, part, once):
    server.plan.ranges = False
    cut_at_half(server, part)
    fetch(server, part)
    assert part.read_bytes() == BODY


def test_a_range_that_begins_elsewhere_is_not_put_behind_the_part(server, part, once):
    cut_at_half(server, part)
    server.plan.early_bytes = 100
    fetch(server, part)
    assert [asked[1] for asked in server.asked] == [f"bytes={HALF}-", None]
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(("heeds_if_range", "connections"), [(True, 1), (False, 2)])
def test_a_file_that_changed_meanwhile_starts_again(server, part, once, heeds_if_range, connections):
    cut_at_half(server, part)
    server.plan.files["/file.zip"] = OTHER
    server.plan.etag, server.plan.heeds_if_range = '"second"', heeds_if_range
    fetch(server, part)
    assert part.read_bytes() == OTHER
    assert len(server.asked) == connections


def test_a_file_that_became_shorter_than_the_part_starts_again(server, part, once):
    cut_at_half(server, part)
    server.plan.files["/file.zip"], server.plan.heeds_if_range = OTHER[: HALF // 2], False
    fetch(server, part)
    assert [asked[1] for asked in server.asked] == [f"bytes={HALF}-", None]
    assert part.read_bytes() == OTHER[: HALF // 2]


def test_another_address_does_not_go_on_with_the_first_ones_part(server, part, once):
    cut_at_half(server, part)
    server.plan.files = {"/elsewhere/file.zip": BODY}
    fetch(server, part, "/elsewhere/file.zip")
    assert server.asked == [("/elsewhere/file.zip", None, None)]
    assert part.read_bytes() == BODY


def test_a_whole_part_needs_no_server(server, part, once):
    cut_at_half(server, part)
    part.write_bytes(BODY)  # killed after the last byte
    fetch(server, part)
    assert server.asked == []


# Refusals: each one sentence, and none costs the part


def test_a_missing_file_is_told_with_its_address_and_what_else_one_can_do(server, part):
    with refused(DownloadError, f"{server.address}/missing.zip answers 404 (Not Found): ask a friend"):
        fetch(server, part, "/missing.zip")
    assert not part.exists()


def test_another_address_that_fails_does_not_cost_the_first_ones_part(server, part, once):
    cut_at_half(server, part)
    with pytest.raises(DownloadError, match="answers 404") as caught:
        fetch(server, part, "/missing.zip")
    assert "goes on from there" not in str(caught.value)
    assert part.read_bytes() == BODY[:HALF]


def test_a_servers_failure_keeps_the_part(server, part, once):
    cut_at_half(server, part)
    server.plan.status = 503
    with refused(DownloadError, "answers 503", "are kept", "try again later, or ask a friend"):
        fetch(server, part)
    assert part.read_bytes() == BODY[:HALF]


def test_a_web_page_is_recognised_by_its_type(server, part):
    server.plan.kind = "text/html; charset=utf-8"
    with refused(DownloadError, "web page", "browser", "ask a friend"):
        fetch(server, part)
    assert not part.exists()


def test_a_web_page_does_not_cost_the_part(server, part, once):
    cut_at_half(server, part)
    server.plan.ranges, server.plan.kind = False, "text/html"
    with refused(DownloadError, "web page"):
        fetch(server, part)
    assert part.read_bytes() == BODY[:HALF]


def test_a_refused_connection_is_told_and_how_to_do_without_a_network(part):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    words = f"{address}/file.zip could not be reached (Connection refused): ask a friend; `cyclegan data streets OUT`"
    with refused(DownloadError, words):
        fetch(address, part)


def test_a_port_that_accepts_and_never_answers_is_told(part, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, refused(DownloadError, "did not answer in time"):
        fetch(f"http://127.0.0.1:{mute.getsockname()[1]}", part)


@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "http://127.0.0.1:9/ä b", "http://"])
def test_an_address_that_cannot_be_asked_is_told(part, address):
    with refused(DownloadError, "could not be reached"):
        fetch(address, part)


def test_a_full_disk_is_noticed_before_the_transfer(server, part, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * len(BODY) - 1))
    with refused(OutputError, str(part.parent), "free", "make room"):
        fetch(server, part)
    assert not part.exists()


def test_the_size_known_beforehand_is_counted_with_where_the_server_does_not_tell_it(server, part, monkeypatch):
    server.plan.tells_length = False
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * len(BODY) - 1))
    with refused(OutputError, "make room"):
        fetch(server, part, size_bytes=len(BODY))


def test_room_for_the_file_and_what_is_unpacked_from_it_is_enough(server, part, once, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * len(BODY)))
    cut_at_half(server, part)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * len(BODY) - HALF))
    fetch(server, part)
    assert part.read_bytes() == BODY
