"""How often each participant is fooled goes in; a judged study, and its report, come out without a database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from study_server.analysis.analysis import Choices, analyse
from study_server.analysis.exclusions import Rules
from study_server.analysis.judgements import judgements_of
from study_server.config import read_config
from study_server.judged import Judged
from study_server.manifest import CONFIG, read_manifest
from study_server.reporting.report import Report

PRACTICE = 3
CELLS = {"td", "th", "dt", "dd", "li", "p"}
VOID = {"meta", "link", "img", "br", "col", "input"}


def judged_of(folder: Path, people: Mapping[str, Sequence[int]], scored: int = 10) -> Judged:
    """A built study whose participants are fooled in so many of their scored trials, the last ones.

    The real image is left in every other trial; who is fooled is slower.
    """
    manifest, config = read_manifest(folder), read_config(folder / CONFIG)
    sessions, trials = [], []
    for arm, each in people.items():
        pairs = manifest.pairs_of(arm)
        for number, often in enumerate(each):
            name = f"{arm} {number}"
            sessions.append((name, arm))
            for index in range(PRACTICE + scored):
                fooled = index >= PRACTICE + scored - often
                side, other = ("left", "right") if index % 2 else ("right", "left")
                trials.append(
                    {"session": name, "image": pairs[(number + index) % len(pairs)].id, "index": index}
                    | {"phase": "practice" if index < PRACTICE else "scored", "real_side": side, "fooled": fooled}
                    | {"clicked": other if fooled else side, "rt_ms": 900.0 if fooled else 500.0 + number}
                    | {"shown_ms": 100.0, "invalid": False}
                )
    return Judged(
        folder,
        manifest.study_id,
        config.preset,
        config.asked,
        manifest.created_at,
        wanted=min(len(each) for each in people.values()),
        states={"DECLINED": 2, "MAIN": 1, "ABANDONED": 1, "DONE": len(sessions)},
        judgements=judgements_of(sessions, trials, manifest.arms),
        rules=Rules(),
        sources={source.name: source for source in manifest.algorithms},
        manifest=manifest,
        config=config,
    )


def imported(judged: Judged) -> Judged:
    """The same as if it had come in by files."""
    return replace(judged, manifest=None, config=None, sources={}, states={"DONE": 8}, wanted=0)


def report_of(judged: Judged, deviations: tuple[str, ...] = (), margin: float | None = None) -> Report:
    """With few resamples."""
    choices = Choices(rules=judged.rules, margin=margin, resamples=200, permutations=999)
    analysis = analyse(judged.judgements, choices)
    return Report(judged, analysis, deviations, "2026-03-06T10:00:00.000000Z", "9.9", "study-server report study")


class Parsed(HTMLParser):
    """What a page holds. tags: name and attributes in order; texts: all text but the style sheet's, in one; numbers:
    values of its data elements. Raises AssertionError where an element is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.numbers: list[float] = []
        self.style = ""
        self.open: list[str] = []
        self.parts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in CELLS:
            self.parts.append(" ")
        if tag == "data":
            self.numbers.append(float(str(dict(attrs)["value"])))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.parts.append(data)

    @property
    def text(self) -> str:
        """As it is read, with plain spaces."""
        return " ".join("".join(self.parts).replace("\u00a0", " ").split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a name."""
        return [attributes for name, attributes in self.tags if name == tag]
