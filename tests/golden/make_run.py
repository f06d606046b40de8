"""Nothing goes in; `tests/golden/run/` comes out: a run of schema 1 as another program would write it.

It uses nothing of `cgeval`, only what docs/run-directory.md says, so that a reader that no longer reads runs of
schema 1 is found out. Run `python -m tests.golden.make_run` in the repository to make it again, to the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.golden.make_images import packed, png

FOLDER = Path(__file__).with_name("run")
CREATED = "2025-03-01T12:00:00Z"
COLOURS = {"night/2": (10, 20, 90), "night/10": (0, 0, 40), "harbour 1": (250, 240, 230)}


def picture(colour: Sequence[int]) -> bytes:
    """A PNG of 4 x 2 pixels of one colour."""
    return png(8, 2, [packed([*colour] * 4, 8)] * 2)


def files() -> dict[str, bytes]:
    """Content of every file by its path in the run."""
    images = {f"images/test_AtoB/{name}.png": picture(colour) for name, colour in COLOURS.items()}
    rows = [
        {
            "id": name,
            "file": f"{name}.png",
            "sha256": hashlib.sha256(picture(colour)).hexdigest(),
            "source": name,
            "target": name if name.startswith("night") else None,
        }
        for name, colour in COLOURS.items()
    ]
    index = _lines(rows)
    seal = hashlib.sha256(index).hexdigest()
    return images | {
        "run.json": _json(
            {
                "run_id": "golden",
                "method": "by hand",
                "dataset": {"name": "nights", "path": "/data/nights"},
                "producer": {"name": "make_run.py", "version": "1"},
                "created_at": CREATED,
                "settings": {},
                "schema": 1,
            }
        ),
        "images/test_AtoB/index.jsonl": index,
        "images/test_AtoB/set.json": _json(
            {
                "schema": 1,
                "name": "test_AtoB",
                "direction": "AtoB",
                "split": "test",
                "checkpoint": None,
                "extra": {"size_px": 4},
                "count": len(rows),
                "index_sha256": seal,
                "created_at": CREATED,
            }
        ),
        "records/demo_score.jsonl": _lines([_record(0.4, seal), _record(0.5, seal, low=0.4, high=0.6)]),
    }


def _record(value: float, seal: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {
        "protocol": "demo_score",
        "metric": "pixel_accuracy",
        "value": value,
        "n": 3,
        "run_id": "golden",
        "image_set": "test_AtoB",
        "index_sha256": seal,
        "created_at": CREATED,
        "producer": "make_run.py 1",
        "low": low,
        "high": high,
        "interval": None if low is None else "bootstrap over images, 95 %",
        "convention": {"absent class": "left out"},
        "extra": {},
        "schema": 1,
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_bytes(content)
