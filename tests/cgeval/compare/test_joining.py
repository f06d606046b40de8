"""Two runs of a method that knows one direction are one row; what does not belong together stays apart."""

import json

import pytest

from cgeval.compare.gather import compare
from cgeval.compare.joining import joined_lines
from cgeval.compare.subjects import find_subjects, other_sets
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import LATE, a_run, add_set, add_study, score, seal_again


@pytest.fixture
def half(tmp_path):
    """A function that makes a run with one direction, by these settings."""

    def make(name, way, method="pix2pix", producer="me", **settings):
        run = a_run(tmp_path / name, method, directions=(way,))
        file, facts = run.path / "run.json", {"producer": {"name": producer}}
        file.write_text(json.dumps(json.loads(file.read_text()) | facts | {"settings": {"direction": way, **settings}}))
        return Run.open(run.path)

    return make


def rows(*runs, main=None):
    return {
        subject.label: {way: subject.run_of(way).path.name for way in subject.sets}
        for subject in find_subjects(runs, "test", main)
    }


def test_two_runs_of_pix2pix_are_one_row_whatever_they_are_called_and_in_whichever_order(half, tmp_path):
    runs = [half("later", "BtoA"), a_run(tmp_path / "main"), half("first", "AtoB")]
    for order in (runs, runs[::-1]):
        found = rows(*order)
        assert found["pix2pix"] == {"AtoB": "first", "BtoA": "later"}
        assert list(found) == ["CycleGAN", "pix2pix"]


def test_the_main_row_is_of_two_runs_too(half, tmp_path):
    runs = [half("there", "AtoB"), half("back", "BtoA"), a_run(tmp_path / "other")]
    first, other = find_subjects(runs, "test", tmp_path / "back")
    assert (first.kind, first.label, first.run.path.name) == ("main", "pix2pix", "back")
    assert list(first.sets) == ["AtoB", "BtoA"]
    assert other.label == "CycleGAN"


@pytest.mark.parametrize("method", ["cyclegan", "CoGAN", "gatys"])
def test_runs_that_could_have_both_directions_are_not_put_together(half, method):
    assert len(rows(half("there", "AtoB", method), half("back", "BtoA", method))) == 2


def test_a_run_with_both_directions_needs_no_other(half, tmp_path):
    assert len(rows(a_run(tmp_path / "both", "pix2pix"), half("back", "BtoA"))) == 2


def test_of_several_those_that_were_made_alike_belong_together(half):
    found = rows(
        half("a0", "AtoB", seed=0), half("a1", "AtoB", seed=1), half("b1", "BtoA", seed=1), half("b2", "BtoA", seed=2)
    )
    assert found["pix2pix (a1 and b1)"] == {"AtoB": "a1", "BtoA": "b1"}
    assert sorted(found) == ["pix2pix (a0)", "pix2pix (a1 and b1)", "pix2pix (b2)"]


def test_of_three_that_were_made_alike_nobody_knows_which_belong_together(half):
    found = rows(*(half(name, way) for name, way in (("a", "AtoB"), ("again", "AtoB"), ("back", "BtoA"))))
    assert len(found) == 3


def test_numbers_of_each_run_stand_in_the_columns_of_its_direction(half, tmp_path):
    main, there, back = a_run(tmp_path / "main"), half("there", "AtoB"), half("back", "BtoA")
    for run in (main, there, back):
        for image_set in run.image_sets():
            score(run, image_set.name)
    study = add_study(tmp_path / "studies" / "s", [(main, "test_BtoA", 0.2), (back, "test_BtoA", 0.3)])
    made = compare(find_subjects([main, there, back], "test", None), "test", study=study)
    (row,) = [row for row in made.tables[0].rows if row.label == "pix2pix"]
    by_group = [group.direction for group in made.tables[0].groups]
    ids = {by_group[place]: number.record.run_id for (place, _), number in row.numbers.items()}
    assert ids == {"AtoB": there.info.run_id, "BtoA": back.info.run_id}
    assert len(row.numbers) == 7
    assert len(row.differences) == 6
    assert made.notes == ()


def test_what_is_gone_missing_or_older_is_told_of_the_right_run(half, tmp_path):
    main, there, back = a_run(tmp_path / "main"), half("there", "AtoB"), half("back", "BtoA")
    for run in (main, there, back):
        for image_set in run.image_sets():
            score(run, image_set.name)
    seal_again(back, "test_BtoA")
    notes = compare(find_subjects([main, there, back], "test", None), "test").notes
    assert [note for note in notes if f"cgeval fcn-score {back.path} --direction ba" in note]
    assert [note for note in notes if note.startswith(f"pix2pix: 3 numbers in {back.path} (label-score) left out")]
    assert len(notes) == 2


def test_an_older_set_of_either_run_is_known(half):
    there, back = half("there", "AtoB"), half("back", "BtoA")
    old = back.image_set("test_BtoA")
    seal = add_set(back, "BtoA", split="test", variant="x")
    file = back.path / "images" / seal / "set.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"extra": {}, "created_at": LATE.replace("2026", "3026")})
    )
    (subject,) = find_subjects([there, back], "test", None)
    assert other_sets(subject) == [old]


def test_two_runs_that_were_not_made_alike_are_told(half):
    there = half("there", "AtoB", producer="cyclegan", seed=0, data={"path": "/a"}, networks={"width": 64})
    back = half("back", "BtoA", producer="cyclegan", seed=1, data={"path": "/b"}, networks={"width": 32})
    (line,) = joined_lines(find_subjects([there, back], "test", None))
    assert line == (f"pix2pix is of two runs, {there.path} and {back.path}, made with another seed, networks.width.")


@pytest.mark.parametrize(("producer", "told"), [("cyclegan", []), ("cgeval adopt", ["program"])])
def test_two_runs_that_were_made_alike_are_not_news(half, producer, told):
    runs = [half("there", "AtoB", producer="cyclegan", source="x"), half("back", "BtoA", producer=producer, source="y")]
    lines = joined_lines(find_subjects(runs, "test", None))
    assert [line.rpartition("another ")[2].rstrip(".") for line in lines] == told
