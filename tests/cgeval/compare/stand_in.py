"""In the place of `cgeval` and `cyclegan` as steps: makes in moments what the real commands make in hours.

`main(["cgeval", "fcn-score", ...])` writes the command into `log`, and then the run, the sets
or the records. A file `trouble` in the folder names a command that fails ("translate") or is stopped ("translate
stopped").
"""

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from cgeval.compare.making.steps import Step
from cgeval.runs import Run
from cgeval.scorers.store import open_scorer
from tests.cgeval.compare.runs_with_records import STYLES, a_run, add_set, reconstruct, score, write_log

DIGEST_OF_RECORDS = hashlib.sha256(b"camvid").hexdigest()  # what `score` says of its scorer "camvid"
SKILLS = {"pix2pix": 0.8, "gatys": 0.3, "cyclegan": 0.6}


def scored(path: Path, names: Sequence[str] = ("test_AtoB", "test_BtoA"), **changes: object) -> None:
    """The run's sets get a score, by the scorer that lies in scorers/ unless the changes name another."""
    for name in names:
        score(Run.open(path), name, **changes)
    if "scorer" not in changes:
        for file in Path(path, "records").glob("fcn-score-*.jsonl"):
            file.write_text(file.read_text().replace(DIGEST_OF_RECORDS, open_scorer("scorers/camvid").sha256))


def option(words: Sequence[str], name: str, otherwise: str = "") -> str:
    """The word after the option."""
    return words[words.index(name) + 1] if name in words else otherwise


def train(words: Sequence[str]) -> None:
    """A run of pix2pix, or of CycleGAN's objective that is named, with a checkpoint of its last epoch."""
    path, changes = Path(words[1]), dict(word.split("=") for word in words if "=" in word)
    objective = changes.get("objective.name", "full")
    translator = "pix2pix" if "pix2pix" in words[0] else "cyclegan"
    method = translator if objective == "full" else f"{translator}:{objective}"
    if "--resume" not in words:
        a_run(path, method, directions=(), dataset=Path(option(words, "--data", "streets")).resolve())
        settings = {"translator": translator, "objective": {"name": objective}, "optimiser": {"constant_epochs": 1}}
        settings["direction"] = changes.get("direction", "AtoB")
        file = path / "run.json"
        producer = {"name": "cyclegan", "version": "1"}
        file.write_text(json.dumps(json.loads(file.read_text()) | {"settings": settings, "producer": producer}))
    (path / "config.toml").write_text("")
    (path / "checkpoints").mkdir(exist_ok=True)
    (path / "checkpoints" / "index.json").write_text(json.dumps({"checkpoints": [{"file": "step-1.pt", "epoch": 1}]}))
    write_log(Run.open(path))


def translate(words: Sequence[str]) -> None:
    """pix2pix makes the direction that it was trained for."""
    run = Run.open(Path(words[0]))
    ways = {"ab": ["AtoB"], "ba": ["BtoA"]}.get(option(words, "--direction"), ["AtoB", "BtoA"])
    for way in [run.info.settings["direction"]] if run.info.method == "pix2pix" else ways:
        add_set(run, way)
        file = run.path / "images" / f"test_{way}" / "set.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"checkpoint": "step-1.pt"}))


def gatys(words: Sequence[str]) -> None:
    """Three styles of labels -> photo; those that are there stay."""
    path = Path(words[1])
    run = Run.open(path) if (path / "run.json").exists() else a_run(path, "gatys", directions=(), dataset=words[0])
    there = {each.extra["variant"] for each in run.image_sets()}
    for style in STYLES:
        if style not in there:
            add_set(run, "AtoB", variant=style)


def fcn_score(words: Sequence[str]) -> None:
    """Every set of the direction, or of both."""
    run = Run.open(Path(words[0]))
    ways = {"ab": ["AtoB"], "ba": ["BtoA"]}.get(option(words, "--direction"), ["AtoB", "BtoA"])
    names = [each.name for each in run.image_sets() if each.direction in ways]
    scored(run.path, names, skill=SKILLS.get(run.info.method.partition(":")[0], 0.5))


def there_and_back(words: Sequence[str]) -> None:
    """Both directions."""
    for name in ("test_AtoB", "test_BtoA"):
        reconstruct(Run.open(Path(words[0])), name)


COMMANDS = {
    "train": train,
    "translate": translate,
    "gatys": gatys,
    "fcn-score": fcn_score,
    "reconstruct": there_and_back,
}


def main(words: Sequence[str]) -> None:
    """Do what the command is asked to do, or what `trouble` says."""
    trouble = Path("trouble").read_text().split() if Path("trouble").exists() else [""]
    if words[1] == trouble[0]:
        print("Error: the disk is full.", file=sys.stderr)
        sys.exit(130 if "stopped" in trouble else 2)
    with Path("log").open("a") as file:
        file.write(" ".join(words) + "\n")
    COMMANDS[words[1]](words[2:])
    print("a table that compare does not show")


def run_program(command: Sequence[str]) -> int:
    """In the place of `cgeval.compare.making.steps.run_program`: at once, and in this process."""
    with redirect_stdout(io.StringIO()):
        try:
            main(command)
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def timed(step: Step) -> Step:
    """In the place of `cgeval.compare.making.steps.timed`."""
    return replace(step, seconds=60.0) if step.can_be_timed else step
