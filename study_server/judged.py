"""A study's folder goes in; its judgements, and the facts that a report states, come out as `Judged`.

A study is either one that this server hosted (manifest.json, and a database) or one that was imported: a folder with
imported.json and judgements.jsonl, see `exchange`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session as Transaction

from cgeval.errors import RunError, SchemaError
from study_server.analysis.exclusions import Rules
from study_server.analysis.judgements import PHASES, Judgements, judgements_of
from study_server.config import StudyConfig, read_config
from study_server.manifest import CONFIG, Manifest, Source, read_manifest
from study_server.store.engine import claim, open_database
from study_server.store.models import Answer, Event, Session, Setting, Trial

IMPORTED, JUDGEMENTS = "imported.json", "judgements.jsonl"
REGISTRATION = "preregistration_sha256"  # the setting
SCHEMA = 1
INVALID = frozenset({"exposure", "hidden", "unseen"})  # flags of a trial that was not seen as it should be
AT_ONCE = 50_000  # rows


@dataclass(frozen=True, eq=False)
class Judged:
    """A study as it was answered until now.

    study_id, preset, created_at: as in its manifest; asked: what participants were to click; wanted: participants of
    each arm, 0 where nobody said; states: sessions by state; stopped_early: arms that have fewer than wanted;
    judgements: of DONE sessions; rules: as declared; sources: of the arms by name; looks: times at which rates or
    answers were seen before all arms were complete; first_at, last_at: when the first one entered and the last one
    ended; registration: SHA-256 of the pre-registration as it was frozen, "" for none; manifest, config: None for what
    was imported; notes: what a reader should know of an import.
    """

    folder: Path
    study_id: str
    preset: str
    asked: str
    created_at: str
    wanted: int
    states: Mapping[str, int]
    judgements: Judgements
    rules: Rules
    sources: Mapping[str, Source] = field(default_factory=dict)
    looks: tuple[str, ...] = ()
    first_at: str = ""
    last_at: str = ""
    registration: str = ""
    manifest: Manifest | None = None
    config: StudyConfig | None = None
    notes: tuple[str, ...] = ()

    @property
    def unfinished(self) -> dict[str, int]:
        """Finished sessions of each arm that has fewer than wanted."""
        done = np.bincount(self.judgements.arm_of, minlength=len(self.judgements.arms))
        return {arm: int(n) for arm, n in zip(self.judgements.arms, done, strict=True) if n < self.wanted}


def read_judged(folder: Path, database_url: str | None = None) -> Judged:
    """Raises RunError for what is neither a study nor an import, and where a file is not whole."""
    if (folder / IMPORTED).is_file():
        return _imported(folder)
    manifest, config = read_manifest(folder), read_config(folder / CONFIG)
    with closing(open_database(folder, database_url)) as database:
        claim(database, manifest.study_id)
        with database.read() as found:
            return _hosted(found, folder, manifest, config)


def rules_of(config: StudyConfig) -> Rules:
    """The exclusion rules that study.toml declares; the one about catch trials only where there are any."""
    declared = config.exclusions.model_dump()
    return Rules(**(declared | ({"catch_wrong": None} if config.trials.catch == 0 else {})))


def write_imported(folder: Path, facts: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
    """Into a folder that is there. facts: study_id, preset, asked, created_at, sessions as [[name, arm], ...], notes;
    rows: as `judgements_of` takes them."""
    with (folder / JUDGEMENTS).open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    content = {"schema": SCHEMA, **facts}
    (folder / IMPORTED).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _imported(folder: Path) -> Judged:
    try:
        facts = json.loads((folder / IMPORTED).read_bytes())
        rows = [json.loads(line) for line in (folder / JUDGEMENTS).read_bytes().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise RunError(f"{folder} is no whole import ({error}): import the files again.") from None
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
        raise SchemaError(f"{folder / IMPORTED} has another schema than {SCHEMA}: import the files again.")
    judgements = judgements_of([(name, arm) for name, arm in facts["sessions"]], rows)
    states = {"DONE": len(judgements.participants)}
    told = {name: facts[name] for name in ("study_id", "preset", "asked", "created_at")}
    return Judged(
        folder, **told, wanted=0, states=states, judgements=judgements, rules=Rules(), notes=tuple(facts["notes"])
    )


def _hosted(found: Transaction, folder: Path, manifest: Manifest, config: StudyConfig) -> Judged:
    counted = found.execute(select(Session.state, func.count()).group_by(Session.state))
    first, last = found.execute(select(func.min(Session.entered_at), func.max(Session.ended_at))).one()
    looks = found.scalars(select(Event.at).where(Event.kind.in_(("rates_shown", "exported"))).order_by(Event.id))
    return Judged(
        folder,
        manifest.study_id,
        config.preset,
        config.asked,
        manifest.created_at,
        config.participants.per_algorithm,
        {state: int(count) for state, count in counted},
        _judgements(found, manifest),
        rules_of(config),
        sources={source.name: source for source in manifest.algorithms},
        looks=tuple(looks),
        first_at=first or "",
        last_at=last or "",
        registration=found.scalar(select(Setting.value).where(Setting.name == REGISTRATION)) or "",
        manifest=manifest,
        config=config,
    )


def _judgements(found: Transaction, manifest: Manifest) -> Judgements:
    """Of DONE sessions, a block of rows at a time: a million trials must not stand as Python objects all at once."""
    sessions = found.execute(
        select(Session.id, Session.public_id, Session.arm).where(Session.state == "DONE").order_by(Session.id)
    ).all()
    codes = {number: code for code, (number, _, _) in enumerate(sessions)}
    images = tuple(pair.id for pair in manifest.pairs)
    coder = _Coder(codes, {name: code for code, name in enumerate(images)})
    blocks = [coder.block(rows) for rows in _trials(found)]
    columns = [np.concatenate(parts) for parts in zip(*blocks, strict=True)] if blocks else coder.block([])
    return Judgements(
        tuple(name for _, name, _ in sessions),
        manifest.arms,
        images,
        np.array([manifest.arms.index(str(arm)) for _, _, arm in sessions], np.int32),
        *columns,
    )


def _trials(found: Transaction) -> Iterator[list[Any]]:
    query = (
        select(
            Trial.session_id,
            Trial.pair_id,
            Trial.position,
            Trial.phase,
            Trial.real_side,
            Trial.asked,
            Answer.clicked,
            Answer.chose_real,
            Answer.rt_ms,
            Answer.shown_ms,
            cast(Answer.flags, String),
        )
        .join(Session, Session.id == Trial.session_id)
        .outerjoin(Answer, Answer.trial_id == Trial.id)
        .where(Session.state == "DONE")
        .order_by(Trial.session_id, Trial.position)
        .execution_options(yield_per=AT_ONCE)
    )
    for part in found.execute(query).partitions():
        yield list(part)


class _Coder:
    """Rows of `_trials` as the columns of `Judgements`."""

    def __init__(self, sessions: Mapping[int, int], images: Mapping[str, int]) -> None:
        self.sessions, self.images = sessions, images
        self.phases = {name: code for code, name in enumerate(PHASES)}
        self.invalid: dict[str | None, bool] = {None: False}

    def block(self, rows: list[Any]) -> list[Any]:
        """Arrays [rows], in the order of the class's fields."""
        columns = list(zip(*rows, strict=True)) or [()] * 11
        session, pair, position, phase, side, asked, clicked, chose_real, rt, shown, flags = columns
        answered = np.array([each is not None for each in clicked], bool)
        wanted_real = np.array([each == "real" for each in asked], bool)
        return [
            np.array([self.sessions[each] for each in session], np.int32),
            np.array([self.images[each] for each in pair], np.int32),
            np.array(position, np.int32),
            np.array([self.phases[each] for each in phase], np.int8),
            answered,
            np.array([each == "left" for each in side], bool),
            np.array([each == "left" for each in clicked], bool),
            answered & (np.array([bool(each) for each in chose_real], bool) != wanted_real),
            np.array(rt, np.float64),
            np.array(shown, np.float64),
            np.array([self._is_invalid(each) for each in flags], bool),
        ]

    def _is_invalid(self, flags: str | None) -> bool:
        """There are few different ones."""
        if flags not in self.invalid:
            self.invalid[flags] = not INVALID.isdisjoint(json.loads(flags) if flags else ())
        return self.invalid[flags]
