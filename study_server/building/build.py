"""Sides, findings and a configuration go in; STUDY comes out, whole or not at all."""

import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from cgeval.errors import OutputError
from cgeval.files import LEFTOVER, sha256_file
from cgeval.runs import now
from study_server.building.pairing import Images, Match, images_of, match
from study_server.building.secrets import make_secrets
from study_server.building.stimuli import fitted, noise, write_composites
from study_server.checking.sides import Side
from study_server.config import StudyConfig
from study_server.manifest import CONFIG, STIMULI, Manifest, Pair, Source, write_manifest

Seen = Callable[[int], object]


@dataclass(frozen=True)
class Planned:
    """What is to be built: the pairs of each algorithm."""

    real: Images
    matches: tuple[tuple[Images, tuple[Match, ...]], ...]

    @property
    def composites(self) -> int:
        """Files to write, without catch trials'."""
        return 2 * sum(len(pairs) for _, pairs in self.matches)


@dataclass(frozen=True)
class Built:
    """A study that is there. password: of the admin, told this once."""

    manifest: Manifest
    password: str
    size_bytes: int


def plan(sides: Sequence[Side], config: StudyConfig) -> Planned:
    """Pair all; raises DataError where an algorithm has too few pairs for a session."""
    read = [images_of(side, {file: sha256_file(file) for file in side.files}) for side in sides]
    real, *fakes = read
    return Planned(real, tuple((fake, tuple(match(real, fake, config.trials, config.seed))) for fake in fakes))


def build(
    folder: Path, planned: Planned, config: StudyConfig, warnings: Sequence[str], version: str, seen: Seen
) -> Built:
    """Write STUDY beside its place and move it there when it is whole; seen: told of each composite, for progress.

    Raises OutputError where something is there already or nothing can be written.
    """
    refuse_place(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{LEFTOVER}{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"{folder.parent} cannot be written into ({error.strerror}): name another STUDY.") from None
    try:
        built = _write(work, planned, config, warnings, version, seen)
        work.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}): name another STUDY.") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return built


def refuse_place(folder: Path) -> None:
    """Raise OutputError where a study cannot be built, because something is there."""
    if folder.exists() or folder.is_symlink():
        raise OutputError(f"{folder} is there already, and a study is built once: name another folder.")


def _write(
    work: Path, planned: Planned, config: StudyConfig, warnings: Sequence[str], version: str, seen: Seen
) -> Built:
    text = as_toml(config).encode()
    (work / CONFIG).write_bytes(text)
    (work / STIMULI).mkdir()
    stimuli: dict[str, str] = {}
    pairs = _pairs(work / STIMULI, planned, config, lambda name, digest: (stimuli.update({name: digest}), seen(1)))
    manifest = Manifest(
        study_id=secrets.token_hex(8),
        created_at=now(),
        version=version,
        seed=config.seed,
        config_sha256=hashlib.sha256(text).hexdigest(),
        size_px=config.exposure.size_px,
        real=_source(planned.real),
        algorithms=tuple(_source(fake) for fake, _ in planned.matches),
        pairs=tuple(pairs),
        stimuli=dict(sorted(stimuli.items())),
        warnings=tuple(warnings),
    )
    write_manifest(work, manifest)
    password = make_secrets(work)
    return Built(manifest, password, sum(file.stat().st_size for file in (work / STIMULI).iterdir()))


def as_toml(config: StudyConfig) -> str:
    """All settings with their values, as study.toml has them."""
    return (
        "# Frozen when the study was built: what was changed here would not be the study any more.\n"
        + tomli_w.dumps(config.model_dump(mode="json"))
    )


def _pairs(folder: Path, planned: Planned, config: StudyConfig, kept: Callable[[str, str], object]) -> list[Pair]:
    size, made = config.exposure.size_px, []
    for fake, matches in planned.matches:
        name = fake.side.name
        for number, each in enumerate(matches):
            files = write_composites(folder, fitted(each.real, size), fitted(each.fake, size), kept)
            made.append(_pair(planned.real, fake, each, f"{name}/{number:04}", "trial", (files.left, files.right)))
        for number, each in enumerate(matches[: config.trials.catch]):
            nothing = noise(f"{config.seed}/{name}/{number}", size)
            files = write_composites(folder, fitted(each.real, size), nothing, kept)
            made.append(
                _pair(planned.real, fake, each, f"{name}/catch-{number:04}", "catch", (files.left, files.right))
            )
    return made


def _pair(real: Images, fake: Images, each: Match, name: str, kind: str, files: tuple[str, str]) -> Pair:
    return Pair(
        id=name,
        algorithm=fake.side.name,
        kind="catch" if kind == "catch" else "trial",
        real=each.real.relative_to(real.side.folder).as_posix(),
        fake=each.fake.relative_to(fake.side.folder).as_posix() if kind == "trial" else "noise",
        real_sha256=real.digests[each.real],
        fake_sha256=fake.digests[each.fake] if kind == "trial" else "",
        left=files[0],
        right=files[1],
    )


def _source(images: Images) -> Source:
    run, image_set = images.run, images.image_set
    return Source(
        name=images.side.name,
        where=str(images.side.folder),
        images=len(images.side.files),
        digest=images.digest,
        run_id=run.info.run_id if run else "",
        image_set=image_set.name if image_set else "",
        index_sha256=image_set.index_sha256 if image_set else "",
    )
