"""A program ends with the code that says what happened, and a user's mistake is one sentence on the error stream."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from cgeval.console import EXTRAS, run
from cgeval.errors import RunError


@contextmanager
def called_as(*words: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(words))
        patch.setattr(sys.modules["__main__"], "__package__", None)  # else click takes its name from pytest's
        yield


def ended(action, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code and what was printed by a program of one command that does this."""
    command = click.Command("tool", callback=action, params=[click.Option(["--size"], type=click.IntRange(1, 9))])
    group = click.Group("program", commands=[command])
    with called_as("program", *arguments), pytest.raises(SystemExit) as end:
        run(group)
    printed = capsys.readouterr()
    return end.value.code, printed.out, printed.err


def raises(error: BaseException):
    def action(size: int | None) -> None:
        raise error

    return action


def says(text: str):
    def action(size: int | None) -> None:
        click.echo(text)

    return action


def test_a_command_that_ends_well_ends_with_0(capsys):
    assert ended(says("done"), capsys, "tool") == (0, "done\n", "")


def test_what_a_command_returns_is_no_exit_code_unless_it_asks_for_one(capsys):
    def found_something(size: int | None) -> None:
        click.get_current_context().exit(1)

    assert ended(found_something, capsys, "tool")[0] == 1
    assert ended(raises(SystemExit(1)), capsys, "tool")[0] == 1


def test_help_ends_with_0(capsys):
    code, out, _ = ended(says(""), capsys, "tool", "--help")
    assert code == 0
    assert "--size" in out


def test_a_users_mistake_is_its_sentence_and_2(capsys):
    code, out, err = ended(raises(RunError("runs/a is no run.")), capsys, "tool")
    assert (code, out, err) == (2, "", "Error: runs/a is no run.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "No such command 'nope'. See `program --help`."),
        (["tool", "--nope"], "No such option"),
        (["tool", "--size", "12"], "12 is not in the range 1<=x<=9. See `program tool --help`."),
        (["tool", "extra"], "Got unexpected extra argument (extra). See `program tool --help`."),
    ],
)
def test_wrong_usage_is_a_sentence_that_says_where_to_read_on(capsys, arguments, sentence):
    code, out, err = ended(says(""), capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert ".." not in err


def test_a_group_called_bare_shows_its_help_and_no_error(capsys):
    code, out, err = ended(says(""), capsys)
    assert code in (0, 2)  # 2 since click 8.2
    assert (out + err).startswith("Usage: program")


def test_a_full_disk_is_a_sentence_that_names_the_file(capsys):
    code, _, err = ended(raises(OSError(errno.ENOSPC, "x", "runs/a/log.jsonl")), capsys, "tool")
    assert (code, err) == (2, "Error: runs/a/log.jsonl cannot be read or written: the disk is full.\n")


def test_a_full_disk_behind_the_output_is_a_sentence_too(capsys):
    code, _, err = ended(raises(OSError(errno.ENOSPC, "x")), capsys, "tool")
    assert (code, err) == (2, "Error: a file cannot be read or written: the disk is full.\n")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, "it is not there"),
        (errno.EACCES, "permission is denied"),
        (errno.EROFS, "read-only"),
        (errno.EEXIST, "in the way"),
        (errno.ENOTDIR, "is a file, not a folder"),
    ],
)
def test_places_that_cannot_be_used_are_told_apart(capsys, number, reason):
    code, _, err = ended(raises(OSError(number, "x", "runs")), capsys, "tool")
    assert code == 2
    assert reason in err


def test_a_defect_of_the_program_keeps_its_traceback():
    with called_as("program"), pytest.raises(ZeroDivisionError):
        run(click.Command("program", callback=lambda: 1 / 0))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_ends_with_130(capsys, error):
    code, _, err = ended(raises(error), capsys, "tool")
    assert code == 130
    assert err.strip() == "Error: interrupted."


def process(code: str, **options: object) -> subprocess.Popen[bytes]:
    """A program that hears Ctrl-C, although the tests may run in the background, where a shell ignores it."""
    head = "import click, os, signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    head += "from cgeval.console import run\n"
    return subprocess.Popen([sys.executable, "-c", head + textwrap.dedent(code)], stderr=subprocess.PIPE, **options)


def test_a_signal_in_a_real_process_ends_it_with_130():
    code = """
        def wait():
            print("ready", flush=True)
            time.sleep(60)
        run(click.Command("program", callback=wait))
    """
    with process(code, stdout=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"ready\n"
        program.send_signal(signal.SIGINT)
        assert program.wait() == 130
        assert program.stderr.read().strip() == b"Error: interrupted."


def test_a_reader_that_goes_away_is_no_mistake():
    code = "run(click.Command('program', callback=lambda: [click.echo('x' * 100) for _ in range(5000)] and None))"
    with process(code, stdout=subprocess.PIPE) as program:
        assert program.stdout.readline().startswith(b"x")
        program.stdout.close()
        assert program.wait() == 0
        assert program.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_cannot_be_written_is_told():
    code = "run(click.Command('program', callback=lambda: click.echo('x')))"
    with Path("/dev/full").open("wb") as full, process(code, stdout=full) as program:
        assert program.wait() == 2
        assert program.stderr.read() == b"Error: a file cannot be read or written: the disk is full.\n"


def test_a_file_name_that_is_not_utf_8_is_printed_as_it_is():
    code = "run(click.Command('program', callback=lambda: click.echo(os.fsdecode(b'caf\\xe9'))))"
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # as in any locale but C
    with process(code, stdout=subprocess.PIPE, env=strict) as program:
        assert program.stdout.read() == b"caf\xe9\n"
        assert program.wait() == 0


# Extras


def test_a_package_that_was_not_installed_is_told_with_the_extra_that_brings_it(capsys):
    code, out, err = ended(
        raises(ModuleNotFoundError("No module named 'safetensors'", name="safetensors")), capsys, "tool"
    )
    assert (code, out) == (2, "")
    assert err == "Error: safetensors is not installed, and this command needs it: pip install 'cgeval[score]'.\n"


def test_a_module_of_our_own_that_is_missing_is_no_mistake_of_the_users(capsys):
    with pytest.raises(ModuleNotFoundError):
        ended(raises(ModuleNotFoundError("No module named 'cgeval.nothing'", name="cgeval.nothing")), capsys, "tool")


def test_every_extra_that_is_told_exists():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for module, extra in EXTRAS.items():
        assert extra in extras
        distribution = {"jwt": "pyjwt"}.get(module, module.replace("_", "-"))
        assert extra == "all" or any(requirement.startswith(distribution) for requirement in extras[extra])
