"""A study goes in; a copy of it is served, simulated people take part in it, and what came of that comes out.

The study itself is not touched: the copy has a database of its own and room for everybody. It is removed afterwards, or
kept as a study of its own, which says that its participants are simulated.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cgeval.errors import ConfigError, OutputError
from study_server.building.build import as_toml
from study_server.building.place import made_whole
from study_server.building.secrets import FILE as SECRETS
from study_server.building.secrets import read_secrets
from study_server.config import StudyConfig, read_config
from study_server.manifest import CONFIG, SIMULATED, STIMULI, Manifest, read_manifest, write_manifest
from study_server.operating.status import read_rates, read_status
from study_server.registration import FILE as REGISTRATION
from study_server.rehearsal.client import Measured, attend
from study_server.rehearsal.people import Crowd, Told, Truth, queries, take_part
from study_server.sessions.study import now_utc, open_study, stamp

STOP_S = 40


@dataclass(frozen=True)
class Rehearsed:
    """stored: answers in the database; rates: recovered ones, beside those that were wanted."""

    participants: int
    measured: Measured
    told: Told
    stored: int
    arms: dict[str, int]
    flags: dict[str, int]
    rates: dict[str, tuple[float, int]]
    crowd: Crowd

    @property
    def lost(self) -> int:
        """Acknowledged answers that are not stored; anything but 0 is an error of the server's."""
        return self.told.answers - self.stored

    def as_json(self) -> dict[str, Any]:
        """For programs; times in milliseconds."""
        kinds = {
            kind: {
                "n": len(times),
                **{
                    f"p{int(100 * share)}_ms": round(1000 * self.measured.percentile(kind, share), 2)
                    for share in (0.5, 0.95, 0.99)
                },
            }
            for kind, times in self.measured.seconds.items()
        }
        return {
            "participants": self.participants,
            "done": self.told.done,
            "left": self.told.left,
            "refused": self.told.refused,
            "seconds": round(self.measured.elapsed_s, 2),
            "answers": self.told.answers,
            "answers_per_second": round(self.told.answers / self.measured.elapsed_s, 1),
            "stored": self.stored,
            "failed": {f"{kind} {status}": count for (kind, status), count in self.measured.failed.items()},
            "requests": kinds,
            "arms": self.arms,
            "flags": self.flags,
            "fooled": {
                arm: {"wanted": self.crowd.fooled.get(arm, 0.5), "found": rate, "n": count}
                for arm, (rate, count) in self.rates.items()
            },
        }


def rehearse(
    folder: Path,
    participants: int,
    at_once: int,
    crowd: Crowd,
    seed: int,
    ended: Callable[[], object],
    keep: Path | None = None,
) -> Rehearsed:
    """Let them all take part in a copy of the study; keep: a new folder for the copy, whole or not there.

    Raises a CgevalError where it cannot be served, or not be kept.
    """
    manifest, config = read_manifest(folder), read_config(folder / CONFIG)
    _refuse(folder, config, manifest, crowd)
    if keep is None:
        with tempfile.TemporaryDirectory() as place:
            return _rehearse_in(Path(place), folder, participants, at_once, crowd, seed, ended)
    with made_whole(keep) as place:
        found = _rehearse_in(place, folder, participants, at_once, crowd, seed, ended)
        _make_whole_study(place, folder, config, min(found.arms.values()))
        return found


def _refuse(folder: Path, config: StudyConfig, manifest: Manifest, crowd: Crowd) -> None:
    if config.entry.prolific_jwks:
        raise ConfigError(
            f"{folder} takes only links that Prolific has signed, and nobody else can sign any: rehearse a build that "
            "has no prolific_jwks."
        )
    foreign = [name for name in crowd.fooled if name not in manifest.arms]
    if foreign:
        raise ConfigError(f"--skill names {foreign[0]!r}; the study's algorithms are {', '.join(manifest.arms)}.")


def _rehearse_in(
    copy: Path,
    folder: Path,
    participants: int,
    at_once: int,
    crowd: Crowd,
    seed: int,
    ended: Callable[[], object],
) -> Rehearsed:
    """copy: an empty folder, which has the copy afterwards, its images still those of the study itself."""
    config, kept = read_config(folder / CONFIG), read_secrets(folder)
    manifest = _copy(folder, copy, config, participants)
    truth, told = Truth(manifest), Told()
    with serving(copy) as (host, port):
        people = (
            take_part(config, truth, crowd, queries(config, kept.link_key, manifest.study_id, seed, i), seed + i, told)
            for i in range(participants)
        )
        measured = attend(people, host, port, at_once, ended)
    study = open_study(copy, fill_up=False)
    try:
        with study.database.read() as found:
            status = read_status(found, manifest, study.config, stamp(study.clock()))
            rates = read_rates(found)
    finally:
        study.close()
    arms = {arm.name: arm.done for arm in status.arms}
    return Rehearsed(participants, measured, told, status.answers, arms, dict(status.flags), rates, crowd)


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[str, int]]:
    """`study-server serve` as a program of its own, on loopback; ended afterwards."""
    command = [sys.executable, "-c", "from study_server.cli import main; main()", "serve", str(folder), "--port", "0"]
    server = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        found = re.search(r"http://([^:/]+):(\d+)", line)
        if found is None:
            raise OutputError(f"{folder} could not be served: see above.")
        yield found[1], int(found[2])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGTERM)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


def _copy(folder: Path, copy: Path, config: StudyConfig, participants: int) -> Manifest:
    """The study with places for everybody and no answers, into an empty folder. It is another study from then on."""
    (copy / SECRETS).write_bytes((folder / SECRETS).read_bytes())
    (copy / SECRETS).chmod(0o600)
    (copy / STIMULI).symlink_to((folder / STIMULI).resolve(), target_is_directory=True)
    before = read_manifest(folder)
    told = (SIMULATED, *(each for each in before.warnings if each != SIMULATED))
    manifest = replace(before, study_id=secrets.token_hex(8), created_at=stamp(now_utc()), warnings=told)
    return _freeze(copy, config, manifest, participants)


def _freeze(copy: Path, config: StudyConfig, manifest: Manifest, wanted: int) -> Manifest:
    """Settings with so many participants wanted of each arm, and the manifest that pins them."""
    people = config.participants.model_copy(update={"per_algorithm": max(wanted, 1)})
    text = as_toml(config.model_copy(update={"participants": people})).encode()
    (copy / CONFIG).write_bytes(text)
    frozen = replace(manifest, config_sha256=hashlib.sha256(text).hexdigest())
    write_manifest(copy, frozen)
    return frozen


def _make_whole_study(copy: Path, folder: Path, config: StudyConfig, wanted: int) -> None:
    """Images of its own, no more participants wanted than came, so that it is finished, and what was registered of the
    study, so that the copy is evaluated as the study will be."""
    (copy / STIMULI).unlink()
    if (folder / REGISTRATION).is_file():
        shutil.copyfile(folder / REGISTRATION, copy / REGISTRATION)
    shutil.copytree((folder / STIMULI).resolve(), copy / STIMULI)
    _freeze(copy, config, read_manifest(copy), wanted)
