"""Arrays and headers of real and fake images go in; what would give the answer away in a study comes out.

A tell is judged by one number: how many pairs would a participant get right who looked at nothing else? Half of them
is guessing; three quarters is where psychophysics puts the threshold of a choice between two.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import median

import numpy as np
from numpy.typing import NDArray

from cgeval.images import Header, Picture, distinct_colours

Luma = NDArray[np.float32]

REAL = "real"  # the name of the real side
TRIALS = 50  # 10 practice and 40 scored, pairs without replacement: Zhu et al. 2017, section 5.1.1
AWAY, HELP, WORD = 0.75, 0.55, 0.51  # share of pairs right by a tell alone, from which it counts
TONE = 0.60  # the same for sharpness and brightness, as the interval's lower end
RARE = 0.05  # a size or format rarer than this among both sides is nobody's mark

BLOCK = 8
GRID_CROP = 256  # pixels, from the middle
GRID_SMALLEST = 48  # pixels; below, a grid has too few blocks to be told from chance
GRID = 0.05  # `jpeg_grid`'s lead from which an image has the grid; its docstring says why
SHOWN_STEP = 0.5  # grey levels; a smaller mean step at the blocks' edges is less than an 8-bit screen can show

FLAT = 3.0  # grey levels of standard deviation; the least of 1,213 photos measured has 17.6
EVEN = 8  # grey levels that a constant frame may vary by, since JPEG ripples it
GREY = 2  # levels that the channels of a grey picture may differ by, since JPEG tints it
FEW_COLOURS = 256
COARSE = 0.6  # share of the levels between darkest and lightest that occur; 613 photos measured have 0.79 and more
FEWEST = 10  # images a side, below which nothing is said of tones


class Severity(StrEnum):
    """How bad a finding is, worst first. The first two make the check fail."""

    SPOILS = "spoils the study"
    GIVES_AWAY = "gives the answer away"
    MAY_HELP = "may help"
    NOTE = "note"

    @property
    def fails(self) -> bool:
        """To be mended before anybody is shown the images."""
        return self in {Severity.SPOILS, Severity.GIVES_AWAY}


@dataclass(frozen=True)
class Finding:
    """found: a sentence with the numbers; todo: what to do; right: share of pairs right by this alone, if known."""

    tell: str
    severity: Severity
    found: str
    todo: str
    right: float | None = None


@dataclass(frozen=True)
class Measures:
    """What is measured on a sample. grid: has it JPEG's grid, None for an image too small to tell.

    step (at the edges of the grid's blocks; 0 without a grid), sharpness, brightness: in grey levels, 0 .. 255.
    """

    grid: bool | None
    step: float
    coarse: bool
    sharpness: float
    brightness: float


@dataclass(frozen=True)
class Seen:
    """What one image shows. border_px: width of a constant frame; spread: standard deviation in grey levels."""

    name: str
    header: Header
    width: int
    height: int
    digest: str
    grey: bool
    border_px: int
    spread: float
    measures: Measures | None


@dataclass(frozen=True)
class ImagesSeen:
    """One side of a study: the images that could be read, and a sentence for each that could not."""

    name: str
    images: tuple[Seen, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def measured(self) -> list[Measures]:
        """Of the images in the sample."""
        return [image.measures for image in self.images if image.measures]

    @property
    def grids(self) -> list[bool]:
        """Has the image the grid of JPEG? Of those in the sample that are large enough to tell."""
        return [m.grid for m in self.measured if m.grid is not None]

    @property
    def steps(self) -> list[float]:
        """Grey levels at the edges of blocks, of the same images."""
        return [m.step for m in self.measured if m.grid is not None]


def look(name: str, header: Header, picture: Picture, *, measure: bool) -> Seen:
    """What uint8 [h, w, 3] shows; `measure` adds the slower measures."""
    height, width = picture.shape[:2]
    grey = luma(picture)
    measures = _measure(picture, grey) if measure else None
    spread = float(grey.std())
    return Seen(name, header, width, height, digest(picture), is_grey(picture), border(grey), spread, measures)


def digest(picture: Picture) -> str:
    """SHA-256 of the size and the pixels, whatever the file they came in."""
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def luma(picture: Picture) -> Luma:
    """float32 [h, w], 0 .. 255: the grey that JPEG makes of sRGB (ITU-T T.871)."""
    return picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def jpeg_grid(grey: Luma) -> tuple[float, tuple[int, int]]:
    """By how much one of the 64 ways to lay a grid of 8x8 blocks leads the next best, and its row and column.

    JPEG rounds most of a block's 64 cosine coefficients to zero. Decoded, they still are about zero when the blocks
    are cut where JPEG cut them, and nowhere else: the share of |coefficient| < 1/2 has one sharp peak among the 64
    grids. (Counting such zeros to find a grid: Nikoukhah et al. 2021, IPOL 11; the lead over the runner-up is ours.)
    It finds a JPEG in a PNG, cropped or not, and no resized one. At least 16 pixels either way.

    Measured on the middle 256 pixels. Once JPEG: CamVid's 701 photos (quality 90) 0.14 .. 0.29; 176 of them resized
    to 256 pixels and saved at quality 98 0.06 .. 0.12, 95 0.12 .. 0.23, 75 0.16 .. 0.28, 30 0.13 .. 0.24; 840 of 860
    files of horse2zebra 0.05 .. 0.34, the rest, all but one of quality 99 and 100, down to 0.00; those resized to 48
    pixels and saved at 90 0.10 .. 0.34. Never, or no more: 4,712 photos resized by bicubic and Lanczos to 64 .. 512
    pixels, at most 0.040 (99 % below 0.011); noise, enlarged noise, photos enlarged 2 to 8 times, label maps, Gatys
    transfers, patterns of period 2, 4 and 8 as transposed convolutions leave them, at most 0.034. The exceptions
    repeat pixels: 4 of 87 photos enlarged twice by nearest, up to 0.10, and most of those enlarged eight times, which
    are blocks indeed.
    Hence GRID = 0.05.
    """
    zeros = _small_coefficients(grey)
    share = np.array([[zeros[row::BLOCK, column::BLOCK].mean() for column in range(BLOCK)] for row in range(BLOCK)])
    best, second = np.sort(share.ravel())[:-3:-1]
    row, column = np.unravel_index(int(share.argmax()), share.shape)
    return float(best - second), (int(row), int(column))


def block_step(grey: Luma, origin: tuple[int, int]) -> float:
    """Mean height in grey levels of the steps at a grid's edges, beyond those elsewhere; about 0 without blocks.

    A step of height h has an absolute third difference of 2h, and of h beside it, which counts as elsewhere: 6/7 h are
    told. Differences are cut at 20, so that the picture's own edges count little. Medians measured at 256 pixels:
    quality 98 0.02, 95 0.3, 92 0.6, 90 0.7, 85 1.0, 75 1.4, 50 1.9, 30 2.4; CamVid's photos 0.6, horse2zebra's 0.15.
    Enlarged three times, we saw nothing at 90, a little at 75, and blocks at 50. Softer pictures show more: photos
    blurred by an enlargement, with a little noise, have 1.4 at quality 95.
    """
    heights = []
    for rows, first in ((grey, origin[0]), (grey.T, origin[1])):
        steps = np.minimum(np.abs(np.diff(rows, n=3, axis=0)), 20).mean(axis=1)
        # Step i lies between rows i + 1 and i + 2; a block begins at each row first + 8k.
        at_edges = (np.arange(len(steps)) + 2 - first) % BLOCK == 0
        heights.append(float(steps[at_edges].mean() - steps[~at_edges].mean()) / 2)
    return sum(heights) / 2


def sharpness(grey: Luma) -> float:
    """Fine detail in grey levels: the root mean square of what a 3x3 binomial blur takes away."""
    down = (grey[:-2] + 2 * grey[1:-1] + grey[2:]) / 4
    blurred = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 4
    return float(np.sqrt(np.mean(np.square(grey[1:-1, 1:-1] - blurred)))) if blurred.size else 0.0


def border(grey: Luma) -> int:
    """Pixels of a constant frame: on two opposite edges at least, the thinner of the two; 0 without.

    One edge alone is no frame: the sky is often white.
    """
    pairs = ((grey, grey[::-1]), (grey.T, grey.T[::-1]))
    return max(min(_constant_rows(one), _constant_rows(other)) for one, other in pairs)


def is_grey(picture: Picture) -> bool:
    """Are the three channels the same, but for JPEG's rounding?"""
    red, green, blue = (picture[..., channel] for channel in range(3))
    apart = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return int(apart.max()) <= GREY


def is_coarse(picture: Picture) -> bool:
    """Has it few colours, or gaps between its levels, as palettes and 5-bit colours leave? False below 4096 pixels."""
    if picture.shape[0] * picture.shape[1] < 4096:
        return False
    if distinct_colours(picture) <= FEW_COLOURS:
        return True
    present = [np.unique(picture[..., channel]).tolist() for channel in range(3)]
    return all(len(levels) <= COARSE * (levels[-1] - levels[0] + 1) for levels in present)


def right_by_mark(real: float, fake: float) -> float:
    """Share of pairs right by a mark that these shares of real and fake images bear."""
    return 0.5 + abs(real - fake) / 2


def right_by_kind(real: Sequence[Hashable], fake: Sequence[Hashable]) -> float:
    """Share of pairs right by which kinds the two images are of: the best rule there is; rare kinds count as one."""
    total = Counter(real) + Counter(fake)
    common = [kind for kind in total if total[kind] >= RARE * (len(real) + len(fake))]
    p, q = _shares(real, common), _shares(fake, common)
    return 0.5 + float(np.triu(np.abs(np.outer(p, q) - np.outer(q, p))).sum()) / 2


def right_by_amount(real: Sequence[float], fake: Sequence[float]) -> tuple[float, float, float]:
    """Share of pairs in which the real image has more, ties halved, with its 95 % interval.

    That is the area under the ROC curve; the interval is Hanley and McNeil's (Radiology 1982).
    """
    ordered, n, m = np.sort(np.asarray(fake)), len(real), len(fake)
    below, up_to = (np.searchsorted(ordered, real, side=side) for side in ("left", "right"))
    area = float((below + up_to).mean() / (2 * m))
    more_real, more_fake = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    half = 1.96 * sqrt(max(area * (1 - area) + (n - 1) * more_real + (m - 1) * more_fake, 0.0) / (n * m))
    return area, max(area - half, 0.0), min(area + half, 1.0)


def find_tells(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    """Everything that tells the two sides apart, or stands in a study's way, worst first. Both sides have images."""
    tells: tuple[Callable[[ImagesSeen, ImagesSeen], list[Finding]], ...] = (
        _unreadable,
        _pairs,
        _copies,
        _repeats,
        _sizes,
        _jpeg,
        _blocks,
        _formats,
        _colour,
        _depth,
        _see_through,
        _borders,
        _flat,
        _sharpness,
        _brightness,
        _profiles,
        _metadata,
    )
    found = [finding for tell in tells for finding in tell(real, fake)]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))


def _unreadable(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    broken = [*real.unreadable, *fake.unreadable]
    if not broken:
        return []
    found = f"Unreadable and in no number here: {len(broken)} of the files. {_some(broken, ' ')}"
    return [Finding("unreadable", Severity.SPOILS, found, "Make them again or remove them.")]


def _pairs(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    pairs = min(len(real.images), len(fake.images))
    if pairs >= TRIALS:
        return []
    found = (
        f"{_count(len(real.images), real)} and {_count(len(fake.images), fake)} make {pairs} pairs, and a session of "
        f"10 practice and 40 scored trials shows {TRIALS} different ones."
    )
    return [Finding("pairs", Severity.SPOILS, found, f"Add {TRIALS - pairs} pairs, or plan fewer trials.")]


def _copies(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    originals = {image.digest: image.name for image in real.images}
    copies = [_same(originals[image.digest], image.name) for image in fake.images if image.digest in originals]
    if not copies:
        return []
    found = (
        f"{len(copies)} of {_count(len(fake.images), fake)} equal a real one in every pixel, so that their trials have "
        f"no right answer: {_some(copies)}."
    )
    return [Finding("copies", Severity.SPOILS, found, "Remove them, and find out how they came among the fakes.")]


def _repeats(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    findings = []
    for side in (real, fake):
        names: dict[str, list[str]] = {}
        for image in side.images:
            names.setdefault(image.digest, []).append(image.name)
        groups = [" = ".join(group) for group in names.values() if len(group) > 1]
        if groups:
            again = len(side.images) - len(names)
            found = f"{again} of {_count(len(side.images), side)} repeat another in every pixel: {_some(groups)}."
            todo = "Keep one of each: seen in practice with feedback, the other is remembered."
            findings.append(Finding("repeats", Severity.MAY_HELP, found, todo))
    return findings


def _sizes(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    sizes = [[f"{image.width}x{image.height}" for image in side.images] for side in (real, fake)]
    right = right_by_kind(*sizes)
    if severity := _severity(right):
        shape, other = _middle_aspect(real), _middle_aspect(fake)
        aspect = f" and proportions ({shape:.2f} to 1 and {other:.2f} to 1)" if abs(shape - other) > 0.02 else ""
        found = f"Sizes{aspect} differ: {_kinds(sizes[0], real)}; {_kinds(sizes[1], fake)}. {_so(right)}"
        todo = "Bring both to one size by the same crop and the same filter, the real ones as the fakes' inputs were."
        return [Finding("size", severity, found, todo, right)]
    if len(set(sizes[0] + sizes[1])) == 1:
        return []
    found = f"Sizes vary, alike on both sides: {_kinds(sizes[0], real)}; {_kinds(sizes[1], fake)}."
    return [Finding("size", Severity.NOTE, found, "Bring all to one size, so that no pair shows two.")]


def _jpeg(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    if not real.grids or not fake.grids:
        return []
    right = right_by_mark(_share(real.grids), _share(fake.grids))
    if right < HELP:
        return []
    shown = [[step >= SHOWN_STEP for step in side.steps] for side in (real, fake)]
    by_eye = right_by_mark(*map(_share, shown))
    found = (
        f"The 8x8 grid that JPEG leaves in the pixels is in {_of(real.grids, real)} and {_of(fake.grids, fake)}. "
        f"In {sum(shown[0])} and {sum(shown[1])} of them its edges step by half a grey level or more on average, which "
        f"a screen can show: who went by those would be right in {by_eye:.0%} of pairs, a program in {right:.0%}."
    )
    marked = REAL if _share(real.grids) > _share(fake.grids) else f"{fake.name}'s"
    todo = (
        f"Best, remake the {marked} images without JPEG (from larger originals, by a resize); or pass both sides once "
        "more through JPEG at one quality, no better than the one that left the grid, and store them as PNG."
    )
    severity = Severity.GIVES_AWAY if by_eye >= AWAY else Severity.MAY_HELP
    return [Finding("jpeg", severity, found, todo, right)]


def _blocks(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    """Both sides were JPEG; do the blocks of one stand out?"""
    if min(_share(real.grids), _share(fake.grids)) < 0.5:
        return []
    area, low, high = right_by_amount(real.steps, fake.steps)
    right, least = (area, low) if area >= 0.5 else (1 - area, 1 - high)
    middle = (median(real.steps), median(fake.steps))
    if least < HELP or abs(middle[0] - middle[1]) < SHOWN_STEP:
        return []
    found = (
        f"Both sides were JPEG, and the blocks of one stand out: their edges step by {middle[0]:.1f} grey levels "
        f"(median of {_count(len(real.steps), real)}) and {middle[1]:.1f} ({_count(len(fake.steps), fake)}). "
        + _so(right)
    )
    todo = (
        "Its quality was lower, or its pictures are softer, which shows the same blocks more: remake both sides "
        "without JPEG, or at the same higher quality."
    )
    return [Finding("blocks", Severity.GIVES_AWAY if right >= AWAY else Severity.MAY_HELP, found, todo, right)]


def _formats(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    formats = [[image.header.format for image in side.images] for side in (real, fake)]
    right = right_by_kind(*formats)
    if right < HELP:
        return []
    found = f"File formats differ: {_kinds(formats[0], real)}; {_kinds(formats[1], fake)}."
    if "WEBP" in formats[0] + formats[1]:
        todo = "Store both sides alike: WebP blurs in its own way, which this check does not measure."
        return [Finding("format", Severity.MAY_HELP, found, todo, right)]
    todo = "Nothing for the format's own sake: pictures are shown re-encoded alike. What JPEG left in pixels is `jpeg`."
    return [Finding("format", Severity.NOTE, found, todo)]


def _colour(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    grey = [[image.grey for image in side.images] for side in (real, fake)]
    todo = "Leave grey pictures out on both sides, or make both sides grey."
    return _mark("colour", "without colour", grey, real, fake, todo)


def _depth(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    coarse = [[m.coarse and not i.grey for i in side.images if (m := i.measures)] for side in (real, fake)]
    todo = "Store both sides with 8 bits a channel and no palette; if one side is drawn flat, that is the method's."
    found = _mark("depth", "of few colours or levels", coarse, real, fake, todo)
    modes = [[image.header.mode for image in side.images] for side in (real, fake)]
    if found or right_by_kind(*modes) < HELP or any(i.grey for side in (real, fake) for i in side.images):
        return found
    stored = f"Pixels are stored in other modes: {_kinds(modes[0], real)}; {_kinds(modes[1], fake)}."
    todo = "Nothing, unless it surprises you: all are read as 8-bit sRGB, and their colours look alike in depth."
    return [Finding("depth", Severity.NOTE, stored, todo)]


def _see_through(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    marks = [[image.header.see_through for image in side.images] for side in (real, fake)]
    todo = "Lay both sides over the same background and store them without transparency; here it was laid over white."
    return _mark("alpha", "partly transparent", marks, real, fake, todo)


def _borders(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    marks = [[image.border_px > 0 and image.spread >= FLAT for image in side.images] for side in (real, fake)]
    widths = [image.border_px for side in (real, fake) for image in side.images if image.border_px]
    what = f"framed by a constant border ({median(widths):g} px in the middle)" if widths else "framed"
    return _mark("border", what, marks, real, fake, "Crop the frames away, on both sides alike, or leave these out.")


def _flat(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    flat = [[image.spread < FLAT for image in side.images] for side in (real, fake)]
    names = [image.name for side in (real, fake) for image in side.images if image.spread < FLAT]
    if not names:
        return []
    right = right_by_mark(*map(_share, flat))
    found = (
        f"Almost one grey all over (standard deviation below {FLAT:g} of 255 levels): {_of(flat[0], real)} and "
        f"{_of(flat[1], fake)}: {_some(names)}."
    )
    todo = "Look at them: a blank fake gives its trial away, and often means a failed translation or export."
    return [Finding("flat", _severity(right, least=HELP) or Severity.MAY_HELP, found, todo, right)]


def _sharpness(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    values = [[m.sharpness for m in side.measured] for side in (real, fake)]
    todo = "If a resize or JPEG did it, treat both sides alike; if the method blurs or adds grain, that is its result."
    return _tone("sharpness", ("sharper", "softer"), values, fake.name, todo)


def _brightness(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    values = [[m.brightness for m in side.measured] for side in (real, fake)]
    todo = "If the sides show other scenes or hours, draw the real ones from the same; if not, that is the method's."
    return _tone("brightness", ("brighter", "darker"), values, fake.name, todo)


def _profiles(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    other = [[_is_not_srgb(image.header.profile) for image in side.images] for side in (real, fake)]
    names = {p for side in (real, fake) for i in side.images if _is_not_srgb(p := i.header.profile) and p}
    if not names:
        return []
    found = (
        f"{_of(other[0], real)} and {_of(other[1], fake)} have a colour profile other than sRGB "
        f"({_some(sorted(names))}), which is not applied, so that their colours are shown duller or shifted."
    )
    severity = Severity.NOTE if right_by_mark(*map(_share, other)) < HELP else Severity.MAY_HELP
    return [Finding("profile", severity, found, "Convert them to sRGB before anything else, or leave them out.")]


def _metadata(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    carried = [[(*i.header.metadata, *(("ICC",) if i.header.profile else ())) for i in s.images] for s in (real, fake)]
    kinds = [{kind for image in side for kind in image} for side in carried]
    only = [
        f"{kind} ({sum(kind in image for image in images)} of {_count(len(images), side)})"
        for side, images, own, other in zip((real, fake), carried, kinds, reversed(kinds), strict=True)
        for kind in sorted(own - other)
    ]
    if not only:
        return []
    found = f"Metadata that only one side carries: {', '.join(only)}."
    todo = "Never show the files themselves; pictures that are re-encoded carry none."
    return [Finding("metadata", Severity.NOTE, found, todo)]


def _mark(
    tell: str, what: str, marks: list[list[bool]], real: ImagesSeen, fake: ImagesSeen, todo: str
) -> list[Finding]:
    if not all(marks):
        return []
    right = right_by_mark(*map(_share, marks))
    if (severity := _severity(right)) is None:
        return []
    found = f"{_of(marks[0], real)} are {what}, and {_of(marks[1], fake)}. {_so(right)}"
    return [Finding(tell, severity, found[0].upper() + found[1:], todo, right)]


def _tone(tell: str, words: tuple[str, str], values: list[list[float]], name: str, todo: str) -> list[Finding]:
    """A mild note: that a method blurs is its result, not a leak."""
    if min(map(len, values)) < FEWEST:
        return []
    area, low, high = right_by_amount(*values)
    word = words[0] if area > 0.5 else words[1]
    right, low, high = (area, low, high) if area > 0.5 else (1 - area, 1 - high, 1 - low)
    if low < TONE:
        return []
    found = (
        f"Real images are {word}: {np.mean(values[0]):.1f} against {np.mean(values[1]):.1f} grey levels on average "
        f"(n = {len(values[0])} real, {len(values[1])} by {name}). Choosing the {word} one as real would be right in "
        f"{right:.0%} of pairs (95% interval {low:.0%} to {high:.0%})."
    )
    return [Finding(tell, Severity.NOTE, found, todo, right)]


def _measure(picture: Picture, grey: Luma) -> Measures:
    tones = (is_coarse(picture), sharpness(grey), float(grey.mean()))
    middle = _middle(grey)
    if min(middle.shape) < GRID_SMALLEST:
        return Measures(None, 0.0, *tones)
    lead, origin = jpeg_grid(middle)
    has_grid = lead >= GRID
    return Measures(has_grid, block_step(middle, origin) if has_grid else 0.0, *tones)


def _middle(grey: Luma) -> Luma:
    top, left = (max(0, (length - GRID_CROP) // 2) for length in grey.shape)
    return grey[top : top + GRID_CROP, left : left + GRID_CROP]


def _small_coefficients(grey: Luma) -> NDArray[np.float64]:
    """[h - 7, w - 7]: the share of small cosine coefficients in the block that begins at each pixel."""
    windows = np.lib.stride_tricks.sliding_window_view
    down = windows(grey, BLOCK, axis=0) @ COSINES.T
    small = np.zeros((down.shape[0], down.shape[1] - BLOCK + 1))
    for frequency in range(BLOCK):
        both = windows(down[..., frequency], BLOCK, axis=1) @ COSINES.T
        small += (np.abs(both) < 0.5).sum(axis=-1)
    return small / BLOCK**2


def _cosines() -> NDArray[np.float32]:
    """The orthonormal DCT-II of 8 samples, one row a frequency (ITU-T T.81, A.3.3)."""
    frequency, sample = np.mgrid[:BLOCK, :BLOCK]
    rows = np.cos((2 * sample + 1) * frequency * np.pi / (2 * BLOCK)) / 2
    rows[0] /= np.sqrt(2)
    cosines: NDArray[np.float32] = rows.astype(np.float32)
    return cosines


COSINES = _cosines()


def _constant_rows(grey: Luma) -> int:
    """How many rows from the first on are all of one level, its own, give or take."""
    unlike = np.abs(grey - np.median(grey[0])).max(axis=1) > EVEN / 2
    return int(unlike.argmax()) if unlike.any() else len(grey)


def _severity(right: float, least: float = WORD) -> Severity | None:
    if right < least:
        return None
    return Severity.GIVES_AWAY if right >= AWAY else Severity.MAY_HELP if right >= HELP else Severity.NOTE


def _shares(kinds: Sequence[Hashable], common: Sequence[Hashable]) -> NDArray[np.float64]:
    counts = [sum(kind == one for kind in kinds) for one in common]
    return np.array([*counts, len(kinds) - sum(counts)]) / len(kinds)


def _share(marks: Sequence[bool]) -> float:
    return sum(marks) / len(marks) if marks else 0.0


def _is_not_srgb(profile: str | None) -> bool:
    return profile is not None and "srgb" not in profile.lower()


def _middle_aspect(side: ImagesSeen) -> float:
    return median(image.width / image.height for image in side.images)


def _count(count: int, side: ImagesSeen) -> str:
    return f"{count} real images" if side.name == REAL else f"{count} images by {side.name}"


def _of(marks: Sequence[bool], side: ImagesSeen) -> str:
    sampled = "" if len(marks) == len(side.images) else "sampled "
    whose = f"{sampled}real images" if side.name == REAL else f"{sampled}images by {side.name}"
    return f"{sum(marks)} of {len(marks)} {whose}"


def _same(one: str, other: str) -> str:
    return one if one == other else f"{one} = {other}"


def _so(right: float) -> str:
    return f"Who went by that alone would be right in {right:.0%} of pairs."


def _kinds(kinds: Sequence[str], side: ImagesSeen) -> str:
    ranked = Counter(kinds).most_common()
    told = [f"{kind} ({count})" for kind, count in ranked[:3]]
    more = [f"{len(ranked) - 3} others ({len(kinds) - sum(count for _, count in ranked[:3])})"] if ranked[3:] else []
    return f"{side.name} {', '.join(told + more)}"


def _some(sentences: Sequence[str], between: str = ", ", limit: int = 3) -> str:
    rest = len(sentences) - limit
    return between.join(sentences[:limit]) + (f" and {rest} more" if rest > 0 else "")
