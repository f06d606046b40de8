"""Processes and threads that write to one SQLite file go in; they come out one after the other, as they came.

SQLite's own lock is polled ever more rarely, so that whoever has waited long waits longest. This queue is the kernel's,
which forgets nobody; a helper thread stands in it, since its lock knows no limit of time.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cgeval.errors import CgevalError

HELD = "database is locked by another process"


class BusyError(CgevalError):
    """The database is held by another process for longer than one waits, or its server is away.

    Nothing was stored; or, where the connection broke in the very commit, all of it: asking again is safe. said: by the
    database.
    """

    def __init__(self, said: str) -> None:
        super().__init__(
            f"the database is not free ({said}): try again, and see that its server runs, and that no process that "
            "uses it was stopped in the middle."
        )
        self.said = said


class Queue:
    """Of all who write to the file beside which this one lies. A lock ends with its process."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._threads = threading.Lock()
        self._changed = threading.Condition()
        self._is_waiting = self._is_wanted = self._is_closed = False

    @contextmanager
    def turn(self, limit_s: float) -> Iterator[None]:
        """Nobody else is in such a block. Raises BusyError for whoever would wait longer: its holder may be stopped."""
        until = time.monotonic() + limit_s
        if not self._threads.acquire(timeout=limit_s):
            raise BusyError(HELD)
        try:
            self._take(until)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Leave the queue."""
        with self._changed:
            self._is_closed = True
            if not self._is_waiting:
                os.close(self._file)

    def _take(self, until: float) -> None:
        with self._changed:
            if not self._is_waiting:
                try:
                    return fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._is_waiting = True
                    threading.Thread(target=self._stand, daemon=True).start()
            self._is_wanted = True
            try:
                if not self._changed.wait_for(lambda: not self._is_waiting, until - time.monotonic()):
                    raise BusyError(HELD)
            finally:
                self._is_wanted = False

    def _stand(self) -> None:
        """In the kernel's queue, for whoever wants the turn when it comes; it goes on to the next if nobody does."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        with self._changed:
            self._is_waiting = False
            if not self._is_wanted:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            if self._is_closed:
                os.close(self._file)
            self._changed.notify()
