"""The query of a study's address goes in; who is at the door comes out, by the rules of the platform it names.

MTurk's external questions bring assignmentId, hitId, workerId and turkSubmitTo, none of which can be verified. Prolific
brings PROLIFIC_PID, STUDY_ID and SESSION_ID, or where that is configured a signed token, whose claim "prolific" has
these three (docs.prolific.com, "Retrieve JSON Web Key Set"); its "sub" is a submission and no person. A personal link
carries a name and our own signature. In an open study a browser is known by a number that it keeps.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgeval.errors import ConfigError
from study_server.sessions.lifecycle import Entrance
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import Study

PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
MTURK_HOSTS = ("www.mturk.com", "workersandbox.mturk.com")
NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,128}")
SIGNATURE_LETTERS = 32
ALGORITHMS = ("RS256", "ES256", "EdDSA")


def at_the_door(
    study: Study, query: Mapping[str, str], visitor: str, language: str, client: str, screen: Mapping[str, Any]
) -> Entrance | None:
    """Who enters; None for a preview, of which nothing is stored. Raises RefusedError for a link that is not right."""
    platform = study.config.entry.platform
    if platform == "mturk" and query.get("assignmentId", PREVIEW) == PREVIEW:
        return None
    name, submit = READERS[platform](study, query, visitor)
    return Entrance(platform, name, language, client, screen, submit)


def sign(key: bytes, study_id: str, name: str) -> str:
    """The signature in a personal link."""
    return hmac.new(key, f"link\n{study_id}\n{name}".encode(), hashlib.sha256).hexdigest()[:SIGNATURE_LETTERS]


def personal_link(base: str, study: Study, name: str) -> str:
    """The address for one person. Raises ConfigError for a name that would not survive in an address."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a link: letters, digits and _ . @ + - are expected, at most 128.")
    signature = sign(study.secrets.link_key, study.manifest.study_id, name)
    return f"{base.rstrip('/')}/?p={name.replace('+', '%2B')}&s={signature}"


Read = tuple[str, dict[str, Any] | None]


def _open(_study: Study, _query: Mapping[str, str], visitor: str) -> Read:
    if not NAME.fullmatch(visitor):
        raise _bad_link("This browser did not say which one it is. Please load the page again.")
    return visitor, None


def _link(study: Study, query: Mapping[str, str], _visitor: str) -> Read:
    name, signature = query.get("p", ""), query.get("s", "")
    right = sign(study.secrets.link_key, study.manifest.study_id, name)
    if not NAME.fullmatch(name) or not hmac.compare_digest(signature.encode(), right.encode()):
        raise _bad_link("This link is not complete. Please open it exactly as you were given it.")
    return name, None


def _mturk(_study: Study, query: Mapping[str, str], _visitor: str) -> Read:
    name, assignment, to = query.get("workerId", ""), query.get("assignmentId", ""), query.get("turkSubmitTo", "")
    if not (NAME.fullmatch(name) and NAME.fullmatch(assignment)):
        raise _bad_link("This page has to be opened from Mechanical Turk, after accepting the task.")
    host = next((host for host in MTURK_HOSTS if f"{to}/".startswith(f"https://{host}/")), None)
    if host is None:
        raise _bad_link("This page has to be opened from Mechanical Turk itself.")
    return name, {"url": f"https://{host}/mturk/externalSubmit", "fields": {"assignmentId": assignment}}


def _prolific(study: Study, query: Mapping[str, str], _visitor: str) -> Read:
    entry = study.config.entry
    name = (
        _verified(study.folder / entry.prolific_jwks, query) if entry.prolific_jwks else query.get("PROLIFIC_PID", "")
    )
    if not NAME.fullmatch(name):
        raise _bad_link("This page has to be opened from Prolific.")
    return name, None


def _verified(key_set: Path, query: Mapping[str, str]) -> str:
    """The participant that a signed link names. Raises RefusedError for a signature that is none, or too old."""
    import jwt

    token = query.get("prolific_token") or query.get("token") or ""
    try:
        keys = jwt.PyJWKSet.from_json(key_set.read_text()).keys
    except (OSError, ValueError, AttributeError, jwt.PyJWTError):
        raise RefusedError(
            503, "keys", "The server lacks the keys that verify links. Please tell whoever invited you."
        ) from None
    try:
        wanted = jwt.get_unverified_header(token).get("kid")
        key = next(each for each in keys if each.key_id == wanted or wanted is None)
        told = jwt.decode(token, key, algorithms=list(ALGORITHMS), options={"require": ["exp"], "verify_aud": False})
        claim = told.get("prolific")
        return str(claim.get("PROLIFIC_PID", "")) if isinstance(claim, dict) else ""
    except (jwt.PyJWTError, StopIteration):
        raise _bad_link("This link's signature is not right, or too old. Please open it from Prolific again.") from None


def _bad_link(sentence: str) -> RefusedError:
    return RefusedError(403, "bad_link", sentence)


READERS = {"open": _open, "links": _link, "mturk": _mturk, "prolific": _prolific}
