"""A hosted study goes in; a result file of the AMT tool comes out, from which its process_csv.py computes our rates.

That program (phillipi/AMT_Real_vs_Fake) knows no missing answer, no exclusion and no session that was left: all rows
have as many trials, whatever is not "right" counts as left, and the folder that most images are in is taken for the
real ones', of equals the one that sorts first. The column Answer.selection{n} is the side that was called fake.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from cgeval.errors import RunError
from study_server.analysis.exclusions import apply
from study_server.analysis.judgements import PRACTICE
from study_server.exchange.amt_table import LEFT, RIGHT, SELECTION, SIDE
from study_server.judged import Judged
from study_server.manifest import Manifest

FILE = "amt.csv"
SIDES = ("right", "left")  # by whether it is the left one


@dataclass(frozen=True)
class Folders:
    """What stands before the file names. Nested files are quoted, so that a folder is an algorithm and nothing else."""

    real: str
    catch: str


def write_amt(judged: Judged, folder: Path) -> list[str]:
    """amt.csv into the folder; sentences on what it lacks and how to process it. Raises RunError for no session."""
    manifest = judged.manifest
    if manifest is None:
        raise RunError(f"{judged.folder} was imported, and only hosted studies are exported for the AMT tool.")
    rows = _rows_of(judged)
    length = max(Counter(len(each) for each in rows).items(), key=lambda item: (item[1], item[0]))[0] if rows else 0
    stays, _ = apply(judged.judgements, judged.rules)
    whole = np.array([len(each) == length and bool(judged.judgements.answered[each].all()) for each in rows], bool)
    chosen = np.flatnonzero(whole & stays)
    if not len(chosen):
        raise RunError(f"{judged.folder} has no finished session without exclusions: there is nothing to export yet.")
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(_head(length))
        folders = _folders(manifest.arms)
        for code in chosen:
            table.writerow(_line(judged, manifest, folders, int(code), rows[code]))
    return _told(judged, whole, stays, length)


def _rows_of(judged: Judged) -> list[NDArray[np.int64]]:
    """Trials of each participant, in the order of the session."""
    trials = judged.judgements
    order = np.lexsort((trials.index, trials.participant))
    counts = np.bincount(trials.participant, minlength=len(trials.participants))
    return np.split(order, np.cumsum(counts)[:-1]) if len(counts) else []


def _folders(arms: tuple[str, ...]) -> Folders:
    """Real images in a folder that sorts before all others."""
    catch = "vigilance"
    while catch in arms:
        catch += "_"
    return Folders("00_real" if all(arm > "00_real" for arm in arms) else "!real", catch)


def _head(length: int) -> list[str]:
    numbered = [f"{family}{number}" for family in (SIDE, LEFT, RIGHT, SELECTION) for number in range(length)]
    return ["AssignmentId", "WorkerId", "AssignmentStatus", *numbered]


def _line(judged: Judged, manifest: Manifest, folders: Folders, code: int, rows: NDArray[np.int64]) -> Iterator[str]:
    """Whoever was fooled called the real one fake, whatever was asked."""
    trials = judged.judgements
    name, arm = trials.participants[code], trials.arms[trials.arm_of[code]]
    pairs = [manifest.by_id[trials.images[image]] for image in trials.image[rows]]
    real = [f"{folders.real}/{quote(pair.real, safe='')}" for pair in pairs]
    fake = [f"{folders.catch if pair.kind == 'catch' else arm}/{quote(pair.fake, safe='')}" for pair in pairs]
    is_left, fooled = trials.real_left[rows], trials.fooled[rows]
    yield from (name, name, "Submitted")
    yield from (SIDES[bool(left)] for left in is_left)
    yield from (a if left else b for a, b, left in zip(real, fake, is_left, strict=True))
    yield from (b if left else a for a, b, left in zip(real, fake, is_left, strict=True))
    yield from (SIDES[bool(left) == bool(was)] for left, was in zip(is_left, fooled, strict=True))


def _told(judged: Judged, whole: NDArray[np.bool_], stays: NDArray[np.bool_], length: int) -> list[str]:
    left = {
        "not finished": sum(count for state, count in judged.states.items() if state != "DONE"),
        "without an answer to every trial": int((~whole).sum()),
        "excluded by the declared rules": int((whole & ~stays).sum()),
    }
    first = judged.judgements.of_participants(whole & stays)
    practice = int(((first.phase == PRACTICE) & (first.participant == first.participant[0])).sum())
    lacking = ", ".join(f"{count} {why}" for why, count in left.items() if count)
    return [
        f"{int((whole & stays).sum())} sessions; left out, since the AMT tool knows no such: {lacking or 'none'}.",
        f"python process_csv.py -f {FILE} --N_practice {practice} --N_imgs {length}",
    ]
