"""A kind and what describes the network go in; a segmentation network comes out, to be trained or to be filled.

smp: segmentation_models_pytorch by architecture and encoder. smp-hub: the same, for the networks that its hub has
trained. torchvision: its segmentation networks by name. fcn8s: the network of the paper. All of them map float32
[n, 3, h, w] to logits [n, outputs, h, w] where h and w are multiples of the network's stride.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cgeval.errors import ConfigError, WeightsError
from cgeval.networks.weights import TORCHVISION_NAMES, hub_file

Triple = tuple[float, float, float]

ARCHITECTURES = (  # all of segmentation_models_pytorch's but dpt, which takes photos of one size only
    "deeplabv3",
    "deeplabv3plus",
    "fpn",
    "linknet",
    "manet",
    "pan",
    "pspnet",
    "segformer",
    "unet",
    "unetplusplus",
    "upernet",
)
SMP_OPTIONS = (
    "encoder_depth",
    "decoder_channels",
    "decoder_pyramid_channels",
    "decoder_segmentation_channels",
    "encoder_output_stride",
)
SMP_KEYS = ("architecture", "encoder", "encoder_weights", *SMP_OPTIONS)
SMP_STRIDE = 32
TIMM = "tu-"  # before the name of any encoder of timm's
IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)  # (0.485, 0.456, 0.406) on the scale 0 .. 255
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
MOST_NAMED = 20


@dataclass(frozen=True)
class Preprocessing:
    """What a network wants to see. mean, std: on the scale 0 .. 255, in the order of channels, "RGB" or "BGR"."""

    mean: Triple
    std: Triple
    channels: str
    stride: int


def build_network(kind: str, arguments: Mapping[str, Any], outputs: int) -> nn.Module:
    """The network of that kind; raises ConfigError for unknown names, with those that are close.

    arguments, by kind: smp and smp-hub: architecture, encoder, and as wanted encoder_weights (None, "imagenet" where
    there is a network, or the path of a local file of weights) and options of segmentation_models_pytorch; torchvision:
    architecture; fcn8s: as wanted width. Raises WeightsError and DownloadError for an encoder's weights.
    """
    builders: dict[str, Callable[[Mapping[str, Any], int], nn.Module]] = {
        "smp": _smp,
        "smp-hub": _smp,
        "torchvision": _torchvision,
        "fcn8s": _fcn8s,
    }
    refuse_unknown("kind of network", kind, builders)
    return builders[kind](arguments, outputs)


def preprocessing(kind: str, arguments: Mapping[str, Any], network: nn.Module) -> Preprocessing:
    """What the network wants to see: what its encoder was trained with on ImageNet, or else ImageNet's mean and std."""
    if kind == "fcn8s":
        raise ConfigError("fcn8s is not trained here, but imported by `cgeval scorer import-caffe FILE scorers/NAME`.")
    if kind == "torchvision":
        return Preprocessing(IMAGENET_MEAN, IMAGENET_STD, "RGB", 1)
    stride = int(getattr(getattr(network, "encoder", None), "output_stride", SMP_STRIDE))
    if arguments.get("encoder_weights") != "imagenet":
        return Preprocessing(IMAGENET_MEAN, IMAGENET_STD, "RGB", stride)
    facts = _encoder_facts(str(arguments["encoder"]))
    scale = 255.0 / max(facts.get("input_range") or (0, 1))
    mean, std = (_triple(facts[key], scale) for key in ("mean", "std"))
    return Preprocessing(mean, std, str(facts.get("input_space", "RGB")), stride)


def encoder_names() -> list[str]:
    """The encoders that segmentation_models_pytorch has names of its own for; `tu-NAME` names any of timm's besides."""
    import segmentation_models_pytorch as smp

    return sorted(smp.encoders.get_encoder_names())


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors by name in a .safetensors file or a file of torch.save; nothing in it is run.

    Raises WeightsError.
    """
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or _short(error)}): restore it.") from None
    except Exception:  # broken bytes make the parsers raise almost anything, and advise what nobody should do
        raise WeightsError(f"{path} is no file of weights, or it was cut off: fetch or copy it again.") from None
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} is no state_dict (tensors by name): save the network's state_dict() alone.")
    return content


def fit_state(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy the tensors into the network; raises WeightsError, naming the first difference, unless all are its own."""
    own = network.state_dict()
    missing, foreign = own.keys() - state.keys(), state.keys() - own.keys()
    if missing or foreign:
        one = f"{min(missing)!r} is missing" if missing else f"{min(foreign)!r} is not the network's"
        raise WeightsError(
            f"{where} holds other tensors than the network: {len(missing)} missing, {len(foreign)} foreign ({one})."
        )
    wrong = next((name for name in own if own[name].shape != state[name].shape), None)
    if wrong is not None:
        shapes = f"{list(state[wrong].shape)}, and {list(own[wrong].shape)} is expected"
        raise WeightsError(f"{where} does not fit the network: {wrong!r} is {shapes}.")
    wild = next((name for name, tensor in state.items() if not _is_finite(tensor)), None)
    if wild is not None:
        raise WeightsError(f"{where} is damaged: {wild!r} holds numbers that are infinite or none.")
    network.load_state_dict(dict(state))


def _is_finite(tensor: Tensor) -> bool:
    """The lowest and the highest tell: both are NaN where any value is; and they are found without a copy."""
    return tensor.numel() == 0 or all(bool(torch.isfinite(value)) for value in tensor.aminmax())


def refuse_unknown(what: str, found: str, known: Iterable[str], all_named: str = "") -> None:
    """Raise ConfigError, naming those that are close, unless the name is known; all_named: a sentence on the others."""
    names = list(known)
    if found in names:
        return
    close = difflib.get_close_matches(found, names, n=4, cutoff=0.5)
    if close:
        raise ConfigError(f"there is no {what} {found!r}: did you mean {' or '.join(close)}?")
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    there = all_named or f"there are {', '.join(names[:MOST_NAMED])}{more}"
    raise ConfigError(f"there is no {what} {found!r}: {there}.")


def _smp(arguments: Mapping[str, Any], outputs: int) -> nn.Module:
    _refuse_keys(arguments, ("architecture", "encoder"), (*SMP_KEYS, "checkpoint"))
    architecture, encoder = str(arguments["architecture"]), str(arguments["encoder"])
    refuse_unknown("architecture", architecture, ARCHITECTURES)
    _refuse_unknown_encoder(encoder)
    state = _encoder_state(encoder, arguments.get("encoder_weights"))
    options = {key: arguments[key] for key in SMP_OPTIONS if key in arguments}
    if state is not None and encoder.startswith(TIMM):
        return _built(architecture, encoder, outputs, options, state)
    network = _built(architecture, encoder, outputs, options, None)
    if state is not None:
        _load_encoder(network, state, f"the weights of the encoder {encoder} ({arguments['encoder_weights']})")
    return network


def _built(
    architecture: str, encoder: str, outputs: int, options: Mapping[str, Any], timm_state: Mapping[str, Tensor] | None
) -> nn.Module:
    """timm takes its weights while it builds, as it renames them to what the network shows of itself."""
    import segmentation_models_pytorch as smp

    overlay = {} if timm_state is None else {"pretrained_cfg_overlay": {"state_dict": dict(timm_state)}}
    try:
        network: nn.Module = smp.create_model(
            architecture,
            encoder_name=encoder,
            encoder_weights=None if timm_state is None else True,
            classes=outputs,
            **options,
            **overlay,
        )
    except (
        ArithmeticError,
        AssertionError,
        LookupError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise ConfigError(  # not every architecture takes every encoder, which the library says in all these ways
            f"{architecture} cannot be built on the encoder {encoder} ({_short(error)}): name another encoder, or unet."
        ) from None
    return network


def _load_encoder(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    encoder: Any = network.encoder
    try:
        encoder.load_state_dict(dict(state))  # the library's encoders leave out the classifier themselves
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{where} do not fit it ({_short(error)}): give the weights of that very encoder.") from None


def _encoder_state(encoder: str, weights: object) -> dict[str, Tensor] | None:
    """Weights of an encoder; None: it begins untrained."""
    if weights is None:
        return None
    if weights == "imagenet":
        return read_state(_encoder_file(encoder, "model.safetensors"))
    path = Path(str(weights))
    if not path.is_file():
        raise WeightsError(f"the encoder's weights {str(path)!r} are not there: imagenet, none or a file is expected.")
    return read_state(path)


def _encoder_file(encoder: str, name: str) -> Path:
    """A file of the encoder's repository on the hub, as segmentation_models_pytorch or timm pin it."""
    repository, revision = _encoder_repository(encoder)
    by_hand = (
        f"run `hf download {repository} {name} --local-dir FOLDER` on a machine with a network and give FOLDER/{name} "
        "as the encoder's weights, or train from scratch"
    )
    return hub_file(repository, name, by_hand, revision)


def _encoder_repository(encoder: str) -> tuple[str, str | None]:
    import segmentation_models_pytorch as smp
    import timm

    if encoder.startswith(TIMM):
        known = timm.models.get_pretrained_cfg(encoder.removeprefix(TIMM))
        found = (known.hf_hub_id, None) if known and known.hf_hub_id else None
    else:
        settings = smp.encoders.encoders[encoder]["pretrained_settings"].get("imagenet")
        found = (settings["repo_id"], settings["revision"]) if settings else None
    if found is None:
        raise ConfigError(
            f"there are no ImageNet weights of the encoder {encoder}: train from scratch, or name another."
        )
    return found


def _encoder_facts(encoder: str) -> Mapping[str, Any]:
    """mean, std, and as known input_space and input_range of an encoder's ImageNet weights."""
    import timm

    known = timm.models.get_pretrained_cfg(encoder.removeprefix(TIMM)) if encoder.startswith(TIMM) else None
    if known is not None:
        return {"mean": known.mean, "std": known.std}
    facts: dict[str, Any] = json.loads(_encoder_file(encoder, "config.json").read_text(encoding="utf-8"))
    return facts


def _refuse_unknown_encoder(encoder: str) -> None:
    import timm

    if not encoder.startswith(TIMM):
        names = encoder_names()
        some = f"there are {', '.join(names[:5])} and {len(names) - 5} more, and tu-NAME for each NAME that timm has"
        refuse_unknown("encoder", encoder, names, some)
    elif not timm.is_model(encoder.removeprefix(TIMM)):
        names = [f"{TIMM}{name}" for name in timm.list_models()]
        refuse_unknown("encoder", encoder, names, f"timm has {len(names)} others, which `timm.list_models()` names")


class _OutOnly(nn.Module):
    """torchvision's networks return a dict; this returns its logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)["out"]
        return logits


def _torchvision(arguments: Mapping[str, Any], outputs: int) -> nn.Module:
    from torchvision.models import get_model

    _refuse_keys(arguments, ("architecture",), ("architecture", "encoder_weights"))
    name = str(arguments["architecture"])
    refuse_unknown("architecture", name, TORCHVISION_NAMES)
    if arguments.get("encoder_weights") is not None:
        raise ConfigError(f"torchvision's {name} begins untrained here: name an smp architecture for ImageNet weights.")
    return _OutOnly(get_model(name, weights=None, weights_backbone=None, num_classes=outputs))


def _fcn8s(arguments: Mapping[str, Any], outputs: int) -> nn.Module:
    from cgeval.networks.fcn8s import WIDTH, FCN8s

    _refuse_keys(arguments, (), ("width", "encoder_weights"))
    return FCN8s(outputs=outputs, width=int(arguments.get("width", WIDTH)))


def _refuse_keys(arguments: Mapping[str, Any], needed: Iterable[str], known: Iterable[str]) -> None:
    missing, foreign = set(needed) - arguments.keys(), arguments.keys() - set(known)
    if missing or foreign:
        what = f"{min(missing)!r} is missing" if missing else f"{min(foreign)!r} is unknown"
        raise ConfigError(f"{what} in what describes the network: {', '.join(known)} are known.")


def _triple(values: Iterable[float], scale: float) -> Triple:
    first, second, third = (round(float(value) * scale, 6) for value in values)
    return first, second, third


def _short(error: object) -> str:
    """What an error says, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:160]} ..."
