"""A PostgreSQL of one's own: made in a folder, heard on a socket there, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARIES = (Path("/usr/lib/postgresql/15/bin"), Path("/usr/lib/postgresql/16/bin"), Path("/usr/lib/postgresql/17/bin"))
UNPRIVILEGED = ("postgres", "nobody")  # root may not run it


def binaries() -> Path | None:
    """Where initdb and postgres are, if they are."""
    found = shutil.which("initdb")
    places = [*BINARIES, *([Path(found).parent] if found else [])]
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def runner() -> str | None:
    """Who can run it: the user that we are, or, for root, somebody else."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in UNPRIVILEGED if name in known), None)


@contextmanager
def private_server(place: Path, *, durable: bool = False) -> Iterator[str]:
    """Its address; durable: every commit is flushed to the disk, as everywhere but in tests."""
    bin_, user = binaries(), runner()
    assert bin_ is not None
    assert user is not None
    switch = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pg-") as short:  # a socket's path must be short, and root's are closed
        home = Path(short)
        shutil.chown(home, user)
        data = home / "data"
        make = [bin_ / "initdb", "-D", data, "-U", "study", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(make, check=True, capture_output=True, cwd="/", **switch)
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={home}", "-c", "max_connections=80"]
        if not durable:
            options += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        control = [bin_ / "pg_ctl", "-D", data, "-w", "-l", home / "log", "-o", " ".join(options)]
        subprocess.run([*control, "start"], check=True, capture_output=True, cwd="/", **switch)
        try:
            subprocess.run(
                [bin_ / "createdb", "-h", home, "-U", "study", "study"], check=True, capture_output=True, cwd="/"
            )
            yield f"postgresql://study@/study?host={home}"
        finally:
            stop = [bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, capture_output=True, cwd="/", **switch)
    place.parent.mkdir(parents=True, exist_ok=True)
