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
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from cgeval.allocator import keep_freed_memory
from cgeval.devices import find_device
from cgeval.errors import NonFiniteLossError, RunError
from cgeval.files import lock
from cgeval.interrupt import stop_on_signal
from cgeval.labelled import Labelled
from cgeval.metrics import stack
from cgeval.networks.segmenters import build_network
from cgeval.runs import now
from cgeval.scorers import training_state as files
from cgeval.scorers.learner import KIND, Learner
from cgeval.scorers.material import Material, Say, choose_photos, counted, load_material
from cgeval.scorers.recipe import Recipe
from cgeval.scorers.samples import batches, class_weights
from cgeval.scorers.scorer import Scorer
from cgeval.scorers.store import FILE, ScorerFile, ScorerInfo, open_scorer, refuse_taken, write_scorer
from cgeval.scorers.validation import PROTOCOL, measure, own_record, own_scores

TELL_STEPS = 20
TRIAL_STEPS, TRIAL_SECONDS, TRIAL_PHOTOS = 3, 6.0, 8
BAR = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {remaining} left{postfix}"


def train_scorer(
    labelled: Labelled, out: Path, recipe: Recipe, *, resume: bool, say: Say = print, progress: bool = True
) -> ScorerFile | None:
    """Train a scorer into the folder `out`; None where Ctrl-C or SIGTERM stopped it, its state saved.

    resume: go on with what was begun there; a finished one is given back. say: takes a sentence; progress: show bars.
    Raises ConfigError, DataError, RunError, OutputError or TrainingError in one sentence.
    """
    recipe.refuse_missing_file()
    if (out / FILE).exists() and resume:
        return _finished(out, labelled, say)
    refuse_taken(out)
    begun = files.read_begun(out) if resume else None
    if begun is None:
        files.refuse_wrong_start(out)
    else:
        files.refuse_another(begun, recipe, labelled.name, labelled.digest("train"), out)
    source = choose_photos(labelled, recipe.seed)
    device = _ready(recipe)
    _refuse_unknown_network(recipe)
    out.mkdir(parents=True, exist_ok=True)
    with lock(out / files.LOCK):
        material = load_material(labelled, source, recipe, say, progress=progress)
        training = Training(labelled, out, recipe, material, device)
        training.total_steps = begun.total_steps if begun else training.begin(say)
        if begun:
            training.restore()
        return training.run(say, progress=progress)


def _refuse_unknown_network(recipe: Recipe) -> None:
    """Raise ConfigError for a network that cannot be built, before photos are read and a folder is made."""
    with torch.random.fork_rng(devices=[]):
        build_network(KIND, recipe.arguments, 2)


def _finished(out: Path, labelled: Labelled, say: Say) -> ScorerFile:
    """The scorer that is there; raises RunError where it was trained on another dataset or for other classes."""
    file = open_scorer(out)
    found = file.info.trained_on.get("name")
    if found != labelled.name:
        raise RunError(f"{out} was trained on {found!r} and not on {labelled.name!r}: name another folder.")
    if [label.name for label in file.info.labels.classes] != [label.name for label in labelled.labels.classes]:
        raise RunError(
            f"{out} was trained for the classes of label set {file.info.labels.name!r} and not of "
            f"{labelled.labels.name!r}: name another folder."
        )
    say(f"{out} is trained already.")
    return file


def _ready(recipe: Recipe) -> torch.device:
    device = find_device(recipe.device)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    if device.type == "cpu":
        keep_freed_memory()
    return device


class Training:
    """One scorer being trained. Everything that changes is in `learner`, `position` and the files of the folder."""

    def __init__(self, labelled: Labelled, out: Path, recipe: Recipe, material: Material, device: torch.device) -> None:
        self.labelled, self.out, self.recipe, self.material = labelled, out, recipe, material
        weights = class_weights(material.samples.photos.pixels, recipe.class_weights)
        self.learner = Learner(recipe, weights, device)
        self.file = _unwritten(self.learner, labelled, out, material)
        self.position = files.Position()
        self.total_steps = recipe.epochs * material.samples.steps_per_epoch
        self.pending: list[Tensor] = []
        self.told_step, self.told_at, self.saved_at = 0, 0.0, 0.0

    def begin(self, say: Say) -> int:
        """Decide how long training will be, and write down what is begun; returns the number of steps."""
        total = self.total_steps
        if self.recipe.minutes:
            trial = Training(self.labelled, self.out, self.recipe, self.material, self.learner.device)
            total = trial.steps_within(60 * self.recipe.minutes)
            epochs = total / self.material.samples.steps_per_epoch
            minutes = f"{self.recipe.minutes:g} minute{' is' if self.recipe.minutes == 1 else 's are'}"
            say(f"{minutes} {counted(total, 'step')}, {epochs:.1f} epochs, at this machine's speed now.")
        digest = self.labelled.digest("train")
        files.write_begun(self.out, files.Begun(self.recipe, self.labelled.name, digest, total))
        return total

    def steps_within(self, seconds: float) -> int:
        """How many steps, with their validations, there is time for; spoils the network by a trial of some steps."""
        started = begun = time.monotonic()
        feed = batches(self.material.samples, 0, 10_000, 1)
        for step, (photos, truth) in enumerate(feed):
            self.learner.learn(step, 1e-6, photos, truth).item()
            if step + 1 == TRIAL_STEPS:
                begun = time.monotonic()
            if step + 1 >= 2 * TRIAL_STEPS and time.monotonic() - begun > min(TRIAL_SECONDS, seconds / 10):
                break
        feed.close()
        a_step = (time.monotonic() - begun) / (step + 1 - TRIAL_STEPS)
        a_validation = self._seconds_of_a_validation()
        left = seconds - (time.monotonic() - started)
        an_epoch = a_step * self.material.samples.steps_per_epoch
        validations = min(self.recipe.validations, max(1, int(left / (an_epoch + a_validation))))
        return max(validations, int((left - (validations + 1) * a_validation) / a_step))

    def _seconds_of_a_validation(self) -> float:
        few, took = self.material.validation.first(TRIAL_PHOTOS), 0.0
        for _ in range(2):  # the first is slower
            begun = time.monotonic()
            measure(Scorer(self.file, self.learner.measured), few, self.recipe.batch_size)
            took = time.monotonic() - begun
        return took * len(self.material.validation) / len(few)

    @property
    def validate_steps(self) -> int:
        """Steps from one validation to the next."""
        return max(self.material.samples.steps_per_epoch, math.ceil(self.total_steps / self.recipe.validations))

    def restore(self) -> None:
        """Go back to what was saved last; to the beginning where nothing was."""
        content = files.load_state(self.out)
        if content is not None:
            self.learner.restore(content)
            self.position = files.Position(*(content[key] for key in ("step", "best", "stale", "seconds")))

    def run(self, say: Say, *, progress: bool) -> ScorerFile | None:
        """Train to the end, or until asked to stop; the state is on disk either way."""
        files.tidy(self.out, self.position.step)
        self._tell_plan(say)
        self.told_step, self.told_at, self.saved_at = self.position.step, time.monotonic(), time.monotonic()
        workers = 1 if self.learner.device.type == "cpu" else min(8, os.cpu_count() or 1)
        feed = batches(self.material.samples, self.position.step, self.total_steps, workers)
        self.bar = _bar(self.position.step, self.total_steps, shown=progress)
        try:
            with stop_on_signal() as stop:
                while not self._is_over() and not stop.asked:
                    self._step(*next(feed))
                self._save()
        finally:
            feed.close()
            self.bar.close()
        if not self._is_over():
            say(f"Stopped after {self.position.step} of {self.total_steps} steps: --resume goes on.")
            return None
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
        values = own_scores(self._matrices())
        files.append_row(self.out, {"step": self.position.step, **values})
        self._since_told()
        self.position.stale += 1
        if values["class_iou"] > self.position.best.get("class_iou", -1.0):
            weights = {name: tensor.cpu().clone() for name, tensor in self.learner.measured.state_dict().items()}
            self.position.best = {"step": self.position.step, "class_iou": values["class_iou"], "network": weights}
            self.position.stale = 0
        files.draw_curves(files.read_log(self.out / files.LOG), self.out / files.CURVES)

    def _matrices(self) -> NDArray[np.int64]:
        scorer = Scorer(self.file, self.learner.measured)
        return stack(measure(scorer, self.material.validation, self.recipe.batch_size))

    def _tell_plan(self, say: Say) -> None:
        (width, height), samples, info = self.material.size_px, self.material.samples, self.file.info
        network = f"{self.recipe.architecture} on {self.recipe.encoder} ({info.parameters:,} parameters)"
        done, total = self.position.step, self.total_steps
        steps = f"from step {done:,} of {total:,}" if done else f"for {counted(total, 'step')}"
        say(
            f"Training {network} at {width} x {height} px {steps}, {samples.batch_size} windows a step, cut from "
            f"{counted(len(samples.photos), 'photo')}."
        )

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
        if self.position.step < self.total_steps:
            say(f"No better class IoU in {self.position.stale} validations: ended at step {self.position.step}.")
        self.learner.measured.load_state_dict(best["network"])
        own = own_record(self._matrices(), self.material.validation_split, self.material.validation_photo_px)
        lasted = {"steps": best["step"], "of_steps": self.total_steps, "minutes": round(self.position.seconds / 60, 2)}
        trained_on = dict(self.file.info.trained_on) | lasted
        info = replace(self.file.info, validation=own, trained_on=trained_on, created_at=now())
        written = write_scorer(self.out, best["network"], info)
        (self.out / files.STATE).unlink(missing_ok=True)
        say(
            f"Class IoU {own['class_iou']['value']:.3f} on {counted(own['n'], 'photo')} of {own['split']}, "
            f"by the weights of step {best['step']}."
        )
        return written


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


def _unwritten(learner: Learner, labelled: Labelled, out: Path, material: Material) -> ScorerFile:
    """The scorer's file as it will be, without its own score."""
    recipe, seen = learner.recipe, learner.seen
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
