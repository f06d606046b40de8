"""Generated street scenes: decided by the seed alone, labels that fit the photo, written whole or not at all."""

import hashlib
import time
from collections import defaultdict
from functools import partial

import numpy as np
import pytest

from cgeval.datasets import open_dataset
from cgeval.errors import ConfigError, OutputError
from cgeval.images import read_ids, read_rgb
from cgeval.labels import label_set
from cyclegan.data import streets
from cyclegan.data.cache import domain_load
from cyclegan.data.streets import street, write_streets
from cyclegan.data.streets_paint import (
    BUILDING,
    CAR,
    NOISE_PX,
    PERSON,
    POLE,
    ROAD,
    SKY,
    TERRAIN,
    VEGETATION,
    Canvas,
    _sky,
)
from cyclegan.data.streets_scene import random_scene

write_quietly = partial(write_streets, progress=False)
LETTERS = {23: ".", 7: "r", 8: "p", 11: "B", 12: "w", 17: "|", 19: "l", 21: "v", 24: "i", 25: "R", 26: "c", 33: "y"}
STREET = """\
BBBBBBBBB............BBBBBBBBBBB
BBBBBBBBB...........BBBBBBBBBBBB
BBBBBBBBB...........BBBBBBBBBBBB
BBBBBBBBB...........BBBBBBBBBBBB
BBBB||||B...........BBBBBBBBBBBB
BBBBBBBBB..........BBBBBBBBBBBBB
BBBBBBBBB||.......BBBBBBBBBBBBBB
BBBBBBBBB.........BB|BBBBBBBBBBB
BBBBlBBBB.........BBBBBBBBBBBBBB
BBBBlBBBBBBBB.....BBBBBBBBBBBBBB
BBBBlBBBBBBB||...|BBBBBBBBBBBBBB
BBBBBBBBBBBB|....|BBBBBBBBBBBBBB
wwwwBBBBBBBB|..R.BBBBBBBBBBBBBBB
wwwwBBBBBvvi|c.R.ccBBBiBBBBBBBBB
wwwwBBBBBvvcccrRcccBBBiBBBBBBiBB
wwwwBBBpppprrrrRrrrrppiBBBBBBiBB
wwwppppprrrrrrrRrrrrrrppppppBBBB
pppppprrrrrrrrryrrrrrrrrrppppppp
ppprrrrrrrrrrrryrrrrrrrrrrrppppp
prrrrrrrrrrrrrryrrrrrrrrrrrrrppp
rrrrrrrrrrrrrrryrrrrrrrrrrrrrrrr
"""


def test_scene_7_of_seed_0_is_this_street():
    _, ids = street(0, "train", 7, 32)
    rows = [list(row) for row in STREET.split()]
    drawn = [[LETTERS[int(i)] for i in row] for row in ids]
    same = [one == other for row, ours in zip(rows, drawn, strict=False) for one, other in zip(row, ours, strict=True)]
    assert np.mean(same) > 0.99  # a last bit may differ between machines, and move an edge by a pixel
    assert (ids[len(rows) :] == ROAD).all()


def test_its_photo_has_these_mean_colours():
    photo, ids = street(0, "train", 7, 32)
    for class_id, colour in ((SKY, (129, 156, 199)), (ROAD, (74, 77, 86)), (BUILDING, (121, 114, 100))):
        assert abs(photo[ids == class_id].mean(0) - colour).max() < 2


def test_a_scene_is_the_same_whenever_it_is_drawn_and_differs_by_seed_split_and_number():
    photo, ids = street(5, "train", 3, 32)
    again, ids_again = street(5, "train", 3, 32)
    assert np.array_equal(photo, again)
    assert np.array_equal(ids, ids_again)
    others = [street(6, "train", 3, 32), street(5, "test", 3, 32), street(5, "train", 4, 32)]
    assert all((ids != other).mean() > 0.1 for _, other in others)


def test_neither_count_nor_processes_decide_a_scene(tmp_path, monkeypatch):
    write_quietly(tmp_path / "few", train=2, test=1, size_px=32, seed=5)
    monkeypatch.setattr(streets, "ProcessPoolExecutor", partial(streets.ProcessPoolExecutor, max_workers=1))
    write_quietly(tmp_path / "more", train=10, test=2, size_px=32, seed=5)
    few = sorted(path.relative_to(tmp_path / "few") for path in (tmp_path / "few").rglob("*.png"))
    assert len(few) == 9
    for path in few:
        assert (tmp_path / "few" / path).read_bytes() == (tmp_path / "more" / path).read_bytes()
    photo, ids = street(5, "train", 1, 32)
    assert np.array_equal(read_rgb(tmp_path / "few" / "trainB" / "00001.png"), photo)
    assert np.array_equal(read_ids(tmp_path / "few" / "train_ids" / "00001.png"), ids)


def test_the_dataset_is_what_the_trainer_and_the_scores_expect(tmp_path):
    write_quietly(tmp_path / "out", train=3, test=2, size_px=32, seed=1)
    dataset = open_dataset(tmp_path / "out")
    assert {name: len(split.a) for name, split in dataset.splits.items()} == {"train": 3, "test": 2}
    assert (dataset.paired, dataset.label_set, dataset.label_domain) == (True, "cityscapes", "A")
    assert (dataset.facts["generator"], dataset.facts["seed"]) == ("streets 1", 1)
    assert [domain_load(dataset, domain, 36).filter for domain in "AB"] == ["nearest", "bicubic"]
    for path in (tmp_path / "out" / "trainA").iterdir():
        ids = read_ids(tmp_path / "out" / "train_ids" / path.name)
        assert np.array_equal(label_set("cityscapes").colours_of(ids), read_rgb(path))


# Labels and photo are painted together


def gradient(photo: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(photo.astype(float), axis=1)).mean(-1)


def test_edges_of_the_labels_are_edges_of_the_photo_to_the_pixel():
    strength = defaultdict(list)
    for number in range(12):
        photo, ids = street(1, "train", number, 128)
        edges = ids[:, 1:] != ids[:, :-1]
        for shift in (-2, -1, 0, 1, 2):
            strength[shift].append(gradient(photo)[np.roll(edges, shift, 1)].mean())
        strength["inside"].append(gradient(photo)[~edges].mean())
    mean = {shift: np.mean(values) for shift, values in strength.items()}
    assert mean[0] > 3 * mean["inside"]
    assert all(mean[0] > 1.3 * mean[shift] for shift in (-2, -1, 1, 2))


def test_classes_look_like_what_they_are():
    colours = defaultdict(list)
    for number in range(20):
        photo, ids = street(2, "train", number, 64)
        for class_id in np.unique(ids):
            colours[int(class_id)].append(photo[ids == class_id].mean(0))
    mean = {class_id: np.mean(values, axis=0) for class_id, values in colours.items()}
    for plant in (VEGETATION, TERRAIN):
        assert mean[plant].argmax() == 1
    assert mean[SKY].argmax() == 2
    assert mean[SKY].mean() > mean[BUILDING].mean() > mean[ROAD].mean()
    assert np.ptp(mean[ROAD]) < 12


def test_every_scene_is_a_street_and_together_they_hold_many_classes():
    seen = set()
    for number in range(20):
        _, ids = street(3, "train", number, 64)
        assert {SKY, ROAD, BUILDING} <= set(np.unique(ids).tolist())
        assert (ids[-1] == ROAD).mean() > 0.5
        assert not (ids[:20] == ROAD).any()
        seen |= set(np.unique(ids).tolist())
    assert {VEGETATION, TERRAIN, POLE, PERSON, CAR} <= seen
    assert len(seen) >= 14
    assert seen <= label_set("cityscapes").by_id.keys()


def test_a_scene_is_the_same_at_every_size():
    _, small = street(4, "train", 0, 64)
    _, large = street(4, "train", 0, 128)
    assert (large[::2, ::2] == small).mean() > 0.95


def test_photos_have_texture_and_use_the_range():
    photo, ids = street(0, "train", 0, 128)
    assert photo.min() < 30
    assert photo.max() > 225
    assert len(np.unique(photo[ids == ROAD], axis=0)) > 100


def test_the_ids_of_these_scenes_have_not_moved():
    """The paint may change; ids decide scores, and change only with VERSION."""
    digest = hashlib.sha256()
    for number in range(4):
        digest.update(street(3, "test", number, 64)[1].tobytes())
    assert digest.hexdigest() == "556aac5f36e6967357c03b79d771118c591add25527e3e07a1fc3e03a650d63a"


def test_noise_runs_smoothly_between_its_points_and_repeats_without_a_seam():
    """Looked up by the nearest point, clouds were blocks of many pixels with hard edges."""
    canvas = Canvas(random_scene(np.random.default_rng(0)), 8)
    points = np.arange(-3, NOISE_PX + 3).astype(np.float32)
    assert np.array_equal(canvas.noise_at(points, points * 0 + 5), canvas.noise[points.astype(int) % NOISE_PX, 5])
    line = np.arange(-2, NOISE_PX + 2, 0.0625, np.float32)
    for values in (canvas.noise_at(line, line * 0 + 0.5), canvas.noise_at(line * 0 - 0.25, line)):
        steps = np.abs(np.diff(values))
        assert steps.max() < np.abs(np.diff(values[::16])).max() / 8
    middle = canvas.noise_at(np.float32([127.5]), np.float32([-0.5]))
    assert np.isclose(middle, canvas.noise[[127, 127, 0, 0], [127, 0, 127, 0]].mean())


def test_clouds_at_256_pixels_have_no_blocks():
    canvas = Canvas(random_scene(np.random.default_rng(0)), 512)
    assert canvas.scene.light.clouds > 0.5
    _sky(canvas)
    high = canvas.photo[:128]  # towards the horizon clouds come as close together as pixels
    assert np.abs(np.diff(high, axis=1)).max() < 0.03


# Whole or not at all


def test_what_is_there_is_never_written_over(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="out exists already"):
        write_quietly(tmp_path / "out", train=1, test=1, size_px=32)
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_is_left_when_it_stops_on_the_way(tmp_path, monkeypatch, error):
    def stop(*facts: object) -> object:
        raise error

    monkeypatch.setattr(streets, "describe", stop)
    with pytest.raises(type(error)):
        write_quietly(tmp_path / "out", train=1, test=1, size_px=32)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(tmp_path, seed):
    with pytest.raises(ConfigError, match=f"--seed is {seed}, and a number from 0"):
        write_quietly(tmp_path / "out", train=1, test=1, size_px=32, seed=seed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_few_hundred_scenes_take_seconds(tmp_path):
    begun = time.monotonic()
    write_quietly(tmp_path / "out", train=200, test=50, size_px=128)
    assert time.monotonic() - begun < 120
    assert len(list((tmp_path / "out" / "trainB").iterdir())) == 200
