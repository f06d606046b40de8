"""Plain facts about a score go in; what probably went wrong on the way to it comes out, one sentence each.

The traps are those that users of the released script fell into over eight years. A trap is told, never mended: the
score stands as it was counted. Each is silent where the facts can mean something else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cgeval.images import resize
from cgeval.labels import LabelSet
from cgeval.metrics import best_permutation

Direction = Literal["labels -> photo", "photo -> labels"]
Size = tuple[int, int]

THUMBNAIL: Size = (64, 32)  # width, height
CITYSCAPES_SIZE: Size = (2048, 1024)
PAPER_SIDE = 256
FULL_WIDTH = 512  # truth wider than this is of a full-resolution dataset
MOSTLY, HARDLY = 0.9, 0.1  # one class: its share of what is predicted, and the accuracy over all the others
OFTEN, CLEARLY, FEWEST = 0.8, 0.05, 8  # off by one: images that gain, their mean gain, how many images it takes
COPIES = 4  # equal images: how many of them it takes
# Wrong kind: label maps that a generator drew lie 10 from their palette, and the photos of drawn streets, which are the
# nearest to one, 23 (CamVid's own 51). Of a black or a grey picture all pixels may be in the palette, but few colours.
FAR, EXACT, SEVERAL = 18, 0.95, 3


@dataclass(frozen=True)
class Trap:
    """What was recognised, and a sentence that says what was found, why it matters and what to do."""

    name: str
    sentence: str


@dataclass(frozen=True)
class Number:
    """A score and the ends of its interval, None without one; fractions."""

    value: float
    low: float | None
    high: float | None

    def is_clearly_below(self, other: "Number") -> bool:
        """Whether the intervals do not touch; never without intervals."""
        return self.high is not None and other.low is not None and self.high < other.low


@dataclass(frozen=True)
class Standing:
    """What a row of the table says of some images."""

    pixel_accuracy: Number
    class_iou: Number


@dataclass(frozen=True)
class Colours:
    """How the colours of some images lie to the label set's palette.

    distance: of a pixel to the nearest of its colours, by L2, the median; exact: share of pixels that are one of them;
    different: how many of them occur.
    """

    distance: float
    exact: float
    different: int


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a score. Sizes are (width, height) in pixels, each different one once.

    scorer_kind, scorer_size_px: None where labels are told by colour. source_formats: how many predictions came as
    "JPEG", "PNG", ... before they were adopted. counts: int64 [K + 1, K + 1] over all images, void last, rows = truth.
    predicted, truth: thumbnails uint8 [n, 32, 64] of the class maps in the order of the set.

    own: the run's row; ceiling, shuffled: those of real pictures, and of such of other scenes, over the same images.
    as_the_ceiling: how many of the images have the matrix that the ceiling has of the same truth, seen as more than
    one class. missing: how many images the set lacks, and how many the split has. Of None nothing is said.
    """

    direction: Direction
    protocol: str
    labels: LabelSet
    dataset: str
    image_sizes: Collection[Size]
    truth_sizes: Collection[Size]
    counts: NDArray[np.int64]
    scorer_kind: str | None = None
    scorer_size_px: Size | None = None
    scorer_dataset: str | None = None
    source_formats: Mapping[str, int] = field(default_factory=dict)
    truth_is_colour_coded: bool = False
    predicted: NDArray[np.uint8] | None = None
    truth: NDArray[np.uint8] | None = None
    own: Standing | None = None
    ceiling: Standing | None = None
    shuffled: Standing | None = None
    as_the_ceiling: tuple[int, int] | None = None
    colours: Colours | None = None
    missing: tuple[int, int] | None = None


def thumbnail(class_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [32, 64] of a class map [h, w], by nearest: small enough to keep one of every image."""
    small: NDArray[np.uint8] = resize(class_map, *THUMBNAIL, "nearest")
    return small


def find_traps(evidence: Evidence) -> list[Trap]:
    """The traps that the facts speak for, causes before symptoms; none is the rule."""
    checks = (
        _partial_set,
        _wrong_kind,
        _own_images,
        _above_the_ceiling,
        _resized_truth,
        _colour_truth,
        _full_resolution,
        _not_enlarged,
        _jpeg,
        _off_by_one,
        _equal_images,
        _one_class,
        _swapped_classes,
        _below_shuffled,
    )
    return [trap for trap in (check(evidence) for check in checks) if trap is not None]


def _partial_set(evidence: Evidence) -> Trap | None:
    missing, split = evidence.missing or (0, 0)
    if missing <= 0:
        return None
    return Trap(
        "partial set",
        f"The set has {split - missing} of the split's {split} images: compare it only with scores of the same images.",
    )


def _wrong_kind(evidence: Evidence) -> Trap | None:
    colours = evidence.colours
    if colours is None:
        return None
    if evidence.direction == "photo -> labels" and colours.distance > FAR:
        return Trap(
            "wrong kind of image",
            f"Half of the pixels are {colours.distance:.0f} or more (L2) from all colours of {evidence.labels.name}: "
            "these look like photos and not like label maps (was --direction the wrong way round?), or like maps in "
            "another palette or of an untrained generator.",
        )
    if evidence.direction == "labels -> photo" and colours.exact > EXACT and colours.different >= SEVERAL:
        return Trap(
            "wrong kind of image",
            f"{colours.exact:.3f} of the pixels have exactly a colour of {evidence.labels.name}: these look like label "
            "maps and not like photos; was --direction the wrong way round?",
        )
    return None


def _own_images(evidence: Evidence) -> Trap | None:
    """A ceiling of 1 is what a perfect generator reaches too."""
    same, total = evidence.as_the_ceiling or (0, 0)
    ceiling = evidence.ceiling
    if ceiling is None or total < FEWEST or same <= MOSTLY * total or ceiling.pixel_accuracy.value >= 1:
        return None
    real = _real(evidence)
    return Trap(
        "the dataset's own images",
        f"{same} of {total} images are seen exactly as the dataset's own {real} of the same scenes (equal confusion "
        f"matrices): real {real} were probably adopted as translations.",
    )


def _above_the_ceiling(evidence: Evidence) -> Trap | None:
    own, ceiling = evidence.own, evidence.ceiling
    if own is None or ceiling is None or not ceiling.class_iou.is_clearly_below(own.class_iou):
        return None
    real = _real(evidence)
    return Trap(
        "above the ceiling",
        f"The images score above the real {real} at their size (class IoU {own.class_iou.value:.3f} against "
        f"{ceiling.class_iou.value:.3f}): they are probably real {real}, or not of the size that was translated.",
    )


def _below_shuffled(evidence: Evidence) -> Trap | None:
    own, shuffled = evidence.own, evidence.shuffled
    if own is None or shuffled is None:
        return None
    if own.pixel_accuracy.is_clearly_below(shuffled.pixel_accuracy):
        theirs = f"{shuffled.pixel_accuracy.value:.3f} of the pixels"
        ours = f"{own.pixel_accuracy.value:.3f}"
    elif own.class_iou.is_clearly_below(shuffled.class_iou):
        theirs, ours = f"class IoU {shuffled.class_iou.value:.3f}", f"{own.class_iou.value:.3f}"
    else:
        return None
    real = _real(evidence)
    seen = "seen as photos yet" if real == "photos" else "the label maps of their photos yet"
    return Trap(
        "below shuffled",
        f"Unrelated real {real} agree better with these label maps ({theirs}) than the translations do ({ours}): the "
        f"score shows what all scenes share, and these images are not {seen}.",
    )


def _real(evidence: Evidence) -> str:
    """What the pictures of the ceiling are."""
    return "photos" if evidence.direction == "labels -> photo" else "label maps"


def _resized_truth(evidence: Evidence) -> Trap | None:
    if not _is_cityscapes(evidence):
        return _truth_resized_with_the_images(evidence)
    if set(evidence.truth_sizes) <= {CITYSCAPES_SIZE}:
        return None
    return Trap(
        "resized truth",
        f"The truth is {_told(evidence.truth_sizes)}, and Cityscapes' label maps are {_told([CITYSCAPES_SIZE])}: small "
        "things are lost when labels shrink, and the paper never resizes the truth, so these numbers cannot be "
        "compared with published ones; take the labelIds files of gtFine as they come.",
    )


def _truth_resized_with_the_images(evidence: Evidence) -> Trap | None:
    """The truth is as small as the images, and the scorer learned from larger photos of the same dataset."""
    trained, sizes = evidence.scorer_size_px, evidence.truth_sizes
    same = (evidence.scorer_dataset or "").lower() == evidence.dataset.lower()
    if trained is None or not same or not sizes or not set(sizes) <= set(evidence.image_sizes):
        return None
    if not all(width < trained[0] and height < trained[1] for width, height in sizes):
        return None
    return Trap(
        "resized truth",
        f"The truth is {_told(sizes)}, as small as the images, and the scorer learned from photos of "
        f"{_told([trained])}: the label maps were probably resized with the images, and small things are lost when "
        "labels shrink; score against the label maps as the dataset has them.",
    )


def _colour_truth(evidence: Evidence) -> Trap | None:
    mistaken = _told_by_colour(evidence.labels) if evidence.truth_is_colour_coded else {}
    if not mistaken:
        return None
    pairs = ", ".join(f"{name} as {taken}" for name, taken in mistaken.items())
    return Trap(
        "colour truth",
        "The truth is colour pictures, in which labels of one colour cannot be told apart, so that the first of them "
        f"counts (here {pairs}): score against the maps of ids instead.",
    )


def _full_resolution(evidence: Evidence) -> Trap | None:
    as_large = set(evidence.image_sizes) <= set(evidence.truth_sizes)
    full = min((width for width, _ in evidence.truth_sizes), default=0) > FULL_WIDTH
    if not (as_large and full and _is_paper(evidence) and evidence.image_sizes):
        return None
    why = (
        f"the network learned from {PAPER_SIDE} px photos made larger and sees sharp ones badly"
        if evidence.scorer_kind == "fcn8s"
        else f"the paper scores {PAPER_SIDE} px images, so these numbers cannot be compared with its own"
    )
    return Trap(
        "full-resolution input",
        f"The images are {_told(evidence.image_sizes)}, as large as the truth, and {why}: score images of "
        f"{PAPER_SIDE}x{PAPER_SIDE}, real photos too.",
    )


def _not_enlarged(evidence: Evidence) -> Trap | None:
    """The network runs at the truth's size, under half of what it learned from; said once where truth was resized."""
    trained, protocol = evidence.scorer_size_px, evidence.protocol
    widest = max((width for width, _ in evidence.truth_sizes), default=0)
    small = trained is not None and protocol == "paper" and widest * 2 < trained[0]
    if not small or trained is None or _resized_truth(evidence):
        return None
    return Trap(
        "predictions not enlarged",
        f"The network sees the images at the truth's size, {_told(evidence.truth_sizes)}, and was trained at "
        f"{_told([trained])}: everything looks to it as if far away; score with --protocol scorer-size, which enlarges "
        "them first.",
    )


def _jpeg(evidence: Evidence) -> Trap | None:
    count, total = evidence.source_formats.get("JPEG", 0), sum(evidence.source_formats.values())
    if not count:
        return None
    harm = (
        "moves colours at every edge to those of other labels"
        if evidence.direction == "photo -> labels"
        else "blurs edges and adds blocks that the network sees"
    )
    return Trap(
        "JPEG predictions",
        f"{count} of {total} predictions came as JPEG, which {harm}: have the generator write PNG and score those.",
    )


def _off_by_one(evidence: Evidence) -> Trap | None:
    if evidence.predicted is None or evidence.truth is None:
        return None
    void = len(evidence.labels.classes)
    for step, neighbour in ((1, "after"), (-1, "before")):
        own, shifted = _agreements(evidence.predicted, evidence.truth, step, void)
        gain = shifted - own
        if len(gain) >= FEWEST and (gain > 0).mean() >= OFTEN and gain.mean() >= CLEARLY:
            return Trap(
                "off-by-one names",
                f"{(gain > 0).sum()} of {len(gain)} predictions agree better with the label map {neighbour} their own "
                f"({shifted.mean():.3f} of the pixels, and {own.mean():.3f} with their own): the files are probably "
                "counted from 0 on one side and from 1 on the other; pair them anew.",
            )
    return None


def _equal_images(evidence: Evidence) -> Trap | None:
    """A single class says less: a weak scorer may see no other where the truth has little else."""
    predicted, truth = evidence.predicted, evidence.truth
    if predicted is None or truth is None or len(predicted) < COPIES:
        return None
    alike, various = (predicted == predicted[0]).all(), (truth != truth[0]).any()
    if not alike or not various or len(np.unique(predicted[0])) == 1:
        return None
    return Trap(
        "equal images",
        f"All {len(predicted)} images are seen alike, and their label maps are not: the generator has collapsed, or "
        "one file was copied.",
    )


def _one_class(evidence: Evidence) -> Trap | None:
    """Nearly all is predicted as one class, right where that is asked for and wrong everywhere else."""
    counts = evidence.counts[:-1].astype(np.float64)  # of void truth nothing is asked
    total = counts.sum()
    top = int(counts.sum(axis=0).argmax())
    others = np.delete(np.arange(len(counts)), top) if top < len(counts) else np.arange(len(counts))
    asked = counts[others].sum()
    share = counts[:, top].sum() / max(total, 1)
    right = counts[others, others].sum() / max(asked, 1)
    if not asked > (1 - MOSTLY) * total or share < MOSTLY or right > HARDLY:
        return None
    name = [label.name for label in evidence.labels.classes][top] if top < len(counts) else "void"
    own = f"{counts[top, top] / max(counts[top].sum(), 1):.3f} of its own pixels right, " if top < len(counts) else ""
    return Trap(
        "one class",
        f"{share:.3f} of all pixels are predicted as {name} ({own}{right:.3f} of all others), where the truth has "
        f"{1 - asked / total:.3f} of it: {_reasons_for_one_class(evidence)}.",
    )


def _reasons_for_one_class(evidence: Evidence) -> str:
    if evidence.direction == "photo -> labels":
        return "the generator is probably untrained or has collapsed, or it draws in another palette"
    return (
        "probably the images were not enlarged to the size the network was trained at, their channel order or range "
        "is wrong, or the generator is untrained"
    )


def _swapped_classes(evidence: Evidence) -> Trap | None:
    counts = evidence.counts[:-1].astype(np.float64)
    if not counts.any():
        return None
    pairs = [pair for pair in best_permutation(evidence.counts).swapped if _is_swapped(counts, *pair)]
    total = counts.sum()
    before = np.trace(counts) / total
    after = before + sum(counts[a, b] + counts[b, a] - counts[a, a] - counts[b, b] for a, b in pairs) / total
    if after - before < CLEARLY:
        return None
    names = [label.name for label in evidence.labels.classes]
    told = ", ".join(f"{names[a]} and {names[b]}" for a, b in pairs)
    return Trap(
        "swapped classes",
        f"The prediction has {told} the wrong way round: taken back, the pixel accuracy is {after:.3f} and not "
        f"{before:.3f}; the generator probably draws the one for the other, as one trained without pairs may.",
    )


def _is_swapped(counts: NDArray[np.float64], one: int, other: int) -> bool:
    """Whether each of the two is taken for the other more often than for itself."""
    return bool(counts[one, other] > counts[one, one] and counts[other, one] > counts[other, other])


def _agreements(
    predicted: NDArray[np.uint8], truth: NDArray[np.uint8], step: int, void: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel accuracy of predictions against their own truth and against that `step` further, where both exist."""
    kept = slice(None, -1) if step > 0 else slice(1, None)
    further = slice(1, None) if step > 0 else slice(None, -1)
    both = np.array([_accuracy(predicted[kept], truth[part], void) for part in (kept, further)])
    own, shifted = both[:, np.isfinite(both).all(axis=0)]
    return own, shifted


def _accuracy(predicted: NDArray[np.uint8], truth: NDArray[np.uint8], void: int) -> NDArray[np.float64]:
    """float64 [n]; not a number for an image of which nothing is scored."""
    scored = (truth != void).sum(axis=(1, 2))
    right = ((predicted == truth) & (truth != void)).sum(axis=(1, 2))
    accuracy: NDArray[np.float64] = right / np.where(scored, scored, np.nan)
    return accuracy


def _is_cityscapes(evidence: Evidence) -> bool:
    """Whether it is Cityscapes itself, and not another set in its labels."""
    original_network = evidence.scorer_kind == "fcn8s" and evidence.scorer_size_px == CITYSCAPES_SIZE
    named = "cityscapes" in evidence.dataset.lower()
    return evidence.labels.name.startswith("cityscapes") and (named or original_network)


def _is_paper(evidence: Evidence) -> bool:
    return evidence.direction == "labels -> photo" and (evidence.protocol == "paper" or evidence.scorer_kind == "fcn8s")


def _told_by_colour(labels: LabelSet) -> dict[str, str]:
    """Labels that their colour makes another class than their id does, and the name of the label it is taken for."""
    first = {label.colour: label for label in reversed(labels.labels)}
    ids = np.array([[label.id, first[label.colour].id] for label in labels.labels])
    other = [own != taken for own, taken in labels.class_map(ids).tolist()]
    return {
        label.name: first[label.colour].name for label, differs in zip(labels.labels, other, strict=True) if differs
    }


def _told(sizes: Collection[Size]) -> str:
    """Such as "256x256", or the smallest and the largest of several."""
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    ends = [f"{width}x{height}" for width, height in ordered[:: max(len(ordered) - 1, 1)]]
    return " to ".join(ends)
