"""The dataset of a comparison goes in; the inputs and truths of its translations come out, at their size.

Label maps are squashed with the nearest filter and shown in the colours of their label set, photos with the bicubic
one, as a trainer reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from cgeval.compare.comparison import Comparison, Direction
from cgeval.datasets import ImageFile, find_dataset
from cgeval.errors import CgevalError, ConfigError, LayoutError
from cgeval.images import Picture
from cgeval.labelled import Labelled, open_labelled
from cgeval.protocols.pictures_in import RealPhoto, TrueColours

Size = tuple[int, int]
DOMAINS: Mapping[Direction, tuple[str, str]] = {"AtoB": ("A", "B"), "BtoA": ("B", "A")}


class Read(Protocol):
    """One picture of the dataset at a size: uint8 [h, w, 3]; raises CgevalError where it cannot be read."""

    def __call__(self, size: Size) -> Picture:
        """The picture, squashed to width and height."""


@dataclass(frozen=True)
class Originals:
    """Pictures of a split. domains: by domain, how each is read, by id; domain_names: of A and B.

    has_truth: whether an image and what it should become are the same scene; notes: what is missing, and why.
    """

    domain_names: Mapping[str, str]
    has_truth: bool
    domains: Mapping[str, Mapping[str, Read]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, comparison: Comparison) -> "Originals":
        """Of the folder that is named, or that the main run remembers; without one there are only names and a note."""
        facts = comparison.dataset
        named = facts.get("domains")
        names = {name: str(named.get(name, name)) if isinstance(named, Mapping) else name for name in ("A", "B")}
        paired = bool(facts.get("paired", False))
        path = comparison.dataset_path or (Path(str(facts["path"])) if facts.get("path") else None)
        if path is None:
            return cls(names, paired, notes=("Inputs are not shown: no run says where its dataset is.",))
        try:
            domains = _open(path, comparison)
        except CgevalError as error:
            return cls(names, paired, notes=(f"Inputs are not shown: {error}",))
        return cls(names, paired, domains, () if paired else ("The data is unpaired: there is no truth to show.",))

    def names(self, way: Direction) -> tuple[str, str]:
        """Of the domain that is translated, and of the one that is aimed at."""
        source, target = DOMAINS[way]
        return self.domain_names[source], self.domain_names[target]

    def source(self, way: Direction, name: str, size: Size) -> Picture | None:
        """What was translated; None where the dataset has no image of that id."""
        return self._read(DOMAINS[way][0], name, size)

    def target(self, way: Direction, name: str, size: Size) -> Picture | None:
        """What it should look like; None as above."""
        return self._read(DOMAINS[way][1], name, size)

    def _read(self, domain: str, name: str, size: Size) -> Picture | None:
        read = self.domains.get(domain, {}).get(name)
        return read(size) if read else None


def _open(path: Path, comparison: Comparison) -> dict[str, dict[str, Read]]:
    """A labelled dataset's maps by their label set; any other's pictures as they are."""
    try:
        return _labelled(open_labelled(path), comparison.split)
    except (LayoutError, ConfigError):
        split = find_dataset(path).split(comparison.split)
        return {"A": _photos({file.id: file for file in split.a}), "B": _photos({file.id: file for file in split.b})}


def _labelled(found: Labelled, name: str) -> dict[str, dict[str, Read]]:
    split = found.split(name)
    maps: dict[str, Read] = {each: partial(_map, truth, found) for each, truth in split.truth.items()}
    other = "B" if found.label_domain == "A" else "A"
    return {found.label_domain: maps, other: _photos(split.photos)}


def _photos(files: Mapping[str, ImageFile]) -> dict[str, Read]:
    return {name: partial(_photo, file) for name, file in files.items()}


def _photo(file: ImageFile, size: Size) -> Picture:
    return RealPhoto(file, size).pixels()


def _map(truth: Path, found: Labelled, size: Size) -> Picture:
    return TrueColours(truth, found.labels, size).pixels()
