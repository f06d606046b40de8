"""A configuration goes in; what a run of it would cost on this machine comes out as text. Nothing is written."""

import math
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

from cgeval.errors import CgevalError
from cyclegan.config import TrainConfig
from cyclegan.devices import choose_device, describe
from cyclegan.graph import GraphedStep
from cyclegan.inputs import dataset_of
from cyclegan.models.translator import Translator
from cyclegan.networks import count_parameters
from cyclegan.session import check_translator
from cyclegan.step import TrainStep

MOST_STEPS, MOST_SECONDS = 5, 3.0


def describe_run(config: TrainConfig) -> str:
    """The whole configuration, parameter counts, and the measured time and memory of one step, extrapolated.

    The text is itself a configuration file: all that is not a setting is a comment.
    """
    check_translator(config)
    device = choose_device(config.compute)
    before = _resident_bytes()
    step = TrainStep(config, device)
    seconds = measure_step(step)
    facts = ["networks", *_network_lines(step.translator), "", f"one step on {describe(device)}"]
    facts += [f"time    {_duration(seconds)}, measured on random images", f"memory  {_memory(device, before)}"]
    facts += ["", *_run_lines(config, seconds), f"saved   {_size(_checkpoint_bytes(step))} for each checkpoint"]
    return config.to_toml() + "\n" + "\n".join(f"# {fact}".rstrip() for fact in facts)


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


def _memory(device: torch.device, before: int) -> str:
    """Peak so far, and how much of it was there before the networks; on a GPU what PyTorch has reserved."""
    if device.type == "cuda":
        return f"{_size(torch.cuda.max_memory_reserved(device))} reserved on the device at the peak"
    return f"{_size(_peak_bytes())} at the peak of the process, {_size(before)} of it PyTorch itself"


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


def _network_lines(translator: Translator) -> list[str]:
    counts = {name: count_parameters(network) for name, network in translator.networks.items()}
    lines = [f"{name:8}{count:>14,} parameters" for name, count in counts.items()]
    return [*lines, f"{'total':8}{sum(counts.values()):>14,} parameters"]


def _run_lines(config: TrainConfig, seconds: float) -> list[str]:
    try:
        dataset = dataset_of(config)
        train = dataset.split("train")
    except CgevalError as error:
        return [f"the whole run: time unknown, since {error}"]
    images = max(len(train.a), len(train.b))
    processes, epochs = int(os.environ.get("WORLD_SIZE", "1")), config.optimiser.epochs  # torchrun says how many
    steps = math.ceil(images / (config.optimiser.batch_size * processes)) * epochs
    together = f", {processes} processes together" if processes > 1 else ""
    cache = (len(train.a) + len(train.b)) * config.data.load_px**2 * 3
    return [
        f"the whole run on {dataset.root}",
        f"images  {len(train.a)} of A, {len(train.b)} of B, {'paired' if dataset.paired else 'unpaired'}",
        f"steps   {steps:,} in {epochs} epoch{'s' if epochs > 1 else ''}{together}",
        f"time    {_duration(steps * seconds)}",
        f"disk    {_size(cache)} of decoded images, kept for later runs",
    ]


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**29 else f"{count / 2**20:.1f} MiB"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"
