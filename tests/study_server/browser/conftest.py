"""A real browser, a served study, and an eye on every request that the page makes."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from study_server.sessions.study import Study, open_study
from study_server.store.models import Answer, Session, Trial
from study_server.web.factory import create_app
from tests.study_server.small_study import small_study

playwright = pytest.importorskip("playwright.sync_api")

from tests.study_server.browser.visitor import Visitor  # noqa: E402

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Visitor]]:
    """A new person at a new browser. Fails the test where a page asks another host for anything, or has an error."""
    contexts, asked, errors = [], [], []

    def come(keyboard: bool = False, **settings) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 800}} | settings)
        context.set_default_timeout(10_000)
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.on("console", lambda told: errors.append(told.text) if "Content Security" in told.text else None)
        contexts.append(context)
        return Visitor(context.new_page(), keyboard)

    yield come
    for context in contexts:
        context.close()
    assert errors == []
    platforms = ("https://workersandbox.mturk.com/", "https://app.prolific.com/")
    own = ("http://127.0.0.1:", "blob:http://127.0.0.1:", *platforms)
    assert [url for url in asked if not url.startswith(own)] == []


EXPOSURE = {
    "size_px": 128,
    "shown_ms": 200,
    "blank_first_ms": 100,
    "blank_between_ms": 100,
    "blank_last_ms": 50,
    "feedback_ms": 1000,
}
TRIALS = {"practice": 1, "scored": 4, "break_after": 2}


@dataclass(frozen=True)
class Served:
    """A study that is hosted. url: of its page."""

    url: str
    study: Study

    def rows(self) -> list[dict[str, Any]]:
        """The answers that are stored, in their order."""
        with self.study.database.read() as found:
            pairs = found.execute(select(Answer, Trial).join(Trial).order_by(Answer.id)).all()
            names = ("clicked", "rt_ms", "input", "flags", "measurements")
            return [
                {"position": trial.position} | {name: getattr(given, name) for name in names} for given, trial in pairs
            ]

    def codes(self) -> list[str | None]:
        """Of each session, in the order of their coming."""
        with self.study.database.read() as found:
            return list(found.scalars(select(Session.code).order_by(Session.id)))

    def sessions(self) -> list[str]:
        """Their numbers, as exports have them."""
        with self.study.database.read() as found:
            return list(found.scalars(select(Session.public_id).order_by(Session.id)))


@pytest.fixture
def study(tmp_path) -> Iterator[Callable[..., Served]]:
    """Host a small study; sections of study.toml may be said, such as trials={"practice": 0}."""
    hosted = []

    def host(**sections: Any) -> Served:
        own = {"trials": TRIALS | sections.pop("trials", {}), "exposure": EXPOSURE | sections.pop("exposure", {})}
        opened = open_study(small_study(tmp_path, ("one",), 8, **own, **sections))
        server = make_server("127.0.0.1", 0, create_app(opened), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hosted.append((server, opened))
        return Served(f"http://127.0.0.1:{server.server_port}/", opened)

    yield host
    for server, opened in hosted:
        server.shutdown()
        opened.close()
