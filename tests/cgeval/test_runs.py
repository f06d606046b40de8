"""An image set exists when it is whole and sealed; what was changed is found out; what cannot be read is said."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval import runs
from cgeval.errors import RunBusyError, RunError, SchemaError, SealError
from cgeval.images import read_rgb
from cgeval.records import current, read_records
from cgeval.runs import ImageSet, Row, Run, RunInfo, direction_words, find_runs
from tests.golden import make_run

GREY = np.full((2, 3, 3), 128, dtype=np.uint8)


def new_run(path: Path) -> Run:
    return Run.create(path, method="cyclegan", dataset={"name": "maps"}, producer={"name": "a test", "version": "1"})


def write(run: Run, *ids: str, name: str = "test_AtoB", level: int = 128, overwrite: bool = False) -> ImageSet:
    with run.write_image_set(name, direction="AtoB", split="test", checkpoint=None, overwrite=overwrite) as writer:
        for i, image_id in enumerate(ids):
            writer.add(image_id, np.full_like(GREY, level + i), source=image_id, target=None)
    return run.image_set(name)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path / "maps-1")


# Creating and opening


def test_a_run_that_is_opened_is_the_one_that_was_created(tmp_path):
    made = Run.create(
        tmp_path / "a" / "maps-1",
        method="pix2pix",
        dataset={"name": "maps", "domains": {"A": "map", "B": "photo"}},
        producer={"name": "cyclegan", "version": "0.1.0"},
        settings={"seed": 3, "networks": {"width": 64}},
    )
    assert Run.open(tmp_path / "a" / "maps-1") == made
    assert made.info.run_id == "maps-1"
    assert made.image_sets() == []


def test_run_json_holds_the_fields_of_run_info(run):
    content = json.loads((run.path / "run.json").read_text())
    assert content.keys() == {field.name for field in fields(RunInfo)} == runs.RUN_KEYS.keys()
    assert content["created_at"].endswith("Z")


def test_a_second_run_in_the_same_folder_is_refused(run):
    with pytest.raises(RunError, match="already holds a run"):
        new_run(run.path)


def test_a_run_cannot_be_made_where_a_file_is(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(RunError, match="is a file, and a folder is expected"):
        new_run(tmp_path / "a")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "is not there"),
        (lambda path: path.touch(), "is a file"),
        (lambda path: path.mkdir(), "is not a run: it holds no run.json"),
        (lambda path: (path / "run.json").mkdir(parents=True), "is not a run: it holds no run.json"),
    ],
)
def test_what_is_no_run_is_told_apart(tmp_path, make, sentence):
    make(tmp_path / "a")
    with pytest.raises(RunError, match=sentence):
        Run.open(tmp_path / "a")


# The golden run: schema 1 as another program writes it


def test_the_golden_run_is_what_its_script_makes():
    found = {p.relative_to(make_run.FOLDER).as_posix(): p for p in make_run.FOLDER.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == make_run.files()


def test_a_run_by_another_program_is_read_whole():
    run = Run.open(make_run.FOLDER)
    (image_set,) = run.image_sets()
    image_set.verify()
    assert (image_set.direction, image_set.count, image_set.checkpoint) == ("AtoB", 3, None)
    assert [(row.id, row.target) for row in image_set.rows] == [
        ("night/2", "night/2"),
        ("night/10", "night/10"),
        ("harbour 1", None),
    ]
    for row in image_set.rows:
        assert (read_rgb(image_set.path / row.file) == make_run.COLOURS[row.id]).all()
    (entry,) = current(read_records(run.path))
    assert (entry.record.value, entry.record.low, entry.superseded) == (0.5, 0.4, 1)
    assert entry.record.index_sha256 == image_set.index_sha256


# Sealing


def test_a_sealed_set_agrees_with_an_independent_reader(run):
    write(run, "b/2", "a", "b/10")
    folder = run.path / "images" / "test_AtoB"
    facts = json.loads((folder / "set.json").read_bytes())
    index = (folder / "index.jsonl").read_bytes()
    assert facts["index_sha256"] == hashlib.sha256(index).hexdigest()
    assert index.endswith(b"\n")
    rows = [json.loads(line) for line in index.decode().split("\n")[:-1]]
    assert facts["count"] == len(rows) == 3
    assert [row["id"] for row in rows] == ["b/2", "a", "b/10"]
    for row in rows:
        assert row.keys() == {"id", "file", "sha256", "source", "target"}
        assert row["sha256"] == hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest()


def test_keys_that_are_checked_are_the_fields_there_are():
    assert runs.ROW_KEYS.keys() == {field.name for field in fields(Row)}
    assert runs.SET_KEYS.keys() - {"schema"} == {field.name for field in fields(ImageSet)} - {"path"}


@given(
    ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=1, unique=True)
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_ids_that_are_accepted_come_back_in_order(tmp_path_factory, ids):
    run, accepted = new_run(tmp_path_factory.mktemp("run")), ["always"]
    with run.write_image_set("s", direction="BtoA", split="test", checkpoint="x", extra={"a": 1}) as writer:
        writer.add("always", GREY, source="always", target=None)
        for image_id in ids:
            if taken(writer, image_id):
                accepted.append(image_id)
    image_set = run.image_set("s")
    image_set.verify()
    assert [row.id for row in image_set.rows] == accepted
    assert [row.source for row in image_set.rows] == [f"{i}" for i in accepted]


def taken(writer: runs.ImageSetWriter, image_id: str) -> bool:
    try:
        writer.add(image_id, GREY, source=image_id, target=None)
    except (RunError, OSError):  # OSError: a folder that is called as an image is
        return False
    return True


@pytest.mark.parametrize(
    "image_id", ["", ".", "..", "/etc/a", "../a", "a/../../b", "a//b", "./a", "a/", "a\0b", os.fsdecode(b"caf\xe9")]
)
def test_an_id_that_is_no_plain_path_below_the_set_is_refused(run, image_id):
    with pytest.raises(RunError, match="is not a plain path"):
        write(run, image_id)
    assert visible(run.path / "images") == []


def test_an_id_that_comes_twice_is_refused(run):
    with pytest.raises(RunError, match="'a' comes twice"):
        write(run, "a", "b", "a")


@pytest.mark.parametrize("wrong", [GREY / 255, GREY[..., 0], GREY.astype(int), GREY[..., :2]])
def test_an_array_that_is_no_uint8_picture_is_refused(run, wrong):
    with (
        pytest.raises(RunError, match=r"uint8 \[height, width, 3\] is expected"),
        run.write_image_set("s", direction="AtoB", split="test", checkpoint=None) as writer,
    ):
        writer.add("a", wrong, source="a", target=None)


def test_an_empty_set_is_refused(run):
    with pytest.raises(RunError, match="would be empty"):
        write(run)
    assert run.image_sets() == []


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "test AtoB"])
def test_a_name_that_is_no_plain_name_is_refused(run, name):
    with pytest.raises(RunError, match="cannot name an image set"):
        write(run, "a", name=name)


def test_a_direction_is_one_of_two(run):
    with (
        pytest.raises(RunError, match="'ab', and AtoB or BtoA is expected"),
        run.write_image_set("s", direction="ab", split="test", checkpoint=None),
    ):
        pytest.fail("the set was begun")


def test_a_set_that_is_not_there_is_answered_with_those_that_are(run):
    with pytest.raises(RunError, match="no image set 'train_AtoB'; there: none yet"):
        run.image_set("train_AtoB")
    write(run, "a")
    with pytest.raises(RunError, match="there: test_AtoB"):
        run.image_set("train_AtoB")


def test_sets_come_by_name_whatever_the_order_of_writing(run):
    for name in ("test_BtoA", "a", "test_AtoB"):
        write(run, "x", name=name)
    assert [image_set.name for image_set in run.image_sets()] == ["a", "test_AtoB", "test_BtoA"]


# Overwriting


def test_a_sealed_set_is_replaced_only_when_asked(run):
    before = write(run, "a", "b")
    with pytest.raises(RunError, match="is sealed: add --overwrite"):
        write(run, "a", level=0)
    assert run.image_set("test_AtoB") == before
    after = write(run, "c", level=0, overwrite=True)
    after.verify()
    assert visible(after.path) == ["c.png", "index.jsonl", "set.json"]
    assert visible(run.path / "images") == ["test_AtoB"]
    assert list((run.path / "images").glob(".writing*")) + list((run.path / "images").glob(".replaced*")) == []


def test_a_folder_without_its_seal_is_no_set_and_may_be_written_over(run):
    image_set = write(run, "a", "b")
    (image_set.path / "set.json").unlink()
    assert run.image_sets() == []
    write(run, "a").verify()


# What interrupts the writing


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, RunError])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_exception_leaves_what_was_there_before(run, error, overwrite):
    before = [write(run, "old")] if overwrite else []

    def stopped() -> None:
        with run.write_image_set(
            "test_AtoB", direction="AtoB", split="test", checkpoint=None, overwrite=overwrite
        ) as writer:
            writer.add("new", GREY, source="new", target=None)
            raise error

    with pytest.raises(error):
        stopped()
    assert run.image_sets() == before
    assert [path.name for path in (run.path / "images").glob(".*")] == [".test_AtoB.lock"]
    for image_set in before:
        image_set.verify()


def test_a_full_disk_while_sealing_leaves_what_was_there_before(run, monkeypatch):
    before = write(run, "old")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "write_json_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        write(run, "new", overwrite=True)
    before.verify()


def test_a_rename_that_fails_brings_the_old_set_back(run, monkeypatch):
    before, rename = write(run, "old"), Path.rename

    def fails(path: Path, target: Path) -> Path:
        if path.name.startswith(".writing"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="Input/output"):
        write(run, "new", overwrite=True)
    before.verify()
    assert visible(run.path / "images") == ["test_AtoB"]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from cgeval import runs
    from tests.cgeval.test_runs import write

    def die(*args, **options):
        os.kill(os.getpid(), signal.SIGKILL)

    where, original = sys.argv[2], Path.rename
    if where == "adding":
        add = runs.ImageSetWriter.add
        runs.ImageSetWriter.add = lambda self, *a, **k: (add(self, *a, **k), die())
    elif where == "sealing":
        runs.write_json_atomic = die
    else:
        count = {"before the renames": 0, "between the renames": 1, "after the renames": 2}[where]
        done = []
        def rename(path, target):
            len(done) == count and die()
            done.append(original(path, target))
            len(done) == count == 2 and die()
        Path.rename = rename
    write(runs.Run.open(Path(sys.argv[1])), "new", "newer", level=7, overwrite=True)
"""
MOMENTS = ["adding", "sealing", "before the renames", "between the renames", "after the renames"]


def kill(run: Run, moment: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(run.path), moment]
    assert subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", MOMENTS[:3])
def test_a_kill_before_the_end_leaves_nothing_that_looks_finished(run, moment):
    kill(run, moment)
    assert Run.open(run.path).image_sets() == []
    assert visible(run.path / "images") == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_a_set_is_replaced_loses_neither_the_old_nor_the_new_one(run, moment):
    write(run, "old")
    kill(run, moment)
    for image_set in run.image_sets():
        image_set.verify()
        assert [row.id for row in image_set.rows] in (["old"], ["new", "newer"])
    with pytest.raises(RunError, match="is sealed"):
        write(run, "newest")
    assert visible(run.path / "images") == ["test_AtoB"]
    assert [path.name for path in (run.path / "images").glob(".*")] == [".test_AtoB.lock"]
    write(run, "newest", overwrite=True).verify()


def test_two_writers_of_one_set_do_not_mix(run):
    with run.write_image_set("test_AtoB", direction="AtoB", split="test", checkpoint=None) as writer:
        writer.add("a", GREY, source="a", target=None)
        with pytest.raises(RunBusyError, match=f"process {os.getpid()}"):
            write(run, "b")
        write(run, "b", name="test_BtoA")
    assert [[row.id for row in image_set.rows] for image_set in run.image_sets()] == [["a"], ["b"]]


# Tampering


def change_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("tamper", "sentence"),
    [
        (lambda folder: change_byte(folder / "a.png"), "a.png was changed after it was sealed"),
        (lambda folder: (folder / "b.png").unlink(), "b.png is missing from a sealed set of 2"),
        (lambda folder: (folder / "a.png").write_bytes((folder / "b.png").read_bytes()), "a.png was changed"),
        (lambda folder: change_byte(folder / "index.jsonl"), "index.jsonl is not the one that was sealed"),
        (lambda folder: (folder / "index.jsonl").unlink(), "index.jsonl is not the one that was sealed"),
        (lambda folder: edit_json(folder / "set.json", index_sha256="0" * 64), "is not the one that was sealed"),
        (lambda folder: edit_json(folder / "set.json", count=3), "has 2 images and set.json says 3"),
    ],
)
def test_every_change_to_a_sealed_set_is_found(run, tamper, sentence):
    image_set = write(run, "a", "b")
    image_set.verify()
    tamper(image_set.path)
    with pytest.raises(SealError, match=sentence):
        run.image_set("test_AtoB").verify()


def resealed(run: Run, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> ImageSet:
    """What a careless program would seal: any rows, with digests that are right."""
    folder = run.path / "images" / "test_AtoB"
    rows = change([asdict(row) for row in run.image_set("test_AtoB").rows])
    for row in rows:
        if (folder / str(row["file"])).is_file():
            row["sha256"] = hashlib.sha256((folder / str(row["file"])).read_bytes()).hexdigest()
    index = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / "index.jsonl").write_bytes(index)
    edit_json(folder / "set.json", index_sha256=hashlib.sha256(index).hexdigest(), count=len(rows))
    return run.image_set("test_AtoB")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: [rows[0] | {"file": "../../run.json"}], "a file inside the image set is expected"),
        (lambda rows: [rows[0] | {"file": "/etc/hostname"}], "a file inside the image set is expected"),
        (lambda rows: [*rows, *rows], "has an id twice"),
        (lambda rows: [rows[0] | {"score": 1}], r"index.jsonl:1 has missing or unknown keys \(score\)"),
        (lambda rows: [{"id": "a", "file": "a.png", "sha256": ""}], r"keys \(source, target\)"),
        (lambda rows: [rows[0] | {"id": 7}], "id is 7, which is of the wrong type"),
        (lambda rows: [], "index.jsonl:1 is not JSON"),
    ],
)
def test_an_index_that_breaks_the_rules_is_refused_although_its_seal_is_right(run, change, sentence):
    write(run, "a")
    with pytest.raises(RunError, match=sentence):
        resealed(run, change).verify()


def test_verify_tells_of_each_image_as_it_goes(run):
    seen: list[str] = []
    write(run, "a", "b").verify(lambda row: seen.append(row.id))
    assert seen == ["a", "b"]


def test_files_that_the_index_does_not_name_do_not_belong_to_the_set(run):
    image_set = write(run, "a")
    (image_set.path / "thumbs.db").touch()
    image_set.verify()


def test_a_run_may_be_moved_and_copied(run, tmp_path):
    write(run, "a")
    shutil.copytree(run.path, tmp_path / "elsewhere" / "renamed")
    moved = Run.open(tmp_path / "elsewhere" / "renamed")
    moved.image_set("test_AtoB").verify()
    assert moved.info == run.info


# Edited by hand, or written by another version


@pytest.mark.parametrize("file", ["run.json", "images/test_AtoB/set.json"])
@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (lambda text: "", RunError, "is not JSON"),
        (lambda text: text[:-20], RunError, "is not JSON"),
        (lambda text: "[]", RunError, "is list, and a JSON object is expected"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), SchemaError, "has schema 2.*reads schema 1"),
        (lambda text: text.replace('"schema": 1', '"schema": "1"'), SchemaError, "has schema 1"),
        (lambda text: text.replace('"schema": 1', '"scheme": 1'), SchemaError, "has schema None"),
        (lambda text: text.replace('"created_at"', '"made_at"'), RunError, r"keys \(created_at, made_at\)"),
        (lambda text: text.replace('"created_at": "', '"created_at": 7, "x": "'), RunError, r"unknown keys \(x\)"),
        (lambda text: text.replace("{}", "null"), RunError, "is None, which is of the wrong type"),
    ],
)
def test_what_was_edited_by_hand_is_refused_with_the_place(run, file, change, error, sentence):
    write(run, "a")
    path = run.path / file
    path.write_text(change(path.read_text()))
    with pytest.raises(error, match=sentence) as caught:
        Run.open(run.path).image_sets()
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_file_in_another_encoding_is_refused(run):
    (run.path / "run.json").write_bytes('{"schema": 1, "method": "Z\xfcrich"}'.encode("latin-1"))
    with pytest.raises(RunError, match="is not JSON"):
        Run.open(run.path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"direction": "A2B"}, "'A2B', and AtoB or BtoA"), ({"count": "1"}, "count is '1'"), ({"extra": []}, "extra is")],
)
def test_set_json_is_checked_field_by_field(run, changes, sentence):
    edit_json(write(run, "a").path / "set.json", **changes)
    with pytest.raises(RunError, match=sentence):
        run.image_sets()


def test_a_copied_set_does_not_shadow_the_one_whose_name_it_bears(run):
    image_set = write(run, "a")
    shutil.copytree(image_set.path, image_set.path.with_name("backup"))
    with pytest.raises(RunError, match="is the set 'test_AtoB' in a folder of another name"):
        run.image_sets()


# Directions


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"label_domain": "A", "domains": {"A": "maps", "B": "views"}}, ("labels -> photo", "photo -> labels")),
        ({"label_domain": "B", "domains": {"A": "photos", "B": "x"}}, ("photo -> labels", "labels -> photo")),
        ({"label_domain": None, "domains": {"A": "horse", "B": "zebra"}}, ("horse -> zebra", "zebra -> horse")),
        ({}, ("A -> B", "B -> A")),
    ],
)
def test_directions_are_called_by_what_is_made_of_what(facts, words):
    assert tuple(direction_words(facts, direction) for direction in ("AtoB", "BtoA")) == words


# Many runs


def test_runs_are_found_at_any_depth_by_path(tmp_path):
    for name in ("b", "a/2", "a/10"):
        new_run(tmp_path / name)
    found, broken = find_runs(tmp_path)
    assert [run.path.relative_to(tmp_path).as_posix() for run in found] == ["a/10", "a/2", "b"]
    assert broken == []
    assert [run.path for run in find_runs(tmp_path / "b")[0]] == [tmp_path / "b"]


@pytest.mark.parametrize("file", ["run.json", "images/test_AtoB/set.json"])
def test_one_broken_run_hides_no_other_and_is_told(tmp_path, file):
    for name in ("a", "b", "c"):
        write(new_run(tmp_path / name), "x")
    (tmp_path / "b" / file).write_text("{")
    found, broken = find_runs(tmp_path)
    assert [run.path.name for run in found] == ["a", "c"]
    assert [f"{tmp_path / 'b' / file} is not JSON" in str(error) for error in broken] == [True]


def test_a_folder_that_is_not_there_is_told_from_one_without_runs(tmp_path):
    assert find_runs(tmp_path) == ([], [])
    with pytest.raises(RunError, match="is not there"):
        find_runs(tmp_path / "runs")
    (tmp_path / "runs").touch()
    with pytest.raises(RunError, match="is a file"):
        find_runs(tmp_path / "runs")
