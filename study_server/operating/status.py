"""A study's database goes in; how far the study is comes out. Rates are not part of it: nobody should peek."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session as Transaction

from study_server.config import StudyConfig
from study_server.manifest import Manifest
from study_server.store.engine import Database
from study_server.store.models import ENDED, LIVE, Answer, Event, Session, Setting, Trial


@dataclass(frozen=True)
class Arm:
    """One algorithm. live: sessions that hold a place; answers: scored ones of finished sessions."""

    name: str
    done: int
    live: int
    wanted: int
    answers: int

    @property
    def is_complete(self) -> bool:
        """Whether all that were wanted are done."""
        return self.done >= self.wanted


@dataclass(frozen=True)
class Status:
    """The study as a whole. states: sessions by state; flags: trials and sessions by flag."""

    running: bool
    arms: tuple[Arm, ...]
    states: Mapping[str, int]
    flags: Mapping[str, int]
    answers: int

    @property
    def is_complete(self) -> bool:
        """Whether every arm is."""
        return all(arm.is_complete for arm in self.arms)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        arms = [vars(arm) | {"complete": arm.is_complete} for arm in self.arms]
        return vars(self) | {"arms": arms, "complete": self.is_complete}


def read_status(found: Transaction, manifest: Manifest, config: StudyConfig, now: str) -> Status:
    """As it is at this moment; now: as times stand in the database."""
    by_arm = {
        str(arm): (int(done or 0), int(live or 0))
        for arm, done, live in found.execute(
            select(
                Session.arm,
                func.sum(case((Session.state == "DONE", 1), else_=0)),
                func.sum(case((Session.state.in_(LIVE) & (Session.lease_until >= now), 1), else_=0)),
            )
            .where(Session.arm.is_not(None))
            .group_by(Session.arm)
        )
    }
    answers = {
        str(arm): int(count)
        for arm, count in found.execute(
            select(Session.arm, func.count(Answer.id))
            .join(Answer, Answer.session_id == Session.id)
            .join(Trial, Trial.id == Answer.trial_id)
            .where(Session.state == "DONE", Trial.phase == "scored")
            .group_by(Session.arm)
        )
    }
    wanted = config.participants.per_algorithm
    arms = tuple(Arm(name, *by_arm.get(name, (0, 0)), wanted, answers.get(name, 0)) for name in manifest.arms)
    rows = found.execute(select(Session.state, func.count()).group_by(Session.state))
    states = {state: int(count) for state, count in rows}
    running = found.scalar(select(Setting.value).where(Setting.name == "running")) != "no"
    return Status(running, arms, _in_order(states), _flags(found), found.scalar(select(func.count(Answer.id))) or 0)


def read_rates(found: Transaction) -> dict[str, tuple[float, int]]:
    """By arm: the mean over finished sessions of the share of scored trials in which the generated image was taken for
    the real one, and how many sessions that is. Without an interval: for whoever runs the study, not for a paper.
    """
    fooled = func.avg(case((Answer.chose_real == (Trial.asked == "real"), 0.0), else_=1.0)).label("fooled")
    each = (
        select(Session.arm, fooled)
        .join(Answer, Answer.session_id == Session.id)
        .join(Trial, Trial.id == Answer.trial_id)
        .where(Session.state == "DONE", Trial.phase == "scored")
        .group_by(Session.id, Session.arm)
        .subquery()
    )
    rows = found.execute(select(each.c.arm, func.avg(each.c.fooled), func.count()).group_by(each.c.arm))
    return {str(arm): (float(rate), int(count)) for arm, rate, count in rows}


def write_down_look(database: Database, kind: Literal["rates_shown", "exported"], at: str) -> None:
    """That somebody saw answers before all arms were complete: an event of the study, which its exports have."""
    with database.write() as found:
        found.add(Event(session_id=None, at=at, kind=kind, detail={}))


def _in_order(states: Mapping[str, int]) -> dict[str, int]:
    known = ("ENTERED", *LIVE, *ENDED)
    return {state: states[state] for state in known if state in states}


def _flags(found: Transaction) -> dict[str, int]:
    counts: dict[str, int] = {}
    for flags in (*found.scalars(select(Session.flags)), *found.scalars(select(Answer.flags))):
        for flag in flags or []:
            counts[flag] = counts.get(flag, 0) + 1
    return dict(sorted(counts.items()))
