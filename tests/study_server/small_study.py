"""A few tiny images go in; a built study comes out, in moments."""

from pathlib import Path
from typing import Any

import numpy as np

from cgeval.images import write_png
from study_server.building.build import build, plan
from study_server.checking.seen import look_at
from study_server.checking.sides import find_sides
from study_server.config import make_config

SMALL = {
    "exposure": {"size_px": 16, "shown_ms": 100, "blank_first_ms": 20, "blank_between_ms": 20, "blank_last_ms": 20}
}


def write_images(folder: Path, count: int, seed: int) -> Path:
    """So many pictures of noise, 16 x 16."""
    folder.mkdir(parents=True)
    source = np.random.default_rng(seed)
    for i in range(count):
        write_png(folder / f"{i:03}.png", source.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    return folder


def small_study(tmp_path: Path, arms: tuple[str, ...] = ("one", "two"), pairs: int = 60, **changes: Any) -> Path:
    """STUDY with an arm for each name. changes: sections of study.toml, such as trials={"scored": 4}."""
    table: dict[str, Any] = {"exposure": {**SMALL["exposure"], **changes.pop("exposure", {})}, **changes}
    real = write_images(tmp_path / "images" / "real", pairs, 0)
    fakes = [f"{arm}={write_images(tmp_path / 'images' / arm, pairs, 1 + i)}" for i, arm in enumerate(arms)]
    config = make_config(table)
    sides = find_sides(str(real), fakes)
    planned = plan(sides, [look_at(side, 1, 0, lambda _: None) for side in sides], config)
    build(tmp_path / "study", planned, config, (), "test", lambda _: None)
    return tmp_path / "study"
