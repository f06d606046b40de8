"""`study-server serve` as a program: how it begins, what it holds, and how it ends."""

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.study_server.small_study import small_study
from tests.study_server.web.visitor import Visitor

PROGRAM = [sys.executable, "-c", "from study_server.cli import main; main()", "serve"]
SMALL = {"practice": 2, "scored": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return small_study(tmp_path_factory.mktemp("serving"), pairs=12, trials=SMALL)


@pytest.fixture
def start():
    """Start it; the process and its port."""
    servers = []

    def call(folder: Path, *options: str, **how) -> tuple[subprocess.Popen, int]:
        command = [*PROGRAM, str(folder), "--port", "0", *options]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
        servers.append(server)
        line = server.stdout.readline()
        assert "http://" in line, server.stderr.read()
        return server, int(line.split(":")[-1].strip().strip("/"))

    yield call
    for server in servers:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()


def end(server: subprocess.Popen, number: int = signal.SIGTERM) -> tuple[int, str]:
    """Its exit code, and what it said on the error stream."""
    server.send_signal(number)
    code = server.wait(40)
    return code, server.stderr.read()


def workers_of(server: subprocess.Popen) -> list[int]:
    return [int(each) for each in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def lockers(path: Path) -> set[int]:
    """Who holds locks of SQLite's on the file."""
    inode = str(path.stat().st_ino)
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" not in line]
    return {int(line[4]) for line in lines if line[1] == "POSIX" and line[5].split(":")[-1] == inode}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "nobody.invalid"), "there is no such host"),
        (("--database-url", "mysql://x/y"), "sqlite or postgresql is expected"),
        (("--port", "70000"), "70000"),
        (("--workers", "0"), "0"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(folder, options, words):
    done = subprocess.run([*PROGRAM, str(folder), *options], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_a_port_in_use_and_a_folder_that_is_no_study_are_told(folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*PROGRAM, str(folder), "--port", port], capture_output=True, text=True, timeout=60)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert port in done.stderr
    done = subprocess.run([*PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert not list(tmp_path.iterdir())


def test_a_study_that_was_changed_is_not_served(tmp_path):
    changed = small_study(tmp_path, pairs=12, trials=SMALL)
    next((changed / "stimuli").iterdir()).write_bytes(b"x")
    done = subprocess.run([*PROGRAM, str(changed)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "not as it was built" in done.stderr
    assert not (changed / "study.db").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_quietly_and_leaves_nobody_behind(folder, start, number, code):
    server, port = start(folder)
    workers = workers_of(server)
    assert Visitor("127.0.0.1", port).ask("GET", "/health").status == 200
    assert end(server, number) == (code, "")
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="asks Linux who holds locks")
def test_each_worker_holds_its_own_locks_and_the_parent_none(folder, start):
    """A worker that inherited its parent's connection would write without SQLite's locks once the parent is gone."""
    server, port = start(folder, "--workers", "1")
    Visitor("127.0.0.1", port, name="locks").come()
    assert lockers(folder / "study.db") == set(workers_of(server))
    assert end(server)[0] == 0


def test_verbose_shows_each_request_without_its_address(folder, start):
    server, port = start(folder, "--verbose")
    visitor = Visitor("127.0.0.1", port, name="shown").enter()
    visitor.ask("GET", "/api/session?secret=1")
    _, told = end(server)
    assert "GET /api/session 200" in told
    assert "secret" not in told
    assert visitor.token not in told


def test_a_body_without_end_is_refused_before_it_is_all_heard(folder, start):
    server, port = start(folder, "--workers", "1")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"POST /api/enter HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            line.sendall(chunk)
        assert line.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"POST /api/enter HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        heard = line.recv(4096)
        assert heard.startswith(b"HTTP/1.1 413")
        assert b"waitress" not in heard
    assert Visitor("127.0.0.1", port).ask("GET", "/health").status == 200
    assert end(server)[0] == 0


def test_more_people_than_the_systems_usual_number_of_files_are_served(folder, start):
    """A service manager's usual limit is 1024 open files, which may be raised."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (120, hard))}
    server, port = start(folder, "--workers", "1", **low)
    with ExitStack() as stack:
        for _ in range(200):
            line = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)))
            line.request("GET", "/static/study.svg")
            reply = line.getresponse()
            reply.read()
            assert reply.status == 200
    assert end(server) == (0, "")


def test_connections_beyond_the_limit_wait_until_others_leave(folder, start):
    low = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (116, 116))}
    server, port = start(folder, "--workers", "1", **low)
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=10)))
        time.sleep(0.5)
    assert Visitor("127.0.0.1", port).ask("GET", "/static/study.svg").status == 200
    assert end(server)[0] == 0


def test_a_reply_that_has_begun_leaves_whole_before_it_stops(tmp_path, start):
    """Somebody with a slow line, in the middle of large images."""
    images = small_study(tmp_path, ("one",), 4, trials={"practice": 0, "scored": 2}, exposure={"size_px": 512})
    server, port = start(images, "--workers", "1")
    visitor = Visitor("127.0.0.1", port).come()
    path = visitor.view["preload"][0]
    size = len(visitor.ask("GET", path).body)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {visitor.token}\r\nX-Client: page\r\n\r\n".encode()
    count = 1 + 12_000_000 // size
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        line.settimeout(20)
        line.connect(("127.0.0.1", port))
        line.sendall(head * count)
        first = line.recv(4096)
        time.sleep(0.5)
        server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.poll() is None
        heard = len(first)
        while more := line.recv(1 << 20):
            heard += len(more)
    assert heard >= count * size
    assert server.wait(20) == 0


def test_behind_a_proxy_the_address_is_what_the_proxy_says(folder, start):
    server, port = start(folder, "--trust-proxy")
    visitor = Visitor("127.0.0.1", port, name="proxied")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "study.example.org", "X-Forwarded-For": "192.0.2.7"}
    assert visitor.ask("GET", "/health", headers=headers).status == 200
    assert end(server)[0] == 0
    assert "192.0.2.7" not in (folder / "server.log").read_text()


WSGI = """
import os, sys
from wsgiref.util import setup_testing_defaults
from study_server.web.wsgi import application

def ask():
    environ, said = {"PATH_INFO": "/health"}, []
    setup_testing_defaults(environ)
    b"".join(application(environ, lambda status, headers, *rest: said.append(status)))
    return said[0]

if os.fork() == 0:
    os._exit(0 if ask() == "200 OK" else 1)
child = os.wait()[1]
print(ask(), child)
"""


def test_other_servers_can_fork_the_application(folder):
    done = subprocess.run(
        [sys.executable, "-c", WSGI], env=os.environ | {"STUDY": str(folder)}, capture_output=True, text=True
    )
    assert done.stdout == "200 OK 0\n", done.stderr


@pytest.mark.parametrize("study", ["", "/nowhere"])
def test_an_application_that_names_no_study_says_so(study):
    command = [sys.executable, "-c", "import study_server.web.wsgi"]
    done = subprocess.run(command, env=os.environ | {"STUDY": study}, capture_output=True, text=True)
    assert done.returncode != 0
    assert "study-server build" in done.stderr.splitlines()[-1] or "/nowhere" in done.stderr.splitlines()[-1]
