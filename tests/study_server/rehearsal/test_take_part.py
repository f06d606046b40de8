"""Simulated people go all the way, and count what is refused, whatever the server does."""

import socket
from collections import Counter

import pytest

from study_server.config import read_config
from study_server.manifest import CONFIG, read_manifest
from study_server.rehearsal.client import Reply, attend
from study_server.rehearsal.people import Crowd, Told, Truth, take_part
from study_server.sessions.study import open_study
from study_server.web.factory import create_app
from tests.study_server.small_study import small_study

PEOPLE = 400
KINDS = ("enter", "consent", "device", "stimulus", "ready", "begin", "answer", "questionnaire")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    trials = {"practice": 2, "scored": 4}
    return small_study(tmp_path_factory.mktemp("part"), ("one",), 6, trials=trials, participants={"per_algorithm": 50})


@pytest.fixture
def client(folder, tmp_path):
    opened = open_study(folder, f"sqlite:///{tmp_path}/study.db")
    yield create_app(opened).test_client()
    opened.close()


def person(folder, told: Told, crowd: Crowd):
    return take_part(read_config(folder / CONFIG), Truth(read_manifest(folder)), crowd, {}, 0, told)


def go(client, participant, refused: str = "") -> Counter:
    """How often each kind was asked; whatever is of the refused kind the server cannot do at the moment."""
    asked = Counter()
    request = next(participant)
    while True:
        asked[request.kind] += 1
        headers = {"Authorization": f"Bearer {request.token}", "X-Client": request.client}
        reply = client.open(request.path, method=request.method, json=request.body, headers=headers)
        given = Reply(503, b'{"error": "busy"}') if request.kind == refused else Reply(reply.status_code, reply.data)
        try:
            request = participant.send(given)
        except StopIteration:
            return asked


def test_one_goes_all_the_way(folder, client):
    told = Told()
    asked = go(client, person(folder, told, Crowd({})))
    assert (told.done, told.answers, told.left, told.refused) == (1, 6, 0, {})
    assert asked == {kind: 6 if kind in ("stimulus", "begin", "answer") else 1 for kind in KINDS}


def test_who_leaves_is_not_done(folder, client):
    told = Told()
    go(client, person(folder, told, Crowd({}, drop_out=1.0)))
    assert (told.done, told.left, told.refused) == (0, 1, {})
    assert told.answers < 6


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_refused_ends_it_and_is_counted(folder, client, kind):
    told = Told()
    asked = go(client, person(folder, told, Crowd({})), refused=kind)
    assert asked[kind] == 1
    assert (told.done, told.refused) == (0, {"busy": 1})


def test_a_server_that_is_gone_is_told_for_each_of_many(folder):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    told, ended = Told(), []
    people = (person(folder, told, Crowd({})) for _ in range(PEOPLE))
    measured = attend(people, "127.0.0.1", port, 4, lambda: ended.append(1))
    assert measured.failed == {("enter", 0): PEOPLE}
    assert told.refused == {"status 0": PEOPLE}
    assert len(ended) == PEOPLE


def test_a_reply_that_is_no_json_is_counted_by_its_status(folder):
    told = Told()
    participant = person(folder, told, Crowd({}))
    next(participant)
    with pytest.raises(StopIteration):
        participant.send(Reply(502, b"<html>"))
    assert told.refused == {"status 502": 1}
