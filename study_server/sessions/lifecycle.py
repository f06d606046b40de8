"""A bearer token goes in; its session goes on, from entry to thanks, one state after the other.

ENTERED > CONSENTED > CHECKED > PRELOADED > PRACTICE > MAIN > QUESTIONNAIRE > DONE,
or out of it: DECLINED, SCREENED_OUT, ABANDONED. Every function that changes something is one transaction: all of it is
on the disk when it returns.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from study_server.sessions.assignment import assign, is_full, lease_from
from study_server.sessions.identity import digest_of, identity_of, new_token
from study_server.sessions.refusals import RefusedError, busy, no_storage, other_page, wrong_state
from study_server.sessions.strangers import refusal_of
from study_server.sessions.study import Study, stamp
from study_server.sessions.view import View, ending_of, view_of
from study_server.store.engine import StorageError
from study_server.store.models import ENDED, LIVE, Event, LeftToken, Session, Setting
from study_server.store.turns import BusyError

ABANDONED_AFTER = timedelta(hours=24)  # without a sign of life, after the lease
NARROW_PX = 600  # of the shorter side: a phone
REFUSED_AGAIN = {
    "DONE": ("already_done", "You have taken part already, and everybody can once. Thank you!"),
    "DECLINED": ("declined", "You decided not to take part."),
    "SCREENED_OUT": ("screened_out", "This study needs a larger screen than yours."),
    "ABANDONED": ("expired", "Your session was left for too long and has ended."),
    "EXCLUDED": ("expired", "Your session has ended."),
}


@dataclass(frozen=True)
class Entrance:
    """Somebody at the door. name: the platform's for this person, or the browser's own; submit: see View."""

    platform: str
    name: str
    language: str
    client: str
    screen: Mapping[str, Any]
    submit: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Ticket:
    """What the page that has entered holds from now on."""

    token: str
    view: View


@contextmanager
def writing(study: Study) -> Iterator[Transaction]:
    """A transaction whose failures are refusals: nothing was stored, try again."""
    with _refusing(), study.database.write() as found:
        yield found


@contextmanager
def writing_fast(study: Study) -> Iterator[Connection]:
    """The same without objects for rows."""
    with _refusing(), study.database.writing() as found:
        yield found


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise no_storage() from None
    except BusyError:
        raise busy() from None


def enter(study: Study, entrance: Entrance) -> Ticket:
    """Begin a session, or come back to one's own: its new page takes over, and the old one's token opens nothing.

    Raises RefusedError for somebody whose session has ended, and where nobody is taken any more.
    """
    identity = identity_of(study.secrets.hmac_key, study.manifest.study_id, entrance.platform, entrance.name)
    token = new_token()
    try:
        with writing(study) as found:
            session = found.scalar(select(Session).where(Session.identity == identity).with_for_update())
            if session is None:
                session = _begin(study, found, entrance, identity)
            else:
                _come_back(study, found, session, entrance)
                found.add(LeftToken(token_sha256=session.token_sha256, session_id=session.id))
            session.token_sha256 = digest_of(token)
            found.flush()
            view = view_of(study, found, session)
    except IntegrityError:  # the same person's other click was quicker
        return enter(study, entrance)
    return Ticket(token, _with_submit(view, entrance))


def session_of(study: Study, token: str, client: str) -> View:
    """Where the session is. Raises RefusedError: 401 for a token that is nobody's, 409 for a page that was left.

    How it ended any of its pages may know, those too that it was entered by before: a platform's frame waits for that.
    """
    with study.database.read() as found:
        session = found.scalar(select(Session).where(Session.token_sha256 == digest_of(token))) or _left(found, token)
        return view_of(study, found, session if session and session.state in ENDED else known(found, token, client))


def take_over(study: Study, token: str, client: str) -> View:
    """Go on in this page; others of the session are told so when they next ask."""
    with writing(study) as found:
        session = held(study, found, token, None)
        if session.client != client:
            session.client = client
            note(study, found, session, "taken_over")
        return view_of(study, found, session)


def consent(study: Study, token: str, client: str, agreed: bool, replies: Mapping[str, Any]) -> View:
    """Take part, and be given an arm and trials in the same transaction; or decline, and be counted nowhere."""
    with writing(study) as found:
        session = held(study, found, token, client)
        if session.state != "ENTERED":
            if agreed and session.state in LIVE:
                return view_of(study, found, session)
            raise wrong_state(session.state)
        if not agreed:
            end(study, found, session, "DECLINED")
            return view_of(study, found, session)
        _refuse_if_stopped(found)
        session.replies = {**session.replies, "consent": dict(replies)}
        assign(study, found, session)
        enter_state(study, found, session, "CONSENTED")
        found.flush()
        return view_of(study, found, session)


def device(study: Study, token: str, client: str, measured: Mapping[str, Any]) -> View:
    """What the page measured of screen and browser; a phone goes the way of the policy."""
    with writing(study) as found:
        session = held(study, found, token, client)
        if session.state == "CONSENTED":
            session.device = dict(measured)
            if _is_phone(measured) and study.config.participants.phones != "allow":
                _meet_phone(study, found, session)
            if session.state == "CONSENTED":
                enter_state(study, found, session, "CHECKED")
        elif session.state not in LIVE:
            raise wrong_state(session.state)
        return view_of(study, found, session)


def ready(study: Study, token: str, client: str) -> View:
    """Everything is preloaded."""
    with writing(study) as found:
        session = held(study, found, token, client)
        if session.state == "CHECKED":
            enter_state(study, found, session, "PRELOADED")
        elif session.state not in LIVE:
            raise wrong_state(session.state)
        return view_of(study, found, session)


def alive(study: Study, token: str, client: str) -> None:
    """Somebody is still there; the lease begins anew."""
    with writing(study) as found:
        held(study, found, token, client)


def questionnaire(study: Study, token: str, client: str, replies: Mapping[str, Any]) -> View:
    """The last questions' answers, all of which may be left out; the session is done."""
    with writing(study) as found:
        session = held(study, found, token, client)
        if session.state == "QUESTIONNAIRE":
            session.replies = {**session.replies, "questionnaire": dict(replies)}
            end(study, found, session, "DONE")
        elif session.state != "DONE":
            raise wrong_state(session.state)
        return view_of(study, found, session)


def expire(study: Study) -> int:
    """End the sessions that have been left for a day; returns how many. Places are free as soon as a lease is over."""
    with writing(study) as found:
        return end_those_left(study, found)


def set_running(study: Study, running: bool) -> None:
    """Take new participants, or none; sessions that have begun go on in any case."""
    with writing(study) as found:
        found.execute(update(Setting).where(Setting.name == "running").values(value="yes" if running else "no"))
        found.add(Event(session_id=None, at=stamp(study.clock()), kind="started" if running else "stopped", detail={}))


# What the other modules of this room use


def known(found: Transaction, token: str, client: str | None, *, to_change: bool = False) -> Session:
    """The token's session, locked if it is to be changed. client: None where any page may ask."""
    query = select(Session).where(Session.token_sha256 == digest_of(token))
    session = found.scalar(query.with_for_update() if to_change else query)
    if session is None:
        raise refusal_of(found, token)
    if client is not None and session.client != client:
        raise other_page()
    return session


def held(study: Study, found: Transaction, token: str, client: str | None) -> Session:
    """The token's session, to be changed, its lease anew. A clock that was set back shortens no lease."""
    session = known(found, token, client, to_change=True)
    if session.state in LIVE:
        session.lease_until = max(session.lease_until or "", lease_from(study))
    return session


def end_those_left(study: Study, found: Transaction) -> int:
    """See `expire`."""
    limit = stamp(study.clock() - ABANDONED_AFTER)
    away = select(Session).where(Session.state.in_(LIVE), Session.lease_until < limit)
    left = found.scalars(away.with_for_update(skip_locked=True)).all()  # who is just coming back is not away
    for session in left:
        end(study, found, session, "ABANDONED")
    return len(left)


def enter_state(study: Study, found: Transaction, session: Session, state: str) -> None:
    """Write it into the timeline."""
    session.state = state
    note(study, found, session, "state", {"state": state})


def end(study: Study, found: Transaction, session: Session, state: str) -> None:
    """One of ENDED; who is done gets a code to show."""
    session.ended_at = stamp(study.clock())
    session.lease_until = None
    if state == "DONE" and session.code is None:
        session.code = new_code(study)
    enter_state(study, found, session, state)


def new_code(study: Study) -> str:
    """What shows that somebody has taken part."""
    return study.config.entry.prolific_code_completed or secrets.token_hex(4).upper()


def note(
    study: Study, found: Transaction, session: Session, kind: str, detail: Mapping[str, Any] | None = None
) -> None:
    """A line of the session's timeline."""
    found.add(Event(session_id=session.id, at=stamp(study.clock()), kind=kind, detail=dict(detail or {})))


def _left(found: Transaction, token: str) -> Session | None:
    left = select(LeftToken.session_id).where(LeftToken.token_sha256 == digest_of(token))
    return found.scalar(select(Session).where(Session.id.in_(left)))


def _begin(study: Study, found: Transaction, entrance: Entrance, identity: str) -> Session:
    _refuse_if_stopped(found)
    if is_full(study, found):
        raise RefusedError(403, "full", "All places of this study are taken. Thank you for coming!")
    session = Session(
        public_id=secrets.token_hex(8),
        identity=identity,
        platform=entrance.platform,
        token_sha256=digest_of(new_token()),
        client=entrance.client,
        state="ENTERED",
        language=_language(study, entrance.language),
        entered_at=stamp(study.clock()),
        device=dict(entrance.screen),
        position=0,
        flags=[],
        replies={},
    )
    found.add(session)
    found.flush()
    note(study, found, session, "state", {"state": "ENTERED"})
    return session


def _come_back(study: Study, found: Transaction, session: Session, entrance: Entrance) -> None:
    if session.state in ENDED:
        raise RefusedError(403, *REFUSED_AGAIN[session.state], ending_of(study.config, session))
    session.client = entrance.client
    if session.state in LIVE:
        session.lease_until = max(session.lease_until or "", lease_from(study))
    else:
        session.language = _language(study, entrance.language)
    note(study, found, session, "came_back")


def _refuse_if_stopped(found: Transaction) -> None:
    if found.scalar(select(Setting.value).where(Setting.name == "running")) == "no":
        raise RefusedError(403, "stopped", "The study is not running at the moment. Please come back later.")


def _language(study: Study, wanted: str) -> str:
    known = study.config.about.languages
    short = wanted.lower().split("-")[0]
    return short if short in known else known[0]


def _is_phone(measured: Mapping[str, Any]) -> bool:
    sides = [measured.get("width_px"), measured.get("height_px")]
    numbers = [side for side in sides if isinstance(side, int | float)]
    return bool(numbers) and min(numbers) < NARROW_PX and bool(measured.get("touch", True))


def _meet_phone(study: Study, found: Transaction, session: Session) -> None:
    session.flags = [*session.flags, "phone"]
    if study.config.participants.phones == "block":
        end(study, found, session, "SCREENED_OUT")


def _with_submit(view: View, entrance: Entrance) -> View:
    """The session's number goes with the form: Mechanical Turk takes none without an answer, and results tell whose."""
    if entrance.submit is None:
        return view
    fields = {**entrance.submit["fields"], "session": view.session}
    return replace(view, content={**view.content, "submit": {**entrance.submit, "fields": fields}})
