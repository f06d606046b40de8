"""A dataset's folder and a split go in; what results can be paired with comes out: ids and pictures, A and B."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cgeval.datasets import ImageFile, find_dataset, read_picture
from cgeval.errors import LayoutError
from cgeval.images import Picture, read_rgb
from cgeval.labelled import Source, detect
from cgeval.labels import LabelSet
from cgeval.truth import read_label_ids


@dataclass(frozen=True)
class Original:
    """One image of a dataset. file: its id with the file's ending, by which programs sort."""

    id: str
    file: str
    read: Callable[[], Picture]


@dataclass(frozen=True)
class Against:
    """One split of a dataset. facts: what a run remembers of the dataset; domains: images by "A" and "B"."""

    root: Path
    split: str
    paired: bool
    facts: Mapping[str, Any]
    domains: Mapping[str, tuple[Original, ...]]

    def inputs(self, direction: str) -> tuple[Original, ...]:
        """The images that a direction, "AtoB" or "BtoA", starts from."""
        return self.domains[direction[0]]

    def target(self, image_id: str) -> str | None:
        """Id of the image that a translation of this one should look like; None in unpaired data."""
        return image_id if self.paired else None


def open_against(root: Path, split: str | None, phase: str | None) -> Against:
    """The split of a dataset in our layout, of Cityscapes or of CamVid as they come; raises LayoutError.

    split: None for the results' own phase where the dataset has it, else test.
    """
    if (root / "leftImg8bit").is_dir() or (root / "train" / "photo").is_dir():
        return _labelled(root, detect(root), split, phase)
    dataset = find_dataset(root)
    part = dataset.split(_chosen(split, phase, dataset.splits))
    domains = {"A": tuple(map(_original, part.a)), "B": tuple(map(_original, part.b))}
    return Against(root, part.name, dataset.paired, dataset.run_facts, domains)


def _labelled(root: Path, source: Source, split: str | None, phase: str | None) -> Against:
    """A = label maps in the set's colours, B = photos, as `cyclegan data prepare` would make them."""
    name = _chosen(split, phase, source.splits)
    if name not in source.splits:
        raise LayoutError(f"{root} has no split {name!r}; there: {', '.join(source.splits)}.")
    facts = {
        "name": source.name,
        "path": str(root.resolve()),
        "paired": True,
        "domains": {"A": "labels", "B": "photos"},
        "label_set": source.label_set_name,
        "label_domain": "A",
    }
    pairs = source.splits[name]
    maps = [Original(p.id, f"{p.id}.png", partial(_coloured, p.labels, source.labels)) for p in pairs]
    photos = [Original(p.id, f"{p.id}{p.photo.suffix}", partial(read_rgb, p.photo)) for p in pairs]
    return Against(root, name, True, facts, {"A": tuple(maps), "B": tuple(photos)})


def _chosen(split: str | None, phase: str | None, there: Mapping[str, object]) -> str:
    return split or (phase if phase in there else None) or "test"


def _original(file: ImageFile) -> Original:
    return Original(file.id, f"{file.id}{file.path.suffix}", partial(read_picture, file))


def _coloured(path: Path, labels: LabelSet) -> Picture:
    return labels.colours_of(read_label_ids(path, labels))


def ids_of(originals: Sequence[Original]) -> list[str]:
    """Their ids, in order."""
    return [original.id for original in originals]
