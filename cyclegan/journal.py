"""Loss tensors go in as steps are done; a progress bar, `log.jsonl` and TensorBoard scalars come out.

A line of the log is the mean over the steps since the line before. After a resume the log is cut back to the
checkpoint's step, so no step is ever told twice.
"""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from cgeval.errors import NonFiniteLossError, RunError
from cgeval.files import remove_leftovers, write_atomic
from cyclegan.distributed import World, mean_over_world

LOG = "log.jsonl"
BAR = "{desc}{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {remaining} left{postfix}"


class Journal:
    """What a person sees of a run while it trains. Only the leading process writes."""

    def __init__(self, run_path: Path, names: Sequence[str], world: World) -> None:
        self.path, self.names, self.world = run_path / LOG, tuple(names), world
        self.pending: list[Tensor] = []
        self.bar: tqdm[Any] | None = None
        self.board: Any = None

    def open(self, first_step: int, total_steps: int, *, tensorboard: bool) -> None:
        """Tidy up behind a killed process, cut the log back to `first_step` steps and show the bar."""
        self.started = self.told_at = time.monotonic()
        self.first_step = self.told_step = first_step
        if not self.world.leads:
            return
        for folder in (self.path.parent, self.path.parent / "samples"):
            remove_leftovers(folder)
        cut_back(self.path, first_step)
        self.bar = tqdm(
            total=total_steps,
            initial=first_step,
            mininterval=patience_s(),
            smoothing=0.05,
            bar_format=BAR,
            dynamic_ncols=True,
        )
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            # TensorBoard drops what is at this step or after it, and the log keeps its line at first_step
            self.board = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=first_step + 1)

    def add(self, losses: Tensor, epoch: int, epochs: int) -> None:
        """Take one step's losses; nothing waits for the device."""
        self.pending.append(losses)
        if self.bar is not None:
            self.bar.set_description(f"epoch {epoch + 1}/{epochs}", refresh=False)
            self.bar.update(1)

    def tell(self, step: int, epoch: int, images_per_step: int, facts: Mapping[str, float]) -> dict[str, float]:
        """Check the pending losses and write their mean; raises NonFiniteLossError naming step and term."""
        if not self.pending:
            return {}
        table = torch.stack(self.pending)
        self.pending = []
        self._refuse_non_finite(table, step)
        means = mean_over_world(table.mean(0), self.world).tolist()
        now = time.monotonic()
        rate = (step - self.told_step) * images_per_step / max(now - self.told_at, 1e-9)
        self.told_at, self.told_step = now, step
        losses = dict(zip(self.names, means, strict=True))
        self._write(step, {"step": step, "epoch": epoch} | losses | dict(facts) | {"images_per_s": round(rate, 3)})
        return losses

    def scalar(self, name: str, value: float, step: int) -> None:
        """One more curve in TensorBoard."""
        if self.board is not None:
            self.board.add_scalar(name, value, step)

    def picture(self, name: str, image: Any, step: int) -> None:
        """A uint8 HWC picture in TensorBoard."""
        if self.board is not None:
            self.board.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Leave the bar where it is and flush TensorBoard."""
        if self.bar is not None:
            self.bar.close()
        if self.board is not None:
            self.board.close()

    def _refuse_non_finite(self, table: Tensor, step: int) -> None:
        broken = (~torch.isfinite(table)).nonzero()
        if len(broken) == 0:
            return
        row, column = (int(i) for i in broken[0])
        at, name, value = step - len(table) + row + 1, self.names[column], float(table[row, column])
        raise NonFiniteLossError(
            f"the loss {name!r} became {value} at step {at}, and no checkpoint holds that state: "
            "start a new run in another folder with a lower optimiser.learning_rate; or, if compute.precision is bf16 "
            "and a checkpoint is there, go on with --resume --set compute.precision=fp32."
        )

    def _write(self, step: int, row: Mapping[str, float]) -> None:
        if not self.world.leads:
            return
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({key: _short(value) for key, value in row.items()}) + "\n")
        for key, value in row.items():
            if key not in ("step", "epoch"):
                self.scalar(f"train/{key}", value, step)
        if self.bar is not None:
            rate = row["images_per_s"]
            losses = in_short({name: row[name] for name in self.names})
            self.bar.set_postfix_str(f"{rate:.{1 if rate >= 1 else 2}f} img/s, {losses}", refresh=sys.stderr.isatty())


def patience_s() -> float:
    """Seconds between two states of a progress bar: a terminal overwrites them, a log file keeps every one."""
    return 0.2 if sys.stderr.isatty() else 15.0


def in_short(losses: Mapping[str, float]) -> str:
    """Both directions of a term side by side: {"cycle_a": 1.2, "cycle_b": 1.4} becomes "cycle 1.2/1.4"."""
    terms: dict[str, list[str]] = {}
    for name, value in losses.items():
        terms.setdefault(name.partition("_")[0], []).append(f"{value:.2f}")
    return " ".join(f"{term} {'/'.join(values)}" for term, values in terms.items())


def cut_back(path: Path, step: int) -> None:
    """Drop lines of the log after `step`, and a last line that a kill left half-written."""
    if path.exists():
        lines = [json.dumps(row) for row in read_log(path) if row["step"] <= step]
        write_atomic(path, "".join(f"{line}\n" for line in lines).encode())


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of `log.jsonl` in order; a half-written last line is left out, any other that is no row is named."""
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows.append({"step": row["step"]} | row)
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines):
                raise RunError(f"{path}:{number} is no row of a log ({error!r}): remove that line.") from None
    return rows


def _short(value: float) -> float:
    if isinstance(value, int) or value == 0 or not math.isfinite(value):
        return value
    return round(value, 6 - math.floor(math.log10(abs(value))))
