"""`cyclegan data check | prepare | download | streets` as typed: what is printed, and every mistake one sentence."""

import hashlib
import tomllib
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from cgeval.console import run
from cgeval.labels import KNOWN
from cyclegan.cli import cyclegan
from tests.cyclegan.archive_server import serving


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """data("check", folder) -> (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["cyclegan", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            run(cyclegan)
        said = capsys.readouterr()
        return int(end.value.code), said.out, said.err

    return call


def noise(path: Path, width: int = 16, height: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


def labels(path: Path, top: int = 0, bottom: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.full((16, 16), top, np.uint8)
    ids[8:] = bottom
    Image.fromarray(ids).save(path)
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for i in range(4):
        noise(tmp_path / "own" / "rgb" / f"{i}.jpg")
        labels(tmp_path / "own" / "gt" / f"{i}.png")
    return tmp_path / "own"


PAIR = ("--photos", "rgb", "--labels", "gt", "--size", "16")


def one_error(said: tuple[int, str, str], printed: str = "") -> str:
    """The sentence of a call that ended with exit code 2, nothing else printed, and no traceback."""
    code, out, err = said
    assert (code, out) == (2, printed), said
    last = err.splitlines()[-1]
    assert last.startswith("Error: ")
    assert "Traceback" not in err
    return last


# check


def test_check_says_what_the_trainer_sees(data, images):
    assert data("check", images) == (
        0,
        "images: unpaired, A = A, B = B\n"
        "  train      5 of A      7 of B\n"
        "  test       2 of A      3 of B\n"
        "  A is resized with bicubic\n"
        "  B is resized with bicubic\n",
        "",
    )


def test_check_takes_two_folders(data, images):
    code, out, _ = data("check", images / "trainA", "--data-b", images / "testB")
    assert code == 0
    assert "trainA: unpaired" in out
    assert "  train      5 of A      3 of B\n" in out


def test_check_names_all_broken_files_and_says_how_to_leave_them_out(data, images):
    """A picture that was cut off has a good header: only decoding it tells."""
    (images / "trainB" / "b3.png").write_bytes(b"")
    cut = images / "testA" / "a1.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    code, out, err = data("check", images)
    named = out.splitlines()
    assert len(named) == 2
    assert named[0].startswith(f"broken: {images}/trainB/b3.png is empty")
    assert named[1].startswith(f"broken: {cut} is broken")
    assert one_error((code, out, err), out) == (
        f"Error: {images} holds 2 broken files, named above: mend them, or leave them out with --skip-broken "
        "(training: --set data.skip_broken=true)."
    )


def test_check_leaves_broken_files_out_when_asked(data, images):
    (images / "trainB" / "b3.png").write_bytes(b"")
    code, out, _ = data("check", images, "--skip-broken")
    assert code == 0
    assert "  train      5 of A      6 of B\n" in out
    assert f"  skipped {images}/trainB/b3.png\n" in out


@pytest.mark.parametrize(
    ("toml", "said"),
    [("pared = true", "unknown key 'pared'"), ("label_set = 'x'", "no label set 'x'"), ("paired = 1", "true or false")],
)
def test_check_finds_a_misspelt_dataset_toml(data, images, toml, said):
    (images / "dataset.toml").write_text(toml)
    error = one_error(data("check", images))
    assert "dataset.toml" in error
    assert said in error


def test_check_of_no_folder_is_one_sentence(data, tmp_path):
    assert "nowhere is not there" in one_error(data("check", tmp_path / "nowhere"))


# prepare


def test_prepare_makes_a_dataset_that_check_calls_paired(data, pairs, tmp_path):
    code, out, _ = data("prepare", pairs, tmp_path / "out", *PAIR, "--label-set", "camvid11")
    assert (code, out) == (
        0,
        "      0  sky                     50.0% of the pixels\n"
        "      3  road                    50.0% of the pixels\n"
        f"{tmp_path}/out is ready: cyclegan data check {tmp_path}/out\n",
    )
    assert data("check", tmp_path / "out")[1] == (
        "out: paired, A = labels, B = photos\n"
        "  train      3 of A      3 of B\n"
        "  test       1 of A      1 of B\n"
        "  A is resized with nearest (label maps)\n"
        "  B is resized with bicubic\n"
    )


def test_a_folder_pair_is_called_as_the_folder_it_becomes(data, pairs, tmp_path, monkeypatch):
    """`--photos test/aerial --labels test/map` would make every such dataset a "test"."""
    (tmp_path / "kitchens").mkdir()
    monkeypatch.chdir(tmp_path / "kitchens")
    folders = ("--photos", "own/rgb", "--labels", "own/gt", "--size", "16", "--label-set", "camvid11")
    assert data("prepare", tmp_path, "../my kitchens", *folders)[1].endswith(
        "../my kitchens is ready: cyclegan data check '../my kitchens'\n"
    )
    assert tomllib.loads((tmp_path / "my kitchens" / "dataset.toml").read_text())["name"] == "my kitchens"


def test_prepare_tells_what_it_skipped(data, pairs, tmp_path):
    (pairs / "rgb" / "2.jpg").write_bytes(b"")
    again = ("prepare", pairs, tmp_path / "out", *PAIR, "--label-set", "camvid11")
    assert "rgb/2.jpg is empty" in one_error(data(*again))
    assert not (tmp_path / "out").exists()
    code, _, err = data(*again, "--skip-broken")
    assert code == 0
    assert "skipped 2: " in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "neither Cityscapes"),
        (("--photos", "rgb"), "--photos and --labels go together"),
        (PAIR, "needs --label-set"),
        ((*PAIR, "--label-set", "city"), "no label set 'city'"),
        ((*PAIR[:2], "--labels", "nowhere", "--label-set", "camvid11"), "nowhere is not a folder"),
        ((*PAIR, "--label-set", "camvid11", "--test-share", "2"), "--test-share is 2.0"),
        ((*PAIR[:-1], "3", "--label-set", "camvid11"), "'--size'"),
    ],
)
def test_a_mistake_in_preparing_is_one_sentence_and_leaves_nothing(data, pairs, tmp_path, options, said):
    assert said in one_error(data("prepare", pairs, tmp_path / "out", *options))
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(("name", "said"), [("nosuch", "is not there"), ("file", "is a file")])
def test_a_source_that_is_no_folder_is_told_as_such(data, tmp_path, name, said):
    (tmp_path / "file").write_text("")
    assert f"{name} {said}: expected the folder" in one_error(data("prepare", tmp_path / name, tmp_path / "out"))


def test_every_known_label_set_is_in_the_help(data):
    said = data("prepare", "--help")[1]
    assert all(f"{name}," in said for name in KNOWN)


def test_real_maps_in_a_palette_of_their_own_are_not_taken_for_cityscapes(data, shared_data, tmp_path):
    for kind in ("aerial", "map"):
        for file in sorted((shared_data / "maps_synth" / "train" / kind).iterdir())[:2]:
            (tmp_path / "maps" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "maps" / kind / file.name).symlink_to(file)
    folders = ("--photos", "aerial", "--labels", "map", "--label-set", "cityscapes")
    error = one_error(data("prepare", tmp_path / "maps", tmp_path / "out", *folders))
    assert "the palette's colours are not those of 'cityscapes': name the label set that these maps are in" in error
    assert not (tmp_path / "out").exists()


def test_prepare_of_real_camvid_is_read_by_check(data, shared_data, tmp_path):
    """Three pairs per split of the real data, in its own folders."""
    for split in ("train", "val", "test"):
        for photo in sorted((shared_data / "camvid" / split / "photo").iterdir())[:3]:
            for kind, name in (("photo", photo.name), ("label", f"{photo.stem}.png")):
                (tmp_path / "camvid" / split / kind).mkdir(parents=True, exist_ok=True)
                (tmp_path / "camvid" / split / kind / name).symlink_to(shared_data / "camvid" / split / kind / name)
    assert data("prepare", tmp_path / "camvid", tmp_path / "out", "--size", "64")[0] == 0
    out = data("check", tmp_path / "out")[1]
    assert "camvid: paired, A = labels, B = photos" in out
    assert "  val        3 of A      3 of B\n" in out
    assert "A is resized with nearest" in out


# download


def test_a_signed_links_token_is_not_written_into_the_dataset(data, images, tmp_path):
    archive = tmp_path / "horse2zebra.zip"
    with ZipFile(archive, "w") as file:
        for path in images.rglob("*.png"):
            file.write(path, path.relative_to(images))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    with serving({"/any/h.zip": archive.read_bytes()}) as server:
        place = f"{server.address}/any/h.zip?sig=token#part"
        code, _, err = data("download", "horse2zebra", tmp_path / "out", "--mirror", place, "--sha256", digest)
        assert code == 0, err
    facts = tomllib.loads((tmp_path / "out" / "dataset.toml").read_text())
    assert facts["source"] == f"{server.address}/any/h.zip (sha256 {digest})"


# streets


def test_streets_makes_a_dataset_that_check_reads(data, tmp_path):
    code, out, _ = data("streets", tmp_path / "s", "--train", "2", "--test", "1", "--size", "32", "--seed", "3")
    assert (code, out) == (0, f"{tmp_path}/s is ready: cyclegan train demo RUN --data {tmp_path}/s\n")
    out = data("check", tmp_path / "s")[1]
    assert "streets: paired" in out
    assert "A is resized with nearest" in out
    assert "s exists already" in one_error(data("streets", tmp_path / "s"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seed", "-1"), "--seed is -1, and a number from 0"),
        (("--train", "0"), "'--train'"),
        (("--size", "5000"), "'--size'"),
    ],
)
def test_a_mistake_in_generating_is_one_sentence_and_leaves_nothing(data, tmp_path, options, said):
    assert said in one_error(data("streets", tmp_path / "s", *options))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_one_sentence(data, pairs, tmp_path):
    (tmp_path / "file").write_text("")
    assert f"{tmp_path}/file" in one_error(data("streets", tmp_path / "file" / "s"))
    again = ("prepare", pairs, tmp_path / "file" / "s", *PAIR, "--label-set", "camvid11")
    assert f"{tmp_path}/file" in one_error(data(*again))
