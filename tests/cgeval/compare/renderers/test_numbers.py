"""CSV, frame and JSON: every number with all its digits, whatever labels hold."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cgeval.compare.comparison import Difference, Number
from cgeval.compare.renderers import as_csv, as_frame, as_json, label_of_csv
from cgeval.compare.renderers.numbers import DTYPES, FORMULA
from tests.cgeval.compare.renderers import comparisons

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SPECIAL = st.text(st.sampled_from("=+-@'\",;\t\r\n ＝a1"), max_size=12)


def lines(comparison):
    return list(csv.DictReader(io.StringIO(as_csv(comparison), newline="")))


def cells(comparison):
    """Table, row, group, metric, number and difference of every cell, in the order of the lines."""
    for table in comparison.tables:
        for row in table.rows:
            for place, group in enumerate(table.groups):
                for metric in group.metrics:
                    if (place, metric) in row.numbers:
                        key = (place, metric)
                        yield table, row, group, metric, row.numbers[key], row.differences.get(key)


def as_text(value):
    return "" if value is None else repr(value)


def test_the_csv_has_a_line_for_every_number_with_all_its_digits():
    comparison = comparisons.rich()
    for line, (table, row, group, metric, number, difference) in zip(lines(comparison), cells(comparison), strict=True):
        assert (line["table"], line["group"], line["protocol"]) == (table.title, group.title, group.protocol)
        assert (label_of_csv(line["row"]), line["kind"], line["metric"]) == (row.label, row.kind, metric)
        assert [line["value"], line["low"], line["high"]] == [
            as_text(v) for v in (number.value, number.low, number.high)
        ]
        assert int(line["n"]) == number.n
        assert [line["best"], line["unsure"]] == [str(number.best).lower(), str(number.unsure).lower()]
        found = [line[name] for name in ("difference", "difference_low", "difference_high", "p_value", "holm")]
        of = difference or Difference(None, None, None, None, None)
        assert found == [as_text(value) for value in (of.value, of.low, of.high, of.p_value, of.holm)]


def test_the_csv_says_where_a_number_is_from_and_by_which_choices():
    (line, *_) = (line for line in lines(comparisons.rich()) if line["row"] == "Gatys, starry night")
    assert (line["run"], line["image_set"], line["direction"]) == ("camvid-gatys", "test_AtoB-starry", "AtoB")
    assert line["index_sha256"] == comparisons.STARRY.sets["AtoB"].index_sha256
    assert json.loads(line["convention"]) == comparisons.BY_SCORER


def test_what_stands_beside_a_record_has_no_run():
    (line, *_) = lines(comparisons.rich())
    assert (line["row"], line["run"], line["image_set"], line["index_sha256"]) == ("real images", "", "", "")


def test_the_csv_is_as_rfc_4180_has_it():
    text = as_csv(comparisons.labelled('a "b"', "a\nb"))
    assert text.endswith("\r\n")
    assert text.splitlines()[0] == ",".join(DTYPES)
    assert '"a ""b"""' in text
    assert '"a\nb"' in text


@settings(max_examples=50, deadline=None)
@given(st.lists(ANY | SPECIAL, min_size=1, max_size=3))
@example(["=1+1", "'=1+1", "''=1", "-1", "'", "", "\r", "\x00"])
def test_any_label_comes_back(labels):
    found = lines(comparisons.labelled(*labels))
    assert {len(line) for line in found} == {len(DTYPES)}
    assert [label_of_csv(line["row"]) for line in found[3::3]] == labels


@settings(max_examples=50, deadline=None)
@given(ANY | SPECIAL)
@example("=cmd|' /C calc'!A0")
def test_no_text_of_the_csv_is_a_formula_for_a_spreadsheet(label):
    for line in lines(comparisons.labelled(label, title=label)):
        assert not any(line[name].startswith(FORMULA) for name, kind in DTYPES.items() if kind == "string")


def test_negative_numbers_of_the_csv_are_numbers():
    (line, *_) = (line for line in lines(comparisons.rich()) if line["row"] == "Gatys, starry night")
    assert float(line["difference"]) < 0


def test_a_name_that_is_no_utf8_can_be_written():
    label = b"caf\xe9".decode("utf-8", "surrogateescape")
    comparison = comparisons.labelled(label)
    assert lines(comparison)[-1]["row"] == "caf\ufffd"
    as_csv(comparison).encode()
    text = as_json(comparison)
    text.encode()
    assert json.loads(text)["tables"][0]["rows"][1]["label"] == label


def test_the_frame_has_the_columns_of_the_csv_with_types():
    frame = as_frame(comparisons.rich())
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == dict(DTYPES)
    assert len(frame) == len(lines(comparisons.rich()))
    assert set(frame["row"]) >= {comparisons.FORMULA, comparisons.WIDE}
    assert frame["holm"].isna().sum() == sum(line["holm"] == "" for line in lines(comparisons.rich()))


def test_pandas_reads_the_csv_as_the_frame():
    pandas = pytest.importorskip("pandas")
    comparison = comparisons.labelled("a\tb", "NA", "é, “画”")
    found = pandas.read_csv(io.StringIO(as_csv(comparison)), dtype=dict(DTYPES), keep_default_na=False, na_values=[""])
    pandas.testing.assert_frame_equal(found, as_frame(comparison))


def test_the_frame_of_nothing_has_types_too():
    empty = as_frame(replace(comparisons.rich(), tables=()))
    assert len(empty) == 0
    assert {name: str(kind) for name, kind in empty.dtypes.items()} == dict(DTYPES)


def test_json_has_every_number_record_and_difference():
    comparison = comparisons.rich()
    content = json.loads(as_json(comparison))
    for table, told in zip(comparison.tables, content["tables"], strict=True):
        for row, shown in zip(table.rows, told["rows"], strict=True):
            assert (shown["label"], shown["kind"], shown["note"]) == (row.label, row.kind, row.note)
            numbers = {(each.pop("group"), each.pop("metric")): each for each in shown["numbers"]}
            records = {key: each.pop("record") for key, each in numbers.items()}
            assert {key: Number(**each) for key, each in numbers.items()} == {
                key: replace(cell, record=None) for key, cell in row.numbers.items()
            }
            assert records == {key: cell.record and vars(cell.record) for key, cell in row.numbers.items()}
            differences = {(each.pop("group"), each.pop("metric")): each for each in shown["differences"]}
            assert {key: Difference(**each) for key, each in differences.items()} == row.differences


def test_json_has_the_rest_too():
    comparison = comparisons.rich()
    content = json.loads(as_json(comparison))
    assert (content["schema"], content["split"], content["main"]) == (1, "test", "CycleGAN")
    assert content["dataset"] == comparison.dataset
    assert content["dataset_path"] == "data/camvid"
    assert content["notes"] == list(comparison.notes)
    (first, *_) = content["subjects"]
    assert (first["label"], first["run"]["path"], first["run"]["method"]) == ("CycleGAN", "runs/camvid", "cyclegan")
    assert first["image_sets"]["BtoA"]["index_sha256"] == comparisons.MAIN.sets["BtoA"].index_sha256
    group = content["tables"][0]["groups"][3]
    assert (group["metrics"], group["higher_is_better"]) == (["reconstruction_l1"], False)
    assert group["size_px"] == [128, 128]


def test_numbers_of_numpy_and_mappings_of_any_kind_are_written():
    comparison = comparisons.plain()
    (table,) = comparison.tables
    number = Number(np.float64(0.25), np.int64(3), best=np.bool_(True))
    row = replace(table.rows[0], numbers=MappingProxyType({(0, "class_iou"): number}))
    group = replace(table.groups[0], convention=MappingProxyType({"distance": "L2", "seed": np.int64(1)}))
    odd = replace(comparison, tables=(replace(table, rows=(row,), groups=(group,)),))
    assert isinstance(row.numbers, Mapping)
    (cell,) = json.loads(as_json(odd))["tables"][0]["rows"][0]["numbers"]
    assert (cell["value"], cell["n"], cell["best"]) == (0.25, 3, True)
    (line,) = lines(odd)
    assert (line["value"], line["n"], line["best"]) == ("0.25", "3", "true")
    assert json.loads(line["convention"]) == {"distance": "L2", "seed": 1}


def test_a_number_that_is_none_is_refused():
    comparison = comparisons.plain()
    (table,) = comparison.tables
    row = replace(table.rows[0], numbers={(0, "class_iou"): Number(float("nan"), 3)})
    with pytest.raises(ValueError, match="nan"):
        as_json(replace(comparison, tables=(replace(table, rows=(row,)),)))
