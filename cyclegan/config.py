"""A TOML file and `key=value` changes go in; one frozen, checked `TrainConfig` comes out, and back to TOML.

Defaults are the paper's (arXiv 1703.10593, sections 4 and 7) where it states them and the PyTorch
reference's where it does not. They live here and nowhere else.
"""

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cgeval.errors import ConfigError

GeneratorName = Literal["resnet6", "resnet9", "unet128", "unet256"]
ObjectiveName = Literal["full", "cycle_alone", "gan_alone", "gan_forward_cycle", "gan_backward_cycle"]
GanLossName = Literal["least_squares", "vanilla", "wgan_gp"]
ScheduleName = Literal["reference", "classic", "paper"]
KeepRule = Literal["last", "every", "all"]
MetricName = Literal["none", "paired_l1_ab", "paired_l1_ba", "cycle_l1", "label_accuracy"]

FREE_ON_RESUME = ("logging.", "checkpoints.", "compute.", "data.path")


class Section(BaseModel):
    """A frozen table of settings; an unknown key, another type and an infinite or undefined number are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Data(Section):
    """Which images, and how they become training crops."""

    path: str = ""
    path_b: str = ""
    load_px: int = Field(286, ge=16)
    crop_px: int = Field(256, ge=16)
    flip: bool = True
    skip_broken: bool = False

    @field_validator("path", "path_b")
    @classmethod
    def _is_unicode(cls, path: str) -> str:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ValueError("a path in Unicode is expected, since it is written into a text file") from None
        return path

    @model_validator(mode="after")
    def _crop_fits(self) -> "Data":
        if self.crop_px > self.load_px:
            raise ValueError(f"crop_px {self.crop_px} is larger than load_px {self.load_px}")
        if self.crop_px % 4:
            works = _nearest(self.crop_px, 4)
            raise ValueError(f"crop_px {self.crop_px} is not a multiple of 4, which the generators need; {works}")
        return self


class Networks(Section):
    """Generators and discriminators (paper, section 7.2)."""

    generator: GeneratorName = "resnet9"
    width: int = Field(64, ge=4)
    dropout: bool = False
    disc_width: int = Field(64, ge=4)
    disc_layers: int = Field(3, ge=1, le=5)
    norm: Literal["instance", "batch"] = "instance"
    init_std: float = Field(0.02, gt=0)
    convolution: Literal["direct", "winograd2", "winograd4"] = "direct"


class Objective(Section):
    """The loss (paper, equations 1 to 3; identity: section 5.2; pix2pix: arXiv 1611.07004, section 3.1).

    identity_weight is a fraction of the cycle weight, as in the reference; 0 leaves the term out.
    """

    name: ObjectiveName = "full"
    gan: GanLossName = "least_squares"
    cycle_weight_a: float = Field(10.0, ge=0)
    cycle_weight_b: float = Field(10.0, ge=0)
    identity_weight: float = Field(0.5, ge=0)
    l1_weight: float = Field(100.0, ge=0)
    gradient_penalty: float = Field(10.0, ge=0)


class Optimiser(Section):
    """Adam, the image pool and the learning-rate schedule."""

    learning_rate: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    batch_size: int = Field(1, ge=1)
    pool_size: int = Field(50, ge=0)
    constant_epochs: int = Field(100, ge=0)
    decay_epochs: int = Field(100, ge=0)
    schedule: ScheduleName = "reference"

    @model_validator(mode="after")
    def _lasts(self) -> "Optimiser":
        if self.epochs == 0:
            raise ValueError("constant_epochs and decay_epochs are both 0, and a run needs at least one epoch")
        return self

    @property
    def epochs(self) -> int:
        """Total number of epochs."""
        return self.constant_epochs + self.decay_epochs


class Compute(Section):
    """Where and how fast; none of it changes the method."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    # The compiler's modes that capture graphs of their own free images which a later phase of the step still reads.
    compile: Literal["off", "default", "max-autotune-no-cudagraphs"] = "off"
    cuda_graph: bool = False
    threads: int = Field(0, ge=0, le=4096)


class Checkpoints(Section):
    """When state is saved, which files are kept, and by which metric the best one is chosen.

    keep: `last` keeps the newest file, `every` also one per `keep_every_epochs`, `all` every one.
    The best by `best_by` on `validation_split` is kept beside them.
    """

    every_epochs: int = Field(1, ge=1)
    every_minutes: float = Field(10.0, gt=0)
    keep: KeepRule = "every"
    keep_every_epochs: int = Field(20, ge=1)
    best_by: MetricName = "none"
    validation_split: str = "val"
    validation_images: int = Field(50, ge=1)


class Logging(Section):
    """What a person sees, and how often. Steps count optimiser steps."""

    every_steps: int = Field(50, ge=1)
    samples_every_steps: int = Field(1000, ge=1)
    sample_rows: int = Field(4, ge=1, le=16)
    tensorboard: bool = True


class TrainConfig(Section):
    """Everything that decides a run."""

    translator: str = "cyclegan"
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    seed: int = Field(0, ge=0, lt=2**63)
    data: Data = Data()
    networks: Networks = Networks()
    objective: Objective = Objective()
    optimiser: Optimiser = Optimiser()
    compute: Compute = Compute()
    checkpoints: Checkpoints = Checkpoints()
    logging: Logging = Logging()

    @model_validator(mode="after")
    def _unet_fits(self) -> "TrainConfig":
        multiple = {"unet128": 128, "unet256": 256}.get(self.networks.generator, 4)
        if self.data.crop_px % multiple:
            found, name = self.data.crop_px, self.networks.generator
            works = _nearest(found, multiple)
            raise ValueError(f"data.crop_px = {found}, and {name} needs a multiple of {multiple}; {works}")
        return self

    @model_validator(mode="after")
    def _discriminator_fits(self) -> "TrainConfig":
        """The last layer before the scores must have an area to be normalised over."""
        layers, px = self.networks.disc_layers, self.data.crop_px
        if px // 2**layers - 1 < 2:
            raise ValueError(
                f"networks.disc_layers = {layers} needs data.crop_px of at least {3 * 2**layers}, and it is {px}"
            )
        return self

    @model_validator(mode="after")
    def _can_be_compiled(self) -> "TrainConfig":
        if self.compute.compile == "off":
            return self
        if self.objective.gan == "wgan_gp":
            raise ValueError("compute.compile cannot differentiate wgan_gp's penalty twice: set it to 'off'")
        if self.networks.convolution != "direct":
            raise ValueError("compute.compile goes with networks.convolution = 'direct' only: set one of them back")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict of numbers and strings, as `from_dict` takes it."""
        return self.model_dump()

    def to_toml(self) -> str:
        """The whole configuration, defaults included."""
        return tomli_w.dumps(self.to_dict())


def from_dict(settings: Mapping[str, Any], where: str) -> TrainConfig:
    """Check nested settings; raises ConfigError naming the key, what was found and what is allowed."""
    try:
        return TrainConfig.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(_sentence(error, where)) from None


def ready_configs() -> dict[str, str]:
    """Name and TOML text of every configuration shipped with the package."""
    folder = resources.files("cyclegan") / "configs"
    files = (entry for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return {entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8") for entry in sorted(files, key=str)}


def load_config(source: str, changes: Sequence[str] = (), values: Mapping[str, object] | None = None) -> TrainConfig:
    """Read a TOML file, or a ready configuration by its name, and apply `section.key=value` changes.

    changes: in TOML's notation, a bare word being a string; values: by dotted key, taken as they are, such as paths.
    """
    text, where = _read(source)
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not valid TOML: {error}.") from None
    for change in changes:
        _apply(settings, change)
    for key, value in (values or {}).items():
        _put(settings, key, value, f"{key}={value}")
    return from_dict(settings, where)


def differing_keys(one: TrainConfig, other: TrainConfig) -> list[str]:
    """Dotted names of the settings in which two configurations differ."""
    first, second = _flat(one.to_dict()), _flat(other.to_dict())
    return [key for key in first if first[key] != second[key]]


def bound_keys(before: TrainConfig, now: TrainConfig) -> list[str]:
    """Of the differing keys those that a resumed run must keep, since its state depends on them."""
    return [key for key in differing_keys(before, now) if not key.startswith(FREE_ON_RESUME)]


def _nearest(px: int, multiple: int) -> str:
    """The sizes next to it that work, in words."""
    below = px // multiple * multiple
    return f"{below} and {below + multiple} work" if below else f"{multiple} works"


def _read(source: str) -> tuple[str, str]:
    """Text and name of the source; a file goes before a ready configuration, and that before a folder of its name."""
    path, ready = Path(source), ready_configs()
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8-sig"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} cannot be read as a TOML text file: {error}.") from None
    if path.stem in ready and str(path) in (path.stem, f"{path.stem}.toml", f"configs/{path.stem}.toml"):
        return ready[path.stem], f"the ready configuration {path.stem!r}"
    what = "a folder" if path.is_dir() else "no such file"
    hint = f" (there is {path / 'config.toml'})" if (path / "config.toml").is_file() else ""
    raise ConfigError(f"{source} is {what}{hint}: expected a TOML file or one of {', '.join(ready)}.")


def _apply(settings: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise ConfigError(f"--set {change!r} is not of the form section.key=value, such as optimiser.batch_size=4.")
    _put(settings, key.strip(), _value(key.strip(), text.strip()), change)


def _put(settings: dict[str, Any], key: str, value: object, change: str) -> None:
    *sections, last = key.split(".")
    table = settings
    for part in sections:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {change!r}: {part!r} is a value, not a section.")
    table[last] = value


def _value(key: str, text: str) -> Any:
    """The text as TOML; as it stands where it is none, or where the setting is a text and TOML sees something else."""
    try:
        value = tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except tomllib.TOMLDecodeError:
        return text
    wants_text = isinstance(_flat(TrainConfig().to_dict()).get(key), str)
    return text if wants_text and not isinstance(value, str) else value


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _sentence(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown setting {key!r}; the known ones are {', '.join(_siblings(key))}."
    if first["type"] == "model_type":
        known = ", ".join(_siblings(f"{key}."))
        return f"{where}: {key} is a section with the settings {known} (found {first['input']!r})."
    found = "" if isinstance(first["input"], dict) else f" (found {first['input']!r})"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {key or 'settings'}: {message[0].lower()}{message[1:]}{found}."


def _siblings(key: str) -> list[str]:
    table: Any = TrainConfig().to_dict()
    for part in key.split(".")[:-1]:
        table = table.get(part, {})
    return list(table)
