"""A preset, a TOML file and `key=value` changes go in; one frozen, checked `GatysSettings` comes out, and back.

Whose numbers the presets are: "notebook" the authors' programs (leongatys/PytorchNeuralStyleTransfer, and for features
of mean 1 leongatys/NeuralImageSynthesis), "paper" Gatys et al. (CVPR 2016, arXiv 1508.06576), "neural-style" the one of
jcjohnson. They differ in what a loss is divided by, in the weights and in the start, and not in layers and optimiser.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from cgeval.errors import ConfigError

PRESETS = ("notebook", "paper", "neural-style")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": PRESETS,
    "scale": ("unit", "as trained"),
    "pooling": ("max", "average"),
    "precision": ("fp32", "bf16"),
    "gram": PRESETS,
    "optimiser": ("lbfgs", "adam"),
    "start": ("content", "noise"),
}
# Half of the notebook's operations, with LBFGS_RATE to about the same loss: see docs/performance.md.
COARSE_TO_FINE = ((0.5, 200), (1.0, 200))
VGG_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # CVPR 2016, section 3, and both programs
VGG_CONTENT = "relu4_2"
VGG_WIDTHS = (64, 128, 256, 512, 512)  # filters of a layer by its block
# The first layer of each size, as in VGG-19, and the second one of the size in which VGG-19 has relu4_2.
SQUEEZENET_STYLE = ("relu1", "fire2", "fire4", "fire6")
SQUEEZENET_CONTENT = "fire5"
SQUEEZENET_WIDTHS = {
    "relu1": 64, "fire2": 128, "fire3": 128, "fire4": 256, "fire5": 256,
    "fire6": 384, "fire7": 384, "fire8": 512, "fire9": 512,
}  # fmt: skip
# neural-style's weights (5, 100, 0.001) are for VGG-19 as Caffe trained it. Its activations are some 250 times those of
# mean 1, as the authors' weights for both say (content 1 and 1e6, style 1e3 / 512^2 and 2e8); the content's loss goes
# with the square of that number, the style's with its fourth power.
CAFFE_MEAN = 250.0
LBFGS_RATE = 1.3  # of a step: further than to where the parabola ends, since these losses are flatter than that
ADAM_RATE = 10.0  # neural-style's, in levels of 0..255
LEAST_HISTORY, MOST_STEPS = 1, 100_000


@dataclass(frozen=True)
class Stage:
    """So many evaluations of loss and gradient at this fraction of the final size."""

    scale: float
    steps: int


@dataclass(frozen=True)
class GatysSettings:
    """All that decides a stylised image but the content and the style.

    loss = content_weight * content + style_weight * sum of style_weights * style by layer + total_variation * TV.
    gram: what the style's and the content's part are divided by: `cgeval.gatys.gram`. history: pairs that L-BFGS
    remembers, 2 x history x 3 x height x width numbers for each image. learning_rate: in levels of 0..255 for Adam,
    of its own step for L-BFGS.
    changed: which of these somebody set; adapted: in words, what a network's layers changed.
    """

    preset: str
    weights: str
    scale: str
    pooling: str
    precision: str
    seed: int
    content_layer: str
    content_weight: float
    style_layers: tuple[str, ...]
    style_weights: tuple[float, ...]
    style_weight: float
    gram: str
    total_variation: float
    optimiser: str
    learning_rate: float
    history: int
    stages: tuple[Stage, ...]
    start: str
    keep_colours: bool
    changed: tuple[str, ...] = ()
    adapted: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def steps(self) -> int:
        """Evaluations of all stages together."""
        return sum(stage.steps for stage in self.stages)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are looked at."""
        return tuple(dict.fromkeys((*self.style_layers, self.content_layer)))

    @property
    def gram_keys(self) -> tuple[str, ...]:
        """The Gram matrices that a style must have: of each layer at each size, by `gram_key`."""
        scales = dict.fromkeys((1.0, *(stage.scale for stage in self.stages)))
        return tuple(gram_key(layer, scale) for scale in scales for layer in self.style_layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, as JSON has them and `from_dict` takes them."""
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return plain | {"stages": [[stage.scale, stage.steps] for stage in self.stages]}

    def for_network(self, name: str, layers: Sequence[str]) -> "GatysSettings":
        """The same for a network with these layers; raises ConfigError for one that was asked for and is not there.

        A preset's layers are VGG-19's. SqueezeNet has its own; of a network that ends early those that it has are used,
        and its deepest one for the content. `adapted` says so.
        """
        style, content, words = _layers_for(self, name, layers)
        missing = [layer for layer in (*style, content) if layer not in layers]
        if missing:
            raise ConfigError(f"{name} has no layer {missing[0]!r}: it has {', '.join(layers)}.")
        weights = self.style_weights
        if style != self.style_layers and "style_weights" not in self.changed:
            weights = default_style_weights(self.preset, self.scale, style)
        return replace(self, style_layers=style, content_layer=content, style_weights=weights, adapted="; ".join(words))


def gram_key(layer: str, scale: float) -> str:
    """What a style calls the Gram matrix of a layer, its images at that part of their size: relu1_1, relu1_1@0.5."""
    return layer if scale == 1 else f"{layer}@{scale!r}"


def parse_gram_key(key: str) -> tuple[str, float]:
    """Layer and scale of what `gram_key` gives."""
    layer, _, scale = key.partition("@")
    return layer, float(scale or 1)


def preset_settings(name: str) -> GatysSettings:
    """The preset of that name; raises ConfigError."""
    _refuse_other("preset", name, PRESETS)
    return _build({"preset": name}, "the preset")


def load_settings(
    preset: str | None = None,
    file: Path | None = None,
    changes: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
) -> GatysSettings:
    """A preset (default: the file's, else notebook), changed by the file, then by `key=value`, then by values.

    Raises ConfigError in one sentence.
    """
    table = _read(file) if file is not None else {}
    where = str(file) if file is not None else "--set"
    if preset is not None:
        table["preset"] = preset
    for change in changes:
        key, value = _change(change)
        table[key] = value
    return _build(table | dict(values or {}), where)


def from_dict(plain: Mapping[str, Any], where: str = "settings") -> GatysSettings:
    """What `to_dict` gave; raises ConfigError."""
    missing = [field.name for field in fields(GatysSettings) if field.name not in plain]
    if missing:
        raise ConfigError(f"{where}: {missing[0]} is missing.")
    changed, adapted = plain["changed"], plain["adapted"]
    rest = {key: value for key, value in plain.items() if key not in ("changed", "adapted")}
    return replace(_build(rest, where), changed=tuple(changed), adapted=str(adapted))


def default_style_weights(preset: str, scale: str, layers: Sequence[str]) -> tuple[float, ...]:
    """One weight a layer: an equal share, 1 each (neural-style), or 1000 / filters^2 (notebook, as trained)."""
    if preset == "neural-style":
        return tuple(1.0 for _ in layers)
    if preset == "notebook" and scale == "as trained":
        return tuple(1e3 / _filters(layer) ** 2 for layer in layers)
    return tuple(1 / len(layers) for _ in layers)


def _defaults(preset: str, scale: str) -> dict[str, Any]:
    """Everything but what follows from other settings.

    paper: alpha / beta is 1e-3, and only that ratio is printed; at 1e6 times that L-BFGS's absolute thresholds are far.
    """
    common: dict[str, Any] = {
        "preset": preset,
        "weights": "torchvision",
        "scale": scale,
        "pooling": "max",
        "precision": "fp32",
        "seed": 0,
        "content_layer": VGG_CONTENT,
        "style_layers": VGG_STYLE,
        "gram": preset,
        "total_variation": 0.0,
        "optimiser": "lbfgs",
        "history": 100,
        "stages": COARSE_TO_FINE,
        "start": "content",
        "keep_colours": False,
    }
    if preset == "paper":
        return common | {"content_weight": 1e3, "style_weight": 1e6, "pooling": "average", "start": "noise"}
    if preset == "neural-style":
        mean = CAFFE_MEAN if scale == "unit" else 1.0
        weights = {"content_weight": 5.0 * mean**2, "style_weight": 100.0 * mean**4, "total_variation": 1e-3}
        return common | weights | {"start": "noise"}
    unit = scale == "unit"
    return common | {"content_weight": 1e6 if unit else 1.0, "style_weight": 1e9 if unit else 1.0}


def _build(table: Mapping[str, Any], where: str) -> GatysSettings:
    preset = table.get("preset", PRESETS[0])
    _refuse_other("preset", preset, PRESETS)
    known = [field.name for field in fields(GatysSettings) if field.name not in ("changed", "adapted")]
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ConfigError(f"{where}: unknown setting {unknown[0]!r}; the known ones are {', '.join(known)}.")
    merged = _defaults(preset, table.get("scale", "unit")) | dict(table)
    merged.setdefault("learning_rate", ADAM_RATE if merged["optimiser"] == "adam" else LBFGS_RATE)
    taken = {key: _KINDS[key](key, value, where) for key, value in merged.items()}
    taken.setdefault("style_weights", default_style_weights(preset, taken["scale"], taken["style_layers"]))
    changed = tuple(key for key in known if key in table and key != "preset")
    return GatysSettings(**taken, changed=changed)


def _layers_for(settings: GatysSettings, name: str, layers: Sequence[str]) -> tuple[tuple[str, ...], str, list[str]]:
    """Style layers, content layer, and in words what was changed for the network."""
    style, content, words = settings.style_layers, settings.content_layer, []
    is_squeezenet = name.startswith("squeezenet")
    if "style_layers" not in settings.changed:
        wanted = SQUEEZENET_STYLE if is_squeezenet else style
        style = tuple(layer for layer in wanted if layer in layers)
        if not style:
            raise ConfigError(
                f"{name} has none of the style layers {', '.join(wanted)}: set style_layers to some of "
                f"{', '.join(layers)}."
            )
        if style != settings.style_layers:
            words.append(f"style layers are {', '.join(style)}: {_reason(is_squeezenet, layers)}")
    if "content_layer" not in settings.changed:
        wanted_one = SQUEEZENET_CONTENT if is_squeezenet else content
        content = wanted_one if wanted_one in layers else layers[-1]
        if content != settings.content_layer:
            words.append(f"the content layer is {content}: {_reason(is_squeezenet, layers)}")
    return style, content, words


def _reason(is_squeezenet: bool, layers: Sequence[str]) -> str:
    """Why a preset's layers, which are VGG-19's, were not all taken."""
    if is_squeezenet:
        return "SqueezeNet's layers of about the same size as VGG-19's"
    return f"the file ends at {layers[-1].replace('relu', 'conv')}, and layers up to there are used"


def _filters(layer: str) -> int:
    """How many filters a layer has; 64 for one that is not known, which the network then refuses."""
    if layer in SQUEEZENET_WIDTHS:
        return SQUEEZENET_WIDTHS[layer]
    block = layer.removeprefix("relu").partition("_")[0]
    return VGG_WIDTHS[int(block) - 1] if block in "12345" and block else VGG_WIDTHS[0]


def _check(settings: GatysSettings) -> None:
    """Raises ConfigError for values that contradict each other or mean nothing."""
    for key, choices in CHOICES.items():
        _refuse_other(key, getattr(settings, key), choices)
    count = len(settings.style_layers)
    if count == 0 or len(set(settings.style_layers)) != count:
        raise ConfigError(
            f"style_layers is {', '.join(settings.style_layers) or 'empty'}: different layers are expected."
        )
    if len(settings.style_weights) != count:
        raise ConfigError(f"style_weights has {len(settings.style_weights)} numbers, and style_layers {count} layers.")
    for key in ("content_weight", "style_weight", "total_variation"):
        _refuse_unless(getattr(settings, key) >= 0, key, getattr(settings, key), "0 or more")
    _refuse_unless(min(settings.style_weights) >= 0, "style_weights", min(settings.style_weights), "0 or more")
    _refuse_unless(settings.learning_rate > 0, "learning_rate", settings.learning_rate, "more than 0")
    _refuse_unless(settings.history >= LEAST_HISTORY, "history", settings.history, "1 or more")
    _refuse_unless(0 <= settings.seed < 2**32, "seed", settings.seed, "0 to 4294967295")
    if settings.content_weight == 0 and settings.style_weight == 0:
        raise ConfigError("content_weight and style_weight are both 0, and then there is nothing to lower.")
    _check_stages(settings.stages)


def _check_stages(stages: Sequence[Stage]) -> None:
    if not stages or stages[-1].scale != 1.0:
        raise ConfigError("stages must end at scale 1, the full size, such as 0.5:300,1:100.")
    for stage, following in pairwise(stages):
        _refuse_unless(stage.scale <= following.scale, "stages", following.scale, "each as large as the one before")
    for stage in stages:
        _refuse_unless(0 < stage.scale <= 1, "stages", stage.scale, "scales above 0, up to 1")
        _refuse_unless(1 <= stage.steps <= MOST_STEPS, "stages", stage.steps, f"1 to {MOST_STEPS} steps")


def _refuse_unless(good: bool, key: str, found: object, expected: str) -> None:
    if not good:
        raise ConfigError(f"{key} is {found}: {expected} is expected.")


def _refuse_other(key: str, found: object, choices: Sequence[str]) -> None:
    if found not in choices:
        raise ConfigError(f"{key} is {found!r}: {' or '.join(choices)} is expected.")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as a TOML text file: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None


def _change(change: str) -> tuple[str, Any]:
    """Key and value of `key=value`, the value in TOML's notation or, where it is none, a bare text."""
    key, equals, text = (part.strip() for part in change.partition("="))
    if not equals or not key:
        raise ConfigError(f"--set {change!r} is not of the form key=value, such as style_weight=10.")
    try:
        return key, tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except tomllib.TOMLDecodeError:
        return key, text


def _text(key: str, value: Any, where: str) -> str:
    if isinstance(value, bool | int | float):
        value = str(value)  # a file may be called 19
    return str(value) if isinstance(value, str) else _wrong(key, value, where, "a text")


def _number(key: str, value: Any, where: str) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return float(value) if good else _wrong(key, value, where, "a finite number")


def _whole(key: str, value: Any, where: str) -> int:
    good = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if good else _wrong(key, value, where, "a whole number")


def _truth(key: str, value: Any, where: str) -> bool:
    return value if isinstance(value, bool) else _wrong(key, value, where, "true or false")


def _texts(key: str, value: Any, where: str) -> tuple[str, ...]:
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    good = isinstance(parts, list | tuple) and all(isinstance(part, str) and part for part in parts)
    return tuple(parts) if good else _wrong(key, value, where, "names such as relu1_1,relu2_1")


def _numbers(key: str, value: Any, where: str) -> tuple[float, ...]:
    if isinstance(value, str):
        value = [_as_number(part) for part in value.split(",")]
    if isinstance(value, int | float):
        value = [value]
    if not isinstance(value, list | tuple):
        _wrong(key, value, where, "numbers such as 1,0.5")
    return tuple(_number(key, part, where) for part in value)


def _stages(key: str, value: Any, where: str) -> tuple[Stage, ...]:
    """From "0.5:300,1:100" or [[0.5, 300], [1, 100]]."""
    if isinstance(value, str):
        value = [[_as_number(number) for number in part.split(":")] for part in value.split(",")]
    pairs = value if isinstance(value, list | tuple) else []
    if not pairs or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        _wrong(key, value, where, "scales with steps, such as 0.5:300,1:100")
    return tuple(Stage(_number(key, scale, where), _whole(key, steps, where)) for scale, steps in pairs)


def _as_number(text: str) -> Any:
    """The number that the text is, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _wrong(key: str, found: object, where: str, expected: str) -> NoReturn:
    raise ConfigError(f"{where}: {key} is {found!r}: {expected} is expected.")


_KINDS: Mapping[str, Callable[[str, Any, str], Any]] = {
    "preset": _text, "weights": _text, "scale": _text, "pooling": _text, "precision": _text, "seed": _whole,
    "content_layer": _text, "content_weight": _number, "style_layers": _texts, "style_weights": _numbers,
    "style_weight": _number, "gram": _text, "total_variation": _number, "optimiser": _text, "learning_rate": _number,
    "history": _whole, "stages": _stages, "start": _text, "keep_colours": _truth,
}  # fmt: skip
