"""A small study goes in; it has sessions of every kind afterwards."""

import shutil
from pathlib import Path
from unittest.mock import patch

from werkzeug.security import generate_password_hash

from study_server.building.secrets import set_password
from study_server.sessions.study import Study, open_study
from tests.study_server.sessions.people import Person
from tests.study_server.small_study import small_study

PASSWORD = "correct horse battery"
SCORED, ALL = 4, 6  # trials: one is practice, one a catch trial
WANTED = 2


def build(place: Path, **changes) -> Path:
    """Two arms of two participants each, to be copied for every test."""
    trials = {"practice": 1, "scored": SCORED, "catch": 1}
    folder = small_study(place, pairs=12, trials=trials, participants={"per_algorithm": WANTED}, **changes)
    with patch("study_server.building.secrets._hash", lambda word: generate_password_hash(word, "pbkdf2:sha256:1")):
        set_password(folder, PASSWORD)  # in no time
    open_study(folder).close()  # its tables are made once
    return folder


def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "study"))


def some_come(study: Study) -> dict[str, Person]:
    """done; live: after two trials, the second of which was hidden and shown for too long; declined; entered."""
    people = {"done": Person(study, "done").come().finish()}
    people["live"] = live = Person(study, "live").come()
    live.trial(0)
    live.begin(1)
    live.begin(1, "second look")
    exposure = {"side": "left", "onset_ms": 0.0, "offset_ms": 900.0, "frames": 6, "longest_gap_ms": 17.0}
    live.answer(1, visible=False, exposures=[exposure])
    people["declined"] = Person(study, "declined").enter().consent(agreed=False)
    people["entered"] = Person(study, "entered").enter()
    return people


def all_come(study: Study) -> list[Person]:
    """Every place is taken and done."""
    return [Person(study, f"person-{number}").come().finish() for number in range(2 * WANTED)]
