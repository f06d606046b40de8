"""Two makers of a timed action go in; their times, taken in turn in one run, come out with what each process held.

Each side lives in a process of its own, so that memory is measured and the allocator set for it alone; only one
of them works at a time. A drift of the machine's speed hits both: the ratio is taken pair by pair.
"""

import multiprocessing as mp
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

Action = Callable[[], Any]
Maker = Callable[..., Action]


@dataclass(frozen=True)
class Timed:
    """One side: what its first call gave, seconds of each counted call, peak resident and device memory in bytes."""

    first: Any
    seconds: tuple[float, ...]
    peak_bytes: int
    device_bytes: int

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Ratios:
    """How many times faster the second side is: median, smallest and largest over the pairs of calls."""

    median: float
    low: float
    high: float
    pairs: int


def in_turn(one: tuple[Maker, Any], other: tuple[Maker, Any], *, pairs: int, warm_up: int = 2) -> tuple[Timed, Timed]:
    """Call both actions A B A B ...; `warm_up` calls of each are not counted.

    An action returns when its work is done. one, other: a maker and the argument that it is called with.
    """
    context = mp.get_context("spawn")
    sides = [_Side(context, maker, argument) for maker, argument in (one, other)]
    try:
        firsts = [side.ask() for side in sides]
        for _ in range(warm_up - 1):
            for side in sides:
                side.ask()
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(pairs):
            for side, times in zip(sides, seconds, strict=True):
                times.append(side.ask()[1])
        memory = [side.end() for side in sides]
    finally:
        for side in sides:
            side.process.terminate()
    first, second = (
        Timed(start[0], tuple(times), *used) for start, times, used in zip(firsts, seconds, memory, strict=True)
    )
    return first, second


def ratios(slow: Timed, fast: Timed) -> Ratios:
    """Pair by pair, seconds of `slow` over seconds of `fast`."""
    each = [a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)]
    return Ratios(statistics.median(each), min(each), max(each), len(each))


class _Side:
    def __init__(self, context: Any, maker: Maker, argument: Any) -> None:
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_serve, args=(far, maker, argument), daemon=True)
        self.process.start()
        far.close()

    def ask(self) -> tuple[Any, float]:
        """One call: what it gave, and its seconds."""
        self.pipe.send("go")
        return self.pipe.recv()  # type: ignore[no-any-return]

    def end(self) -> tuple[int, int]:
        """Peak memory of the process and of its device."""
        self.pipe.send("end")
        used: tuple[int, int] = self.pipe.recv()
        self.process.join(30)
        return used


def _serve(pipe: Connection, maker: Maker, argument: Any) -> None:
    action = maker(argument)
    while pipe.recv() == "go":
        begun = time.perf_counter()
        result = action()
        pipe.send((result, time.perf_counter() - begun))
    unit = 1 if sys.platform == "darwin" else 1024
    pipe.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, _device_bytes()))


def _device_bytes() -> int:
    torch = sys.modules.get("torch")
    return int(torch.cuda.max_memory_allocated()) if torch and torch.cuda.is_available() else 0
