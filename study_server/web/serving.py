"""A study goes in; it is served until somebody says stop, and then every request that had begun is answered.

One parent listens and looks after its workers: processes of one thread each, which answer what they hear in turn, since
threads of one Python get in each other's way (benchmarks/study_load.py: handing each request to a thread of waitress's
own takes a quarter of the answers a second). A worker that dies is replaced; workers end with their parent.
"""

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from waitress.server import create_server

from cgeval.errors import OutputError
from study_server.sessions.study import open_study
from study_server.sessions.watching import watch
from study_server.web import logs
from study_server.web.factory import LARGEST_BODY, create_app
from study_server.web.hearing import Connections, Hearing, Turn

BACKLOG, CONNECTIONS = 1024, 4000  # of each worker
OTHER_FILES = 96  # that a worker has open beside its connections
EXPIRE_EVERY_S, LOOK_EVERY_S = 30.0, 0.2
HEAR_S = 0.2  # at most, before a worker sees that it is to stop
PATIENCE_S = 30  # for requests that have begun, once it is to stop


@dataclass(frozen=True)
class Serving:
    """How a study is served. trust_proxy: a server with TLS stands in front, and its headers tell the address.

    verbose: each request on the error stream too.
    """

    folder: Path
    host: str
    port: int
    workers: int
    database_url: str | None = None
    trust_proxy: bool = False
    verbose: bool = False


class _StoppedError(BaseException):  # so that nothing that guards against errors takes it for one
    """Somebody says stop. args: the signal's number."""


def serve(serving: Serving, ready: Callable[[str], None]) -> bool:
    """Serve until SIGINT or SIGTERM; returns whether it was SIGINT. ready: told the address.

    Raises a CgevalError where that cannot be begun.
    """
    # The parent has no database open when it forks: SQLite keeps account of its process's locks, and a child has none
    # of those that it would inherit in the books.
    open_study(serving.folder, serving.database_url).close()
    _allow_connections()
    listening = _listen(serving)
    logs.write_to(serving.folder, verbose=serving.verbose)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    reader, writer = os.pipe()  # whose other end closes when the parent is gone, however it went
    workers: set[int] = set()
    interrupted = False
    try:
        workers |= {_worker(serving, listening, reader, writer) for _ in range(serving.workers)}
        ready(_address(serving.host, listening))
        logs.note("serving", workers=serving.workers)
        _look_after(workers, lambda: _worker(serving, listening, reader, writer), serving)
    except _StoppedError as stopped:
        interrupted = stopped.args == (signal.SIGINT,)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        listening.close()
        _end(workers)
        logs.note("stopped")
    return interrupted


def _allow_connections() -> None:
    """As many open files as connections need, as far as the system lets one have them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, soft - OTHER_FILES))


def _address(host: str, listening: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"


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


def _look_after(workers: set[int], replace: Callable[[], int], serving: Serving) -> None:
    """Replace the workers that die, and end the sessions that were left."""
    last = time.monotonic()
    while True:
        time.sleep(LOOK_EVERY_S)
        for process in [each for each in workers if os.waitpid(each, os.WNOHANG)[0]]:
            workers.discard(process)
            logs.trouble("worker_replaced")
            workers.add(replace())
        if time.monotonic() - last > EXPIRE_EVERY_S:
            last = time.monotonic()
            end_what_was_left(serving.folder, serving.database_url)


def end_what_was_left(folder: Path, database_url: str | None) -> None:
    """See `watching.watch`; where that cannot be done now, the log says so."""
    try:
        with closing(open_study(folder, database_url, fill_up=False)) as study:
            watch(study)
    except Exception as error:
        logs.trouble("expire_failed", error=type(error).__name__)


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
        _serve_requests(serving, listening, stop)
        code = 0
    except Exception as error:
        logs.failure("worker", error)
    finally:
        os._exit(code)


def _serve_requests(serving: Serving, listening: socket.socket, stop: threading.Event) -> None:
    proxy: dict[str, Any] = {}
    if serving.trust_proxy:
        proxy = {"trusted_proxy": "*", "trusted_proxy_headers": "x-forwarded-proto x-forwarded-host"}
    connections, turn = Connections(), Turn()
    with closing(open_study(serving.folder, serving.database_url, fill_up=False)) as study, closing(connections):
        server: Any = create_server(
            create_app(study, secure=serving.trust_proxy),
            map=connections,
            sockets=[listening],
            threads=1,
            backlog=BACKLOG,
            connection_limit=_most_connections(),
            channel_timeout=120,
            max_request_body_size=2 * LARGEST_BODY,  # beyond which a body is not even heard
            outbuf_high_watermark=1 << 40,  # nobody else could send what a reply would wait for
            ident=None,
            clear_untrusted_proxy_headers=True,
            _dispatcher=turn,  # type: ignore[arg-type]
            **proxy,
        )
        hearing = Hearing(server, connections, turn)
        while not stop.is_set():
            hearing.round(HEAR_S)
        hearing.finish(PATIENCE_S)


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


def _stop(number: int, _frame: FrameType | None) -> None:
    raise _StoppedError(number)
