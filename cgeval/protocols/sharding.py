"""Items and a scorer go in; their matrices come out, measured in this process or in several that share the images.

Each process takes shares of the images in turn and keeps its predictions in the cache that all use, so a share that was
done before costs no network. Matrices add; which process counted an image changes nothing.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized as Counter
from pathlib import Path
from typing import Any

import torch

from cgeval.devices import find_device
from cgeval.errors import CgevalError, OutputError
from cgeval.labels import LabelSet
from cgeval.protocols.forward import Forward
from cgeval.protocols.measuring import Measured, Tick, measure
from cgeval.protocols.pictures_in import Item
from cgeval.protocols.planning import Ruler
from cgeval.protocols.predictions import predictions_of
from cgeval.scorers.scorer import load_scorer

SHARE = 16  # images that a process takes at a time


@dataclass(frozen=True)
class Machine:
    """Where and how the network runs. device: "auto", "cpu", "cuda" or "cuda:1"; processes: on this machine."""

    device: str = "auto"
    batch_size: int = 4
    processes: int = 1


class Networks:
    """Scorers that are loaded once, and used for several image sets."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.loaded: dict[tuple[Path, str], Forward] = {}

    def forward(self, ruler: Ruler) -> Forward:
        """The scorer on the device, loaded when it is first asked for."""
        key = (ruler.scorer.path, ruler.protocol)
        if key not in self.loaded:
            self.loaded[key] = _forward(ruler, find_device(self.machine.device))
        return self.loaded[key]


def measure_by_network(networks: Networks, ruler: Ruler, items: Sequence[Item], tick: Tick) -> Measured:
    """Matrices of the items, in their order; predictions that were made before are taken again."""
    machine = networks.machine
    processes = min(machine.processes, -(-len(items) // SHARE))
    if processes <= 1:
        return _measure(networks.forward(ruler), items, ruler.labels, machine.batch_size, tick)
    shares = [items[i : i + SHARE] for i in range(0, len(items), SHARE)]
    context = multiprocessing.get_context("spawn")
    begin = (ruler, machine, context.Value("i", 0))
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=begin)
    parts = []
    try:
        for part in pool.map(_share, shares):
            parts.append(part)
            tick(len(part.ids))
    except KeyboardInterrupt:
        for process in multiprocessing.active_children():
            process.terminate()  # else each would first finish its share
        raise
    except BrokenProcessPool:
        raise OutputError(
            f"one of {processes} processes ended, probably for lack of memory: use fewer --processes or a smaller "
            "--batch-size; what was predicted is kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
    return Measured.joined(parts)


def _forward(ruler: Ruler, device: torch.device) -> Forward:
    return Forward(load_scorer(ruler.scorer, device), ruler.protocol, device)


def _measure(forward: Forward, items: Sequence[Item], labels: LabelSet, batch_size: int, tick: Tick) -> Measured:
    cache = predictions_of(forward.scorer.file, forward.protocol)
    return measure(items, labels, forward, cache=cache, batch_size=batch_size, tick=tick)


_own: dict[str, Any] = {}  # of a process that takes shares: its work, or the mistake that keeps it from any


def _begin(ruler: Ruler, machine: Machine, begun: "Counter[int]") -> None:
    """Load the scorer in a new process, on a device of its own where there are several."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process of the terminal; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with begun.get_lock():
        number = begun.value
        begun.value += 1
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // machine.processes))
    try:
        device = own_device(find_device(machine.device), number)
        _own["work"] = (_forward(ruler, device), ruler.labels, machine.batch_size)
    except CgevalError as error:
        _own["mistake"] = error


def own_device(device: torch.device, number: int) -> torch.device:
    """The device of one of several processes: CUDA devices in turn, where none was named."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", number % torch.cuda.device_count())


def _end_with_parent() -> None:
    """A parent that was killed cannot end its processes, so they end themselves."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _share(items: Sequence[Item]) -> Measured:
    if "mistake" in _own:
        raise _own["mistake"]
    forward, labels, batch_size = _own["work"]
    return _measure(forward, items, labels, batch_size, lambda _count: None)
