"""Records are only added to; the last of a key counts; a kill while writing costs no number that was written."""

import fcntl
import json
import math
import resource
import signal
import subprocess
import sys
import textwrap
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.errors import RecordError, SchemaError
from cgeval.records import KINDS, SCHEMA, Record, append_record, append_records, current, read_records

RECORD = Record(
    protocol="demo_score",
    metric="pixel_accuracy",
    value=0.5,
    n=40,
    run_id="maps-1",
    image_set="test_AtoB",
    index_sha256="0" * 64,
    created_at="2025-01-01T00:00:00Z",
    producer="cgeval 0.1.0",
)


def lines(run: Path, protocol: str = "demo_score") -> list[str]:
    return (run / "records" / f"{protocol}.jsonl").read_text(encoding="utf-8").splitlines()


def with_line(run: Path, line: str) -> Path:
    """A run whose second of three lines is this one."""
    append_record(run, RECORD)
    with (run / "records" / "demo_score.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    append_record(run, RECORD)
    return run


# Writing and reading

texts = st.text(max_size=8)
fractions = st.floats(-1e9, 1e9)


@given(
    record=st.builds(
        replace,
        st.just(RECORD),
        value=fractions | st.integers(-5, 5),
        metric=texts,
        n=st.integers(1, 1 << 40),
        image_set=texts,
        interval=st.none() | texts,
        convention=st.dictionaries(texts, texts | st.integers() | st.none() | st.lists(fractions)),
    )
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_record_comes_back_as_it_was_written(tmp_path_factory, record):
    run = tmp_path_factory.mktemp("run")
    append_record(run, record)
    append_record(run, RECORD)
    assert read_records(run) == [record, RECORD]


def test_a_record_is_one_line_of_readable_json_with_every_field(tmp_path):
    append_record(tmp_path, replace(RECORD, convention={"absent class": "left out"}, producer="Zürich 1"))
    (line,) = lines(tmp_path)
    assert json.loads(line).keys() == {field.name for field in fields(Record)}
    assert "Zürich" in line


def test_each_protocol_has_its_file_and_lines_are_only_added(tmp_path):
    append_record(tmp_path, RECORD)
    first = lines(tmp_path)
    other = replace(RECORD, protocol="another")
    append_record(tmp_path, other)
    append_record(tmp_path, replace(RECORD, value=0.6))
    assert lines(tmp_path)[:1] == first
    assert read_records(tmp_path, "another") == [other]
    assert [r.value for r in read_records(tmp_path, "demo_score")] == [0.5, 0.6]
    assert read_records(tmp_path, "demo_*") == []
    assert len(read_records(tmp_path)) == 3


def test_a_run_without_records_has_none(tmp_path):
    assert read_records(tmp_path) == []
    assert read_records(tmp_path, "demo_score") == []


def test_every_field_has_a_type_that_is_checked():
    assert {field.name for field in fields(Record)} == KINDS.keys() | {"schema"}


# What supersedes what


def test_the_last_record_of_a_key_counts_and_says_how_many_it_superseded():
    other = replace(RECORD, metric="class_iou", value=0.1)
    records = [RECORD, other, replace(RECORD, value=0.6), replace(RECORD, value=0.7, n=41, producer="cgeval 0.2.0")]
    assert [(c.record.value, c.superseded) for c in current(records)] == [(0.7, 2), (0.1, 0)]


@pytest.mark.parametrize("change", ["protocol", "metric", "image_set"])
def test_a_record_of_another_protocol_metric_or_image_set_supersedes_nothing(change):
    assert len(current([RECORD, replace(RECORD, **{change: "other"})])) == 2


def test_a_record_by_another_convention_supersedes_nothing_and_the_order_of_keys_is_no_convention():
    one, two = ({"absent": "left out", "ignore": 255}, {"ignore": 255, "absent": "left out"})
    records = [replace(RECORD, convention=convention) for convention in (one, two, {"absent": "zero", "ignore": 255})]
    assert [c.superseded for c in current(records)] == [1, 0]


@given(st.lists(st.sampled_from("abc"), max_size=20))
@settings(derandomize=True)
def test_every_record_is_current_or_superseded(metrics):
    found = current([replace(RECORD, metric=metric) for metric in metrics])
    assert sum(1 + c.superseded for c in found) == len(metrics)
    assert [c.record.metric for c in found] == list(dict.fromkeys(metrics))


# What is refused


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"value": math.nan}, "only finite numbers"),
        ({"value": math.inf}, "only finite numbers"),
        ({"low": math.nan, "high": 0.6}, "only finite numbers"),
        ({"low": 0.6, "high": 0.7}, "outside its interval"),
        ({"n": 0}, "at least one observation"),
        ({"protocol": "a/b"}, "cannot name a protocol"),
        ({"protocol": ""}, "cannot name a protocol"),
        ({"value": "0.5"}, "value is '0.5', which is of the wrong type"),
        ({"n": 4.5}, "n is 4.5"),
        ({"convention": [1]}, "convention is"),
        ({"interval": 95}, "interval is 95"),
    ],
)
def test_impossible_numbers_are_neither_written_nor_read(tmp_path, change, sentence):
    wrong = replace(RECORD, **change)
    with pytest.raises(RecordError, match=sentence):
        append_record(tmp_path / "writing", wrong)
    assert not (tmp_path / "writing").exists()
    with pytest.raises(RecordError, match=sentence) as caught:
        read_records(with_line(tmp_path, json.dumps(asdict(wrong))))
    assert "demo_score.jsonl:2 is no record" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "demo_score.jsonl:2 is not JSON"),
        ('{"schema": 1}', "demo_score.jsonl:2 is no record"),
        (json.dumps({k: v for k, v in asdict(RECORD).items() if k != "low"}), "missing or unknown keys: low"),
        (json.dumps(asdict(RECORD) | {"percent": 50}), "missing or unknown keys: percent"),
    ],
)
def test_a_line_that_is_no_record_is_named_by_its_number(tmp_path, line, sentence):
    with pytest.raises(RecordError, match=sentence) as caught:
        read_records(with_line(tmp_path, line))
    assert str(caught.value).endswith("remove that line.")


@pytest.mark.parametrize("schema", [SCHEMA + 1, None, "1"])
def test_another_schema_stops_with_both_numbers(tmp_path, schema):
    with pytest.raises(SchemaError, match=f"has schema {schema}, and this version reads schema {SCHEMA}"):
        read_records(with_line(tmp_path, json.dumps(asdict(RECORD) | {"schema": schema})))


def test_a_line_that_is_no_object_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="schema None"):
        read_records(with_line(tmp_path, "[1, 2]"))


# Killed while writing


@pytest.mark.parametrize("kept", [1, 30, -2])
def test_a_half_written_last_line_is_passed_over_and_goes_with_the_next_record(tmp_path, kept):
    append_record(tmp_path, RECORD)
    append_record(tmp_path, replace(RECORD, value=0.6, producer="Zü"))
    path = tmp_path / "records" / "demo_score.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[:first] + whole[first:][:kept])
    assert [r.value for r in read_records(tmp_path)] == [0.5]
    append_record(tmp_path, replace(RECORD, value=0.7))
    assert [r.value for r in read_records(tmp_path)] == [0.5, 0.7]
    assert path.read_bytes().startswith(whole[:first])


def test_a_line_cut_inside_a_letter_is_passed_over(tmp_path):
    append_record(tmp_path, RECORD)
    path = tmp_path / "records" / "demo_score.jsonl"
    path.write_bytes(path.read_bytes() + '{"protocol": "Zü'.encode()[:-1])
    assert read_records(tmp_path) == [RECORD]


def test_a_whole_last_line_without_its_newline_counts_and_gets_one(tmp_path):
    append_record(tmp_path, RECORD)
    path = tmp_path / "records" / "demo_score.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert read_records(tmp_path) == [RECORD]
    append_record(tmp_path, replace(RECORD, value=0.6))
    assert [r.value for r in read_records(tmp_path)] == [0.5, 0.6]


def test_empty_lines_are_nothing(tmp_path):
    assert len(read_records(with_line(tmp_path, "\n"))) == 2


def test_an_impossible_number_by_the_way_of_json_is_not_written_half(tmp_path):
    append_record(tmp_path, RECORD)
    with pytest.raises(TypeError):
        append_record(tmp_path, replace(RECORD, extra={"path": tmp_path}))
    assert len(lines(tmp_path)) == 1


def test_an_evaluator_waits_for_another_that_is_writing(tmp_path):
    """Else it would take the other's half line for one that a kill left, and cut it off."""
    append_record(tmp_path, RECORD)
    code = """
        import sys
        from pathlib import Path
        from cgeval.records import append_record
        from tests.cgeval.test_records import RECORD
        print("ready", flush=True)
        append_record(Path(sys.argv[1]), RECORD)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    with (tmp_path / "records" / "demo_score.jsonl").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        other = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.5)
        assert read_records(tmp_path) == [RECORD]
    assert other.wait() == 0
    other.stdout.close()
    assert read_records(tmp_path) == [RECORD, RECORD]


def test_two_processes_that_add_at_once_lose_nothing(tmp_path):
    code = """
        import sys
        from dataclasses import replace
        from pathlib import Path
        from cgeval.records import append_record
        from tests.cgeval.test_records import RECORD
        for i in range(40):
            append_record(Path(sys.argv[1]), replace(RECORD, metric=f"{sys.argv[2]}{i}", extra={"long": "x" * 20_000}))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    root = Path(__file__).parents[2]
    writers = [subprocess.Popen([*command, name], cwd=root) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len({r.metric for r in read_records(tmp_path)}) == 80


# All or none


SCORE = [replace(RECORD, metric=metric) for metric in ("pixel_accuracy", "class_accuracy", "class_iou")]


def test_the_records_of_a_score_are_added_together(tmp_path):
    append_record(tmp_path, RECORD)
    append_records(tmp_path, SCORE)
    assert read_records(tmp_path) == [RECORD, *SCORE]
    assert len(lines(tmp_path)) == 4


def test_one_impossible_number_keeps_the_others_out(tmp_path):
    with pytest.raises(RecordError, match="only finite numbers"):
        append_records(tmp_path, [*SCORE, replace(RECORD, value=math.nan)])
    with pytest.raises(ValueError, match="unpack"):
        append_records(tmp_path, [RECORD, replace(RECORD, protocol="another")])
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.99])
def test_a_disk_that_fills_up_while_a_score_is_written_leaves_none_of_it(tmp_path, share):
    """The limit on a file's size stands for the disk: a write that reaches it ends in the middle."""
    append_record(tmp_path, RECORD)
    before, score = (sum(len(json.dumps(asdict(r))) + 1 for r in records) for records in ([RECORD], SCORE))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + int(share * score), limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            append_records(tmp_path, SCORE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_records(tmp_path) == [RECORD]
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["demo_score.jsonl"]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_evaluator_that_is_killed_while_it_writes_leaves_none_of_a_score(tmp_path, moment):
    code = """
        import os, signal, sys
        from pathlib import Path
        from cgeval import records
        from tests.cgeval.test_records import RECORD, SCORE
        records.append_record(Path(sys.argv[1]), RECORD)
        setattr(os, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        records.append_records(Path(sys.argv[1]), SCORE)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), moment]
    assert subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    assert read_records(tmp_path) == [RECORD]
    append_records(tmp_path, SCORE)
    assert read_records(tmp_path) == [RECORD, *SCORE]
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["demo_score.jsonl"]


def test_who_reads_while_scores_are_written_sees_whole_ones(tmp_path):
    code = """
        import sys
        from dataclasses import replace
        from pathlib import Path
        from cgeval.records import append_records
        from tests.cgeval.test_records import SCORE
        long = [replace(record, extra={"long": "x" * 50_000}) for record in SCORE]
        for _ in range(30):
            append_records(Path(sys.argv[1]), long)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    seen = set()
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as writer:
        while writer.poll() is None:
            seen.add(len(read_records(tmp_path)))
    assert writer.returncode == 0
    assert {count % 3 for count in seen} == {0}
    assert len(read_records(tmp_path)) == 90
