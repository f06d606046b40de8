"""A token that opens no session goes in; why comes out: its page was left for another one, or it is nobody's."""

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session as Transaction

from study_server.sessions.identity import digest_of
from study_server.sessions.refusals import RefusedError, other_page, unknown_token
from study_server.store.models import LeftToken


def refusal_of(found: Transaction | Connection, token: str) -> RefusedError:
    """What its page is to hear."""
    was_known = found.scalar(select(LeftToken.session_id).where(LeftToken.token_sha256 == digest_of(token)))
    return unknown_token() if was_known is None else other_page()
