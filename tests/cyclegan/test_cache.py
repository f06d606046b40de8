"""Pictures are decoded once, come out as the reference's loader has them, and a cache is whole or is not opened."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torchvision import transforms

from cgeval.datasets import ImageFile, open_dataset, read_picture
from cgeval.errors import ImageError, OutputError
from cgeval.images import to_network
from cgeval.labels import label_set
from cgeval.resizing import are_flat
from cyclegan.data import cache
from cyclegan.data.cache import (
    DecodedImages,
    Load,
    cached_images,
    decode,
    domain_load,
    load_for,
    remove_abandoned,
)
from cyclegan.data.streets import street

PHOTO = Load(36, "bicubic")


def save(path: Path, picture: np.ndarray, **options: object) -> ImageFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return ImageFile(path.stem, path)


def noise(seed: int, height: int = 40, width: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photos(folder: Path, count: int, suffix: str = "jpg") -> list[ImageFile]:
    return [save(folder / f"{i}.{suffix}", noise(i)) for i in range(count)]


def no_decoder(path: Path) -> np.ndarray:
    raise AssertionError(f"{path} was decoded again")


# What a picture looks like to the trainer


def test_decoding_equals_the_references_resize_to_the_bit(tmp_path):
    load = transforms.Resize([36, 36], transforms.InterpolationMode.BICUBIC)
    for file in (
        *photos(tmp_path, 3),
        save(tmp_path / "large.png", noise(7, 130, 71)),
        save(tmp_path / "1.bmp", noise(8, 1, 2)),
    ):
        theirs = np.asarray(load(Image.open(file.path).convert("RGB")))
        assert np.array_equal(decode(file, PHOTO), theirs)


def test_network_values_equal_the_references_normalisation(tmp_path):
    picture = noise(0)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])(picture)
    torch.testing.assert_close(torch.from_numpy(to_network(picture)), theirs, rtol=0, atol=2e-7)


def test_real_photos_are_decoded_as_the_reference_does(shared_data):
    files = open_dataset(shared_data / "horse2zebra").split("test").a[:3]
    load = transforms.Resize([286, 286], transforms.InterpolationMode.BICUBIC)
    for file in files:
        theirs = np.asarray(load(Image.open(file.path).convert("RGB")))
        assert np.array_equal(decode(file, Load(286, "bicubic")), theirs)


RAMP = np.tile(np.arange(36, dtype=np.uint8) * 7, (36, 1))


def test_greyscale_comes_out_as_equal_channels(tmp_path):
    picture = decode(save(tmp_path / "grey.png", RAMP), PHOTO)
    assert np.array_equal(picture, np.dstack([RAMP] * 3))


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.zeros((36, 36, 4), np.uint8)
    rgba[:18] = (200, 30, 40, 255)
    picture = decode(save(tmp_path / "clear.png", rgba), PHOTO)
    assert (picture[:18] == (200, 30, 40)).all()
    assert (picture[18:] == 255).all()


def test_a_palette_is_expanded(tmp_path):
    image = Image.fromarray((np.arange(36 * 36, dtype=np.uint8) % 2).reshape(36, 36), "P")
    image.putpalette([255, 0, 0, 0, 128, 0])
    image.save(tmp_path / "palette.png")
    picture = decode(ImageFile("p", tmp_path / "palette.png"), PHOTO)
    assert {tuple(colour) for colour in picture.reshape(-1, 3).tolist()} == {(255, 0, 0), (0, 128, 0)}


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    picture = decode(save(tmp_path / "deep.png", RAMP.astype(np.uint16) * 257), PHOTO)
    assert np.array_equal(picture, np.dstack([RAMP] * 3))


def test_floating_point_pictures_are_refused_with_a_reason(tmp_path):
    file = save(tmp_path / "f.tif", RAMP.astype(np.float32))
    with pytest.raises(ImageError, match=r"f\.tif has floating-point pixels"):
        decode(file, PHOTO)


def test_cmyk_becomes_the_colours_it_means(tmp_path):
    Image.new("CMYK", (36, 36), (0, 255, 255, 0)).save(tmp_path / "red.tif")
    red, green, blue = decode(ImageFile("red", tmp_path / "red.tif"), PHOTO)[18, 18]
    assert (red > 200, green < 60, blue < 60) == (True, True, True)
    Image.new("CMYK", (36, 36), (0, 0, 0, 0)).save(tmp_path / "white.jpg")
    assert (decode(ImageFile("white", tmp_path / "white.jpg"), PHOTO) > 250).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_picture_taken_sideways_is_shown_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to show
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:, :30] = 255
    file = save(tmp_path / f"phone.{suffix}", stored, exif=exif)
    picture = read_picture(file)
    assert picture.shape == (60, 40, 3)
    assert picture[:25].mean() > 240
    assert picture[35:].mean() < 15


def test_halves_of_a_sideways_aligned_picture_are_halves_as_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    (tmp_path / "train").mkdir()
    save(tmp_path / "train" / "p.png", noise(0, 60, 30), exif=exif)
    split = open_dataset(tmp_path).split("train")
    assert read_picture(split.a[0]).shape == read_picture(split.b[0]).shape == (30, 30, 3)


def test_a_colour_profile_that_is_broken_does_not_stop_a_cmyk_picture(tmp_path):
    image = Image.new("CMYK", (36, 36), (0, 0, 0, 0))
    image.save(tmp_path / "c.jpg", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()[:99])
    assert decode(ImageFile("c", tmp_path / "c.jpg"), PHOTO).shape == (36, 36, 3)


# Label maps


def label_map(seed: int, px: int = 96) -> np.ndarray:
    """Large areas of few colours, as label maps have."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (12, 3), dtype=np.uint8)
    return colours[np.kron(rng.integers(0, 12, (px // 12, px // 12)), np.ones((12, 12), int))]


def colours_in(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}


@pytest.mark.parametrize("size_px", [16, 70, 143, 286])
def test_label_maps_gain_no_colour_by_resizing(tmp_path, size_px):
    file = save(tmp_path / "map.png", label_map(0))
    load = load_for([file], False, size_px)
    assert load.filter == "nearest"
    assert colours_in(decode(file, load)) <= colours_in(label_map(0))
    assert not colours_in(decode(file, Load(size_px, "bicubic"))) <= colours_in(label_map(0))


@pytest.mark.parametrize("size_px", [32, 64, 128])
def test_street_maps_are_recognised_at_every_size_and_photos_are_not(tmp_path, size_px):
    pairs = [street(0, "train", i, size_px) for i in range(8)]
    maps = [save(tmp_path / f"m{i}.png", label_set("cityscapes").colours_of(ids)) for i, (_, ids) in enumerate(pairs)]
    assert are_flat(maps)
    assert not are_flat([save(tmp_path / f"p{i}.png", photo) for i, (photo, _) in enumerate(pairs)])


def test_declared_label_maps_are_never_interpolated_whatever_they_look_like(tmp_path):
    file = save(tmp_path / "many.png", noise(0))
    assert load_for([file], True, 20).filter == "nearest"
    assert colours_in(decode(file, load_for([file], True, 20))) <= colours_in(noise(0))


@pytest.mark.parametrize(
    ("declared", "filters"), [("", "nn"), ("A", "nn"), ("B", "nn"), ("none", "bb"), ("photos", "bb"), ("photosB", "bn")]
)
def test_a_domain_is_resized_as_dataset_toml_declares_or_as_it_looks(tmp_path, declared, filters):
    draw = noise if declared.startswith("photos") else label_map
    for domain in "AB":
        for split in ("train", "test"):
            save(tmp_path / f"{split}{domain}" / "0.png", draw(0))
    declared = declared.removeprefix("photos")
    (tmp_path / "dataset.toml").write_text(f'label_domain = "{declared}"' if declared else "")
    dataset = open_dataset(tmp_path)
    assert "".join(domain_load(dataset, domain, 36).filter[0] for domain in "AB") == filters


# The cache


def test_a_cache_holds_every_picture_in_order(tmp_path):
    files = photos(tmp_path / "in", 70)
    images = cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    assert images.pixels.shape == (70, 36, 36, 3)
    assert images.pixels.dtype == np.uint8
    assert images.ids == tuple(file.id for file in files)
    for place in (0, 63, 64, 69):
        assert np.array_equal(images.pixels[place], decode(files[place], PHOTO))


def test_a_second_run_decodes_nothing(tmp_path, monkeypatch):
    files = photos(tmp_path / "in", 5)
    first = cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    monkeypatch.setattr(cache, "read_picture", no_decoder)
    second = cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    assert np.array_equal(first.pixels, second.pixels)
    with pytest.raises(AssertionError, match="decoded again"):
        cached_images(files, Load(40, "bicubic"), tmp_path / "cache", progress=False)


def test_a_file_that_changes_is_decoded_again(tmp_path):
    files = photos(tmp_path / "in", 3)
    before = cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    save(files[1].path, noise(99))
    after = cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    changed = [not np.array_equal(one, other) for one, other in zip(before.pixels, after.pixels, strict=True)]
    assert changed == [False, True, False]


def test_the_key_depends_on_all_that_decides_the_pixels(tmp_path):
    files = photos(tmp_path / "in", 2)
    written = files[0].path.stat().st_mtime
    half = ImageFile(files[0].id, files[0].path, "left")
    keys = {
        cache._key(files, PHOTO, False),
        cache._key(files, Load(36, "nearest"), False),
        cache._key(files, Load(40, "bicubic"), False),
        cache._key(files, PHOTO, True),
        cache._key(files[::-1], PHOTO, False),
        cache._key(files[:1], PHOTO, False),
        cache._key([half, files[1]], PHOTO, False),
    }
    assert len(keys) == 7
    assert cache._key(files, PHOTO, False) in keys
    os.utime(files[0].path, (written, written + 5))
    keys.add(cache._key(files, PHOTO, False))
    files[0].path.write_bytes(files[0].path.read_bytes() + b"longer")
    os.utime(files[0].path, (written, written + 5))
    keys.add(cache._key(files, PHOTO, False))
    assert len(keys) == 9


def test_broken_files_are_named_or_left_out_of_the_cache(tmp_path):
    files = photos(tmp_path / "in", 4)
    files[2].path.write_bytes(files[2].path.read_bytes()[:400])
    with pytest.raises(ImageError, match=r"2\.jpg is broken.* out with --set data\.skip_broken=true\.$"):
        cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []
    images = cached_images(files, PHOTO, tmp_path / "cache", skip_broken=True, progress=False)
    assert (images.ids, images.skipped) == (("0", "1", "3"), ("2",))
    assert images.pixels.shape[0] == len(images) == 3
    assert np.array_equal(images.pixels[2], decode(files[3], PHOTO))


def test_nothing_but_broken_files_is_one_sentence(tmp_path):
    files = photos(tmp_path / "in", 2)
    for file in files:
        file.path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"none of the 2 images can be read \(first: '0'\)"):
        cached_images(files, PHOTO, tmp_path / "cache", skip_broken=True, progress=False)


def test_a_file_that_vanishes_before_it_is_decoded_is_named(tmp_path):
    files = photos(tmp_path / "in", 2)
    files[1].path.unlink()
    with pytest.raises(ImageError, match=r"1\.jpg was there and is gone"):
        cached_images(files, PHOTO, tmp_path / "cache", progress=False)


@pytest.mark.parametrize("damage", ["no ids", "cut ids", "no pixels", "cut pixels", "empty pixels", "empty folder"])
def test_a_cache_that_is_not_whole_is_built_anew(tmp_path, damage):
    files = photos(tmp_path / "in", 3)
    whole = np.array(cached_images(files, PHOTO, tmp_path / "cache", progress=False).pixels)
    (folder,) = (tmp_path / "cache").iterdir()
    what, _, name = damage.partition(" ")
    for file in folder.iterdir():
        if name == "folder" or file.name.startswith(name):
            content = file.read_bytes()
            file.unlink()
            if what == "cut":
                file.write_bytes(content[: len(content) // 2])
            if damage == "empty pixels":
                file.write_bytes(b"")
    again = cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    assert np.array_equal(again.pixels, whole)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    files = photos(tmp_path / "in", 3)

    def interrupted(path: Path) -> np.ndarray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "read_picture", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(cached_images(files, PHOTO, tmp_path / "cache", progress=False)) == 3


def test_a_build_that_was_killed_is_not_opened_and_goes_away_after_a_day(tmp_path):
    files = photos(tmp_path / "in", 2)
    killed, running = (tmp_path / "cache" / f".building-{name}" for name in ("old", "new"))
    for folder in (killed, running):
        (folder / "whole").mkdir(parents=True)
        (folder / "whole" / "pixels.npy").write_bytes(b"half")
    yesterday = time.time() - 25 * 3600
    os.utime(killed, (yesterday, yesterday))
    cached_images(files, PHOTO, tmp_path / "cache", progress=False)
    assert (killed.exists(), running.exists()) == (False, True)
    remove_abandoned(tmp_path / "cache", "no such prefix")
    assert running.exists()


def test_others_may_read_a_shared_cache(tmp_path):
    cached_images(photos(tmp_path / "in", 1), PHOTO, tmp_path / "cache", progress=False)
    (folder,) = (tmp_path / "cache").iterdir()
    ordinary = tmp_path / "ordinary"
    ordinary.mkdir()
    assert folder.stat().st_mode == ordinary.stat().st_mode


BUILD = """
import sys
from pathlib import Path
from cyclegan.data.cache import Load, cached_images
from cgeval.datasets import open_dataset
files = open_dataset(Path(sys.argv[1]), Path(sys.argv[1])).split("train").a
print("ready", flush=True)
sys.stdin.readline()
images = cached_images(files, Load(36, "bicubic"), Path(sys.argv[2]), progress=False)
print(len(images), int(images.pixels.sum()), flush=True)
"""


def builder(source: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(source), str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_build_the_same_cache_at_once_agree(tmp_path):
    files = photos(tmp_path / "in", 30, "png")
    together = [builder(tmp_path / "in", tmp_path / "cache") for _ in range(3)]
    for process in together:
        assert process.stdout.readline() == "ready\n", process.communicate()
    for process in together:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in together]
    total = sum(int(decode(file, PHOTO).sum()) for file in files)
    assert said == [(f"30 {total}\n", "")] * 3
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_first_to_finish_wins(tmp_path, monkeypatch):
    files = photos(tmp_path / "in", 2)
    fill = cache._fill

    def slower(whole: Path, *rest: object) -> None:
        monkeypatch.setattr(cache, "_fill", fill)
        cached_images(files, PHOTO, tmp_path / "cache", progress=False)
        (folder,) = (path for path in (tmp_path / "cache").iterdir() if not path.name.startswith("."))
        (folder / "first").touch()
        fill(whole, *rest)

    monkeypatch.setattr(cache, "_fill", slower)
    assert len(cached_images(files, PHOTO, tmp_path / "cache", progress=False)) == 2
    assert len(list((tmp_path / "cache").glob("*/first"))) == 1
    assert not list((tmp_path / "cache").glob(".building-*"))


def in_a_small_file_system(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with 1 MB of disk mounted at the last argument; skips where a user may not mount."""
    mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(arguments[-1])]
    try:
        trial = subprocess.run([*command, "true"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("no unshare on this machine")
    if trial.returncode:
        pytest.skip("no file system may be mounted by a user here")
    return subprocess.run(
        [*command, sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, input="go\n"
    )


def test_a_full_disk_is_one_sentence_and_not_a_crash(tmp_path):
    """A sparse file that is mapped into memory would end the process with SIGBUS."""
    photos(tmp_path / "in", 300, "bmp")
    (tmp_path / "small").mkdir()
    done = in_a_small_file_system(BUILD, tmp_path / "in", tmp_path / "small")
    assert done.returncode == 1
    assert "OutputError: decoded images cannot be written" in done.stderr
    assert "No space left on device" in done.stderr


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "write_atomic", full)
    with pytest.raises(OutputError, match=r"No space left on device\): free some space, or set CGEVAL_CACHE"):
        cached_images(photos(tmp_path / "in", 2), PHOTO, tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="set CGEVAL_CACHE to another folder"):
        cached_images(photos(tmp_path / "in", 1), PHOTO, tmp_path / "file" / "cache", progress=False)


def test_a_cache_is_plain_numpy_and_json(tmp_path):
    cached_images(photos(tmp_path / "in", 2), PHOTO, tmp_path / "cache", progress=False)
    (folder,) = (tmp_path / "cache").iterdir()
    assert np.load(folder / "pixels.npy").shape == (2, 36, 36, 3)
    assert json.loads((folder / "ids.json").read_text()) == {"ids": ["0", "1"], "skipped": []}
    assert len(DecodedImages(np.load(folder / "pixels.npy"), ("0", "1"))) == 2
