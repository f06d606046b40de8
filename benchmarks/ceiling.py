"""How fast a step with direct convolutions could be at most: the share of it that the convolutions themselves take.

    python -m benchmarks.ceiling [--json benchmarks/results/ceiling_cpu.json]

PyTorch's profiler sums the time inside the convolution kernels of our step. If all else cost nothing, the step would
take that long; the reference's time, measured in the same run, over it is the ceiling.
"""

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from benchmarks.side_by_side import Action
from benchmarks.train_step import Case, hardware, our_action, plain_action
from cgeval.files import write_json_atomic
from cgeval.runs import now

KERNELS = ("aten::mkldnn_convolution", "aten::convolution_backward", "aten::_convolution")
STEPS = 7


@dataclass(frozen=True)
class Ceiling:
    """Medians over the steps, in seconds; ceiling: reference over convolutions alone."""

    size_px: int
    reference_s: float
    ours_s: float
    convolutions_s: float
    ceiling: float


def measure(size_px: int) -> Ceiling:
    """Time both steps in turn, then the convolutions inside ours."""
    case = Case(size_px, 6, 64, "cpu", ())
    plain, ours = plain_action(case), our_action(case)
    plain(), ours()
    pairs = [(_seconds(plain), _seconds(ours)) for _ in range(STEPS)]
    inside = [_inside_convolutions(ours) for _ in range(STEPS)]
    reference, own = (statistics.median(times) for times in zip(*pairs, strict=True))
    alone = statistics.median(inside)
    return Ceiling(size_px, reference, own, alone, reference / alone)


def main() -> None:
    """Print a line for each size; --json writes the figures with the hardware."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    print(f"6 blocks, width 64, batch 1 on {hardware()}; medians of {STEPS} steps")
    results = [measure(size_px) for size_px in (64, 128)]
    for r in results:
        share = r.convolutions_s / r.ours_s
        print(
            f"{r.size_px:>4} px  reference {r.reference_s:.3f} s, ours {r.ours_s:.3f} s, its convolutions alone "
            f"{r.convolutions_s:.3f} s ({share:.0%}): at most {r.ceiling:.2f} times the reference"
        )
    if options.json:
        content = {"measured_at": now(), "hardware": hardware(), "steps": STEPS}
        write_json_atomic(options.json, content | {"results": [asdict(r) for r in results]})


def _seconds(action: Action) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def _inside_convolutions(action: Action) -> float:
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        action()
    return sum(row.self_cpu_time_total for row in profiler.key_averages() if row.key in KERNELS) / 1e6


if __name__ == "__main__":
    main()
