"""A study goes in; it is served until somebody says stop, and then every request that had begun is answered.

One parent listens and looks after its workers: processes of one thread each, which answer what they hear in turn, since
threads of one Python get in each other's way (benchmarks/study_load.py: handing each request to a thread of waitress's
own takes a quarter of the answers a second). A worker that dies is replaced; workers end with their parent.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from waitress.server import create_server

from cgeval.errors import OutputError
from study_server.sessions.lifecycle import expire
from study_server.sessions.study import Study, open_study
from study_server.web import logs
from study_server.web.factory import create_app

BACKLOG, CONNECTIONS = 1024, 4000
EXPIRE_EVERY_S, LOOK_EVERY_S = 30.0, 0.2
HEAR_S = 0.2  # at most, before a worker sees that it is to stop
PATIENCE_S = 30  # for requests that have begun, once it is to stop


@dataclass(frozen=True)
class Serving:
    """How a study is served. trust_proxy: a server with TLS stands in front, and its headers tell the address."""

    folder: Path
    host: str
    port: int
    workers: int
    database_url: str | None = None
    trust_proxy: bool = False


class _StoppedError(BaseException):  # so that nothing that guards against errors takes it for one
    """Somebody says stop."""


def serve(serving: Serving, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ready: told the address. Raises a CgevalError where that cannot be begun."""
    study = open_study(serving.folder, serving.database_url)
    try:
        listening = _listen(serving)
    except BaseException:
        study.close()
        raise
    logs.write_to(serving.folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    reader, writer = os.pipe()  # whose other end closes when the parent is gone, however it went
    workers: set[int] = set()
    try:
        workers |= {_worker(serving, listening, reader, writer) for _ in range(serving.workers)}
        ready(f"http://{serving.host}:{listening.getsockname()[1]}")
        logs.note("serving", workers=serving.workers)
        _look_after(workers, lambda: _worker(serving, listening, reader, writer), study)
    except _StoppedError:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        listening.close()
        _end(workers)
        logs.note("stopped")
        study.close()


def _listen(serving: Serving) -> socket.socket:
    try:
        family = socket.getaddrinfo(serving.host, serving.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((serving.host, serving.port))
        listening.listen(BACKLOG)
    except OSError as error:
        why = "there is no such host" if isinstance(error, socket.gaierror) else error.strerror
        raise OutputError(
            f"nothing can listen at {serving.host}, port {serving.port} ({why}): name another --host or --port."
        ) from None
    return listening


def _look_after(workers: set[int], replace: Callable[[], int], study: Study) -> None:
    """Replace the workers that die, and end the sessions that were left."""
    last = time.monotonic()
    while True:
        time.sleep(LOOK_EVERY_S)
        for process in [each for each in workers if os.waitpid(each, os.WNOHANG)[0]]:
            workers.discard(process)
            logs.note("worker_replaced")
            workers.add(replace())
        if time.monotonic() - last > EXPIRE_EVERY_S:
            last = time.monotonic()
            try:
                expire(study)
            except Exception as error:
                logs.note("expire_failed", error=type(error).__name__)


def _worker(serving: Serving, listening: socket.socket, reader: int, writer: int) -> int:
    """The number of a new process that answers requests."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.close(writer)
        stop = threading.Event()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent says when
        signal.signal(signal.SIGTERM, lambda *_: stop.set())  # never in the middle of an answer
        threading.Thread(target=_leave_with_parent, args=(reader,), daemon=True).start()
        _answer(serving, listening, stop)
        code = 0
    except Exception as error:
        logs.failure("worker", error)
    finally:
        os._exit(code)


def _answer(serving: Serving, listening: socket.socket, stop: threading.Event) -> None:
    study = open_study(serving.folder, serving.database_url, fill_up=False)
    proxy: dict[str, Any] = {}
    if serving.trust_proxy:
        proxy = {"trusted_proxy": "*", "trusted_proxy_headers": "x-forwarded-proto x-forwarded-host"}
    turn = _Turn()
    server: Any = create_server(
        create_app(study, secure=serving.trust_proxy),
        sockets=[listening],
        threads=1,
        connection_limit=CONNECTIONS,
        channel_timeout=120,
        outbuf_high_watermark=1 << 40,  # nobody else could send what a reply would wait for
        ident=None,
        clear_untrusted_proxy_headers=True,
        _dispatcher=turn,  # type: ignore[arg-type]
        **proxy,
    )
    try:
        while not stop.is_set():
            server.asyncore.loop(timeout=HEAR_S, map=server._map, use_poll=True, count=1)
            turn.take()
    finally:
        server.asyncore.loop(timeout=0, map=server._map, use_poll=True, count=1)
        study.close()


class _Turn:
    """In the place of waitress's threads: requests that were heard whole wait here until they are answered."""

    def __init__(self) -> None:
        self.waiting: deque[Any] = deque()

    def set_thread_count(self, count: int) -> None:
        """There are none."""

    def add_task(self, channel: Any) -> None:
        """Answer it when it is its turn."""
        self.waiting.append(channel)

    def take(self) -> None:
        """Answer all that wait, and what came in behind them on the same connections."""
        while self.waiting:
            try:
                self.waiting.popleft().service()
            except Exception as error:
                logs.failure("connection", error)

    def shutdown(self, cancel_pending: bool = True, timeout: int = 5) -> bool:  # noqa: ARG002
        """Nothing to end."""
        return False


def _leave_with_parent(reader: int) -> None:
    os.read(reader, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _end(workers: set[int]) -> None:
    """Let all finish what they have begun, and no longer than that."""
    for process in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    until = time.monotonic() + PATIENCE_S + 5
    left = set(workers)
    while left and time.monotonic() < until:
        left = {each for each in left if not _is_over(each)}
        time.sleep(0.02)
    for process in left:
        os.kill(process, signal.SIGKILL)


def _is_over(process: int) -> bool:
    try:
        return os.waitpid(process, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _StoppedError
