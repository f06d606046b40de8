import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from cgeval.errors import OutputError
from study_server.building.place import made_whole, replaced_whole


def test_the_folder_appears_when_all_is_written_and_belongs_to_its_owner(tmp_path):
    with made_whole(tmp_path / "new" / "study") as work:
        (work / "file").write_text("whole")
        assert not (tmp_path / "new" / "study").exists()
    assert (tmp_path / "new" / "study" / "file").read_text() == "whole"
    assert (tmp_path / "new" / "study").stat().st_mode & 0o777 == 0o700
    assert os.listdir(tmp_path / "new") == ["study"]  # noqa: PTH208


@pytest.mark.parametrize("ended", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_where_the_block_ends_otherwise(tmp_path, ended):
    def write_half() -> None:
        with made_whole(tmp_path / "study") as work:
            (work / "file").write_text("half")
            raise ended

    with pytest.raises(ended):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_told_in_a_sentence(tmp_path):
    with pytest.raises(OutputError, match="No space left"), made_whole(tmp_path / "study"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", ["mkdir", "touch"])
def test_what_is_there_already_stays(tmp_path, make):
    getattr(tmp_path / "study", make)()
    with pytest.raises(OutputError, match="there already"), made_whole(tmp_path / "study"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_what_came_there_meanwhile_stays_even_if_it_is_empty(tmp_path):
    def write_too_late() -> None:
        with made_whole(tmp_path / "study") as work:
            (work / "file").touch()
            (tmp_path / "study").mkdir()

    with pytest.raises(OutputError, match="there already"):
        write_too_late()
    assert list((tmp_path / "study").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"), made_whole(tmp_path / "file" / "study"):
        pass


def test_what_a_kill_left_is_removed_and_what_is_at_work_is_not(tmp_path):
    left = tmp_path / ".tmp-study-killed"
    left.mkdir()
    (left / "half.png").touch()
    with made_whole(tmp_path / "study-2") as other:
        assert left.is_dir()
        with made_whole(tmp_path / "study"):
            assert not left.exists()
        assert other.is_dir()


def test_two_that_are_replaced_at_once_come_one_after_the_other(tmp_path):
    """Sixteen at a time, each in its own; whoever ends last stays, and nobody is told of a folder in the way."""

    def write(number: int) -> None:
        with replaced_whole(tmp_path / "report", {"file"}, "report") as work:
            (work / "file").write_text(f"{number}")

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(write, range(200))) == [None] * 200
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert int((tmp_path / "report" / "file").read_text()) in range(200)
    assert (tmp_path / "report").stat().st_mode & 0o700 == 0o700


def test_nobody_removes_what_is_whole_and_about_to_take_its_place(tmp_path, monkeypatch):
    """Another one begins in the very moment before the folder gets its final name."""
    rename = Path.rename

    def rename_late(work: Path, place: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        with suppress(KeyError), made_whole(tmp_path / "study"):
            raise KeyError
        return rename(work, place)

    with made_whole(tmp_path / "study") as work:
        (work / "file").touch()
        monkeypatch.setattr(Path, "rename", rename_late)
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["file"]


def test_what_came_meanwhile_and_is_more_than_a_report_stays(tmp_path):
    def write_too_late() -> None:
        with replaced_whole(tmp_path / "report", {"file"}, "report"):
            (tmp_path / "report").mkdir()
            (tmp_path / "report" / "thesis.tex").touch()

    with pytest.raises(OutputError, match="more than a report"):
        write_too_late()
    assert (tmp_path / "report" / "thesis.tex").exists()
