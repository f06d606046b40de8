"""A study's manifest and wanted rates go in; simulated participants come out, who go all the way a page goes.

They know what is real by the digests of what they are shown, which a real browser could not: so they can be made to be
fooled as often as is wanted, each a little differently (a beta distribution whose intraclass correlation is given).
"""

import hashlib
import random
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from study_server.config import StudyConfig
from study_server.manifest import Manifest, Side
from study_server.rehearsal.client import Participant, Reply, Request
from study_server.sessions.platforms import MTURK_HOSTS, sign

ACKNOWLEDGED = 200


@dataclass(frozen=True)
class Crowd:
    """How the simulated people are. fooled: share of scored trials by algorithm; icc: how alike one's own answers are.

    think_s: before each answer; arrive_s: over how long they come; drop_out: share of people who leave in the middle;
    preload: whether they fetch images, without which they only guess.
    """

    fooled: Mapping[str, float]
    icc: float = 0.15
    think_s: float = 0.0
    arrive_s: float = 0.0
    drop_out: float = 0.0
    preload: bool = True


@dataclass
class Told:
    """What happened to all of them. answers: acknowledged by the server; refused: ends before the end, by reason."""

    done: int = 0
    answers: int = 0
    left: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, why: str) -> None:
        """One more."""
        self.refused[why] = self.refused.get(why, 0) + 1


class Truth:
    """What a composite shows, by its bytes."""

    def __init__(self, manifest: Manifest) -> None:
        self.known: dict[str, tuple[str, str, Side]] = {}
        for pair in manifest.pairs:
            for side in ("left", "right"):
                self.known[manifest.stimuli[pair.stimulus(side)]] = (pair.algorithm, pair.kind, side)

    def of(self, composite: bytes) -> tuple[str, str, Side]:
        """Algorithm, kind of pair, and the side of the real image."""
        return self.known[hashlib.sha256(composite).hexdigest()]


def queries(config: StudyConfig, link_key: bytes, study_id: str, seed: int, number: int) -> dict[str, str]:
    """The query of the page's address, as the study's platform would bring it."""
    name = f"rehearsal-{seed}-{number}"
    if config.entry.platform == "mturk":
        ids = {"assignmentId": f"A{number}", "hitId": "H", "workerId": name}
        return ids | {"turkSubmitTo": f"https://{MTURK_HOSTS[1]}"}
    if config.entry.platform == "prolific":
        return {"PROLIFIC_PID": name, "STUDY_ID": "S", "SESSION_ID": f"S{number}"}
    if config.entry.platform == "links":
        return {"p": name, "s": sign(link_key, study_id, name)}
    return {}


class _RefusedError(Exception):
    """The server did not grant what was asked."""


def take_part(
    config: StudyConfig, truth: Truth, crowd: Crowd, query: Mapping[str, str], seed: int, told: Told
) -> Participant:
    """One person from the first page to the last, or until something is refused."""
    source = random.Random(seed)
    page = _Page(f"page-{seed}")
    try:
        entered = {"query": dict(query), "client": page.client, "visitor": secrets.token_hex(8), "language": "en"}
        reply = yield from page.ask("enter", entered, source.uniform(0, crowd.arrive_s))
        page.token = reply["token"]
        yield from page.ask("consent", {"agreed": True})
        view = yield from page.ask("device", {"width_px": 1280, "height_px": 800, "refresh_hz": 60})
        for path in view["preload"] if crowd.preload else ():
            page.shown[path] = yield from page.fetch(path)
        view = yield from page.ask("ready", {})
        view = yield from _answer_all(page, view, config, truth, crowd, source, told)
        if view["state"] == "QUESTIONNAIRE":
            view = yield from page.ask("questionnaire", {"replies": {"strategy": "simulated"}})
        told.done += view["state"] == "DONE"
    except _RefusedError as refused:
        told.refuse(str(refused))


@dataclass
class _Page:
    """Where one person is. shown: composites by address."""

    client: str
    token: str = ""
    shown: dict[str, bytes] = field(default_factory=dict)

    def ask(self, kind: str, body: Any, after_s: float = 0.0, path: str = "") -> Generator[Request, Reply, Any]:
        """What the server says. Raises _RefusedError for anything but a yes."""
        reply = yield Request(kind, "POST", path or f"/api/{kind}", body, self.token, self.client, after_s)
        if reply.status != ACKNOWLEDGED:
            raise _RefusedError(_why(reply))
        return reply.json()

    def fetch(self, path: str) -> Generator[Request, Reply, bytes]:
        """An image. Raises _RefusedError."""
        reply = yield Request("stimulus", "GET", path, None, self.token, self.client)
        if reply.status != ACKNOWLEDGED:
            raise _RefusedError(_why(reply))
        return reply.body


def _answer_all(
    page: _Page, view: Any, config: StudyConfig, truth: Truth, crowd: Crowd, source: random.Random, told: Told
) -> Generator[Request, Reply, Any]:
    """All trials, unless the person leaves in the middle; where the session is then."""
    leaves_at = source.randrange(config.length) if source.random() < crowd.drop_out else -1
    susceptible: float | None = None
    while (trial := view.get("trial")) is not None:
        position = trial["position"]
        if position == leaves_at:
            told.left += 1
            return view
        yield from page.ask("begin", {"look": secrets.token_hex(8)}, path=f"/api/trials/{position}/begin")
        clicked: Side = source.choice(("left", "right"))
        if trial["stimulus"] in page.shown:
            algorithm, kind, real_side = truth.of(page.shown[trial["stimulus"]])
            if susceptible is None:
                susceptible = _susceptibility(crowd.fooled.get(algorithm, 0.5), crowd.icc, source)
            clicked = _click(config, kind, real_side, susceptible, source)
        measured = _measurements(config, position, source)
        given = {"attempt": secrets.token_hex(8), "clicked": clicked, "measurements": measured}
        thinks_s = crowd.think_s * source.uniform(0.5, 1.5)
        reply = yield from page.ask("answer", given, thinks_s, f"/api/trials/{position}/answer")
        told.answers += 1
        view = reply["view"]
    return view


def _susceptibility(rate: float, icc: float, source: random.Random) -> float:
    """One person's own rate: beta distributed about the algorithm's, so that answers correlate by icc."""
    if icc <= 0 or not 0 < rate < 1:
        return rate
    spread = 1 / icc - 1
    return source.betavariate(rate * spread, (1 - rate) * spread)


def _click(config: StudyConfig, kind: str, real_side: Side, susceptible: float, source: random.Random) -> Side:
    """Whoever is fooled clicks the image that was not asked for; noise fools nobody."""
    other: Side = "right" if real_side == "left" else "left"
    wanted, unwanted = (real_side, other) if config.asked == "real" else (other, real_side)
    return unwanted if kind == "trial" and source.random() < susceptible else wanted


def _measurements(config: StudyConfig, position: int, source: random.Random) -> dict[str, Any]:
    shown = config.exposure.shown_ms
    sides = ("left", "right") if config.layout == "sequential" else ("both",)
    exposures = [
        {
            "side": side,
            "onset_ms": 0.0,
            "offset_ms": shown + source.uniform(-4, 4),
            "frames": shown * 60 // 1000,
            "longest_gap_ms": 17.0,
        }
        for side in sides
    ]
    told = {
        "rt_ms": round(source.lognormvariate(6.6, 0.4), 1),
        "exposures": exposures,
        "visible": True,
        "input": "mouse",
    }
    return told | {"trial_index": position, "refresh_hz": 60.0}


def _why(reply: Reply) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {reply.status}"
