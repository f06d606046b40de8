"""A labelled dataset and a recipe go in; a scorer comes out, whatever interrupts its training on the way.

The story of `Training.run`: for every step, learn, tell, and where it is time, validate and save. The position is the
number of steps done; together with the seed it decides every window and draw that follows, so a resumed training goes
on bit for bit. What is kept is the state with the best class IoU on photos that were not trained on; the test split
is never looked at.
"""

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from cgeval.allocator import keep_freed_memory
from cgeval.errors import DataError, NonFiniteLossError
from cgeval.files import lock
from cgeval.images import image_size
from cgeval.interrupt import stop_on_signal
from cgeval.labelled import Labelled
from cgeval.metrics import METRICS, ConfusionMatrix, bootstrap_scores, interval_name, segmentation_scores, stack
from cgeval.runs import now
from cgeval.scorers import training_state as files
from cgeval.scorers.learner import KIND, Learner, choose_device
from cgeval.scorers.recipe import STEP_PX, Recipe, default_size
from cgeval.scorers.samples import LabelledFile, Photos, Samples, batches, class_weights, load_photos
from cgeval.scorers.scorer import Scorer
from cgeval.scorers.store import FILE, ScorerFile, ScorerInfo, open_scorer, refuse_taken, write_scorer

Say = Callable[[str], None]

PROTOCOL, CONVENTION = "scorer-size", "cityscapes"
TELL_STEPS = 20
HELD_OUT = 10  # one in so many train photos validates where there is no val split
FEWEST_PHOTOS = 2
TRIAL_STEPS, TRIAL_SECONDS, TRIAL_PHOTOS = 3, 6.0, 8
BAR = "{desc}{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {remaining} left{postfix}"


@dataclass(frozen=True)
class Source:
    """Which photos are trained on, and which validate; validation_split: the split's name, or "train (held out)"."""

    train: list[LabelledFile]
    validation: list[LabelledFile]
    validation_split: str


@dataclass(frozen=True)
class Material:
    """What training sees: random windows of the train photos, and the validation photos at the scorer's size."""

    samples: Samples
    validation: Photos
    validation_split: str
    size_px: tuple[int, int]


def train_scorer(
    labelled: Labelled, out: Path, recipe: Recipe, *, resume: bool, say: Say = print, progress: bool = True
) -> ScorerFile | None:
    """Train a scorer into the folder `out`; None where Ctrl-C or SIGTERM stopped it, its state saved.

    resume: go on with what was begun there; a finished one is given back. say: takes a sentence; progress: show bars.
    Raises ConfigError, DataError, RunError, OutputError or TrainingError in one sentence.
    """
    recipe.refuse_missing_file()
    if (out / FILE).exists() and resume:
        say(f"{out} is trained already.")
        return open_scorer(out)
    refuse_taken(out)
    begun = files.read_begun(out) if resume else None
    if begun is None:
        files.refuse_wrong_start(out)
    else:
        files.refuse_another(begun, recipe, labelled.digest("train"), out)
    source = choose_photos(labelled, recipe.seed)
    device = _ready(recipe)
    out.mkdir(parents=True, exist_ok=True)
    with lock(out / files.LOCK):
        material = load_material(labelled, source, recipe, say, progress=progress)
        if begun is None:
            begun = _begin(labelled, out, recipe, material, device, say)
        training = Training(labelled, out, replace(begun, recipe=recipe), material, device)
        if resume:
            training.restore()
        return training.run(say, progress=progress)


def choose_photos(labelled: Labelled, seed: int) -> Source:
    """The train split, and val or a tenth of train held out at random; raises DataError where that is too little."""
    train = labelled.split("train").pairs()
    validation = labelled.splits["val"].pairs() if "val" in labelled.splits else []
    if len(train) < FEWEST_PHOTOS:
        raise DataError(
            f"{labelled.root} has {len(train)} train photos with a label map: a scorer is trained on {FEWEST_PHOTOS} at "
            "least, and on some hundreds to be of use."
        )
    if validation:
        return Source(train, validation, "val")
    order = np.random.default_rng(seed).permutation(len(train))
    held = set(order[: max(1, len(train) // HELD_OUT)].tolist())
    return Source(
        [file for place, file in enumerate(train) if place not in held],
        [train[place] for place in sorted(held)],
        "train (held out)",
    )


def load_material(labelled: Labelled, source: Source, recipe: Recipe, say: Say, *, progress: bool) -> Material:
    """Read every photo once; says what the scorer cannot learn and where memory does not suffice."""
    first = source.train[0][1]
    own = image_size(first.path)
    own = (own[0] // 2, own[1]) if first.half else own
    size = recipe.size_px or default_size(*own)
    most = tuple(math.ceil(side * max(1.0, recipe.zoom[1])) for side in size)
    kept = (most[0], most[1]) if most[0] * most[1] < own[0] * own[1] else None
    train = load_photos(source.train, labelled.labels, kept, kept, progress=progress)
    validation = load_photos(source.validation, labelled.labels, size, None, progress=progress)
    _tell_limits(labelled, train, source, say)
    window = tuple(-(-side // STEP_PX) * STEP_PX for side in size)
    samples = Samples(
        train, size, (window[0], window[1]), recipe.zoom, recipe.flip, recipe.jitter, recipe.batch_size, recipe.seed
    )
    return Material(samples, validation, source.validation_split, size)


def _tell_limits(labelled: Labelled, train: Photos, source: Source, say: Say) -> None:
    classes = [label.name for label in labelled.labels.classes]
    shown = train.pixels[:, :-1].sum(axis=0) > 0
    if not shown.any():
        raise DataError(
            f"the label maps of {labelled.root} show no scored class of {labelled.labels.name!r}: name the label set "
            "that they are in with --label-set."
        )
    unseen = [name for name, there in zip(classes, shown, strict=True) if not there]
    if unseen:
        say(
            f"No train photo shows {', '.join(unseen)}: the scorer will not know {'it' if len(unseen) == 1 else 'them'}."
        )
    if train.held is None:
        say(f"The {len(train)} train photos do not fit into memory and are decoded anew for each step, which is slow.")
    if source.validation_split != "val":
        say(f"There is no val split, so {len(source.validation)} of the train photos are held out to validate.")


def _ready(recipe: Recipe) -> torch.device:
    device = choose_device(recipe.device)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def _begin(
    labelled: Labelled, out: Path, recipe: Recipe, material: Material, device: torch.device, say: Say
) -> files.Begun:
    """Decide how long training will be, and write down what is begun."""
    per_epoch = material.samples.steps_per_epoch
    total = recipe.epochs * per_epoch
    if recipe.minutes:
        total = _steps_within(labelled, recipe, material, device)
        say(
            f"{recipe.minutes:g} minutes are {total} steps, {total / per_epoch:.1f} epochs, at this machine's speed now."
        )
    begun = files.Begun(recipe, labelled.name, labelled.digest("train"), total)
    files.write_begun(out, begun)
    return begun


def _steps_within(labelled: Labelled, recipe: Recipe, material: Material, device: torch.device) -> int:
    """How many steps, with their validations, the minutes are enough for, by a trial on a network that is thrown away."""
    learner = _learner(recipe, material, device)
    step, begun = 0, 0.0
    for photos, truth in batches(material.samples, 0, 10_000, 1):
        if step == TRIAL_STEPS:
            begun = time.monotonic()
        learner.learn(step, 1e-6, photos, truth).item()
        step += 1
        if step >= 2 * TRIAL_STEPS and time.monotonic() - begun > TRIAL_SECONDS:
            break
    a_step = (time.monotonic() - begun) / (step - TRIAL_STEPS)
    few = material.validation.first(TRIAL_PHOTOS)
    scorer = Scorer(_unwritten(labelled, Path(), recipe, learner, material), learner.measured)
    measure(scorer, few, recipe.batch_size)
    begun = time.monotonic()
    measure(scorer, few, recipe.batch_size)
    a_validation = (time.monotonic() - begun) * len(material.validation) / len(few)
    seconds = 60 * recipe.minutes
    epoch = a_step * material.samples.steps_per_epoch
    validations = min(recipe.validations, max(1, int(seconds / (epoch + a_validation)))) + 1
    return max(validations, int((seconds - validations * a_validation) / a_step))


class Training:
    """One scorer being trained. Everything that changes is in `learner`, `position` and the files of the folder."""

    def __init__(
        self, labelled: Labelled, out: Path, begun: files.Begun, material: Material, device: torch.device
    ) -> None:
        self.labelled, self.out, self.begun, self.material = labelled, out, begun, material
        self.recipe, self.total_steps = begun.recipe, begun.total_steps
        self.learner = _learner(self.recipe, material, device)
        self.position = files.Position()
        self.pending: list[Tensor] = []
        samples = material.samples
        self.validate_steps = max(samples.steps_per_epoch, math.ceil(self.total_steps / self.recipe.validations))
        self.told_step, self.told_at = 0, 0.0

    def restore(self) -> None:
        """Go back to what was saved last; to the beginning where nothing was."""
        content = files.load_state(self.out)
        if content is not None:
            self.learner.restore(content)
            self.position = files.Position(*(content[key] for key in ("step", "best", "stale", "seconds")))

    def run(self, say: Say, *, progress: bool) -> ScorerFile | None:
        """Train to the end, or until asked to stop, with the state saved."""
        files.tidy(self.out, self.position.step)
        self.told_step, self.told_at = self.position.step, time.monotonic()
        self.saved_at = self.told_at
        workers = 1 if self.learner.device.type == "cpu" else min(8, os.cpu_count() or 1)
        feed = batches(self.material.samples, self.position.step, self.total_steps, workers)
        self.bar = _bar(self.position.step, self.total_steps, shown=progress)
        try:
            with stop_on_signal() as stop:
                while not self._is_over():
                    self._step(*next(feed))
                    if stop.asked and not self._is_over():
                        self._save()
                        say(f"Stopped after {self.position.step} of {self.total_steps} steps: --resume goes on.")
                        return None
        finally:
            feed.close()
            self.bar.close()
        return self._finish(say)

    def _is_over(self) -> bool:
        patience = self.recipe.patience
        return self.position.step >= self.total_steps or (0 < patience <= self.position.stale)

    def _step(self, photos: Tensor, truth: Tensor) -> None:
        step = self.position.step
        rate = self.recipe.learning_rate_at(step, self.total_steps)
        self.pending.append(self.learner.learn(step, rate, photos, truth))
        self.position.step = step + 1
        self.bar.update(1)
        validates = self.position.step % self.validate_steps == 0 or self.position.step == self.total_steps
        if validates or self.position.step % TELL_STEPS == 0:
            self._tell(rate)
        if validates:
            self._validate()
        if time.monotonic() - self.saved_at > 60 * self.recipe.save_minutes and not self._is_over():
            self._save()

    def _tell(self, rate: float) -> None:
        """Check the losses since the last time and write their mean down; NonFiniteLossError names the step."""
        losses = torch.stack(self.pending).tolist()
        first = self.position.step - len(losses) + 1
        self.pending = []
        for step, loss in enumerate(losses, first):
            if not math.isfinite(loss):
                raise NonFiniteLossError(
                    f"the loss became {loss} at step {step}, and no saved state holds that: start anew in another "
                    f"folder with a lower learning rate than {self.recipe.learning_rate:g}."
                )
        images, seconds = self._since_told()
        row = {
            "step": self.position.step,
            "epoch": (self.position.step - 1) // self.material.samples.steps_per_epoch + 1,
            "loss": sum(losses) / len(losses),
            "learning_rate": rate,
            "images_per_s": images / max(seconds, 1e-9),
        }
        files.append_row(self.out, row)
        best = f", best IoU {self.position.best['class_iou']:.3f}" if self.position.best else ""
        self.bar.set_postfix_str(f"{row['images_per_s']:.1f} img/s, loss {row['loss']:.2f}{best}")

    def _since_told(self) -> tuple[int, float]:
        """Photos and seconds since the last row; the seconds are added to the position."""
        passed, steps = time.monotonic() - self.told_at, self.position.step - self.told_step
        self.told_at, self.told_step = time.monotonic(), self.position.step
        self.position.seconds += passed
        return steps * self.recipe.batch_size, passed

    def _validate(self) -> None:
        """Measure on the validation photos, and keep the weights if they are the best so far."""
        counts = stack(self._matrices()).sum(axis=0)
        scores = segmentation_scores(counts, CONVENTION)
        values = {metric: float(getattr(scores, metric)) for metric in METRICS}
        files.append_row(self.out, {"step": self.position.step, **values})
        self._since_told()
        if values["class_iou"] > self.position.best.get("class_iou", -1.0):
            weights = {
                name: tensor.detach().cpu().clone() for name, tensor in self.learner.measured.state_dict().items()
            }
            self.position.best = {"step": self.position.step, "class_iou": values["class_iou"], "network": weights}
            self.position.stale = 0
        else:
            self.position.stale += 1
        files.draw_curves(files.read_log(self.out / files.LOG), self.out / files.CURVES)

    def _matrices(self) -> list[ConfusionMatrix]:
        info = _unwritten(self.labelled, self.out, self.recipe, self.learner, self.material)
        return measure(Scorer(info, self.learner.measured), self.material.validation, self.recipe.batch_size)

    def _save(self) -> None:
        """Write the state; the losses are checked first, so that none that is not finite is ever saved."""
        if self.pending:
            self._tell(self.recipe.learning_rate_at(self.position.step - 1, self.total_steps))
        position = {key: getattr(self.position, key) for key in ("step", "best", "stale", "seconds")}
        files.save_state(self.out, position | self.learner.state())
        self.saved_at = time.monotonic()

    def _finish(self, say: Say) -> ScorerFile:
        """Measure the best weights once more, with intervals, and write the scorer: its file is the last."""
        best = self.position.best
        self.learner.measured.load_state_dict(best["network"])
        matrices = stack(self._matrices())
        validation = _validation(matrices, self.material.validation_split)
        unwritten = _unwritten(self.labelled, self.out, self.recipe, self.learner, self.material)
        trained_on = dict(unwritten.info.trained_on) | {
            "steps": best["step"],
            "of_steps": self.total_steps,
            "minutes": round(self.position.seconds / 60, 2),
        }
        info = replace(unwritten.info, validation=validation, trained_on=trained_on)
        written = write_scorer(self.out, best["network"], info)
        (self.out / files.STATE).unlink(missing_ok=True)
        iou = validation["class_iou"]
        say(
            f"{written.path}: class IoU {iou['value']:.3f} ({iou['low']:.3f} .. {iou['high']:.3f}) on {len(matrices)} "
            f"photos of {self.material.validation_split}, by the weights of step {best['step']}."
        )
        return written


@torch.inference_mode()
def measure(scorer: Scorer, photos: Photos, batch_size: int) -> list[ConfusionMatrix]:
    """One matrix per photo at the size of its truth, by the protocol scorer-size: the logits are enlarged.

    photos: kept at the scorer's size, with class maps of their own size.
    """
    classes = len(scorer.info.labels.classes)
    matrices = []
    for start in range(0, len(photos), batch_size):
        pairs = [photos.at(place) for place in range(start, min(start + batch_size, len(photos)))]
        images = torch.from_numpy(np.stack([photo for photo, _ in pairs])).permute(0, 3, 1, 2).contiguous()
        for logits, (_, truth) in zip(scorer.logits(images), pairs, strict=True):
            full = F.interpolate(logits[None], size=truth.shape, mode="bilinear", align_corners=False)[0]
            prediction = full.argmax(dim=0).clamp_(max=classes).to(torch.uint8).cpu().numpy()
            matrices.append(ConfusionMatrix.of(truth, prediction, classes))
    return matrices


def _learner(recipe: Recipe, material: Material, device: torch.device) -> Learner:
    return Learner(recipe, class_weights(material.samples.photos.pixels, recipe.class_weights), device)


def _bar(step: int, total_steps: int, *, shown: bool) -> "tqdm[Any]":
    return tqdm(
        total=total_steps,
        initial=step,
        desc="training",
        bar_format=BAR,
        dynamic_ncols=True,
        smoothing=0.05,
        mininterval=0.2 if sys.stderr.isatty() else 15.0,
        disable=not shown,
    )


def _validation(matrices: NDArray[np.int64], split: str) -> dict[str, Any]:
    """The scorer's own score, as its file holds it."""
    scores = segmentation_scores(matrices.sum(axis=0), CONVENTION)
    intervals = bootstrap_scores(matrices, CONVENTION)
    values: dict[str, Any] = {}
    for metric in METRICS:
        value, interval = float(getattr(scores, metric)), intervals[metric]
        low, high = (interval.low, interval.high) if interval else (value, value)
        values[metric] = {"value": value, "low": low, "high": high}
    facts = {"n": len(matrices), "split": split, "convention": CONVENTION, "protocol": PROTOCOL}
    return values | facts | {"interval": interval_name()}


def _unwritten(labelled: Labelled, out: Path, recipe: Recipe, learner: Learner, material: Material) -> ScorerFile:
    """The scorer's file as it will be, without its own score."""
    seen = learner.seen
    info = ScorerInfo(
        name=out.resolve().name,
        kind=KIND,
        arguments=recipe.arguments,
        labels=labelled.labels,
        outputs=len(labelled.labels.classes),
        size_px=material.size_px,
        protocol=PROTOCOL,
        mean=seen.mean,
        std=seen.std,
        channels=seen.channels,
        stride=seen.stride,
        trained_on={
            "name": labelled.name,
            "split": "train",
            "n": len(material.samples.photos),
            "digest": labelled.digest("train"),
            "recipe": recipe.to_dict(),
        },
        validation={},
        source={},
        parameters=sum(parameter.numel() for parameter in learner.network.parameters()),
        producer=f"cgeval {version('cgeval')}",
        created_at=now(),
    )
    return ScorerFile(out / FILE, info)
