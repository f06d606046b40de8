"""A folder of another program's results goes in; what lies in it comes out: translations and inputs by name, each way.

The layouts are those that these programs write: junyanz/pytorch-CycleGAN-and-pix2pix, NVIDIA/pix2pixHD and
affinelayer/pix2pix-tensorflow say in a file's ending what it shows; taesungp/contrastive-unpaired-translation (CUT),
junyanz/CycleGAN (Lua), phillipi/pix2pix (Lua) and NVlabs/SPADE in the folder it lies in. Any other folder of images is
taken as translations alone.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cgeval.errors import LayoutError, RunError
from cgeval.images import find_images, image_id

SITES = (  # what programs call the folder of one test: the split is in it
    r"(?P<phase>train|test|val)_.+",
    r".+_net_G_(?P<phase>train|test|val)",
    r".+_(?P<phase>train|test|val)",
)
SNAPSHOT = re.compile(r"(.*/)?epoch\d{3,}(_iter\d+)?")


@dataclass(frozen=True)
class Words:
    """What a program calls the pictures of one way. stated: the direction that these words say, if they say one."""

    real: str
    fake: str
    stated: str | None = None


@dataclass(frozen=True)
class Layout:
    """ending: the sign between name and word, as in <name>_fake_B.png; None where the word is the folder's name.

    others: words for pictures that are neither input nor translation.
    """

    name: str
    about: str
    ways: tuple[Words, ...]
    others: tuple[str, ...] = ()
    ending: str | None = None

    def word_of(self, path: Path, root: Path) -> tuple[str, str] | None:
        """The word that says what the picture shows, and its name without it; None for a picture without a word."""
        name = image_id(path, root)
        for word in self.words:
            if self.ending is None and name.startswith(f"{word}/"):
                return word, name.removeprefix(f"{word}/")
            if self.ending is not None and name.endswith(f"{self.ending}{word}"):
                return word, name.removesuffix(f"{self.ending}{word}")
        return None

    @property
    def words(self) -> tuple[str, ...]:
        """Every word of the program."""
        return (*(word for way in self.ways for word in (way.real, way.fake)), *self.others)


DOMAINS = (Words("real_A", "fake_B", "AtoB"), Words("real_B", "fake_A", "BtoA"))
CYCLES = ("rec_A", "rec_B", "idt_A", "idt_B", "identity_A", "identity_B")
LAYOUTS = (
    Layout("pytorch", "results of the PyTorch CycleGAN and pix2pix", DOMAINS, CYCLES, "_"),
    Layout("tensorflow", "results of pix2pix-tensorflow", (Words("inputs", "outputs"),), ("targets",), "-"),
    Layout("pix2pixhd", "results of pix2pixHD", (Words("input_label", "synthesized_image"),), ("real_image",), "_"),
    Layout("folders", "results of CUT or the Lua CycleGAN", DOMAINS, CYCLES),
    Layout("lua-pix2pix", "results of the Lua pix2pix", (Words("input", "output"),), ("target",)),
    Layout("spade", "results of SPADE", (Words("input_label", "synthesized_image"),), ("real_image",)),
)
FOLDER_WORDS = frozenset(word for layout in LAYOUTS if layout.ending is None for word in layout.words)
FLAT = Layout("flat", "a folder of images", ())


@dataclass(frozen=True)
class Part:
    """Translations one way: files by name. reals: the input images that lie there, by the names of their translations.

    word: what the program calls the translations; stated: their direction, if the word says it.
    """

    word: str
    stated: str | None
    fakes: Mapping[str, Path]
    reals: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class ForeignResults:
    """root: the folder that the pictures' names are relative to; experiment: what its program called the method.

    phase: the split, as its program called it; passed_over: pictures that are of no way.
    """

    root: Path
    layout: Layout
    experiment: str
    phase: str | None
    parts: tuple[Part, ...]
    passed_over: int = 0

    @property
    def states_directions(self) -> bool:
        """Whether the layout itself says which way each part was translated."""
        return all(part.stated is not None for part in self.parts)


def recognise(folder: Path) -> ForeignResults | None:
    """What a folder of results holds; None where it holds no image at all.

    The folder may be the one of the images, one above it, or the one of the translations, such as fake_B. Raises
    LayoutError for several results, or for pictures that are no translations; RunError for a run of our own.
    """
    _refuse_own(folder)
    images = find_images(folder)
    if not images:
        return None
    beside = _inputs_beside(folder)
    root = folder.parent if beside else _root(folder, images)
    images += beside
    for above in (root, *root.parents[:2]):
        _refuse_own(above)
    inside = [path for path in images if path.is_relative_to(root)]
    layout = _layout(inside, root)
    parts = _parts(layout, inside, root)
    _refuse_snapshots(parts, root)
    seen = {path for part in parts for path in (*part.fakes.values(), *part.reals.values())}
    known = {path for path in inside if layout.word_of(path, root)}
    experiment, phase = _experiment(root)
    return ForeignResults(root, layout, experiment, phase, parts, len(set(images) - seen - known))


def _refuse_own(folder: Path) -> None:
    if (folder / "run.json").is_file():
        raise RunError(f"{folder} is a run already: `cgeval show {folder}` says what it holds.")
    if (folder / "set.json").is_file():
        raise RunError(f"{folder} is an image set of the run {folder.parent.parent}: `cgeval show` says what it holds.")


def _inputs_beside(folder: Path) -> list[Path]:
    """The input images in the folder beside one of translations, such as real_A beside fake_B."""
    ways = [way for layout in LAYOUTS if layout.ending is None for way in layout.ways if way.fake == folder.name]
    return find_images(folder.parent / ways[0].real) if ways else []


def _root(folder: Path, images: Sequence[Path]) -> Path:
    """The folder `images` of the only results below, or the folder where the images' paths part."""
    sites = list(dict.fromkeys(site for path in images if (site := _site(path, folder)) is not None))
    if len(sites) > 1:
        names = ", ".join(str(site.relative_to(folder)) for site in sites[:6]) + ", ..." * (len(sites) > 6)
        raise LayoutError(f"{folder} holds {len(sites)} results ({names}): name one of these folders.")
    root = sites[0] if sites else folder
    inside = [path.relative_to(root) for path in images if path.is_relative_to(root)]
    while len(heads := {path.parts[0] for path in inside}) == 1 and inside[0].parts[0] != inside[0].name:
        (head,) = heads
        if head in FOLDER_WORDS:
            break
        root, inside = root / head, [path.relative_to(head) for path in inside]
    return root


def _site(path: Path, folder: Path) -> Path | None:
    """The outermost folder `images` on the way to a picture; none where the results begin above."""
    parts = path.relative_to(folder).parts[:-1]
    if "images" not in parts or folder.name == "images":
        return None
    return folder.joinpath(*parts[: parts.index("images") + 1])


def _layout(images: Sequence[Path], root: Path) -> Layout:
    """The one layout that calls some of the pictures translations; `flat` where most pictures have no word."""
    found = {layout.name: [word for path in images if (word := layout.word_of(path, root))] for layout in LAYOUTS}
    if 2 * sum(map(len, found.values())) < len(images):
        return FLAT
    words = {name: {word for word, _ in pairs} for name, pairs in found.items()}
    fitting = [layout for layout in LAYOUTS if words[layout.name] & {way.fake for way in layout.ways}]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        both = " and ".join(layout.about for layout in fitting)
        raise LayoutError(f"{root} holds {both} at once: put each in a folder of its own.")
    there = next(layout for layout in LAYOUTS if words[layout.name])
    fakes = " or ".join(way.fake for way in there.ways)
    only = ", ".join(sorted(words[there.name]))
    raise LayoutError(f"{root} holds {only} only and no translated images ({fakes}): name the folder that has them.")


def _parts(layout: Layout, images: Iterable[Path], root: Path) -> tuple[Part, ...]:
    if layout is FLAT:
        return (Part(root.name, None, _named((image_id(path, root), path) for path in images)),)
    found = [(*word, path) for path in images if (word := layout.word_of(path, root))]
    by_word = {word: _named((n, path) for w, n, path in found if w == word) for word in layout.words}
    ways = [way for way in layout.ways if by_word[way.fake]]
    return tuple(Part(way.fake, way.stated, by_word[way.fake], by_word[way.real]) for way in ways)


def _named(files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for name, path in files:
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise LayoutError(f"the file name {str(path)!r} is not UTF-8, and ids are text: rename the file.")
        if name in named:
            raise LayoutError(f"{named[name]} and {path} are both of {name!r}: remove one of them.")
        named[name] = path
    return named


def _refuse_snapshots(parts: Iterable[Part], root: Path) -> None:
    names = [name for part in parts for name in part.fakes]
    if all(SNAPSHOT.fullmatch(name) for name in names):
        raise LayoutError(
            f"{root} holds a training's snapshots (first: {names[0]!r}), one picture an epoch: name the folder of its "
            "test program's results."
        )


def _experiment(root: Path) -> tuple[str, str | None]:
    """The method's name, and the split, as the folders above the images tell them."""
    site = root.resolve()
    while site.name == "images" or site.name in FOLDER_WORDS:
        site = site.parent
    for pattern in SITES:
        match = re.fullmatch(pattern, site.name)
        if match:
            return site.parent.name, match["phase"]
    return site.name, None
