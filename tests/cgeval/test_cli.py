"""`cgeval runs | show | verify` as a user meets them; every wrong input is one sentence and the exit code 2."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cgeval.cli import main
from cgeval.records import append_record
from cgeval.runs import Run
from tests.cgeval.test_console import called_as
from tests.cgeval.test_records import RECORD
from tests.golden import make_run

GOLDEN = make_run.FOLDER


@pytest.fixture
def cgeval(capsys):
    """The command in this process: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with called_as("cgeval", *map(str, arguments)), pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return call


def new_run(path: Path, *ids: str) -> Run:
    run = Run.create(path, method="cyclegan", dataset={"name": "maps", "path": "/d"}, producer={"name": "test"})
    if ids:
        with run.write_image_set("test_AtoB", direction="AtoB", split="test", checkpoint="step-9.pt") as writer:
            for image_id in ids:
                writer.add(image_id, np.zeros((2, 2, 3), dtype=np.uint8), source=image_id, target=None)
    return run


def rows(text: str) -> list[list[str]]:
    """The cells of a printed table: columns are two spaces apart."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


# runs


def test_runs_lists_what_is_below_a_folder(cgeval, tmp_path):
    new_run(tmp_path / "a", "x", "y")
    new_run(tmp_path / "deep" / "b")
    code, out, err = cgeval("runs", tmp_path)
    assert (code, err) == (0, "")
    head, first, second = rows(out)
    assert head == ["run", "method", "dataset", "image sets", "created"]
    assert first[:4] == [str(tmp_path / "a"), "cyclegan", "maps", "test_AtoB (2)"]
    assert second[:4] == [str(tmp_path / "deep" / "b"), "cyclegan", "maps", "-"]


def test_runs_looks_into_the_folder_runs_by_default(cgeval, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "runs is not there" in cgeval("runs")[2]
    new_run(tmp_path / "runs" / "a")
    assert "runs/a" in cgeval("runs")[1]


def test_a_folder_without_runs_is_told_and_is_no_mistake(cgeval, tmp_path):
    code, out, _ = cgeval("runs", tmp_path)
    assert code == 0
    assert out.startswith(f"No runs below {tmp_path}")


def test_a_broken_run_among_good_ones_is_named_after_them(cgeval, tmp_path):
    for name in ("a", "b", "c"):
        new_run(tmp_path / name)
    (tmp_path / "b" / "run.json").write_text("{")
    code, out, err = cgeval("runs", tmp_path)
    assert code == 1
    assert [row[0] for row in rows(out)[1:]] == [str(tmp_path / "a"), str(tmp_path / "c")]
    assert err.startswith(f"Error: {tmp_path / 'b' / 'run.json'} is not JSON")
    assert err.count("\n") == 1


def test_only_broken_runs_are_no_empty_folder(cgeval, tmp_path):
    new_run(tmp_path / "a")
    (tmp_path / "a" / "run.json").write_text("{")
    code, out, err = cgeval("runs", tmp_path)
    assert (code, out) == (1, "")
    assert "is not JSON" in err


# show


def test_show_says_who_made_what_and_how_good_it_is(cgeval):
    code, out, _ = cgeval("show", GOLDEN)
    assert code == 0
    assert out.startswith(
        "golden: by hand, made by make_run.py 1, 2025-03-01T12:00:00Z\ndataset nights at /data/nights\n"
    )
    table = rows(out)
    assert table[3:5] == [
        ["image set", "direction", "split", "images", "checkpoint", "seal"],
        [
            "test_AtoB",
            "AtoB",
            "test",
            "3",
            "-",
            json.loads((GOLDEN / "images/test_AtoB/set.json").read_text())["index_sha256"][:12],
        ],
    ]
    assert table[6:] == [
        ["demo_score of test_AtoB, n 3, measured 2025-03-01T12:00:00Z, superseded 1"],
        ["absent class left out"],
        ["metric", "value", "interval"],
        ["pixel_accuracy", "0.5000", "[0.4000, 0.6000]"],
    ]


FCN = {
    "absent class": "cityscapes",
    "label set": "cityscapes",
    "truth": "94329397656e",
    "scorer": "a-scorer-of-a-name-that-is-rather-long",
    "scorer_sha256": "289571872595" + "0" * 52,
}


def shown(cgeval, path: Path) -> str:
    """What show prints of the records."""
    code, out, _ = cgeval("show", path)
    assert code == 0
    return out.split("seal\n")[1].split("\n\n", 1)[1]


def test_show_tells_a_convention_once_above_the_metrics_that_share_it(cgeval, tmp_path):
    run = new_run(tmp_path / "a", "x")
    for metric, value in (("pixel_accuracy", 0.75), ("class_iou", 0.25)):
        append_record(run.path, replace(RECORD, metric=metric, value=value, low=None, high=None, convention=FCN))
    append_record(run.path, replace(RECORD, metric="fid", value=45.5, low=None, high=None, convention={}))
    assert shown(cgeval, run.path) == (
        f"{RECORD.protocol} of {RECORD.image_set}, n {RECORD.n}, measured {RECORD.created_at}, superseded 0\n"
        "  absent class cityscapes, label set cityscapes, truth 94329397656e,\n"
        "  scorer a-scorer-of-a-name-that-is-rather-long, scorer_sha256 289571872595\n"
        "  metric           value  interval\n"
        "  pixel_accuracy  0.7500  -\n"
        "  class_iou       0.2500  -\n"
        "\n"
        f"{RECORD.protocol} of {RECORD.image_set}, n {RECORD.n}, measured {RECORD.created_at}, superseded 0\n"
        "  metric    value  interval\n"
        "  fid     45.5000  -\n"
    )


def test_show_is_no_wider_than_a_page_whatever_the_convention_says(cgeval, tmp_path):
    run = new_run(tmp_path / "a", "x")
    long = {"note": "word " * 60, "path": "/data" * 60, "plain": "kept together"}
    append_record(run.path, replace(RECORD, convention=long))
    out = shown(cgeval, run.path)
    assert max(map(len, out.splitlines())) == 100
    assert "plain kept together" in out


def test_show_gives_what_the_metrics_do_not_share_a_column(cgeval, tmp_path):
    run = new_run(tmp_path / "a", "x")
    for metric, n in (("one", 3), ("one", 4), ("two", 5)):
        append_record(run.path, replace(RECORD, metric=metric, n=n))
    table = rows(shown(cgeval, run.path))
    assert table[0] == [f"{RECORD.protocol} of {RECORD.image_set}, measured {RECORD.created_at}"]
    assert table[-3] == ["metric", "value", "interval", "n", "superseded"]
    assert [(row[0], *row[-2:]) for row in table[-2:]] == [("one", "4", "1"), ("two", "5", "0")]


def test_show_of_a_bare_run(cgeval, tmp_path):
    run = Run.create(tmp_path / "a", method="m", dataset={}, producer={})
    code, out, _ = cgeval("show", run.path)
    assert code == 0
    assert out.splitlines()[:2] == [f"a: m, made by ?, {run.info.created_at}", "dataset ? at ?"]
    assert out.endswith("(none yet)\n")


def test_show_as_json_holds_the_same(cgeval, tmp_path):
    run = new_run(tmp_path / "a", "x")
    append_record(run.path, RECORD)
    append_record(run.path, replace(RECORD, value=0.6, producer="Zürich"))
    code, out, _ = cgeval("show", run.path, "--json")
    content = json.loads(out)
    assert code == 0
    assert content["run"]["run_id"] == "a"
    assert content["run"]["dataset"] == {"name": "maps", "path": "/d"}
    (image_set,) = content["image_sets"]
    assert (image_set["name"], image_set["count"], image_set["checkpoint"]) == ("test_AtoB", 1, "step-9.pt")
    assert image_set["path"] == str(run.path / "images" / "test_AtoB")
    assert [(c["record"]["value"], c["superseded"]) for c in content["records"]] == [(0.6, 1)]
    assert "Zürich" in out


# verify


def test_verify_of_a_whole_run_counts_its_images(cgeval):
    code, out, err = cgeval("verify", GOLDEN)
    assert (code, out) == (0, "1 image sets, 3 images: every one is as it was sealed.\n")
    assert "3/3" in err


def test_verify_of_a_run_without_images_says_so(cgeval, tmp_path):
    code, out, err = cgeval("verify", new_run(tmp_path / "a").path)
    assert (code, out, err) == (0, f"{tmp_path / 'a'} holds no sealed image set yet.\n", "")


def test_verify_names_what_is_damaged_in_each_set_and_ends_with_1(cgeval, tmp_path):
    run = new_run(tmp_path / "a", "x", "y")
    with run.write_image_set("test_BtoA", direction="BtoA", split="test", checkpoint=None) as writer:
        writer.add("z", np.zeros((2, 2, 3), dtype=np.uint8), source="z", target=None)
    (run.path / "images" / "test_AtoB" / "x.png").write_bytes(b"")
    (run.path / "images" / "test_BtoA" / "z.png").unlink()
    code, out, err = cgeval("verify", run.path)
    assert (code, out) == (1, "")
    errors = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert [line.split()[1] for line in errors] == [
        str(run.path / "images" / "test_AtoB" / "x.png"),
        str(run.path / "images" / "test_BtoA" / "z.png"),
    ]


# Wrong inputs of every kind


def missing(path: Path) -> None:
    """Leave nothing there."""


def a_file(path: Path) -> None:
    path.write_text("x")


def an_empty_folder(path: Path) -> None:
    path.mkdir()


def broken_json(path: Path) -> None:
    new_run(path, "x")
    (path / "run.json").write_text('{"schema": 1,')


def binary_json(path: Path) -> None:
    new_run(path)
    (path / "run.json").write_bytes(bytes(range(256)))


def another_schema(path: Path) -> None:
    new_run(path)
    text = (path / "run.json").read_text()
    (path / "run.json").write_text(text.replace('"schema": 1', '"schema": 7'))


def a_run_json_that_is_a_folder(path: Path) -> None:
    (path / "run.json").mkdir(parents=True)


def a_null_dataset(path: Path) -> None:
    new_run(path)
    content = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(content | {"dataset": None}))


def a_broken_set(path: Path) -> None:
    new_run(path, "x")
    (path / "images" / "test_AtoB" / "set.json").write_text("[")


def a_broken_record(path: Path) -> None:
    new_run(path, "x")
    append_record(path, RECORD)
    with (path / "records" / "demo_score.jsonl").open("a") as file:
        file.write('{"schema": 1, "value": "high"}\n')


RUNS = [
    missing,
    a_file,
    an_empty_folder,
    broken_json,
    binary_json,
    another_schema,
    a_run_json_that_is_a_folder,
    a_null_dataset,
    a_broken_set,
]


@pytest.mark.parametrize("make", RUNS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("command", ["show", "verify"])
def test_what_is_no_whole_run_is_one_sentence_and_2(cgeval, tmp_path, command, make):
    make(tmp_path / "a")
    code, out, err = cgeval(command, tmp_path / "a")
    assert (code, out) == (2, "")
    assert_is_one_sentence(err, tmp_path / "a")


def test_a_broken_record_is_one_sentence_and_2(cgeval, tmp_path):
    a_broken_record(tmp_path / "a")
    code, out, err = cgeval("show", tmp_path / "a")
    assert (code, out) == (2, "")
    assert "demo_score.jsonl:2 is no record" in err
    assert_is_one_sentence(err, tmp_path / "a")
    assert cgeval("verify", tmp_path / "a")[0] == 0


@pytest.mark.parametrize("make", [missing, a_file], ids=lambda make: make.__name__)
def test_what_is_no_folder_of_runs_is_one_sentence_and_2(cgeval, tmp_path, make):
    make(tmp_path / "a")
    code, out, err = cgeval("runs", tmp_path / "a")
    assert (code, out) == (2, "")
    assert_is_one_sentence(err, tmp_path / "a")


@pytest.mark.parametrize("arguments", [["show"], ["verify"], ["show", "a", "b"], ["show", "--xml", "a"], ["shwo", "a"]])
def test_wrong_usage_is_one_sentence_and_2(cgeval, arguments):
    code, out, err = cgeval(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert "--help`." in err


def test_the_installed_program_prints_no_traceback(tmp_path):
    program = Path(sys.executable).parent / "cgeval"
    done = subprocess.run([program, "show", "no/such/run"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: no/such/run is not there; `cgeval runs FOLDER`")


def assert_is_one_sentence(err: str, path: Path) -> None:
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert err.endswith(".\n")
    assert str(path) in err
