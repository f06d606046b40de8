"""What becomes of requests when something is wrong with the server, and what every reply carries."""

import json

import pytest
from sqlalchemy import select

from study_server.sessions import lifecycle, trials
from study_server.sessions.study import open_study
from study_server.sessions.watching import watch
from study_server.store.engine import Database, StorageError
from study_server.store.models import Answer, Session
from study_server.store.turns import BusyError
from study_server.web import logs
from study_server.web.factory import create_app
from tests.study_server.sessions.people import Clock
from tests.study_server.small_study import small_study

MTURK = {"assignmentId": "A", "hitId": "H", "workerId": "W", "turkSubmitTo": "https://www.mturk.com"}
PREVIEW = MTURK | {"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE"}
EXPECTED = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return small_study(tmp_path_factory.mktemp("factory"), pairs=12, trials={"practice": 2, "scored": 4})


@pytest.fixture(scope="module")
def study(built):
    opened = open_study(built)
    yield opened
    opened.close()


@pytest.fixture
def client(study):
    return create_app(study).test_client()


@pytest.fixture
def log(tmp_path):
    """The lines so far."""
    logs.write_to(tmp_path)
    yield lambda: [json.loads(line) for line in (tmp_path / logs.FILE).read_text().splitlines()]
    logs.close()


def failing(monkeypatch, where, name: str, error: Exception) -> None:
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(where, name, fail)


def entered(client, client_id: str = "page", **more) -> dict[str, str]:
    """The headers of somebody who has come in."""
    reply = client.post("/api/enter", json={"query": {}, "client": client_id, "visitor": "somebody", **more})
    return {"Authorization": f"Bearer {reply.json['token']}", "X-Client": client_id}


def test_health_says_whether_new_participants_are_taken(built, database_url):
    study = open_study(built, database_url)
    client = create_app(study).test_client()
    for _ in range(2):
        assert client.get("/health").json == {"status": "well", "study": study.manifest.study_id, "running": True}
    lifecycle.set_running(study, False)
    stopped = client.get("/health")
    assert (stopped.status_code, stopped.json["running"]) == (200, False)
    lifecycle.set_running(study, True)
    study.close()


@pytest.mark.parametrize("error", [StorageError("full"), BusyError("held"), RuntimeError("broken")])
def test_health_is_503_where_nothing_can_be_kept(client, monkeypatch, log, error):
    failing(monkeypatch, Database, "write", error)
    assert client.get("/health").status_code == 503
    assert [line["kind"] for line in log()] == ["unhealthy", "request"]


@pytest.mark.parametrize(("error", "status"), [(StorageError("full"), 507), (BusyError("held"), 503)])
def test_a_database_that_cannot_answer_now_is_told_as_such_for_reading_too(client, monkeypatch, error, status):
    headers = entered(client)
    failing(monkeypatch, lifecycle, "session_of", error)
    failing(monkeypatch, trials, "stimulus", error)
    for path in ("/api/session", "/api/stimuli/x"):
        reply = client.get(path, headers=headers)
        assert reply.status_code == status
        assert set(reply.json) == {"error", "message"}


def test_what_nobody_expected_is_told_by_a_number_alone(client, monkeypatch, log):
    headers = entered(client)
    failing(monkeypatch, lifecycle, "session_of", ValueError("the cause\nwith a secret below"))
    reply = client.get("/api/session", headers=headers)
    assert reply.status_code == 500
    assert set(reply.json) == {"error", "message"}
    assert "cause" not in reply.text
    (failure,) = [line for line in log() if line["kind"] == "failure"]
    assert failure["number"] in reply.json["message"]
    assert failure["error"] == "ValueError: the cause"
    assert any("session_of" in frame for frame in failure["traceback"])
    assert "secret" not in json.dumps(log())


def test_people_get_a_page_and_scripts_get_json(client):
    assert client.get("/nothing").mimetype == "text/html"
    assert client.post("/").status_code == 405
    assert client.get("/api/nothing").json["error"] == "not_found"
    wrong = client.get("/api/enter")
    assert (wrong.status_code, wrong.json["error"]) == (405, "wrong_method")
    assert "POST" in wrong.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/health", "/nothing", "/api/session", "/api/nothing", "/admin/login"])
def test_every_reply_carries_the_headers(client, path):
    reply = client.get(path)
    assert all(name in reply.headers for name in EXPECTED)
    assert not {"ETag", "Last-Modified", "Content-Disposition"} & set(reply.headers.keys())
    assert "unsafe" not in reply.headers["Content-Security-Policy"]


def test_only_a_study_on_mturk_may_be_framed_and_only_there(tmp_path, client):
    assert "frame-ancestors 'none'" in client.get("/").headers["Content-Security-Policy"]
    opened = open_study(small_study(tmp_path, pairs=12, trials={"scored": 2}, entry={"platform": "mturk"}))
    framed = create_app(opened).test_client()
    policy = framed.get("/").headers["Content-Security-Policy"]
    hosts = policy.partition("frame-ancestors ")[2].split(";")[0].split()
    assert set(hosts) == {"https://workersandbox.mturk.com", "https://www.mturk.com"}
    preview = framed.post("/api/enter", json={"query": PREVIEW, "client": "page"})
    assert (preview.json["preview"], preview.json["view"]["state"]) == (True, "PREVIEW")
    assert "token" in framed.post("/api/enter", json={"query": MTURK, "client": "page"}).json
    opened.close()


@pytest.mark.parametrize("hours", [-1, -24 * 365, 49])
def test_a_session_goes_on_over_http_whatever_the_clock_does(tmp_path, database_url, hours):
    """It is set before every request, and looked after as a server does; nothing is lost, asked twice or ended."""
    clock = Clock()
    trials = {"practice": 2, "scored": 4}
    study = open_study(small_study(tmp_path, pairs=12, trials=trials), database_url, clock)
    client = create_app(study).test_client()
    headers = entered(client)

    def post(what: str, body: dict) -> dict:
        clock.go(hours=hours)
        watch(study)
        reply = client.post(f"/api/{what}", json=body, headers=headers)
        assert reply.status_code == 200, reply.json
        return reply.json

    post("consent", {"agreed": True})
    post("device", {"width_px": 1200, "height_px": 900})
    view = post("ready", {})
    for position in range(6):
        assert view["trial"]["position"] == position
        assert post(f"trials/{position}/begin", {"look": "first"}) == {"look": True}
        assert post(f"trials/{position}/begin", {"look": "second"}) == {"look": False}
        given = {"attempt": f"a{position}", "clicked": "left"}
        assert post(f"trials/{position}/answer", given) == post(f"trials/{position}/answer", given)
        assert post("alive", {}) == {"alive": True}
        view = client.get("/api/session", headers=headers).json
    assert post("questionnaire", {"replies": {}})["state"] == "DONE"
    assert client.get("/health").json["status"] == "well"
    with study.database.read() as found:
        assert len(found.scalars(select(Answer.id)).all()) == 6
        assert found.scalars(select(Session.state)).one() == "DONE"
    study.close()


@pytest.mark.parametrize("agreed", ["true", "yes", 1, None])
def test_consent_is_true_or_false_and_nothing_that_could_be_taken_for_it(client, agreed):
    headers = entered(client)
    assert client.post("/api/consent", json={"agreed": agreed}, headers=headers).status_code == 400
    assert client.get("/api/session", headers=headers).json["state"] == "ENTERED"


def test_a_name_that_is_not_expected_is_not_repeated_at_length(client):
    headers = entered(client)
    reply = client.post("/api/consent", json={"agreed": True, "x" * 50_000: 1}, headers=headers)
    assert reply.status_code == 400
    assert len(reply.data) < 500


def test_bytes_that_a_database_does_not_keep_are_refused(built, database_url):
    """PostgreSQL keeps no NUL in a text, and says so by an error that nobody would expect."""
    opened = open_study(built, database_url)
    client = create_app(opened).test_client()
    headers = entered(client)
    nul = "a\0b"
    assert client.post("/api/enter", json={"client": nul, "visitor": "x"}).status_code == 400
    assert client.post("/api/enter", json={"client": "c", "visitor": nul, "language": nul}).status_code == 403
    assert client.get("/api/stimuli/a%00b", headers=headers).status_code == 404
    agreed = {"agreed": True, "replies": {"age": nul}}
    assert client.post("/api/consent", json=agreed, headers=headers).status_code == 400
    for replies in ({"age": 10**30}, {"age": [nul * 400]}, {"age": {"x": 1}}):
        assert (
            client.post("/api/consent", json={"agreed": True, "replies": replies}, headers=headers).status_code == 400
        )
    assert client.post("/api/consent", json={"agreed": True}, headers=headers).json["state"] == "CONSENTED"
    assert client.post("/api/trials/0/begin", json={"look": nul}, headers=headers).status_code == 400
    assert client.post("/api/trials/0/begin", json={"look": "é"}, headers=headers).status_code == 400
    opened.close()


def test_the_admins_cookie_stays_on_tls_where_it_was_given_over_tls(study, monkeypatch):
    monkeypatch.setattr("study_server.web.admin.check_password_hash", lambda *_: True)
    for scheme, secure in (("http", False), ("https", True)):
        client = create_app(study).test_client()
        reply = client.post("/admin/login", data={"password": "x"}, base_url=f"{scheme}://localhost")
        assert ("Secure" in reply.headers["Set-Cookie"]) == secure
        assert "HttpOnly" in reply.headers["Set-Cookie"]
        assert "SameSite=Strict" in reply.headers["Set-Cookie"]
