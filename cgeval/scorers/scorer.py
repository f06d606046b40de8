"""A scorer's file goes in; the ruler comes out: photos in, logits and class maps out, the same today and next year.

All that could move a number is fixed here: evaluation mode, no gradients, float32 (no autocast, and no TF32 in
convolutions), the order of channels, mean and std, and how sides that do not fit the network's stride are padded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cgeval.errors import ConfigError, WeightsError
from cgeval.labels import LabelSet
from cgeval.networks.pretrained import pretrained
from cgeval.networks.segmenters import build_network, fit_state, read_state
from cgeval.runs import now
from cgeval.scorers.store import ScorerFile, ScorerInfo, read_header, refuse_damaged, refuse_taken, write_scorer


@dataclass(frozen=True)
class Scorer:
    """A segmentation network that measures: frozen, on one device."""

    file: ScorerFile
    network: nn.Module

    @property
    def info(self) -> ScorerInfo:
        """What the file says of the network."""
        return self.file.info

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """float32 [n, outputs, h, w] of photos uint8 [n, 3, h, w] in RGB, at any size, on the network's device.

        Raises ValueError for another kind of tensor.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images are {images.dtype} {list(images.shape)}, and uint8 [n, 3, h, w] is expected")
        height, width = images.shape[2:]
        device = next(self.network.parameters()).device
        with _full_precision(device):
            logits: Tensor = self.network(_seen(images.to(device), self.info))
        return logits[:, :, :height, :width]


def load_scorer(file: ScorerFile, device: torch.device) -> Scorer:
    """The scorer on the device; the state of torch's random numbers is left as it was.

    Raises WeightsError where the tensors are not those that were written, nor those of the network that the file names,
    nor those of `file.sha256`: whatever is measured belongs to that digest, though the file be replaced meanwhile.
    """
    info, digest = file.info, file.sha256
    if read_header(file.path) != info:
        raise _changed(file)
    refuse_damaged(file.path)
    try:
        with torch.random.fork_rng(devices=[]):  # layers are drawn before they are filled
            network = build_network(info.kind, {**info.arguments, "encoder_weights": None}, info.outputs)
    except ConfigError as error:
        raise WeightsError(f"{file.path} names a network that cannot be built here: {error}") from None
    fit_state(network, read_state(file.path), str(file.path))
    if ScorerFile(file.path, info).sha256 != digest:  # looked at anew, after all was copied
        raise _changed(file)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if parameters != info.parameters:
        raise WeightsError(
            f"{file.path} says that its network has {info.parameters} parameters, and {info.kind} has {parameters}: "
            "restore the file, or make the scorer again."
        )
    frozen = network.eval().requires_grad_(False).to(device)
    return Scorer(file, frozen.to(memory_format=_layout(device)))


def class_map(logits: Tensor, size_px: tuple[int, int], classes: int) -> NDArray[np.uint8]:
    """The class map uint8 [height, width] of one photo's logits [outputs, h, w], which are enlarged bilinearly first.

    size_px: width and height of the map. An output beyond the scored classes is void: `classes`. One photo at a time,
    as nineteen classes at 2048 x 1024 are 160 MB.
    """
    width, height = size_px
    if logits.shape[1:] != (height, width):
        logits = F.interpolate(logits[None], size=(height, width), mode="bilinear", align_corners=False)[0]
    found: NDArray[np.uint8] = logits.argmax(dim=0).clamp_(max=classes).to(torch.uint8).cpu().numpy()
    return found


def fetch_scorer(name: str, folder: Path, labels: LabelSet, copy: Path | None = None) -> ScorerFile:
    """Make a scorer of a network that was trained elsewhere; `pretrained_names` lists them.

    copy: where its file, or the folder that holds it, lies on this machine. Raises WeightsError where it does not know
    the label set's classes, DownloadError where it cannot be had, OutputError where there is a scorer already.
    """
    refuse_taken(folder)
    trained = pretrained(name, labels, copy)
    info = ScorerInfo(
        name=folder.resolve().name,
        kind=trained.kind,
        arguments=trained.arguments,
        labels=labels,
        outputs=trained.outputs,
        size_px=trained.size_px,
        protocol="scorer-size",
        mean=trained.preprocessing.mean,
        std=trained.preprocessing.std,
        channels=trained.preprocessing.channels,
        stride=trained.preprocessing.stride,
        trained_on=trained.trained_on,
        validation={},
        source=trained.source,
        parameters=sum(parameter.numel() for parameter in trained.network.parameters()),
        producer=f"cgeval {version('cgeval')}",
        created_at=now(),
    )
    return write_scorer(folder, trained.network.state_dict(), info)


def _changed(file: ScorerFile) -> WeightsError:
    return WeightsError(f"{file.path} was changed while it was in use: begin again, or restore the file first.")


def _seen(images: Tensor, info: ScorerInfo) -> Tensor:
    """What the network sees of uint8 photos: scaled, and padded on the right and below by repeating the border."""
    mean, std = (images.new_tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in (info.mean, info.std))
    ordered = images.flip(1) if info.channels == "BGR" else images
    scaled = ((ordered.float() - mean) / std).contiguous(memory_format=_layout(images.device))
    below, right = (-side % info.stride for side in images.shape[2:])
    return F.pad(scaled, (0, right, 0, below), mode="replicate") if below or right else scaled


def _layout(device: torch.device) -> torch.memory_format:
    """On a CPU, convolutions are up to twice as fast with channels last; on a GPU that pays below float32 only."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """float32 as it is written down: cuDNN would else round products to ten bits (TF32), and choose by the clock."""
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.autocast(device.type, enabled=False), cudnn:
        yield
