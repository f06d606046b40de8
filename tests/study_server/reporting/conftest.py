import shutil
from pathlib import Path

import pytest

from tests.study_server.reporting.answered import answer
from tests.study_server.reporting.judged_runs import study_of_runs

WANTED = 4


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """A study of two runs: 1 practice and 4 scored trials, 4 participants wanted of each. To be copied."""
    trials, people = {"practice": 1, "scored": 4}, {"per_algorithm": WANTED}
    rules = {"fast_ms": 0, "one_sided_share": 1.0}
    return study_of_runs(
        tmp_path_factory.mktemp("judged"), pairs=8, trials=trials, participants=people, exclusions=rules
    )


@pytest.fixture
def study(built, tmp_path) -> Path:
    """Nobody has come yet."""
    return Path(shutil.copytree(built, tmp_path / "noise"))


@pytest.fixture(scope="session")
def judged(built, tmp_path_factory) -> Path:
    """Complete: of one 3, 2, 2, 1 of 4 trials are fooled, of two 1, 0, 0, 0. To be copied, or only read."""
    folder = Path(shutil.copytree(built, tmp_path_factory.mktemp("answered") / "noise"))
    return answer(folder, {"one": [3, 2, 2, 1], "two": [1, 0, 0, 0]})


@pytest.fixture
def complete(judged, tmp_path) -> Path:
    """A copy of the study that is complete."""
    return Path(shutil.copytree(judged, tmp_path / "noise"))
