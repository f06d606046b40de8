"""What can happen to a server happens: kills under load, locks, full disks, clocks; what was acknowledged stays."""

import contextlib
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select, text

from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import open_study
from study_server.store import engine
from study_server.store.models import Answer, Session, Trial
from study_server.web.factory import create_app
from tests.study_server.sessions.people import Person
from tests.study_server.small_study import small_study
from tests.study_server.web.visitor import Visitor

KILLS = 20


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[subprocess.Popen, int]]]:
    """Start a server; it and its port. Whatever becomes of the test, no server outlives it."""
    with ExitStack() as servers:

        def call(folder: Path, port: int = 0, *more: str) -> tuple[subprocess.Popen, int]:
            command = [sys.executable, "-c", "from study_server.cli import main; main()", "serve", str(folder)]
            server = subprocess.Popen([*command, "--port", str(port), *more], stdout=subprocess.PIPE, text=True)
            servers.enter_context(server)
            servers.callback(server.kill)  # before it is waited for
            line = server.stdout.readline()
            assert "http://" in line
            return server, int(line.split(":")[-1].strip().strip("/"))

        yield call


def stop(server: subprocess.Popen) -> int:
    server.send_signal(signal.SIGTERM)
    return server.wait(30)


class Crowd(threading.Thread):
    """A participant who answers while there is a server, keeps what was acknowledged, and asks again after a kill."""

    def __init__(self, name: str, address: dict[str, int], ending: threading.Event) -> None:
        super().__init__(daemon=True)
        self.who, self.address, self.ending = name, address, ending
        self.acknowledged: dict[int, str] = {}
        self.visitor: Visitor | None = None

    def run(self) -> None:
        source = random.Random(self.who)
        while not self.ending.is_set():
            with contextlib.suppress(OSError, ValueError, KeyError, Exception):
                self.go_on(source)
            time.sleep(0.01)

    def go_on(self, source: random.Random) -> None:
        token = self.visitor.token if self.visitor else ""
        self.visitor = Visitor("127.0.0.1", self.address["port"], name=self.who, token=token)
        if not token:
            self.visitor.enter()
        view = self.visitor.ask("GET", "/api/session").json
        if view.get("state") == "ENTERED":
            view = self.visitor.post("consent", {"agreed": True}).json
        if view.get("state") == "CONSENTED":
            view = self.visitor.post("device", {"width_px": 1000, "height_px": 900}).json
        if view.get("state") == "CHECKED":
            view = self.visitor.post("ready").json
        while view.get("trial") and not self.ending.is_set():
            position = view["trial"]["position"]
            self.visitor.post(f"trials/{position}/begin", {"look": "look"})
            reply = self.visitor.answer(position, source.choice(["left", "right"]), attempt=f"{self.who}-{position}")
            if reply.status == 409:  # it was kept before the kill, and its reply was lost
                view = self.visitor.ask("GET", "/api/session").json
                continue
            assert reply.status == 200
            self.acknowledged[position] = f"{self.who}-{position}"
            view = reply.json["view"]


@pytest.mark.slow
def test_acknowledged_answers_survive_twenty_kills_exactly_once(tmp_path, start):
    folder = small_study(tmp_path, pairs=300, trials={"practice": 0, "scored": 280})
    source, ending = random.Random(0), threading.Event()
    server, port = start(folder)
    address = {"port": port}
    crowd = [Crowd(f"p{i}", address, ending) for i in range(8)]
    for person in crowd:
        person.start()
    for _ in range(KILLS):
        time.sleep(source.uniform(0.2, 0.7))
        server.kill()
        server.wait()
        server, _ = start(folder, port)
    time.sleep(0.5)
    ending.set()
    for person in crowd:
        person.join(30)
    assert stop(server) == 0
    study = open_study(folder)
    with study.database.read() as found:
        assert found.scalar(text("PRAGMA integrity_check")) == "ok"
        rows = found.execute(select(Answer.attempt, Answer.trial_id, Trial.position).join(Trial)).all()
        places = {session.id: session.position for session in found.scalars(select(Session))}
        answers = found.execute(select(Answer.session_id, Trial.position).join(Trial)).all()
    kept = [row.attempt for row in rows]
    acknowledged = [attempt for person in crowd for attempt in person.acknowledged.values()]
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(kept)
    assert len({row.trial_id for row in rows}) == len(rows)
    for session, position in places.items():
        assert sorted(row.position for row in answers if row.session_id == session) == list(range(position))
    lines = [json.loads(line)["answer"] for line in study.journal.path.read_text().splitlines() if line.endswith("}")]
    assert len(set(lines)) == len(rows)
    study.close()


def test_a_stop_answers_what_had_begun_and_the_next_server_goes_on(tmp_path, start):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4})
    server, port = start(folder)
    visitor = Visitor("127.0.0.1", port).come()
    visitor.trial()
    assert stop(server) == 0
    server, port = start(folder)
    again = Visitor("127.0.0.1", port, token=visitor.token)
    again.view = again.ask("GET", "/api/session").json
    assert again.view["position"] == 1
    assert again.finish().view["state"] == "DONE"
    assert stop(server) == 0


def test_a_worker_that_dies_is_replaced(tmp_path, start):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4})
    server, port = start(folder, 0, "--workers", "1")
    visitor = Visitor("127.0.0.1", port).come()
    (worker,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    for _ in range(50):
        with contextlib.suppress(OSError, Exception):
            again = Visitor("127.0.0.1", port, token=visitor.token)
            if again.ask("GET", "/api/session").status == 200:
                break
        time.sleep(0.1)
    else:
        pytest.fail("no worker came")
    assert stop(server) == 0


def test_workers_end_with_their_parent(tmp_path, start):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4})
    server, _ = start(folder)
    workers = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    server.kill()
    server.wait()
    for _ in range(100):
        if not any(Path(f"/proc/{worker}/exe").exists() for worker in workers):
            return
        time.sleep(0.05)
    pytest.fail("a worker outlived its parent")


def test_two_servers_on_one_file_keep_one_order(tmp_path, start):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4}, participants={"per_algorithm": 8})
    (one, first), (two, second) = start(folder), start(folder)
    visitors = [Visitor("127.0.0.1", port, name=f"v{i}") for i, port in enumerate([first, second] * 4)]
    threads = [threading.Thread(target=lambda v=visitor: v.come().finish()) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [visitor.view["state"] for visitor in visitors] == ["DONE"] * 8
    assert (stop(one), stop(two)) == (0, 0)
    study = open_study(folder)
    with study.database.read() as found:
        assert len(found.scalars(select(Answer.id)).all()) == 48
        arms = found.scalars(select(Session.arm)).all()
    assert sorted(arms) == ["one"] * 4 + ["two"] * 4
    study.close()


def test_a_database_that_another_program_holds_is_waited_for_and_then_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_MS", 300)
    study = open_study(small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4}))
    one = Person(study, "one").come()
    one.begin(0)
    other = sqlite3.connect(study.folder / "study.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RefusedError, check=lambda error: (error.status, error.code) == (503, "busy")):
        one.answer(0)
    other.execute("ROLLBACK")
    one.answer(0)
    other.close()
    study.close()


HOLD = """
import sys
from pathlib import Path
from study_server.store.engine import open_database

with open_database(Path(sys.argv[1])).write():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_server_that_was_stopped_in_the_middle_of_writing_blocks_nobody_for_ever(tmp_path, monkeypatch):
    study = open_study(small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4}))
    one = Person(study, "one").come()
    one.begin(0)
    client, headers = create_app(study).test_client(), {"Authorization": f"Bearer {one.token}", "X-Client": one.client}
    body = {"attempt": "a", "clicked": "left"}
    command = [sys.executable, "-c", HOLD, str(study.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            other.send_signal(signal.SIGSTOP)
            monkeypatch.setattr(engine, "BUSY_MS", 300)
            for _ in range(2):
                begun = time.monotonic()
                refused = client.post("/api/trials/0/answer", json=body, headers=headers)
                assert (refused.status_code, refused.json["error"]) == (503, "busy")
                assert time.monotonic() - begun < 3
            assert client.get("/health").status_code == 503
            assert client.get("/api/session", headers=headers).json["position"] == 0
        finally:
            other.kill()
    assert client.post("/api/trials/0/answer", json=body, headers=headers).json["view"]["position"] == 1
    assert client.get("/health").status_code == 200
    study.close()


@pytest.mark.slow
def test_a_server_whose_database_is_held_says_so_and_goes_on_afterwards(tmp_path, start):
    folder = small_study(tmp_path, pairs=12, trials={"practice": 2, "scored": 4})
    server, port = start(folder, 0, "--workers", "1")
    visitor = Visitor("127.0.0.1", port).come()
    visitor.post("trials/0/begin", {"look": "look"})
    with contextlib.closing(sqlite3.connect(folder / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        held = visitor.answer(0)
        assert (held.status, held.json["error"]) == (503, "busy")
        assert visitor.ask("GET", "/health").status == 503
        assert visitor.ask("GET", "/api/session").json["position"] == 0
        other.execute("ROLLBACK")
    assert visitor.answer(0).json["view"]["position"] == 1
    assert visitor.ask("GET", "/health").status == 200
    assert stop(server) == 0


@pytest.mark.slow
def test_a_server_on_a_full_disk_says_so_and_goes_on_afterwards(tmp_path, start):
    """No file may grow beyond the log of what has been written, as on a full disk; then there is room again."""
    folder = small_study(tmp_path, pairs=60)
    server, port = start(folder, 0, "--workers", "1")
    visitor = Visitor("127.0.0.1", port).come()
    for _ in range(3):
        visitor.trial()
    (worker,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    room = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = (folder / "study.db-wal").stat().st_size
    resource.prlimit(int(worker), resource.RLIMIT_FSIZE, (full, room[1]))
    refused = visitor.post("trials/3/begin", {"look": "look"})
    assert (refused.status, refused.json["error"]) == (507, "storage")
    assert visitor.ask("GET", "/health").status == 503
    assert visitor.ask("GET", "/api/session").json["position"] == 3
    resource.prlimit(int(worker), resource.RLIMIT_FSIZE, room)
    assert visitor.ask("GET", "/health").status == 200
    visitor.view = visitor.ask("GET", "/api/session").json
    visitor.trial()
    assert visitor.view["position"] == 4
    assert stop(server) == 0


def test_a_full_disk_refuses_and_loses_nothing(tmp_path):
    study = open_study(small_study(tmp_path, pairs=60))
    one = Person(study, "one").come()
    kept = [one.trial(position) for position in range(3)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (study.folder / "study.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        with pytest.raises(RefusedError, check=lambda error: error.status in (503, 507)):
            one.trial(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    again = open_study(study.folder)
    with again.database.read() as found:
        assert len(found.scalars(select(Answer.id)).all()) == len(kept)
    person = Person(again, "one", token=one.token)
    person.trial(3)
    again.close()
    study.close()
