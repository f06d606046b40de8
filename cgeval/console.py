"""A click command goes in; the process ends with its exit code, and every mistake of a user's is one sentence.

0: done; 1: a check found something; 2: a mistake of the user's; 130: interrupted.
"""

import errno
import os
import sys
from typing import NoReturn

import click

from cgeval.errors import CgevalError

PLACES = {
    errno.ENOSPC: "the disk is full",
    errno.EACCES: "permission is denied",
    errno.EROFS: "the file system is read-only",
    errno.EDQUOT: "the disk quota is used up",
}


def run(command: click.Command) -> NoReturn:
    """Run the command as a program."""
    try:
        command.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else command.name
        _fail(f"{error.format_message()} See `{path} --help`.", 2)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except CgevalError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in PLACES:
            raise
        _fail(f"{error.filename or 'a file'} cannot be written: {PLACES[error.errno]}.", 2)
    sys.exit(0)


def _fail(sentence: str, code: int) -> NoReturn:
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(code)
