"""The images of both sides go in; pairs that will never change come out, each of a real and a generated image."""

import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgeval.errors import DataError
from cgeval.images import image_id
from cgeval.runs import ImageSet, Run
from study_server.checking.sides import Side
from study_server.config import Trials


@dataclass(frozen=True)
class Images:
    """One side with what pairs it. aims: by file, the id of the image that a generated one aims at, or its own id.

    run, image_set: where the side is a run's sealed set.
    """

    side: Side
    aims: Mapping[Path, str]
    digests: Mapping[Path, str]
    run: Run | None = None
    image_set: ImageSet | None = None

    @property
    def digest(self) -> str:
        """Over all files, in their order."""
        total = hashlib.sha256()
        for file in self.side.files:
            total.update(f"{file.relative_to(self.side.folder).as_posix()}\n{self.digests[file]}\n".encode())
        return total.hexdigest()


@dataclass(frozen=True)
class Match:
    """One real and one generated file."""

    real: Path
    fake: Path


def images_of(side: Side, digests: Mapping[Path, str]) -> Images:
    """The side as it is to be paired; of a run's set, each image aims at the target that its index names."""
    run, image_set = _sealed(side)
    ids = {file: image_id(file, side.folder) for file in side.files}
    if image_set is not None:
        targets = {side.folder / row.file: row.target or row.source for row in image_set.rows}
        ids = {file: targets.get(file, own) for file, own in ids.items()}
    return Images(side, ids, digests, run, image_set)


def match(real: Images, fake: Images, trials: Trials, seed: int) -> list[Match]:
    """All pairs that there are, drawn by the seed; no image is in two of them, nor two that are equal.

    Raises DataError where they are too few for a session.
    """
    source = random.Random(f"{seed}/{fake.side.name}")
    reals, fakes = _distinct(real), _distinct(fake)
    found = _same_scene(real, fake, reals, fakes) if trials.paired else _any(reals, fakes, source)
    source.shuffle(found)
    needed = trials.practice + trials.scored
    if len(found) < needed:
        raise DataError(_too_few(real, fake, len(found), needed, paired=trials.paired))
    return found


def _sealed(side: Side) -> tuple[Run | None, ImageSet | None]:
    """Of a folder that is a run's image set; the check has opened it before."""
    if not (side.folder / "set.json").is_file():
        return None, None
    run = Run.open(side.folder.parent.parent)
    return run, run.image_set(side.folder.name)


def _distinct(images: Images) -> list[Path]:
    """The first of each number of equal files: a pair that comes twice would be remembered."""
    first: dict[str, Path] = {}
    for file in images.side.files:
        first.setdefault(images.digests[file], file)
    return list(first.values())


def _same_scene(real: Images, fake: Images, reals: Sequence[Path], fakes: Sequence[Path]) -> list[Match]:
    """Where the ids are equal, or else the names without folders, if these are nobody else's."""
    by_id = {real.aims[file]: file for file in reals}
    names = Counter(_name(each) for each in by_id)
    by_name = {_name(each): file for each, file in by_id.items() if names[_name(each)] == 1}
    used: set[Path] = set()
    found = []
    for file in fakes:
        aim = fake.aims[file]
        other = by_id.get(aim) or by_name.get(_name(aim))
        if other is not None and other not in used and real.digests[other] != fake.digests[file]:
            used.add(other)
            found.append(Match(other, file))
    return found


def _any(reals: Sequence[Path], fakes: Sequence[Path], source: random.Random) -> list[Match]:
    count = min(len(reals), len(fakes))
    drawn = source.sample(list(reals), count), source.sample(list(fakes), count)
    return [Match(real, fake) for real, fake in zip(*drawn, strict=True)]


def _name(identifier: str) -> str:
    return identifier.rsplit("/", 1)[-1]


def _too_few(real: Images, fake: Images, found: int, needed: int, *, paired: bool) -> str:
    counts = f"{len(real.side.files)} real images and {len(fake.side.files)} of {fake.side.name}"
    pairs = f"make {found} pair{'s' if found != 1 else ''}"
    how = " of equal names" if paired else ""
    more = ", or --set trials.paired=false to pair any two" if paired else ""
    return (
        f"{counts} {pairs}{how}, and a session takes {needed} (practice and scored trials): bring more images, or plan "
        f"fewer trials by --set trials.scored=N{more}."
    )
