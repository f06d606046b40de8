"""A score goes in; three figures of it come out: examples, the confusion matrix, and the classes beside the ceiling."""

import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cgeval.datasets import read_picture
from cgeval.images import Picture
from cgeval.plots import ClassSeries, Example, confusion_figure, examples_figure, per_class_figure
from cgeval.protocols.pictures_in import Item, TrueColours
from cgeval.protocols.planning import Job, Ruler
from cgeval.protocols.predictions import predictions_of
from cgeval.protocols.scoring import Line, Score
from cgeval.truth import read_truth

HEADS = {
    "labels -> photo": ("label map", "translation", "what the scorer sees", "truth"),
    "photo -> labels": ("photo", "translation", "nearest classes", "truth"),
}


def write_figures(score: Score, examples: int, seed: int = 0) -> Path:
    """Write examples.png, confusion.png and classes.png into the run's records; returns their folder.

    examples: how many images are shown, drawn by the seed, the same ones for every run of the dataset.
    """
    job, labels = score.job, score.job.labelled.labels
    folder = job.run.path / "records" / "figures" / f"{job.protocol}-{job.image_set.name}"
    folder.mkdir(parents=True, exist_ok=True)
    shown = [_example(job, item) for item in _drawn(job.items, examples, seed)]
    rows = [row for row in shown if row is not None]
    if rows:
        examples_figure(folder / "examples.png", rows, labels, HEADS[job.direction])
    about = f"{job.run.info.run_id} ({job.run.info.method}), {job.direction}, {job.labelled.name}"
    confusion_figure(folder / "confusion.png", score.line.counts, labels, f"{about}: {job.protocol}")
    lines = [line for line in (score.line, score.ceiling) if line is not None]
    series = [_series(job, line) for line in lines]
    per_class_figure(folder / "classes.png", series, labels, about)
    return folder


def _series(job: Job, line: Line) -> ClassSeries:
    name = f"{line.name}, the ceiling" if line.name == job.ceiling else line.name
    return ClassSeries(name, len(line.measured.ids), job.protocol, line.scores, line.by_class)


def _drawn(items: tuple[Item, ...], count: int, seed: int) -> list[Item]:
    chosen = random.Random(seed).sample(sorted(items, key=lambda item: item.id), min(count, len(items)))
    return sorted(chosen, key=lambda item: item.id)


def _example(job: Job, item: Item) -> Example | None:
    """What led to the item's matrix; None where its prediction is no longer kept."""
    truth = read_truth(item.truth, job.labelled.labels)
    generated = item.picture.pixels()
    predicted = _predicted(job, item, generated, truth)
    return None if predicted is None else Example(item.id, _input(job, item, truth), generated, predicted, truth)


def _predicted(job: Job, item: Item, generated: Picture, truth: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    size = (truth.shape[1], truth.shape[0])
    if not isinstance(job.way, Ruler):
        return job.way.prepare(generated, size)
    kept = predictions_of(job.way.scorer, job.way.protocol)
    return kept.get(kept.place(item.picture.identity(), size), size)


def _input(job: Job, item: Item, truth: NDArray[np.uint8]) -> Picture:
    """What was translated: the photo, or the colours of the label map, at the translation's size."""
    if job.direction == "labels -> photo":
        return TrueColours(item.truth, job.labelled.labels, job.size_px).pixels()
    photo = job.labelled.split(job.image_set.split).photos.get(item.source)
    return read_picture(photo) if photo is not None else np.full((*truth.shape, 3), 255, np.uint8)
