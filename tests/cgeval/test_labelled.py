"""Photos and their label maps are found by id in every layout, and what cannot be scored is said in one sentence."""

from pathlib import Path

import numpy as np
import pytest

from cgeval.errors import ConfigError, LayoutError
from cgeval.images import write_png
from cgeval.labelled import open_labelled

PIXEL = np.zeros((4, 4, 3), np.uint8)
IDS = np.full((8, 8), 7, np.uint8)


def put(path: Path, picture: np.ndarray = PIXEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, picture)
    return path


def prepared(root: Path, *facts: str) -> Path:
    for name in ("a", "b"):
        put(root / "testA" / f"{name}.png")
        put(root / "testB" / f"{name}.png")
        put(root / "test_ids" / f"{name}.png", IDS)
    lines = facts or ('label_set = "cityscapes"', 'label_domain = "A"', 'truth = "{split}_ids"', "paired = true")
    (root / "dataset.toml").write_text("\n".join(lines))
    return root


def test_a_prepared_dataset_has_its_true_ids(tmp_path):
    found = open_labelled(prepared(tmp_path / "streets"))
    assert (found.name, found.labels.name, found.label_domain) == ("streets", "cityscapes", "A")
    pairs = found.split("test").pairs()
    assert [name for name, _, _ in pairs] == ["a", "b"]
    assert pairs[0][1].path == tmp_path / "streets" / "testB" / "a.png"
    assert pairs[0][2] == tmp_path / "streets" / "test_ids" / "a.png"


def test_without_a_folder_of_ids_the_label_domain_is_the_truth(tmp_path):
    root = prepared(tmp_path / "d", 'label_set = "camvid11"', 'label_domain = "B"', "paired = true")
    split = open_labelled(root).split("test")
    assert split.truth["a"] == root / "testB" / "a.png"
    assert split.photos["a"].path == root / "testA" / "a.png"


def test_a_photo_without_a_label_map_is_no_pair(tmp_path):
    root = prepared(tmp_path / "d")
    (root / "test_ids" / "b.png").unlink()
    split = open_labelled(root).split("test")
    assert [name for name, _, _ in split.pairs()] == ["a"]
    assert sorted(split.photos) == ["a", "b"]


def test_cityscapes_as_it_comes_has_the_ids_that_preparing_gives(tmp_path):
    for split in ("train", "val"):
        put(tmp_path / "leftImg8bit" / split / "aachen" / "aachen_000000_000019_leftImg8bit.png")
        put(tmp_path / "gtFine" / split / "aachen" / "aachen_000000_000019_gtFine_labelIds.png", IDS)
    found = open_labelled(tmp_path)
    assert sorted(found.splits) == ["test", "train"]
    assert list(found.split("test").truth) == ["aachen/aachen_000000_000019"]
    assert found.labels.name == "cityscapes"


def test_camvid_as_it_comes(shared_data):
    found = open_labelled(shared_data / "camvid")
    assert {name: len(split.pairs()) for name, split in found.splits.items()} == {"train": 367, "val": 101, "test": 233}


def test_a_label_set_is_named_where_the_dataset_is_silent(tmp_path):
    silent = ('label_domain = "A"', 'truth = "{split}_ids"', "paired = true")
    assert open_labelled(prepared(tmp_path / "d", *silent), "camvid11").labels.name == "camvid11"
    with pytest.raises(ConfigError, match="no label set 'nonsense'"):
        open_labelled(prepared(tmp_path / "e", *silent), "nonsense")
    with pytest.raises(LayoutError, match="does not say which label set"):
        open_labelled(prepared(tmp_path / "f", *silent))


def test_a_label_set_that_contradicts_the_dataset_is_refused(tmp_path):
    root = prepared(tmp_path / "d")
    assert open_labelled(root, "cityscapes").labels.name == "cityscapes"
    with pytest.raises(ConfigError, match="are in label set 'cityscapes' and not in 'camvid11', as the dataset says"):
        open_labelled(root, "camvid11")


def test_a_dataset_of_horses_has_nothing_to_score(tmp_path):
    root = prepared(tmp_path / "d", "paired = false")
    with pytest.raises(LayoutError, match="does not say which label set"):
        open_labelled(root)


def test_the_smaller_halves_of_aligned_pictures_are_no_truth(tmp_path):
    put(tmp_path / "train" / "1.png", np.zeros((4, 8, 3), np.uint8))
    (tmp_path / "dataset.toml").write_text('label_set = "cityscapes"\nlabel_domain = "A"\n')
    with pytest.raises(LayoutError, match="label halves were made smaller"):
        open_labelled(tmp_path)


def test_an_unknown_split_names_those_there_are(tmp_path):
    with pytest.raises(LayoutError, match="no labelled split 'val'; there: test"):
        open_labelled(prepared(tmp_path / "d")).split("val")


def test_the_digest_of_a_split_changes_with_its_files(tmp_path):
    root = prepared(tmp_path / "d")
    before = open_labelled(root).digest("test")
    assert open_labelled(root).digest("test") == before
    put(root / "testB" / "a.png", np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))
    assert open_labelled(root).digest("test") != before


def test_in_unpaired_data_no_photo_is_known_to_show_a_map(tmp_path):
    facts = ('label_set = "cityscapes"', 'label_domain = "A"', 'truth = "{split}_ids"', "paired = false")
    split = open_labelled(prepared(tmp_path / "d", *facts)).split("test")
    assert sorted(split.truth) == ["a", "b"]
    with pytest.raises(LayoutError, match="the dataset is unpaired"):
        split.pairs()


def test_the_domain_of_the_labels_is_said_and_not_guessed(tmp_path):
    for line in ("", 'label_domain = "none"'):
        facts = ('label_set = "cityscapes"', 'truth = "{split}_ids"', "paired = true", line)
        with pytest.raises(LayoutError, match="which domain holds them"):
            open_labelled(prepared(tmp_path / f"d{len(line)}", *facts))


def test_cityscapes_val_alone_can_be_scored(tmp_path):
    put(tmp_path / "leftImg8bit" / "val" / "aachen" / "f_leftImg8bit.png")
    put(tmp_path / "gtFine" / "val" / "aachen" / "f_gtFine_labelIds.png", IDS)
    assert list(open_labelled(tmp_path).splits) == ["test"]
    (tmp_path / "leftImg8bit" / "val" / "aachen" / "f_leftImg8bit.png").unlink()
    with pytest.raises(LayoutError, match="holds no photos"):
        open_labelled(tmp_path)
