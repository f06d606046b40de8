"""What the real and the fake images show goes in; what would give the answer away in a study comes out.

A tell is judged by one number: how many pairs would a participant get right who looked at nothing else?
"""

from collections.abc import Callable

from study_server.checking import pixel_tells
from study_server.checking.findings import HELP, Finding, Severity, images_of, kinds_of, marked_of, some
from study_server.checking.odds import right_by_kind, right_by_mark
from study_server.checking.seen import ImagesSeen, Seen, each

Tell = Callable[[ImagesSeen, ImagesSeen], Finding | None]

TRIALS = 50  # 10 practice and 40 scored, pairs without replacement: Zhu et al. 2017, section 5.1.1


def find_tells(real: ImagesSeen, fake: ImagesSeen) -> list[Finding]:
    """Everything that tells the two sides apart, or stands in a study's way, worst first. Both sides have images."""
    found = [finding for tell in TELLS if (finding := tell(real, fake))]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))


def _unreadable(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    broken = [*real.unreadable, *fake.unreadable]
    if not broken:
        return None
    sentences = [sentence.rstrip(".") for sentence in broken]
    found = f"Files that cannot be read, and are in no number here: {len(broken)} ({some(sentences, '; ')})."
    return Finding("unreadable", Severity.SPOILS, found, "Make them again, or remove them.")


def _pairs(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    pairs = min(len(real.images), len(fake.images))
    if pairs >= TRIALS:
        return None
    counted = f"{len(real.images)} {images_of(real)} and {len(fake.images)} {images_of(fake)}"
    found = f"{counted} make {pairs} pairs, and a session of 10 practice and 40 scored trials shows {TRIALS}."
    return Finding("pairs", Severity.SPOILS, found, f"Bring each side to {TRIALS} images, or plan fewer trials.")


def _copies(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    originals = {image.digest: image.name for image in real.images}
    same = [(originals[image.digest], image.name) for image in fake.images if image.digest in originals]
    if not same:
        return None
    names = [one if one == other else f"{one} = {other}" for one, other in same]
    found = (
        f"The same as a real image in every pixel: {len(same)} of {len(fake.images)} {images_of(fake)} "
        f"({some(names)}). A pair of the two has no right answer."
    )
    return Finding("copies", Severity.SPOILS, found, "Remove them, and find out how they came among the fakes.")


def _repeats(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    again, names = [], []
    for side in (real, fake):
        groups: dict[str, list[str]] = {}
        for image in side.images:
            groups.setdefault(image.digest, []).append(image.name)
        again.append(f"{len(side.images) - len(groups)} of {len(side.images)} {images_of(side)}")
        names += [" = ".join(group) for group in groups.values() if len(group) > 1]
    if not names:
        return None
    found = f"The same in every pixel as another of their own side: {again[0]} and {again[1]} ({some(names)})."
    todo = "Keep one of each: who saw it in practice, where the answer is told, remembers it."
    return Finding("repeats", Severity.MAY_HELP, found, todo)


def _formats(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    formats = each(lambda image: image.header.format, real, fake)
    right = right_by_kind(*formats)
    if right < HELP:
        return None
    found = f"File formats differ: {kinds_of(formats[0], real)}; {kinds_of(formats[1], fake)}."
    if "WEBP" in formats[0] + formats[1]:
        todo = "Treat both sides alike: WebP blurs in its own way, which this check does not measure."
        return Finding("format", Severity.MAY_HELP, found, todo, right)
    todo = "Nothing, as long as all are shown re-encoded to one format; traces of JPEG in the pixels are another tell."
    return Finding("format", Severity.NOTE, found, todo)


def _profiles(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    profiles = each(_other_than_srgb, real, fake)
    names = {name for side in profiles for name in side if name}
    if not names:
        return None
    marks = [[name is not None for name in side] for side in profiles]
    found = (
        f"With a colour profile other than sRGB ({some(sorted(names))}): {marked_of(marks[0], real)} and "
        f"{marked_of(marks[1], fake)}. It is not applied, so that their colours are shown duller or shifted."
    )
    severity = Severity.NOTE if right_by_mark(*marks) < HELP else Severity.MAY_HELP
    return Finding("profile", severity, found, "Convert them to sRGB before anything else, or leave them out.")


def _metadata(real: ImagesSeen, fake: ImagesSeen) -> Finding | None:
    carried = each(_metadata_kinds, real, fake)
    kinds = [set().union(*side) for side in carried]
    only = [
        f"{kind} ({marked_of([kind in image for image in images], side)})"
        for side, images, own, other in zip((real, fake), carried, kinds, reversed(kinds), strict=True)
        for kind in sorted(own - other)
    ]
    if not only:
        return None
    found = f"Metadata that only one side carries: {', '.join(only)}."
    return Finding("metadata", Severity.NOTE, found, "Never show the files as they are: re-encoded, they carry none.")


def _other_than_srgb(image: Seen) -> str | None:
    profile = image.header.profile
    return profile if profile is not None and "srgb" not in profile.lower() else None


def _metadata_kinds(image: Seen) -> set[str]:
    return {*image.header.metadata, *(["ICC profile"] if image.header.profile else [])}


TELLS: tuple[Tell, ...] = (
    _unreadable,
    _pairs,
    _copies,
    _repeats,
    pixel_tells.sizes,
    pixel_tells.jpeg,
    pixel_tells.blocks,
    _formats,
    pixel_tells.colour,
    pixel_tells.depth,
    pixel_tells.see_through,
    pixel_tells.borders,
    pixel_tells.flat,
    pixel_tells.sharpness,
    pixel_tells.brightness,
    _profiles,
    _metadata,
)
