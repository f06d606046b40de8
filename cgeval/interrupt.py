"""SIGINT, SIGTERM and SIGHUP go in; a flag that the loop reads between two steps comes out. A second ends at once."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HEARD = b"\nStopping after this step; then the state is saved. Once more ends at once, without saving.\n"


class Stop:
    """Whether somebody has asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler: the first time remember, and say so where a person looks on; the second time interrupt."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), HEARD)  # a handler may interrupt a print, so it must not print


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Within the block the first Ctrl-C, SIGTERM or closed terminal only sets the flag; `nohup` is obeyed."""
    stop = Stop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop.ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
