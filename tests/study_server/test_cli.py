import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgeval.images import read_rgb, resize
from cgeval.runs import Run
from study_server.cli import find_sides, look_at, main
from study_server.tells import REAL
from tests.study_server.test_tells import photo


def write(folder: Path, seeds, suffix: str = "png", **save) -> Path:
    folder.mkdir()
    for seed in seeds:
        Image.fromarray(photo(seed, 64)).save(folder / f"{folder.name}_{seed}.{suffix}", **save)
    return folder


def make_run(path: Path, names, count: int = 2) -> Path:
    made = Run.create(path, method="cyclegan", dataset={"name": "streets"}, producer={"name": "test", "version": "0"})
    for name in names:
        with made.write_image_set(name, direction="AtoB", split="test", checkpoint=None) as writer:
            for seed in range(count):
                writer.add(str(seed), photo(500 + seed, 64), source=str(seed), target=None)
    return path


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> Path:
    """real, fake (nothing to find), and real_jpeg (the same reals, saved once as JPEG)."""
    root = tmp_path_factory.mktemp("images")
    write(root / "real", range(50))
    write(root / "fake", range(100, 150))
    write(root / "real_jpeg", range(50), "jpg", quality=75)
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
    assert "No tells found" in out
    assert "the images can be shown" in out


def test_a_giveaway_is_exit_code_1_with_a_table_the_finding_and_what_to_do_next(study_server, where):
    code, out, _ = study_server("check", "--real", where / "real_jpeg", "--fake", f"cyclegan={where / 'fake'}")
    assert code == 1
    assert "traces of JPEG  50 of 50  0 of 50" in out
    assert "gives the answer away: jpeg" in out
    assert out.split("\n\n")[-1].startswith("Next: mend")


def test_each_algorithm_gets_its_own_table(study_server, where):
    fakes = (f"first={where / 'fake'}", f"second={where / 'real_jpeg'}")
    code, out, _ = study_server("check", "--real", where / "real", "--fake", fakes[0], "--fake", fakes[1])
    assert code == 1
    assert "(second: jpeg)" in " ".join(out.split())
    assert "No tells found" in out


def test_json_is_for_programs(study_server, where):
    code, out, _ = study_server("check", "--real", where / "real_jpeg", "--fake", f"a={where / 'fake'}", "--json")
    told = json.loads(out)
    assert code == 1
    assert told["real"]["images"] == told["real"]["jpeg_grids"] == 50
    findings = {finding["tell"]: finding for finding in told["algorithms"][0]["findings"]}
    assert findings["jpeg"]["severity"] == "gives the answer away"
    assert findings["jpeg"]["right"] == 1.0


def test_the_sample_is_drawn_by_the_seed_and_its_size_is_said(study_server, where):
    call = ("check", "--real", where / "real_jpeg", "--fake", f"a={where / 'fake'}", "--sample", "20")
    first, again, other = (study_server(*call, "--json", "--seed", seed)[1] for seed in (1, 1, 2))
    assert first == again != other
    assert json.loads(first)["real"]["measured"] == 20
    assert "20 of 20 sampled real images" in " ".join(study_server(*call)[1].split())


def test_unreadable_files_are_named_and_left_out(study_server, where, tmp_path):
    fakes = write(tmp_path / "some", range(100, 150))
    (fakes / "empty.png").touch()
    (fakes / "cut.jpg").write_bytes((where / "real_jpeg" / "real_jpeg_0.jpg").read_bytes()[:700])
    code, out, _ = study_server("check", "--real", where / "real", "--fake", f"a={fakes}")
    words = " ".join(out.split())
    assert code == 1
    assert "2 of the files" in words
    assert "empty.png is empty" in words
    assert "cut.jpg is broken" in words


def test_a_run_with_one_image_set_is_enough(tmp_path):
    real, fake = find_sides(str(write(tmp_path / "real", range(2))), [f"a={make_run(tmp_path / 'run', ['test-AtoB'])}"])
    assert (real.name, fake.name, fake.folder.name) == (REAL, "a", "test-AtoB")
    assert [path.name for path in fake.files] == ["0.png", "1.png"]


def test_a_set_of_a_run_is_named_after_a_colon_for_either_side(tmp_path):
    run = make_run(tmp_path / "run", ["test-AtoB", "test-BtoA"])
    real, fake = find_sides(f"{run}:test-AtoB", [f"a={run}:test-BtoA"])
    assert (real.folder.name, fake.folder.name) == ("test-AtoB", "test-BtoA")


def test_a_folder_with_a_colon_in_its_name_is_a_folder(tmp_path):
    folder = write(tmp_path / "at 12:30", range(1))
    (real, _) = find_sides(str(folder), [f"a={write(tmp_path / 'fake', range(1))}"])
    assert real.folder == folder


MISTAKES = {
    "several sets": ("a={run}", "2 image sets (test-AtoB, test-BtoA): name one"),
    "no such set": ("a={run}:val", "no image set 'val'"),
    "no set yet": ("a={bare}", "no image set yet"),
    "nowhere": ("a={root}/nowhere", "not there"),
    "a file": ("a={root}/file.png", "a file"),
    "no images": ("a={empty}", "holds no images"),
    "no name": ("{run}", "NAME=FOLDER"),
    "a strange name": ("a b={run}", "NAME=FOLDER"),
    "called real": ("real={run}:test-AtoB", "two sides are called 'real'"),
    "the real folder": ("a={real}", "the same folder"),
    "all broken": ("a={broken}", "none of the 1 image files"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_2(mistake, study_server, tmp_path):
    run, bare = make_run(tmp_path / "run", ["test-AtoB", "test-BtoA"]), make_run(tmp_path / "bare", [])
    real, broken, empty = write(tmp_path / "real", range(1)), tmp_path / "broken", tmp_path / "empty"
    broken.mkdir()
    empty.mkdir()
    (broken / "a.png").write_bytes(b"no image")
    (tmp_path / "file.png").touch()
    fake, sentence = MISTAKES[mistake]
    fake = fake.format(run=run, bare=bare, root=tmp_path, empty=empty, real=real, broken=broken)
    code, out, err = study_server("check", "--real", real, "--fake", fake)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_missing_side_is_a_mistake(study_server, where):
    code, _, err = study_server("check", "--real", where / "real")
    assert code == 2
    assert "--fake" in err


def test_progress_counts_every_file(tmp_path):
    folder = write(tmp_path / "real", range(3))
    (folder / "empty.png").touch()
    side, _ = find_sides(str(folder), [f"a={write(tmp_path / 'fake', range(1))}"])
    steps: list[int] = []
    seen = look_at(side, 2, 0, steps.append)
    assert (sum(steps), len(seen.images), len(seen.measured), len(seen.unreadable)) == (4, 3, 2, 1)


def test_the_check_works_as_a_program_on_real_photos(shared_data, tmp_path):
    """Photos kept as JPEG against the same kind of photos resized: the grid gives them away."""
    photos = sorted((shared_data / "camvid" / "test" / "photo").iterdir())[::20]
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    reals = tmp_path / "reals"
    reals.mkdir()
    for path in photos:
        (reals / path.name).symlink_to(path)
        picture = read_rgb(path)
        small = resize(np.ascontiguousarray(picture[:-6, :-8]), picture.shape[1], picture.shape[0], "bicubic")
        Image.fromarray(small).save(fakes / f"{path.stem}.png", compress_level=1)
    command = [Path(sys.executable).parent / "study-server", "check", "--real", reals, "--fake", f"enlarged={fakes}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "gives the answer away: jpeg" in done.stdout
    assert done.stderr == ""
