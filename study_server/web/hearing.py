"""A server of waitress's goes in; its connections are heard, and their requests answered in turn, by one thread.

Waitress's own loop asks every connection in each round what it waits for, and a thousand participants are mostly idle.
Here a connection is asked when something has happened to it, and its reply leaves as soon as it is made.
"""

import select
import selectors
import time
from collections import deque
from typing import Any

from waitress import wasyncore

from study_server.web import logs

ASK_ALL_EVERY_S = 10.0  # for connections that have been idle for too long, which waitress marks
_FLAGS = {
    selectors.EVENT_READ: select.POLLIN,
    selectors.EVENT_WRITE: select.POLLOUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: select.POLLIN | select.POLLOUT,
}


class Connections(dict[int, Any]):
    """Waitress's map of what is open, by number. What each of them waits for, the selector knows."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = selectors.DefaultSelector()
        self._wanted: dict[int, int] = {}
        self._changed: set[int] = set()

    def __setitem__(self, number: int, connection: Any) -> None:
        super().__setitem__(number, connection)
        self._changed.add(number)  # it is still being made

    def __delitem__(self, number: int) -> None:
        super().__delitem__(number)
        self._changed.discard(number)
        self._want(number, 0)  # before its number is another's

    def touch(self, *numbers: int) -> None:
        """What they wait for may be something else now."""
        self._changed.update(number for number in numbers if number in self)

    def ready(self, timeout_s: float) -> list[tuple[Any, int]]:
        """Those to which something has happened, with select's flags."""
        for number in self._changed:
            each = self[number]
            writes = each.writable() and not each.accepting
            self._want(number, selectors.EVENT_READ * bool(each.readable()) | selectors.EVENT_WRITE * bool(writes))
        self._changed.clear()
        return [(self[key.fd], _FLAGS[events]) for key, events in self._selector.select(timeout_s)]

    def close(self) -> None:
        """All of them."""
        wasyncore.close_all(self)
        self._selector.close()

    def _want(self, number: int, events: int) -> None:
        before = self._wanted.pop(number, 0)
        if events:
            self._wanted[number] = events
        if before and not events:
            self._selector.unregister(number)
        elif events and not before:
            self._selector.register(number, events)
        elif events != before:
            self._selector.modify(number, events)


class Turn:
    """In the place of waitress's threads: requests that were heard whole wait here until they are answered."""

    def __init__(self) -> None:
        self.waiting: deque[Any] = deque()

    def set_thread_count(self, count: int) -> None:
        """There are none."""

    def add_task(self, channel: Any) -> None:
        """Answer it when it is its turn."""
        self.waiting.append(channel)

    def shutdown(self, cancel_pending: bool = True, timeout: int = 5) -> bool:  # noqa: ARG002
        """Nothing to end."""
        return False


class Hearing:
    """One server's connections and requests. The server was made with these connections and this turn."""

    def __init__(self, server: Any, connections: Connections, turn: Turn) -> None:
        self.server, self.connections, self.turn = server, connections, turn
        self._asked_all = time.monotonic()
        server.pull_trigger = lambda: None  # nobody sleeps who would have to be woken

    def round(self, timeout_s: float) -> None:
        """Hear what there is, waiting for it for so long, and answer every request that is whole."""
        self._hear(timeout_s)
        while self.turn.waiting:
            self._answer(self.turn.waiting.popleft())

    def finish(self, patience_s: float) -> None:
        """Answer what has come already, and let the replies leave whole; nothing new is heard."""
        self.round(0)
        self.server.accepting = False
        until = time.monotonic() + patience_s
        while time.monotonic() < until and any(each.total_outbufs_len for each in self._channels()):
            self._hear(0.1)

    def _hear(self, timeout_s: float) -> None:
        self.connections.touch(self.server._fileno)
        if time.monotonic() - self._asked_all > ASK_ALL_EVERY_S:
            self._asked_all = time.monotonic()
            self.connections.touch(*self.connections)
        for each, flags in self.connections.ready(timeout_s):
            number = each._fileno
            wasyncore.readwrite(each, flags)
            self.connections.touch(number)

    def _answer(self, channel: Any) -> None:
        number = channel._fileno
        try:
            channel.service()
            if channel.connected and not channel.requests:
                wasyncore.write(channel)
        except Exception as error:
            logs.failure("connection", error)
        if number is not None:
            self.connections.touch(number)

    def _channels(self) -> list[Any]:
        return list(self.server.active_channels.values())
