"""A file is whole or not there, whatever happens while it is written; a lock is held by one process at a time."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from cgeval.errors import RunBusyError
from cgeval.files import lock, remove_leftovers, sha256_file, write_atomic, write_json_atomic


def run_python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


# Whole or not there


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.json"
    write_atomic(path, b"first, and longer")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_the_mode_follows_the_umask_and_not_the_temporary_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "a"
    write_atomic(path, b"old")

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync", full), "replace": ("pathlib.Path.replace", full)}[step])
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_an_interrupt_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _handle: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"old")]


def test_a_kill_while_writing_leaves_the_old_file_and_a_leftover_that_can_be_removed(tmp_path):
    write_atomic(tmp_path / "a", b"old")
    code = """
        import os, signal, sys
        from pathlib import Path
        from cgeval.files import write_atomic
        os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        write_atomic(Path(sys.argv[1]), b"new" * 1000)
    """
    assert run_python(code, tmp_path / "a").wait() == -signal.SIGKILL
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".tmp-folder").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".tmp-folder", "a"]


def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "none" / "a", b"")
    assert list(tmp_path.iterdir()) == []


def test_json_is_indented_readable_and_ends_with_a_newline(tmp_path):
    write_json_atomic(tmp_path / "a.json", {"name": "Zürich", "sizes": [1, 2]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "name": "Zürich"')
    assert text.endswith("}\n")
    assert json.loads(text) == {"name": "Zürich", "sizes": [1, 2]}


def test_what_json_cannot_say_leaves_the_old_file(tmp_path):
    write_json_atomic(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json_atomic(tmp_path / "a.json", {"path": tmp_path})
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_the_digest_is_that_of_the_bytes(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()


# Locks

HOLD = """
    import sys, time
    from pathlib import Path
    from cgeval.files import lock
    with lock(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path):
    with run_python(HOLD, tmp_path / "train.lock") as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RunBusyError, match=f"process {holder.pid}: wait for it"), lock(tmp_path / "train.lock"):
                pytest.fail("the lock was held twice")
        finally:
            holder.kill()


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_is_free_when_its_holder_has_ended_however_it_ended(tmp_path, way):
    with run_python(HOLD, tmp_path / "train.lock") as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(way)
        holder.wait()
    with lock(tmp_path / "train.lock"):
        assert (tmp_path / "train.lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_free_again_after_an_exception(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lock(tmp_path / "train.lock"):
            _ = 1 / 0
