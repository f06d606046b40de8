"""Names of results, or thumbnails of their inputs, and those of a dataset go in; who belongs to whom comes out.

Pure: no file is read here. A `Pairing` is complete and one-to-one; whatever is not is a `Refusal` with its reason.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cgeval.images import Picture, natural_key, resize

Order = Literal["natural", "lexicographic"]
Thumbnails = NDArray[np.float32]

ENDINGS = (
    *("_leftImg8bit", "_gtFine_color", "_gtFine_labelIds", "_gtFine_labelTrainIds"),
    *("_real_A", "_fake_A", "_rec_A", "_real_B", "_fake_B", "_rec_B", "_input_label", "_synthesized_image"),
    *("-inputs", "-outputs", "-targets", "_A", "_B", "_L"),
)
SIDE_PX = 32
# Measured on CamVid's neighbouring frames, horse2zebra and drawn maps, at 64 to 256 px. Photos through bicubic or
# bilinear filters and JPEG of quality 50, and label maps through nearest, are at most 22 levels from their own picture
# and lean at most 0.29. Photos through nearest at 64 px lean more between frames that hardly differ, and are refused.
FARTHEST = 25.0  # levels of 255, root mean square of a thumbnail
BORDER = 0.3  # of the way from one picture to another, whose middle is 0.5
BLOCK = 512


@dataclass(frozen=True)
class Pairing:
    """ids: the dataset's id of each name; how: the rule, for people.

    repeats: names of inputs that are there twice, to the last level, with the name that stands for them.
    """

    how: str
    ids: Mapping[str, str]
    repeats: Mapping[str, str]


@dataclass(frozen=True)
class Refusal:
    """Why there is no pairing, as the middle of a sentence, and what to type, as its end."""

    reason: str
    advice: str = ""


@dataclass(frozen=True)
class Nearest:
    """The known picture that looks most like a given one. distance: levels of 255, root mean square.

    leaning: how far, on the way to the rival, the given picture lies; 0 is at the nearest one and 0.5 halfway. The
    rival is the picture of which this is farthest from 0, in either sense: noise as large as what sets them apart.
    """

    place: int
    distance: float
    rival: int
    leaning: float


def by_name(names: Sequence[str], ids: Sequence[str]) -> Pairing | Refusal:
    """The first rule under which every name is that of one image, and no two of the same.

    Exactly; without endings such as _leftImg8bit; by the last part of the path; by that without endings; by the
    number that is left, whatever zeros stand before it.
    """
    most: set[str] = set()
    for how, key in RULES:
        given, known = _one_to_one(names, key), _one_to_one(ids, key)
        if given.keys() <= known.keys() and len(given) == len(names):
            return Pairing(how, {given[k]: known[k] for k in given}, {})
        most = max(most, {given[k] for k in given.keys() & known.keys()}, key=len)
    without = next(name for name in names if name not in most) if len(most) < len(names) else names[0]
    return _off_by_one(names, ids) or Refusal(
        f"{len(most)} of {len(names)} results have the name of an image there (first without: {without!r})",
        "give the results the names of their source images",
    )


def by_index(names: Sequence[str], ids: Sequence[str], first: int, order: Order) -> Pairing | Refusal:
    """The number in a name, counted from `first`, is a place among the ids; the rank is, where names have no number.

    ids: in the order that is counted. Names have numbers if they are alike but for one.
    """
    numbers = numbers_in(names)
    if numbers is None and len(names) != len(ids):
        return Refusal(
            f"the names have no numbers (first: {names[0]!r}), and by rank {len(names)} results cannot be told from "
            f"{len(ids)} images",
            "number the results, or add --pair content",
        )
    ranked = sorted(names, key=order_of(order))
    places = {name: i for i, name in enumerate(ranked)} if numbers is None else numbers
    start = 0 if numbers is None else first
    outside = [name for name, place in places.items() if not start <= place < start + len(ids)]
    if outside:
        low, high = min(places.values()), max(places.values())
        return Refusal(
            f"the results are numbered {low} to {high}, and from {first} the {len(ids)} images there are "
            f"{first} to {first + len(ids) - 1} (first outside: {outside[0]!r})",
            "change --index-from, or name the right --split",
        )
    what = "the rank of the name" if numbers is None else f"the number in the name, from {first}"
    return Pairing(f"{what}, in {order} order", {name: ids[place - start] for name, place in places.items()}, {})


def by_content(names: Sequence[str], seen: Thumbnails, ids: Sequence[str], known: Thumbnails) -> Pairing | Refusal:
    """Every input image is clearly one image of the dataset, and no two are the same.

    seen, known: float32 [n, d] and [m, d] of `thumbnail`. An input that is there twice to the last level, as programs
    that go round the smaller domain write it, is told as a repeat.
    """
    firsts, repeats = _first_of_each(names, seen)
    found = nearest(seen[firsts], known)
    rows = list(zip([names[i] for i in firsts], found, strict=True))
    strange = [(name, near) for name, near in rows if near.distance > FARTHEST]
    if strange:
        name, near = strange[0]
        return Refusal(
            f"{len(strange)} of {len(rows)} input images look like none there (first: {name!r}, whose nearest, "
            f"{ids[near.place]!r}, is {near.distance:.0f} of 255 levels away, and {FARTHEST:.0f} is the limit)",
            "name the right --dataset, --split and --direction",
        )
    doubtful = [(name, near) for name, near in rows if abs(near.leaning) > BORDER]
    if doubtful:
        name, near = doubtful[0]
        return Refusal(
            f"{len(doubtful)} of {len(rows)} input images look like two images there (first: {name!r}, like "
            f"{ids[near.place]!r} and {ids[near.rival]!r})",
            "pair by --pair name or --pair index",
        )
    return _all_different(rows, ids) or Pairing(
        "what the input images show", {name: ids[near.place] for name, near in rows}, repeats
    )


def thumbnail(picture: Picture) -> Thumbnails:
    """float32 [3072] of uint8 [h, w, 3]: squashed to 32 x 32 by area, which no resize filter before changes much."""
    return resize(np.ascontiguousarray(picture), SIDE_PX, SIDE_PX, "area").astype(np.float32).reshape(-1)


def nearest(seen: Thumbnails, known: Thumbnails) -> list[Nearest]:
    """The nearest of the known pictures to each that is seen, and the rival that it leans to most.

    What a resize or JPEG adds to a picture is no step towards another, however near that one is: so the place along
    the line between two known pictures tells near-duplicates apart where their distances do not.
    """
    middle = known.mean(axis=0, dtype=np.float64)
    b = known.astype(np.float64) - middle
    return [
        near
        for first in range(0, len(seen), BLOCK)
        for near in _nearest(seen[first : first + BLOCK].astype(np.float64) - middle, b)
    ]


def numbers_in(names: Sequence[str]) -> dict[str, int] | None:
    """The one number of each name, where all names are alike but for it and no two are equal; else None."""
    matches = {name: re.fullmatch(r"(\D*)(\d+)(\D*)", bare(name)) for name in names}
    shapes = {(match[1], match[3]) if match else None for match in matches.values()}
    numbers = {name: int(match[2]) for name, match in matches.items() if match}
    if None in shapes or len(shapes) != 1 or len(set(numbers.values())) != len(names):
        return None
    return numbers


def order_of(order: Order) -> Callable[[str], Any]:
    """Sorting key: natural, 2 before 10, or lexicographic, 10 before 2."""
    return natural_key if order == "natural" else str


def last(name: str) -> str:
    """The last part of a name's path."""
    return name.rpartition("/")[2]


def bare(name: str) -> str:
    """The last part of a name without the endings that programs add."""
    return last(_without_endings(name))


def _number(name: str) -> str:
    return str(int(bare(name))) if bare(name).isascii() and bare(name).isdigit() else f"no number: {name}"


def _without_endings(name: str) -> str:
    ending = next((e for e in ENDINGS if name.endswith(e) and last(name) != e), None)
    return name if ending is None else _without_endings(name.removesuffix(ending))


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("their names", str),
    ("their names without endings", _without_endings),
    ("the last part of their names", last),
    ("the last part of their names without endings", bare),
    ("the numbers that their names are", _number),
)


def _one_to_one(names: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    """Name by key, for the keys that only one name has."""
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(key(name), []).append(name)
    return {k: same[0] for k, same in by_key.items() if len(same) == 1}


def _off_by_one(names: Sequence[str], ids: Sequence[str]) -> Refusal | None:
    given, known = numbers_in(names), numbers_in(ids)
    if given is None or known is None:
        return None
    numbers, there = set(given.values()), set(known.values())
    if max(there) - min(there) >= len(there):
        return None
    for step in (1, -1):
        if {number + step for number in numbers} <= there and not numbers <= there:
            return Refusal(
                f"the results are numbered {min(numbers)} to {max(numbers)} and the images there {min(there)} to "
                f"{max(there)}: off by one",
                f"if the first belongs to the first, add --pair index --index-from {min(there) - step} "
                "--index-order natural",
            )
    return None


def _first_of_each(names: Sequence[str], seen: Thumbnails) -> tuple[list[int], dict[str, str]]:
    """Places of the pictures that are there for the first time, and for each repeat the name of its first."""
    first: dict[bytes, int] = {}
    repeats: dict[str, str] = {}
    for i, picture in enumerate(seen):
        before = first.setdefault(picture.tobytes(), i)
        if before != i:
            repeats[names[i]] = names[before]
    return list(first.values()), repeats


def _all_different(rows: Iterable[tuple[str, Nearest]], ids: Sequence[str]) -> Refusal | None:
    taken: dict[int, str] = {}
    clashes = [(taken[near.place], name, near) for name, near in rows if taken.setdefault(near.place, name) != name]
    if not clashes:
        return None
    one, other, near = clashes[0]
    return Refusal(
        f"{len(clashes)} input images look like an image that another looks like too (first: {one!r} and {other!r} "
        f"like {ids[near.place]!r})",
        "pair by --pair name or --pair index",
    )


def _nearest(a: NDArray[np.float64], b: NDArray[np.float64]) -> Iterator[Nearest]:
    to_all = _mean_squares(a, b)
    best = to_all.argmin(axis=1)
    own = to_all[np.arange(len(a)), best]
    between = _mean_squares(b[best], b)
    with np.errstate(divide="ignore", invalid="ignore"):
        leaning = (1 + (own[:, None] - to_all) / between) / 2
    leaning = np.where(between < 1e-6, 0.5, leaning)  # the same picture twice: halfway, whatever rounding says
    leaning[np.arange(len(a)), best] = 0
    rivals = np.abs(leaning).argmax(axis=1)
    for i, rival in enumerate(map(int, rivals)):
        yield Nearest(int(best[i]), float(own[i] ** 0.5), rival, float(leaning[i, rival]))


def _mean_squares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [n, m]: mean square of the difference of each row of a and each of b."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * (a @ b.T)
    distances: NDArray[np.float64] = np.maximum(squares, 0) / a.shape[1]
    return distances
