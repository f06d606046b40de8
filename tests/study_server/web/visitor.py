"""A participant over HTTP, and a served study to visit."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

SEEN = {
    "rt_ms": 400,
    "exposures": [
        {"side": "left", "onset_ms": 0, "offset_ms": 100, "frames": 6, "longest_gap_ms": 17},
        {"side": "right", "onset_ms": 120, "offset_ms": 220, "frames": 6, "longest_gap_ms": 17},
    ],
    "visible": True,
    "input": "mouse",
}


@dataclass
class Heard:
    """A reply. headers: names in lower case, but for the date."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Visitor:
    """One browser. heard: every reply with what was asked."""

    host: str
    port: int
    name: str = "somebody"
    client: str = "page"
    token: str = ""
    heard: list[tuple[str, Heard]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Heard:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"X-Client": self.client, "Content-Type": "application/json"}
        sent |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.connection.request(method, path, data, sent | (headers or {}))
        reply = self.connection.getresponse()
        told = {name.lower(): value for name, value in reply.getheaders() if name.lower() != "date"}
        heard = Heard(reply.status, told, reply.read())
        self.heard.append((f"{method} {path}", heard))
        return heard

    def post(self, what: str, body: Any = None) -> Heard:
        return self.ask("POST", f"/api/{what}", {} if body is None else body)

    def enter(self, **query: str) -> "Visitor":
        body = {"query": query, "client": self.client, "visitor": self.name, "language": "en"}
        self.token = self.post("enter", body).json["token"]
        return self

    def come(self) -> "Visitor":
        """All the way to the first trial, images fetched."""
        self.enter()
        self.post("consent", {"agreed": True})
        self.view = self.post("device", {"width_px": 1200, "height_px": 900}).json
        for path in self.view["preload"]:
            assert self.ask("GET", path).status == 200
        self.view = self.post("ready").json
        return self

    def trial(self, clicked: str = "left") -> Heard:
        position = self.view["trial"]["position"]
        assert self.post(f"trials/{position}/begin", {"look": "look"}).json == {"look": True}
        reply = self.answer(position, clicked)
        self.view = reply.json["view"]
        return reply

    def answer(self, position: int, clicked: str = "left", attempt: str = "") -> Heard:
        body = {"attempt": attempt or f"a{position}", "clicked": clicked, "measurements": SEEN}
        return self.post(f"trials/{position}/answer", body)

    def finish(self) -> "Visitor":
        while self.view["trial"]:
            self.trial()
        self.view = self.post("questionnaire", {"replies": {}}).json
        return self
