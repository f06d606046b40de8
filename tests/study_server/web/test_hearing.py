"""One thread hears all connections: nothing that came is left, nobody who left is kept, and idle ones cost nothing."""

import socket
import time
from contextlib import closing

import pytest
from waitress.server import create_server

from study_server.web import hearing as module
from study_server.web.hearing import Connections, Hearing, Turn

ASK = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
ENOUGH = 50


def echo(environ, start_response):
    body = environ["PATH_INFO"].encode() * (100_000 if environ["PATH_INFO"] == "/large" else 1)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def hearing():
    connections, turn = Connections(), Turn()
    with socket.create_server(("127.0.0.1", 0)) as listening, closing(connections):
        server = create_server(
            echo,
            map=connections,
            sockets=[listening],
            connection_limit=6,
            outbuf_high_watermark=1 << 40,
            _dispatcher=turn,
        )
        yield Hearing(server, connections, turn)


def caller(hearing) -> socket.socket:
    wire = socket.create_connection(("127.0.0.1", int(hearing.server.effective_port)), timeout=5)
    wire.setblocking(False)
    return wire


def talk(hearing, wire: socket.socket, until: bytes) -> bytes:
    """Rounds, until that has been heard or the line was closed."""
    heard = b""
    for _ in range(ENOUGH):
        hearing.round(0.01)
        try:
            more = wire.recv(1 << 20)
        except BlockingIOError:
            continue
        heard += more
        if not more or heard.endswith(until):
            return heard
    return heard


def rounds(hearing, count: int = 5) -> None:
    for _ in range(count):
        hearing.round(0.01)


def test_requests_are_answered_in_the_order_in_which_they_came(hearing):
    with caller(hearing) as wire:
        wire.sendall(ASK % b"1" + ASK % b"2" + ASK % b"3")
        heard = talk(hearing, wire, b"/3")
    places = [heard.index(b"\r\n\r\n/%d" % number) for number in (1, 2, 3)]
    assert places == sorted(places)
    assert heard.count(b"200 OK") == 3


def test_a_request_in_pieces_is_one_request(hearing):
    with caller(hearing) as wire:
        for i in range(len(ASK)):
            wire.sendall((ASK % b"1")[i : i + 1])
            hearing.round(0)
        wire.sendall((ASK % b"1")[len(ASK) :])
        assert talk(hearing, wire, b"/1").count(b"200 OK") == 1


def test_a_connection_is_kept_for_the_next_request_and_closed_where_that_is_asked(hearing):
    with caller(hearing) as wire:
        for name in (b"1", b"2"):
            wire.sendall(ASK % name)
            assert talk(hearing, wire, b"/" + name).count(b"200 OK") == 1
        wire.sendall(b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert talk(hearing, wire, b"never").endswith(b"/3")
    rounds(hearing)
    assert not hearing.server.active_channels


def test_whoever_leaves_in_the_middle_is_forgotten(hearing):
    with caller(hearing) as wire:
        wire.sendall(ASK % b"1" + b"GET /2")
        rounds(hearing)
        assert len(hearing.server.active_channels) == 1
    rounds(hearing)
    assert not hearing.server.active_channels


def test_a_reply_for_a_slow_reader_holds_nobody_up_and_leaves_whole(hearing):
    with caller(hearing) as slow, caller(hearing) as quick:
        slow.sendall((ASK % b"large") * 20)
        rounds(hearing)
        quick.sendall(ASK % b"1")
        assert talk(hearing, quick, b"/1").count(b"200 OK") == 1
        heard = 0
        for _ in range(1000):
            hearing.round(0.001)
            try:
                heard += len(slow.recv(1 << 16))
            except BlockingIOError:
                continue
            if heard >= 20 * 600_000:
                break
    assert heard >= 20 * 600_000


def test_idle_connections_are_closed_in_time(hearing, monkeypatch):
    monkeypatch.setattr(module, "ASK_ALL_EVERY_S", 0)
    with caller(hearing) as wire:
        rounds(hearing, 2)
        assert hearing.server.active_channels
        hearing.server.adj.channel_timeout = hearing.server.next_channel_cleanup = 0
        time.sleep(0.01)
        assert talk(hearing, wire, b"never") == b""
    assert not hearing.server.active_channels


def test_an_idle_connection_is_not_asked(hearing, monkeypatch):
    with caller(hearing) as idle, caller(hearing) as busy:
        idle.sendall(ASK % b"1")
        talk(hearing, idle, b"/1")
        rounds(hearing)
        asked = []
        real = hearing.server.channel_class.readable
        monkeypatch.setattr(
            hearing.server.channel_class, "readable", lambda channel: asked.append(channel.addr) or real(channel)
        )
        busy.sendall(ASK % b"2")
        talk(hearing, busy, b"/2")
        rounds(hearing)
        assert set(asked) <= {busy.getsockname()}


def test_beyond_its_limit_it_waits_and_then_goes_on(hearing):
    """Of six places two are the server's own."""
    wires = [caller(hearing) for _ in range(8)]
    rounds(hearing, 12)
    assert len(hearing.server.active_channels) == 4
    for wire in wires[:4]:
        wire.close()
    wires[7].sendall(ASK % b"1")
    assert talk(hearing, wires[7], b"/1").count(b"200 OK") == 1
    for wire in wires:
        wire.close()


def test_a_request_that_came_before_the_stop_is_answered(hearing):
    with caller(hearing) as wire:
        rounds(hearing)
        wire.sendall(ASK % b"1")
        time.sleep(0.02)
        hearing.finish(1)
        assert wire.recv(4096).endswith(b"/1")
