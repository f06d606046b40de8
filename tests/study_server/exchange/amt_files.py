"""Result files as the AMT tool and MTurk make them, and the rates that the tool's own program would print of them."""

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One assignment. trials: (gt_side, left, right, selection) each."""

    worker: str
    trials: Sequence[tuple[str, str, str, str]]
    status: str = "Approved"
    assignment: str = ""


def judged(
    algorithm: str, fooled: Sequence[bool | None], ending: str = ".png", first: int = 0
) -> list[tuple[str, ...]]:
    """Trials of one algorithm, the real image left and right in turn; None: unset."""
    trials = []
    for number, was in enumerate(fooled, first):
        side, other = ("left", "right") if number % 2 else ("right", "left")
        images = {side: f"gt/{number}{ending}", other: f"{algorithm}/{number}{ending}"}
        trials.append((side, images["left"], images["right"], "unset" if was is None else side if was else other))
    return trials


def write_results(file: Path, lines: Sequence[Line], base: int = 0, leave_out: Sequence[str] = ()) -> Path:
    """leave_out: names of columns that are not there."""
    rows = []
    for number, line in enumerate(lines):
        row = {
            "HITId": f"H{number}",
            "AssignmentId": line.assignment or f"A-{file.stem}-{number}",
            "WorkerId": line.worker,
            "AssignmentStatus": line.status,
        }
        for index, (side, left, right, selection) in enumerate(line.trials, base):
            row |= {f"Input.gt_side{index}": side, f"Input.images_left{index}": left}
            row |= {f"Input.images_right{index}": right, f"Answer.selection{index}": selection}
        rows.append({"Answer.comments": 'nice, "really"\nnice', **row})
    names = [name for name in max(rows, key=len) if name not in leave_out]
    with file.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, names, restval="", extrasaction="ignore", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return file


def tool_rates(file: Path, practice: int, trials: int) -> dict[str, float]:
    """What the tool's process_csv.py counts, told in our words.

    Trials are numbered from 0, and the first ones are practice. The folder with the most images is the real one's, of
    equals the first by name; every other one is a method. A person was right who called the left image fake where the
    right one is real, or did not where it is not. A method's rate is one minus the share of right trials among all of
    its trials, of all lines together.
    """
    with file.open(encoding="utf-8", newline="") as table:
        lines = list(csv.DictReader(table))
    shown: Counter[str] = Counter()
    wrong: dict[str, list[bool]] = defaultdict(list)
    for line in lines:
        for number in range(trials):
            folders = {line[f"Input.images_{side}{number}"].rpartition("/")[0] for side in ("left", "right")}
            shown.update(folders)
            if number >= practice:
                real_is_right = line[f"Input.gt_side{number}"] == "right"
                said_left_is_fake = line[f"Answer.selection{number}"] != "right"
                for folder in folders:
                    wrong[folder].append(real_is_right != said_left_is_fake)
    real = min(shown, key=lambda folder: (-shown[folder], folder))
    return {folder: sum(found) / len(found) for folder, found in wrong.items() if folder != real}
