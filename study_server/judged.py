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
from sqlalchemy import Case, ColumnElement, String, case, cast, func, or_, select
from sqlalchemy.orm import Session as Transaction

from cgeval.errors import RunError, SchemaError
from study_server.analysis.exclusions import Rules
from study_server.analysis.judgements import PHASES, Judgements, judgements_of
from study_server.config import StudyConfig, read_config
from study_server.manifest import CONFIG, IMPORTED, Manifest, Source, read_manifest
from study_server.store.engine import claim, open_database
from study_server.store.models import Answer, Event, Session, Setting, Trial

JUDGEMENTS = "judgements.jsonl"
REGISTRATION = "preregistration_sha256"  # the setting
SCHEMA = 1
INVALID = frozenset({"exposure", "hidden", "unseen"})  # flags of a trial that was not seen as it should be
AT_ONCE = 2000  # rows; with more of them Python spends its time on looking for garbage
TYPES = (np.int32, np.int32, np.int32, np.int8, bool, bool, bool, bool, np.float64, np.float64, bool)  # of `_columns`


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
    try:
        judgements = judgements_of([(name, arm) for name, arm in facts["sessions"]], rows)
        told = {name: facts[name] for name in ("study_id", "preset", "asked", "created_at")}
        notes = tuple(facts["notes"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder} is no whole import ({error!r}): import the files again.") from None
    states = {"DONE": len(judgements.participants)}
    return Judged(folder, **told, wanted=0, states=states, judgements=judgements, rules=Rules(), notes=notes)


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
    pairs = {name: code for code, name in enumerate(images)}
    blocks = [_columns(rows, codes, pairs) for rows in _trials(found)] or [_columns([], codes, pairs)]
    columns = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    return Judgements(
        tuple(name for _, name, _ in sessions),
        manifest.arms,
        images,
        np.array([manifest.arms.index(str(arm)) for _, _, arm in sessions], np.int32),
        *columns,
    )


def _trials(found: Transaction) -> Iterator[list[Any]]:
    """The database makes numbers of words, of which there would be millions; columns in the order of `_columns`."""
    flags = cast(Answer.flags, String)
    query = (
        select(
            Trial.session_id,
            Trial.pair_id,
            Trial.position,
            case(*((Trial.phase == phase, code) for code, phase in enumerate(PHASES))),
            _one_if(Answer.id.is_not(None)),
            _one_if(Trial.real_side == "left"),
            _one_if(Answer.clicked == "left"),
            _one_if(Answer.chose_real != (Trial.asked == "real")),
            Answer.rt_ms,
            Answer.shown_ms,
            _one_if(or_(*(flags.contains(f'"{flag}"') for flag in sorted(INVALID)))),
        )
        .join(Session, Session.id == Trial.session_id)
        .outerjoin(Answer, Answer.trial_id == Trial.id)
        .where(Session.state == "DONE")
        .order_by(Session.id, Trial.position)
        .execution_options(yield_per=AT_ONCE)
    )
    for part in found.connection().execute(query).partitions():
        yield list(part)


def _one_if(condition: ColumnElement[bool]) -> Case[int]:
    """0 for what is false, or not known because there is no answer."""
    return case((condition, 1), else_=0)


def _columns(rows: list[Any], sessions: Mapping[int, int], images: Mapping[str, int]) -> list[Any]:
    """Rows of `_trials` as arrays [rows], in the order of `Judgements`."""
    columns = list(zip(*rows, strict=True)) or [()] * len(TYPES)
    columns[0] = tuple(sessions[each] for each in columns[0])
    columns[1] = tuple(images[each] for each in columns[1])
    return [np.array(column, kind) for column, kind in zip(columns, TYPES, strict=True)]
