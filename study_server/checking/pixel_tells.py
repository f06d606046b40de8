"""What the pixels of the real and the fake images show goes in; the findings in which the two differ come out.

Each function is one tell: None where there is nothing to say.
"""

from collections.abc import Sequence
from statistics import fmean, median

from study_server.checking.findings import (
    AWAY,
    HELP,
    WORD,
    Finding,
    Severity,
    images_of,
    kinds_of,
    marked_of,
    right_alone,
    severity_at,
    some,
)
from study_server.checking.odds import right_by_amount, right_by_kind, right_by_mark, share
from study_server.checking.seen import FLAT, ImagesSeen, each

SHOWN_STEP = 0.5  # grey levels; a smaller mean step at the blocks' edges is less than an 8-bit screen can show
FEWEST = 10  # images a side, below which nothing is said of tones
TONE = 0.60  # share of pairs right by sharpness or brightness, as the interval's lower end, from which it is told
ASPECT = 0.02  # width over height; a smaller difference is a rounded crop


def sizes(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Do widths and heights differ, or vary?"""
    kinds = each(lambda image: image.size, real, fake)
    if len({*kinds[0], *kinds[1]}) == 1:
        return None
    right = right_by_kind(*kinds)
    counted = f"{kinds_of(kinds[0], real)}; {kinds_of(kinds[1], fake)}"
    if right < WORD:
        found = f"Sizes vary, alike on both sides: {counted}."
        return Finding("size", Severity.NOTE, found, "Bring all to one size, so that no pair shows two.")
    one, other = (median(image.width / image.height for image in side.images) for side in (real, fake))
    aspect = f" and proportions ({one:.2f} to 1 and {other:.2f} to 1)" if abs(one - other) > ASPECT else ""
    found = f"Sizes{aspect} differ: {counted}. {right_alone(right)}"
    todo = "Bring both to one size by the same crop and the same resize filter, best those of the fakes' inputs."
    return Finding("size", severity_at(right), found, todo, right)


def jpeg(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Was one side JPEG, and the other not? By the grid in the pixels, whatever the files are now."""
    if not real.grids or not fake.grids:
        return None
    right = right_by_mark(real.grids, fake.grids)
    if right < HELP:
        return None
    shown = [[step >= SHOWN_STEP for step in side.steps] for side in (real, fake)]
    by_eye = right_by_mark(*shown)
    found = (
        f"The grid of 8x8 blocks that JPEG leaves in the pixels is in {marked_of(real.grids, real)} and "
        f"{marked_of(fake.grids, fake)}. A program that finds it would be right in {right:.0%} of pairs. An eye sees "
        "it at most where the blocks' edges step by half a grey level or more on average, as in "
        f"{sum(shown[0])} and {sum(shown[1])} of them, which would be right in {by_eye:.0%} of pairs."
    )
    once_jpeg = real if share(real.grids) > share(fake.grids) else fake
    todo = (
        f"Best, make the {images_of(once_jpeg)} again without JPEG (from larger originals, by a resize); or pass both "
        "sides once more through JPEG at one quality, no better than the one that left the grid, and store them as PNG."
    )
    severity = Severity.GIVES_AWAY if by_eye >= AWAY else Severity.MAY_HELP
    return Finding("jpeg", severity, found, todo, right)


def blocks(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Both sides were JPEG; do the blocks of one stand out?"""
    if min(share(real.grids), share(fake.grids)) < 0.5:
        return None
    by_step = right_by_amount(real.steps, fake.steps)
    steps = (median(real.steps), median(fake.steps))
    if by_step.low < HELP or abs(steps[0] - steps[1]) < SHOWN_STEP:
        return None
    found = (
        "Both sides were JPEG, and the 8x8 blocks of one stand out: their edges step by "
        f"{steps[0]:.1f} grey levels (median of {len(real.steps)} {images_of(real)}) and {steps[1]:.1f} "
        f"({len(fake.steps)} {images_of(fake)}). {right_alone(by_step.right)}"
    )
    todo = (
        "The side of the larger steps had a lower quality, or its pictures are softer, which shows the same blocks "
        "more: make both sides again without JPEG, or at the same higher quality."
    )
    return Finding("blocks", severity_at(by_step.right), found, todo, by_step.right)


def colour(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Is one side more often without colour?"""
    marks = each(lambda image: image.grey, real, fake)
    todo = "Leave grey pictures out on both sides, or make both sides grey."
    return _marked("colour", "Without colour", marks, real, fake, todo)


def depth(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Has one side more often few colours or levels, or are its pixels stored differently?"""
    marks = [[m.coarse and not i.grey for i in side.images if (m := i.measures)] for side in (real, fake)]
    todo = "Store both sides with 8 bits a channel and no palette; if one side is drawn flat, that is the method's."
    return _marked("depth", "Of few colours or levels", marks, real, fake, todo) or _modes(real, fake)


def _modes(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Said where the pixels are stored differently, and neither their levels nor their colours tell of it."""
    modes = each(lambda image: image.header.mode, real, fake)
    if right_by_kind(*modes) < HELP or any(image.grey for side in (real, fake) for image in side.images):
        return None
    found = f"Pixels are stored in different modes: {kinds_of(modes[0], real)}; {kinds_of(modes[1], fake)}."
    todo = "Nothing, unless it surprises you: all are read as 8-bit sRGB, and no side lacks colours or levels."
    return Finding("depth", Severity.NOTE, found, todo)


def see_through(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Is one side more often partly transparent?"""
    marks = each(lambda image: image.header.see_through, real, fake)
    todo = "Lay both sides over the same background and store them without transparency; here it was laid over white."
    return _marked("alpha", "Partly transparent", marks, real, fake, todo)


def borders(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Has one side more often a constant frame?"""
    marks = each(lambda image: image.framed, real, fake)
    widths = [image.border_px for side in (real, fake) for image in side.images if image.framed]
    what = f"Framed by a constant border (median width {median(widths):g} px)" if widths else "Framed"
    todo = "Crop the frames away, on both sides alike, or leave these out."
    return _marked("border", what, marks, real, fake, todo)


def flat(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Which images are almost one grey all over?"""
    marks = each(lambda image: image.flat, real, fake)
    names = [image.name for side in (real, fake) for image in side.images if image.flat]
    if not names:
        return None
    right = right_by_mark(*marks)
    found = (
        f"Almost one grey all over (standard deviation below {FLAT:g} of 255 levels): {marked_of(marks[0], real)} and "
        f"{marked_of(marks[1], fake)} ({some(names)})."
    )
    todo = "Look at them: a blank fake gives its trial away, and often means a failed translation or export."
    severity = Severity.GIVES_AWAY if right >= AWAY else Severity.MAY_HELP
    return Finding("flat", severity, found, todo, right)


def sharpness(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Has one side more fine detail?"""
    values = [[m.sharpness for m in side.measured] for side in (real, fake)]
    todo = "If a resize or JPEG did it, treat both sides alike; if the method blurs or adds grain, that is its result."
    return _tone("sharpness", ("sharper", "softer", "grey levels of fine detail"), values, real, fake, todo)


def brightness(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    """Is one side lighter?"""
    values = [[m.brightness for m in side.measured] for side in (real, fake)]
    todo = "If the sides show other scenes or hours, draw the real ones from the same; if not, that is the method's."
    return _tone("brightness", ("brighter", "darker", "grey levels"), values, real, fake, todo)


def _marked(
    tell: str, what: str, marks: Sequence[Sequence[bool]], real: ImagesSeen, fake: ImagesSeen, todo: str
) -> Finding | None:
    """Is what the marks say of the images true of one side more often?"""
    right = right_by_mark(*marks)
    if not all(marks) or right < WORD:
        return None
    found = f"{what}: {marked_of(marks[0], real)} and {marked_of(marks[1], fake)}. {right_alone(right)}"
    return Finding(tell, severity_at(right), found, todo, right)


def _tone(
    tell: str, words: tuple[str, str, str], values: list[list[float]], real: ImagesSeen, fake: ImagesSeen, todo: str
) -> Finding | None:
    """A mild note: that a method blurs is its result, not a leak."""
    if min(map(len, values)) < FEWEST:
        return None
    odds = right_by_amount(*values)
    if odds.low < TONE:
        return None
    more, less, unit = words
    word = more if odds.real_has_more else less
    found = (
        f"Real images are {word}: {fmean(values[0]):.1f} against {fmean(values[1]):.1f} {unit} on average "
        f"({len(values[0])} {images_of(real)}, {len(values[1])} {images_of(fake)}). Choosing the {word} image as real "
        f"would be right in {odds.right:.0%} of pairs (95% interval {odds.low:.0%} to {odds.high:.0%})."
    )
    return Finding(tell, Severity.NOTE, found, todo, odds.right)
