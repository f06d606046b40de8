"""A file, a folder or a dataset goes in; `Contents` come out: the images to stylise in one direction, and their size.

A dataset's images are squashed to a square, as a translator squashes them, so that both can be compared; those of a
file or a folder keep their shape. Label maps are resized with the nearest filter, photos with the bicubic one.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from cgeval.datasets import Dataset, ImageFile, find_dataset, read_picture
from cgeval.errors import ConfigError, LayoutError
from cgeval.images import Picture, ResizeFilter, find_images, image_id, image_size, resize
from cgeval.resizing import domain_filter, filter_for

Domain = Literal["A", "B"]
DEFAULT_PX = 256  # the side at which the CycleGAN paper translates
DEFAULT_SPLIT = "test"
SPLIT_FOLDER = re.compile(r"(train|test|val)([_-]?[ab])?", re.IGNORECASE)
MOST_LETTERS = 60  # of a name that becomes part of a folder's
QUICKLY_READ = 8  # as many images need no progress bar
READERS = 4


@dataclass(frozen=True)
class Contents:
    """The images of one direction. direction: "AtoB" or "BtoA"; split: the dataset's, or the folder's name.

    size_px: the side of a square where `squashed`, else the longer side. targets: ids of images that show what the
    result should be. facts: what a run remembers of the dataset.
    """

    files: tuple[ImageFile, ...]
    direction: str
    split: str
    source: Path
    size_px: int
    squashed: bool
    filter: ResizeFilter
    targets: frozenset[str] = frozenset()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def size_of(self, file: ImageFile) -> tuple[int, int]:
        """Width and height at which the image is stylised, from its header; raises ImageError."""
        return fitted_size(*picture_size(file), self.size_px, squashed=self.squashed)

    def read(self, file: ImageFile) -> Picture:
        """uint8 [h, w, 3] of that size; raises ImageError naming the file."""
        picture = np.ascontiguousarray(read_picture(file))
        size = fitted_size(picture.shape[1], picture.shape[0], self.size_px, squashed=self.squashed)
        resized: Picture = resize(picture, *size, self.filter)
        return resized


def open_contents(
    path: Path,
    *,
    split: str | None = None,
    directions: Sequence[str] | None = None,
    size_px: int | None = None,
) -> list[Contents]:
    """The contents in each direction: of a dataset's split (default: test), of a folder, or one file.

    directions: None: labels -> photo where the dataset has labels, else A -> B. size_px: None: what dataset.toml says
    the pictures have, else 256. Raises LayoutError, ImageError or ConfigError, before any image is decoded whole.
    """
    if is_dataset(path):
        return _of_dataset(find_dataset(path), split or DEFAULT_SPLIT, directions, size_px)
    if split is not None:
        raise ConfigError(f"{path} is no dataset with splits, which --split {split} asks for: leave it out.")
    if directions is not None:
        raise ConfigError(f"{path} is no dataset of two domains: leave out --direction.")
    files = _plain_files(path)
    name = plain_name(path.resolve().stem if path.is_file() else path.resolve().name, "input")
    facts = {"name": name, "path": str(path.resolve())}
    filter = filter_for(files, declared=False)
    return [
        Contents(files, "AtoB", name, path.resolve(), size_px or DEFAULT_PX, squashed=False, filter=filter, facts=facts)
    ]


def picture_size(file: ImageFile) -> tuple[int, int]:
    """Width and height of the image, or of the half that is meant, from its header; raises ImageError."""
    width, height = image_size(file.path)
    return (width // 2 if file.half else width), height


def fitted_size(width: int, height: int, size_px: int, *, squashed: bool) -> tuple[int, int]:
    """Width and height of the square, or of the same shape with its longer side as long as that."""
    if squashed:
        return size_px, size_px
    times = size_px / max(width, height)
    return max(1, round(width * times)), max(1, round(height * times))


def is_dataset(path: Path) -> bool:
    """Whether the folder is laid out as a dataset: it says so itself, or holds folders of splits."""
    if not path.is_dir():
        return False
    folders = (child.name for child in path.iterdir() if child.is_dir())
    return (path / "dataset.toml").is_file() or any(SPLIT_FOLDER.fullmatch(name) for name in folders)


def images_in(path: Path) -> tuple[ImageFile, ...]:
    """The image, or every image below the folder; raises LayoutError or ImageError where there is none to open."""
    if path.is_dir():
        files = tuple(ImageFile(image_id(each, path), each) for each in find_images(path))
        if not files:
            raise LayoutError(f"{path} holds no images (jpg, png, bmp, tif, webp): name a folder of them.")
        return files
    if not path.exists():
        raise LayoutError(f"{path} is not there: an image or a folder of images is expected.")
    image_size(path)
    return (ImageFile(path.stem, path),)


def domain_files(dataset: Dataset, domain: Domain, split: str) -> tuple[ImageFile, ...]:
    """The images of one domain in a split; raises LayoutError where there are none."""
    part = dataset.split(split)
    files = part.a if domain == "A" else part.b
    if not files:
        raise LayoutError(f"{dataset.root} has no images of {domain} in its split {split!r}.")
    return files


def batches(contents: Contents, size: int) -> list[tuple[ImageFile, ...]]:
    """All images in batches of one size each: the same ones whatever is finished already, in the order of sizes met."""
    by_size: dict[tuple[int, int], list[ImageFile]] = {}
    for file in contents.files:
        by_size.setdefault(contents.size_of(file), []).append(file)
    return [batch for files in by_size.values() for batch in _chunks(files, size)]


def content_digest(contents: Contents) -> str:
    """SHA-256 over ids and pixels as they are stylised; so every image is decoded once, before the long work begins.

    Raises ImageError for the first that cannot be.
    """

    def digest_of(file: ImageFile) -> str:
        picture = contents.read(file)
        head = f"{file.id}\0{file.id in contents.targets}\0{picture.shape}\0".encode(errors="surrogateescape")
        return hashlib.sha256(head + picture.tobytes()).hexdigest()

    hidden = None if len(contents.files) > QUICKLY_READ else True
    with ThreadPoolExecutor(READERS) as pool:
        done = pool.map(digest_of, contents.files)
        bar = tqdm(done, total=len(contents.files), desc="reading contents", unit="img", leave=False, disable=hidden)
        return hashlib.sha256("\n".join(bar).encode()).hexdigest()


def plain_name(text: str, otherwise: str) -> str:
    """The text in letters, digits and . _ + -, the first a letter or digit, as names of sets have them."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-._+")[:MOST_LETTERS] or otherwise


def _of_dataset(dataset: Dataset, split: str, directions: Sequence[str] | None, size_px: int | None) -> list[Contents]:
    px = size_px or int(dataset.facts.get("size_px", DEFAULT_PX))
    if directions is None:
        directions = ["BtoA" if dataset.label_domain == "B" else "AtoB"]
    return [_one_way(dataset, split, direction, px) for direction in directions]


def _one_way(dataset: Dataset, split: str, direction: str, size_px: int) -> Contents:
    here: Domain = "A" if direction == "AtoB" else "B"
    files = domain_files(dataset, here, split)
    _refuse_unaligned(files)
    others = dataset.split(split).b if here == "A" else dataset.split(split).a
    targets = frozenset(file.id for file in others) if dataset.paired else frozenset[str]()
    filter = domain_filter(dataset, here)
    return Contents(
        files, direction, split, dataset.root.resolve(), size_px, True, filter, targets, dict(dataset.run_facts)
    )


def _refuse_unaligned(files: Collection[ImageFile]) -> None:
    for file in files:
        width, _height = image_size(file.path)
        if file.half and width % 2:
            raise LayoutError(f"{file.path} is {width} pixels wide: an aligned picture holds A and B of equal width.")


def _plain_files(path: Path) -> tuple[ImageFile, ...]:
    """The images, each with a header that can be read and an id of its own in UTF-8."""
    seen: dict[str, ImageFile] = {}
    for file in images_in(path):
        image_size(file.path)
        if file.id in seen:
            raise LayoutError(f"{seen[file.id].path} and {file.path} have the same id {file.id!r}: rename one.")
        if any("\ud800" <= letter <= "\udfff" for letter in file.id):
            raise LayoutError(f"the file name {str(file.path)!r} is not UTF-8, and ids are text: rename the file.")
        seen[file.id] = file
    return tuple(seen.values())


def _chunks(files: Sequence[ImageFile], size: int) -> Iterator[tuple[ImageFile, ...]]:
    rest = iter(files)
    while chunk := tuple(islice(rest, size)):
        yield chunk
