"""Result files of the AMT tool go in; an imported study's folder comes out, for `study-server report`.

Whoever took part several times is one participant: the answers of a worker are alike, whichever assignment they are of.
No worker's id is kept, nor a digest of it: participants are numbered in the order of digests under a key that nobody
keeps, so that a number tells neither who nor when.
"""

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgeval.errors import ConfigError, DataError
from cgeval.files import sha256_file
from study_server.building.place import made_whole, refuse_place
from study_server.exchange.amt_table import Assignment, Shown, in_short, read_assignments
from study_server.judged import write_imported
from study_server.sessions.study import now_utc, stamp

PRESET, CATCH = "amt", "vigilance"  # the folder's name in the tool's defaults
EXTENSIONS = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff"})
OTHER = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Reading:
    """How the files are to be understood.

    base: of the numbering, None: as the columns say; practice: so many first trials; real: the folder of the real
    images, None: gt_side says; catch: the folder of the catch trials' images, None: vigilance, if there is one; asked:
    which image was to be selected, "fake" in the tool as it comes.
    """

    base: int | None = None
    practice: int = 0
    real: str | None = None
    catch: str | None = None
    asked: str = "fake"


@dataclass(frozen=True)
class Imported:
    """What was found. came_again: workers with more than one assignment; trials, missing: scored ones, by algorithm;
    twice: assignments that stood in two files, counted once; notes: what a reader of the report should know.
    """

    sessions: int
    workers: int
    came_again: int
    twice: int
    practice: int
    catch: int
    trials: Mapping[str, int]
    missing: Mapping[str, int]
    participants: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One trial of one worker. name: the fake image's path without its extension."""

    worker: str
    index: int
    phase: str
    algorithm: str
    name: str
    real_side: str
    selection: str | None


def import_amt(files: Sequence[Path], out: Path, reading: Reading) -> Imported:
    """Write the folder `out`, whole or not at all. Raises DataError for what is no result of the tool."""
    refuse_place(out)
    read = [each for file in files for each in read_assignments(file, reading.base, sides_needed=reading.real is None)]
    digests = _digests(files)
    assignments = _once(read)
    people = _numbered(assignments)
    trials = list(_trials(assignments, people, reading))
    _refuse_useless(trials, reading)
    found = _summary(files, assignments, people, trials, len(read) - len(assignments))
    names = _participants(trials)
    with made_whole(out) as work:
        write_imported(work, _facts(digests, names, found, reading), _rows(trials, names, reading.asked))
    return found


def _digests(files: Sequence[Path]) -> list[str]:
    """SHA-256 of each; the same content under two names would count everybody twice."""
    known: dict[str, Path] = {}
    for file in files:
        digest = sha256_file(file)
        if digest in known:
            raise ConfigError(f"{known[digest]} and {file} have the same content: name each result file once.")
        known[digest] = file
    return list(known)


def _once(read: Sequence[Assignment]) -> list[Assignment]:
    """Downloads of one batch overlap; the same assignment is counted once."""
    known: dict[str, Assignment] = {}
    kept = []
    for each in read:
        before = known.setdefault(each.assignment, each) if each.assignment else each
        if before is each:
            kept.append(each)
        elif (before.worker, before.trials) != (each.worker, each.trials):
            raise DataError(
                f"{each.where} and {before.where} are the same assignment with other answers: name one file."
            )
    return kept


def _numbered(assignments: Sequence[Assignment]) -> list[str]:
    """p001, ... of each assignment's worker; a row without one is somebody else."""
    key = secrets.token_bytes(32)
    ids = [each.worker or f" {number}" for number, each in enumerate(assignments)]
    digests = [hmac.new(key, each.encode(), hashlib.sha256).digest() for each in ids]
    numbers = {digest: f"p{number:03}" for number, digest in enumerate(sorted(set(digests)), 1)}
    return [numbers[each] for each in digests]


def _trials(assignments: Sequence[Assignment], people: Sequence[str], reading: Reading) -> Iterator[Trial]:
    """An assignment's trials stand behind those of the worker's earlier ones."""
    behind: Counter[str] = Counter()
    roles: dict[str, tuple[str, str]] = {}
    for each, worker in zip(assignments, people, strict=True):
        for shown in each.trials:
            side = _real_side(each.where, shown, reading.real)
            real, fake = (shown.left, shown.right) if side == "left" else (shown.right, shown.left)
            if not folder(fake):
                raise DataError(
                    f"{each.where}: {in_short(fake)} is in no folder, and its folder is what an algorithm is known by."
                )
            if reading.real is None:
                _refuse_both(roles, each.where, folder(real), folder(fake))
            phase = _phase(shown.index, folder(fake), reading)
            yield Trial(worker, behind[worker] + shown.index, phase, folder(fake), _name(fake), side, shown.selection)
        behind[worker] += each.trials[-1].index + 1


def folder(path: str) -> str:
    """The part before the last slash; "" for none."""
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    stem, _, extension = path.rpartition(".")
    return stem if extension.lower() in EXTENSIONS else path


def _is(found: str, wanted: str) -> bool:
    """Whether a folder is the one that was named: by all of its path, or by the end of it."""
    return f"/{found}".endswith(f"/{wanted.strip('/')}")


def _real_side(where: str, shown: Shown, real: str | None) -> str:
    if real is None:
        return shown.gt_side
    left, right = _is(folder(shown.left), real), _is(folder(shown.right), real)
    if left == right:
        images = f"{in_short(shown.left)} and {in_short(shown.right)}"
        raise DataError(
            f"{where}: {'both' if left else 'none'} of {images} lies in the folder {real}, and one real image is "
            "expected; name another folder by --real."
        )
    side = "left" if left else "right"
    if shown.gt_side and shown.gt_side != side:
        raise DataError(
            f"{where}: gt_side is {shown.gt_side}, and --real {real} says {side}: leave --real out, or mend it."
        )
    return side


def _refuse_both(roles: dict[str, tuple[str, str]], where: str, real: str, fake: str) -> None:
    """A folder of real images holds no fakes."""
    for role, name in (("real", real), ("fake", fake)):
        before, at = roles.setdefault(name, (role, where))
        if before != role:
            raise DataError(
                f"{where}: gt_side says that images in {in_short(name)} are {role}, and in {at} that they are "
                f"{before}; name the folder of the real ones by --real."
            )


def _phase(index: int, found: str, reading: Reading) -> str:
    if index < reading.practice:
        return "practice"
    return "catch" if _is(found, reading.catch or CATCH) else "scored"


def _refuse_useless(trials: Sequence[Trial], reading: Reading) -> None:
    if reading.catch and not any(_is(each.algorithm, reading.catch) for each in trials):
        raise ConfigError(f"--catch {reading.catch}: no image is in a folder of that name; leave it out, or mend it.")
    scored = [each for each in trials if each.phase == "scored"]
    if not scored:
        longest = max(each.index for each in trials) + 1
        raise ConfigError(
            f"no trial is left to be scored: there are {longest} in the longest assignment, {reading.practice} are "
            "practice, and catch trials do not count; say by --practice how many are."
        )
    if not any(each.selection for each in scored):
        raise DataError(
            f"none of the {len(scored):,} scored trials has an answer: results of the AMT tool are expected."
        )


def _participants(trials: Sequence[Trial]) -> dict[tuple[str, str], str]:
    """Name of each (worker, algorithm) with a scored trial: the worker's, with the algorithm's behind it where there
    are several. By algorithm, so that reports have these in an order that is not by chance.
    """
    found = {(each.worker, each.algorithm) for each in trials if each.phase == "scored"}
    pairs = sorted(found, key=lambda pair: (pair[1], pair[0]))
    several = Counter(worker for worker, _ in pairs)
    return {pair: pair[0] if several[pair[0]] == 1 else f"{pair[0]} {pair[1]}" for pair in pairs}


def _rows(trials: Sequence[Trial], names: Mapping[tuple[str, str], str], asked: str) -> Iterator[dict[str, Any]]:
    """As `judgements_of` takes them. A catch trial stands with every algorithm that its worker judged, so that a rule
    about catch trials is the same for all of them; so does practice on images of none of these."""
    by_worker: dict[str, list[str]] = {}
    for (worker, _), name in names.items():
        by_worker.setdefault(worker, []).append(name)
    for each in sorted(trials, key=lambda trial: (trial.worker, trial.index)):
        own = names.get((each.worker, each.algorithm))
        for name in by_worker.get(each.worker, []) if own is None or each.phase == "catch" else [own]:
            agrees = each.selection == each.real_side
            yield {
                "session": name,
                "image": each.name,
                "index": each.index,
                "phase": each.phase,
                "real_side": each.real_side,
                "clicked": each.selection,
                "fooled": each.selection is not None and agrees == (asked == "fake"),
                "rt_ms": None,
                "shown_ms": None,
                "invalid": False,
            }


def _facts(
    digests: Sequence[str], names: Mapping[tuple[str, str], str], found: Imported, reading: Reading
) -> dict[str, Any]:
    """people: the worker of each participant, since one who judged several algorithms is several participants."""
    return {
        "study_id": hashlib.sha256("".join(digests).encode()).hexdigest()[:16],
        "preset": PRESET,
        "asked": reading.asked,
        "created_at": stamp(now_utc()),
        "sessions": [[name, algorithm] for (_, algorithm), name in names.items()],
        "people": {name: worker for (worker, _), name in names.items()},
        "notes": list(found.notes),
    }


def _summary(
    files: Sequence[Path], assignments: Sequence[Assignment], people: Sequence[str], trials: Sequence[Trial], twice: int
) -> Imported:
    came = Counter(people)
    scored = [each for each in trials if each.phase == "scored"]
    algorithms = sorted({each.algorithm for each in scored})
    pairs = {(each.worker, each.algorithm) for each in scored}
    again = sum(count > 1 for count in came.values())
    counts = Counter(each.algorithm for each in scored)
    missing = Counter(each.algorithm for each in scored if each.selection is None)
    named = ", ".join(file.name for file in files)
    notes = [
        f"Imported from {named}, results of the AMT tool: {len(assignments)} assignments "
        f"by {len(came)} workers, of whom {again} came more than once; a worker is one participant, whose answers are "
        "counted together."
    ]
    if len(pairs) > len({worker for worker, _ in pairs}):
        notes.append(
            "Some workers judged several algorithms; between algorithms they are taken for different people, so that "
            "intervals of differences are too wide rather than too narrow."
        )
    if not all(each.worker for each in assignments):
        notes.append("Rows without a worker's id are taken for different people, which may be wrong.")
    if rejected := sum(each.status.lower() == "rejected" for each in assignments):
        notes.append(f"{rejected} assignments were rejected by who ran the study; they are counted like the others.")
    return Imported(
        len(assignments),
        len(came),
        again,
        twice,
        sum(each.phase == "practice" for each in trials),
        sum(each.phase == "catch" for each in trials),
        {name: counts[name] for name in algorithms},
        {name: missing[name] for name in algorithms},
        {name: sum(algorithm == name for _, algorithm in pairs) for name in algorithms},
        tuple(notes),
    )
