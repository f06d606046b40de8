from pathlib import Path

import pytest

from study_server.sessions.study import open_study
from tests.study_server.operating.answered import build, copied
from tests.study_server.sessions.people import Clock


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("operated"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study(built, tmp_path, clock):
    opened = open_study(copied(built, tmp_path), clock=clock)
    yield opened
    opened.close()
