"""What is frozen before a study, and what the report is told that deviates from it."""

import hashlib
import json
from dataclasses import replace

import pytest

from cgeval.errors import ConfigError, OutputError, RunError
from study_server.analysis.analysis import Choices, analyse
from study_server.analysis.exclusions import Rules
from study_server.cli import study_server
from study_server.judged import read_judged, write_imported
from study_server.manifest import read_manifest, write_manifest
from study_server.operating.status import write_down_look
from study_server.registration import FILE, deviations, freeze, registered_choices
from study_server.sessions.study import now_utc, open_study, stamp
from tests.study_server.operating.answered import all_come, build
from tests.study_server.sessions.people import Clock


@pytest.fixture
def study(tmp_path):
    return build(tmp_path)


def registered(study, **choices) -> str:
    _, digest = freeze(study, Choices(rules=read_judged(study).rules, **choices))
    return digest


def answered(study):
    opened = open_study(study, clock=Clock(now_utc()))
    try:
        all_come(opened)
    finally:
        opened.close()
    return read_judged(study)


def test_a_study_that_went_as_registered_has_no_deviation(study):
    digest = registered(study, margin=0.1, seed=5, level=0.9)
    assert digest == hashlib.sha256((study / FILE).read_bytes()).hexdigest()
    judged = answered(study)
    choices = registered_choices(judged)
    assert choices == Choices(judged.rules, 0.1, (("one", "two"),), 0.9, 5)
    assert judged.registration == digest
    assert deviations(judged, choices) == ()
    (told,) = analyse(judged.judgements, replace(choices, rules=Rules())).contrasts
    assert (told.one, told.other) == ("one", "two")


def test_the_document_tells_everything_that_decides(study):
    registered(study, margin=0.1)
    content = json.loads((study / FILE).read_bytes())
    told = (study / "preregistration.md").read_text()
    for text in (
        "zhu2017",
        "**real**",
        "one: 2 finished",
        "TOST",
        "within 10 points of 50 %",
        "Korn-Graubard",
        content["manifest_sha256"],
    ):
        assert text in told
    assert [line for line in told.splitlines() if line.startswith("1. ")] == [
        "1. Catch trials: more than 1 catch trial wrong."
    ]
    assert content["exclusions"]["rules"]["catch_wrong"] == 1
    assert content["versions"].keys() == {"python", "cgeval", "numpy", "scipy"}


def test_nothing_registered_is_nothing_to_deviate_from(study):
    judged = answered(study)
    assert registered_choices(judged) is None
    assert deviations(judged, Choices()) == ()


def test_a_study_is_registered_once_and_before_any_answer(study):
    registered(study)
    before = (study / FILE).read_bytes()
    with pytest.raises(OutputError, match="registered once"):
        registered(study, seed=1)
    assert (study / FILE).read_bytes() == before


def test_it_comes_too_late_once_there_are_answers(study):
    answered(study)
    with pytest.raises(RunError, match="answers already"):
        registered(study)
    assert not (study / FILE).exists()


def test_what_a_kill_left_half_frozen_is_no_registration(study):
    (study / FILE).write_text("{}")
    registered(study)
    assert json.loads((study / FILE).read_bytes())["schema"] == 1


def test_a_changed_study_is_not_registered(study):
    (study / "study.toml").write_text((study / "study.toml").read_text() + "\n# more\n")
    with pytest.raises(RunError, match="not as it was built"):
        registered(study)


def test_an_import_cannot_be_registered(tmp_path):
    rows = [{"session": "p", "image": "i", "index": 0, "phase": "scored", "real_side": "left", "clicked": "left"}]
    facts = {"study_id": "x", "preset": "amt", "asked": "fake", "created_at": "", "sessions": [["p", "a"]], "notes": []}
    write_imported(tmp_path, facts, rows)
    assert len(read_judged(tmp_path).judgements) == 1
    with pytest.raises(RunError, match="imported"):
        freeze(tmp_path, Choices())


def test_other_choices_of_the_analysis_deviate(study):
    registered(study)
    judged = answered(study)
    declared = registered_choices(judged)
    changed = replace(
        declared,
        rules=replace(declared.rules, fast_ms=300),
        margin=0.2,
        pairs=(),
        level=0.9,
        seed=1,
        resamples=10,
        permutations=9,
    )
    told = deviations(judged, changed)
    assert len(told) == 7
    for words in (
        "fast_ms is 300",
        "margin of equivalence is 0.2",
        "level of intervals is 0.9",
        "seed of the analysis is 1",
    ):
        assert any(words in each for each in told)


def test_changed_and_missing_documents_are_told(study):
    digest = registered(study)
    judged = answered(study)
    path = study / FILE
    path.write_text(path.read_text().replace('"level": 0.95', '"level": 0.9'))
    (told,) = deviations(judged, registered_choices(judged))
    assert "was changed" in told
    assert digest in told
    path.unlink()
    (told,) = deviations(judged, Choices())
    assert "not there any more" in told
    path.write_text("nonsense")
    with pytest.raises(RunError, match="restore it"):
        registered_choices(judged)


def test_early_looks_missing_people_and_changed_settings_are_told(study):
    registered(study)
    opened = open_study(study)
    write_down_look(opened.database, "rates_shown", stamp(now_utc()))
    opened.close()
    (study / "study.toml").write_text((study / "study.toml").read_text() + "\n# more\n")
    judged = read_judged(study)
    told = deviations(judged, registered_choices(judged))
    assert [
        words
        for words in ("study.toml was changed", "one has 0", "two has 0", "were seen at")
        if any(words in each for each in told)
    ] == ["study.toml was changed", "one has 0", "two has 0", "were seen at"]
    assert len(told) == 4


def test_the_command_says_where_it_is_and_what_comes_next(study, capsys):
    study_server(["prereg", str(study), "--margin", "0.1", "--contrast", "two:one"], standalone_mode=False)
    told = capsys.readouterr().out
    assert "Contrasts: two against one" in told
    assert f"study-server serve {study}" in told
    with pytest.raises(ConfigError, match="ONE:OTHER"):
        study_server(["prereg", str(study), "--contrast", "two"], standalone_mode=False)


def test_an_algorithm_that_is_not_there_cannot_be_contrasted(study):
    with pytest.raises(ConfigError, match="the study has one, two"):
        registered(study, pairs=(("one", "three"),))


def test_a_pair_is_contrasted_once(study):
    with pytest.raises(ConfigError, match="one and two are contrasted 2 times"):
        registered(study, pairs=(("one", "two"), ("two", "one")))
    assert not (study / FILE).exists()


@pytest.mark.parametrize("left", ["{}", "[]", '{"schema": 2}'])
def test_a_document_that_is_not_whole_is_one_sentence(study, left):
    registered(study)
    (study / FILE).write_text(left)
    with pytest.raises(RunError, match="no whole pre-registration"):
        registered_choices(read_judged(study))


def test_a_document_with_other_contents_than_ours_is_one_sentence(study):
    registered(study)
    content = json.loads((study / FILE).read_bytes())
    (study / FILE).write_text(json.dumps(content | {"contrasts": {"pairs": [["one"]]}}))
    with pytest.raises(RunError, match="no whole pre-registration"):
        registered_choices(read_judged(study))


def test_what_was_accepted_when_the_study_was_built_is_registered(study):
    manifest = read_manifest(study)
    write_manifest(study, replace(manifest, warnings=("two: sharpness may matter.",)))
    registered(study)
    assert json.loads((study / FILE).read_bytes())["accepted"] == ["two: sharpness may matter."]
    assert "accepted:\n\n- two: sharpness may matter." in (study / "preregistration.md").read_text()
