"""Somebody who tries the admin's password goes in; whether they may comes out, counted over all workers and servers."""

from datetime import timedelta

from study_server.sessions.lifecycle import writing
from study_server.sessions.study import Study, stamp
from study_server.store.models import Setting

TRIES, WITHIN = 10, timedelta(minutes=1)  # wrong passwords, over all who try
NAME = "wrong_passwords"


def take_a_try(study: Study) -> str | None:
    """When it was, for `give_back`; None where there were too many. It counts before the password is looked at, so that
    many at once are not more. A clock that was set by more than a minute begins anew.

    Raises RefusedError where it cannot be written down.
    """
    now = study.clock()
    begin, at, end = (stamp(now + by) for by in (-WITHIN, timedelta(0), WITHIN))
    with writing(study) as found:
        study.database.lock_assignment(found)
        row = found.get(Setting, NAME)
        recent = [each for each in (row.value.split() if row else []) if begin < each < end]
        if len(recent) >= TRIES:
            return None
        found.merge(Setting(name=NAME, value=" ".join([*recent, at])))
    return at


def give_back(study: Study, at: str) -> None:
    """The password was right."""
    with writing(study) as found:
        study.database.lock_assignment(found)
        row = found.get(Setting, NAME)
        if row is not None and at in (tries := row.value.split()):
            tries.remove(at)
            row.value = " ".join(tries)
