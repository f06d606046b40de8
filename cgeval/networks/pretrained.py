"""A name and a label set go in; a network that was trained elsewhere comes out, its outputs in the label set's order.

SegFormer, trained for Cityscapes, from the hub of segmentation_models_pytorch; torchvision's networks, trained for the
classes of VOC. A network is refused for a label set with classes that it does not know.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cgeval.errors import WeightsError
from cgeval.files import sha256_file
from cgeval.labels import KNOWN, LabelSet
from cgeval.networks.segmenters import (
    Preprocessing,
    build_network,
    fit_state,
    preprocessing,
    read_state,
    refuse_unknown,
)
from cgeval.networks.weights import (
    HUB_CHECKPOINTS,
    Checkpoint,
    fetch,
    hub_file,
    pretrained_names,
    refuse_another,
    weights_folder,
)

VOC_SIZE_PX = (520, 520)  # of the short side, to which torchvision's reference script brought photos
SEGFORMER_HEADS = ("segmentation_head.0",)
SEGFORMER_TERMS = "NVIDIA Source Code License for SegFormer: not for commercial use"
MOST_NAMED = 20


@dataclass(frozen=True)
class Pretrained:
    """A network that was trained elsewhere, its outputs brought into the order of a label set's classes."""

    kind: str
    arguments: Mapping[str, Any]
    network: nn.Module
    outputs: int
    size_px: tuple[int, int]
    preprocessing: Preprocessing
    trained_on: Mapping[str, Any]
    source: Mapping[str, Any]


def pretrained(name: str, labels: LabelSet, copy: Path | None = None) -> Pretrained:
    """The network of that name, which must know every class of the label set; its other classes become void.

    copy: where its file, or the folder that holds it, lies on this machine; fetched where None. Raises WeightsError
    naming the classes that it lacks, before anything is fetched.
    """
    names = pretrained_names()
    named = {each.rpartition("/")[2]: each for each in names} | {each: each for each in names}
    refuse_unknown("trained network", name, named, "`cgeval scorer list --remote` names them")
    short = named[name].rpartition("/")[2]
    make = _trained_segformer if short in HUB_CHECKPOINTS else _trained_torchvision
    return make(short, labels, copy)


def _trained_segformer(name: str, labels: LabelSet, copy: Path | None) -> Pretrained:
    checkpoint = HUB_CHECKPOINTS[name]
    categories = [label.name for label in KNOWN["cityscapes19"].classes]
    order = _channel_order(categories, labels, f"smp-hub/{name} (trained on Cityscapes)")
    file = _segformer_file(checkpoint, copy)
    arguments = {
        "architecture": "segformer",
        "encoder": checkpoint.encoder,
        "decoder_segmentation_channels": checkpoint.decoder_width,
        "checkpoint": name,
    }
    network = build_network("smp-hub", arguments, len(categories))
    fit_state(network, _reordered(read_state(file), SEGFORMER_HEADS, order), str(file))
    source = {"repository": checkpoint.repository, **_digest(file), "terms": SEGFORMER_TERMS}
    trained_on = {"name": "cityscapes", "split": "train", "n": 2975}
    seen = preprocessing("smp-hub", arguments, network)
    return Pretrained("smp-hub", arguments, network, len(order), checkpoint.size_px, seen, trained_on, source)


def _segformer_file(checkpoint: Checkpoint, copy: Path | None) -> Path:
    name = "model.safetensors"
    by_hand = (
        f"run `hf download {checkpoint.repository} --local-dir FOLDER` on a machine with a network, copy FOLDER here "
        "and give it with --file"
    )
    return hub_file(checkpoint.repository, name, by_hand) if copy is None else _copied(copy, name)


def _trained_torchvision(name: str, labels: LabelSet, copy: Path | None) -> Pretrained:
    from torchvision.models import get_model_weights

    trained: Any = get_model_weights(name)["DEFAULT"]
    categories = [str(category).strip("_") for category in trained.meta["categories"]]
    order = _channel_order(categories, labels, f"torchvision/{name} (trained on COCO for the classes of VOC)")
    file_name = str(trained.url).rpartition("/")[2]
    digits = file_name.removesuffix(".pth").rpartition("-")[2]
    if copy is None:
        file = fetch(trained.url, digits, weights_folder() / file_name)
    else:
        file = _copied(copy, file_name)
        refuse_another(file, digits)
    state = {f"network.{key}": value for key, value in read_state(file).items() if not key.startswith("aux_")}
    arguments = {"architecture": name}
    network = build_network("torchvision", arguments, len(categories))
    fit_state(network, _reordered(state, _torchvision_heads(name), order), str(file))
    source = {"url": trained.url, **_digest(file)}
    seen = preprocessing("torchvision", arguments, network)
    trained_on = {"name": "coco", "split": "train"}
    return Pretrained("torchvision", arguments, network, len(order), VOC_SIZE_PX, seen, trained_on, source)


def _torchvision_heads(name: str) -> tuple[str, ...]:
    """The layers that give the logits."""
    if name.startswith("lraspp"):
        return ("network.classifier.low_classifier", "network.classifier.high_classifier")
    return ("network.classifier.4",)


def _channel_order(categories: list[str], labels: LabelSet, name: str) -> list[int]:
    """Which of the network's channels comes where: the label set's classes first, then the rest."""
    wanted = [label.name for label in labels.classes]
    missing = [each for each in wanted if each not in categories]
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise WeightsError(
            f"{name} does not know {len(missing)} of the {len(wanted)} classes of label set {labels.name!r} "
            f"({', '.join(missing[:MOST_NAMED])}{more}), so it cannot score them: "
            "`cgeval scorer train DATASET scorers/NAME` makes one that does."
        )
    first = [categories.index(each) for each in wanted]
    return first + [i for i in range(len(categories)) if i not in first]


def _reordered(state: Mapping[str, Tensor], layers: Iterable[str], order: list[int]) -> dict[str, Tensor]:
    """The state with the outputs of those layers in another order."""
    names = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    return {
        name: tensor[order] if name in names and len(tensor) == len(order) else tensor for name, tensor in state.items()
    }


def _copied(copy: Path, name: str) -> Path:
    """The file, or the one of that name in the folder."""
    file = copy / name if copy.is_dir() else copy
    if not file.is_file():
        raise WeightsError(f"{file} is not there: give the file {name}, or the folder that holds it.")
    return file


def _digest(file: Path) -> dict[str, str]:
    return {"file": file.name, "sha256": sha256_file(file)}
