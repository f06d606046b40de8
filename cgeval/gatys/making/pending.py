"""Finished pictures of a set go in, one by one; they wait here, across kills, until all are there and can be sealed.

RUN/gatys/<set>/facts.json        all that decides the pictures; another call must have the same to go on
RUN/gatys/<set>/pictures/<id>.png
RUN/gatys/<set>/losses.jsonl      one line per finished picture, written after it
RUN/gatys/losses.jsonl            those of sealed sets, for people
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgeval.errors import RunError
from cgeval.files import LEFTOVER, write_atomic, write_json_atomic
from cgeval.images import Picture, read_rgb, write_png

FOLDER = "gatys"
FACTS, PICTURES, LOSSES = "facts.json", "pictures", "losses.jsonl"


@dataclass(frozen=True)
class Losses:
    """What was left of an image's losses in the end: all, the content's part and the style's, weighted."""

    total: float
    content: float
    style: float


class Pending:
    """The pictures of one set that is being made. Only the holder of the run's lock may have one."""

    def __init__(self, run_path: Path, set_name: str) -> None:
        self.set_name = set_name
        self.folder = run_path / FOLDER / set_name
        self.losses: dict[str, Losses] = {}

    def begin(self, facts: Mapping[str, Any], *, overwrite: bool) -> None:
        """Take up what was made with the same facts; raises RunError, naming what differs, for others.

        overwrite: throw away what was made with others.
        """
        before = self._facts()
        if before is not None and before != _plain(facts) and not overwrite:
            raise RunError(
                f"{self.folder} holds pictures that were begun with another {differing(before, facts)}: go on with "
                "that one, name another folder for the run, or add --overwrite to throw them away."
            )
        if before != _plain(facts):
            shutil.rmtree(self.folder, ignore_errors=True)
            (self.folder / PICTURES).mkdir(parents=True)
            write_json_atomic(self.folder / FACTS, facts)
        for leftover in self.folder.rglob(f"{LEFTOVER}*"):
            leftover.unlink()
        self.losses = {name: value for name, value in self._read_losses().items() if self._place(name).is_file()}

    def add(self, image_id: str, picture: Picture, losses: Losses) -> None:
        """Keep a finished picture, flushed to the disk; its line comes last and makes it count."""
        place = self._place(image_id)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_png(place, picture)
        line = json.dumps({"id": image_id, **asdict(losses)}, ensure_ascii=False) + "\n"
        with (self.folder / LOSSES).open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.losses[image_id] = losses

    def read(self, image_id: str) -> Picture:
        """A finished picture."""
        return read_rgb(self._place(image_id))

    def finish(self) -> None:
        """The set is sealed: add its losses to the run's list and remove the folder; harmless where that was done."""
        if not self.folder.is_dir():
            return
        place = self.folder.parent / LOSSES
        old = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
        others = [line for line in old if json.loads(line)["set"] != self.set_name]
        losses = self.losses or self._read_losses()
        own = [json.dumps({"set": self.set_name, "id": name, **asdict(each)}) for name, each in losses.items()]
        write_atomic(place, "".join(f"{line}\n" for line in (*others, *own)).encode())
        shutil.rmtree(self.folder)

    def _place(self, image_id: str) -> Path:
        return self.folder / PICTURES / f"{image_id}.png"

    def _facts(self) -> Any:
        """What the pictures there were begun with; None where none were, or a kill left no facts of them."""
        try:
            return json.loads((self.folder / FACTS).read_bytes())
        except (OSError, ValueError):
            return None

    def _read_losses(self) -> dict[str, Losses]:
        """By id, up to a line that a kill has cut off, which is cut off the file too: the next one begins a line."""
        file = self.folder / LOSSES
        lines = file.read_bytes().split(b"\n") if file.is_file() else [b""]
        if lines[-1]:
            write_atomic(file, b"".join(line + b"\n" for line in lines[:-1]))
        rows = [json.loads(line) for line in lines[:-1]]
        return {row.pop("id"): Losses(**row) for row in rows}


def finished_count(run_path: Path, set_name: str) -> int:
    """How many pictures of a set that is not sealed yet are finished, to look at; nothing is locked or mended."""
    file = run_path / FOLDER / set_name / LOSSES
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def differing(before: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """In words, the first few facts that differ, with their values where these are short."""
    one, other = _flat(before), _flat(_plain(facts))
    changed = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    told = [f"{key} ({_short(one.get(key))}, and now {_short(other.get(key))})" for key in changed[:3]]
    return " and ".join(told) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."


def _plain(facts: Mapping[str, Any]) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(facts))
