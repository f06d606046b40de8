"""Photos with label maps become a paired dataset whose ids and label values are the source's, whole or not at all."""

import io
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cgeval.datasets import open_dataset
from cgeval.errors import CgevalError, ConfigError, DataError, ImageError, LayoutError, OutputError
from cgeval.images import read_ids, read_rgb
from cgeval.labelled import detect, find_camvid, find_cityscapes, pair_folders
from cgeval.labels import label_set
from cyclegan.data import prepare as module
from cyclegan.data.cache import domain_load
from cyclegan.data.prepare import find_folders, prepare

CITYSCAPES = label_set("cityscapes")


def photo(path: Path, seed: int = 0, width: int = 64, height: int = 32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


def ids_of(seed: int, classes: int, width: int = 64, height: int = 32) -> np.ndarray:
    """Random ids in areas of 4 x 4 pixels."""
    areas = np.random.default_rng(seed).integers(0, classes, (height // 4, width // 4))
    return np.kron(areas, np.ones((4, 4), int)).astype(np.uint8)


def label(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """Cityscapes' own folders, with what else gtFine holds."""
    root, seed = tmp_path / "cityscapes", 0
    for split, city, count in (
        ("train", "aachen", 2),
        ("train", "bochum", 1),
        ("val", "lindau", 1),
        ("test", "berlin", 1),
    ):
        for i in range(count):
            seed += 1
            frame = f"{city}_{i:06d}_000019"
            photo(root / "leftImg8bit" / split / city / f"{frame}_leftImg8bit.png", seed)
            ids = ids_of(seed, 34)
            label(root / "gtFine" / split / city / f"{frame}_gtFine_labelIds.png", ids)
            label(root / "gtFine" / split / city / f"{frame}_gtFine_instanceIds.png", ids.astype(np.uint16) * 1000)
            label(root / "gtFine" / split / city / f"{frame}_gtFine_color.png", CITYSCAPES.colours_of(ids))
            (root / "gtFine" / split / city / f"{frame}_gtFine_polygons.json").write_text("{}")
    return root


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """photos/ and labels/ with ten pairs in CamVid's ids."""
    for i in range(10):
        photo(tmp_path / "own" / "photos" / f"{i}.jpg", i)
        label(tmp_path / "own" / "labels" / f"{i}.png", ids_of(i, 12))
    return tmp_path / "own"


def torchs_nearest(ids: np.ndarray, size_px: int) -> np.ndarray:
    """An independent resize to the nearest pixel's centre."""
    as_float = torch.from_numpy(ids.astype(np.float32))[None, None]
    return torch.nn.functional.interpolate(as_float, (size_px, size_px), mode="nearest-exact")[0, 0].numpy().astype(int)


def from_pairs(root: Path, label_set_name: str = "camvid11", share: float = 0.1) -> module.Source:
    return find_folders(root.name, root / "photos", root / "labels", label_set_name, share)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


# Cityscapes


def test_cityscapes_becomes_pairs_with_val_as_the_test_split(cityscapes, tmp_path):
    assert prepare(detect(cityscapes), tmp_path / "out", 16).skipped == ()
    dataset = open_dataset(tmp_path / "out")
    assert (dataset.name, dataset.domains, dataset.paired) == ("cityscapes", ("labels", "photos"), True)
    assert (dataset.label_set, dataset.label_domain) == ("cityscapes", "A")
    found = {name: [file.id for file in split.b] for name, split in dataset.splits.items()}
    assert found == {
        "train": ["aachen/aachen_000000_000019", "aachen/aachen_000001_000019", "bochum/bochum_000000_000019"],
        "test": ["lindau/lindau_000000_000019"],
    }


def test_true_ids_are_kept_at_full_size_and_labels_in_the_palette(cityscapes, tmp_path):
    prepare(detect(cityscapes), tmp_path / "out", 16)
    frame = "lindau/lindau_000000_000019"
    (source,) = (cityscapes / "gtFine" / "val").rglob("*_labelIds.png")
    ids = read_ids(source)
    assert np.array_equal(read_ids(tmp_path / "out" / "test_ids" / f"{frame}.png"), ids)
    coloured = read_rgb(tmp_path / "out" / "testA" / f"{frame}.png")
    assert coloured.shape == (16, 16, 3)
    palette = {tuple(colour) for colour in CITYSCAPES.colours_of(ids).reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in coloured.reshape(-1, 3).tolist()} <= palette
    assert np.array_equal(coloured, CITYSCAPES.colours_of(torchs_nearest(ids, 16)))


def test_photos_are_resized_as_the_trainer_would(cityscapes, tmp_path):
    prepare(detect(cityscapes), tmp_path / "out", 16)
    (source,) = (cityscapes / "leftImg8bit" / "val").rglob("*.png")
    theirs = Image.open(source).convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)
    ours = read_rgb(tmp_path / "out" / "testB" / "lindau" / "lindau_000000_000019.png")
    assert np.array_equal(ours, np.asarray(theirs))


def test_the_trainer_takes_the_prepared_labels_for_labels(cityscapes, tmp_path):
    prepare(detect(cityscapes), tmp_path / "out", 16)
    dataset = open_dataset(tmp_path / "out")
    assert [domain_load(dataset, domain, 16).filter for domain in "AB"] == ["nearest", "bicubic"]


def test_a_photo_without_its_label_map_is_named(cityscapes):
    (lost,) = (cityscapes / "gtFine" / "val").rglob("*_labelIds.png")
    lost.unlink()
    with pytest.raises(LayoutError, match=r"lindau.*has no label map .*labelIds\.png: unpack gtFine"):
        find_cityscapes(cityscapes)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_cityscapes_that_is_half_unpacked_is_refused(cityscapes, split):
    (cityscapes / "leftImg8bit" / split).rename(cityscapes / "elsewhere")
    with pytest.raises(LayoutError, match=rf"leftImg8bit/{split} holds no photos"):
        find_cityscapes(cityscapes)


# CamVid


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    for i, split in enumerate(("train", "val", "test")):
        photo(tmp_path / "camvid" / split / "photo" / "0006R0_f1.jpg", i)
        label(tmp_path / "camvid" / split / "label" / "0006R0_f1.png", ids_of(i, 12))
    return tmp_path / "camvid"


def test_camvid_keeps_its_three_splits(camvid, tmp_path):
    prepare(detect(camvid), tmp_path / "out", 32)
    dataset = open_dataset(tmp_path / "out")
    assert list(dataset.splits) == ["train", "val", "test"]
    assert (dataset.name, dataset.label_set) == ("camvid", "camvid11")
    assert np.array_equal(read_ids(tmp_path / "out" / "val_ids" / "0006R0_f1.png"), ids_of(1, 12))


def test_real_camvid_pairs_agree_with_their_labels(shared_data, tmp_path):
    source = find_camvid(shared_data / "camvid")
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 367, "val": 101, "test": 233}
    few = module.Source(source.name, source.labels, "camvid11", {"test": source.splits["test"][:3]})
    prepare(few, tmp_path / "out", 64)
    for pair in few.splits["test"]:
        ids = read_ids(pair.labels)
        assert np.array_equal(read_ids(tmp_path / "out" / "test_ids" / f"{pair.id}.png"), ids)
        coloured = read_rgb(tmp_path / "out" / "testA" / f"{pair.id}.png")
        assert np.array_equal(few.labels.colours_of(torchs_nearest(ids, 64)), coloured)


def test_another_folder_is_told_what_is_expected(tmp_path):
    with pytest.raises(LayoutError, match=r"neither Cityscapes .* nor CamVid .*--photos DIR --labels DIR"):
        detect(tmp_path)


# Any folder pair


def test_every_tenth_pair_becomes_the_test_split(pairs, tmp_path):
    prepare(from_pairs(pairs), tmp_path / "out", 16)
    dataset = open_dataset(tmp_path / "out")
    assert [file.id for file in dataset.split("test").a] == ["9"]
    assert len(dataset.split("train").b) == 9
    assert dataset.name == "own"


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.3, 3), (0.4, 4), (0.5, 5), (0.75, 7), (0.9, 9), (0.01, 1)])
def test_the_test_split_has_the_share_that_was_asked_for(pairs, share, count):
    splits = from_pairs(pairs, share=share).splits
    assert (len(splits["test"]), len(splits["train"])) == (count, 10 - count)
    assert {pair.id for split in splits.values() for pair in split} == {str(i) for i in range(10)}


@pytest.mark.parametrize("share", [0, 1, -0.5, 7])
def test_a_share_that_is_none_is_refused(pairs, share):
    with pytest.raises(ConfigError, match="--test-share"):
        from_pairs(pairs, share=share)


def test_ids_keep_folders_dots_and_unicode(tmp_path):
    for i, name in enumerate(("a/1.2", "b/Straße", "b/馬")):
        photo(tmp_path / "photos" / f"{name}.jpg", i)
        label(tmp_path / "labels" / f"{name}.png", ids_of(i, 12))
    prepare(from_pairs(tmp_path), tmp_path / "out", 16)
    splits = open_dataset(tmp_path / "out").splits
    assert sorted(file.id for split in splits.values() for file in split.a) == ["a/1.2", "b/Straße", "b/馬"]


@pytest.mark.parametrize("lone", ["photos/x.jpg", "labels/x.png"])
def test_a_lone_picture_is_named_with_its_folder(pairs, lone):
    photo(pairs / lone)
    with pytest.raises(LayoutError, match=rf"1 pictures have no counterpart .*'x' in .*{lone.partition('/')[0]}"):
        pair_folders(pairs / "photos", pairs / "labels")


def test_two_files_with_one_id_are_refused_and_none_is_dropped(pairs):
    photo(pairs / "photos" / "3.png")
    with pytest.raises(LayoutError, match="have the same id '3'"):
        pair_folders(pairs / "photos", pairs / "labels")


def test_folders_that_are_missing_or_empty_are_named(pairs, tmp_path):
    with pytest.raises(LayoutError, match="none is not a folder"):
        pair_folders(pairs / "none", pairs / "labels")
    for name in ("p", "l"):
        (tmp_path / name).mkdir()
    with pytest.raises(LayoutError, match="holds no images"):
        pair_folders(tmp_path / "p", tmp_path / "l")


OWN = '[[label]]\nid = 0\nname = "sky"\ncolour = [9, 9, 255]\n[[label]]\nid = 7\nname = "rest"\ncolour = [80, 70, 0]\n'


def test_an_own_label_set_travels_with_the_dataset(tmp_path, monkeypatch):
    photo(tmp_path / "photos" / "1.jpg")
    label(tmp_path / "labels" / "1.png", ids_of(0, 2) * 7)
    (tmp_path / "mine.toml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    prepare(from_pairs(tmp_path, "mine.toml"), tmp_path / "out", 16)
    monkeypatch.chdir("/")
    (tmp_path / "mine.toml").unlink()
    found = label_set(open_dataset(tmp_path / "out").label_set)
    assert found.by_id[7].colour == (80, 70, 0)
    coloured = read_rgb(tmp_path / "out" / "trainA" / "1.png")
    assert {tuple(c) for c in coloured.reshape(-1, 3).tolist()} == {(9, 9, 255), (80, 70, 0)}


# How label maps may be stored


def one_pair(root: Path) -> module.Source:
    photo(root / "photos" / "1.jpg")
    return from_pairs(root, "cityscapes")


def prepared_ids(root: Path) -> np.ndarray:
    prepare(one_pair(root), root / "out", 16)
    return read_ids(root / "out" / "train_ids" / "1.png")


SOME_IDS = ids_of(5, 20) + 7  # ids 7 .. 26, each with a colour of its own but polegroup, 18, which shares pole's
UNSHARED = np.where(SOME_IDS == 18, 17, SOME_IDS).astype(np.uint8)


def shuffled_palette(colours: np.ndarray) -> Image.Image:
    """The same picture as programs store it that make PNG files small."""
    image = Image.fromarray(colours)
    small = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
    assert np.array_equal(np.asarray(small.convert("RGB")), colours)
    return small


@pytest.mark.parametrize("stored", ["ids", "colours", "palette with ids", "grey palette with ids", "any palette"])
def test_true_ids_are_found_however_the_map_is_stored(tmp_path, stored):
    colours = CITYSCAPES.colours_of(UNSHARED)
    if stored == "ids":
        image = Image.fromarray(UNSHARED)
    elif stored == "colours":
        image = Image.fromarray(colours)
    elif stored == "any palette":
        image = shuffled_palette(colours)
    else:
        image = Image.fromarray(UNSHARED, "P")
        own = [channel for i in range(34) for channel in CITYSCAPES.by_id[i].colour]
        image.putpalette(own if stored == "palette with ids" else [(7 * i) % 256 for i in range(256) for _ in "rgb"])
    (tmp_path / "labels").mkdir()
    image.save(tmp_path / "labels" / "1.png")
    assert np.array_equal(prepared_ids(tmp_path), UNSHARED)


def test_a_palette_with_its_own_ids_keeps_classes_of_one_colour_apart(tmp_path):
    image = Image.fromarray(SOME_IDS, "P")
    image.putpalette([channel for i in range(34) for channel in CITYSCAPES.by_id[i].colour])
    (tmp_path / "labels").mkdir()
    image.save(tmp_path / "labels" / "1.png")
    assert 18 in SOME_IDS
    assert np.array_equal(prepared_ids(tmp_path), SOME_IDS)


def palette_map(root: Path, ids: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> None:
    image = Image.fromarray(ids.astype(np.uint8), "P")
    image.putpalette([channel for i in range(256) for channel in colours.get(i, (0, 0, 0))])
    (root / "labels").mkdir()
    image.save(root / "labels" / "1.png")


def test_ids_in_the_palette_of_another_label_set_are_refused(tmp_path):
    """Every id exists in Cityscapes too, and black 0 in nearly every set: the colours alone tell."""
    palette_map(tmp_path, ids_of(5, 3), {1: (128, 0, 0), 2: (0, 128, 0)})
    with pytest.raises(DataError, match=r"1\.png: the palette's colours are not those of 'cityscapes': name the label"):
        prepare(one_pair(tmp_path), tmp_path / "out", 16)
    assert not (tmp_path / "out").exists()


def test_one_class_in_the_sets_colour_is_enough_to_trust_the_ids(tmp_path):
    palette_map(tmp_path, ids_of(5, 3) + 7, {7: (128, 64, 128), 8: (1, 2, 3), 9: (9, 2, 3)})
    assert np.array_equal(prepared_ids(tmp_path), ids_of(5, 3) + 7)


def test_the_share_of_each_class_is_told_the_largest_first(tmp_path):
    ids = np.full((32, 64), 7, np.uint8)
    ids[:4], ids[4:12] = 23, 26
    for name, share_of_car in (("1", ids), ("2", np.full((32, 64), 26, np.uint8))):
        photo(tmp_path / "photos" / f"{name}.jpg")
        label(tmp_path / "labels" / f"{name}.png", share_of_car)
    shares = prepare(from_pairs(tmp_path, "cityscapes", 0.5), tmp_path / "out", 16).shares
    told = [(label.name, share) for label, share in shares.items()]
    assert told == [("car", 0.625), ("road", 0.3125), ("sky", 0.0625)]


def test_ids_above_255_stay_what_they_are(tmp_path):
    (tmp_path / "big.toml").write_text(OWN.replace("id = 7", "id = 26001"))
    photo(tmp_path / "photos" / "1.jpg")
    ids = ids_of(0, 2).astype(np.uint16) * 26001
    label(tmp_path / "labels" / "1.png", ids)
    prepare(from_pairs(tmp_path, str(tmp_path / "big.toml")), tmp_path / "out", 16)
    assert np.array_equal(read_ids(tmp_path / "out" / "train_ids" / "1.png"), ids)


@pytest.mark.parametrize("colour", [True, False])
def test_a_jpeg_is_no_label_map(tmp_path, colour):
    (tmp_path / "labels").mkdir()
    Image.fromarray(CITYSCAPES.colours_of(UNSHARED) if colour else UNSHARED).save(tmp_path / "labels" / "1.jpg")
    with pytest.raises(ImageError, match=r"labels/1\.jpg is a JPEG"):
        prepare(one_pair(tmp_path), tmp_path / "out", 16)


def wrong_id(root: Path) -> None:
    label(root / "labels" / "4.png", ids_of(4, 12) + 20)


def wrong_size(root: Path) -> None:
    photo(root / "photos" / "4.jpg", 4, 62, 32)


def wrong_colour(root: Path) -> None:
    label(root / "labels" / "4.png", np.full((32, 64, 3), 77, np.uint8))


def empty_photo(root: Path) -> None:
    (root / "photos" / "4.jpg").write_bytes(b"")


def cut_label(root: Path) -> None:
    path = root / "labels" / "4.png"
    path.write_bytes(path.read_bytes()[:60])


MISTAKES = {
    wrong_id: r"labels/4\.png holds 12 ids, such as 20, that label set 'camvid11' does not have",
    wrong_size: r"photos/4\.jpg is 62 x 32 and its label map 64 x 32",
    wrong_colour: r"labels/4\.png: 100\.0% of the pixels have 1 colours",
    empty_photo: r"photos/4\.jpg is empty",
    cut_label: r"labels/4\.png is broken",
}


@pytest.mark.parametrize("spoil", MISTAKES)
def test_a_wrong_pair_is_named_once_and_nothing_is_left(pairs, tmp_path, spoil):
    spoil(pairs)
    with pytest.raises(DataError, match=MISTAKES[spoil]) as caught:
        prepare(from_pairs(pairs), tmp_path / "out", 16)
    assert str(caught.value).count("4.") <= (2 if spoil is wrong_size else 1)
    assert not (tmp_path / "out").exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("spoil", MISTAKES)
def test_a_wrong_pair_is_skipped_at_the_users_wish_and_told(pairs, tmp_path, spoil):
    spoil(pairs)
    (sentence,) = prepare(from_pairs(pairs), tmp_path / "out", 16, skip_broken=True).skipped
    assert sentence.startswith("skipped 4: ")
    for folder in ("trainA", "trainB", "train_ids"):
        assert sorted(path.stem for path in (tmp_path / "out" / folder).iterdir()) == list("01235678")


def test_a_dataset_of_skipped_pairs_only_is_refused(pairs, tmp_path):
    """The wrong --label-set would otherwise make an empty dataset."""
    for path in (pairs / "labels").iterdir():
        label(path, np.full((32, 64), 200, np.uint8))
    with pytest.raises(DataError, match="none of 10 pairs can be used; the first was skipped 0"):
        prepare(from_pairs(pairs), tmp_path / "out", 16, skip_broken=True)
    assert not (tmp_path / "out").exists()


# Whole or not at all


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_there_is_never_written_over(pairs, tmp_path, there):
    out = tmp_path / "out"
    out.mkdir() if there == "folder" else out.write_text("mine")
    with pytest.raises(OutputError, match=r"out exists already: name another folder"):
        prepare(from_pairs(pairs), out, 16)
    assert list(out.iterdir()) == [] if there == "folder" else out.read_text() == "mine"


def test_a_folder_that_comes_into_being_meanwhile_is_left_as_it_is(pairs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    describe = module.describe

    def slow(*facts: object) -> object:
        photo(out / "mine.png")
        return describe(*facts)

    monkeypatch.setattr(module, "describe", slow)
    with pytest.raises(OutputError, match="came into being meanwhile"):
        prepare(from_pairs(pairs), out, 16)
    assert [path.name for path in out.iterdir()] == ["mine.png"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), MemoryError()])
def test_nothing_is_left_when_it_stops_on_the_way(pairs, tmp_path, monkeypatch, error):
    write = module.write_pair

    def stop_at_the_fifth(root: Path, split: str, image_id: str, pictures: object) -> None:
        if image_id == "5":
            raise error
        write(root, split, image_id, pictures)

    monkeypatch.setattr(module, "write_pair", stop_at_the_fifth)
    with pytest.raises(type(error)):
        prepare(from_pairs(pairs), tmp_path / "out", 16)
    assert not (tmp_path / "out").exists()
    assert leftovers(tmp_path) == []


KILLED = """
import sys, time
from pathlib import Path
from cyclegan.data import prepare as module
write = module.write_pair
def slow(*arguments):
    write(*arguments)
    print("written", flush=True)
    time.sleep(0.2)
module.write_pair = slow
root = Path(sys.argv[1])
module.prepare(module.find_folders(root.name, root / "photos", root / "labels", "camvid11", 0.1), Path(sys.argv[2]), 16)
"""


def test_a_killed_preparation_leaves_nothing_that_looks_finished(pairs, tmp_path):
    command = [sys.executable, "-c", KILLED, str(pairs), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline().startswith("written")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out").exists()
    (left,) = leftovers(tmp_path)
    yesterday = time.time() - 25 * 3600
    os.utime(tmp_path / left, (yesterday, yesterday))
    assert prepare(from_pairs(pairs), tmp_path / "out", 16).skipped == ()
    assert leftovers(tmp_path) == []


def test_the_same_source_gives_the_same_bytes(pairs, tmp_path):
    for name in ("one", "two"):
        prepare(from_pairs(pairs), tmp_path / name, 16)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 31
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


def test_dataset_toml_says_all_that_scoring_needs(pairs, tmp_path):
    prepare(from_pairs(pairs), tmp_path / "out", 16)
    assert tomllib.loads((tmp_path / "out" / "dataset.toml").read_text()) == {
        "name": "own",
        "domains": ["labels", "photos"],
        "paired": True,
        "label_set": "camvid11",
        "label_domain": "A",
        "truth": "{split}_ids",
        "size_px": 16,
    }


def test_every_mistake_is_told_in_one_line(pairs, tmp_path):
    for spoil in MISTAKES:
        spoil(pairs)
        with pytest.raises(CgevalError) as caught:
            prepare(from_pairs(pairs), tmp_path / "out", 16)
        assert len(io.StringIO(str(caught.value)).readlines()) == 1
