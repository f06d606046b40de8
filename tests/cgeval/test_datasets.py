"""What the trainer sees in a folder: splits, domains, pairs and broken files; or one sentence why not."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgeval import datasets as layout
from cgeval.datasets import FACTS, ImageFile, broken_files, find_dataset, open_dataset, read_picture, without
from cgeval.errors import DataError, ImageError, LayoutError

SUFFIXES = ["jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp"]


def put(path: Path, width: int = 8, height: int = 8, grey: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (grey, 10, 200)).save(path)
    return path


def unpaired(root: Path, *names: str) -> Path:
    for name in names or ("trainA/a.png", "trainB/b.png"):
        put(root / name)
    return root


def ids(files: tuple[ImageFile, ...]) -> list[str]:
    return [file.id for file in files]


# The field's layout


@pytest.mark.parametrize("names", [("trainA", "trainB"), ("TRAINA", "TrainB"), ("train_a", "train-b")])
def test_the_domains_folders_are_found_in_any_case(tmp_path, names):
    dataset = open_dataset(unpaired(tmp_path, f"{names[0]}/x.png", f"{names[1]}/y.png"))
    assert (ids(dataset.split("train").a), ids(dataset.split("train").b)) == (["x"], ["y"])
    assert not dataset.paired


def test_splits_come_in_the_order_train_val_test(tmp_path):
    folders = [f"{split}{domain}/i.png" for split in ("test", "val", "train") for domain in "AB"]
    assert list(open_dataset(unpaired(tmp_path, *folders)).splits) == ["train", "val", "test"]


@pytest.mark.parametrize("suffix", [*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES), "Jpg"])
def test_every_usual_kind_of_file_is_read(tmp_path, suffix):
    dataset = open_dataset(unpaired(tmp_path, f"trainA/i.{suffix}", "trainB/b.png"))
    assert ids(dataset.split("train").a) == ["i"]
    assert read_picture(dataset.split("train").a[0]).shape == (8, 8, 3)


def test_nested_folders_are_part_of_the_id_and_numbers_sort_as_numbers(tmp_path):
    names = ("trainA/s2/x/10.png", "trainA/s2/x/9.png", "trainA/s10/1.png", "trainA/0.png", "trainB/b.png")
    assert ids(open_dataset(unpaired(tmp_path, *names)).split("train").a) == ["0", "s2/x/9", "s2/x/10", "s10/1"]


def test_ids_keep_their_dots_and_letters_of_any_language(tmp_path):
    names = ("trainA/v1.2.final.png", "trainA/Straße 7.png", "trainA/馬.png", "trainA/🐴.png", "trainB/b.png")
    found = ids(open_dataset(unpaired(tmp_path, *names)).split("train").a)
    assert sorted(found) == sorted(["v1.2.final", "Straße 7", "馬", "🐴"])


def test_what_is_hidden_or_no_image_is_passed_over(tmp_path):
    unpaired(tmp_path, "trainA/a.png", "trainA/.thumbs/t.png", "trainA/__MACOSX/._a.png", "trainB/b.png")
    (tmp_path / "trainA" / "notes.txt").write_text("no image")
    (tmp_path / "trainA" / "folder.jpg").mkdir()
    assert ids(open_dataset(tmp_path).split("train").a) == ["a"]


def test_linked_files_and_linked_domains_are_followed(tmp_path):
    real = unpaired(tmp_path / "real", "x/a.png", "y/b.png")
    root = tmp_path / "linked"
    (root / "trainB").mkdir(parents=True)
    (root / "trainA").symlink_to(real / "x")
    (root / "trainB" / "b.png").symlink_to(real / "y" / "b.png")
    split = open_dataset(root).split("train")
    assert (ids(split.a), ids(split.b)) == (["a"], ["b"])


def test_linked_folders_inside_are_followed_and_a_circle_ends(tmp_path):
    real = unpaired(tmp_path / "real", "more/a2.png")
    root = unpaired(tmp_path / "data", "trainA/a1.png", "trainB/b.png")
    (root / "trainA" / "more").symlink_to(real / "more")
    (root / "trainA" / "round").symlink_to(root / "trainA")
    assert ids(open_dataset(root).split("train").a) == ["a1", "more/a2"]


def test_a_link_to_nothing_is_named_or_skipped(tmp_path):
    root = unpaired(tmp_path)
    (root / "trainA" / "lost.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ImageError, match=r"lost\.png"):
        open_dataset(root)
    assert open_dataset(root, skip_broken=True).skipped == (root / "trainA" / "lost.png",)


def test_a_picture_of_one_pixel_is_a_picture(tmp_path):
    put(tmp_path / "trainA" / "dot.png", 1, 1)
    assert len(open_dataset(unpaired(tmp_path, "trainB/b.png")).split("train").a) == 1


def test_two_folders_for_one_domain_are_refused(tmp_path):
    with pytest.raises(LayoutError, match=r"trainA and .*traina mean the same"):
        open_dataset(unpaired(tmp_path, "trainA/1.png", "traina/2.png", "trainB/b.png"))


@pytest.mark.parametrize(("there", "missing"), [("trainA", "trainB"), ("testB", "testA")])
def test_a_domain_that_is_missing_is_named(tmp_path, there, missing):
    with pytest.raises(LayoutError, match=f"has {there} and no {missing}"):
        open_dataset(unpaired(tmp_path, f"{there}/a.png"))


def test_two_files_with_one_id_are_refused(tmp_path):
    with pytest.raises(LayoutError, match=r"a\.jpg and .*a\.png have the same id 'a'"):
        open_dataset(unpaired(tmp_path, "trainA/a.png", "trainA/a.jpg", "trainB/b.png"))


def test_ids_that_differ_in_case_only_are_two_images(tmp_path):
    names = ("trainA/a.png", "trainA/A.png", "trainB/b.png")
    assert sorted(ids(open_dataset(unpaired(tmp_path, *names)).split("train").a)) == ["A", "a"]


def test_a_file_name_that_is_not_utf8_is_refused_before_it_breaks_an_index(tmp_path):
    unpaired(tmp_path)
    (tmp_path / "trainA" / "a.png").rename(os.fsdecode(os.fsencode(tmp_path / "trainA") + b"/caf\xe9.png"))
    with pytest.raises(LayoutError, match=r"caf\\udce9\.png' is not UTF-8"):
        open_dataset(tmp_path)


# Aligned A|B pictures


def aligned(root: Path, *sizes: tuple[int, int], split: str = "train") -> Path:
    for i, (width, height) in enumerate(sizes):
        put(root / split / f"{i}.png", width, height)
    return root


def test_an_aligned_picture_is_split_in_the_middle_left_is_a(tmp_path):
    picture = np.zeros((6, 20, 3), np.uint8)
    picture[:, :10], picture[:, 10:] = (255, 0, 0), (0, 0, 255)
    (tmp_path / "train").mkdir()
    Image.fromarray(picture).save(tmp_path / "train" / "pair.png")
    dataset = open_dataset(tmp_path)
    split = dataset.split("train")
    assert dataset.paired
    assert ids(split.a) == ids(split.b) == ["pair"]
    assert (read_picture(split.a[0]) == (255, 0, 0)).all()
    assert (read_picture(split.b[0]) == (0, 0, 255)).all()
    assert read_picture(split.a[0]).shape == read_picture(split.b[0]).shape == (6, 10, 3)


def test_aligned_splits_are_found_in_any_case_and_nesting(tmp_path):
    put(tmp_path / "Train" / "berlin" / "1.png", 16)
    put(tmp_path / "Train" / "bonn" / "2.png", 16)
    put(tmp_path / "TEST" / "3.png", 16)
    dataset = open_dataset(tmp_path)
    assert ids(dataset.split("train").a) == ["berlin/1", "bonn/2"]
    assert ids(dataset.split("test").b) == ["3"]


@pytest.mark.parametrize(("width", "height"), [(17, 8), (8, 16), (1, 1), (8, 8)])
@pytest.mark.parametrize("place", [0, 5])
def test_a_picture_that_cannot_be_aligned_is_named_wherever_it_stands(tmp_path, width, height, place):
    sizes = [(16, 8)] * 6
    sizes[place] = (width, height)
    with pytest.raises(LayoutError, match=rf"{place}\.png is {width} x {height} pixels"):
        open_dataset(aligned(tmp_path, *sizes))


def test_square_pairs_are_read_when_they_are_declared(tmp_path):
    (aligned(tmp_path, (8, 8)) / "dataset.toml").write_text("paired = true\n")
    assert read_picture(open_dataset(tmp_path).split("train").a[0]).shape == (8, 4, 3)


def test_aligned_pictures_may_differ_in_size(tmp_path):
    assert len(open_dataset(aligned(tmp_path, (16, 8), (40, 20), (2, 1))).split("train").a) == 3


@pytest.mark.parametrize("folders", [("photo", "label"), ("A", "B"), ("b", "A")])
def test_two_folders_of_whole_pictures_are_not_taken_for_aligned_ones(tmp_path, folders):
    """CamVid's own layout would otherwise be trained on as halves of photos."""
    for folder in folders:
        put(tmp_path / "train" / folder / "1.png", 16, 8)
    with pytest.raises(LayoutError, match=r"data prepare.*paired = true"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.toml").write_text("paired = true\n")
    assert len(open_dataset(tmp_path).split("train").a) == 2


def test_camvid_as_it_comes_is_refused_with_the_way_out(shared_data):
    with pytest.raises(LayoutError, match="data prepare"):
        open_dataset(shared_data / "camvid")


def test_horse2zebra_is_read_as_it_comes(shared_data):
    dataset = open_dataset(shared_data / "horse2zebra")
    assert {name: (len(split.a), len(split.b)) for name, split in dataset.splits.items()} == {
        "train": (300, 300),
        "test": (120, 140),
    }


# Two plain folders


def test_two_plain_folders_are_domain_a_and_b(tmp_path):
    unpaired(tmp_path, "horses/in/h.jpg", "zebras/z1.png", "zebras/z2.png")
    dataset = open_dataset(tmp_path / "horses", tmp_path / "zebras")
    assert (ids(dataset.split("train").a), ids(dataset.split("train").b)) == (["in/h"], ["z1", "z2"])
    assert (dataset.name, dataset.paired) == ("horses", False)


@pytest.mark.parametrize("what", ["no_folder", "a_file"])
def test_a_place_that_is_no_folder_is_named(tmp_path, what):
    (tmp_path / "a_file").write_text("")
    (tmp_path / "empty").mkdir()
    for places in ((tmp_path / what,), (tmp_path / "empty", tmp_path / what)):
        with pytest.raises(LayoutError, match=f"{what} is (not there|a file): expected a folder with trainA"):
            open_dataset(*places)


def test_a_plain_folder_alone_is_told_how_to_name_the_other(tmp_path):
    put(tmp_path / "a.png")
    with pytest.raises(LayoutError, match=r"holds 1 images and no folder.*--data A --data-b B"):
        open_dataset(tmp_path)


def test_folders_without_images_are_refused(tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / name).mkdir()
    with pytest.raises(LayoutError, match="holds no images"):
        open_dataset(tmp_path)


def test_a_split_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(LayoutError, match="no split 'val'; there: train"):
        open_dataset(unpaired(tmp_path)).split("val")


# dataset.toml


def test_dataset_toml_adds_names_pairing_and_labels(tmp_path):
    unpaired(tmp_path, "trainA/2.png", "trainA/1.png", "trainB/1.jpg", "trainB/2.jpg")
    (tmp_path / "dataset.toml").write_text(
        'name = "my streets"\ndomains = ["maps", "photos"]\npaired = true\n'
        'label_set = "cityscapes"\nlabel_domain = "A"\n'
    )
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.domains, dataset.paired) == ("my streets", ("maps", "photos"), True)
    assert (dataset.label_set, dataset.label_domain) == ("cityscapes", "A")
    assert ids(dataset.split("train").a) == ids(dataset.split("train").b) == ["1", "2"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pared = true", "unknown key 'pared'; the known ones are name, domains, paired"),
        ('paired = "no"', "paired is 'no', and true or false is expected"),
        ("name = 3", "name is 3, and a text is expected"),
        ("domains = 'labels'", "domains is 'labels', and a list is expected"),
        ("domains = ['one']", r"domains is \['one'\], and two names"),
        ("domains = [1, 2]", r"domains is \[1, 2\], and two names"),
        ('label_domain = "C"', "label_domain is 'C', and 'A', 'B' or 'none'"),
        ('label_set = "cityscape"', "no label set 'cityscape': name a TOML file, or one of cityscapes"),
        ("paired = yes", "not valid TOML"),
        ("name = '\xff'", "not valid TOML"),
    ],
)
def test_a_mistake_in_dataset_toml_is_named(tmp_path, line, said):
    (unpaired(tmp_path) / "dataset.toml").write_bytes(line.encode("latin-1"))
    with pytest.raises(LayoutError, match=rf"dataset\.toml.*{said}") as caught:
        open_dataset(tmp_path)
    assert "\n" not in str(caught.value).split("(", maxsplit=1)[0]


def test_every_known_key_is_accepted(tmp_path):
    values = {str: '"cityscapes"', bool: "false", int: "1", list: '["x", "y"]'}
    lines = [f"{key} = {values[kind]}" for key, kind in FACTS.items() if key != "label_domain"]
    (unpaired(tmp_path) / "dataset.toml").write_text("\n".join([*lines, 'label_domain = "none"']))
    dataset = open_dataset(tmp_path)
    assert dataset.facts.keys() == FACTS.keys()
    assert dataset.label_domain is None


def test_an_own_label_set_is_found_beside_dataset_toml_from_anywhere(tmp_path, monkeypatch):
    (unpaired(tmp_path / "data") / "dataset.toml").write_text('label_set = "mine.toml"\n')
    (tmp_path / "data" / "mine.toml").write_text('[[label]]\nid = 0\nname = "sky"\ncolour = [0, 0, 255]\n')
    monkeypatch.chdir(tmp_path)
    assert open_dataset(Path("data")).label_set == str(tmp_path / "data" / "mine.toml")


def test_declared_pairs_are_matched_by_id_and_a_lone_one_is_named(tmp_path):
    unpaired(tmp_path, "trainA/1.png", "trainA/2.png", "trainB/2.jpg")
    (tmp_path / "dataset.toml").write_text("paired = true\n")
    with pytest.raises(LayoutError, match=r"1 ids of train are in one domain only \(first: '1'\)"):
        open_dataset(tmp_path)


# Broken files


def break_file(path: Path, how: str) -> None:
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"<html>404</html>", "cut": whole[: len(whole) // 2]}[how])


@pytest.mark.parametrize(("how", "said"), [("empty", "empty"), ("text", "not an image")])
def test_a_broken_file_is_named(tmp_path, how, said):
    unpaired(tmp_path, "trainA/a.png", "trainB/b.png", "trainB/bad.png")
    break_file(tmp_path / "trainB" / "bad.png", how)
    with pytest.raises(ImageError, match=rf"trainB/bad\.png is {said}"):
        open_dataset(tmp_path)


def test_a_broken_file_is_told_with_how_training_leaves_it_out(tmp_path):
    break_file(put(unpaired(tmp_path) / "trainB" / "bad.png"), "empty")
    way_out = r", or, in training, leave such files out with --set data\.skip_broken=true\.$"
    with pytest.raises(ImageError, match=way_out):
        open_dataset(tmp_path)


def test_all_broken_files_are_found_at_once_but_only_when_asked(tmp_path, monkeypatch):
    """Decoding everything takes minutes on a large set, and training does it anyway when it fills its cache."""
    broken = []
    for how, place in (("empty", "trainA/0.png"), ("cut", "testB/1.png"), ("text", "trainB/2.png")):
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(put(tmp_path / place))
        break_file(tmp_path / place, how)
        broken.append(tmp_path / place)
    found = find_dataset(unpaired(tmp_path, "trainA/a.png", "trainB/b.png", "testA/c.png"))
    assert sorted(broken_files(found)) == sorted(broken)
    assert all(str(error).startswith(str(path)) for path, error in broken_files(found).items())
    assert without(found, broken).skipped == tuple(sorted(broken))
    for path in broken:
        put(path)
    monkeypatch.setattr(layout, "read_rgb", None)
    open_dataset(tmp_path)


@pytest.mark.parametrize("how", ["empty", "text", "cut"])
def test_broken_files_are_left_out_at_the_users_wish_and_told(tmp_path, how):
    unpaired(tmp_path, "trainA/a.png", "trainB/b.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "trainB" / "bad.jpg")
    break_file(tmp_path / "trainB" / "bad.jpg", how)
    dataset = open_dataset(tmp_path, skip_broken=True)
    assert dataset.skipped == (tmp_path / "trainB" / "bad.jpg",)
    assert ids(dataset.split("train").b) == ["b"]


def test_a_broken_file_takes_its_counterpart_along_in_paired_data_only(tmp_path):
    unpaired(tmp_path, *(f"train{domain}/{i}.png" for domain in "AB" for i in range(3)))
    break_file(tmp_path / "trainA" / "1.png", "empty")
    split = open_dataset(tmp_path, skip_broken=True).split("train")
    assert (ids(split.a), ids(split.b)) == (["0", "2"], ["0", "1", "2"])
    (tmp_path / "dataset.toml").write_text("paired = true\n")
    split = open_dataset(tmp_path, skip_broken=True).split("train")
    assert ids(split.a) == ids(split.b) == ["0", "2"]


def test_a_broken_aligned_picture_can_be_skipped_even_if_it_is_the_first(tmp_path):
    aligned(tmp_path, (16, 8), (16, 8))
    break_file(tmp_path / "train" / "0.png", "empty")
    with pytest.raises(ImageError, match="empty"):
        open_dataset(tmp_path)
    split = open_dataset(tmp_path, skip_broken=True).split("train")
    assert ids(split.a) == ids(split.b) == ["1"]


def test_nothing_but_broken_files_is_refused(tmp_path):
    break_file(put(tmp_path / "trainA" / "a.png"), "empty")
    (tmp_path / "trainB").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        open_dataset(tmp_path, skip_broken=True)


@pytest.mark.slow
def test_ten_thousand_files_are_opened_in_seconds(tmp_path):
    for domain in "AB":
        first = put(tmp_path / f"train{domain}" / "0.jpg", 64, 64)
        for i in range(1, 5000):
            (first.parent / f"{i}.jpg").hardlink_to(first)
    begun = time.monotonic()
    assert len(open_dataset(tmp_path).split("train").a) == 5000
    assert time.monotonic() - begun < 30
