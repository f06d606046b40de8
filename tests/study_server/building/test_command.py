import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from werkzeug.security import check_password_hash

from cgeval.images import write_png
from study_server.building.secrets import read_secrets
from study_server.cli import main
from study_server.config import read_config
from study_server.manifest import read_manifest
from tests.study_server.pictures import photo, through_jpeg

SMALL = ("--set", "trials.practice=2", "--set", "trials.scored=4", "--set", "exposure.size_px=32")


def images(folder: Path, seeds) -> Path:
    folder.mkdir()
    for i, seed in enumerate(seeds):
        write_png(folder / f"{i}.png", photo(seed, 48))
    return folder


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> Path:
    """real and fake, of equal names, between which there is nothing to find; other: of other names; none."""
    root = tmp_path_factory.mktemp("images")
    images(root / "real", range(8))
    images(root / "fake", range(100, 108))
    for i, file in enumerate(sorted(images(root / "other", range(110, 118)).iterdir())):
        file.rename(file.with_name(f"other{i}.png"))
    (root / "none").mkdir()
    return root


@pytest.fixture
def build(monkeypatch, capsys, where, tmp_path):
    """Run `study-server build tmp/study` with the real images; the exit code, what it printed, and its errors."""

    def call(*arguments, real=where / "real", study=tmp_path / "study") -> tuple[int, str, str]:
        words = ["study-server", "build", study, "--real", real, *arguments]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return call


def test_a_study_is_built_and_told(build, where, tmp_path):
    code, out, err = build("--fake", f"ours={where / 'fake'}", *SMALL, "--seed", "5", "--preset", "isola2017")
    study = tmp_path / "study"
    assert (code, err) == (0, "")
    config, manifest = read_config(study / "study.toml"), read_manifest(study)
    assert (config.preset, config.seed, manifest.seed, manifest.size_px) == ("isola2017", 5, 5, 32)
    assert len(manifest.pairs_of("ours")) == 8
    assert "ours: 8 pairs" in out
    assert f"study-server serve {study}" in out
    password = out.split("told this once: ")[1].split("\n")[0]
    assert check_password_hash(read_secrets(study).admin_hash, password)


def test_a_file_of_settings_holds_what_the_command_line_does_not_change(build, where, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('seed = 3\npreset = "simultaneous"\n[trials]\npractice = 1\nscored = 4\n')
    code, _, _ = build("--fake", f"ours={where / 'fake'}", "--config", file, "--seed", 4, "--set", "trials.practice=3")
    config = read_config(tmp_path / "study" / "study.toml")
    assert code == 0
    assert (config.seed, config.preset, config.trials.practice, config.trials.scored) == (4, "simultaneous", 3, 4)


def test_a_dry_run_says_it_and_writes_nothing(build, where, tmp_path):
    code, out, _ = build("--fake", f"ours={where / 'fake'}", *SMALL, "--dry-run")
    assert code == 0
    assert "ours: 8 pairs" in out
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory) -> Path:
    """Real images that JPEG has gone over."""
    folder = tmp_path_factory.mktemp("jpegs") / "real"
    folder.mkdir()
    for i in range(8):
        Image.fromarray(through_jpeg(photo(i, 48), 50)).save(folder / f"{i}.png")
    return folder


def test_what_gives_the_answer_away_stops_the_build_unless_it_is_allowed(build, where, jpegs, tmp_path):
    call = ("--fake", f"ours={where / 'fake'}", *SMALL)
    code, _, err = build(*call, real=jpegs)
    assert code == 2
    assert [line for line in err.splitlines() if line.startswith("Error: ours: jpeg")]
    assert list(tmp_path.iterdir()) == []
    code, out, _ = build(*call, "--allow-tells", real=jpegs)
    assert code == 0
    assert "warnings" in out
    assert any("jpeg" in warning for warning in read_manifest(tmp_path / "study").warnings)


def test_a_file_that_cannot_be_read_is_left_out_where_that_is_allowed(build, where, tmp_path):
    fakes = images(tmp_path / "fakes", range(100, 108))
    (fakes / "3.png").write_bytes(b"no image")
    call = ("--fake", f"ours={fakes}", *SMALL)
    assert build(*call)[0] == 2
    assert build(*call, "--allow-tells")[0] == 0
    manifest = read_manifest(tmp_path / "study")
    assert (len(manifest.pairs), manifest.algorithms[0].images) == (7, 7)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--fake", "ours={fake}"], "a session takes 50"),
        (["--fake", "ours={other}", *SMALL], "make 0 pairs of equal names"),
        (["--fake", "ours={fake}", "--set", "trials.scored=5"], "even number"),
        (["--fake", "ours={fake}", "--set", "trials.scores=4"], "unknown setting 'trials.scores'"),
        (["--fake", "ours={fake}", "--set", "trials"], "KEY=VALUE"),
        (["--fake", "ours={fake}", "--set", "seed.x=1"], "seed"),
        (["--fake", "ours={fake}", "--preset", "amt"], "zhu2017"),
        (["--fake", "ours={fake}", "--seed", "-1"], "seed"),
        (["--fake", "ours={fake}", "--config", "{fake}/missing.toml"], "missing.toml"),
        (["--fake", "ours={fake}", "--config", "{fake}/0.png"], "TOML"),
        (["--fake", "{fake}"], "NAME=WHERE"),
        (["--fake", "ours={fake}", "--fake", "ours={other}"], "two sides are called 'ours'"),
        (["--fake", "real={fake}"], "two sides are called 'real'"),
        (["--fake", "ours={real}"], "the same folder"),
        (["--fake", "ours={none}"], "holds no images"),
        (["--fake", "ours={none}/missing"], "not there"),
        ([], "--fake"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2_and_nothing_is_written(build, where, tmp_path, arguments, part):
    folders = {name: where / name for name in ("real", "fake", "other", "none")}
    code, out, err = build(*(each.format(**folders) for each in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert part in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_never_written_over(build, where, tmp_path):
    (tmp_path / "study").mkdir()
    code, out, err = build("--fake", f"ours={where / 'fake'}", *SMALL)
    assert (code, out) == (2, "")
    assert "there already" in err
    assert list((tmp_path / "study").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_kill_in_the_middle_leaves_no_study_and_the_next_build_cleans_up(tmp_path, number):
    for side, first in (("real", 0), ("fake", 100)):
        (tmp_path / side).mkdir()
        for i in range(6):
            noise = np.random.default_rng(first + i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            write_png(tmp_path / side / f"{i}.png", noise)
    place = tmp_path / "out"
    large = ("--set", "exposure.size_px=1500", "--set", "trials.practice=2", "--set", "trials.scored=4")
    sides = ("--real", tmp_path / "real", "--fake", f"ours={tmp_path / 'fake'}", "--allow-tells")
    program = [Path(sys.executable).parent / "study-server", "build", place / "study", *sides]
    process = subprocess.Popen([*program, *large], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not list(place.glob(".tmp-study-*/stimuli/*.png")) and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(process.pid, number)
    process.communicate()
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    assert not (place / "study").exists()
    assert [path.name.startswith(".tmp-study-") for path in place.iterdir()] == [True] * (number == signal.SIGKILL)
    subprocess.run([*program, *SMALL], check=True, capture_output=True)
    assert [path.name for path in place.iterdir()] == ["study"]
    assert json.loads((place / "study" / "manifest.json").read_text())["size_px"] == 32
