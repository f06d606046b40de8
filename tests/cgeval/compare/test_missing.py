"""Which scores are missing, held against the main run, and by which command they come."""

import json
from dataclasses import replace

from cgeval.compare.gather import missing_scores
from cgeval.compare.measures import Wanted
from cgeval.compare.missing import missing_lines
from cgeval.compare.subjects import find_subjects, runs_of_one_dataset
from cgeval.records import append_records
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import IDS, LATE, a_run, add_set, score, seal_again


def lacking(runs, wanted=None):
    found = missing_scores(find_subjects(runs, "test", None), *([wanted] if wanted else []))
    return [(each.subject.label, each.direction) for each in found]


def with_facts(run, **facts):
    """The run of a dataset of which run.json says something else."""
    file = run.path / "run.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"dataset": content["dataset"] | facts}))
    return Run.open(run.path)


def test_in_a_town_where_all_is_scored_nothing_is_missing(town):
    assert lacking(runs_of_one_dataset((), town.runs, None)) == []


def test_what_has_no_score_and_what_has_one_of_replaced_images_is_missing(tmp_path):
    main, new, old = a_run(tmp_path / "main"), a_run(tmp_path / "new", "new"), a_run(tmp_path / "old", "old")
    for run in (main, old):
        for name in ("test_AtoB", "test_BtoA"):
            score(run, name)
    seal_again(old)
    assert lacking([main, new, old]) == [("new", "AtoB"), ("old", "AtoB"), ("new", "BtoA")]


def test_a_score_by_another_scorer_is_missing_and_the_command_names_mains(tmp_path):
    main, other = (a_run(tmp_path / name, name, directions=("AtoB",)) for name in ("cyclegan", "pix2pix"))
    score(main, scorer="big", convention="reference")
    score(other)
    (each,) = missing_scores(find_subjects([main, other], "test", None))
    options = ("--direction", "ab", "--scorer", "big", "--convention", "reference", "--protocol", "scorer-size")
    assert each.command == ("cgeval", "fcn-score", str(other.path), *options)
    (line,) = missing_lines([each], "CycleGAN")
    assert line.startswith("pix2pix: no score labels -> photo as CycleGAN has it; `cgeval fcn-score ")


def test_a_score_over_fewer_images_is_not_missing_because_scoring_again_would_change_nothing(tmp_path):
    main, few = (
        a_run(tmp_path / "main", directions=("AtoB",)),
        a_run(tmp_path / "few", "x", directions=("AtoB",), ids=IDS[:3]),
    )
    score(main)
    score(few)
    assert lacking([main, few]) == []


def test_main_without_a_score_lacks_its_own_and_so_do_the_others(tmp_path):
    runs = [a_run(tmp_path / name, name, directions=("AtoB",)) for name in ("cyclegan", "pix2pix")]
    assert lacking(runs) == [("CycleGAN", "AtoB"), ("pix2pix", "AtoB")]
    (first, _) = missing_scores(find_subjects(runs, "test", None))
    assert first.measure is None
    assert first.command == ("cgeval", "fcn-score", str(runs[0].path), "--direction", "ab")
    score(runs[1])
    assert lacking(runs) == [("CycleGAN", "AtoB")]


def test_a_direction_that_main_lacks_is_not_asked_for(tmp_path):
    main, both = a_run(tmp_path / "main", directions=("AtoB",)), a_run(tmp_path / "both", "x")
    score(main)
    score(both)
    assert lacking([main, both]) == []


def test_choices_that_are_not_the_usual_are_in_the_command_as_options(tmp_path):
    main, other = (a_run(tmp_path / name, name, directions=("BtoA",)) for name in ("cyclegan", "other"))
    score(main, "test_BtoA")
    (usual,) = missing_scores(find_subjects([main, other], "test", None))
    assert usual.command[3:] == ("--direction", "ba")
    for record in score(main, "test_BtoA"):
        choices = {"colours": "all", "distance": "L1", "classified at": "truth size"}
        append_records(main.path, [replace(record, convention=record.convention | choices)])
    (each,) = missing_scores(find_subjects([main, other], "test", None))
    assert each.command[5:] == ("--palette", "all", "--distance", "L1", "--classified-at", "truth")


def test_what_is_wanted_and_nobody_has_is_in_the_command(tmp_path):
    run = a_run(tmp_path / "r", directions=("AtoB",))
    score(run)
    wanted = Wanted("big", "paper", "reference")
    (each,) = missing_scores(find_subjects([run], "test", None), wanted)
    options = ("--scorer", "big", "--protocol", "paper", "--convention", "reference")
    assert (each.measure, each.command[5:]) == (None, options)


def test_without_labels_nothing_is_missing_and_of_unpaired_photos_only_one_direction(tmp_path):
    without = with_facts(a_run(tmp_path / "a"), label_domain=None, label_set=None)
    assert lacking([without]) == []
    unpaired = with_facts(a_run(tmp_path / "b"), paired=False)
    assert lacking([unpaired]) == [("CycleGAN", "AtoB")]
    reverse = with_facts(a_run(tmp_path / "c"), paired=False, label_domain="B")
    assert lacking([reverse]) == [("CycleGAN", "BtoA")]


def test_a_score_that_is_asked_for_is_missing_where_main_has_only_another(tmp_path):
    runs = [a_run(tmp_path / name, name, directions=("AtoB",)) for name in ("cyclegan", "pix2pix")]
    for run in runs:
        score(run)
    score(runs[0], scorer="big", at=LATE)
    assert lacking(runs) == [("pix2pix", "AtoB")]
    assert lacking(runs, Wanted(scorer="camvid")) == []


def test_variants_of_a_run_are_made_by_one_command_and_told_in_one_sentence(tmp_path):
    main, gatys = a_run(tmp_path / "main", directions=("AtoB",)), a_run(tmp_path / "g", "gatys", directions=())
    score(main)
    for variant in ("one", "two"):
        add_set(gatys, variant=variant)
    (line,) = missing_lines(missing_scores(find_subjects([main, gatys], "test", None)), "CycleGAN")
    assert line.startswith("Gatys, one and Gatys, two: no score labels -> photo")


def test_another_split_is_named_in_the_command(tmp_path):
    run = a_run(tmp_path / "r", directions=())
    add_set(run, split="val")
    (each,) = missing_scores(find_subjects([run], "val", None))
    assert each.command[-2:] == ("--split", "val")
