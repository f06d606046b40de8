"""What a study keeps to itself: secrets.toml, which only its owner can read."""

import os
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cgeval.errors import RunError
from cgeval.files import write_atomic

FILE = "secrets.toml"
KEY_BYTES = 32
PASSWORD_CHARACTERS = 16


@dataclass(frozen=True)
class Secrets:
    """hmac_key: identities; link_key: signed personal links, admin sessions; admin_hash: of the admin's password."""

    hmac_key: bytes
    link_key: bytes
    admin_hash: str


def make_secrets(folder: Path) -> str:
    """Write new keys and the hash of a new password for the admin, which is returned and kept nowhere."""
    password = secrets.token_urlsafe(PASSWORD_CHARACTERS)[:PASSWORD_CHARACTERS]
    _write(folder, Secrets(secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES), _hash(password)))
    return password


def set_password(folder: Path, password: str) -> None:
    """Replace the admin's password; the keys stay."""
    before = read_secrets(folder)
    _write(folder, Secrets(before.hmac_key, before.link_key, _hash(password)))


def read_secrets(folder: Path) -> Secrets:
    """Raises RunError where they are missing or damaged: without them nobody could be told from anybody else."""
    path = folder / FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Secrets(_key(table["hmac_key"]), _key(table["link_key"]), str(table["admin_hash"]))
    except FileNotFoundError:
        raise RunError(
            f"{path} is not there, and without its keys no participant is known again: restore it."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({error}): restore it from a backup.") from None


def _key(text: str) -> bytes:
    """Raises ValueError for one that is cut off: with it, identities could be guessed, and nobody would notice."""
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {len(key)} bytes, and {KEY_BYTES} are expected")
    return key


def _hash(password: str) -> str:
    from werkzeug.security import generate_password_hash

    return generate_password_hash(password)


def _write(folder: Path, kept: Secrets) -> None:
    lines = [f'hmac_key = "{kept.hmac_key.hex()}"', f'link_key = "{kept.link_key.hex()}"']
    before = os.umask(0o077)
    try:
        write_atomic(folder / FILE, "\n".join([*lines, f'admin_hash = "{kept.admin_hash}"', ""]).encode())
    finally:
        os.umask(before)
    (folder / FILE).chmod(0o600)
