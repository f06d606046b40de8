"""A configuration and a run directory go in; a trained run comes out, whatever interrupts it on the way.

The story of `Training.run`: for every epoch, set the learning rate; for every step, learn, tell, show, save;
after the epoch, validate and save. The position is the number of optimiser steps done; together with the seed
it decides every image, crop and draw that follows, so a resumed run goes on bit for bit.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from cgeval.errors import DataError, RunError
from cgeval.interrupt import Stop, stop_on_signal
from cgeval.runs import Run
from cyclegan import state
from cyclegan.config import MetricName, TrainConfig
from cyclegan.data.sampling import prefetch
from cyclegan.distributed import World, any_in_world, from_lead, gather_to_lead, wait_for_all
from cyclegan.graph import GraphedStep
from cyclegan.inputs import Inputs
from cyclegan.journal import LOG, Journal, read_log
from cyclegan.pictures import plot_losses
from cyclegan.schedule import learning_rate_factor
from cyclegan.show import write_samples
from cyclegan.step import TrainStep
from cyclegan.validation import improves, refuse_unusable, validate


@dataclass(frozen=True)
class Outcome:
    """How training ended: finished, or stopped at a step that is saved. first_step: where this call took it up."""

    finished: bool
    first_step: int
    step: int
    total_steps: int
    seconds: float
    seconds_waited_for_data: float
    splits: tuple[str, ...]


class Training:
    """One run being trained. Everything that changes is in `step`, `position` and the files of the run."""

    def __init__(self, config: TrainConfig, run_path: Path, inputs: Inputs, world: World, device: torch.device) -> None:
        self.config, self.run_path, self.inputs, self.world = config, run_path, inputs, world
        self.step = TrainStep(config, device, world)
        if config.checkpoints.best_by != "none":
            refuse_unusable(config.checkpoints.best_by, self.step.translator, inputs.dataset)
        self.learn = GraphedStep(self.step) if config.compute.cuda_graph else self.step
        self.journal = Journal(run_path, self.step.losses, world)
        self.position = state.Position(data_digest=inputs.digest)
        self.steps_per_epoch = inputs.training.steps_per_epoch
        self.total_steps = self.steps_per_epoch * config.optimiser.epochs
        self.waited = 0.0
        torch.manual_seed((config.seed + world.rank) % 2**63)  # dropout's stream; a checkpoint carries its state
        self.saved_at_step = -1
        self.unmeasured = False

    @property
    def checkpoints(self) -> Path:
        """Folder of the run's checkpoints."""
        return self.run_path / "checkpoints"

    def resume(self) -> None:
        """Go back to the newest whole checkpoint; from the start where there is none yet."""
        newest = state.read_index(self.checkpoints).newest
        if newest is not None:
            self.position = state.restore(self.step, state.load(self.checkpoints / newest.file))
            self.saved_at_step = self.position.step
            wanted = self.config.checkpoints.best_by != "none"
            self.unmeasured = wanted and newest.metric is None and self._ends_epoch() and self.position.step > 0
        self._refuse_another_folder()
        begun_on = Run.open(self.run_path).info.dataset.get("training_digest", "")
        self.inputs.refuse_other_data(self.position.data_digest if newest else str(begun_on))

    def run(self) -> Outcome:
        """Train to the end, or until asked to stop; the state is on disk either way."""
        begun, first_step = time.monotonic(), self.position.step
        self.saved_at = begun
        self.journal.open(self.position.step, self.total_steps, tensorboard=self.config.logging.tensorboard)
        try:
            if self.unmeasured:
                self._after_epoch(self.position.epoch - 1)
            with stop_on_signal() as stop:
                while self.position.step < self.total_steps and not self._stopping(stop):
                    self._epoch(stop)
            self._finish()
        finally:
            self.journal.close()
        return Outcome(
            self.position.step >= self.total_steps,
            first_step,
            self.position.step,
            self.total_steps,
            time.monotonic() - begun,
            self.waited,
            tuple(self.inputs.dataset.splits),
        )

    def _epoch(self, stop: Stop) -> None:
        epoch, first = divmod(self.position.step, self.steps_per_epoch)
        self.step.set_learning_rate(self._rate(epoch))
        feed = prefetch(self.inputs.training, epoch, first)
        try:
            for _, real_a, real_b in feed:
                draws = self.step.draws(self.position.step)
                device = self.step.device
                losses = self.learn(real_a.to(device, non_blocking=True), real_b.to(device, non_blocking=True), draws)
                self._after_step(losses, epoch)
                if not self._ends_epoch() and self._stopping(stop):
                    return
        finally:
            feed.close()
            self.waited += feed.stats.seconds_waited
        self._after_epoch(epoch)

    def _rate(self, epoch: int) -> float:
        settings = self.config.optimiser
        factor = learning_rate_factor(settings.schedule, epoch, settings.constant_epochs, settings.decay_epochs)
        return settings.learning_rate * factor

    def _after_step(self, losses: torch.Tensor, epoch: int) -> None:
        self.position = self._at(self.position.step + 1)
        step, logging = self.position.step, self.config.logging
        self.journal.add(losses, epoch, self.config.optimiser.epochs)
        if step % logging.every_steps == 0:
            self._tell()
        if step % logging.samples_every_steps == 0:
            self._show()
        if not self._ends_epoch() and self._is_overdue():
            self._save()

    def _after_epoch(self, epoch: int) -> None:
        """Validate and save; only here, so that a checkpoint at an epoch's end has its metric."""
        metric = self.config.checkpoints.best_by
        done = epoch + 1
        value = self._validated(metric)
        best = improves(metric, value, self.position.best.get("value"))
        if value is not None:
            self.journal.scalar(f"validation/{metric}", value, self.position.step)
        if best and value is not None:
            self.position = state.Position(
                self.position.step, done, self.inputs.digest, {"value": value, "step": float(self.position.step)}
            )
        if done % self.config.checkpoints.every_epochs == 0 or best or self._is_overdue():
            self._save(value, best)

    def _validated(self, metric: MetricName) -> float | None:
        """Measured by the leading process, for all; None where nothing is to be measured.

        A vanished image must not cost the epoch, so it is saved before the error is told.
        """
        if metric == "none":
            return None
        nothing: tuple[float | None, str | None] = (None, None)
        value, problem = from_lead(self._measured(metric) if self.world.leads else nothing, self.world)
        if problem is not None:
            self._save()
            raise DataError(problem)
        return value

    def _measured(self, metric: MetricName) -> tuple[float | None, str | None]:
        try:
            return validate(self.step, self.inputs, metric), None
        except DataError as error:
            return None, str(error)

    def _ends_epoch(self) -> bool:
        return self.position.step % self.steps_per_epoch == 0

    def _is_overdue(self) -> bool:
        overdue = time.monotonic() - self.saved_at > 60 * self.config.checkpoints.every_minutes
        return any_in_world(overdue, self.world, self.step.device)

    def _refuse_another_folder(self) -> None:
        """Each machine of a group reads the run for itself, so all must see the same one."""
        if from_lead(self.position.step, self.world) != self.position.step:
            raise RunError(
                f"process {self.world.rank} finds another state in {self.run_path} than the leading one: the run and "
                "the data must lie on a disk that all machines share."
            )

    def _at(self, step: int) -> state.Position:
        return state.Position(step, step // self.steps_per_epoch, self.inputs.digest, self.position.best)

    def _stopping(self, stop: Stop) -> bool:
        return any_in_world(stop.asked, self.world, self.step.device)

    def _tell(self) -> None:
        rate = self._rate((self.position.step - 1) // self.steps_per_epoch)
        images = self.config.optimiser.batch_size * self.world.size
        epoch = (self.position.step - 1) // self.steps_per_epoch + 1
        self.journal.tell(self.position.step, epoch, images, {"learning_rate": rate})

    def _save(self, metric: float | None = None, is_best: bool = False) -> None:
        """Check the losses first: a state with a non-finite loss is never saved."""
        self._tell()
        processes = gather_to_lead(state.process_state(self.step), self.world)
        if self.world.leads:
            content = state.capture(self.step, self.position, processes)
            state.save(self.checkpoints, content, metric=metric, is_best=is_best, rule=self.config.checkpoints)
        self.saved_at, self.saved_at_step = time.monotonic(), self.position.step
        wait_for_all(self.world)

    def _show(self) -> None:
        if self.world.leads:
            grid = write_samples(self.step, self.inputs, self.run_path / "samples", self.position.step)
            self.journal.picture("samples", grid, self.position.step)
        wait_for_all(self.world)

    def _finish(self) -> None:
        if self.saved_at_step != self.position.step:
            self._save()
        self._show()
        if self.world.leads and (self.run_path / LOG).exists():
            plot_losses(read_log(self.run_path / LOG), self.step.losses, self.run_path / "losses.png")
