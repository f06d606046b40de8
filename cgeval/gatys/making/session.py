"""A request goes in; a run of sealed image sets comes out, one for each style and direction, started or gone on with.

The story of `make`: whatever is named is looked at before anything is written; then, under a lock, styles are averaged
and kept, and each set is produced. The same request finds what is there and makes what is missing.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from cgeval.errors import OutputError, RunError
from cgeval.files import LEFTOVER, lock, write_json_atomic
from cgeval.gatys.making.keeping import STYLES, Known, Shelf, known_style
from cgeval.gatys.making.pending import FOLDER, LOSSES, Pending
from cgeval.gatys.making.preparing import (
    METHOD,
    Prepared,
    Request,
    Way,
    differs_from,
    prepare,
    refuse_other_run,
    set_name,
)
from cgeval.gatys.making.producing import Produced, StoppedError, Task, produce, sealed_before
from cgeval.gatys.making.showing import show_styles
from cgeval.gatys.making.words import counted
from cgeval.gatys.styles import Style
from cgeval.gatys.transfer import Pictures, Stylised, Tick, stylise
from cgeval.interrupt import Stop, stop_on_signal
from cgeval.runs import Run, RunInfo, now

Say = Callable[[str], None]
LOCK = "lock"


@dataclass(frozen=True)
class Made:
    """What came of a request. produced: the sets in order, as far as it got; sheet: the picture for people."""

    run: Run
    prepared: Prepared
    produced: tuple[Produced, ...]
    sheet: Path | None
    was_stopped: bool


def make(request: Request, say: Say) -> Made:
    """Make every set that is asked for and not there; Ctrl-C and SIGTERM stop it with what is finished kept.

    say: takes a sentence. Raises a CgevalError in one sentence, before anything is written wherever that can be told.
    """
    refuse_place(request)
    prepared = prepare(request)
    with held(request.run_path), stop_on_signal() as stop:
        making = _Making(begin(prepared, say), prepared, stop, say)
        was_stopped = making.stopped_on_the_way()
        sheet = show_styles(making.run, prepared)
    return Made(making.run, prepared, tuple(making.produced), sheet, was_stopped)


class _Making:
    """The sets of a request, one after the other; `produced` grows."""

    def __init__(self, run: Run, prepared: Prepared, stop: Stop, say: Say) -> None:
        self.run, self.prepared, self.stop, self.say = run, prepared, stop, say
        self.produced: list[Produced] = []

    def stopped_on_the_way(self) -> bool:
        """Make them all; whether somebody asked to stop before that was done."""
        request = self.prepared.request
        try:
            for way in self.prepared.ways:
                observer = self.prepared.observer(way.contents)
                shelf = Shelf(self.run.path, way.contents.direction, observer, request.save_style)
                for known in way.styles:
                    self._one(way, known, shelf)
                    for single in shelf.singles(known, self._seen):
                        self._one(way, known_style(single, observer), shelf)
        except StoppedError:
            return True
        return False

    def _one(self, way: Way, known: Known, shelf: Shelf) -> None:
        """Make one set, unless it is there; raises StoppedError where that is stopped."""
        task = _task(self.prepared, way, known)
        overwrite = self.prepared.request.overwrite
        there = sealed_before(self.run, task, overwrite=overwrite)
        if not overwrite:
            shelf.refuse_other(known)
        if there is not None:
            if shelf.lacks(known):
                shelf.obtain(known, self._seen)
            Pending(self.run.path, task.name).finish()
            self.produced.append(Produced(task, there, there.count, was_there=True))
            return
        style = shelf.obtain(known, self._seen)
        shelf.keep_preview(known.wanted)
        self.say(f"{task.name}: {counted(len(way.contents.files), 'image')} in the style of {_words(known)}")
        by_this = partial(_stylise, self.prepared, style)
        made = produce(
            self.run, task, by_this, batch_size=self.prepared.batch_size, stop=self.stop, overwrite=overwrite
        )
        self.produced.append(made)
        if made.image_set is None:
            raise StoppedError

    def _seen(self) -> None:
        if self.stop.asked:
            raise StoppedError


def refuse_place(request: Request) -> None:
    """Raise RunError or OutputError where no such run can be made: another method's, no run, or among the contents."""
    path, content = request.run_path, request.content
    there = next(each for each in (path, *path.absolute().parents) if each.exists() or each.is_symlink())
    if not there.is_dir():
        raise OutputError(f"{there} is a file, and RUN is a folder to write a run into: name another.")
    if content.is_dir() and content.resolve() in (path.resolve(), *path.resolve().parents):
        raise OutputError(f"{path} is in the folder of the contents, which would then hold the results: name another.")
    if (path / "run.json").is_file():
        method = Run.open(path).info.method
        if method.partition(":")[0] != METHOD:
            raise RunError(f"{path} is a run of {method}: name another folder, one run being of one method.")
        return
    others = [
        each.name for each in sorted(path.glob("*")) if each.name != FOLDER and not each.name.startswith(LEFTOVER)
    ]
    if others:
        raise RunError(f"{path} holds {others[0]!r} and is no run: name a new folder for the run.")


@contextmanager
def held(run_path: Path) -> Iterator[None]:
    """Hold the run locked; raises RunBusyError where another process does, OutputError where it cannot be written.

    Folders that were made for the lock are removed again where no run came of it.
    """
    folder = run_path / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder / LOCK):
            yield
            return
    except PermissionError as error:
        raise OutputError(f"{run_path} cannot be written ({error.strerror}): name another folder.") from None
    finally:
        if folder.is_dir() and not (run_path / "run.json").exists():
            (folder / LOCK).unlink(missing_ok=True)
            _remove_empty(folder, run_path)


def begin(prepared: Prepared, say: Say) -> Run:
    """The run, made now, or taken up if it was made with the same settings of the same dataset.

    Raises RunError, naming what differs, for another; with --overwrite the run is begun anew and its sets go.
    """
    path, facts = prepared.request.run_path, prepared.run_facts
    producer = {"name": "cgeval gatys", "version": version("cgeval")}
    if not (path / "run.json").is_file():
        return Run.create(path, producer=producer, **facts)
    run = Run.open(path)
    if not differs_from(run, facts):
        return run
    refuse_other_run(prepared.request, facts)
    return _begun_anew(run, RunInfo(run.info.run_id, producer=producer, created_at=now(), **facts), say)


def _begun_anew(run: Run, info: RunInfo, say: Say) -> Run:
    """Remove the sets that were made otherwise and what waits for others, then write run.json."""
    sets = run.image_sets()
    for image_set in sets:
        shutil.rmtree(image_set.path)
    for path in (run.path / FOLDER).iterdir():
        if path.is_dir() and path.name != STYLES:
            shutil.rmtree(path)
    (run.path / FOLDER / LOSSES).unlink(missing_ok=True)
    say(f"{run.path} is begun anew; {counted(len(sets), 'image set')} of other settings removed.")
    write_json_atomic(run.path / "run.json", asdict(info))
    return Run(run.path, info)


def _task(prepared: Prepared, way: Way, known: Known) -> Task:
    variant = known.wanted.variant if known.wanted.kind != "saved" else str(known.facts["name"])
    name = set_name(way.contents, known.wanted, prepared.network)
    return Task(way.contents, name, variant, prepared.facts(way, known))


def _words(known: Known) -> str:
    n = known.facts["n"]
    return known.wanted.variant if n == 1 else f"{known.wanted.variant}, the average of {n} images"


def _stylise(prepared: Prepared, style: Style, contents: Pictures, tick: Tick, names: list[str]) -> Stylised:
    return stylise(prepared.network, contents, style, prepared.settings, tick, names)


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # something is in it
            return
