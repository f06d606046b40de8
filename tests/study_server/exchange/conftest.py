import io
import sys
from pathlib import Path

import pytest

from study_server.cli import main
from study_server.sessions.study import open_study
from tests.study_server.operating.answered import build, copied


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("exchanged"))


@pytest.fixture
def study(built, tmp_path):
    opened = open_study(copied(built, tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def run(monkeypatch, capsys):
    """The command; its exit code, what it printed, and what it said on the error stream."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study-server", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return call
