"""The PyTorch reference's weight files go in; runs that `cyclegan translate` reads come out; and back.

The reference is junyanz/pytorch-CycleGAN-and-pix2pix. It saves one state dict per network, without saying of what
network, so the architecture is read off the names and shapes. Its files from 2017 on are understood: instance norms
that carry running statistics (never used there, dropped here), the prefixes that DataParallel and torch.compile
leave, and the second convolution of a residual block one place further on where dropout stands before it.

Files are read with `weights_only=True`: nothing in them is run.
"""

import hashlib
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cgeval.datasets import open_dataset
from cgeval.errors import ConfigError, OutputError, RunError, WeightsError
from cgeval.files import write_atomic
from cgeval.runs import Run
from cyclegan import __version__, state
from cyclegan.config import GeneratorName, Networks, TrainConfig, from_dict
from cyclegan.models.generators import build_generator

PREFIXES = ("module.", "_orig_mod.")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
GENERATORS = {"AtoB": "gen_ab", "BtoA": "gen_ba"}
OPPONENTS = {"AtoB": "disc_b", "BtoA": "disc_a"}
LETTERS = {"AtoB": "A", "BtoA": "B"}
EXPECTED = "expected a generator's state dict such as latest_net_G_A.pth"

State = dict[str, Tensor]


@dataclass(frozen=True)
class ReferenceGenerator:
    """A generator's weights under our names, float32 on the host, and the settings that build their network."""

    file: str
    sha256: str
    networks: Networks
    state: State

    @property
    def description(self) -> str:
        """One line for people."""
        net = self.networks
        noise = ", dropout" if net.dropout else ""
        return f"{net.generator}, width {net.width}, {net.norm} norm{noise}"


def read_reference_state(path: Path) -> ReferenceGenerator:
    """Read a generator's weight file of the reference; raises WeightsError saying what the file is instead."""
    data = _read_bytes(path)
    found = _named_tensors(_unpickled(path, data), path)
    networks = _detected(found, path)
    weights = _fitted(found, networks, path)
    return ReferenceGenerator(path.name, hashlib.sha256(data).hexdigest(), networks, weights)


def import_weights(
    files: Mapping[str, Path], run_path: Path, *, size_px: int | None = None, data: Path | None = None
) -> dict[str, ReferenceGenerator]:
    """Make a run that translates with these files, by direction "AtoB" and "BtoA"; run.json comes last.

    size_px: images are squashed to this before they are translated; by default what the paper trains the
    architecture at. data: the dataset that the run remembers. Raises WeightsError, RunError or ConfigError.
    """
    if (run_path / "run.json").exists():
        raise RunError(f"{run_path} already holds a run: name another folder.")
    generators = {direction: read_reference_state(path) for direction, path in files.items()}
    config = _config_for(generators, size_px, data)
    facts = _dataset_facts(data)
    run_path.mkdir(parents=True, exist_ok=True)
    state.save(
        run_path / "checkpoints", _checkpoint(generators, config), metric=None, is_best=False, rule=config.checkpoints
    )
    write_atomic(run_path / "config.toml", config.to_toml().encode())
    sources = {direction: {"file": g.file, "sha256": g.sha256} for direction, g in generators.items()}
    producer = {"name": "cyclegan", "version": __version__, "imported_weights": sources}
    Run.create(run_path, method=config.translator, dataset=facts, producer=producer, settings=config.to_dict())
    return generators


def write_reference_state(
    content: Mapping[str, Any], config: TrainConfig, out: Path, directions: Sequence[str], overwrite: bool = False
) -> list[Path]:
    """Write a checkpoint's generators, and the discriminators they play against, as the reference's files into `out`.

    The reference names a discriminator after its opponent: net_D_A is our disc_b. Raises OutputError for a file
    that is there already, unless overwrite.
    """
    if config.translator not in ("cyclegan", "pix2pix"):
        raise ConfigError(f"the reference has no translator {config.translator!r}: only cyclegan and pix2pix fit it.")
    contents: dict[str, State] = {}
    for direction in directions:
        suffix = "" if config.translator == "pix2pix" else f"_{LETTERS[direction]}"
        contents[f"latest_net_G{suffix}.pth"] = content["networks"][GENERATORS[direction]]
        opponent = content["networks"].get(OPPONENTS[direction])
        if opponent is not None:
            contents[f"latest_net_D{suffix}.pth"] = opponent
    paths = places_for(out, list(contents), overwrite)
    for path, weights in zip(paths, contents.values(), strict=True):
        buffer = BytesIO()
        torch.save({name: value.detach().contiguous().clone() for name, value in weights.items()}, buffer)
        write_atomic(path, buffer.getvalue())
    return paths


def reference_flags(config: TrainConfig) -> str:
    """The options with which the reference's test program builds the exported generators."""
    net = config.networks
    names = {"resnet6": "resnet_6blocks", "resnet9": "resnet_9blocks", "unet128": "unet_128", "unet256": "unet_256"}
    keeps_noise = net.dropout or net.generator.startswith("unet")
    noise = "" if keeps_noise else " --no_dropout"
    return f"--netG {names[net.generator]} --ngf {net.width} --norm {net.norm}{noise}"


def directions_there(content: Mapping[str, Any], wanted: str | None, where: Path) -> list[str]:
    """The directions that the option "ab", "ba", "both" or None asks for; raises ConfigError for a missing one."""
    there = [direction for direction, name in GENERATORS.items() if name in content["networks"]]
    asked = {"ab": ["AtoB"], "ba": ["BtoA"], "both": list(GENERATORS), None: there}[wanted]
    if not there:
        raise ConfigError(f"{where} holds no generator between A and B: there is nothing to export.")
    if not set(asked) <= set(there):
        raise ConfigError(f"{where} translates {' and '.join(there)} only: choose another --direction.")
    return asked


def places_for(out: Path, names: Sequence[str], overwrite: bool) -> list[Path]:
    """Paths of these files in the folder `out`, which is made; raises OutputError where that cannot be."""
    if out.suffix in (".pth", ".pt", ".onnx") and not out.is_dir():
        raise OutputError(f"{out} is a file's name, and a folder is expected: the files get their own names inside it.")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, and a folder is expected: name another place.")
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / name for name in names]
    taken = [path for path in paths if path.exists()]
    if taken and not overwrite:
        raise OutputError(f"{taken[0]} is there already: add --overwrite to replace it, or name another folder.")
    return paths


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise WeightsError(f"{path} is a folder: {EXPECTED} inside it.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}): {EXPECTED}.") from None
    if not data:
        raise WeightsError(f"{path} is empty: fetch it again.")
    head = data[:512].lstrip().lower()
    if head.startswith(b"<"):
        raise WeightsError(f"{path} is a web page and not a weight file: the download went wrong, so fetch it again.")
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer and not the weights themselves: run `git lfs pull` there.")
    return data


def _unpickled(path: Path, data: bytes) -> Any:
    """What torch reads from the bytes; broken bytes make its parsers raise almost anything, so all is caught."""
    try:
        return torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} {_why_unreadable(data, error)}") from None


def _why_unreadable(data: bytes, error: Exception) -> str:
    text = str(error)
    forbidden = re.search(r"GLOBAL (\S+)", text)
    if isinstance(error, pickle.UnpicklingError) and forbidden:
        return (
            f"holds a pickled {forbidden[1]}, which could run code and is not loaded: save the network's state_dict() "
            "in the program that made it."
        )
    if "legacy .tar format" in text:
        return (
            "has the tar format of PyTorch before 0.1.10, which cannot be read safely: save it anew with a later one."
        )
    if "TorchScript" in text:
        return f"is a TorchScript program: {EXPECTED}."
    if data.startswith((b"PK", b"\x80")):
        return "is cut off or damaged: compare its size with the source's and fetch it again."
    return f"is no file that torch.save wrote: {EXPECTED}."


def _named_tensors(content: Any, path: Path) -> State:
    """The tensors by name without prefixes, in float32; raises WeightsError for anything else."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}: {EXPECTED}.")
    if "schema" in content and "networks" in content:
        raise WeightsError(f"{path} is a checkpoint of this program: use `cyclegan translate` on the run it lies in.")
    strange = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strange or not content:
        names = ", ".join(strange[:4]) or "nothing"
        raise WeightsError(f"{path} holds a dictionary with {names} in it and not only tensors: {EXPECTED}.")
    tensors = {_without_prefixes(str(name)): value.detach() for name, value in content.items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise WeightsError(
                f"{path} has infinite or undefined values in {name}: that training failed; take another."
            )
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def _without_prefixes(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.partition(".")[2]
    return name


def _detected(found: State, path: Path) -> Networks:
    """The settings of the generator that has these names and shapes."""
    if any(".conv_block." in name for name in found):
        generator, first, last = _resnet_name(found, path), "model.1.weight", _last_convolution(found)
    elif "model.model.0.weight" in found:
        generator, first, last = _unet_name(found, path), "model.model.0.weight", "model.model.3.weight"
    else:
        raise WeightsError(f"{path} {_what_else(found)}: {EXPECTED}.")
    for name in (first, last):
        if name not in found or found[name].dim() != 4:
            raise WeightsError(f"{path} has no convolution {name}, so it is not the reference's {generator}.")
    is_unet = generator.startswith("unet")
    inputs, outputs = found[first].shape[1], found[last].shape[1 if is_unet else 0]
    if (inputs, outputs) != (3, 3):
        raise WeightsError(f"{path} translates {inputs} channels into {outputs}, and only RGB to RGB is known here.")
    norm = (
        "batch" if any(name.endswith(".weight") and value.dim() == 1 for name, value in found.items()) else "instance"
    )
    second = [value for name, value in found.items() if name.endswith(".conv_block.6.weight")]
    dropout = any(value.dim() == 4 for value in second)  # without dropout a norm is there
    settings = {"generator": generator, "width": found[first].shape[0], "norm": norm, "dropout": dropout}
    return from_dict({"networks": settings}, str(path)).networks


def _resnet_name(found: State, path: Path) -> GeneratorName:
    blocks = {name.split(".")[1] for name in found if ".conv_block." in name}
    if len(blocks) not in (6, 9):
        raise WeightsError(f"{path} has {len(blocks)} residual blocks, and generators with 6 or 9 are known.")
    return "resnet6" if len(blocks) == 6 else "resnet9"


def _unet_name(found: State, path: Path) -> GeneratorName:
    """Two convolutions, down and up, on each level."""
    halvings = sum(value.dim() == 4 for value in found.values()) // 2
    if halvings not in (7, 8):
        raise WeightsError(f"{path} is a U-Net of {halvings} levels, and those of 7 (128 px) and 8 (256 px) are known.")
    return "unet128" if halvings == 7 else "unet256"


def _last_convolution(found: State) -> str:
    return [name for name, value in found.items() if value.dim() == 4][-1]


def _what_else(found: State) -> str:
    first = found.get("model.0.weight")
    if first is not None and first.dim() == 4 and first.shape[2:] == (4, 4):
        return "is a discriminator"
    if "net.0.weight" in found:
        return "is a pixel discriminator"
    return f"is a state dict of another network (its first name is {next(iter(found))!r})"


def _fitted(found: State, networks: Networks, path: Path) -> State:
    """Exactly the tensors that our network has; raises WeightsError naming the first that is missing or different."""
    with torch.device("meta"):
        wanted = build_generator(networks).state_dict()
    kept = dict(found)
    if networks.norm == "instance":
        kept = {name: value for name, value in found.items() if not name.endswith(STATISTICS)}
    for name in wanted:
        if name.endswith("num_batches_tracked"):  # absent before PyTorch 0.4.1; only ever counted up
            kept.setdefault(name, torch.tensor(0))
    what = f"{path} looks like the reference's {networks.generator} of width {networks.width}, but"
    for name, value in wanted.items():
        if name not in kept:
            raise WeightsError(f"{what} has no {name}: it belongs to another variant, or was cut.")
        if kept[name].shape != value.shape:
            shapes = f"{list(kept[name].shape)} where {list(value.shape)} is expected"
            raise WeightsError(f"{what} {name} has the shape {shapes}: it belongs to another variant.")
    extra = [name for name in kept if name not in wanted]
    if extra:
        raise WeightsError(f"{what} also has {extra[0]}: it belongs to another variant.")
    return {name: kept[name].contiguous() for name in wanted}


def _config_for(generators: Mapping[str, ReferenceGenerator], size_px: int | None, data: Path | None) -> TrainConfig:
    """One configuration for all; batch norm means pix2pix, whose test keeps noise and the image's own statistics."""
    first, *others = generators.values()
    for other in others:
        if other.networks != first.networks:
            both = f"{first.file} ({first.description}) and {other.file} ({other.description})"
            raise WeightsError(f"{both} are different networks: the two directions of a run share one architecture.")
    net = first.networks
    size = size_px or (128 if net.generator in ("resnet6", "unet128") else 256)
    images = {"path": str(data.resolve()) if data else "", "load_px": size * 286 // 256, "crop_px": size}
    settings: dict[str, Any] = {"networks": net.model_dump(), "data": images}
    if net.norm == "batch" and not others:
        settings |= {"translator": "pix2pix", "direction": next(iter(generators))}
        settings |= {"optimiser": {"pool_size": 0}, "objective": {"gan": "vanilla"}}
    return from_dict(settings, "the imported weights")


def _checkpoint(generators: Mapping[str, ReferenceGenerator], config: TrainConfig) -> dict[str, Any]:
    """A checkpoint at step 0 that can translate; with no optimisers it cannot be trained on."""
    networks = {GENERATORS[direction]: generator.state for direction, generator in generators.items()}
    content: dict[str, Any] = {"schema": state.SCHEMA, "config": config.to_dict(), "networks": networks}
    return content | {"optimisers": {}, "processes": [], "step": 0, "epoch": 0, "data_digest": "", "best": {}}


def _dataset_facts(data: Path | None) -> dict[str, Any]:
    if data is None:
        return {"name": "unknown", "path": "", "paired": False, "domains": {"A": "A", "B": "B"}}
    return open_dataset(data).run_facts
