"""A wanted style goes in; its Gram matrices come out, averaged once and kept in the run for the next time.

RUN/gatys/styles/<name>_<direction>.safetensors     the average of several images, or of many
RUN/gatys/styles/<name>_<direction>.json            which images of a collection stand for it
RUN/gatys/styles/<name>_<direction>.png             what it looks like, for people
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cgeval.datasets import ImageFile
from cgeval.errors import RunError, WeightsError
from cgeval.files import write_json_atomic
from cgeval.gatys.collection import SUFFIX, copy_style, read_style, style_digest_in, write_style
from cgeval.gatys.making.pending import FOLDER
from cgeval.gatys.making.sheet import TILES, mosaic, spread
from cgeval.gatys.making.wanted import Wanted, single_of
from cgeval.gatys.making.words import patience_s
from cgeval.gatys.styles import Look, Style, average_style, representatives
from cgeval.images import read_rgb, write_png
from cgeval.networks.features import FeatureNetwork

STYLES = "styles"
LOOKED_AT = 200  # images of a collection, from all over, among which those that stand for it are sought
READERS = 4
FEW = 8  # images that are read without a bar
PREVIEW_PX = 384

Seen = Callable[[], None]


@dataclass(frozen=True)
class Observer:
    """Who looks at style images: a network, at the size that contents have. keys: of the Gram matrices that are wanted.

    squashed: contents lose their shape, and so do style images of the same dataset.
    """

    network: FeatureNetwork
    keys: tuple[str, ...]
    size_px: int
    squashed: bool

    def look(self, wanted: Wanted) -> Look:
        """How that style's images are seen."""
        return Look(self.keys, self.size_px, wanted.filter, self.squashed and wanted.of_dataset)


@dataclass(frozen=True)
class Known:
    """A wanted style of which it is known what it is made of: `facts`, as records have them.

    style: its Gram matrices, where they had to be read to know it; None where they are yet to be had.
    """

    wanted: Wanted
    facts: dict[str, Any]
    style: Style | None = None


def known_style(wanted: Wanted, observer: Observer) -> Known:
    """What the style is made of; every image is decoded once, so that a broken one is named before the long work.

    Raises ImageError for it, and WeightsError for a saved style of another network.
    """
    if wanted.kind == "saved":
        saved = read_style(wanted.source, observer.network, observer.keys)
        style = saved.style
        facts = {"name": style.name, "kind": style.kind, "n": style.n, "digest": style.digest}
        return Known(wanted, facts | {"size_px": saved.size_px}, style)
    digest = pictures_digest(wanted.files, observer.look(wanted))
    facts = {"name": wanted.variant, "kind": wanted.kind, "n": len(wanted.files), "digest": digest}
    return Known(wanted, facts | {"size_px": observer.size_px})


def pictures_digest(files: tuple[ImageFile, ...], look: Look) -> str:
    """The digest that a style of these images has (`cgeval.gatys.styles`), without any network."""

    def digest_of(file: ImageFile) -> str:
        picture = look.read(file)
        return hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()

    hidden = None if len(files) > FEW else True
    with ThreadPoolExecutor(READERS) as pool:
        done = pool.map(digest_of, files)
        bar = tqdm(done, total=len(files), desc="reading styles", unit="img", leave=False, disable=hidden)
        return hashlib.sha256("\n".join(sorted(bar)).encode()).hexdigest()


class Shelf:
    """The styles that a run keeps for one direction. Only the holder of the run's lock may have one.

    besides: another place for a style that is averaged.
    """

    def __init__(self, run_path: Path, direction: str, observer: Observer, besides: Path | None = None) -> None:
        self.run_path, self.direction = run_path, direction
        self.observer, self.besides = observer, besides

    def obtain(self, known: Known, seen: Seen) -> Style:
        """The style: as saved where the same was averaged before, else averaged now. seen: called after each image.

        What `seen` raises ends it, and nothing is kept.
        """
        if known.style is not None:
            return known.style
        if known.wanted.kind == "image":
            return self._average(known, seen)
        kept, place = self._kept(known), self._place(known.wanted, SUFFIX)
        style = kept or self._average(known, seen)
        if kept is None or style_digest_in(place) != style.digest:
            write_style(place, style, self.observer.network, self.observer.size_px)
        if self.besides is not None:
            copy_style(place, self.besides)
        return style

    def lacks(self, known: Known) -> bool:
        """Whether the other place is still without an average that belongs there."""
        return self._belongs_besides(known) and not (self.besides and self.besides.exists())

    def refuse_other(self, known: Known) -> None:
        """Raise RunError where something else than this average is at the other place."""
        place = self.besides
        if place is None or not place.exists() or not self._belongs_besides(known):
            return
        if style_digest_in(place) != known.facts["digest"]:
            raise RunError(f"{place} is there already, and is not the style of these images: name another place.")

    def singles(self, known: Known, seen: Seen) -> list[Wanted]:
        """The images of the collection that become styles of their own, those that stand for it: remembered or found.

        They are sought among up to LOOKED_AT images from all over.
        """
        wanted = known.wanted
        if not wanted.singles:
            return []
        place, by_id = self._place(wanted, ".json"), {file.id: file for file in wanted.files}
        decided = self._decided(known)
        ids = remembered_ids(place, decided)
        if ids is None:
            files = [wanted.files[i] for i in spread(len(wanted.files), LOOKED_AT)]
            with _bar(f"choosing {wanted.singles} of {wanted.variant}", len(files), seen) as count:
                look = self.observer.look(wanted)
                found = representatives(self.observer.network, files, wanted.singles, look, seen=count)
            ids = [file.id for file in found]
            place.parent.mkdir(parents=True, exist_ok=True)
            write_json_atomic(place, decided | {"ids": ids})
        return [single_of(wanted, by_id[name]) for name in ids]

    def keep_preview(self, wanted: Wanted) -> None:
        """Keep a picture of the style for people: the image, or some of them as tiles."""
        files = [wanted.files[i] for i in spread(len(wanted.files), TILES**2)]
        pictures = [self.observer.look(wanted).read(file) for file in files]
        beside = wanted.source.with_suffix(".png")
        if wanted.kind == "saved" and beside.is_file():
            pictures = [read_rgb(beside)]  # as a run keeps both
        if pictures:
            place = self._place(wanted, ".png")
            place.parent.mkdir(parents=True, exist_ok=True)
            write_png(place, pictures[0] if len(pictures) == 1 else mosaic(pictures, PREVIEW_PX))

    def _belongs_besides(self, known: Known) -> bool:
        return self.besides is not None and known.wanted.kind in ("images", "collection")

    def _average(self, known: Known, seen: Seen) -> Style:
        wanted, look, network = known.wanted, self.observer.look(known.wanted), self.observer.network
        with _bar(f"averaging {wanted.variant}", len(wanted.files), seen) as count:
            return average_style(network, wanted.files, look, name=wanted.variant, kind=known.facts["kind"], seen=count)

    def _kept(self, known: Known) -> Style | None:
        """The same style as it was saved, here or besides; None where it was not, or with other layers or network."""
        for place in (self._place(known.wanted, SUFFIX), self.besides):
            if place is None or style_digest_in(place) != known.facts["digest"]:
                continue
            try:
                saved = read_style(place, self.observer.network, self.observer.keys)
            except WeightsError:  # it is averaged again
                continue
            if saved.size_px == self.observer.size_px:
                return saved.style
        return None

    def _decided(self, known: Known) -> dict[str, Any]:
        """What decides the choice of images that stand for a collection."""
        network, keys = self.observer.network, self.observer.keys
        by = {"network": network.identity, "keys": list(keys), "size_px": self.observer.size_px}
        return {"digest": known.facts["digest"], "count": known.wanted.singles} | by

    def _place(self, wanted: Wanted, suffix: str) -> Path:
        return style_place(self.run_path, wanted.name, self.direction, suffix)


def style_place(run_path: Path, name: str, direction: str, suffix: str) -> Path:
    """Where a run keeps a style (".safetensors"), its picture (".png"), or what stands for it (".json")."""
    return run_path / FOLDER / STYLES / f"{name}_{direction}{suffix}"


def remembered_ids(place: Path, decided: Mapping[str, Any] | None = None) -> list[str] | None:
    """Ids of the images that were found to stand for a collection; None where they are yet to be found.

    decided: where given, they must have been found under the same conditions.
    """
    try:
        content = json.loads(place.read_bytes())
        ids = [str(name) for name in content.pop("ids")]
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return None
    return ids if decided is None or content == decided else None


@contextmanager
def _bar(name: str, total: int, seen: Seen) -> Iterator[Seen]:
    """A progress bar over images that also calls `seen`."""
    with tqdm(
        total=total,
        desc=name,
        unit="img",
        leave=False,
        dynamic_ncols=True,
        mininterval=patience_s(),
        disable=total <= FEW,
    ) as bar:

        def count() -> None:
            bar.update(1)
            seen()

        yield count
