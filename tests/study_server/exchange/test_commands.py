"""`study-server import-amt`, and `study-server export` in other forms: what they print, and one sentence a mistake."""

from pathlib import Path

import pytest
from sqlalchemy import select

from study_server.store.models import Event
from tests.study_server.exchange.amt_files import Line, judged, write_results
from tests.study_server.operating.answered import some_come


@pytest.fixture
def results(tmp_path) -> Path:
    trials = judged("alg", [True, False, None, True])
    return write_results(tmp_path / "results.csv", [Line("W", trials), Line("W", trials), Line("V", trials)])


def is_one_sentence(result: tuple[int, str, str], *words: str) -> bool:
    code, out, err = result
    assert (code, out) == (2, ""), result
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    assert all(word in err for word in words), err
    return True


def test_import_tells_what_it_found(run, results, tmp_path):
    code, out, err = run("import-amt", results, "--out", tmp_path / "study")
    assert (code, err) == (0, "")
    assert "3 sessions by 2 workers, of whom 1 came more than once" in out
    assert "12 scored (3 without an answer), 0 practice, 0 catch" in out
    assert "--practice 10" in out
    assert out.splitlines()[1].split() == ["alg", "2", "12", "3"]
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == ["imported.json", "judgements.jsonl"]


def test_mistakes_are_one_sentence(run, results, tmp_path):
    out = ("--out", tmp_path / "study")
    assert is_one_sentence(run("import-amt", tmp_path / "none.csv", *out), "cannot be read")
    assert is_one_sentence(run("import-amt", results, *out, "--zero-based", "--one-based"), "contradict")
    assert is_one_sentence(run("import-amt", results, *out, "--algorithm-from-folder", "--real", "gt"), "contradict")
    assert is_one_sentence(run("import-amt", results, *out, "--one-based"), "--one-based says")
    assert is_one_sentence(run("import-amt", results, *out, "--practice", "4"), "no trial is left")
    assert is_one_sentence(run("import-amt", results, *out, "--catch", "trap"), "--catch trap")
    assert is_one_sentence(run("import-amt", results, "--out", results), "there already")
    assert not (tmp_path / "study").exists()


def test_an_import_is_exported_for_lme4_alone(run, results, tmp_path):
    run("import-amt", results, "--out", tmp_path / "study")
    code, out, _ = run("export", tmp_path / "study", "--out", tmp_path / "out", "--format", "lme4")
    assert code == 0
    assert "9 scored trials" in out
    for form in ("all", "csv", "amt", "jspsych"):
        export = run("export", tmp_path / "study", "--out", tmp_path / "other", "--format", form)
        assert is_one_sentence(export, "imported")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("form", ["jspsych", "lme4"])
def test_an_export_before_the_end_is_written_down(run, study, tmp_path, form):
    some_come(study)
    code, out, _ = run("export", study.folder, "--out", tmp_path / "out", "--format", form)
    assert code == 0
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files <= {Path(line).name for line in out.splitlines()}
    with study.database.read() as found:
        assert list(found.scalars(select(Event.kind).where(Event.session_id.is_(None)))) == ["exported"]
    again = run("export", study.folder, "--out", tmp_path / "out", "--format", form)
    assert is_one_sentence(again, "--overwrite")
    assert run("export", study.folder, "--out", tmp_path / "out", "--overwrite")[0] == 0


def test_nothing_to_export_for_the_amt_tool(run, study, tmp_path):
    export = run("export", study.folder, "--out", tmp_path / "out", "--format", "amt")
    assert is_one_sentence(export, "no finished session")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_an_export_of_nothing_is_no_look(run, study, tmp_path):
    assert run("export", study.folder, "--out", tmp_path / "out", "--format", "jspsych")[0] == 0
    with study.database.read() as found:
        assert list(found.scalars(select(Event.kind).where(Event.session_id.is_(None)))) == []


@pytest.mark.parametrize("command", ["status", "rehearse", "serve"])
def test_what_an_import_cannot_do_is_one_sentence(run, results, tmp_path, command):
    run("import-amt", results, "--out", tmp_path / "study")
    assert is_one_sentence(run(command, tmp_path / "study"), "was imported")


@pytest.mark.parametrize(
    "content", ['{"schema": 1}', '{"schema": 1, "sessions": [["p", "a"]], "notes": []}', "[]", "x"]
)
def test_a_broken_import_is_one_sentence(run, results, tmp_path, content):
    run("import-amt", results, "--out", tmp_path / "study")
    (tmp_path / "study" / "imported.json").write_text(content)
    assert is_one_sentence(run("report", tmp_path / "study"), "import the files again")


@pytest.mark.parametrize("command", ["report", "prereg", "rehearse", "status"])
def test_a_file_a_missing_folder_and_another_folder_are_no_study(run, tmp_path, command):
    (tmp_path / "file").write_text("x")
    for name in ("file", "missing", "."):
        assert is_one_sentence(run(command, tmp_path / name), "is no study")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
