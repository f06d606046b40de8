"""A checkpoint's generators go in; ONNX files of any batch and image size, checked against PyTorch, come out.

Input `image` and output `translation`: float32 [batch, 3, height, width] in [-1, 1]; height and width are
multiples of 4 (ResNets), 128 or 256 (U-Nets).
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cgeval.errors import ConfigError, WeightsError
from cgeval.files import write_atomic
from cyclegan.config import Networks, TrainConfig
from cyclegan.interop import GENERATORS, places_for
from cyclegan.models import TRANSLATORS
from cyclegan.models.generators import build_generator

TOLERANCE = 1e-4
MULTIPLES = {"resnet6": 4, "resnet9": 4, "unet128": 128, "unet256": 256}


class OwnStatistics(nn.Module):
    """A batch norm that sees one image at a time, whatever the batch: what pix2pix does when it translates."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same shape."""
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


def export_onnx(
    content: Mapping[str, Any], config: TrainConfig, out: Path, directions: Sequence[str], overwrite: bool = False
) -> dict[Path, float]:
    """Write `gen_ab.onnx` and `gen_ba.onnx` into `out`; returns each file's largest difference from PyTorch's output.

    A file is written only if that difference is within 1e-4; otherwise WeightsError. pix2pix's dropout is left
    out: an ONNX file gives one answer per image.
    """
    _require_onnx()
    paths = places_for(out, [f"{GENERATORS[direction]}.onnx" for direction in directions], overwrite)
    differences = {}
    for path, direction in zip(paths, directions, strict=True):
        network = frozen_generator(content["networks"][GENERATORS[direction]], config)
        model = _as_onnx(network, config.networks, {"direction": direction, "trained_at_px": str(config.data.crop_px)})
        differences[path] = _checked(model, network, config.networks, path)
        write_atomic(path, model)
    return differences


def frozen_generator(weights: Mapping[str, Tensor], config: TrainConfig) -> nn.Module:
    """The generator as it translates, without its noise; Winograd convolutions become the direct ones they equal."""
    network = build_generator(config.networks.model_copy(update={"convolution": "direct"}))
    network.load_state_dict(dict(weights))
    if TRANSLATORS[config.translator].noisy_at_test:
        _use_own_statistics(network)
    return network.eval().requires_grad_(False)


def _use_own_statistics(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, OwnStatistics(child))


def _as_onnx(network: nn.Module, net: Networks, facts: Mapping[str, str]) -> bytes:
    unit = MULTIPLES[net.generator]
    height, width = (unit * torch.export.Dim(name, min=2 if unit == 4 else 1) for name in ("rows", "columns"))
    shape = {0: torch.export.Dim("batch", min=1), 2: height, 3: width}
    with _quietly():
        program = torch.onnx.export(
            network,
            (_image(2, 16 * unit if unit == 4 else 2 * unit, 0),),
            dynamo=True,
            input_names=["image"],
            output_names=["translation"],
            dynamic_shapes=(shape,),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    model.producer_name = "cyclegan"
    meaning = {"range": "-1..1", "layout": "NCHW RGB", "size_multiple": str(unit)}
    for key, value in {**facts, **meaning}.items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString())


def _checked(model: bytes, network: nn.Module, net: Networks, path: Path) -> float:
    """Largest absolute difference at two batch and image sizes; raises WeightsError if it is too large."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    unit, largest = MULTIPLES[net.generator], 0.0
    for seed, (count, size) in enumerate(((1, unit * 8 if unit == 4 else unit), (3, unit * 11 if unit == 4 else unit))):
        image = _image(count, size, seed)
        (found,) = session.run(["translation"], {"image": image.numpy()})
        with torch.no_grad():
            largest = max(largest, float(np.abs(found - network(image).numpy()).max()))
    if not largest <= TOLERANCE:
        raise WeightsError(
            f"{path} is not written: onnxruntime's result differs from PyTorch's by {largest:.1e}, more than "
            f"{TOLERANCE:.0e}; try another version of onnxruntime."
        )
    return largest


def _image(count: int, size: int, seed: int) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The exporter prints its progress and warns of its own parts; its errors still come through."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"ONNX export needs the package {error.name}: pip install 'cgeval[onnx]', or use --format reference."
        ) from None
