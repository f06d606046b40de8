"""Every run is measured as the main run is: what has such a score is left alone, what has none gets one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cgeval.compare.gather import Wanted, find_subjects, missing_scores
from cgeval.compare.making.scoring import Candidate, Measuring, Wish, measuring
from cgeval.compare.making.trained import SHORT, sealed_sets
from cgeval.errors import WeightsError
from cgeval.records import read_records
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import LATE, a_run, add_set, reconstruct, score, seal_again, write_streets
from tests.cgeval.compare.stand_in import scored
from tests.cgeval.protocols.streets import write_header


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """streets/ with label maps, runs/main without a score, scorers/camvid."""
    monkeypatch.chdir(tmp_path)
    write_streets(tmp_path / "streets")
    write_header(tmp_path / "scorers" / "camvid")
    a_run(Path("runs/main"), dataset=tmp_path / "streets")
    return tmp_path


def candidate(path: str, **changes: object) -> Candidate:
    run = Run.open(Path(path))
    return replace(Candidate(run.path, run.info.dataset, sealed_sets(run.path, "test")), **changes)


def plan(*others: Candidate, **named: object) -> Measuring:
    return measuring([candidate("runs/main")], others, "test", Wish(**named))


def typed(found: Measuring) -> list[str]:
    return [" ".join(step.command) for step in found.steps]


BOTH = "cgeval fcn-score runs/{} --split test --scorer scorers/camvid --protocol scorer-size"
AB = "cgeval fcn-score runs/{} --split test --direction ab --scorer scorers/camvid --protocol scorer-size"
BA = "cgeval fcn-score runs/{} --split test --direction ba"


# What is scored


def test_the_main_run_comes_first_by_the_scorer_that_is_at_hand_and_both_ways():
    a_run(Path("runs/other"), "pix2pix", directions=("AtoB",))
    assert typed(plan(candidate("runs/other"))) == [
        BOTH.format("main") + " --convention cityscapes",
        AB.format("other") + " --convention cityscapes",
    ]


def test_what_has_a_score_is_left_alone_and_no_scorer_is_looked_for(place):
    scored(Path("runs/main"))
    a_run(Path("runs/other"))
    scored(Path("runs/other"))
    (place / "scorers" / "camvid" / "scorer.safetensors").unlink()
    assert plan(candidate("runs/other")) == Measuring()


def test_the_others_are_scored_by_the_main_runs_protocol_convention_and_scorer():
    scored(Path("runs/main"), protocol="paper", convention="reference")
    a_run(Path("runs/other"))
    scored(Path("runs/other"))
    assert typed(plan(candidate("runs/other"))) == [
        BOTH.format("other").replace("scorer-size", "paper") + " --convention reference"
    ]


def test_the_main_runs_newest_score_decides():
    scored(Path("runs/main"), protocol="paper", at=LATE)
    scored(Path("runs/main"), protocol="scorer-size")
    a_run(Path("runs/other"), directions=("AtoB",))
    assert "--protocol paper" in typed(plan(candidate("runs/other")))[0]


def test_a_score_of_images_that_are_gone_is_none():
    scored(Path("runs/main"))
    seal_again(Run.open(Path("runs/main")), "test_AtoB")
    assert typed(plan()) == [AB.format("main") + " --convention cityscapes"]


def test_one_style_without_a_score_has_the_run_scored():
    scored(Path("runs/main"))
    run = a_run(Path("runs/gatys"), "gatys", directions=())
    for style in ("one", "two"):
        add_set(run, "AtoB", variant=style)
    scored(Path("runs/gatys"), ["test_AtoB-one"])
    assert typed(plan(candidate("runs/gatys"))) == [AB.format("gatys") + " --convention cityscapes"]


def test_what_is_yet_to_be_made_is_scored_when_it_is_there():
    scored(Path("runs/main"))
    coming = Candidate(Path("runs/coming"), {}, planned=("AtoB",))
    assert typed(plan(coming)) == [AB.format("coming") + " --convention cityscapes"]


def test_choices_of_the_label_score_are_passed_on():
    scored(Path("runs/main"))
    file = Path("runs/main/records/label-score.jsonl")
    file.write_text(file.read_text().replace('"L2"', '"L1"').replace("output size", "truth size"))
    a_run(Path("runs/other"), directions=("BtoA",))
    assert typed(plan(candidate("runs/other"))) == [
        BA.format("other") + " --distance L1 --classified-at truth --convention cityscapes"
    ]


def test_a_set_over_fewer_images_is_not_scored_again_and_again():
    scored(Path("runs/main"))
    a_run(Path("runs/other"), ids=("street/000", "street/001"))
    scored(Path("runs/other"))
    truths = {record.convention["truth"] for path in ("main", "other") for record in read_records(Path("runs", path))}
    assert len(truths) == 2
    assert plan(candidate("runs/other")) == Measuring()


# What the user names


def test_another_scorer_that_is_named_measures_all_the_main_run_first():
    scored(Path("runs/main"))
    a_run(Path("runs/other"), directions=("AtoB",))
    scored(Path("runs/other"), ["test_AtoB"])
    write_header(Path("scorers/big"), parameters=2)
    assert typed(plan(candidate("runs/other"), scorer="big")) == [
        AB.format("main").replace("camvid", "big") + " --convention cityscapes",
        AB.format("other").replace("camvid", "big") + " --convention cityscapes",
    ]


def test_another_convention_changes_both_directions_and_keeps_the_scorer():
    scored(Path("runs/main"))
    assert typed(plan(convention="reference")) == [BOTH.format("main") + " --convention reference"]


def test_directions_that_were_scored_by_different_conventions_are_two_commands():
    scored(Path("runs/main"), ["test_AtoB"], convention="reference")
    scored(Path("runs/main"), ["test_BtoA"])
    a_run(Path("runs/other"))
    assert typed(plan(candidate("runs/other"))) == [
        AB.format("other") + " --convention reference",
        BA.format("other") + " --convention cityscapes",
    ]


def test_naming_what_is_so_already_measures_nothing():
    scored(Path("runs/main"))
    assert plan(scorer="camvid", protocol="scorer-size", convention="cityscapes") == Measuring()


def test_a_scorer_that_is_named_and_not_there_is_a_mistake():
    with pytest.raises(WeightsError, match="nobody"):
        plan(scorer="nobody")


def test_where_the_dataset_has_moved_the_score_is_told(place):
    (place / "streets").rename(place / "moved")
    assert all(command.endswith(" --dataset moved") for command in typed(plan(data=Path("moved"))))


# What cannot be scored


def test_without_a_scorer_there_is_a_note_that_says_how_to_make_one_and_colours_are_scored(place):
    (place / "scorers" / "camvid" / "scorer.safetensors").unlink()
    found = plan()
    assert typed(found) == [BA.format("main") + " --convention cityscapes"]
    (note,) = found.notes
    assert "`cgeval scorer train" in note


def test_another_scorer_of_the_same_name_is_not_taken_for_it():
    scored(Path("runs/main"), scorer="camvid")  # by a digest that no file has
    a_run(Path("runs/other"), directions=("AtoB",))
    found = plan(candidate("runs/other"))
    assert typed(found) == []
    (note,) = found.notes
    assert "scorers/camvid is another one now" in note
    assert "name by --scorer" in note


def test_without_labels_there_is_nothing_to_score():
    plain = {"name": "horses", "label_domain": None, "label_set": None, "paired": False}
    assert measuring([candidate("runs/main", dataset=plain)], [], "test", Wish()) == Measuring(is_scored=False)


def test_what_has_a_score_or_gets_one_is_told_from_what_never_does(place):
    assert plan().is_scored
    (place / "scorers" / "camvid" / "scorer.safetensors").unlink()
    assert plan().is_scored  # by its colours
    a_run(Path("runs/photos"), directions=("AtoB",), dataset=place / "streets")
    assert not measuring([candidate("runs/photos")], [], "test", Wish()).is_scored
    score(Run.open(Path("runs/photos")), "test_AtoB")
    assert measuring(
        [candidate("runs/photos")], [Candidate(Path("runs/x"), {}, planned=("AtoB",))], "test", Wish()
    ).is_scored


def test_of_unpaired_label_maps_only_labels_to_photo_is_scored():
    facts = candidate("runs/main").dataset | {"paired": False}
    found = measuring([candidate("runs/main", dataset=facts)], [], "test", Wish())
    assert typed(found) == [AB.format("main") + " --convention cityscapes"]


# There and back


def test_who_can_come_back_is_measured_there_and_back():
    scored(Path("runs/main"))
    found = measuring([candidate("runs/main", is_both_ways=True)], [], "test", Wish(data=Path("moved")))
    assert typed(found) == ["cyclegan reconstruct runs/main --split test --data moved"]
    for name in ("test_AtoB", "test_BtoA"):
        reconstruct(Run.open(Path("runs/main")), name)
    assert measuring([candidate("runs/main", is_both_ways=True)], [], "test", Wish()) == Measuring()
    seal_again(Run.open(Path("runs/main")), "test_BtoA")
    scored(Path("runs/main"), ["test_BtoA"])
    assert len(measuring([candidate("runs/main", is_both_ways=True)], [], "test", Wish()).steps) == 1


def test_the_records_are_only_read():
    scored(Path("runs/main"))
    before = [json.dumps(record.extra, sort_keys=True) for record in read_records(Path("runs/main"))]
    plan(convention="reference")
    assert [json.dumps(record.extra, sort_keys=True) for record in read_records(Path("runs/main"))] == before


# What is planned here and what `cgeval.compare.missing` tells of are found differently, and must be the same


def nobody() -> None: ...


def main_alone() -> None:
    scored(Path("runs/main"))


def everybody() -> None:
    scored(Path("runs/main"))
    scored(Path("runs/other"))


def one_direction() -> None:
    scored(Path("runs/main"), ["test_BtoA"])


def another_protocol() -> None:
    scored(Path("runs/main"))
    scored(Path("runs/other"), protocol="paper")


def another_convention() -> None:
    scored(Path("runs/main"), convention="reference")
    scored(Path("runs/other"))


def main_twice() -> None:
    scored(Path("runs/main"))
    scored(Path("runs/main"), protocol="paper", at=LATE)
    scored(Path("runs/other"))


def sealed_again() -> None:
    everybody()
    seal_again(Run.open(Path("runs/other")), "test_BtoA")


SITUATIONS = (
    nobody,
    main_alone,
    everybody,
    one_direction,
    another_protocol,
    another_convention,
    main_twice,
    sealed_again,
)


@pytest.mark.parametrize("named", [{}, {"scorer": "camvid"}, {"protocol": "paper"}, {"convention": "reference"}])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
def test_what_is_planned_is_what_is_told_to_be_missing(situation, named):
    a_run(Path("runs/other"), "pix2pix")
    situation()
    subjects = find_subjects([Run.open(Path("runs/main")), Run.open(Path("runs/other"))], "test", None)
    told = {(str(each.subject.run.path), SHORT[each.direction]) for each in missing_scores(subjects, Wanted(**named))}
    planned = set()
    for step in plan(candidate("runs/other"), **named).steps:
        way = step.command[step.command.index("--direction") + 1] if "--direction" in step.command else None
        planned |= {(step.command[2], each) for each in ([way] if way else SHORT.values())}
    assert planned == told
