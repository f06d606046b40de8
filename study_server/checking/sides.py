"""What the user typed goes in: folders, runs, sets of runs; the image files of each side of a study come out."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cgeval.errors import ConfigError, DataError, RunError
from cgeval.images import find_images
from cgeval.runs import NAME, Run

REAL = "real"  # the name of the real side; every other side is called after an algorithm


@dataclass(frozen=True)
class Side:
    """The images of one side: a folder, and the image files in it."""

    name: str
    folder: Path
    files: tuple[Path, ...]


def find_sides(real_at: str, fakes: Iterable[str]) -> list[Side]:
    """The real side, then one side for each NAME=WHERE; raises ConfigError, DataError or RunError."""
    sides = [_side(REAL, real_at), *(_side(*_name_and_place(fake)) for fake in fakes)]
    for one, other in combinations(sides, 2):
        if one.name == other.name:
            raise ConfigError(
                f"two sides are called {one.name!r}: give every --fake a name of its own, other than '{REAL}'."
            )
        if one.folder.resolve() == other.folder.resolve():
            raise ConfigError(f"{one.name} and {other.name} are the same folder, {one.folder}: name another one.")
    return sides


def _name_and_place(fake: str) -> tuple[str, str]:
    name, _, where = fake.partition("=")
    if not where or not NAME.fullmatch(name):
        raise ConfigError(
            f"--fake is {fake!r}, and NAME=WHERE is expected (letters, digits and . _ + - in the name), such as "
            "--fake cyclegan=runs/horse2zebra."
        )
    return name, where


def _side(name: str, where: str) -> Side:
    folder = _folder(where)
    files = find_images(folder)
    if not files:
        raise DataError(f"{folder} holds no images (jpg, png, bmp, tif, webp): name the folder of those to show.")
    return Side(name, folder, tuple(files))


def _folder(where: str) -> Path:
    path = Path(where)
    run_path, colon, set_name = where.rpartition(":")
    if colon and not path.exists():
        return Run.open(Path(run_path)).image_set(set_name).path
    if not path.is_dir():
        what = "a file" if path.exists() else "not there"
        raise DataError(f"{path} is {what}: a folder of images, a run, or RUN:IMAGE_SET is expected.")
    return _only_set(Run.open(path)) if (path / "run.json").is_file() else path


def _only_set(opened: Run) -> Path:
    sets = opened.image_sets()
    if len(sets) == 1:
        return sets[0].path
    if not sets:
        raise RunError(f"{opened.path} has no image set yet: make one with `cyclegan translate {opened.path}`.")
    raise RunError(
        f"{opened.path} has {len(sets)} image sets ({', '.join(s.name for s in sets)}): name one, as in "
        f"{opened.path}:{sets[0].name}."
    )
