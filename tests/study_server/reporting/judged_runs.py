"""Two runs of tiny pictures go in; a study of their sealed sets comes out, answered by whoever is wanted."""

from pathlib import Path

import numpy as np

from cgeval.runs import Run
from study_server.building.build import build, plan
from study_server.checking.seen import look_at
from study_server.checking.sides import find_sides
from study_server.config import make_config
from tests.study_server.small_study import SMALL, write_images

SET = "test_AtoB"
FACTS = {"name": "noise", "path": "noise", "paired": True, "domains": {"A": "labels", "B": "photos"}}


def a_run(path: Path, count: int, seed: int) -> Run:
    """With one sealed set, whose ids are names of the real images."""
    run = Run.create(path, method=path.name, dataset=FACTS, producer={"name": "me", "version": "1"})
    source = np.random.default_rng(seed)
    with run.write_image_set(SET, direction="AtoB", split="test", checkpoint="last") as images:
        for i in range(count):
            picture = source.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            images.add(f"{i:03}", picture, source=f"A/{i:03}", target=f"{i:03}")
    return Run.open(path)


def study_of_runs(place: Path, arms: tuple[str, ...] = ("one", "two"), pairs: int = 60, **changes) -> Path:
    """place/runs and place/studies/noise. changes: sections of study.toml."""
    real = write_images(place / "real", pairs, 0)
    for number, arm in enumerate(arms, 1):
        a_run(place / "runs" / arm, pairs, number)
    sides = find_sides(str(real), [f"{arm}={place / 'runs' / arm}" for arm in arms])
    config = make_config({"exposure": SMALL["exposure"], **changes})
    planned = plan(sides, [look_at(side, 1, 0, lambda _: None) for side in sides], config)
    folder = place / "studies" / "noise"
    build(folder, planned, config, (), "test", lambda _: None)
    return folder
