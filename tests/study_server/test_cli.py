import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cgeval.images import read_rgb, resize
from study_server.cli import main
from tests.study_server.pictures import photo


def write(folder: Path, seeds, suffix: str = "png", **save) -> Path:
    folder.mkdir()
    for seed in seeds:
        Image.fromarray(photo(seed, 48)).save(folder / f"{folder.name}_{seed}.{suffix}", **save)
    return folder


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> Path:
    """real, fake (nothing to find), and real_jpeg (reals, saved once as JPEG)."""
    root = tmp_path_factory.mktemp("images")
    write(root / "real", range(50))
    write(root / "fake", range(100, 150))
    write(root / "real_jpeg", range(50), "jpg", quality=60)
    return root


@pytest.fixture
def study_server(monkeypatch, capsys):
    """Run the command; the exit code, what it printed, and what it said on the error stream."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study-server", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return call


def test_nothing_found_is_exit_code_0_and_says_so(study_server, where):
    code, out, _ = study_server("check", "--real", where / "real", "--fake", f"cyclegan={where / 'fake'}")
    assert code == 0
    assert "Nothing found that tells the two sides apart." in out
    assert "the images can be shown" in out


def test_a_giveaway_is_exit_code_1_with_a_table_the_finding_and_what_to_do_next(study_server, where):
    code, out, _ = study_server("check", "--real", where / "real_jpeg", "--fake", f"cyclegan={where / 'fake'}")
    assert code == 1
    assert "traces of JPEG            50 of 50  0 of 50" in out
    assert "gives the answer away: jpeg" in out
    assert out.split("\n\n")[-1].startswith("Next: mend")


def test_each_algorithm_gets_its_own_verdict_and_json_has_them_for_programs(study_server, where):
    fakes = ("--fake", f"first={where / 'fake'}", "--fake", f"second={where / 'real_jpeg'}")
    code, out, _ = study_server("check", "--real", where / "real", *fakes, "--json")
    first, second = json.loads(out)["algorithms"]
    assert code == 1
    assert (first["name"], first["findings"]) == ("first", [])
    findings = {finding["tell"]: finding for finding in second["findings"]}
    assert (findings["jpeg"]["severity"], findings["jpeg"]["right"]) == ("gives the answer away", 1.0)


def test_the_sample_is_measured_and_said_to_be_one(study_server, where):
    call = ("check", "--real", where / "real_jpeg", "--fake", f"a={where / 'fake'}", "--sample", "20")
    assert "20 of 20 sampled real images" in " ".join(study_server(*call)[1].split())


def test_unreadable_files_are_named_and_left_out(study_server, where, tmp_path):
    fakes = write(tmp_path / "some", range(3))
    (fakes / "empty.png").touch()
    (fakes / "cut.jpg").write_bytes((where / "real_jpeg" / "real_jpeg_0.jpg").read_bytes()[:700])
    code, out, _ = study_server("check", "--real", fakes, "--fake", f"a={write(tmp_path / 'others', range(3))}")
    words = " ".join(out.split())
    assert code == 1
    assert "in no number here: 2 (" in words
    assert "empty.png is empty" in words
    assert "cut.jpg is broken" in words


@pytest.mark.parametrize(
    ("broken", "sentence"), [(None, "holds no images"), (b"no image", "none of the 1 image files")], ids=["none", "bad"]
)
def test_a_mistake_is_one_sentence_and_exit_code_2(broken, sentence, study_server, tmp_path):
    (tmp_path / "fakes").mkdir()
    if broken:
        (tmp_path / "fakes" / "a.png").write_bytes(broken)
    real = write(tmp_path / "real", range(1))
    code, out, err = study_server("check", "--real", real, "--fake", f"a={tmp_path / 'fakes'}")
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_missing_side_is_a_mistake(study_server, where):
    code, _, err = study_server("check", "--real", where / "real")
    assert code == 2
    assert "--fake" in err


def test_the_check_works_as_a_program_on_real_photos(shared_data, tmp_path):
    """Photos kept as JPEG against the same kind of photos resized: the grid gives them away."""
    fakes, reals = tmp_path / "fakes", tmp_path / "reals"
    fakes.mkdir()
    reals.mkdir()
    for path in sorted((shared_data / "camvid" / "test" / "photo").iterdir())[::60]:
        (reals / path.name).symlink_to(path)
        small = resize(read_rgb(path), 240, 180, "bicubic")
        Image.fromarray(resize(small, 480, 360, "bicubic")).save(fakes / f"{path.stem}.png", compress_level=1)
    command = [Path(sys.executable).parent / "study-server", "check", "--real", reals, "--fake", f"enlarged={fakes}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "gives the answer away: jpeg" in done.stdout
    assert done.stderr == ""
