"""What papers print is copied right, as fractions, with its place, and marked as printed elsewhere."""

import tomllib
from pathlib import Path

import pytest

from cgeval.compare.published import FILE, published_tables
from cgeval.metrics import METRICS

DESIGN = Path(__file__).resolve().parents[4] / "shared" / "design" / "published.toml"


def value(table, label, place, metric):
    (row,) = [row for row in table.rows if row.label == label]
    return row.numbers[place, metric]


def test_there_is_a_table_for_people_for_scores_for_ablations_and_for_pix2pix():
    people, scores, ablations, isola = published_tables()
    assert [len(table.groups) for table in (people, scores, ablations, isola)] == [2, 2, 2, 1]
    assert [group.metrics for group in people.groups] == [("fooling_rate",)] * 2
    assert {group.metrics for table in (scores, ablations, isola) for group in table.groups} == {METRICS}


def test_titles_say_where_it_is_printed_and_that_it_is_no_comparison():
    for table, words in zip(
        published_tables(),
        (
            "arXiv 1703.10593, table 1;",
            "arXiv 1703.10593, tables 2 and 3;",
            "arXiv 1703.10593, tables 4 and 5;",
            "arXiv 1611.07004v3, table 1;",
        ),
        strict=True,
    ):
        assert words in table.title
        judge = "other participants" if table.groups[0].metrics == ("fooling_rate",) else "another scorer"
        assert table.title.endswith(f"other images, {judge}: not to be compared digit by digit")


def test_some_numbers_that_everybody_knows():
    people, scores, ablations, isola = published_tables()
    fooled = value(people, "CycleGAN", 0, "fooling_rate")
    assert (fooled.value, fooled.low, fooled.high) == pytest.approx((0.268, 0.240, 0.296))
    assert [value(scores, "CycleGAN", 0, metric).value for metric in METRICS] == [0.52, 0.17, 0.11]
    assert [value(scores, "pix2pix", 1, metric).value for metric in METRICS] == [0.85, 0.40, 0.32]
    assert [value(ablations, "GAN alone", 0, metric).value for metric in METRICS] == [0.51, 0.11, 0.08]
    assert [value(isola, "Ground truth", 0, metric).value for metric in METRICS] == [0.80, 0.26, 0.21]


def test_every_row_is_printed_and_nothing_in_it_competes_or_has_a_record():
    for table in published_tables():
        for row in table.rows:
            assert row.kind == "published"
            assert not row.differences
            assert len(row.numbers) == sum(len(group.metrics) for group in table.groups)
            for (place, _), number in row.numbers.items():
                assert (number.best, number.record) == (False, None)
                assert number.n == table.groups[place].n
                assert 0 <= number.value <= 1
                assert (number.interval is None) == (number.low is None)


def test_sizes_and_counts_are_said():
    people, scores, _, isola = published_tables()
    assert {group.n for group in people.groups} == {25}
    assert {group.n for group in (*scores.groups, *isola.groups)} == {500}
    assert [table.groups[0].size_px for table in (people, scores, isola)] == [(256, 256), (128, 128), (256, 256)]
    assert "25 participants" in people.groups[0].facts["over"]
    assert [group.convention["table"] for group in scores.groups] == ["2", "3"]


def test_the_one_number_that_was_read_in_one_place_only_is_marked():
    unsure = [
        (table.groups[place].convention["table"], row.label, metric)
        for table in published_tables()
        for row in table.rows
        for (place, metric), number in row.numbers.items()
        if number.unsure
    ]
    assert unsure == [("5", "GAN + forward cycle", "class_iou")]


def test_what_is_said_to_be_unsure_is_there():
    for table in tomllib.loads(FILE.read_text())["table"]:
        for row in table["row"]:
            for place, metric in row.get("unsure", []):
                assert place < len(table["groups"])
                assert metric in table["metrics"]


def test_it_is_what_the_design_has():
    if not DESIGN.is_file():
        pytest.skip("no design beside the checkout")
    design = tomllib.loads(DESIGN.read_text())
    people, scores, ablations, isola = published_tables()
    for table, place, facts in (
        (scores, 0, design["cyclegan"]["table2_fcn_labels_to_photo"]),
        (scores, 1, design["cyclegan"]["table3_photo_to_labels"]),
        (ablations, 0, design["cyclegan"]["table4_ablation_labels_to_photo"]),
        (ablations, 1, design["cyclegan"]["table5_ablation_photo_to_labels"]),
        (isola, 0, design["pix2pix"]["table1_fcn_labels_to_photo"]),
    ):
        assert {row.label for row in table.rows} == set(facts)
        assert {label: [value(table, label, place, metric).value for metric in METRICS] for label in facts} == facts
    rates = design["cyclegan"]["table1_amt_maps"]
    for label, percents in list(rates.items())[1:]:
        for place in (0, 1):
            number = value(people, label, place, "fooling_rate")
            assert 100 * number.value == pytest.approx(percents[2 * place])
            assert 50 * (number.high - number.low) == pytest.approx(percents[2 * place + 1])
