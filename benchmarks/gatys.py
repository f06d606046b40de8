"""Our style transfer beside the authors' notebook: seconds an image, and the loss that each leaves.

    python -m benchmarks.gatys --json benchmarks/results/gatys_cpu.json        the table of docs/performance.md
    python -m benchmarks.gatys --size 128 --weights random --pairs tubingen+starry_night
    python -m benchmarks.gatys --device cuda --batches 1,8,32 --size 256 --weights torchvision

The other side is `benchmarks/plain_gatys.py`: 500 closures of torch.optim.LBFGS at the full size, one image at a time.
Both have the same network and lower the same loss; ours goes from coarse to fine, by its default stages. "loss" is what
ours left at the full size over what the notebook left: 1 or less means that ours is no worse. Each side runs in a
process of its own, one after the other; before it is timed it makes a few steps. Pictures: tubingen, golden_gate and
hoovertowernight with starry_night and the_scream, from --data.

With --batches, images a second of one batch after the other; every image of a batch is the first pair's.
"""

import argparse
import multiprocessing as mp
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.plain_gatys import CLOSURES, PlainVGG, PlainWeights, plain_transfer
from benchmarks.train_step import hardware
from cgeval.allocator import keep_freed_memory
from cgeval.datasets import ImageFile
from cgeval.devices import find_device
from cgeval.files import write_json_atomic
from cgeval.gatys.settings import GatysSettings, load_settings
from cgeval.gatys.styles import Look, Style, average_style, to_tensor
from cgeval.gatys.transfer import Pictures, stylise
from cgeval.networks.feature_files import read_features
from cgeval.networks.features import FeatureNetwork, load_features
from cgeval.runs import now

SHARED = Path("../shared/data")
CONV3 = SHARED / "weights/vgg19_normalised_conv3_1/vgg_normalised_conv3_1.pth"
PAIRS = "tubingen+starry_night,golden_gate+the_scream,hoovertowernight+starry_night"
TABLE = ((str(CONV3), 96), (str(CONV3), 160), ("random", 96))
WARM_UP = 3  # steps


@dataclass(frozen=True)
class Case:
    """One content and style at one size, long side in pixels."""

    data: Path
    content: str
    style: str
    size_px: int
    weights: str
    device: str
    precision: str

    def read(self, name: str, look: Look) -> Pictures:
        """uint8 [h, w, 3] of one of the pictures."""
        found = sorted(self.data.glob(f"{name}.*"))
        if not found:
            raise SystemExit(f"{self.data} holds no picture called {name}: name their folder by --data.")
        return look.read(ImageFile(name, found[0]))

    def settings(self) -> GatysSettings:
        """Ours, before they are fitted to the network."""
        return load_settings(values={"weights": self.weights, "precision": self.precision})


@dataclass(frozen=True)
class Side:
    """What one side took and left. losses: of each image at the full size."""

    seconds: float
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """One line of the table. faster: how many times; loss: ours over theirs."""

    content: str
    style: str
    size_px: int
    weights: str
    plain_seconds: float
    our_seconds: float
    faster: float
    plain_loss: float
    our_loss: float
    loss: float


def run_plain(case: Case) -> Side:
    """The notebook's way, in this process."""
    ours, settings, _ = _prepared(case)
    network, mean = _plain_network(case, ours)
    device = find_device(case.device)
    content, painting = (
        (to_tensor(case.read(name, Look((), case.size_px))[None], device) - mean).contiguous()
        for name in (case.content, case.style)
    )
    counts = {
        _convolution(layer): settings.style_weight * weight
        for layer, weight in zip(settings.style_layers, settings.style_weights, strict=True)
    }
    weights = PlainWeights(counts, {_convolution(settings.content_layer): settings.content_weight})
    plain_transfer(network, content, painting, weights, WARM_UP)
    seconds, (_, loss) = _timed(lambda: plain_transfer(network, content, painting, weights))
    return Side(seconds, (loss,))


def run_ours(case: Case, batch: int = 1) -> Side:
    """Our way, in this process, as `cgeval gatys` runs it."""
    keep_freed_memory()
    network, settings, style = _prepared(case)
    contents = np.repeat(case.read(case.content, Look((), case.size_px))[None], batch, axis=0)
    stylise(network, contents, style, _warm(settings))
    seconds, made = _timed(lambda: stylise(network, contents, style, settings))
    return Side(seconds, made.losses)


def compare(case: Case) -> Result:
    """Both sides, each in a process of its own."""
    plain, ours = _apart(run_plain, case), _apart(run_ours, case)
    ratio, loss = plain.seconds / ours.seconds, ours.losses[0] / plain.losses[0]
    weights = "random VGG-19" if case.weights == "random" else Path(case.weights).name
    names = (case.content, case.style, case.size_px, weights)
    return Result(*names, plain.seconds, ours.seconds, ratio, plain.losses[0], ours.losses[0], loss)


def batches(case: Case, sizes: list[int]) -> list[dict[str, float]]:
    """Images a second of our batches, and how many times as many as the notebook's, one image at a time."""
    plain = _apart(run_plain, case)
    rows = []
    for size in sizes:
        ours = _apart(run_ours, case, size)
        rate = size / ours.seconds
        rows.append({"batch": size, "images_per_second": rate, "faster": rate * plain.seconds})
        rows[-1]["loss"] = statistics.mean(ours.losses) / plain.losses[0]
        print(f"  {size:>5} {rate:>10.3f} {rows[-1]['faster']:>14.1f} {rows[-1]['loss']:>8.3f}", flush=True)
    return rows


def main() -> None:
    """Print the table, or what the options describe; --json writes the figures with the hardware."""
    options = _options()
    found: dict[str, Any] = {"closures": CLOSURES, "stages": load_settings().to_dict()["stages"]}
    print(f"on {hardware()}; {CLOSURES} closures beside stages {found['stages']}", flush=True)
    if options.batches:
        found |= {"size_px": options.size or 256, "weights": options.weights, "batches": _print_batches(options)}
    else:
        found["results"] = [asdict(result) for result in _print_table(options)]
    if options.json:
        about = {"measured_at": now(), "hardware": hardware(), "load_average": os.getloadavg()[0]}
        write_json_atomic(options.json, about | found)


def _print_table(options: argparse.Namespace) -> list[Result]:
    table = TABLE if options.size is None else ((options.weights, options.size),)
    print(f"{'px':>4}  {'content':17}{'style':14}{'notebook s':>11}{'ours s':>8}{'faster':>8}{'loss':>7}  weights")
    results = []
    for weights, size in table:
        for case in _cases(options, weights, size):
            result = compare(case)
            results.append(result)
            print(_line(result), flush=True)
        mine = results[-len(options.pairs.split(",")) :]
        faster, loss = (statistics.median(getattr(each, key) for each in mine) for key in ("faster", "loss"))
        print(f"{size:>4}  {'median':50}{faster:>8.2f}{loss:>7.3f}")
    return results


def _line(result: Result) -> str:
    seconds = f"{result.plain_seconds:>11.1f}{result.our_seconds:>8.1f}{result.faster:>8.2f}"
    return f"{result.size_px:>4}  {result.content:17}{result.style:14}{seconds}{result.loss:>7.3f}  {result.weights}"


def _print_batches(options: argparse.Namespace) -> list[dict[str, float]]:
    case = _cases(options, options.weights, options.size or 256)[0]
    print(f"  {'batch':>5} {'images/s':>10} {'times notebook':>14} {'loss':>8}")
    return batches(case, [int(size) for size in options.batches.split(",")])


def _cases(options: argparse.Namespace, weights: str, size: int) -> list[Case]:
    pairs = (pair.split("+") for pair in options.pairs.split(","))
    rest = (size, weights, options.device, options.precision)
    return [Case(options.data, content, style, *rest) for content, style in pairs]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, help="long side in pixels; without it the whole table")
    parser.add_argument("--weights", default=str(CONV3), help="random, torchvision or a file")
    parser.add_argument("--pairs", default=PAIRS, help="CONTENT+STYLE,CONTENT+STYLE, ...")
    parser.add_argument("--data", type=Path, default=SHARED / "style_images")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="of ours, on CUDA")
    parser.add_argument("--batches", help="sizes of our batches, such as 1,8,32: images a second instead of the table")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser.parse_args()


def _prepared(case: Case) -> tuple[FeatureNetwork, GatysSettings, Style]:
    """The network, the settings fitted to it, and the style at every scale."""
    chosen = case.settings()
    device = find_device(case.device)
    network = load_features(chosen.weights, device=device, scale=chosen.scale, precision=chosen.precision)
    settings = chosen.for_network(network.name, network.layers)
    look = Look(settings.gram_keys, case.size_px)
    place = sorted(case.data.glob(f"{case.style}.*"))
    files = [ImageFile(case.style, place[0])] if place else []
    return network, settings, average_style(network, files, look, name=case.style, kind="image")


def _plain_network(case: Case, ours: FeatureNetwork) -> tuple[PlainVGG, torch.Tensor]:
    """The notebook's network with the same weights, scaled as ours are; and the mean that it wants subtracted."""
    source = read_features(case.weights, 0)
    convolutions, before = {}, 1.0
    for name, (weight, bias) in source.convolutions.items():
        after = ours.scales[name.replace("conv", "relu")]
        convolutions[name] = (weight * (after / before), bias * after)
        before = after
    network = PlainVGG(convolutions, reflects=source.reflects, rounds_up=source.rounds_up)
    device = find_device(case.device)
    return network.to(device), torch.tensor(source.mean, device=device).view(1, 3, 1, 1)


def _convolution(layer: str) -> str:
    return layer.replace("relu", "conv")


def _warm(settings: GatysSettings) -> GatysSettings:
    """The same with a few steps at each scale."""
    return replace(settings, stages=tuple(replace(stage, steps=WARM_UP) for stage in settings.stages))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun, result


def _apart(side: Callable[..., Side], *arguments: Any) -> Side:
    """In a fresh process, with its own allocator."""
    with mp.get_context("spawn").Pool(1) as pool:
        return pool.apply(side, arguments)


if __name__ == "__main__":
    main()
