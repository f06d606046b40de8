"""A side of the study goes in, as it was seen; its images come out with all that pairs and pins them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cgeval.files import sha256_file
from cgeval.images import image_id
from cgeval.runs import ImageSet, Run
from study_server.checking.seen import ImagesSeen
from study_server.checking.sides import Side


@dataclass(frozen=True)
class Images:
    """One side with what pairs it. aims: by file, the id of the image that a generated one aims at, or its own id.

    pixels, digests: SHA-256 by file, of what it shows and of its bytes; run, image_set: where it is a run's sealed set.
    """

    side: Side
    aims: Mapping[Path, str]
    pixels: Mapping[Path, str]
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


def images_of(side: Side, seen: ImagesSeen) -> Images:
    """The side's images that could be read; of a run's set those in its index, each aiming at the target named there.

    Raises SealError for a set that was changed after it was sealed.
    """
    pixels = {side.folder / image.name: image.digest for image in seen.images}
    run, image_set = _sealed(side.folder)
    if image_set is None:
        digests = {file: sha256_file(file) for file in side.files if file in pixels}
        aims = {file: image_id(file, side.folder) for file in digests}
    else:
        image_set.verify()
        rows = {side.folder / row.file: row for row in image_set.rows}
        digests = {file: rows[file].sha256 for file in side.files if file in pixels and file in rows}
        aims = {file: rows[file].target or rows[file].source for file in digests}
    kept = replace(side, files=tuple(digests))
    return Images(kept, aims, {file: pixels[file] for file in digests}, digests, run, image_set)


def _sealed(folder: Path) -> tuple[Run | None, ImageSet | None]:
    """Of a folder that is a run's image set."""
    place = folder.resolve()
    path = place.parent.parent
    if not ((place / "set.json").is_file() and (path / "run.json").is_file()):
        return None, None
    run = Run.open(path)
    return run, run.image_set(place.name)
