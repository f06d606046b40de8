"""A label set's name, or a TOML file, goes in; ids, names and colours come out, and maps from ids to colours and back.

Cityscapes' ids, train ids and colours are those of Cordts et al. 2016 (arXiv 1604.01685) as published with the
data; CamVid's eleven classes are those of Badrinarayanan et al. 2015 (arXiv 1511.00561) on Brostow et al. 2009.
"""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import ConfigError, DataError

Colour = tuple[int, int, int]
MOST_CLASSES = 254  # so that a class map with void fits into a byte, and one value stays free for "no such id"
NO_ID = 255
MOST_IDS = 65535
CHANNEL = np.array([1 << 16, 1 << 8, 1], dtype=np.int64)


@dataclass(frozen=True)
class Label:
    """One class. id: what a label map holds; train_id: its place among the scored classes, None if not scored."""

    id: int
    name: str
    colour: Colour
    ignore: bool = False
    train_id: int | None = None


@dataclass(frozen=True)
class LabelSet:
    """The classes of a dataset. Where several share a colour, the first of them is what the colour means."""

    name: str
    labels: tuple[Label, ...]

    @cached_property
    def by_id(self) -> dict[int, Label]:
        """Label of each id."""
        return {label.id: label for label in self.labels}

    @cached_property
    def classes(self) -> tuple[Label, ...]:
        """The scored classes, in the order of their train ids; of labels that share one, the first gives the name.

        Where no label says a train id, every label that is not ignored is a class. Raises ConfigError for a set
        without classes, with more than 254, or with gaps in its train ids.
        """
        places = [place for place in map(self._place, self.labels) if place is not None]
        found = tuple(
            next(label for label in self.labels if self._place(label) == place) for place in sorted(set(places))
        )
        if sorted(set(places)) != list(range(len(found))):
            gaps = ", ".join(map(str, sorted(set(places))))
            raise ConfigError(f"label set {self.name!r} has the train ids {gaps}: they must run 0, 1, 2 without a gap.")
        if not 1 <= len(found) <= MOST_CLASSES:
            raise ConfigError(f"label set {self.name!r} has {len(found)} scored classes: 1 to {MOST_CLASSES} can be.")
        return found

    @cached_property
    def class_colours(self) -> NDArray[np.uint8]:
        """uint8 [K + 1, 3]: the colour of each scored class, and black for void."""
        return np.array([*(label.colour for label in self.classes), (0, 0, 0)], dtype=np.uint8)

    def knows(self, ids: NDArray[Any]) -> bool:
        """Whether the set has every id of the map."""
        low, table = self._class_table
        if ids.min(initial=low) < low or ids.max(initial=low) >= low + len(table):
            return False
        return bool(table[ids - low].max(initial=0) != NO_ID)

    def class_map(self, ids: NDArray[Any]) -> NDArray[np.uint8]:
        """uint8 [h, w] of a map of ids [h, w]: 0 .. K - 1 the scored classes, K void; DataError for an unknown id."""
        low, table = self._class_table
        if ids.min(initial=low) < low or ids.max(initial=low) >= low + len(table):
            raise self._unknown_ids(ids)
        places: NDArray[np.uint8] = table[ids - low if low else ids]
        if places.max(initial=0) == NO_ID:
            raise self._unknown_ids(ids)
        return places

    def colours_of(self, ids: NDArray[Any]) -> NDArray[np.uint8]:
        """uint8 [h, w, 3] of a map of ids [h, w]; raises DataError for an id that the set does not have."""
        present = np.unique(ids)
        if not self.by_id.keys() >= set(present.tolist()):
            raise self._unknown_ids(ids)
        palette = np.array([self.by_id[int(i)].colour for i in present], dtype=np.uint8).reshape(-1, 3)
        return palette[np.searchsorted(present, ids)]

    def ids_of(self, colours: NDArray[np.uint8]) -> NDArray[np.int32]:
        """int32 [h, w] of a colour-coded map uint8 [h, w, 3]; raises DataError if a colour is not in the palette."""
        packed = colours.astype(np.int64) @ CHANNEL
        known, ids = self._palette
        place = np.searchsorted(known, packed).clip(max=len(known) - 1)
        strange = known[place] != packed
        if strange.any():
            self._refuse(colours, packed, strange)
        found: NDArray[np.int32] = ids[place]
        return found

    def _place(self, label: Label) -> int | None:
        """Its place among the scored classes; where no label says a train id, they are in the order of the set."""
        if any(each.train_id is not None for each in self.labels):
            return None if label.ignore else label.train_id
        scored = [each for each in self.labels if not each.ignore]
        return scored.index(label) if label in scored else None

    @cached_property
    def _class_table(self) -> tuple[int, NDArray[np.uint8]]:
        """The lowest id (0 if none is below), and the class of each id from there on; NO_ID where there is none."""
        low, high = min(0, *self.by_id), max(self.by_id)
        if high - low > MOST_IDS:
            raise ConfigError(f"label set {self.name!r} has ids from {low} to {high}: at most {MOST_IDS} apart.")
        table = np.full(high - low + 1, NO_ID, dtype=np.uint8)
        for label in self.labels:
            place = self._place(label)
            table[label.id - low] = len(self.classes) if place is None else place
        return low, table

    def _unknown_ids(self, ids: NDArray[Any]) -> DataError:
        unknown = [int(i) for i in np.unique(ids) if int(i) not in self.by_id]
        return DataError(
            f"the label map holds the id {unknown[0]} ({len(unknown)} unknown in all), which label set "
            f"{self.name!r} does not have: name the right label set, or convert the ids."
        )

    @cached_property
    def _palette(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        first = {label.colour: label.id for label in reversed(self.labels)}
        packed = np.array([np.array(colour, dtype=np.int64) @ CHANNEL for colour in first], dtype=np.int64)
        order = np.argsort(packed)
        return packed[order], np.array(list(first.values()), dtype=np.int32)[order]

    def _refuse(self, colours: NDArray[np.uint8], packed: NDArray[np.int64], strange: NDArray[np.bool_]) -> None:
        count = len(np.unique(packed[strange]))
        example = tuple(int(c) for c in colours[strange][0])
        share = strange.mean()
        reason = (
            "it was resized with an interpolating filter or stored as JPEG"
            if count > len(self.labels) or share < 0.5
            else "it is coloured with another palette"
        )
        raise DataError(
            f"{share:.1%} of the pixels have {count} colours that label set {self.name!r} does not have, "
            f"such as {example}: probably {reason}."
        )


def label_set(name_or_path: str | Path) -> LabelSet:
    """A label set by name (cityscapes, cityscapes19, camvid11) or from a TOML file of [[label]] tables.

    Each table has id, name, colour = [r, g, b] and, as wanted, ignore and train_id. Raises ConfigError.
    """
    if str(name_or_path) in KNOWN:
        return KNOWN[str(name_or_path)]
    path = Path(name_or_path)
    if not path.is_file():
        raise ConfigError(f"no label set {str(name_or_path)!r}: name a TOML file, or one of {', '.join(KNOWN)}.")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        labels = tuple(_label(table) for table in tables["label"])
        found = LabelSet(str(tables.get("name", path.stem)), labels)
    except (KeyError, TypeError, ValueError) as error:  # ValueError: also what is no TOML or no text
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"{path} is not a label set ({reason}): [[label]] tables with id, name, colour = [r, g, b] are expected."
        ) from None
    if len(found.by_id) != len(labels) or not labels:
        raise ConfigError(f"{path} has {len(labels)} labels with {len(found.by_id)} different ids: each id once.")
    return found


def _label(table: dict[str, Any]) -> Label:
    unknown = table.keys() - {"id", "name", "colour", "ignore", "train_id"}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r}")
    if not isinstance(table["colour"], list) or len(table["colour"]) != 3:
        raise ValueError(f"colour is {table['colour']!r}, and [red, green, blue] is expected")
    red, green, blue = (_whole(value, "colour") for value in table["colour"])
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"colour {table['colour']} is outside 0 .. 255")
    ignore, train_id = table.get("ignore", False), table.get("train_id")
    if not isinstance(ignore, bool):
        raise ValueError(f"ignore is {ignore!r}, and true or false is expected")
    place, number = None if train_id is None else _whole(train_id, "train_id"), _whole(table["id"], "id")
    if not -MOST_IDS <= number <= MOST_IDS:
        raise ValueError(f"id {number} is outside {-MOST_IDS} .. {MOST_IDS}")
    return Label(number, str(table["name"]), (red, green, blue), ignore, place)


def _whole(value: object, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{key} is {value!r}, and whole numbers are expected")
    return value


# id, name, train id or None, colour
_CITYSCAPES: tuple[tuple[int, str, int | None, Colour], ...] = (
    (0, "unlabeled", None, (0, 0, 0)),
    (1, "ego vehicle", None, (0, 0, 0)),
    (2, "rectification border", None, (0, 0, 0)),
    (3, "out of roi", None, (0, 0, 0)),
    (4, "static", None, (0, 0, 0)),
    (5, "dynamic", None, (111, 74, 0)),
    (6, "ground", None, (81, 0, 81)),
    (7, "road", 0, (128, 64, 128)),
    (8, "sidewalk", 1, (244, 35, 232)),
    (9, "parking", None, (250, 170, 160)),
    (10, "rail track", None, (230, 150, 140)),
    (11, "building", 2, (70, 70, 70)),
    (12, "wall", 3, (102, 102, 156)),
    (13, "fence", 4, (190, 153, 153)),
    (14, "guard rail", None, (180, 165, 180)),
    (15, "bridge", None, (150, 100, 100)),
    (16, "tunnel", None, (150, 120, 90)),
    (17, "pole", 5, (153, 153, 153)),
    (18, "polegroup", None, (153, 153, 153)),
    (19, "traffic light", 6, (250, 170, 30)),
    (20, "traffic sign", 7, (220, 220, 0)),
    (21, "vegetation", 8, (107, 142, 35)),
    (22, "terrain", 9, (152, 251, 152)),
    (23, "sky", 10, (70, 130, 180)),
    (24, "person", 11, (220, 20, 60)),
    (25, "rider", 12, (255, 0, 0)),
    (26, "car", 13, (0, 0, 142)),
    (27, "truck", 14, (0, 0, 70)),
    (28, "bus", 15, (0, 60, 100)),
    (29, "caravan", None, (0, 0, 90)),
    (30, "trailer", None, (0, 0, 110)),
    (31, "train", 16, (0, 80, 100)),
    (32, "motorcycle", 17, (0, 0, 230)),
    (33, "bicycle", 18, (119, 11, 32)),
)
_CAMVID11: tuple[tuple[str, Colour], ...] = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign symbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
_CITYSCAPES_LABELS = tuple(Label(i, name, colour, train is None, train) for i, name, train, colour in _CITYSCAPES)
_SCORED = tuple(
    Label(label.train_id, label.name, label.colour, False, label.train_id)
    for label in _CITYSCAPES_LABELS
    if label.train_id is not None
)
_CAMVID_LABELS = tuple(Label(i, name, colour, False, i) for i, (name, colour) in enumerate(_CAMVID11))
KNOWN = {
    "cityscapes": LabelSet("cityscapes", _CITYSCAPES_LABELS),
    "cityscapes19": LabelSet("cityscapes19", (*_SCORED, Label(255, "void", (0, 0, 0), True))),
    "camvid11": LabelSet("camvid11", (*_CAMVID_LABELS, Label(11, "void", (0, 0, 0), True))),
}
