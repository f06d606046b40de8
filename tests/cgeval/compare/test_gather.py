"""A whole comparison: its numbers are those of another way of computing, and no run changes what stands of another."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cgeval.compare.differences import RESAMPLES
from cgeval.compare.gather import compare, find_subjects, runs_of_one_dataset
from cgeval.errors import DataError
from cgeval.matrices import Matrices, write_matrices
from cgeval.records import Record, append_records
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import (
    IDS,
    OTHER_IDS,
    a_run,
    add_study,
    matrices_of,
    reconstruct,
    score,
    seal_again,
    write_streets,
)


def compared(*runs, **how):
    return compare(find_subjects(runs, "test", None), "test", **how)


def all_of(town):
    return runs_of_one_dataset((), town.runs, None)


def rows_of(comparison):
    return {row.label: row for row in comparison.tables[0].rows}


# The same numbers by another way


def plain_scores(counts):
    """Pixel accuracy, class accuracy and class IoU of one int [K + 1, K + 1], class by class, as they are defined."""
    classes = range(len(counts) - 1)
    scored = sum(counts[t][p] for t in classes for p in range(len(counts)))
    right = sum(counts[t][t] for t in classes)
    accuracies, ious = [], []
    for t in classes:
        true = sum(counts[t])
        predicted = sum(counts[u][t] for u in classes)
        if true:
            accuracies.append(counts[t][t] / true)
        if true + predicted - counts[t][t]:
            ious.append(counts[t][t] / (true + predicted - counts[t][t]))
    return right / scored, sum(accuracies) / len(accuracies), sum(ious) / len(ious)


def test_numbers_and_differences_are_those_of_a_plain_computation_image_by_image(town, monkeypatch):
    monkeypatch.setattr("cgeval.compare.differences.RESAMPLES", 400)
    rows = rows_of(compared(*all_of(town)))
    kept = {}
    for name in ("streets", "pix2pix"):
        (file,) = (town.runs / name / "records" / "matrices").glob("fcn-*")
        with np.load(file) as content:
            assert content["names"][0] == "run"
            kept[name] = content["matrices0"]
    ours, theirs = kept["pix2pix"], kept["streets"]
    expected = np.array(plain_scores(ours.sum(axis=0).tolist()))
    assert [number.value for number in rows["pix2pix"].numbers.values()][:3] == pytest.approx(expected)
    draws = np.random.default_rng(0).integers(len(IDS), size=(400, len(IDS)))
    drawn = np.array(
        [
            np.subtract(plain_scores(ours[d].sum(axis=0).tolist()), plain_scores(theirs[d].sum(axis=0).tolist()))
            for d in draws
        ]
    )
    for i, difference in enumerate([*rows["pix2pix"].differences.values()][:3]):
        assert difference.value == pytest.approx(expected[i] - plain_scores(theirs.sum(axis=0).tolist())[i])
        assert (difference.low, difference.high) == pytest.approx(tuple(np.quantile(drawn[:, i], [0.025, 0.975])))
        tail = 1 + min((drawn[:, i] <= 0).sum(), (drawn[:, i] >= 0).sum())
        assert difference.p_value == pytest.approx(min(1, 2 * tail / 401))


def test_holm_is_over_all_differences_of_the_table(whole):
    differences = [each for row in rows_of(whole).values() for each in row.differences.values()]
    assert len(differences) == 6 + 3 * 3 + 4 * 6  # pix2pix both ways, Gatys in three styles, ablations both ways
    p_values = np.array([each.p_value for each in differences])
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate((len(order) - np.arange(len(order))) * p_values[order]))
    assert [each.holm for each in differences] == pytest.approx(adjusted)


def test_fifty_differences_can_still_be_told_from_0():
    assert 2 / (RESAMPLES + 1) * 50 < 0.05


# No run changes what stands of another


def without_holm(row):
    return replace(row, differences={key: replace(each, holm=None) for key, each in row.differences.items()})


def test_the_order_of_runs_decides_the_order_of_rows_and_nothing_else(town, whole):
    there, back = whole, compared(*reversed(all_of(town)))
    assert {row.label: row for row in there.tables[0].rows} == {row.label: row for row in back.tables[0].rows}
    assert there.main == back.main == "CycleGAN"
    assert [row.label for row in there.tables[0].rows] != [row.label for row in back.tables[0].rows]
    assert there.tables[0].groups == back.tables[0].groups


@pytest.mark.parametrize("left_out", ["gatys", "gan_alone"])
def test_a_run_more_changes_no_number_of_another_but_holm(town, whole, left_out):
    full = rows_of(whole)
    less = rows_of(compared(*(run for run in all_of(town) if run.path.name != left_out)))
    for label, row in less.items():
        unmarked = [
            replace(without_holm(each), numbers={key: replace(n, best=False) for key, n in each.numbers.items()})
            for each in (row, full[label])
        ]
        assert unmarked[0] == unmarked[1]
    fewer = [each.holm for row in less.values() for each in row.differences.values()]
    more = [full[label].differences[key].holm for label, row in less.items() for key in row.differences]
    assert all(ours <= theirs for ours, theirs in zip(fewer, more, strict=True))
    assert fewer != more


def test_comparing_again_gives_the_same_and_writes_nothing(town, whole):
    before = {path: path.stat().st_mtime_ns for path in town.folder.rglob("*")}
    assert compared(*all_of(town)) == whole
    assert {path: path.stat().st_mtime_ns for path in town.folder.rglob("*")} == before


def test_a_run_may_be_copied_and_moved(town, whole, tmp_path):
    shutil.copytree(town.runs, tmp_path / "elsewhere" / "runs")
    shutil.copytree(town.folder / "studies", tmp_path / "elsewhere" / "studies")
    (tmp_path / "elsewhere" / "runs" / "streets").rename(tmp_path / "elsewhere" / "runs" / "renamed")
    moved = runs_of_one_dataset((), tmp_path / "elsewhere" / "runs", None)
    assert rows_of(compared(*moved)) == rows_of(whole)


# What a comparison says besides


def test_what_is_compared_and_where_the_dataset_is(town, whole, tmp_path):
    assert (whole.name, whole.split, whole.main) == ("streets", "test", "CycleGAN")
    assert whole.dataset_path == town.dataset
    homeless = a_run(tmp_path / "r", dataset="gone")
    assert compared(homeless).dataset_path is None
    assert compared(homeless, dataset=tmp_path).dataset_path == tmp_path


def test_published_tables_come_last_and_only_on_demand(tmp_path):
    run = a_run(tmp_path / "r")
    plain, more = compared(run), compared(run, published=True)
    assert more.tables[: len(plain.tables)] == plain.tables
    assert all("printed in" in table.title for table in more.tables[len(plain.tables) :])
    assert len(more.tables) - len(plain.tables) == 4


def test_in_a_town_where_all_is_well_there_is_nothing_to_note(whole):
    assert whole.notes == ()


def test_what_is_missing_is_noted_with_the_command_that_makes_it(tmp_path):
    main, other = a_run(tmp_path / "main"), a_run(tmp_path / "other", "other")
    score(main)
    options = ("--direction ab --scorer camvid --protocol scorer-size", "--direction ba", "--direction ba")
    assert compared(main, other).notes == (
        f"other: no score labels -> photo as CycleGAN has it; `cgeval fcn-score {other.path} {options[0]}` makes it.",
        f"CycleGAN: no score photo -> labels; `cgeval fcn-score {main.path} {options[1]}` makes it.",
        f"other: no score photo -> labels; `cgeval fcn-score {other.path} {options[2]}` makes it.",
    )


def test_numbers_of_replaced_images_are_left_out_and_noted(tmp_path):
    main, other = (a_run(tmp_path / name, name, directions=("AtoB",)) for name in ("cyclegan", "other"))
    for run in (main, other):
        score(run)
    seal_again(other)
    comparison = compared(main, other)
    assert not rows_of(comparison)["other"].numbers
    lacking, gone = comparison.notes
    assert lacking.startswith("other: no score")
    assert gone.startswith("other: 3 numbers in ")
    assert gone.endswith("(fcn-score-scorer-size) left out, of images of test_AtoB that have been replaced since.")


def test_a_fooling_rate_of_replaced_images_is_noted_too(tmp_path):
    run = a_run(tmp_path / "runs" / "r", directions=("AtoB",))
    add_study(tmp_path / "studies" / "s", [(run, "test_AtoB", 0.3)])
    seal_again(run)
    score(run)
    (note,) = compared(run).notes
    assert note.startswith(f"CycleGAN: 1 number in {tmp_path}/studies/s (fooling-zhu2017) left out")


def test_numbers_that_were_measured_again_are_counted(tmp_path):
    run = a_run(tmp_path / "r", directions=("AtoB",))
    for skill in (0.3, 0.4, 0.5):
        score(run, skill=skill)
    assert compared(run).notes == ("Older numbers of the same images, which newer ones replace: 6 of CycleGAN.",)


def test_matrices_that_are_gone_are_noted_and_the_number_still_stands(tmp_path):
    main, other = (a_run(tmp_path / name, name, directions=("AtoB",)) for name in ("cyclegan", "other"))
    for run in (main, other):
        score(run)
    (file,) = (other.path / "records" / "matrices").iterdir()
    file.unlink()
    comparison = compared(main, other)
    row = rows_of(comparison)["other"]
    assert len(row.numbers) == 3
    assert not row.differences
    (note,) = comparison.notes
    assert note.startswith("other, labels -> photo: the matrices behind its score are gone")


def test_a_partial_set_is_noted(tmp_path):
    run = a_run(tmp_path / "r", directions=("AtoB",))
    seal = run.path / "images" / "test_AtoB" / "set.json"
    content = json.loads(seal.read_text())
    seal.write_text(json.dumps(content | {"extra": {"missing_count": 3, "split_count": 11}}))
    score(run)
    assert compared(Run.open(run.path)).notes == ("CycleGAN: test_AtoB lacks 3 of the 11 images of its split.",)


def test_of_images_without_labels_the_next_step_is_told(tmp_path):
    run = a_run(tmp_path / "runs" / "r")
    file = run.path / "run.json"
    told = json.loads(file.read_text())
    del told["dataset"]["label_domain"], told["dataset"]["label_set"]
    file.write_text(json.dumps(told))
    (note,) = compared(Run.open(run.path)).notes
    assert f"cyclegan reconstruct {run.path}" in note
    assert "study-server" in note
    reconstruct(run)
    assert not compared(Run.open(run.path)).notes


# What is refused


def test_a_study_of_other_images_is_refused(tmp_path):
    run, other = a_run(tmp_path / "runs" / "r"), a_run(tmp_path / "runs" / "o", "o", ids=OTHER_IDS)
    study = add_study(tmp_path / "elsewhere" / "s", [(other, "test_AtoB", 0.3)])
    with pytest.raises(DataError, match="judges other images than are compared"):
        compared(run, study=study)
    assert compared(run, other, study=study).tables[-1].groups[0].metrics == ("fooling_rate",)


def test_equal_truths_under_other_ids_are_shown_and_not_paired(tmp_path):
    main, other = a_run(tmp_path / "main"), a_run(tmp_path / "other", "other", ids=OTHER_IDS)
    convention = score(main)[0].convention
    file = write_matrices(other.path, "again", {"run": Matrices(OTHER_IDS, matrices_of(IDS, 0.6, "b"))})
    for record in score(other):
        changes = {"convention": convention, "extra": record.extra | {"matrices": file}}
        append_records(other.path, [Record(**vars(record) | changes)])
    first = compared(main, other).tables[0]
    assert any("ids pair images" in note for note in first.footnotes)
    assert all(row.numbers and not row.differences for row in first.rows if row.label == "other")


# The house


def test_nothing_heavy_is_imported():
    code = "import cgeval.compare.gather, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "torchvision", "scipy", "pandas", "matplotlib", "jinja2"} & set(loaded)


def test_records_by_hand_have_the_form_of_those_that_a_score_writes(tmp_path):
    from cgeval.protocols.fcn_score import fcn_score
    from cgeval.protocols.planning import Choices
    from cgeval.protocols.results import write_results
    from cgeval.protocols.scoring import Sampling

    run = a_run(tmp_path / "r", dataset=write_streets(tmp_path / "streets"), directions=("BtoA",))
    (by_score,) = fcn_score(run, Choices(direction="ba", sanity=True), Sampling(), device="cpu")
    real, made = write_results(by_score), score(run, "test_BtoA", sanity=True)
    for ours, theirs in zip(made, real, strict=True):
        assert (ours.protocol, ours.metric, ours.n) == (theirs.protocol, theirs.metric, theirs.n)
        assert ours.convention.keys() == theirs.convention.keys()
        assert ours.extra.keys() == theirs.extra.keys()
        assert ours.extra["beside"].keys() == theirs.extra["beside"].keys()
        assert ours.extra["by_class"].keys() == theirs.extra["by_class"].keys()
        assert {type(value) for value in ours.extra.values()} == {type(value) for value in theirs.extra.values()}
    assert compared(run).tables[0].groups[0].title == "photo -> labels"
