"""Who somebody is goes in; a number that only this study can make of it comes out. The name itself is kept nowhere."""

import hashlib
import hmac
import secrets

TOKEN_BYTES = 32


def identity_of(key: bytes, study_id: str, platform: str, name: str) -> str:
    """HMAC-SHA256 under the study's key: the same person is known again, here alone."""
    parts = (study_id, platform, name)
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def new_token() -> str:
    """A bearer token, or the name of a stimulus: 256 bits that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> str:
    """Under which a token is looked up; whoever reads the database cannot use it."""
    return hashlib.sha256(token.encode()).hexdigest()
