"""The API over real sockets: the whole way, and all that is refused, with the right status and nothing changed."""

import hashlib
import json
import socket
from pathlib import Path

import pytest

from study_server.rehearsal.rehearse import serving
from study_server.sessions.study import open_study
from study_server.store.models import Base
from tests.study_server.small_study import small_study
from tests.study_server.web.visitor import SEEN, Visitor

TRIALS = {"practice": 2, "scored": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("api")
    return small_study(place, pairs=12, trials=TRIALS, participants={"per_algorithm": 500})


@pytest.fixture(scope="module")
def served(folder):
    with serving(folder, "--workers", "1") as address:
        yield address


@pytest.fixture
def visitor(served, request):
    return Visitor(*served, name=hashlib.sha256(request.node.name.encode()).hexdigest())


def content(folder: Path) -> dict[str, list]:
    """Every row of every table but what a sign of life changes."""
    study = open_study(folder, fill_up=False)
    with study.database.reading() as found:
        tables = {name: found.execute(table.select()).mappings().all() for name, table in Base.metadata.tables.items()}
    study.close()
    return {
        name: [{key: value for key, value in row.items() if key != "lease_until"} for row in rows]
        for name, rows in tables.items()
    }


def test_a_whole_session(visitor):
    visitor.come()
    told = [visitor.trial().json["feedback"] for _ in range(6)]
    assert [feedback is not None for feedback in told] == [True, True, False, False, False, False]
    visitor.finish()
    assert visitor.view["state"] == "DONE"
    assert visitor.view["code"]
    assert visitor.ask("GET", "/health").json["status"] == "well"


def test_the_page_and_what_it_loads_are_there(visitor):
    page = visitor.ask("GET", "/")
    assert page.status == 200
    assert "<script>" not in page.body.decode(), "a script in the page itself would be blocked"
    for name in ("study.js", "study.css"):
        assert visitor.ask("GET", f"/static/{name}").status == 200


def test_replies_are_not_kept_framed_or_sniffed(visitor):
    visitor.come()
    for path in ("/", "/api/session", visitor.view["preload"][0], "/admin/login", "/nothing"):
        headers = visitor.ask("GET", path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert not {"etag", "last-modified", "server", "set-cookie"} & set(headers)


def test_retries_get_the_same_reply(visitor):
    visitor.come()
    visitor.post("trials/0/begin", {"look": "l"})
    first, again = (visitor.answer(0, attempt="a") for _ in range(2))
    assert first.body == again.body


REFUSED = [
    ("GET", "/api/nothing", None, 404),
    ("GET", "/api/consent", None, 405),
    ("DELETE", "/api/session", None, 405),
    ("PUT", "/api/trials/0/answer", {}, 405),
    ("POST", "/api/consent", b"{", 400),
    ("POST", "/api/consent", b"[]", 400),
    ("POST", "/api/consent", b"\xff\xfe", 400),
    ("POST", "/api/consent", {"agreed": "perhaps"}, 400),
    ("POST", "/api/consent", {"agreed": True, "more": 1}, 400),
    ("POST", "/api/consent", {"agreed": True, "replies": {"x" * 99: 1}}, 400),
    ("POST", "/api/device", {"width_px": 1e99}, 400),
    ("POST", "/api/trials/0/begin", {"look": ""}, 400),
    ("POST", "/api/trials/0/begin", {"look": "x" * 65}, 400),
    ("POST", "/api/trials/-1/begin", {"look": "x"}, 404),
    ("POST", "/api/trials/0/answer", {"attempt": "a", "clicked": "both"}, 400),
    ("POST", "/api/trials/0/answer", {"attempt": "a", "clicked": "left", "measurements": {"rt_ms": "NaN"}}, 400),
    ("POST", "/api/trials/0/answer", b'{"attempt":"a","clicked":"left","measurements":{"rt_ms":NaN}}', 400),
    ("POST", "/api/trials/0/answer", b'{"attempt":"' + b"a" * 70_000 + b'"}', 413),
    ("POST", "/api/trials/3/answer", {"attempt": "a", "clicked": "left", "measurements": SEEN}, 409),
    ("POST", "/api/trials/99999999999999999999/answer", {"attempt": "a", "clicked": "left"}, 404),
    ("POST", "/api/questionnaire", {"replies": {}}, 409),
    ("GET", "/api/stimuli/nothing", None, 404),
    ("GET", "/api/stimuli/..%2f..%2fmanifest.json", None, 404),
    ("GET", "/api/stimuli/../../manifest.json", None, 404),
    ("GET", "/manifest.json", None, 404),
    ("GET", "/stimuli/", None, 404),
    ("GET", "/static/../manifest.json", None, 404),
    ("GET", "/static/%2e%2e/%2e%2e/study.toml", None, 404),
    ("GET", "/static/..%5c..%5cstudy.db", None, 404),
    ("GET", "/secrets.toml", None, 404),
    ("GET", "/study.db", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_what_is_not_right_is_refused_and_changes_nothing(visitor, folder, method, path, body, status):
    visitor.come()
    before = content(folder)
    reply = visitor.ask(method, path, body)
    assert reply.status == status
    if path.startswith("/api/"):
        assert set(reply.json) == {"error", "message"}
    assert b"Traceback" not in reply.body
    after = content(folder)
    assert {name: rows for name, rows in after.items() if name != "events"} == {
        name: rows for name, rows in before.items() if name != "events"
    }


def test_tokens_that_are_none_and_those_of_others_are_refused(visitor, served, folder):
    visitor.come()
    other = Visitor(*served, name=f"{visitor.name[:40]}-other").come()
    mine = visitor.view["preload"][0]
    before = content(folder)
    for token in ("", "x", visitor.token[:-1], visitor.token + "x", "x" * 4000):
        stranger = Visitor(*served, token=token)
        assert stranger.ask("GET", "/api/session").status == 401
        assert stranger.ask("GET", mine).status == 401
    assert other.ask("GET", mine).status == 404
    assert visitor.ask("GET", "/api/session", headers={"X-Client": "another"}).status == 409
    assert visitor.ask("GET", "/api/session", headers={"X-Client": "x" * 65}).status == 400
    assert content(folder) == before


def test_bytes_that_are_no_request_harm_nobody(served, visitor):
    for data in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01" * 50, b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"):
        with socket.create_connection(served, timeout=5) as line:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            line.recv(4096)
    assert visitor.come().view["state"] == "PRELOADED"


def test_the_log_follows_sessions_and_knows_nobody(visitor, folder):
    visitor.come().finish()
    text = (folder / "server.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    mine = [line for line in lines if line.get("session") == visitor.view["session"]]
    assert {"/api/trials/<int(max=100000):position>/answer", "/api/questionnaire"} <= {line["route"] for line in mine}
    assert visitor.token not in text
    assert visitor.name not in text
    assert "127.0.0.1" not in text
