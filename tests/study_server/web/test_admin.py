"""The admin's pages: for whoever knows the password alone, without anything of a person, and without peeking."""

import io
import re
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from study_server.building.secrets import set_password
from study_server.operating.codebook import CODEBOOK
from study_server.operating.export import FILES
from study_server.sessions.lifecycle import known
from study_server.sessions.study import open_study
from study_server.store.models import Event, Session, Setting, Trial
from study_server.web import admin
from study_server.web.factory import create_app
from tests.study_server.operating.answered import PASSWORD, all_come, build, copied, some_come
from tests.study_server.sessions.people import Clock, Person

PAGES = ("/admin/", "/admin/sessions", "/admin/export.zip", "/admin/sessions/nobody")
FORMS = {"/admin/logout": {}, "/admin/rates": {"show": "yes"}, "/admin/running": {"running": "no"}}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("admin"), about={"title": "<b>Maps</b> & streets"})


@pytest.fixture
def study(built, tmp_path):
    opened = open_study(copied(built, tmp_path), clock=Clock())
    yield opened
    opened.close()


@pytest.fixture
def client(study):
    return create_app(study).test_client()


@pytest.fixture
def inside(client):
    """Somebody who has entered."""
    assert client.post("/admin/login", data={"password": PASSWORD}).status_code == 302
    return client


def token(client) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', client.get("/admin/").text)[1]


def send(client, path: str, **form: str):
    return client.post(path, data=form | {"csrf": token(client)})


def events(study) -> list[str]:
    with study.database.read() as found:
        return list(found.scalars(select(Event.kind).where(Event.session_id.is_(None)).order_by(Event.id)))


def is_running(study) -> bool:
    with study.database.read() as found:
        return found.scalar(select(Setting.value).where(Setting.name == "running")) == "yes"


def number_of(study, person: Person) -> str:
    with study.database.read() as found:
        return known(found, person.token, None).public_id


# Who may come in


@pytest.mark.parametrize("path", PAGES)
def test_no_page_without_login(client, path):
    reply = client.get(path)
    assert (reply.status_code, reply.headers["Location"]) == (302, "/admin/login")
    assert "Maps" not in reply.text


def test_no_progress_without_login(client):
    reply = client.get("/admin/progress.json")
    assert reply.status_code == 401
    assert reply.json["error"] == "login"


def test_no_form_without_login(client, study):
    for path, form in FORMS.items():
        assert client.post(path, data=form | {"csrf": "None"}).status_code == 302
    assert is_running(study)
    assert events(study) == []


def test_every_page_is_tried_here(client):
    rules = [rule for rule in client.application.url_map.iter_rules() if rule.endpoint.startswith("admin.")]
    known_pages = {*PAGES[:3], "/admin/sessions/<public_id>", "/admin/progress.json", "/admin/login"}
    assert {rule.rule for rule in rules if "GET" in rule.methods} == known_pages
    assert {rule.rule for rule in rules if "POST" in rule.methods} == {*FORMS, "/admin/login"}


@pytest.mark.parametrize("wrong", ["", "wrong", PASSWORD + " ", PASSWORD.upper(), "x" * 10_000])
def test_a_wrong_password(client, wrong):
    reply = client.post("/admin/login", data={"password": wrong})
    assert reply.status_code == 403
    assert "Set-Cookie" not in reply.headers
    assert 'role="alert"' in reply.text
    assert client.get("/admin/").status_code == 302


def test_after_ten_wrong_ones_even_the_right_one_waits_a_minute_at_every_worker(built, tmp_path, database_url):
    clock, folder = Clock(), copied(built, tmp_path)
    workers = [open_study(folder, database_url, clock) for _ in range(2)]
    clients = [create_app(study).test_client() for study in workers]

    def tried(password: str) -> list[int]:
        return [client.post("/admin/login", data={"password": password}).status_code for client in clients]

    assert tried(PASSWORD) == [302, 302]
    assert [tried(str(number)) for number in range(6)] == [[403, 403]] * 5 + [[429, 429]]
    assert tried(PASSWORD) == [429, 429]
    clock.go(seconds=59)
    assert tried(PASSWORD) == [429, 429]
    clock.go(seconds=2)
    assert tried(PASSWORD) == [302, 302]
    for study in workers:
        study.close()


def test_wrong_passwords_at_the_same_moment_are_all_counted(study, monkeypatch):
    monkeypatch.setattr(admin, "check_password_hash", lambda *_: time.sleep(0.1))
    app = create_app(study)

    def one(_: int) -> int:
        return app.test_client().post("/admin/login", data={"password": "wrong"}).status_code

    with ThreadPoolExecutor(16) as pool:
        assert Counter(pool.map(one, range(16))) == {403: 10, 429: 6}


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_set_locks_nobody_out(client, study, monkeypatch, hours):
    monkeypatch.setattr(admin, "check_password_hash", lambda _, given: given == PASSWORD)
    for _ in range(10):
        client.post("/admin/login", data={"password": "wrong"})
    study.clock.go(hours=hours)
    assert client.post("/admin/login", data={"password": PASSWORD}).status_code == 302


def test_the_cookie_is_for_these_pages_alone(client):
    cookie = client.post("/admin/login", data={"password": PASSWORD}).headers["Set-Cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "samesite=strict", "path=/admin"}


def test_behind_tls_the_cookie_is_secure(study):
    app = create_app(study, secure=True)
    reply = app.test_client().post("/admin/login", data={"password": PASSWORD}, base_url="https://localhost")
    assert "secure" in {part.strip().lower() for part in reply.headers["Set-Cookie"].split(";")}


def test_participants_get_no_cookie(inside):
    for path in ("/", "/health", "/static/admin.css", "/api/session"):
        assert "Set-Cookie" not in inside.get(path).headers


def test_a_cookie_that_was_not_signed_here_is_none(client, inside):
    cookie = client.get_cookie("study_admin", path="/admin")
    payload, rest = cookie.value.split(".", 1)
    client.set_cookie("study_admin", f"{payload[:-1]}{'A' if payload[-1] != 'A' else 'B'}.{rest}", path="/admin")
    assert client.get("/admin/").status_code == 302


def test_after_a_working_day_one_enters_again(inside, monkeypatch):
    later = time.time() + admin.HOURS * 3600 + 1
    monkeypatch.setattr(admin.time, "time", lambda: later)
    assert inside.get("/admin/").status_code == 302


def test_another_password_ends_what_was_entered_with_the_old_one(inside, study):
    set_password(study.folder, "another password")
    anew = open_study(study.folder, clock=study.clock)
    other = create_app(anew).test_client()
    other.set_cookie("study_admin", inside.get_cookie("study_admin", path="/admin").value, path="/admin")
    assert other.get("/admin/").status_code == 302
    anew.close()


def test_leaving(inside):
    assert send(inside, "/admin/logout").headers["Location"] == "/admin/login"
    assert inside.get_cookie("study_admin", path="/admin") is None
    assert inside.get("/admin/").status_code == 302


@pytest.mark.parametrize("path", FORMS)
def test_a_form_from_elsewhere_is_refused_and_changes_nothing(inside, study, path):
    for given in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": "None"}, {"csrf": "é"}):
        assert inside.post(path, data=FORMS[path] | given).status_code == 403
    assert inside.get("/admin/").status_code == 200
    assert is_running(study)
    assert events(study) == []


def test_forms_are_no_links(inside, study):
    for path in FORMS:
        assert inside.get(path).status_code == 405
    assert is_running(study)


# What is told


def test_nobody_has_come_yet(inside):
    for path in ("/admin/", "/admin/sessions"):
        assert "Nobody has come yet." in inside.get(path).text


def test_the_title_is_text(inside):
    for path in ("/admin/", "/admin/sessions", "/admin/login"):
        text = inside.get(path).text
        assert "&lt;b&gt;Maps&lt;/b&gt; &amp; streets" in text
        assert "<b>Maps" not in text


def test_nothing_in_the_pages_would_be_blocked(inside, study):
    person = some_come(study)["done"]
    for path in ("/admin/", "/admin/sessions", f"/admin/sessions/{number_of(study, person)}", "/admin/login"):
        text = inside.get(path).text
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script>|https?://(?!www\.w3\.org)", text)


def test_progress_for_the_page_has_no_rate(inside, study):
    some_come(study)
    told = inside.get("/admin/progress.json")
    assert told.json["status"]["states"] == {"ENTERED": 1, "MAIN": 1, "DONE": 1, "DECLINED": 1}
    assert set(told.json["bars"]) == {"one", "two"}
    assert [event["what"] for event in told.json["events"]][:2] == ["ENTERED", "DECLINED"]
    assert "fooled" not in told.text


def test_stop_and_start(inside, study):
    send(inside, "/admin/running", running="no")
    assert not is_running(study)
    assert "stopped" in inside.get("/admin/").text
    assert inside.get("/admin/progress.json").json["status"]["running"] is False
    send(inside, "/admin/running", running="yes")
    assert is_running(study)
    assert events(study) == ["stopped", "started"]


def test_rates_are_hidden_until_somebody_asks_which_is_an_event(inside, study):
    some_come(study)
    assert "Fooled" not in inside.get("/admin/").text
    send(inside, "/admin/rates", show="yes")
    assert events(study) == ["rates_shown"]
    assert re.search(r"\d+\.\d% <[^>]+>\(n = 1\)", inside.get("/admin/").text)
    send(inside, "/admin/rates", show="no")
    assert "Fooled" not in inside.get("/admin/").text
    assert events(study) == ["rates_shown"]


def test_that_one_asked_is_not_told_to_others(inside, study):
    some_come(study)
    send(inside, "/admin/rates", show="yes")
    other = inside.application.test_client()
    other.post("/admin/login", data={"password": PASSWORD})
    assert "Fooled" not in other.get("/admin/").text


def test_rates_are_shown_once_the_study_is_complete(inside, study):
    all_come(study)
    text = inside.get("/admin/").text
    assert len(re.findall(r"\(n = 2\)", text)) == 2
    assert "/admin/rates" not in text
    assert events(study) == []


# One session


def columns(text: str) -> list[str]:
    return re.findall(r"<th[^>]*>([^<]*)</th>", text)


def test_a_timeline_says_nothing_of_the_person(inside, study):
    person = some_come(study)["live"]
    with study.database.write() as found:
        session = known(found, person.token, None)
        session.replies = {"questionnaire": {"remark": "my secret words"}}
    with study.database.read() as found:
        session = known(found, person.token, None)
        secret = (session.identity, session.token_sha256, str(session.seed), person.token, "my secret words")
        secret += tuple(found.scalars(select(Trial.token).where(Trial.session_id == session.id)))
    for path in (f"/admin/sessions/{number_of(study, person)}", "/admin/sessions", "/admin/", "/admin/progress.json"):
        text = inside.get(path).text
        assert [each for each in secret if each in text] == []


def test_a_timeline_says_what_happened(inside, study):
    person = some_come(study)["live"]
    text = inside.get(f"/admin/sessions/{number_of(study, person)}").text
    for word in ("CONSENTED", "second look refused, trial 1", "hidden", "reloaded", "400", "2 of 6 answered"):
        assert word in text


def test_before_the_end_no_timeline_tells_where_the_real_image_was(inside, study):
    people = some_come(study)
    path = f"/admin/sessions/{number_of(study, people['done'])}"
    before = inside.get(path).text
    assert "Real one" not in columns(before)
    with study.database.write() as found:
        for trial in found.scalars(select(Trial)):
            trial.real_side = "left" if trial.real_side == "right" else "right"
    assert inside.get(path).text == before, "what the page says depends on where the real image was"


def test_at_the_end_a_timeline_tells(inside, study):
    person = all_come(study)[0]
    assert "Real one" in columns(inside.get(f"/admin/sessions/{number_of(study, person)}").text)


def test_who_asked_for_the_rates_sees_it_too(inside, study):
    path = f"/admin/sessions/{number_of(study, some_come(study)['done'])}"
    send(inside, "/admin/rates", show="yes")
    assert "Real one" in columns(inside.get(path).text)


def test_there_is_no_such_session(inside):
    assert inside.get("/admin/sessions/nobody").status_code == 404


def test_the_newest_sessions_are_listed_first(inside, study, monkeypatch):
    people = some_come(study)
    monkeypatch.setattr(admin, "LISTED", 3)
    text = inside.get("/admin/sessions").text
    found = re.findall(r'href="/admin/sessions/(\w+)"', text)
    with study.database.read() as opened:
        newest = list(opened.scalars(select(Session.public_id).order_by(Session.id.desc())))
    assert found == newest[:3]
    assert number_of(study, people["done"]) not in text


# Export


def test_an_export_has_every_table_and_before_the_end_it_is_an_event(inside, study):
    some_come(study)
    reply = inside.get("/admin/export.zip")
    assert reply.mimetype == "application/zip"
    assert f"study-{study.manifest.study_id}.zip" in reply.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(reply.data)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == FILES
        heads = {name: archive.read(f"{name}.csv").decode().splitlines()[0] for name in CODEBOOK}
    assert heads == {name: ",".join(columns) for name, columns in CODEBOOK.items()}
    assert events(study) == ["exported"]


def test_an_export_of_a_complete_study_is_no_event(inside, study):
    all_come(study)
    assert inside.get("/admin/export.zip").status_code == 200
    assert events(study) == []
