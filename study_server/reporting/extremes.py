"""Rates of single images go in; the most and the least convincing ones come out."""

from collections.abc import Sequence

from study_server.analysis.closer import ImageRate


def convincing(images: Sequence[ImageRate], many: int) -> tuple[list[ImageRate], list[ImageRate]]:
    """At most so many of each and half of all, the most extreme first, none twice.

    By the end of their intervals that is nearer to the middle, lest those that few have judged come first.
    """
    many = min(many, max(1, len(images) // 2))
    most = sorted(images, key=lambda each: (-each.interval.low, -each.rate, each.image))[:many]
    failing = sorted(images, key=lambda each: (each.interval.high, each.rate, each.image))
    return most, [each for each in failing if each not in most][:many]
