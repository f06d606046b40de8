"""A file of a small SqueezeNet, for tests that need some network, and a request that is done in a moment."""

from pathlib import Path

import torch

from cgeval.gatys.making.preparing import Request
from cgeval.gatys.making.wanted import Named
from cgeval.gatys.settings import load_settings

LAYERS = ("relu1", "fire2", "fire3", "fire4")
FIRES = {3: (16, 64), 4: (16, 64), 6: (32, 128)}  # by place in the file: the outputs of squeeze, and of each expand
QUICK = ("stages=1:4", "history=4", "style_layers=relu1,fire2", "content_layer=fire3")


def write_squeezenet(path: Path, seed: int = 0) -> Path:
    """The first three fire modules of SqueezeNet 1.1 under torchvision's keys, drawn by He's rule."""
    generator = torch.Generator().manual_seed(seed)
    state = {}

    def draw(name: str, outputs: int, inputs: int, side: int) -> None:
        deviation = (2 / (inputs * side * side)) ** 0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, side, side, generator=generator) * deviation
        state[f"{name}.bias"] = torch.zeros(outputs)

    draw("0", 64, 3, 3)
    width = 64
    for at, (narrow, wide) in FIRES.items():
        draw(f"{at}.squeeze", narrow, width, 1)
        draw(f"{at}.expand1x1", wide, narrow, 1)
        draw(f"{at}.expand3x3", wide, narrow, 3)
        width = 2 * wide
    torch.save(state, path)
    return path


def request(content: Path, run_path: Path, weights: Path, **others: object) -> Request:
    """What the command line would ask for, with settings that are quick; `changes` adds to them."""
    changes = (*QUICK, *others.pop("changes", ()))
    named = Named(others.pop("styles", ()), others.pop("collection", ()), others.pop("singles", None))
    settings = load_settings(None, None, changes, {"weights": str(weights)})
    return Request(content, run_path, named, settings, **{"device": "cpu", "size_px": 32, **others})
