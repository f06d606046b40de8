"""What a person sees of a run: the progress bar, `log.jsonl`, and TensorBoard read back as TensorBoard reads it."""

import io
import json
import math
import os
import pty
import struct
import sys
import termios
import threading
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cgeval.errors import NonFiniteLossError, RunError
from cyclegan.distributed import World
from cyclegan.journal import Journal, cut_back, in_short, patience_s, read_log

NAMES = ("gan_ab", "gan_ba", "cycle_a", "cycle_b")


def journal(folder: Path, first_step: int = 0, *, names=NAMES, tensorboard=False, world=None) -> Journal:
    made = Journal(folder, names, world or World())
    made.open(first_step, 100, tensorboard=tensorboard)
    return made


def steps(made: Journal, first: int, last: int, every: int = 2) -> None:
    """Steps first .. last whose losses are step, 2 step, 3 step, ..., told every few."""
    for step in range(first, last + 1):
        made.add(torch.arange(1.0, len(made.names) + 1) * step, epoch=step // 10, epochs=10)
        if step % every == 0:
            made.tell(step, step // 10 + 1, 1, {"learning_rate": 2e-4})


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# --- log.jsonl


def test_a_row_is_the_mean_over_the_steps_since_the_row_before(tmp_path):
    made = journal(tmp_path)
    steps(made, 1, 6, every=3)
    made.close()
    assert [{key: row[key] for key in ("step", "epoch", "gan_ab", "cycle_b")} for row in rows(tmp_path)] == [
        {"step": 3, "epoch": 1, "gan_ab": 2.0, "cycle_b": 8.0},
        {"step": 6, "epoch": 1, "gan_ab": 5.0, "cycle_b": 20.0},
    ]
    assert list(rows(tmp_path)[0]) == ["step", "epoch", *NAMES, "learning_rate", "images_per_s"]


def test_telling_twice_or_before_the_first_step_writes_nothing(tmp_path):
    made = journal(tmp_path)
    assert made.tell(0, 1, 1, {}) == {}
    steps(made, 1, 2)
    assert made.tell(2, 1, 1, {}) == {}
    assert len(rows(tmp_path)) == 1


def test_images_per_second_counts_images_and_not_steps(tmp_path, monkeypatch):
    clock = iter([10.0, 12.0, 13.0])
    monkeypatch.setattr("cyclegan.journal.time.monotonic", lambda: next(clock))
    made = journal(tmp_path)
    for step in (4, 8):
        made.add(torch.zeros(4), 0, 1)
        made.tell(step, 1, 6, {})
    assert [row["images_per_s"] for row in rows(tmp_path)] == [12.0, 24.0]


def test_numbers_are_short_and_exact_enough(tmp_path):
    made = journal(tmp_path, names=("l1",))
    made.add(torch.tensor([1 / 3]), 0, 1)
    made.tell(1, 1, 1, {"learning_rate": 0.0002 * 100 / 101})
    (row,) = rows(tmp_path)
    assert row["l1"] == pytest.approx(1 / 3, rel=1e-6)
    assert row["learning_rate"] == pytest.approx(0.0002 * 100 / 101, rel=1e-6)
    assert len((tmp_path / "log.jsonl").read_text()) < 110


def test_after_a_resume_no_step_is_told_twice(tmp_path):
    steps(journal(tmp_path), 1, 8)
    steps(journal(tmp_path, first_step=4), 5, 10)
    assert [row["step"] for row in rows(tmp_path)] == [2, 4, 6, 8, 10]


def test_a_half_written_last_line_is_dropped_and_any_other_is_named(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [row["step"] for row in read_log(log)] == [1, 2]
    cut_back(log, 1)
    assert log.read_text() == '{"step": 1}\n'
    for line in ("{", "[1]", '{"epoch": 1}'):
        log.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
        with pytest.raises(RunError, match=r"log\.jsonl:2 is no row"):
            read_log(log)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_named_with_its_step(tmp_path, value):
    made = journal(tmp_path)
    steps(made, 1, 4, every=4)
    for step in range(5, 9):
        made.add(torch.tensor([1.0, 1.0, value if step >= 7 else 1.0, 1.0]), 0, 1)
    with pytest.raises(NonFiniteLossError, match=rf"'cycle_a' became {value} at step 7.*learning_rate"):
        made.tell(8, 1, 1, {})
    assert len(rows(tmp_path)) == 1


def test_only_the_leading_process_writes(tmp_path, capsys):
    made = Journal(tmp_path, NAMES, World(rank=1, size=2))
    made.open(0, 10, tensorboard=True)
    made.scalar("x", 1.0, 1)
    made.close()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_a_killed_process_is_tidied_up_after(tmp_path):
    (tmp_path / "samples").mkdir()
    for folder in (tmp_path, tmp_path / "samples"):
        (folder / ".tmp-x-1234").write_text("half")
    journal(tmp_path).close()
    assert not list(tmp_path.rglob(".tmp-*"))


# --- the bar


def test_both_directions_of_a_term_stand_side_by_side():
    losses = {"gan_ab": 0.251, "gan_ba": 0.3, "cycle_a": 1.204, "cycle_b": 12.0, "l1": 33.333}
    assert in_short(losses) == "gan 0.25/0.30 cycle 1.20/12.00 l1 33.33"
    assert in_short({"disc_b": 1, "gan_ab": 2, "l1": 3}) == "disc 1.00 gan 2.00 l1 3.00"


def test_the_bar_tells_epoch_steps_time_left_images_per_second_and_losses(tmp_path):
    """On a terminal 110 columns wide."""
    shown = on_a_terminal(tmp_path, columns=110)
    last = shown.replace("\n", "\r").strip("\r").split("\r")[-1]
    assert last.startswith("epoch 3/10:  20% |")
    for part in ("| 20/100 ", " left, ", " img/s, gan 19.50/39.00 cycle 58.50/78.00"):
        assert part in last
    assert max(map(len, shown.replace("\n", "\r").split("\r"))) <= 110


def test_a_narrow_terminal_is_never_overrun(tmp_path):
    shown = on_a_terminal(tmp_path, columns=50)
    assert max(map(len, shown.replace("\n", "\r").split("\r"))) <= 50


def on_a_terminal(folder: Path, columns: int) -> str:
    """What twenty steps write to a terminal of that width."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    chunks: list[bytes] = []
    reader = threading.Thread(target=lambda: chunks.extend(iter(lambda: read(leader), b"")))
    reader.start()
    before = sys.stderr
    with os.fdopen(follower, "w") as sys.stderr:
        try:
            made = journal(folder)
            made.bar.mininterval = 0
            steps(made, 1, 20)
            made.bar.refresh()
            made.close()
        finally:
            terminal, sys.stderr = sys.stderr, before
            terminal.flush()
    reader.join()
    os.close(leader)
    return b"".join(chunks).decode()


def read(leader: int) -> bytes:
    try:
        return os.read(leader, 4096)
    except OSError:  # Linux's word for the end, once nobody holds the other side
        return b""


def test_a_file_is_written_to_more_rarely_than_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert patience_s() >= 10


# --- TensorBoard


def board(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0}).Reload()


def test_scalars_are_those_of_the_log(tmp_path):
    made = journal(tmp_path, tensorboard=True)
    steps(made, 1, 6)
    made.scalar("validation/cycle_l1", 0.5, 6)
    made.close()
    found = board(tmp_path)
    expected = {f"train/{name}" for name in (*NAMES, "learning_rate", "images_per_s")} | {"validation/cycle_l1"}
    assert set(found.Tags()["scalars"]) == expected
    for name in NAMES:
        events = found.Scalars(f"train/{name}")
        assert [event.step for event in events] == [row["step"] for row in rows(tmp_path)] == [2, 4, 6]
        assert [event.value for event in events] == pytest.approx([row[name] for row in rows(tmp_path)])


def test_grids_come_back_pixel_for_pixel(tmp_path):
    grid = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    made = journal(tmp_path, tensorboard=True)
    made.picture("samples", grid, 40)
    made.close()
    (event,) = board(tmp_path).Images("samples")
    assert event.step == 40
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(event.encoded_image_string))), grid)


@pytest.mark.parametrize("first", [0, 4])
def test_after_a_resume_tensorboard_has_each_step_once_as_the_log(tmp_path, first):
    """The row of the checkpoint's own step stays in both; what came after the checkpoint goes from both."""
    made = journal(tmp_path, tensorboard=True)
    steps(made, 1, 8)
    made.close()
    made = journal(tmp_path, first_step=first, tensorboard=True)
    steps(made, first + 1, 10)
    made.close()
    events = board(tmp_path).Scalars("train/gan_ab")
    assert [event.step for event in events] == [row["step"] for row in rows(tmp_path)] == [2, 4, 6, 8, 10]
