"""The report's folder is whole or not there; only an earlier report gives way to a new one."""

import pytest

from cgeval.errors import OutputError
from study_server.reporting import writing
from study_server.reporting.report import make_report


@pytest.fixture(scope="module")
def report(judged):
    return make_report(judged)


def files_in(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_all_files_are_there_and_named(report, tmp_path):
    told = writing.write_report(report, tmp_path / "report")
    assert sorted(told) == sorted(files_in(tmp_path / "report"))
    assert all(files_in(tmp_path / "report").values())
    assert [place.name for place in tmp_path.iterdir()] == ["report"]


def test_the_same_report_is_written_to_the_same_bytes_over_the_one_before(report, tmp_path):
    writing.write_report(report, tmp_path / "report")
    before = files_in(tmp_path / "report")
    (tmp_path / "report" / "report.txt").write_text("older")
    writing.write_report(report, tmp_path / "report")
    assert files_in(tmp_path / "report") == before


def test_what_is_more_than_a_report_stays(report, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="more than a report, so it stays"):
        writing.write_report(report, tmp_path)
    assert files_in(tmp_path) == {"notes.txt": b"mine"}


def test_a_failure_in_the_middle_leaves_the_report_before(report, tmp_path, monkeypatch):
    writing.write_report(report, tmp_path / "report")
    before = files_in(tmp_path / "report")

    def breaks(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_page", breaks)
    with pytest.raises(OutputError, match="No space left"):
        writing.write_report(report, tmp_path / "report")
    assert files_in(tmp_path / "report") == before
    assert [place.name for place in tmp_path.iterdir()] == ["report"]


def test_a_link_or_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(OutputError, match="is there already"):
            writing.refuse_place(tmp_path / name)
