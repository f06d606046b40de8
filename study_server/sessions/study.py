"""A study's folder goes in; all that its sessions need comes out, in one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from study_server.building.secrets import Secrets, read_secrets
from study_server.config import StudyConfig, read_config
from study_server.manifest import CONFIG, Manifest, read_manifest
from study_server.sessions.journal import Journal
from study_server.sessions.view import page_facts
from study_server.store.engine import Database, claim, open_database

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Study:
    """An open study. clock: says the time in UTC, and may be set back at any moment; page: see `view.page_facts`."""

    folder: Path
    config: StudyConfig
    manifest: Manifest
    secrets: Secrets
    database: Database
    journal: Journal
    clock: Clock
    page: Mapping[str, Mapping[str, Any]]

    def close(self) -> None:
        """Give back the database and the journal."""
        self.journal.close()
        self.database.close()


def now_utc() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def open_study(folder: Path, database_url: str | None = None, clock: Clock = now_utc, *, fill_up: bool = True) -> Study:
    """Open what `study-server build` made; its database is made or brought up to date.

    fill_up: let the journal catch up with the database; not where others are answering already.

    Raises a CgevalError for a folder that is no study, damaged secrets, another study's database.
    """
    manifest = read_manifest(folder)
    config, kept = read_config(folder / CONFIG), read_secrets(folder)
    database = open_database(folder, database_url)
    try:
        claim(database, manifest.study_id)
        journal = Journal(folder)
        if fill_up:
            journal.fill_up(database)
    except BaseException:
        database.close()
        raise
    return Study(folder, config, manifest, kept, database, journal, clock, page_facts(config))


def stamp(moment: datetime) -> str:
    """UTC as it stands in the database: fixed width, so that texts compare as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
