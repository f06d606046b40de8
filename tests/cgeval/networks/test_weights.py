"""A file is fetched once, compared with its digest, and whole or not there; without a network one sentence says so.

The servers are the test's own, on this machine; of the hub's client the real one is used.
"""

import errno
import hashlib
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cgeval.errors import ConfigError, DownloadError, OutputError, WeightsError
from cgeval.networks import weights
from cgeval.networks.weights import HUB_CHECKPOINTS, fetch, hub_file, pretrained_names, refuse_another, weights_folder

CONTENT = bytes(range(256)) * 3000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


class Answer(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        self.answer(self.server.files.get(self.path, b""))

    def answer(self, body):
        server = self.server
        server.asked.append((self.command, self.path))
        time.sleep(server.silent_s)
        status = 200 if self.path in server.files or self.path == "/" else 404
        size = len(server.files.get(self.path, b""))
        self.send_response(status)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", f'"{SHA256}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(body[: server.cut])

    def log_message(self, *_args):
        pass


@contextmanager
def serving(files):
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # of a client that hung up
        server.files, server.asked, server.kind = files, [], "application/octet-stream"
        server.cut, server.silent_s = None, 0.0
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving({"/net.pth": CONTENT, "/smp-hub/net/resolve/main/model.safetensors": CONTENT}) as server:
        yield server


@pytest.fixture
def place(tmp_path):
    return tmp_path / "weights" / "net.pth"


@contextmanager
def refused(error, *words):
    """One sentence that has these words."""
    with pytest.raises(error) as caught:
        yield
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def nothing_in(place):
    return not place.parent.is_dir() or list(place.parent.iterdir()) == []


def get(server, place, sha256=SHA256, path="/net.pth"):
    return fetch(f"{server.address}{path}", sha256, place, progress=False)


# Files with a digest


def test_a_file_is_fetched_once_and_found_another_time(server, place):
    assert get(server, place) == place
    assert place.read_bytes() == CONTENT
    assert get(server, place) == place
    assert server.asked == [("GET", "/net.pth")]
    assert [path.name for path in place.parent.iterdir()] == ["net.pth"]


@pytest.mark.parametrize("sha256", [SHA256[:8], SHA256.upper(), f" {SHA256}\n"])
def test_the_first_digits_of_a_digest_are_enough_and_its_case_does_not_matter(server, place, sha256):
    assert get(server, place, sha256).read_bytes() == CONTENT


def test_another_file_is_refused_with_both_digests_and_not_kept(server, place):
    with refused(WeightsError, SHA256, OTHER, str(place)):
        get(server, place, OTHER)
    assert nothing_in(place)


def test_a_file_that_was_there_and_is_another_is_refused_with_both_digests(server, place):
    place.parent.mkdir()
    place.write_bytes(b"changed")
    with refused(WeightsError, hashlib.sha256(b"changed").hexdigest(), SHA256, "remove it"):
        get(server, place)
    assert server.asked == []
    assert place.read_bytes() == b"changed"


def test_digits_that_a_digest_does_not_begin_with_are_said_to_stand_at_its_beginning(place):
    place.parent.mkdir()
    place.write_bytes(CONTENT)
    refuse_another(place, SHA256[:12])
    with refused(WeightsError, "where 00000000 is expected at its beginning"):
        refuse_another(place, OTHER[:8])


def test_a_missing_file_is_said_with_what_to_do(server, place):
    with refused(DownloadError, "answers 404", f"put it at {place}"):
        get(server, place, path="/gone.pth")
    assert nothing_in(place)


def test_a_web_page_in_the_files_place_is_refused(server, place):
    server.kind = "text/html; charset=utf-8"
    with refused(DownloadError, "is a web page", f"put it at {place}"):
        get(server, place)
    assert nothing_in(place)


@pytest.mark.parametrize("cut", [0, 1, len(CONTENT) - 1])
def test_a_transfer_that_breaks_off_leaves_nothing(server, place, cut):
    server.cut = cut
    with refused(DownloadError, "broke off after", "try again"):
        get(server, place)
    assert nothing_in(place)


def test_a_server_that_stays_silent_is_not_waited_for(server, place, monkeypatch):
    monkeypatch.setattr(weights, "TIMEOUT_S", 0.1)
    server.silent_s = 0.5
    with refused(DownloadError, "did not answer in time", f"put it at {place}"):
        get(server, place)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/net.pth", "http://nowhere.invalid/net.pth"])
def test_without_a_network_the_sentence_says_what_to_do(place, address, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with refused(DownloadError, address, "could not be reached", "on a machine with a network", str(place)):
        fetch(address, SHA256, place)
    assert nothing_in(place)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "net.pth", "ftp://127.0.0.1/net.pth"])
def test_only_web_addresses_are_fetched(place, address):
    with refused(ConfigError, "http://"):
        fetch(address, SHA256, place)


@pytest.mark.parametrize("sha256", ["", "abc", "xyzxyzxy", SHA256 + "0"])
def test_a_digest_that_is_none_is_refused_before_anything_is_fetched(server, place, sha256):
    with refused(ConfigError, "64 hexadecimal digits"):
        get(server, place, sha256)
    assert server.asked == []


def test_a_full_disk_and_a_file_in_the_way_are_said(server, place, monkeypatch):
    place.parent.parent.joinpath("file").touch()
    with refused(OutputError, "cannot be written", "CGEVAL_CACHE"):
        get(server, place.parent.parent / "file" / "net.pth")

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights.os, "fsync", full)
    with refused(OutputError, "No space left on device"):
        get(server, place)
    assert nothing_in(place)


def test_an_interrupted_transfer_leaves_nothing(server, place, monkeypatch):
    def interrupted(_handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(weights.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        get(server, place)
    assert nothing_in(place)


def test_files_lie_where_cgeval_cache_says(monkeypatch):
    monkeypatch.setenv("CGEVAL_CACHE", "/mine")
    assert weights_folder() == Path("/mine/weights")


# The hub


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    """The hub's real client, with an empty cache, before the test's own server."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    return server


def hub_model(name="model.safetensors"):
    return hub_file("smp-hub/net", name, "bring FOLDER and give it with --file")


def test_a_file_of_the_hub_is_fetched_into_its_clients_cache_and_found_another_time(hub, tmp_path, monkeypatch):
    found = hub_model()
    assert found.read_bytes() == CONTENT
    assert tmp_path / "hub" in found.parents
    asked = list(hub.asked)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub_model() == found
    assert hub.asked == asked


def test_offline_mode_is_respected_and_what_was_fetched_is_still_found(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with refused(DownloadError, "HF_HUB_OFFLINE", "give it with --file"):
        hub_model()
    assert hub.asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    found = hub_model()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub_model() == found


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://nowhere.invalid"])
def test_without_a_network_the_hub_is_given_up_at_once(hub, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    begun = time.monotonic()
    with refused(DownloadError, "model.safetensors of smp-hub/net", endpoint, "give it with --file"):
        hub_model()
    assert time.monotonic() - begun < 5  # the client alone takes 24 s


def test_a_repository_that_is_not_there_is_said_in_one_sentence(hub):
    with refused(DownloadError, "other.safetensors of smp-hub/net", hub.address, "give it with --file"):
        hub_model("other.safetensors")


# What is known by name


def test_nine_segformers_of_cityscapes_are_known_as_the_hub_spells_them():
    assert len(HUB_CHECKPOINTS) == 9
    b5 = HUB_CHECKPOINTS["segformer-b5-1024x1024-city-160k"]
    assert (b5.repository, b5.encoder) == ("smp-hub/segformer-b5-1024x1024-city-160k", "mit_b5")
    assert (b5.decoder_width, b5.size_px) == (768, (2048, 1024))
    assert HUB_CHECKPOINTS["segformer-b0-640x1280-city-160k"].size_px == (1280, 640)
    assert HUB_CHECKPOINTS["segformer-b0-768x768-city-160k"].size_px == (1536, 768)


def test_the_names_are_listed_without_torch_and_without_the_hubs_client():
    program = (
        "import sys; from cgeval.networks.weights import pretrained_names; print(len(pretrained_names()));"
        "print(sorted({'torch', 'huggingface_hub', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{len(pretrained_names())}\n[]\n", "")
