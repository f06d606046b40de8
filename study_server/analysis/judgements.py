"""Trials as arrays, one row each, of sessions that came to their end: what every analysis starts from.

Codes are indices: participant into `participants`, image into `images`, arm_of into `arms`. A trial without an answer
is missing and counts as none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

PHASES = ("practice", "scored", "catch")
PRACTICE, SCORED, CATCH = range(3)

Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judgements:
    """n trials of m participants.

    participants: names [m]; arm_of [m]; arms, images: names by code. Of each trial [n]: participant, image; index:
    place in its session from 0, practice included; phase: code into PHASES; answered; real_left: where the real image
    was; clicked_left, fooled: of what was answered, False otherwise; rt_ms, shown_ms: NaN where not measured; invalid:
    whether an exposure was flagged.
    """

    participants: tuple[str, ...]
    arms: tuple[str, ...]
    images: tuple[str, ...]
    arm_of: Codes
    participant: Codes
    image: Codes
    index: Codes
    phase: NDArray[np.int8]
    answered: Flags
    real_left: Flags
    clicked_left: Flags
    fooled: Flags
    rt_ms: Times
    shown_ms: Times
    invalid: Flags

    def __len__(self) -> int:
        return len(self.participant)

    def where(self, chosen: Flags) -> "Judgements":
        """Some of the trials: bool [n]. Names and codes stay as they are."""
        rows = {field.name: getattr(self, field.name)[chosen] for field in fields(self) if field.name in TRIAL_COLUMNS}
        return replace(self, **rows)

    def of_participants(self, chosen: Flags) -> "Judgements":
        """The trials of some participants: bool [m]."""
        return self.where(chosen[self.participant])

    def of_arm(self, arm: str) -> "Judgements":
        """The trials of one algorithm."""
        return self.of_participants(self.arm_of == self.arms.index(arm))

    def of_phase(self, phase: int) -> "Judgements":
        """The answered trials of one phase."""
        return self.where((self.phase == phase) & self.answered)

    def per_participant(self, values: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """Sum of values [n] by participant [m]; number of trials without values."""
        return np.bincount(self.participant, values, minlength=len(self.participants)).astype(np.float64)


TRIAL_COLUMNS = frozenset(
    {"participant", "image", "index", "phase", "answered", "real_left", "clicked_left", "fooled", "rt_ms"}
    | {"shown_ms", "invalid"}
)


def judgements_of(
    sessions: Sequence[tuple[str, str]], trials: Sequence[dict[str, Any]], arms: Sequence[str] = ()
) -> Judgements:
    """From rows: (name, arm) of each session; of each trial its session's name and what `Judgements` has by name.

    image: its name; phase: its name; real_side, clicked: "left", "right", clicked None without an answer. For imports
    and small studies: a study's own database is read faster, by `study_server.judged`.
    """
    names = tuple(name for name, _ in sessions)
    known = tuple(dict.fromkeys((*arms, *(arm for _, arm in sessions))))
    codes = {name: code for code, name in enumerate(names)}
    images = tuple(dict.fromkeys(str(trial["image"]) for trial in trials))
    image_codes = {name: code for code, name in enumerate(images)}
    answered = np.array([trial.get("clicked") is not None for trial in trials], bool)
    return Judgements(
        participants=names,
        arms=known,
        images=images,
        arm_of=np.array([known.index(arm) for _, arm in sessions], np.int32),
        participant=np.array([codes[trial["session"]] for trial in trials], np.int32),
        image=np.array([image_codes[str(trial["image"])] for trial in trials], np.int32),
        index=np.array([trial["index"] for trial in trials], np.int32),
        phase=np.array([PHASES.index(trial["phase"]) for trial in trials], np.int8),
        answered=answered,
        real_left=np.array([trial["real_side"] == "left" for trial in trials], bool),
        clicked_left=np.array([trial.get("clicked") == "left" for trial in trials], bool),
        fooled=np.array([bool(trial.get("fooled")) for trial in trials], bool) & answered,
        rt_ms=np.array([_number(trial.get("rt_ms")) for trial in trials], np.float64),
        shown_ms=np.array([_number(trial.get("shown_ms")) for trial in trials], np.float64),
        invalid=np.array([bool(trial.get("invalid")) for trial in trials], bool),
    )


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
