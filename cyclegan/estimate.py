"""A configuration goes in; what a run of it would cost on this machine comes out as text. Nothing is written."""

import math
import resource
import sys
import time

import torch

from cgeval.errors import CgevalError
from cyclegan.config import TrainConfig
from cyclegan.devices import choose_device, describe
from cyclegan.inputs import dataset_of
from cyclegan.models.translator import Translator
from cyclegan.networks import count_parameters
from cyclegan.session import check_translator
from cyclegan.step import TrainStep


def describe_run(config: TrainConfig) -> str:
    """The whole configuration, parameter counts, and the measured time and memory of one step, extrapolated."""
    check_translator(config)
    device = choose_device(config.compute)
    step = TrainStep(config, device)
    seconds, peak = measure_step(step)
    lines = [config.to_toml(), "# networks"]
    lines += _network_lines(step.translator)
    lines += [
        "",
        f"# one step on {describe(device)}",
        f"time    {_duration(seconds)} (the second of two real steps, random images)",
    ]
    lines += [f"memory  {peak / 2**30:.2f} GiB at the peak"]
    return "\n".join(lines + _run_lines(config, seconds))


def measure_step(step: TrainStep) -> tuple[float, int]:
    """Seconds of the second of two real steps on random images, and the peak memory in bytes of device or process."""
    px, count = step.config.data.crop_px, step.config.optimiser.batch_size
    generator = torch.Generator().manual_seed(0)
    real_a, real_b = (torch.rand(count, 3, px, px, generator=generator).mul(2).sub(1).to(step.device) for _ in "ab")
    for number in range(2):
        begun = time.perf_counter()
        losses = step(real_a, real_b, step.draws(number))
        losses.tolist()
        seconds = time.perf_counter() - begun
    return seconds, _peak_bytes(step.device)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _network_lines(translator: Translator) -> list[str]:
    counts = {name: count_parameters(network) for name, network in translator.networks.items()}
    lines = [f"{name:8}{count:>14,} parameters" for name, count in counts.items()]
    return [*lines, f"{'total':8}{sum(counts.values()):>14,} parameters"]


def _run_lines(config: TrainConfig, seconds: float) -> list[str]:
    try:
        dataset = dataset_of(config)
        train = dataset.split("train")
    except CgevalError as error:
        return ["", f"# the whole run: unknown, since {error}"]
    images = max(len(train.a), len(train.b))
    steps = math.ceil(images / config.optimiser.batch_size) * config.optimiser.epochs
    cache = (len(train.a) + len(train.b)) * config.data.load_px**2 * 3
    return [
        "",
        f"# the whole run on {dataset.root}",
        f"images  {len(train.a)} of A, {len(train.b)} of B, {'paired' if dataset.paired else 'unpaired'}",
        f"steps   {steps:,} in {config.optimiser.epochs} epochs",
        f"time    {_duration(steps * seconds)}",
        f"disk    {cache / 2**20:.0f} MiB of decoded images, kept for later runs",
    ]


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"
