"""A hosted study goes in; one file a session comes out, as jsPsych's `data.get().json()` gives: an array of trials.

rt, response, stimulus, trial_type, trial_index, time_elapsed and plugin_version are jsPsych's names and units; the
others are those of the codebook.
"""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from study_server.manifest import Manifest
from study_server.operating.export import tables
from study_server.store.engine import Database

TRIAL_TYPE = "real-vs-fake"
OURS = (
    "session",
    "session_state",
    "arm",
    "phase",
    "pair_id",
    "real_side",
    "asked",
    "answered",
    "chose_real",
    "correct",
)
MORE = ("fooled", "answered_at", "shown_ms", "frames", "longest_gap_ms", "input", "flags")


def write_jspsych(database: Database, manifest: Manifest, folder: Path) -> list[str]:
    """jspsych-SESSION.json into the folder, of every session with a trial that was looked at; a sentence on them.

    A trial that was seen and not answered has null for rt and response, as where jsPsych's trial ran out of time.
    """
    sessions = trials = 0
    with database.read() as found:
        for session, rows in groupby(tables(found, manifest)["trials"], key=lambda row: row["session"]):
            seen = [_trial(row, manifest) for row in rows if row["looked_at"] is not None or row["answered"]]
            if seen:
                text = json.dumps(seen, ensure_ascii=False)
                (folder / f"jspsych-{session}.json").write_text(text, encoding="utf-8")
                sessions, trials = sessions + 1, trials + len(seen)
    return [f"{sessions} sessions, {trials:,} trials; session_state says which came to their end (DONE)."]


def _trial(row: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """stimulus: the images, left and right."""
    real, fake = f"real/{row['real']}", f"{row['arm']}/{row['fake']}"
    return {
        "rt": row["rt"],
        "stimulus": [real, fake] if row["real_side"] == "left" else [fake, real],
        "response": row["response"],
        "trial_type": TRIAL_TYPE,
        "trial_index": row["trial_index"],
        "time_elapsed": row["time_elapsed"],
        "plugin_version": manifest.version,
        **{name: row[name] for name in (*OURS, *MORE)},
    }
