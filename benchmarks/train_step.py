"""Our training step beside the reference's, in one run: how many times faster, by how much the losses differ.

    python -m benchmarks.train_step                                   the table of docs/performance.md, on this CPU
    python -m benchmarks.train_step --size 128 --set networks.convolution=winograd4
    python -m benchmarks.train_step --size 256 --blocks 9 --set compute.device=cuda --set compute.precision=bf16 \\
        --set compute.channels_last=true --set compute.cuda_graph=true

The plain side is `benchmarks/plain.py`: eager float32, six generator and four discriminator passes, in-place ReLU.
Both start from the same weights and see the same random images. On CUDA the plain side runs there in float32 too.
"""

import argparse
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain import PlainStep, plain_networks
from benchmarks.side_by_side import Action, Ratios, Timed, in_turn, ratios
from cgeval.allocator import keep_freed_memory
from cgeval.files import write_json_atomic
from cgeval.runs import now
from cyclegan.config import load_config
from cyclegan.devices import choose_device, describe
from cyclegan.graph import GraphedStep
from cyclegan.step import TrainStep

OURS = {"G_A": "gen_ab", "G_B": "gen_ba", "D_A": "disc_b", "D_B": "disc_a"}
LOSSES = {
    "G_A": "gan_ab", "G_B": "gan_ba", "cycle_A": "cycle_a", "cycle_B": "cycle_b",
    "idt_A": "identity_b", "idt_B": "identity_a", "D_A": "disc_b", "D_B": "disc_a",
}  # fmt: skip
TABLE = [(64, "direct"), (128, "direct"), (64, "winograd2"), (64, "winograd4"), (128, "winograd2"), (128, "winograd4")]


@dataclass(frozen=True)
class Case:
    """What is timed: both sides build the same networks. changes: `--set` of our side."""

    size_px: int
    blocks: int
    width: int
    device: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """One line of the table. losses_differ: largest relative difference of the first step's eight losses."""

    case: Case
    faster: Ratios
    losses_differ: float
    plain_seconds: float
    our_seconds: float
    plain_peak_bytes: int
    our_peak_bytes: int


def plain_action(case: Case) -> Action:
    """The reference's step; each call trains once and gives the losses by our names."""
    device = torch.device(case.device)
    step = PlainStep({name: net.to(device) for name, net in _networks(case).items()})
    images = [image.to(device) for image in _images(case)]
    return lambda: {LOSSES[name]: float(value) for name, value in step(*images).items()}


def our_action(case: Case) -> Action:
    """The product's step with the settings of the case, from the same weights, as `cyclegan train` runs it."""
    keep_freed_memory()
    config = load_config("cityscapes", _settings(case))
    step = TrainStep(config, choose_device(config.compute))
    for name, network in _networks(case).items():
        step.translator.networks[OURS[name]].load_state_dict(network.state_dict())
    learn = GraphedStep(step) if config.compute.cuda_graph else step
    images = [image.to(step.device) for image in _images(case)]
    done = iter(range(10**9))

    def once() -> dict[str, float]:
        losses = learn(images[0], images[1], step.draws(next(done)))
        return dict(zip(step.losses, losses.tolist(), strict=True))

    return once


def compare(case: Case, pairs: int) -> Result:
    """Time both sides in turn."""
    plain, ours = in_turn((plain_action, case), (our_action, case), pairs=pairs)
    differ = max(abs(ours.first[name] - value) / abs(value) for name, value in plain.first.items())
    return Result(case, ratios(plain, ours), differ, plain.median, ours.median, _peak(plain), _peak(ours))


def main() -> None:
    """Print the table, or the one line that the options describe; --json writes the figures with the hardware."""
    options = _options()
    changes, device = tuple(options.changes), _device(options.changes)
    if options.size is None:
        cases = [Case(px, 6, 64, device, (f"networks.convolution={c}", *changes)) for px, c in TABLE]
    else:
        cases = [Case(options.size, options.blocks, options.width, device, changes)]
    print(f"batch 1 on {hardware()}; ratios: median [smallest, largest] of {options.pairs} pairs", flush=True)
    print(f"{'px':>4} {'blocks':>6}  {'times faster':22}{'losses differ':>14}{'peak MiB, plain / ours':>24}  settings")
    results = []
    for case in cases:
        results.append(compare(case, options.pairs))
        print(_line(results[-1]), flush=True)
    if options.json:
        write_json_atomic(Path(options.json), _report(results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, help="pixels; without it the whole table")
    parser.add_argument("--blocks", type=int, default=6, choices=(6, 9))
    parser.add_argument("--width", type=int, default=64, help="ngf and ndf")
    parser.add_argument("--pairs", type=int, default=7, help="timed steps of each side")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", help="also write the figures here")
    return parser.parse_args()


def _settings(case: Case) -> list[str]:
    return [
        f"networks.generator=resnet{case.blocks}",
        f"networks.width={case.width}",
        f"networks.disc_width={case.width}",
        f"data.load_px={case.size_px * 286 // 256}",
        f"data.crop_px={case.size_px}",
        "objective.identity_weight=0.5",
        *case.changes,
    ]


def _networks(case: Case) -> dict[str, Any]:
    torch.manual_seed(0)
    return plain_networks(case.blocks, case.width, case.width)


def _images(case: Case) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.rand(1, 3, case.size_px, case.size_px, generator=generator) * 2 - 1 for _ in "ab")
    return a, b


def _device(changes: list[str]) -> str:
    return choose_device(load_config("cityscapes", changes).compute).type


def _peak(side: Timed) -> int:
    return side.device_bytes or side.peak_bytes


def hardware() -> str:
    """What a figure was measured on, as it stands beside it."""
    return f"{describe(choose_device(load_config('cityscapes').compute))}; {_processor()}; torch {torch.__version__}"


def _processor() -> str:
    """The processor's name where the system tells it."""
    facts = Path("/proc/cpuinfo")
    if not facts.is_file():
        return platform.processor() or platform.machine()
    lines = facts.read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _line(result: Result) -> str:
    case, faster = result.case, result.faster
    ratio = f"{faster.median:.2f} [{faster.low:.2f}, {faster.high:.2f}]"
    memory = f"{result.plain_peak_bytes / 2**20:.0f} / {result.our_peak_bytes / 2**20:.0f}"
    changes = " ".join(case.changes)
    return f"{case.size_px:>4} {case.blocks:>6}  {ratio:22}{result.losses_differ:>14.1e}{memory:>24}  {changes}"


def _report(results: list[Result]) -> dict[str, Any]:
    return {
        "measured_at": now(),
        "hardware": hardware(),
        "results": [asdict(result) for result in results],
    }


if __name__ == "__main__":
    main()
