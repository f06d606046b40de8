"""For other servers, such as gunicorn: `gunicorn study_server.web.wsgi:application`, configured by the environment.

STUDY: the folder; STUDY_DATABASE_URL: of PostgreSQL, for several machines. Each process opens the study when its first
request comes, since a database must not be open over a fork, and ends what was left every half a minute.
"""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask

from cgeval.errors import ConfigError, RunError
from study_server.building.verify import verify_study
from study_server.sessions.study import open_study
from study_server.web import logs
from study_server.web.factory import create_app
from study_server.web.serving import EXPIRE_EVERY_S, end_what_was_left


class Application:
    """A WSGI application, for any number of threads and processes. Raises a CgevalError for what is no study."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        changed = verify_study(folder)
        if changed:
            raise RunError(f"{folder} is not as it was built: {changed[0]} Restore it, or build it anew.")
        open_study(folder, database_url).close()
        logs.write_to(folder)
        self.folder, self.database_url = folder, database_url
        self._turn, self._process = threading.Lock(), 0
        self._app: Flask | None = None
        os.register_at_fork(after_in_child=self._renew_turn)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """One request."""
        return self._opened()(environ, start_response)

    def _opened(self) -> Flask:
        with self._turn:
            if self._app is None or self._process != os.getpid():
                study = open_study(self.folder, self.database_url, fill_up=False)
                self._app, self._process = create_app(study), os.getpid()
                threading.Thread(target=self._expire, daemon=True).start()
            return self._app

    def _expire(self) -> None:
        while True:
            time.sleep(EXPIRE_EVERY_S)
            end_what_was_left(self.folder, self.database_url)

    def _renew_turn(self) -> None:
        self._turn = threading.Lock()


def _configured() -> Application:
    folder = os.environ.get("STUDY")
    if not folder:
        raise ConfigError("STUDY is not set: the folder that `study-server build` made is expected.")
    return Application(Path(folder), os.environ.get("STUDY_DATABASE_URL") or None)


application = _configured()
