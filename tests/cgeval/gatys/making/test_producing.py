"""How a set grows: batches, interruptions, too little memory, and the seal. The optimiser is played by a function."""

import numpy as np
import pytest

from cgeval.errors import ConfigError, RunError
from cgeval.gatys.making.contents import open_contents
from cgeval.gatys.making.pending import Losses, Pending
from cgeval.gatys.making.producing import Task, produce, sealed_before
from cgeval.gatys.transfer import Progress, Stylised
from cgeval.images import read_rgb
from cgeval.interrupt import Stop
from cgeval.runs import Run
from tests.cgeval.gatys.pictures import write_photos

FACTS = {"style": {"digest": "ab"}, "size_px": 24}


class Inverting:
    """Gives each picture's negative. holds: so many at once; stops_in: the batch within which somebody asks to stop."""

    def __init__(self, stop, *, holds=99, stops_in=None):
        self.stop, self.holds, self.stops_in = stop, holds, stops_in
        self.batches = []

    def __call__(self, contents, tick, names):
        self.batches.append(list(names))
        if len(contents) > self.holds:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        for step in range(4):
            self.stop.asked = self.stop.asked or (len(self.batches) == self.stops_in and step == 1)
            tick(Progress((step + 1) / 4, 4.0 - step))
        count = len(contents)
        return Stylised(255 - contents, (3.0,) * count, (1.0,) * count, (2.0,) * count)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", method="gatys", dataset={}, producer={})


@pytest.fixture
def task(tmp_path):
    (contents,) = open_contents(write_photos(tmp_path / "photos", 5), size_px=24)
    return Task(contents, "photos_AtoB-night", "night", FACTS)


def made(run, task, **how):
    stop = Stop()
    batch_size, overwrite = how.pop("batch_size", 2), how.pop("overwrite", False)
    inverting = Inverting(stop, **how)
    produced = produce(run, task, inverting, batch_size=batch_size, stop=stop, overwrite=overwrite)
    return produced, [len(batch) for batch in inverting.batches]


def test_all_pictures_are_sealed_in_the_order_of_the_contents(run, task):
    produced, batches = made(run, task)
    sealed = produced.image_set
    assert batches == [2, 2, 1]
    assert [row.id for row in sealed.rows] == ["0", "1", "2", "3", "4"]
    assert [row.target for row in sealed.rows] == [None] * 5
    sealed.verify()
    assert np.array_equal(read_rgb(sealed.path / "3.png"), 255 - task.contents.read(task.contents.files[3]))
    assert sealed.extra["variant"] == "night"
    assert sealed.extra["mean_losses"] == {"total": 3.0, "content": 1.0, "style": 2.0}
    assert (sealed.direction, sealed.split, sealed.checkpoint) == ("AtoB", "photos", None)
    assert not (run.path / "gatys" / task.name).exists()


def test_a_stop_keeps_what_is_finished_and_seals_nothing(run, task):
    produced, batches = made(run, task, stops_in=2)
    assert (produced.image_set, produced.finished, batches) == (None, 2, [2, 2])
    assert run.image_sets() == []
    produced, batches = made(run, task)
    assert (produced.image_set.count, batches) == (5, [2, 1])


def test_a_stop_in_the_last_step_of_a_batch_loses_nothing_of_it(run, task):
    stop = Stop()

    def asked_at_the_end(contents, tick, names):
        stop.asked = True
        tick(Progress(1.0, 0.0))
        return Stylised(contents, *((0.0,) * len(contents) for _ in range(3)))

    produced = produce(run, task, asked_at_the_end, batch_size=2, stop=stop)
    assert (produced.image_set, produced.finished) == (None, 2)
    assert len(Pending(run.path, task.name)._read_losses()) == 2


def test_a_batch_of_which_one_picture_is_missing_is_made_as_a_whole_again(run, task):
    """So that they are those of an uninterrupted run: in the last digit a batch's numbers depend on its size."""
    pending = Pending(run.path, task.name)
    pending.begin(FACTS, overwrite=False)
    kept = np.zeros((24, 24, 3), np.uint8)
    pending.add("0", kept, Losses(1.0, 1.0, 0.0))
    produced, batches = made(run, task)
    assert batches == [2, 2, 1]
    assert np.array_equal(read_rgb(produced.image_set.path / "0.png"), kept)
    assert not np.array_equal(read_rgb(produced.image_set.path / "1.png"), kept)


def test_batches_are_halved_until_the_memory_holds_them(run, task, capsys):
    produced, batches = made(run, task, batch_size=4, holds=1)
    assert batches == [4, 2, 1, 1, 1, 1, 1]
    assert produced.image_set.count == 5
    assert "The memory does not hold 4 images at once: from here on 2." in capsys.readouterr().err


def test_one_image_that_the_memory_does_not_hold_ends_it_in_one_sentence(run, task):
    with pytest.raises(ConfigError, match=r"does not hold one image of 24x24 px: take a smaller --size"):
        made(run, task, holds=0)


def test_another_error_of_the_optimiser_is_not_taken_for_lack_of_memory(run, task):
    def failing(contents, tick, names):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        produce(run, task, failing, batch_size=2, stop=Stop())


def test_the_same_set_is_found_and_another_is_refused_by_what_differs(run, task):
    made(run, task)
    assert sealed_before(run, task, overwrite=False).name == task.name
    other = Task(task.contents, task.name, "night", {**FACTS, "size_px": 48})
    with pytest.raises(RunError, match=r"was made with another size_px \(24, and now 48\)"):
        sealed_before(run, other, overwrite=False)
    assert sealed_before(run, other, overwrite=True) is None
    made(run, other, overwrite=True)
    assert run.image_set(task.name).extra["size_px"] == 48


def test_overwrite_makes_a_damaged_set_again_and_leaves_a_whole_one(run, task):
    sealed = made(run, task)[0].image_set
    assert sealed_before(run, task, overwrite=True) is not None
    (sealed.path / "0.png").write_bytes(b"")
    assert sealed_before(run, task, overwrite=False) is not None
    assert sealed_before(run, task, overwrite=True) is None
    made(run, task, overwrite=True)
    run.image_set(task.name).verify()
