"""An app goes in; it is served until somebody says stop, and then every request that had begun is answered."""

import logging
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from waitress.server import create_server

from cgeval.errors import OutputError
from study_server.sessions.lifecycle import expire
from study_server.sessions.study import Study
from study_server.web import logs
from study_server.web.factory import create_app

THREADS = 32
BACKLOG, CONNECTIONS = 1024, 4000
EXPIRE_EVERY_S = 30.0
PATIENCE_S = 30  # for requests that have begun, once it is to stop


def serve(study: Study, host: str, port: int, threads: int, *, trust_proxy: bool, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ready: told the address. Raises OutputError where it cannot listen."""
    app = create_app(study)
    proxy: dict[str, Any] = (
        {"trusted_proxy": "*", "trusted_proxy_headers": "x-forwarded-proto x-forwarded-host"} if trust_proxy else {}
    )
    try:
        server = create_server(
            app,
            host=host,
            port=port,
            threads=threads,
            backlog=BACKLOG,
            connection_limit=CONNECTIONS,
            channel_timeout=120,
            ident="",
            clear_untrusted_proxy_headers=True,
            **proxy,
        )
    except (OSError, ValueError) as error:
        raise OutputError(
            f"nothing can listen at {host}, port {port} ({_why(error)}): name another --port or --host."
        ) from None
    stopped = threading.Event()
    cleaner = threading.Thread(target=_expire_now_and_then, args=(study, stopped), daemon=True)

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    cleaner.start()
    ready(f"http://{host}:{server.effective_port}")  # type: ignore[union-attr]
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that requests wait their turn is no news
    logs.note("serving", threads=threads)
    try:
        server.run()
    finally:
        stopped.set()
        server.task_dispatcher.shutdown(cancel_pending=False, timeout=PATIENCE_S)
        logs.note("stopped")
        study.close()


def _expire_now_and_then(study: Study, stopped: threading.Event) -> None:
    while not stopped.wait(EXPIRE_EVERY_S):
        try:
            expire(study)
        except Exception as error:
            logs.note("expire_failed", error=type(error).__name__)


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host"
    return str(getattr(error, "strerror", None) or error)
