import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgeval.images import read_rgb
from study_server.building.stimuli import GREY, Composites, fitted, noise, write_composites
from tests.study_server.pictures import photo


def chunks(data: bytes) -> list[bytes]:
    """Kinds of a PNG's chunks, in order."""
    kinds, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kinds.append(data[at + 4 : at + 8])
        at += 12 + length
    return kinds


def written(folder: Path, real: np.ndarray, fake: np.ndarray) -> Composites:
    folder.mkdir(exist_ok=True)
    return write_composites(folder, real, fake, lambda _name, _digest: None)


def test_the_real_image_is_left_in_one_and_right_in_the_other(tmp_path):
    real, fake = photo(1, 32), photo(2, 32)
    files = written(tmp_path, real, fake)
    np.testing.assert_array_equal(read_rgb(tmp_path / files.left), np.hstack([real, fake]))
    np.testing.assert_array_equal(read_rgb(tmp_path / files.right), np.hstack([fake, real]))


def test_files_hold_pixels_of_8_bit_rgb_and_nothing_else(tmp_path):
    for path in (tmp_path / name for name in vars(written(tmp_path, photo(1, 32), photo(2, 32))).values()):
        data = path.read_bytes()
        assert set(chunks(data)) == {b"IHDR", b"IDAT", b"IEND"}
        assert struct.unpack(">IIBBBBB", data[16:29]) == (64, 32, 8, 2, 0, 0, 0)


def test_names_and_times_say_nothing_and_pixels_repeat(tmp_path):
    first = [written(tmp_path, photo(i, 16), photo(50 + i, 16)) for i in range(8)]
    again = written(tmp_path / "again", photo(0, 16), photo(50, 16))
    names = [name for files in first for name in vars(files).values()]
    assert len({path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}) == 1
    assert names != sorted(names)
    assert {len(name) for name in names} == {36}
    assert not {again.left, again.right} & set(names)
    assert (tmp_path / "again" / again.left).read_bytes() == (tmp_path / first[0].left).read_bytes()


def test_the_digest_told_is_the_files(tmp_path):
    told: dict[str, str] = {}
    write_composites(tmp_path, photo(1, 16), photo(2, 16), lambda name, digest: told.update({name: digest}))
    assert told == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("shape", "inside"),
    [((40, 20), np.s_[:, 8:24]), ((20, 40), np.s_[8:24, :]), ((64, 64), np.s_[:, :]), ((8, 8), np.s_[:, :])],
    ids=["tall", "wide", "large", "small"],
)
def test_an_image_of_any_size_lies_whole_in_the_middle_of_grey(tmp_path, shape, inside):
    Image.fromarray(np.full((*shape, 3), 200, np.uint8)).save(tmp_path / "a.png")
    tile = fitted(tmp_path / "a.png", 32)
    expected = np.full((32, 32, 3), GREY, np.uint8)
    expected[inside] = 200
    np.testing.assert_array_equal(tile, expected)


def test_an_image_of_the_right_size_is_not_touched(tmp_path):
    Image.fromarray(photo(3, 32)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(fitted(tmp_path / "a.png", 32), photo(3, 32))


def test_what_a_file_says_of_itself_is_gone_and_its_turn_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    exif[0x010F] = "camera"
    Image.fromarray(photo(3, 32)).save(tmp_path / "a.png", exif=exif)
    files = written(tmp_path / "out", fitted(tmp_path / "a.png", 32), photo(4, 32))
    np.testing.assert_array_equal(read_rgb(tmp_path / "out" / files.left)[:, :32], np.rot90(photo(3, 32), -1))
    assert b"camera" not in (tmp_path / "out" / files.left).read_bytes()


def test_noise_is_of_the_seed():
    np.testing.assert_array_equal(noise("0/a/1", 16), noise("0/a/1", 16))
    assert (noise("0/a/1", 16) != noise("0/a/2", 16)).any()
