"""Settings go in; a `Recipe` comes out, checked: how a scorer of one's own is trained. Without torch.

Everything that decides the result is in it, so one recipe, one dataset and one processor give the same scorer, however
often training is interrupted. Defaults suit a few hundred photos and a processor without a GPU.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cgeval.errors import ConfigError

CLASS_WEIGHTS = ("none", "median_frequency", "enet")
SCHEDULES = ("one_cycle", "poly")
AVERAGES = ("none", "ema")
PRECISIONS = ("fp32", "bf16")
FREE_ON_RESUME = frozenset({"device", "threads", "save_minutes"})  # none of them belongs to the method
SMALLEST_PX, MOST_PX, MOST_PIXELS, STEP_PX = 32, 8192, 512 * 256, 32
LEAST_ZOOM, MOST_ZOOM = 0.1, 10
START_FACTOR, END_FACTOR, POLY_POWER = 1 / 25, 1e-4, 0.9

SMALL_DECODERS: Mapping[str, Mapping[str, int]] = {"segformer": {"decoder_segmentation_channels": 128}}

Option = int | str | tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """How a scorer is trained.

    architecture, encoder, options: a network of segmentation_models_pytorch, and what else describes its decoder.
    encoder_weights: "none", "imagenet" (where there is a network) or a file of the encoder's weights.
    size_px: width and height that whole photos are brought to; None: the photos' own, made smaller above 512 x 256.
    zoom: of a whole photo, lowest and highest, of which a window of size_px is cut; below 1 the rest is void.
    jitter: strength of random brightness, contrast, saturation and hue; 0 for none.
    epochs: how often each photo is seen; minutes: if not 0, they decide, turned into steps once, before the first.
    learning_rate: the highest; schedule: how it goes down after `warm_up`, a fraction of training.
    class_weights: "none", "median_frequency" (Eigen and Fergus 2015) or "enet" (Paszke et al. 2016, 1 / ln(1.02 + p)).
    average: which weights are measured and kept: "none" the last, "ema" their moving average.
    validations: how many, evenly over training, but not more than one an epoch.
    patience: validations without a better class IoU before training ends; 0: never.
    """

    architecture: str = "segformer"
    encoder: str = "tu-resnet10t"
    options: Mapping[str, Option] = field(default_factory=dict)
    encoder_weights: str = "none"
    size_px: tuple[int, int] | None = None
    zoom: tuple[float, float] = (0.75, 1.75)
    flip: bool = True
    jitter: float = 0.25
    batch_size: int = 4
    epochs: int = 60
    minutes: float = 0.0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    schedule: str = "one_cycle"
    warm_up: float = 0.1
    class_weights: str = "enet"
    average: str = "ema"
    validations: int = 20
    patience: int = 0
    seed: int = 0
    device: str = "auto"
    precision: str = "fp32"
    threads: int = 0
    save_minutes: float = 5.0

    def __post_init__(self) -> None:
        for key in TEXTS:
            if not isinstance(getattr(self, key), str):
                raise ConfigError(f"{key} is {getattr(self, key)!r}: a text is expected.")
        _refuse_options(self.options)
        for key, known in CHOICES.items():
            if getattr(self, key) not in known:
                raise ConfigError(f"{key} is {getattr(self, key)!r}: one of {', '.join(known)} is expected.")
        for key, (fewest, most) in COUNTS.items():
            _refuse_outside(key, getattr(self, key), fewest, most, whole=True)
        for key, (low, high) in AMOUNTS.items():
            _refuse_outside(key, getattr(self, key), low, high)
        if not isinstance(self.flip, bool):
            raise ConfigError(f"flip is {self.flip!r}: true or false is expected.")
        _refuse_size(self.size_px)
        _refuse_zoom(self.zoom)

    @property
    def arguments(self) -> dict[str, Any]:
        """What rebuilds the network, without its first weights; a small decoder where its size can be said."""
        return {
            "architecture": self.architecture,
            "encoder": self.encoder,
            **SMALL_DECODERS.get(self.architecture, {}),
            **self.options,
        }

    @property
    def first_weights(self) -> str | None:
        """The encoder's weights as the network's builder takes them."""
        return None if self.encoder_weights == "none" else self.encoder_weights

    def refuse_missing_file(self) -> None:
        """Raise ConfigError where the encoder's weights are a file that is not there."""
        weights = self.first_weights
        if weights not in (None, "imagenet") and not Path(str(weights)).is_file():
            raise ConfigError(f"encoder_weights is {weights!r}: none, imagenet or a file that is there is expected.")

    def learning_rate_at(self, step: int, total_steps: int) -> float:
        """The rate of a step, 0 .. total_steps - 1: up to the highest within the warm-up, then down to almost none."""
        warm = self.warm_up * total_steps
        if step < warm:
            share = (step + 1) / math.ceil(warm)
            return self.learning_rate * (START_FACTOR + (1 - START_FACTOR) * share)
        done = (step - warm) / max(total_steps - warm, 1)
        if self.schedule == "poly":
            return self.learning_rate * math.pow(1 - done, POLY_POWER)
        return self.learning_rate * (END_FACTOR + (1 - END_FACTOR) * (1 + math.cos(math.pi * done)) / 2)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them, and `recipe_of` takes them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


TEXTS = ("architecture", "encoder", "encoder_weights", "device")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "schedule": SCHEDULES,
    "class_weights": CLASS_WEIGHTS,
    "average": AVERAGES,
    "precision": PRECISIONS,
}
COUNTS: Mapping[str, tuple[int, int]] = {
    "batch_size": (2, 4096),  # batch normalisation needs two
    "epochs": (1, 100_000),
    "validations": (1, 100_000),
    "patience": (0, 100_000),
    "seed": (0, 2**63 - 1),
    "threads": (0, 4096),
}
AMOUNTS: Mapping[str, tuple[float, float]] = {
    "jitter": (0, 1),
    "minutes": (0, 100_000),
    "learning_rate": (1e-8, 10),
    "weight_decay": (0, 10),
    "warm_up": (0, 0.9),
    "save_minutes": (0, 100_000),
}


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """The recipe of settings by name, as `Recipe.to_dict` gives them.

    Raises ConfigError for an unknown name, and for a value that cannot be, of whatever type.
    """
    known = [each.name for each in fields(Recipe)]
    for key in settings:
        if key not in known:
            raise ConfigError(f"a recipe has no setting {key!r}: it has {', '.join(known)}.")
    return Recipe(**{key: _with_tuples(value) for key, value in settings.items()})


def differing(before: Recipe, after: Recipe) -> list[str]:
    """Names of the settings that differ and that a resumed training keeps."""
    ours, theirs = before.to_dict(), after.to_dict()
    return [key for key in ours if ours[key] != theirs[key] and key not in FREE_ON_RESUME]


def default_size(width: int, height: int) -> tuple[int, int]:
    """The size that photos are trained at unless one is named: their own, or 512 x 256 pixels' worth of it."""
    scale = math.sqrt(min(1.0, MOST_PIXELS / (width * height)))
    if scale == 1.0:
        return max(width, SMALLEST_PX), max(height, SMALLEST_PX)
    sides = (max(STEP_PX, round(side * scale / STEP_PX) * STEP_PX) for side in (width, height))
    return next(sides), next(sides)


def _with_tuples(value: Any) -> Any:
    """The value with tuples for JSON's lists, also within a table."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(each) for key, each in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _refuse_options(options: Any) -> None:
    if not isinstance(options, Mapping):
        raise ConfigError(f"options is {options!r}: a table is expected, such as {{decoder_channels = [64, 32]}}.")
    for key, value in options.items():
        if not isinstance(value, str) and not all(map(_is_whole, value if isinstance(value, tuple) else [value])):
            raise ConfigError(f"{key!r} in options is {value!r}: a whole number, several, or a text is expected.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _refuse_outside(key: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    if not (_is_whole if whole else _is_number)(value) or not low <= value <= high:
        what = "whole number" if whole else "number"
        raise ConfigError(f"{key} is {value!r}: a {what} from {low} to {high} is expected.")


def _refuse_size(size_px: Any) -> None:
    if size_px is None:
        return
    if not isinstance(size_px, tuple) or len(size_px) != 2:
        raise ConfigError(f"size_px is {size_px!r}: width and height are expected.")
    for side, px in zip(("width", "height"), size_px, strict=True):
        _refuse_outside(f"the {side} of size_px", px, SMALLEST_PX, MOST_PX, whole=True)


def _refuse_zoom(zoom: Any) -> None:
    fits = isinstance(zoom, tuple) and len(zoom) == 2 and all(map(_is_number, zoom))
    if not fits or not LEAST_ZOOM <= zoom[0] <= zoom[1] <= MOST_ZOOM:
        raise ConfigError(
            f"zoom is {zoom!r}: the lowest and the highest are expected, within {LEAST_ZOOM} .. {MOST_ZOOM}."
        )
