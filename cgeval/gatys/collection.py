"""A style goes in; one small file of Gram matrices comes out, which is a style again.

A safetensors file: one float32 [c, c] for each layer and each size of a stage (2.4 MB a size for VGG-19), F F^T / (H W)
averaged over images, before any normalisation by name, so that every Gram setting can use it; and in the header's
metadata what it was made of, and by which network.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cgeval.errors import OutputError, WeightsError
from cgeval.files import write_atomic
from cgeval.gatys.styles import Style
from cgeval.networks.features import FeatureNetwork
from cgeval.runs import now

SCHEMA = 1
SUFFIX = ".safetensors"
KEY = "cgeval_style"
KINDS = ("image", "images", "collection")
FACTS: Mapping[str, type] = {
    "name": str,
    "kind": str,
    "n": int,
    "digest": str,
    "size_px": int,
    "network": dict,
    "tensors_sha256": str,
    "producer": str,
    "created_at": str,
}
MUST_AGREE = ("name", "identity", "pooling", "scale")  # of the network
MAKE_AGAIN = "make it again with --collection"


@dataclass(frozen=True)
class Saved:
    """A style's file. size_px: the size at which its images were looked at; network: by which network."""

    style: Style
    size_px: int
    network: Mapping[str, Any]


def network_facts(network: FeatureNetwork) -> dict[str, Any]:
    """What decides a network's features."""
    return {
        "name": network.name,
        "weights": network.weights,
        "identity": network.identity,
        "pooling": network.pooling,
        "scale": network.scale,
    }


def write_style(path: Path, style: Style, network: FeatureNetwork, size_px: int) -> None:
    """Write the file whole or not at all; raises OutputError where it cannot be."""
    from safetensors.torch import save

    grams = {layer: gram.detach().float().cpu().contiguous() for layer, gram in style.grams.items()}
    facts = {
        "schema": SCHEMA,
        "name": style.name,
        "kind": style.kind,
        "n": style.n,
        "digest": style.digest,
        "size_px": size_px,
        "network": network_facts(network),
        "tensors_sha256": _digest(grams),
        "producer": f"cgeval {version('cgeval')}",
        "created_at": now(),
    }
    _write(path, save(grams, metadata={KEY: json.dumps(facts, ensure_ascii=False)}))


def copy_style(path: Path, other: Path) -> None:
    """The same file at another place; raises OutputError where it cannot be written."""
    _write(other, path.read_bytes())


def read_style(path: Path, network: FeatureNetwork, keys: Collection[str]) -> Saved:
    """The style in the file, with these Gram matrices (`cgeval.gatys.settings.gram_key`: relu1_1, relu1_1@0.5).

    Raises WeightsError for a file that is none, is damaged, lacks a layer, or is of another network.
    """
    facts, grams = _read(path)
    _refuse_another_network(path, facts["network"], network)
    missing = [key for key in keys if key not in grams]
    if missing:
        raise WeightsError(
            f"{path} has no Gram matrix of {missing[0]}, only of {', '.join(grams) or 'nothing'}: choose style_layers "
            f"and the sizes of stages among these, or {MAKE_AGAIN}."
        )
    chosen = {key: grams[key] for key in keys}
    style = Style(facts["name"], facts["kind"], facts["n"], chosen, facts["digest"])
    return Saved(style, facts["size_px"], facts["network"])


def style_digest_in(path: Path) -> str | None:
    """The digest of what a saved style was made of; None for a file that is no such, or is not there."""
    try:
        return str(_read(path)[0]["digest"])
    except WeightsError:
        return None


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): name another place for the style.") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            grams = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is no safetensors file that can be read ({error}): {MAKE_AGAIN}.") from None
    if KEY not in metadata:
        raise WeightsError(
            f"{path} holds no style, though it is a safetensors file: a file that `cgeval gatys` saved is expected."
        )
    facts = _facts(metadata[KEY], path)
    if _digest(grams) != facts["tensors_sha256"] or not all(_is_gram(gram) for gram in grams.values()):
        raise WeightsError(f"{path} is damaged: its numbers are not those that were written; {MAKE_AGAIN}.")
    return facts, grams


def _facts(text: str, path: Path) -> dict[str, Any]:
    """The facts in the metadata, each of its kind; raises WeightsError."""
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise WeightsError(f"{path}: what it says of itself is not JSON ({error}): {MAKE_AGAIN}.") from None
    found = facts.pop("schema", None) if isinstance(facts, dict) else None
    if found != SCHEMA:
        raise WeightsError(
            f"{path} has schema {found}, and this version reads schema {SCHEMA}: use the version that wrote it."
        )
    wrong = [key for key in {**FACTS, **facts} if type(facts.get(key)) is not FACTS.get(key)]
    if wrong or facts["kind"] not in KINDS:
        raise WeightsError(f"{path}: {(wrong or ['kind'])[0]} is missing, unknown or of the wrong type: {MAKE_AGAIN}.")
    return dict(facts)


def _refuse_another_network(path: Path, saved: Mapping[str, Any], network: FeatureNetwork) -> None:
    ours = network_facts(network)
    different = [key for key in MUST_AGREE if saved.get(key) != ours[key]]
    if different:
        theirs = f"{saved.get('name')} ({saved.get('weights')}, {saved.get('pooling')} pooling, {saved.get('scale')})"
        own = f"{network.name} ({network.weights}, {network.pooling} pooling, {network.scale})"
        raise WeightsError(
            f"{path} was made by {theirs} and not by {own}: take the network that it was made by, or {MAKE_AGAIN}."
        )


def _digest(grams: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for layer in sorted(grams):
        digest.update(f"{layer}\0{list(grams[layer].shape)}\0".encode())
        digest.update(grams[layer].numpy().tobytes())
    return digest.hexdigest()


def _is_gram(gram: Tensor) -> bool:
    square = gram.dtype == torch.float32 and gram.ndim == 2 and gram.shape[0] == gram.shape[1]
    return square and bool(torch.isfinite(gram).all())
