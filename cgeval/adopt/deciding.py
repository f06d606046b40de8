"""Results, a dataset's images and how to pair them go in; which result is of which image comes out, or why none is.

Names are believed where the input images beside the results bear them out, or where there are none to ask. Input
images are believed where every one is clearly one image of the dataset.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from cgeval.adopt.against import Original
from cgeval.adopt.pairing import (
    FARTHEST,
    Order,
    Pairing,
    Refusal,
    Thumbnails,
    by_content,
    by_index,
    by_name,
    order_of,
    thumbnail,
)
from cgeval.errors import ConfigError
from cgeval.images import Picture, read_rgb

Mode = Literal["name", "index", "content"]
LOOKED_AT = 8


@dataclass(frozen=True)
class How:
    """How results are paired. mode: None for names, borne out by input images where there are any, else those alone.

    index_from and index_order: the convention of "index", both of which must be said.
    """

    mode: Mode | None = None
    index_from: int | None = None
    index_order: Order | None = None

    def __post_init__(self) -> None:
        said = [self.index_from is not None, self.index_order is not None]
        if self.mode == "index" and not all(said):
            raise ConfigError(
                "--pair index needs its convention, --index-from 0 or 1 and --index-order natural or lexicographic: "
                "programs count differently, and every one of them gives a score."
            )
        if self.mode != "index" and any(said):
            raise ConfigError("--index-from and --index-order go with --pair index: add it, or leave them out.")


@dataclass(frozen=True)
class Decision:
    """borne_out: the input images agree; note: what a user should know of it besides."""

    pairing: Pairing
    borne_out: bool
    note: str = ""


@dataclass
class Looks:
    """What the input images beside some results and the images of a dataset look like, each read once, when asked."""

    reals: Mapping[str, Path]
    originals: Sequence[Original]
    _seen: dict[str, Thumbnails] = field(default_factory=dict, init=False)
    _known: dict[str, Thumbnails] = field(default_factory=dict, init=False)

    def seen(self, names: Sequence[str]) -> Thumbnails:
        """float32 [n, d]: the input images of these results."""
        readers = {name: (lambda path=self.reals[name]: read_rgb(path)) for name in names}
        return _looked_up(self._seen, readers, "looking at the input images")

    def known(self, ids: Sequence[str]) -> Thumbnails:
        """float32 [n, d]: the dataset's images of these ids."""
        readers = {original.id: original.read for original in self.originals}
        return _looked_up(self._known, {i: readers[i] for i in ids}, "looking at the dataset")

    def bear_out(self, pairing: Pairing) -> bool:
        """Whether eight inputs from all over look like their images, and no neighbour of these any more so."""
        names = [name for name in pairing.ids if name in self.reals]
        asked = [names[i * len(names) // LOOKED_AT] for i in range(LOOKED_AT)] if len(names) > LOOKED_AT else names
        places = {original.id: place for place, original in enumerate(self.originals)}
        around = {places[pairing.ids[name]] + step for name in asked for step in (-1, 0, 1)}
        ids = [self.originals[place].id for place in sorted(around) if 0 <= place < len(self.originals)]
        known = self.known(ids).astype(np.float64)
        for name, picture in zip(asked, self.seen(asked), strict=True):
            distances = ((known - picture) ** 2).mean(axis=1) ** 0.5
            own = distances[ids.index(pairing.ids[name])]
            if own > FARTHEST or own > distances.min() + 1e-6:
                return False
        return True


def decide(names: Sequence[str], looks: Looks, how: How) -> Decision | Refusal:
    """Pair the results of these names with the dataset's images."""
    named = _by_convention(names, looks.originals, how)
    if isinstance(named, Pairing):
        if not looks.reals:
            return Decision(named, borne_out=False)
        if looks.bear_out(named):
            return Decision(named, borne_out=True)
    elif how.mode in ("name", "index"):
        return named
    return _weigh(named, _by_looks(names, looks), how)


def _by_convention(names: Sequence[str], originals: Sequence[Original], how: How) -> Pairing | Refusal:
    if how.mode == "content":
        return Refusal("")
    if how.index_from is None or how.index_order is None:
        return by_name(names, [original.id for original in originals])
    key = order_of(how.index_order)
    ordered = sorted(originals, key=lambda original: key(original.file))
    return by_index(names, [original.id for original in ordered], how.index_from, how.index_order)


def _by_looks(names: Sequence[str], looks: Looks) -> Pairing | Refusal:
    lone = [name for name in names if name not in looks.reals]
    if lone:
        some = f"{len(lone)} results have no input image beside them (first without: {lone[0]!r})"
        return Refusal(
            some if looks.reals else "no input images lie beside them",
            "name the folder of the input images by --real FOLDER",
        )
    ids = [original.id for original in looks.originals]
    return by_content(names, looks.seen(names), ids, looks.known(ids))


def _weigh(named: Pairing | Refusal, seen: Pairing | Refusal, how: How) -> Decision | Refusal:
    """What holds where the names do not pair, or the input images do not bear them out."""
    if isinstance(seen, Pairing):
        return _seen_to_pair(named, seen, how)
    if isinstance(named, Refusal):
        if how.mode == "content":
            return seen
        index = "" if "--pair index" in named.advice + seen.advice else ", add --pair index with its convention"
        return Refusal(f"{named.reason}, and {seen.reason}", f"{named.advice}{index}, or {seen.advice}")
    if how.mode is not None:
        return Decision(named, borne_out=False, note=f"the input images do not bear this out: {seen.reason}")
    return Refusal(
        f"the names fit, but {seen.reason}", f"{seen.advice}, or add --pair name to go by the names all the same"
    )


def _seen_to_pair(named: Pairing | Refusal, seen: Pairing, how: How) -> Decision | Refusal:
    if isinstance(named, Refusal):
        return Decision(seen, borne_out=True)
    if seen.ids == named.ids:
        return Decision(named, borne_out=True)
    name = next(name for name in named.ids if seen.ids.get(name, "") != named.ids[name])
    shown = repr(seen.ids[name]) if name in seen.ids else f"the same as that of {seen.repeats[name]!r}"
    told = f"{name!r} is {named.ids[name]!r} by {named.how}, and its input image shows {shown}"
    if how.mode is not None:
        return Refusal(told, "leave --pair out, or take --pair content")
    return Decision(seen, borne_out=True, note=f"names were not believed: {told}")


def _looked_up(cache: dict[str, Thumbnails], readers: Mapping[str, Callable[[], Picture]], what: str) -> Thumbnails:
    """float32 [n, d] in the order of the readers; several files are read at a time."""
    missing = {name: read for name, read in readers.items() if name not in cache}

    def look(read: Callable[[], Picture]) -> Thumbnails:
        return thumbnail(read())

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found: Iterable[Thumbnails] = pool.map(look, missing.values())
        bar = tqdm(found, total=len(missing), desc=what, unit="img", disable=None if missing else True)
        cache.update(zip(missing, bar, strict=True))
    return np.stack([cache[name] for name in readers])
