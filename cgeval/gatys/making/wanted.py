"""What a user names goes in (images, folders, saved files, or nothing for a dataset); the styles wanted come out.

As in the CycleGAN paper (section 5.2, figures 15 and 16): single images, and a whole collection by its average Gram
matrix. A dataset has its own styles: the training images of the domain that is aimed at, and two of them alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cgeval.datasets import Dataset, ImageFile, find_dataset
from cgeval.errors import ConfigError, LayoutError
from cgeval.gatys.making.contents import (
    Domain,
    domain_files,
    images_in,
    is_dataset,
    plain_name,
)
from cgeval.images import ResizeFilter
from cgeval.resizing import domain_filter, filter_for

Kind = Literal["image", "images", "collection", "saved"]
SAVED = ".safetensors"
SINGLES = 2  # representative images beside the collection, as in the paper's figures
COLLECTION = "collection"
LEARNED_SPLITS = ("train", "test", "val")  # where a collection is taken from: the first that has images


@dataclass(frozen=True)
class Wanted:
    """One style as it is asked for. files: what it is made of; empty for a saved one, which is at `source`.

    name: part of the set's name; variant: as tables call it; singles: how many of the files become styles of their own;
    of_dataset: it is of the dataset whose images are the contents, and so is squashed as they are.
    """

    name: str
    variant: str
    kind: Kind
    source: Path
    files: tuple[ImageFile, ...] = ()
    filter: ResizeFilter = "bicubic"
    singles: int = 0
    of_dataset: bool = False


@dataclass(frozen=True)
class Named:
    """What the command line says of styles. singles: None: two of a dataset's own collection, none of a named one."""

    styles: tuple[Path, ...] = ()
    collection: tuple[Path, ...] = ()
    singles: int | None = None


def wanted_styles(named: Named, content: Path, direction: str) -> list[Wanted]:
    """The collection first, its single images after it, then those that are named; raises ConfigError, LayoutError."""
    if not named.styles and not named.collection:
        return [_of_dataset(content, direction, SINGLES if named.singles is None else named.singles)]
    if named.singles and not named.collection:
        raise ConfigError("--styles takes so many images of a collection, and none is named: add --collection DIR.")
    found = [_of_collection(named.collection, named.singles or 0)] if named.collection else []
    found += [_single(path) for path in named.styles]
    _refuse_twice(found)
    return found


def single_of(collection: Wanted, file: ImageFile) -> Wanted:
    """The style of one image out of a collection."""
    name = plain_name(file.id, "image")
    return Wanted(name, file.id, "image", file.path, (file,), collection.filter, of_dataset=collection.of_dataset)


def _of_dataset(content: Path, direction: str, singles: int) -> Wanted:
    if not is_dataset(content):
        raise ConfigError(
            f"no style is named, and {content} is no dataset that has its own: add --style FILE (several times, if "
            "you like), or --collection DIR for the average of a whole folder."
        )
    return _of_domain(find_dataset(content), "B" if direction == "AtoB" else "A", singles)


def _of_domain(dataset: Dataset, domain: Domain, singles: int) -> Wanted:
    parts = ((name, dataset.splits[name]) for name in LEARNED_SPLITS if name in dataset.splits)
    split = next((name for name, part in parts if (part.a if domain == "A" else part.b)), LEARNED_SPLITS[0])
    files = domain_files(dataset, domain, split)
    filter = domain_filter(dataset, domain)
    return Wanted(
        COLLECTION, COLLECTION, "collection", dataset.root, files, filter, _fewer(singles, files), of_dataset=True
    )


def _of_collection(paths: Sequence[Path], singles: int) -> Wanted:
    """One average of all that is named, folders and images alike."""
    files = tuple(file for path in paths for file in _refuse_dataset(path))
    name = "+".join(path.resolve().stem if path.is_file() else path.resolve().name for path in paths)
    whole = any(path.is_dir() for path in paths)
    kind: Kind = "collection" if whole else "images" if len(files) > 1 else "image"
    variant = f"{COLLECTION} {name}" if whole else name.replace("+", " + ")
    slug = plain_name(f"{COLLECTION}-{name}" if whole else name, COLLECTION)
    return Wanted(slug, variant, kind, paths[0], files, filter_for(files, declared=False), _fewer(singles, files))


def _refuse_dataset(path: Path) -> tuple[ImageFile, ...]:
    if path.suffix == SAVED:
        raise ConfigError(f"--collection {path}: a style that was saved is named by --style.")
    if is_dataset(path):
        raise LayoutError(f"{path} is a dataset: name one folder of it as the collection, such as {path / 'trainB'}.")
    return images_in(path)


def _single(path: Path) -> Wanted:
    if path.is_dir():
        raise ConfigError(f"--style {path}: a folder's average is a collection: name it by --collection.")
    name = path.resolve().stem
    slug = plain_name(name, "style")
    if path.suffix == SAVED:
        if not path.is_file():
            raise LayoutError(f"{path} is not there: a style that was saved is expected.")
        return Wanted(slug, name, "saved", path)
    return Wanted(slug, name, "image", path, images_in(path))


def _fewer(singles: int, files: Sequence[ImageFile]) -> int:
    if singles > len(files):
        raise ConfigError(f"--styles is {singles}, and the collection has {len(files)} images: take fewer.")
    return singles


def _refuse_twice(found: Sequence[Wanted]) -> None:
    names = [each.name for each in found]
    twice = next((each for each in found if names.count(each.name) > 1), None)
    if twice:
        raise ConfigError(f"two styles would be called {twice.name!r}: rename the file, or name it once.")
