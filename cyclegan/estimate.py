"""A configuration goes in; what a run of it would cost on this machine comes out, for people or for programs.

Nothing is written.
"""

import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cgeval.errors import CgevalError
from cyclegan.config import TrainConfig
from cyclegan.devices import choose_device, describe
from cyclegan.graph import GraphedStep
from cyclegan.inputs import dataset_of
from cyclegan.networks import count_parameters
from cyclegan.session import check_translator, newest_step
from cyclegan.step import TrainStep

MOST_STEPS, MOST_SECONDS = 5, 3.0


@dataclass(frozen=True)
class Length:
    """How long a run is, which only its dataset can say. root: the dataset's folder; images_a, images_b: to train on.

    steps: of the whole run, by `processes` together; cache_bytes: of the decoded images.
    """

    root: Path
    images_a: int
    images_b: int
    paired: bool
    epochs: int
    processes: int
    steps: int
    cache_bytes: int


@dataclass(frozen=True)
class Estimate:
    """What a run costs. device: in words; parameters: of each network by name; seconds_per_step: measured.

    memory_bytes: peak of the process, of which torch_bytes were there before the networks; on a GPU what is reserved
    there, and torch_bytes is None. steps_done: by the checkpoint that a resumed run goes on from. unknown: where there
    is no length, the sentence that says why.
    """

    config: TrainConfig
    device: str
    parameters: Mapping[str, int]
    seconds_per_step: float
    memory_bytes: int
    torch_bytes: int | None
    checkpoint_bytes: int
    steps_done: int
    length: Length | None
    unknown: str | None

    @property
    def seconds(self) -> float | None:
        """Of all steps that are left; None where their number is not known."""
        if self.length is None:
            return None
        return max(0, self.length.steps - self.steps_done) * self.seconds_per_step


def estimate_run(config: TrainConfig, resumed: Path | None = None) -> Estimate:
    """Build the networks and measure one step. resumed: the run that is gone on with, if there is one."""
    check_translator(config)
    steps_done = newest_step(resumed) if resumed is not None else 0
    device = choose_device(config.compute)
    before = _resident_bytes()
    step = TrainStep(config, device)
    seconds, on_gpu = measure_step(step), device.type == "cuda"
    return Estimate(
        config,
        describe(device),
        {name: count_parameters(network) for name, network in step.translator.networks.items()},
        seconds,
        torch.cuda.max_memory_reserved(device) if on_gpu else _peak_bytes(),
        None if on_gpu else before,
        _checkpoint_bytes(step),
        steps_done,
        *_length(config),
    )


def as_text(estimate: Estimate) -> str:
    """The whole configuration, and the estimate as comments, so that the text is itself a configuration file."""
    facts = ["networks", *_network_lines(estimate.parameters), "", f"one step on {estimate.device}"]
    facts += [f"time    {_duration(estimate.seconds_per_step)}, measured on random images", _memory_line(estimate)]
    facts += ["", *_run_lines(estimate), f"saved   {_size(estimate.checkpoint_bytes)} for each checkpoint"]
    return estimate.config.to_toml() + "\n" + "\n".join(f"# {fact}".rstrip() for fact in facts)


def as_json(estimate: Estimate) -> str:
    """For programs. `steps` is of the whole run, `seconds` of those that are left; null where `unknown` says why."""
    length = estimate.length
    known = {key: getattr(length, key) if length else None for key in ("images_a", "images_b", "epochs", "steps")}
    content = {
        "device": estimate.device,
        "parameters": dict(estimate.parameters),
        "seconds_per_step": estimate.seconds_per_step,
        "memory_bytes": estimate.memory_bytes,
        "checkpoint_bytes": estimate.checkpoint_bytes,
        **known,
        "steps_done": estimate.steps_done,
        "seconds": estimate.seconds,
        "unknown": estimate.unknown,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def measure_step(step: TrainStep) -> float:
    """Seconds of a real step on random images: the median of up to five after a first one that warms up."""
    px, count = step.config.data.crop_px, step.config.optimiser.batch_size
    generator = torch.Generator().manual_seed(0)
    real_a, real_b = (torch.rand(count, 3, px, px, generator=generator).mul(2).sub(1).to(step.device) for _ in "ab")
    learn = GraphedStep(step) if step.config.compute.cuda_graph else step
    seconds: list[float] = []
    for number in range(1 + MOST_STEPS):
        begun = time.perf_counter()
        learn(real_a, real_b, step.draws(number)).tolist()
        seconds.append(time.perf_counter() - begun)
        if number > 0 and sum(seconds) > MOST_SECONDS:
            break
    return statistics.median(seconds[1:])


def _peak_bytes() -> int:
    """Peak of resident memory. Linux's own count is of this program; rusage's also of the one that started it."""
    status = _linux_status()
    if "VmHWM" in status:
        return status["VmHWM"]
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _resident_bytes() -> int:
    return _linux_status().get("VmRSS", 0) or _peak_bytes()


def _linux_status() -> dict[str, int]:
    """Sizes in bytes from /proc; empty on other systems."""
    file = Path("/proc/self/status")
    lines = (line.split() for line in file.read_text().splitlines()) if file.is_file() else iter(())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}


def _checkpoint_bytes(step: TrainStep) -> int:
    """Weights, Adam's two moments of each, and the image pools, in the file of one checkpoint."""
    translator = step.translator
    weights = sum(p.numel() * p.element_size() for p in translator.networks.parameters())
    return 3 * weights + sum(b.numel() * b.element_size() for b in translator.pools.buffers())


def _length(config: TrainConfig) -> tuple[Length | None, str | None]:
    """Of the run, or why it is not known."""
    try:
        dataset = dataset_of(config)
        train = dataset.split("train")
    except CgevalError as error:
        return None, str(error)
    count_a, count_b = len(train.a), len(train.b)
    processes, epochs = int(os.environ.get("WORLD_SIZE", "1")), config.optimiser.epochs  # torchrun says how many
    steps = math.ceil(max(count_a, count_b) / (config.optimiser.batch_size * processes)) * epochs
    cache = (count_a + count_b) * config.data.load_px**2 * 3
    return Length(dataset.root, count_a, count_b, dataset.paired, epochs, processes, steps, cache), None


def _network_lines(parameters: Mapping[str, int]) -> list[str]:
    counts = dict(parameters) | {"total": sum(parameters.values())}
    return [f"{name:8}{count:>14,} parameters" for name, count in counts.items()]


def _memory_line(estimate: Estimate) -> str:
    """Peak so far, and how much of it was there before the networks; on a GPU what PyTorch has reserved."""
    peak = _size(estimate.memory_bytes)
    if estimate.torch_bytes is None:
        return f"memory  {peak} reserved on the device at the peak"
    return f"memory  {peak} at the peak of the process, {_size(estimate.torch_bytes)} of it PyTorch itself"


def _run_lines(estimate: Estimate) -> list[str]:
    length, seconds, done = estimate.length, estimate.seconds, estimate.steps_done
    if length is None or seconds is None:
        return [f"the whole run: time unknown, since {estimate.unknown}"]
    together = f", {length.processes} processes together" if length.processes > 1 else ""
    resumed = f", {done:,} of them done" if done else ""
    return [
        f"the whole run on {length.root}",
        f"images  {length.images_a} of A, {length.images_b} of B, {'paired' if length.paired else 'unpaired'}",
        f"steps   {length.steps:,} in {length.epochs} epoch{'s' if length.epochs > 1 else ''}{together}{resumed}",
        f"time    {_duration(seconds)}{' for those that are left' if done else ''}",
        f"disk    {_size(length.cache_bytes)} of decoded images, kept for later runs",
    ]


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**29 else f"{count / 2**20:.1f} MiB"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"
