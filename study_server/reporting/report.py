"""A study's folder goes in; a `Report` comes out: what was judged, what follows, and what was not as declared."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from cgeval.errors import ConfigError
from study_server.analysis.analysis import Analysis, Choices, analyse
from study_server.judged import Judged, read_judged
from study_server.operating.status import write_down_look
from study_server.registration import deviations, registered_choices
from study_server.sessions.study import now_utc, stamp
from study_server.store.engine import claim, open_database


@dataclass(frozen=True, eq=False)
class Report:
    """All that every format shows. deviations: sentences, from the pre-registration; version: of cgeval; created_at:
    UTC, as times stand in the database; command: what makes it again, "" where nobody typed one.
    """

    judged: Judged
    analysis: Analysis
    deviations: tuple[str, ...]
    created_at: str
    version: str
    command: str


def make_report(
    folder: Path,
    database_url: str | None = None,
    *,
    margin: float | None = None,
    unfinished: bool = False,
    command: str = "",
    clock: Callable[[], datetime] = now_utc,
) -> Report:
    """Read and analyse the study, which may be running.

    margin: of equivalence to 50 %, as a fraction; None for what was registered, if anything. unfinished: look although
    arms lack participants, which is written down in the study's events before anything is shown, if there is anything.
    Raises ConfigError for an unfinished study without it, RunError for what is no study.
    """
    judged = read_judged(folder, database_url)
    if judged.unfinished and not unfinished:
        raise ConfigError(_not_yet(judged))
    choices = registered_choices(judged) or Choices(rules=judged.rules)
    if margin is not None:
        choices = replace(choices, margin=margin)
    analysis = analyse(judged.judgements, choices)
    now = stamp(clock())
    if judged.unfinished and judged.judgements.participants:
        _write_down_look(judged, database_url, now)
    return Report(judged, analysis, deviations(judged, choices), now, version("cgeval"), command)


def _not_yet(judged: Judged) -> str:
    """A sentence for whoever asks too early."""
    lacking = ", ".join(f"{arm} has {done} of {judged.wanted}" for arm, done in judged.unfinished.items())
    return (
        f"{judged.folder} is not finished ({lacking} participants): looking now and then stopping at a number that "
        "pleases spoils it, so wait until all arms are complete, or add --unfinished to see it all the same, which the "
        "study writes down."
    )


def _write_down_look(judged: Judged, database_url: str | None, now: str) -> None:
    with closing(open_database(judged.folder, database_url)) as database:
        if judged.manifest is not None:
            claim(database, judged.manifest.study_id)
        write_down_look(database, "rates_shown", now)
