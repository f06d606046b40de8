"""A served study goes in, every half a minute; the sessions whose participants have left for good are ended.

A server that was away, or whose clock was set, heard no sign of life of anybody meanwhile: such time does not count,
and whoever was in the middle has a whole day to come back after it.
"""

from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session as Transaction

from study_server.sessions.assignment import lease_from
from study_server.sessions.lifecycle import ABANDONED_AFTER, end_those_left, writing
from study_server.sessions.study import Study, stamp
from study_server.store.models import LIVE, Session, Setting

GAP = timedelta(minutes=10)  # between two looks, beyond which nobody was watching
NAME = "watched"


def watch(study: Study) -> int:
    """Do as `lifecycle.expire`, once the study has been watched for a day; returns how many sessions were ended."""
    now = study.clock()
    with writing(study) as found:
        study.database.lock_assignment(found)
        row = found.get(Setting, NAME)
        since, last = row.value.split() if row else (stamp(now), stamp(now))
        if not stamp(now - GAP) <= last <= stamp(now + GAP):
            since = stamp(now)
        found.merge(Setting(name=NAME, value=f"{since} {stamp(now)}"))
        _shorten(study, found)
        return end_those_left(study, found) if since <= stamp(now - ABANDONED_AFTER) else 0


def _shorten(study: Study, found: Transaction) -> None:
    """A lease from a clock that was far ahead would hold its place until then."""
    far = Session.lease_until > stamp(study.clock() + ABANDONED_AFTER)
    found.execute(update(Session).where(Session.state.in_(LIVE), far).values(lease_until=lease_from(study)))
