"""A session whose participant has just consented goes in; it has an arm and trials afterwards.

The arm is the one with the fewest sessions that are done or hold a lease; ties are broken at random. That is decided
and stored in one transaction which no other one can come between, so arms stay even whoever clicks how often.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session as Transaction

from study_server.sessions.drawing import draw
from study_server.sessions.identity import new_token
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import Study, stamp
from study_server.store.models import LIVE, Session, Trial

_TIES = secrets.SystemRandom()


def counted(study: Study, found: Transaction) -> dict[str, int]:
    """By arm: sessions that are done, or that hold a place."""
    now = stamp(study.clock())
    holds = or_(Session.state == "DONE", Session.state.in_(LIVE) & (Session.lease_until >= now))
    rows = found.execute(select(Session.arm, func.count()).where(Session.arm.is_not(None), holds).group_by(Session.arm))
    counts = {str(arm): int(number) for arm, number in rows}
    return {arm: counts.get(arm, 0) for arm in study.manifest.arms}


def is_full(study: Study, found: Transaction) -> bool:
    """Whether every arm has all its participants, or somebody in each place."""
    return min(counted(study, found).values()) >= study.config.participants.per_algorithm


def assign(study: Study, found: Transaction, session: Session) -> None:
    """Give the session its arm, seed, lease and trials. Raises RefusedError where every place is taken."""
    study.database.lock_assignment(found)
    counts = counted(study, found)
    least = min(counts.values())
    if least >= study.config.participants.per_algorithm:
        raise RefusedError(403, "full", "All places of this study have just been taken. Thank you for coming!")
    session.arm = _TIES.choice([arm for arm, count in counts.items() if count == least])
    session.seed = seed_of(study.secrets.hmac_key, study.manifest.seed, session.public_id)
    session.lease_until = lease_from(study)
    session.consented_at = stamp(study.clock())
    drawn = draw(study.manifest, study.config, session.arm, session.seed)
    found.execute(
        insert(Trial),
        [
            {
                "session_id": session.id,
                "position": position,
                "phase": each.phase,
                "pair_id": each.pair.id,
                "real_side": each.real_side,
                "asked": study.config.asked,
                "token": new_token(),
                "looks": 0,
            }
            for position, each in enumerate(drawn)
        ],
    )


def lease_from(study: Study) -> str:
    """Until when a sign of life from now keeps a place."""
    return stamp(study.clock() + timedelta(minutes=study.config.participants.lease_minutes))


def seed_of(key: bytes, study_seed: int, public_id: str) -> int:
    """Of a session: it can be drawn again from the manifest and the session's row.

    A page knows its session's number and may guess the study's seed: without the key it could compute the truth.
    """
    digest = hmac.new(key, f"seed/{study_seed}/{public_id}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:4], "big") >> 1
