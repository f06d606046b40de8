"""A study's manifest and wanted rates go in; simulated participants come out, who go all the way a page goes.

They know what is real by the digests of what they are shown, which a real browser could not: so they can be made to be
fooled as often as is wanted, each a little differently (a beta distribution whose intraclass correlation is given).
"""

import hashlib
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from study_server.config import StudyConfig
from study_server.manifest import Manifest, Side
from study_server.rehearsal.client import Participant, Request
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


def take_part(
    config: StudyConfig, truth: Truth, crowd: Crowd, query: Mapping[str, str], seed: int, told: Told
) -> Participant:
    """One person from the first page to the last."""
    source = random.Random(seed)
    client = f"page-{seed}"
    entered = {"query": dict(query), "client": client, "visitor": secrets.token_hex(8), "language": "en"}
    reply = yield Request("enter", "POST", "/api/enter", entered, after_s=source.uniform(0, crowd.arrive_s))
    if reply.status != ACKNOWLEDGED:
        told.refuse(_why(reply))
        return
    token = str(reply.json()["token"])
    shown: dict[str, bytes] = {}
    for kind, body in (
        ("consent", {"agreed": True}),
        ("device", {"width_px": 1280, "height_px": 800, "refresh_hz": 60}),
    ):
        reply = yield Request(kind, "POST", f"/api/{kind}", body, token, client)
        if reply.status != ACKNOWLEDGED:
            told.refuse(_why(reply))
            return
    view = reply.json()
    for path in view["preload"] if crowd.preload else ():
        reply = yield Request("stimulus", "GET", path, None, token, client)
        shown[path] = reply.body
    reply = yield Request("ready", "POST", "/api/ready", {}, token, client)
    view = reply.json()
    leaves_at = source.randrange(config.length) if source.random() < crowd.drop_out else -1
    susceptible: float | None = None
    while (trial := view.get("trial")) is not None:
        position = trial["position"]
        if position == leaves_at:
            told.left += 1
            return
        reply = yield Request(
            "begin", "POST", f"/api/trials/{position}/begin", {"look": secrets.token_hex(8)}, token, client
        )
        clicked: Side = source.choice(("left", "right"))
        if trial["stimulus"] in shown:
            algorithm, kind, real_side = truth.of(shown[trial["stimulus"]])
            if susceptible is None:
                susceptible = _susceptibility(crowd.fooled.get(algorithm, 0.5), crowd.icc, source)
            clicked = _click(config, kind, real_side, susceptible, source)
        answer = {
            "attempt": secrets.token_hex(8),
            "clicked": clicked,
            "measurements": _measurements(config, position, source),
        }
        reply = yield Request(
            "answer",
            "POST",
            f"/api/trials/{position}/answer",
            answer,
            token,
            client,
            crowd.think_s * source.uniform(0.5, 1.5),
        )
        if reply.status != ACKNOWLEDGED:
            told.refuse(_why(reply))
            return
        told.answers += 1
        view = reply.json()["view"]
    if view["state"] == "QUESTIONNAIRE":
        reply = yield Request(
            "questionnaire", "POST", "/api/questionnaire", {"replies": {"strategy": "simulated"}}, token, client
        )
        view = reply.json()
    told.done += view["state"] == "DONE"


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


def _why(reply: Any) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {reply.status}"
