"""A click command goes in; the process ends with its exit code, and every mistake of a user's is one sentence.

0: done; 1: a check found something; 2: a mistake of the user's; 130: interrupted.
"""

import errno
import importlib
import io
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from cgeval.errors import CgevalError

PLACES = {
    errno.ENOENT: "it is not there",
    errno.ENOSPC: "the disk is full",
    errno.EACCES: "permission is denied",
    errno.EROFS: "the file system is read-only",
    errno.EDQUOT: "the disk quota is used up",
    errno.EIO: "the disk reports an error",
    errno.EEXIST: "something of that name is in the way",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder, and a file is expected",
    errno.ENAMETOOLONG: "the name is too long",
}
# What a command may need that the core does not bring, and the extra that brings it.
EXTRAS = {
    "jinja2": "compare",
    "pandas": "compare",
    "torch": "all",
    "torchvision": "all",
    "segmentation_models_pytorch": "score",
    "safetensors": "score",
    "scipy": "score",
    "matplotlib": "all",
    "pydantic": "train",
    "tensorboard": "train",
    "tomli_w": "train",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "flask": "study",
    "sqlalchemy": "study",
    "alembic": "study",
    "waitress": "study",
    "jwt": "study",
    "psycopg": "postgres",
}


class LazyGroup(click.Group):
    """A group whose commands are named as "module:attribute" and imported when used, so that others stay quick."""

    def __init__(self, *args: Any, commands_at: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of a user's path through them."""
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in self.commands_at:
            return None
        module, name = self.commands_at[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


def run(command: click.Command) -> NoReturn:
    """Run the command as a program."""
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="surrogateescape")  # a file's name is printed as it is, UTF-8 or not
    try:
        code = command.main(standalone_mode=False)  # what `ctx.exit` was given, which click returns here
    except click.UsageError as error:
        _explain_usage(error, command)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except CgevalError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted.", 130)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        sys.exit(0)  # the reader went away (`| head`): click has quietened the stream and made 1 of it
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        _fail(f"{error.name} is not installed, and this command needs it: pip install 'cgeval[{extra}]'.", 2)
    except OSError as error:
        if error.errno not in PLACES:
            raise
        _fail(f"{error.filename or 'a file'} cannot be read or written: {PLACES[error.errno]}.", 2)
    sys.exit(code if isinstance(code, int) else 0)


def _explain_usage(error: click.UsageError, command: click.Command) -> NoReturn:
    """A sentence and where to read on; a group that was called bare shows its help, which is no error to tell."""
    message = error.format_message()
    if error.ctx and message == error.ctx.get_help():
        print(message, file=sys.stderr)
        sys.exit(2)
    path = error.ctx.command_path if error.ctx else command.name
    _fail(f"{' '.join(message.split()).rstrip('.')}. See `{path} --help`.", 2)


def _fail(sentence: str, code: int) -> NoReturn:
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(code)
