"""The images of both sides go in; pairs that will never change come out, each of a real and a generated image."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgeval.errors import DataError
from study_server.building.images import Images
from study_server.config import Trials


@dataclass(frozen=True)
class Match:
    """One real and one generated file."""

    real: Path
    fake: Path


@dataclass(frozen=True)
class Matches:
    """Of one algorithm: the pairs that sessions draw from, and those whose real image stands beside noise."""

    trials: tuple[Match, ...]
    catches: tuple[Match, ...]


def match(real: Images, fake: Images, trials: Trials, seed: int) -> Matches:
    """All pairs that there are, drawn by the seed; no image is in two of them, nor two that are equal.

    Raises DataError where they are too few for a session.
    """
    source = random.Random(f"{seed}/{fake.side.name}")
    found = _same_scene(real, fake) if trials.paired else _any_two(real, fake, source)
    source.shuffle(found)
    if len(found) < trials.practice + trials.scored + trials.catch:
        raise DataError(_too_few(real, fake, len(found), trials))
    last = len(found) - trials.catch
    return Matches(tuple(found[:last]), tuple(found[last:]))


def _same_scene(real: Images, fake: Images) -> list[Match]:
    """Where the ids are equal, or else the names without folders, if these are nobody else's on either side."""
    used: set[str] = set(real.pixels.values()) & set(fake.pixels.values())  # such a pair would have no right answer
    found = []
    for one, other in _candidates(real, fake):
        pixels = {real.pixels[one], fake.pixels[other]}
        if used.isdisjoint(pixels):
            used |= pixels
            found.append(Match(one, other))
    return found


def _candidates(real: Images, fake: Images) -> Iterator[tuple[Path, Path]]:
    by_id = {real.aims[file]: file for file in reversed(real.side.files)}
    by_name, alone = _by_name(real), _by_name(fake).values()
    for file in fake.side.files:
        aim = fake.aims[file]
        other = by_id.get(aim) or (by_name.get(_name(aim)) if file in alone else None)
        if other is not None:
            yield other, file


def _by_name(images: Images) -> dict[str, Path]:
    """Files by names that no other file of the side has."""
    names = Counter(_name(images.aims[file]) for file in images.side.files)
    found = {_name(images.aims[file]): file for file in images.side.files}
    return {name: file for name, file in found.items() if names[name] == 1}


def _name(identifier: str) -> str:
    return identifier.rsplit("/", 1)[-1]


def _any_two(real: Images, fake: Images, source: random.Random) -> list[Match]:
    """Drawn without replacement on both sides."""
    both = set(real.pixels.values()) & set(fake.pixels.values())
    reals, fakes = ([file for file in _distinct(side) if side.pixels[file] not in both] for side in (real, fake))
    count = min(len(reals), len(fakes))
    return [Match(*two) for two in zip(source.sample(reals, count), source.sample(fakes, count), strict=True)]


def _distinct(images: Images) -> Iterable[Path]:
    """The first of each number of equal images: one that comes twice would be remembered."""
    first: dict[str, Path] = {}
    for file in images.side.files:
        first.setdefault(images.pixels[file], file)
    return first.values()


def _too_few(real: Images, fake: Images, found: int, trials: Trials) -> str:
    needed = trials.practice + trials.scored + trials.catch
    kinds = ["practice", "scored", *(["catch"] if trials.catch else [])]
    how = " of equal names" if trials.paired else ""
    any_two = "pair any two by --set trials.paired=false, " if trials.paired else ""
    return (
        f"{_counted(real)} real images and {_counted(fake)} of {fake.side.name}{_shared(real, fake)} make {found} "
        f"pair{'s' if found != 1 else ''}{how}, and a session takes {needed} ({_listed(kinds)} trials, none twice): "
        f"{any_two}bring more images, or plan fewer trials by --set trials.scored=N."
    )


def _counted(images: Images) -> str:
    files = images.side.files
    copies = len(files) - len(set(images.pixels.values()))
    return f"{len(files)} ({copies} equal to others)" if copies else str(len(files))


def _shared(real: Images, fake: Images) -> str:
    same = len(set(real.pixels.values()) & set(fake.pixels.values()))
    return f" ({same} on both sides, which no pair can have)" if same else ""


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
