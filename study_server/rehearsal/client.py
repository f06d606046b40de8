"""Participants as generators of requests go in; what each request took comes out. One thread, many connections.

A participant yields what it asks and is sent the reply. All of them are served by one loop over their sockets, so that
a thousand cost little and what is measured is the server.
"""

import heapq
import json
import selectors
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cgeval.errors import OutputError

TIMEOUT_S = 60.0


class Request(NamedTuple):
    """after_s: how long the participant thinks before; kind: what it is counted as."""

    kind: str
    method: str
    path: str
    body: Any = None
    token: str = ""
    client: str = ""
    after_s: float = 0.0


class Reply(NamedTuple):
    """status 0: the connection was lost."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body's content; raises ValueError for what is no JSON."""
        return json.loads(self.body)


Participant = Generator[Request, Reply, None]


@dataclass
class Measured:
    """seconds: of each answered request, by kind; at: when each of them was asked, in seconds from the beginning.

    failed: those that were not answered as asked, by kind and status.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    at: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[tuple[str, int], int] = field(default_factory=dict)
    elapsed_s: float = 0.0

    def between(self, kind: str, begin_s: float, end_s: float) -> list[float]:
        """Seconds of the requests that were asked in that time."""
        both = zip(self.seconds.get(kind, []), self.at.get(kind, []), strict=True)
        return [took for took, at in both if begin_s <= at < end_s]

    def percentile(self, kind: str, share: float, begin_s: float = 0.0, end_s: float = float("inf")) -> float:
        """Seconds below which that share of requests stayed; 0 where there were none."""
        times = sorted(self.between(kind, begin_s, end_s))
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


@dataclass
class _Caller:
    """One participant's connection."""

    participant: Participant
    address: tuple[str, int]
    wire: socket.socket | None = None
    asked: Request | None = None
    begun: float = 0.0
    heard: bytes = b""


def attend(
    participants: Iterable[Participant],
    host: str,
    port: int,
    at_once: int,
    ended: Callable[[], object] = lambda: None,
    limit_s: float = float("inf"),
) -> Measured:
    """Let so many take part at once, until all have, or for so long; ended: called after each participant.

    Raises OutputError where the server does not answer for a minute.
    """
    measured, waiting = Measured(), iter(participants)
    with selectors.DefaultSelector() as ready:
        crowd = _Crowd(ready, measured, (host, port), waiting, ended)
        for _ in range(at_once):
            crowd.admit()
        crowd.run(limit_s)
        measured.elapsed_s = time.perf_counter() - crowd.begun
    return measured


class _Crowd:
    """Everybody who is taking part now."""

    def __init__(
        self,
        ready: selectors.BaseSelector,
        measured: Measured,
        address: tuple[str, int],
        waiting: Iterator[Participant],
        ended: Callable[[], object],
    ) -> None:
        self.ready, self.measured, self.address, self.waiting, self.ended = ready, measured, address, waiting, ended
        self.live, self.count, self.begun = 0, 0, time.perf_counter()
        self.thinking: list[tuple[float, int, _Caller]] = []

    def admit(self) -> None:
        """The next one, if there is one."""
        participant = next(self.waiting, None)
        if participant is None:
            return
        self.live += 1
        caller = _Caller(participant, self.address)
        self._think(caller, next(participant))

    def run(self, limit_s: float) -> None:
        """Until everybody has gone, or it is time; whoever is in the middle then is left there."""
        while self.live and (now := time.perf_counter()) < self.begun + limit_s:
            while self.thinking and self.thinking[0][0] <= now:
                self._ask(heapq.heappop(self.thinking)[2])
            rest = max(0.0, self.thinking[0][0] - now) if self.thinking else TIMEOUT_S
            found = self.ready.select(rest)
            for key, _ in found:
                self._hear(key.data)
            if not found and not self.thinking and self.live:
                raise OutputError(f"the server has not answered for {TIMEOUT_S:.0f} s: let fewer people come at once.")

    def _think(self, caller: _Caller, request: Request) -> None:
        """It is asked from `run` in any case, or a server that is gone would be asked ever deeper."""
        caller.asked = request
        self.count += 1
        heapq.heappush(self.thinking, (time.perf_counter() + max(0.0, request.after_s), self.count, caller))

    def _ask(self, caller: _Caller) -> None:
        assert caller.asked is not None
        caller.begun, caller.heard = time.perf_counter(), b""
        try:
            if caller.wire is None:
                caller.wire = socket.create_connection(caller.address, timeout=TIMEOUT_S)
                caller.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.ready.register(caller.wire, selectors.EVENT_READ, caller)
            caller.wire.sendall(_bytes_of(caller.asked))
        except OSError:
            self._reply(caller, Reply(0, b""))

    def _hear(self, caller: _Caller) -> None:
        assert caller.wire is not None
        try:
            some = caller.wire.recv(1 << 18)
        except OSError:
            some = b""
        caller.heard += some
        if not some:
            self._reply(caller, Reply(0, b""))
        elif (reply := _whole(caller.heard)) is not None:
            self._reply(caller, reply)

    def _reply(self, caller: _Caller, reply: Reply) -> None:
        assert caller.asked is not None
        kind = caller.asked.kind
        if reply.status == 0:
            self._hang_up(caller)
        if reply.status == 200:
            self.measured.seconds.setdefault(kind, []).append(time.perf_counter() - caller.begun)
            self.measured.at.setdefault(kind, []).append(caller.begun - self.begun)
        else:
            key = (kind, reply.status)
            self.measured.failed[key] = self.measured.failed.get(key, 0) + 1
        try:
            following = caller.participant.send(reply)
        except StopIteration:
            self._hang_up(caller)
            self.live -= 1
            self.ended()
            self.admit()
        else:
            self._think(caller, following)

    def _hang_up(self, caller: _Caller) -> None:
        if caller.wire is not None:
            self.ready.unregister(caller.wire)
            caller.wire.close()
            caller.wire = None


def _bytes_of(request: Request) -> bytes:
    body = b"" if request.body is None else json.dumps(request.body).encode()
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: study\r\nX-Client: {request.client}\r\n"
    if request.token:
        head += f"Authorization: Bearer {request.token}\r\n"
    if request.method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _whole(heard: bytes) -> Reply | None:
    """The reply, once all of it has come."""
    head, end, body = heard.partition(b"\r\n\r\n")
    if not end:
        return None
    lines = head.split(b"\r\n")
    lengths = [int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"]
    length = lengths[0] if lengths else 0
    return Reply(int(lines[0].split()[1]), body[:length]) if len(body) >= length else None
