"""Commands that a user could type go in; they are told, timed, and run one after the other as programs of their own.

So whatever `cgeval compare` does can be done by hand, it never imports torch, and what a step leaves behind when it is
interrupted is what the command itself leaves: the same command goes on from there.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from cgeval.errors import RunError

Say = Callable[[str], None]
CAN_BE_TIMED = (("cyclegan", "train"), ("cgeval", "gatys"))  # these have --dry-run --json
LONG = (*CAN_BE_TIMED, ("cyclegan", "translate"))  # these make something new; the others measure what is there
REFUSES = "Error: "  # before the sentence of a command that refuses
INTERRUPTED = (130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BOUNCE_S = 0.3  # within which a second signal is an echo of the first: some programs signal a process and its group
SIGNAL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


@dataclass(frozen=True)
class Step:
    """One thing to do. command: what a user would type; seconds: how long it will take, where that is known.

    done: its files are there already; known_by: in words, where the seconds are not from the command's own dry run.
    alike: name of a group whose members take time in proportion to their `work`, so that one of them is measured for
    all; "" for none.
    """

    title: str
    command: tuple[str, ...]
    done: bool = False
    seconds: float | None = None
    known_by: str = ""
    alike: str = ""
    work: float = 1.0

    @property
    def is_making(self) -> bool:
        """Whether it makes images or networks that are not there yet, which is asked about before."""
        return self.command[:2] in LONG

    @property
    def can_be_timed(self) -> bool:
        """Whether it is still to be done, nobody knows how long that will take, and its command measures it."""
        return not self.done and self.seconds is None and self.command[:2] in CAN_BE_TIMED


def timed(step: Step) -> Step:
    """The step with the seconds that its command's own dry run says; unchanged where there is no such.

    Raises RunError where the dry run fails, in its words: the step itself would fail alike.
    """
    if not step.can_be_timed:
        return step
    answer = _answer(asked((*step.command, "--dry-run", "--json")))
    seconds, fetches = answer.get("seconds"), answer.get("fetches")
    title = f"{step.title}, for which its weights are fetched first" if fetches else step.title
    return replace(step, title=title, seconds=float(seconds) if isinstance(seconds, int | float) else None)


def asked(command: Sequence[str]) -> bytes:
    """What a quick command answers on standard output; raises RunError where it refuses, in its own sentence."""
    done = subprocess.run(argv(command), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    if done.returncode in INTERRUPTED:
        raise KeyboardInterrupt
    refused = said.rpartition(REFUSES)[2].strip() if REFUSES in said else ""
    if done.returncode and refused:
        raise RunError(refused)
    sys.stderr.write(said)
    if done.returncode:
        raise RunError(f"`{shlex.join(command)}` ended with exit code {done.returncode}.")
    return done.stdout


def plan_lines(steps: Sequence[Step]) -> list[str]:
    """What is there; then what will be done, how long it will take, where that is known, and by which command."""
    lines = [f"  there  {step.title}" for step in steps if step.done]
    for number, step in enumerate((step for step in steps if not step.done), 1):
        lines += [f"  {number:>4}.  {step.title}{_takes(step)}", f"         {shlex.join(step.command)}"]
    return lines


def total_words(steps: Sequence[Step]) -> str:
    """How many steps there are to do, and how long those take whose time is known."""
    todo = [step for step in steps if not step.done]
    known = [step.seconds for step in todo if step.seconds is not None]
    if not todo:
        return "nothing"
    count = f"{len(todo)} step{'s' if len(todo) > 1 else ''}"
    if not known:
        return count
    beside = " and what the others take" if len(known) < len(todo) else ""
    return f"{count}, {about(sum(known))}{beside}"


def run_steps(steps: Sequence[Step], *, again: str, say: Say) -> None:
    """Run those that are not done, in order; their progress is shown on standard error, their results are not.

    again: the command to type after a stop. Raises RunError where a step fails, KeyboardInterrupt where it is stopped.
    """
    todo = [step for step in steps if not step.done]
    for number, step in enumerate(todo, 1):
        say(f"[{number}/{len(todo)}] {step.title}{_takes(step)}\n      {shlex.join(step.command)}")
        code = run_program(step.command)
        if code in INTERRUPTED:
            say(f"\nStopped in step {number} of {len(todo)}. What was done is kept; go on with:\n  {again}")
            raise KeyboardInterrupt
        if code:
            raise RunError(
                f"step {number} of {len(todo)}, `{shlex.join(step.command)}`, ended with exit code {code} and says "
                f"above why: mend that and type `{again}` again, which goes on from there."
            )


def run_program(command: Sequence[str], *, results: bool = False) -> int:
    """Exit code of the command, run by this Python; negative for a signal that ended it, 130 if asked to stop.

    results: whether what it prints on standard output is shown too, and not only its progress.

    It is in a process group of its own, so that Ctrl-C comes to it once and from here: the first saves, a second ends
    at once. Where the system can do that, it is also asked to stop when this process is killed.
    """
    with _passing_on() as relay:
        relay.process = subprocess.Popen(
            argv(command),
            stdin=subprocess.DEVNULL,
            stdout=None if results else subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_ends_with_parent(),
        )
        if relay.heard:  # before there was anybody to pass it on to
            relay.process.terminate()
        code = relay.process.wait()
    return 130 if relay.heard else code


def argv(command: Sequence[str]) -> list[str]:
    """How a command of ours is started: by this Python, and not by what is first on the user's path."""
    program, *words = command
    return [sys.executable, "-P", "-m", program, *words]


def about(seconds: float) -> str:
    """A duration in words that are as exact as an estimate is; what takes moments is not told from starting it."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.1f} {unit}" if seconds < 10 * size else f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s" if seconds >= 60 else "less than a minute"


class Relay:
    """Signals that come to this process and are meant for the one that works for it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.heard = False
        self.last = -BOUNCE_S

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """Signal handler for what ends a program."""
        now = time.monotonic()
        if now - self.last < BOUNCE_S:
            return
        self.heard, self.last = True, now
        if self.process is not None:
            self.process.send_signal(number)

    def pause(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler for Ctrl-Z: both stop, and both go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def _passing_on() -> Iterator[Relay]:
    relay = Relay()
    handlers = dict.fromkeys(PASSED_ON, relay.pass_on) | {signal.SIGTSTP: relay.pause}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield relay
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _ends_with_parent() -> Callable[[], object] | None:
    """What a new process does before it becomes the program: ask Linux for SIGTERM when its parent is gone."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(SIGNAL_WITH_PARENT, int(signal.SIGTERM))


def _takes(step: Step) -> str:
    known_by = f", {step.known_by}" if step.known_by else ""
    return "" if step.done or step.seconds is None else f" ({about(step.seconds)}{known_by})"


def _answer(text: bytes) -> dict[str, Any]:
    """What a dry run says; `seconds` is null where it knows no time, as of a dataset that cannot be opened yet."""
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
