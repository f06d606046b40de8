"""A study that nobody has taken part in goes in; its pre-registration is frozen beside its manifest.

The database keeps the document's digest, so that a later change of the file shows.
"""

import hashlib
from collections import Counter
from contextlib import closing
from pathlib import Path

from sqlalchemy import func, select

from cgeval.errors import ConfigError, OutputError, RunError
from cgeval.files import write_atomic
from study_server.analysis.analysis import Choices
from study_server.building.verify import verify_study
from study_server.judged import REGISTRATION, read_judged
from study_server.registration.document import as_bytes, as_markdown, document
from study_server.sessions.study import now_utc, stamp
from study_server.store.engine import open_database
from study_server.store.models import Answer, Setting

FILE, FOR_PEOPLE = "preregistration.json", "preregistration.md"


def freeze(folder: Path, choices: Choices, database_url: str | None = None) -> tuple[Path, str]:
    """Write STUDY/preregistration.json and .md, once. Returns the document for people, and the digest.

    The rules of choices are the study's own. Files that a kill left without a digest in the database are no
    registration, and are replaced. Raises RunError where the study is an import, has changed since it was
    built, or has answers; OutputError where it has been registered.
    """
    judged = read_judged(folder, database_url)
    if judged.manifest is None:
        raise RunError(f"{folder} was imported: its answers are there, and nothing can be registered before them.")
    _refuse_pairs(judged.manifest.arms, choices)
    changed = verify_study(folder)
    if changed:
        raise RunError(f"{folder} is not as it was built: {changed[0]} Restore it, or build it anew.")
    if judged.registration:
        raise _frozen(folder)
    said = document(judged, choices, stamp(now_utc()))
    content = as_bytes(said)
    digest = hashlib.sha256(content).hexdigest()
    with closing(open_database(folder, database_url)) as database, database.write() as found:
        database.lock_assignment(found)
        if found.scalar(select(Setting.value).where(Setting.name == REGISTRATION)) is not None:
            raise _frozen(folder)  # by another one, since it was read
        answers = found.scalar(select(func.count(Answer.id))) or 0
        if answers:
            raise RunError(
                f"{folder} has {answers} answers already: a pre-registration comes before them. To rehearse a study, "
                "use `study-server rehearse`, which leaves it untouched."
            )
        found.add(Setting(name=REGISTRATION, value=digest))
        write_atomic(folder / FILE, content)
        write_atomic(folder / FOR_PEOPLE, as_markdown(said, digest).encode())
    return folder / FOR_PEOPLE, digest


def _frozen(folder: Path) -> OutputError:
    return OutputError(f"{folder / FILE} is frozen: a study is registered once. For other choices build it anew.")


def _refuse_pairs(arms: tuple[str, ...], choices: Choices) -> None:
    """Of algorithms that are not there, or twice the same: Holm's correction would be for too many."""
    for name in (name for pair in choices.pairs or () for name in pair):
        if name not in arms:
            raise ConfigError(f"there is no algorithm {name!r} to contrast: the study has {', '.join(arms)}.")
    for pair, often in Counter(frozenset(pair) for pair in choices.pairs or ()).items():
        if often > 1:
            raise ConfigError(f"{' and '.join(sorted(pair))} are contrasted {often} times: name each pair once.")
