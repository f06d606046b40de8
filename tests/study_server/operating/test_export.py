"""Tables as the codebook says, of one moment, while others answer; whole or not at all."""

import csv
import json
import threading
from pathlib import Path

import pytest

from cgeval.errors import OutputError
from study_server.operating import export as module
from study_server.operating.codebook import CODEBOOK, as_markdown
from study_server.operating.export import FILES, FORMATS, export
from study_server.sessions import lifecycle
from study_server.sessions.study import Study
from tests.study_server.operating.answered import ALL, SCORED, some_come
from tests.study_server.sessions.people import Person


def exported(study: Study, out: Path, formats=FORMATS, **how) -> list[Path]:
    return export(study.database, study.manifest, out, formats, overwrite=how.get("overwrite", False))


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def read_lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_exactly_the_columns_of_the_codebook(study, tmp_path):
    some_come(study)
    files = exported(study, tmp_path / "out")
    assert {file.name for file in files} == FILES
    for name, columns in CODEBOOK.items():
        rows = read_lines(tmp_path / "out" / f"{name}.jsonl")
        assert rows
        assert {tuple(row) for row in rows} == {tuple(columns)}
        with (tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as table:
            assert next(csv.reader(table)) == list(columns)
    assert json.loads((tmp_path / "out" / "codebook.json").read_text()).keys() == CODEBOOK.keys()
    assert (tmp_path / "out" / "codebook.md").read_text() == as_markdown()


def test_a_study_that_nobody_came_to_has_heads_and_no_rows(study, tmp_path):
    exported(study, tmp_path / "out")
    for name, columns in CODEBOOK.items():
        assert (tmp_path / "out" / f"{name}.csv").read_text().splitlines() == [",".join(columns)]
        assert (tmp_path / "out" / f"{name}.jsonl").read_text() == ""


def test_both_kinds_say_the_same(study, tmp_path):
    some_come(study)
    exported(study, tmp_path / "out")
    for name in CODEBOOK:
        lines, table = (
            read(tmp_path / "out" / f"{name}.{kind}") for kind, read in (("jsonl", read_lines), ("csv", read_csv))
        )
        as_cells = [
            {
                key: "" if value is None else json.dumps(value) if isinstance(value, bool | list | dict) else str(value)
                for key, value in row.items()
            }
            for row in lines
        ]
        assert table == as_cells


def test_what_was_not_answered_is_missing(study, tmp_path):
    some_come(study)
    exported(study, tmp_path / "out")
    trials = read_lines(tmp_path / "out" / "trials.jsonl")
    assert len(trials) == 2 * ALL
    missing = [row for row in trials if not row["answered"]]
    assert len(missing) == ALL - 2
    about_answers = ("response", "chose_real", "correct", "fooled", "rt", "answered_at", "flags", "measurements")
    assert {row[name] for row in missing for name in about_answers} == {None}
    cells = [row for row in read_csv(tmp_path / "out" / "trials.csv") if row["answered"] == "false"]
    assert {row[name] for row in cells for name in about_answers} == {""}


def test_what_was_answered_is_told_right(study, tmp_path):
    some_come(study)
    exported(study, tmp_path / "out")
    trials = [row for row in read_lines(tmp_path / "out" / "trials.jsonl") if row["answered"]]
    for row in trials:
        pair = study.manifest.by_id[row["pair_id"]]
        assert (row["real"], row["fake"], row["asked"]) == (pair.real, pair.fake, "real")
        assert row["response"] == "left"
        assert row["chose_real"] == row["correct"] == (row["real_side"] == "left") == (not row["fooled"])
    done = [row for row in trials if row["session_state"] == "DONE"]
    assert sorted(row["phase"] for row in done) == ["catch", "practice", *["scored"] * SCORED]
    assert [row["trial_index"] for row in done] == list(range(ALL))
    flagged = next(row for row in trials if row["flags"])
    assert set(flagged["flags"]) == {"exposure", "hidden", "reloaded"}
    assert (flagged["looks"], flagged["shown_ms"]) == (2, 900.0)


def test_asking_for_the_fake_turns_correct_and_not_chose_real(tmp_path):
    from study_server.sessions.study import open_study
    from tests.study_server.small_study import small_study

    study = open_study(small_study(tmp_path, ("one",), 8, preset="isola2017", trials={"practice": 0, "scored": 2}))
    Person(study, "one").come().finish()
    exported(study, tmp_path / "out")
    study.close()
    for row in read_lines(tmp_path / "out" / "trials.jsonl"):
        assert row["chose_real"] == (row["real_side"] == "left")
        assert row["correct"] == (not row["chose_real"]) == (not row["fooled"])


def test_who_somebody_is_stands_nowhere(study, tmp_path):
    people = some_come(study)
    exported(study, tmp_path / "out")
    text = "".join(file.read_text() for file in (tmp_path / "out").iterdir())
    with study.database.read() as found:
        for one in people.values():
            session = lifecycle.known(found, one.token, None)
            for secret in (session.identity, session.token_sha256, one.token):
                assert secret not in text


def test_words_of_participants_survive(study, tmp_path):
    said = {"strategy": 'commas, "quotes"\nand lines; 中文 é', "seen": ["a", "b"], "number": 3}
    one = Person(study, "one").come()
    while one.view.state != "QUESTIONNAIRE":
        one.trial(one.view.content["position"])
    lifecycle.questionnaire(study, one.token, one.client, said)
    exported(study, tmp_path / "out")
    assert read_lines(tmp_path / "out" / "sessions.jsonl")[0]["replies"]["questionnaire"] == said
    assert json.loads(read_csv(tmp_path / "out" / "sessions.csv")[0]["replies"])["questionnaire"] == said


@pytest.mark.parametrize(("kind", "other"), [("csv", "jsonl"), ("jsonl", "csv")])
def test_one_kind_alone(study, tmp_path, kind, other):
    names = {file.name for file in exported(study, tmp_path / "out", (kind,))}
    assert names == {name for name in FILES if not name.endswith(f".{other}")}


def test_a_second_export_is_refused_and_changes_nothing(study, tmp_path):
    exported(study, tmp_path / "out")
    before = {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    some_come(study)
    with pytest.raises(OutputError, match="--overwrite"):
        exported(study, tmp_path / "out")
    assert {file: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_overwriting_replaces_the_whole_export(study, tmp_path):
    exported(study, tmp_path / "out")
    some_come(study)
    exported(study, tmp_path / "out", ("csv",), overwrite=True)
    assert len(read_csv(tmp_path / "out" / "sessions.csv")) == 4
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "study"]


def test_overwriting_never_removes_what_is_no_export(study, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("also")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    for place in (tmp_path / "thesis", tmp_path / "file", tmp_path / "link", study.folder):
        with pytest.raises(OutputError, match="more than an export"):
            exported(study, place, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert (study.folder / "manifest.json").exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_what_fails_in_the_middle_leaves_what_was_there(study, tmp_path, monkeypatch, is_there):
    some_come(study)
    if is_there:
        exported(study, tmp_path / "out")
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").glob("*")}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "as_markdown", full)
    with pytest.raises(OutputError, match="No space left"):
        exported(study, tmp_path / "out", overwrite=is_there)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").glob("*")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == (["out", "study"] if is_there else ["study"])


def test_a_place_that_cannot_be_is_told(study, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written into"):
        exported(study, tmp_path / "file" / "out")


def test_one_moment_while_others_answer(study, tmp_path):
    """Of every session the first so many trials are answered, and none between them is missing."""
    over, failed = threading.Event(), []

    def answer():
        number = 0
        while not over.is_set() and number < 100:
            try:
                one = Person(study, f"quick-{number}").enter().consent().prepare()
                for position in range(ALL):
                    one.trial(position)
                # not finished, so that places stay and more can come
                with study.database.write() as found:
                    lifecycle.held(study, found, one.token, None).lease_until = "2000"
            except Exception as error:
                failed.append(error)
                return
            number += 1

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        counts = []
        for number in range(5):
            out = tmp_path / f"out-{number}"
            exported(study, out)
            known = {row["session"] for row in read_lines(out / "sessions.jsonl")}
            trials = read_lines(out / "trials.jsonl")
            assert {row["session"] for row in trials} <= known
            for session in known:
                answered = [row["answered"] for row in trials if row["session"] == session]
                assert answered == sorted(answered, reverse=True)
            counts.append(sum(row["answered"] for row in trials))
    finally:
        over.set()
        thread.join(20)
    assert failed == []
    assert counts == sorted(counts)
