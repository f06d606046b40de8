"""Contents and one style go in; a sealed image set comes out, whatever interrupts the work on the way.

The story of `produce`: take up what is finished, stylise batch after batch, keep each picture on the disk, and seal
when all are there. Batches are the same ones whatever is finished, so a resumed set is that of an uninterrupted one.
"""

import math
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from cgeval.datasets import ImageFile
from cgeval.errors import ConfigError, RunError
from cgeval.gatys.making.contents import Contents, batches
from cgeval.gatys.making.pending import Losses, Pending, differing
from cgeval.gatys.making.words import patience_s
from cgeval.gatys.transfer import Pictures, Progress, Stylised, Tick
from cgeval.interrupt import Stop
from cgeval.runs import ImageSet, Run

BAR = "{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}"
TOO_MUCH = ("out of memory", "can't allocate memory", "not enough memory")


class Stylise(Protocol):
    """One style with all its settings: uint8 [n, h, w, 3] to the stylised images and what was left of their losses."""

    def __call__(self, contents: Pictures, tick: Tick, names: Sequence[str]) -> Stylised:
        """tick is called after each step, and what it raises ends the work; names: what errors call the images."""


class StoppedError(Exception):
    """Somebody asked to stop; raised between two steps of the optimiser, or two images of a style."""


@dataclass(frozen=True)
class Task:
    """One image set to make. name: the set's; variant: the style as tables call it.

    facts: all that decides the pictures, as JSON has it: two sets with the same facts are the same.
    """

    contents: Contents
    name: str
    variant: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Produced:
    """What became of a task. image_set: None where the work was stopped, with `finished` of its pictures kept."""

    task: Task
    image_set: ImageSet | None
    finished: int
    was_there: bool = False


def sealed_before(run: Run, task: Task, *, overwrite: bool) -> ImageSet | None:
    """The set, if it was made already with the same facts; None where it is to be made.

    overwrite: one that is damaged, or was made with others, counts as none; else RunError is raised for others.
    """
    there = next((image_set for image_set in run.image_sets() if image_set.name == task.name), None)
    if there is None:
        return None
    before = {key: there.extra.get(key) for key in task.facts}
    if before == task.facts:
        return None if overwrite and _is_damaged(there) else there
    if not overwrite:
        raise RunError(
            f"{there.path} was made with another {differing(before, task.facts)}: name another folder for the run, or "
            "add --overwrite to replace it."
        )
    return None


def produce(
    run: Run, task: Task, stylise: Stylise, *, batch_size: int, stop: Stop, overwrite: bool = False
) -> Produced:
    """Make the set, going on with what is finished of it; the run's lock must be held."""
    pending = Pending(run.path, task.name)
    pending.begin(task.facts, overwrite=overwrite)
    try:
        _stylise_all(task, pending, stylise, batch_size, stop)
    except StoppedError:
        return Produced(task, None, len(pending.losses))
    image_set = _seal(run, task, pending)
    pending.finish()
    return Produced(task, image_set, image_set.count)


def _stylise_all(task: Task, pending: Pending, stylise: Stylise, batch_size: int, stop: Stop) -> None:
    """Every batch of which a picture is missing; one that the memory cannot hold is halved, as are those after it."""
    waiting = deque(
        batch for batch in batches(task.contents, batch_size) if any(file.id not in pending.losses for file in batch)
    )
    with _Bar(task, waiting, stop) as bar:
        while waiting:
            batch = waiting.popleft()
            if len(batch) > batch_size:
                middle = len(batch) // 2
                waiting.extendleft((batch[middle:], batch[:middle]))
                continue
            try:
                pictures = np.stack([task.contents.read(file) for file in batch])
                made = stylise(pictures, bar.tick(len(batch)), [str(file.path) for file in batch])
            except RuntimeError as error:
                _refuse_unless_too_much(error, task, batch)
                batch_size = len(batch) // 2
                waiting.appendleft(batch)
                bar.say(f"The memory does not hold {len(batch)} images at once: from here on {batch_size}.")
                continue
            _keep(batch, made, pending)
            bar.finish(len(batch))
            if waiting and stop.asked:
                raise StoppedError


def _keep(batch: Sequence[ImageFile], made: Stylised, pending: Pending) -> None:
    """The pictures that are not there yet."""
    parts = zip(made.losses, made.content_losses, made.style_losses, strict=True)
    for file, image, losses in zip(batch, made.images, parts, strict=True):
        if file.id not in pending.losses:
            pending.add(file.id, image, Losses(*losses))


def _refuse_unless_too_much(error: RuntimeError, task: Task, batch: Sequence[ImageFile]) -> None:
    """Raise again what was no lack of memory; ConfigError where even one image is too much."""
    if not any(words in str(error).lower() for words in TOO_MUCH):
        raise error
    if len(batch) == 1:
        width, height = task.contents.size_of(batch[0])
        raise ConfigError(
            f"the memory does not hold one image of {width}x{height} px: take a smaller --size."
        ) from None


def _seal(run: Run, task: Task, pending: Pending) -> ImageSet:
    """All pictures into a set, in the order of the contents, and the means of what was left of their losses."""
    losses = list(pending.losses.values())
    means = {
        key: math.fsum(getattr(each, key) for each in losses) / len(losses) for key in ("total", "content", "style")
    }
    extra = {"variant": task.variant, **task.facts, "source": str(task.contents.source), "mean_losses": means}
    with run.write_image_set(
        task.name,
        direction=task.contents.direction,
        split=task.contents.split,
        checkpoint=None,
        extra=extra,
        overwrite=True,  # `sealed_before` has refused what must not be replaced
    ) as writer:
        for file in task.contents.files:
            target = file.id if file.id in task.contents.targets else None
            writer.add(file.id, pending.read(file.id), source=file.id, target=target)
    return run.image_set(task.name)


def _is_damaged(image_set: ImageSet) -> bool:
    try:
        image_set.verify()
    except RunError:
        return True
    return False


class _Bar:
    """Images done, time left and loss; between two images it moves with the work. Where it ticks, it hears a stop."""

    def __init__(self, task: Task, waiting: Sequence[Sequence[ImageFile]], stop: Stop) -> None:
        self.stop, self.name, self.total = stop, task.name, len(task.contents.files)
        self.done = self.total - sum(len(batch) for batch in waiting)
        self.bar = tqdm(
            desc=self._finished(),
            total=self.total,
            initial=self.done,
            bar_format=BAR,
            mininterval=patience_s(),
            dynamic_ncols=True,
            leave=False,
        )

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.close()

    def tick(self, count: int) -> Tick:
        """What the optimiser calls after each step of a batch of so many; raises StoppedError once asked to stop."""

        def told(progress: Progress) -> None:
            self.bar.set_postfix_str(f"loss {progress.loss:.4g}", refresh=False)
            self.bar.update(self.done + count * progress.done - self.bar.n)
            if self.stop.asked and progress.done < 1:
                raise StoppedError

        return told

    def finish(self, count: int) -> None:
        """So many more are on the disk."""
        self.done += count
        self.bar.set_description_str(self._finished(), refresh=False)
        self.bar.update(self.done - self.bar.n)

    def say(self, words: str) -> None:
        """A line above the bar; what a failed batch had done does not count."""
        self.bar.write(words, file=sys.stderr)
        self.bar.update(self.done - self.bar.n)

    def _finished(self) -> str:
        return f"{self.name} {self.done}/{self.total}"
