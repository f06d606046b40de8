"""Sides, findings and a configuration go in; STUDY comes out, whole or not at all."""

import hashlib
import inspect
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from cgeval.runs import now
from study_server.building.images import Images, images_of
from study_server.building.pairing import Match, Matches, match
from study_server.building.place import made_whole
from study_server.building.secrets import make_secrets
from study_server.building.stimuli import Composites, fitted, noise, write_composites
from study_server.checking.seen import ImagesSeen
from study_server.checking.sides import Side
from study_server.config import Section, StudyConfig
from study_server.manifest import CONFIG, STIMULI, Manifest, Pair, Source, write_manifest

Seen = Callable[[int], object]
Kept = Callable[[str, str], object]


@dataclass(frozen=True)
class Planned:
    """What is to be built: the pairs of each algorithm."""

    real: Images
    arms: tuple[tuple[Images, Matches], ...]

    @property
    def composites(self) -> int:
        """Files to write."""
        return 2 * sum(len(matches.trials) + len(matches.catches) for _, matches in self.arms)


@dataclass(frozen=True)
class Built:
    """A study that is there. password: of the admin, told this once."""

    manifest: Manifest
    password: str
    size_bytes: int


def plan(sides: Sequence[Side], looks: Sequence[ImagesSeen], config: StudyConfig) -> Planned:
    """Pair the real side, which is the first, with each other, from what was seen of them in the same order.

    Raises DataError where an algorithm has too few pairs for a session, SealError for a set that was changed.
    """
    real, *fakes = (images_of(side, seen) for side, seen in zip(sides, looks, strict=True))
    return Planned(real, tuple((fake, match(real, fake, config.trials, config.seed)) for fake in fakes))


def build(
    folder: Path, planned: Planned, config: StudyConfig, warnings: Sequence[str], version: str, seen: Seen
) -> Built:
    """Write STUDY beside its place and move it there when it is whole; seen: called with 1 after each composite.

    Raises OutputError where something is there already or nothing can be written, ImageError for a broken image.
    """
    with made_whole(folder) as work:
        return _write(work, planned, config, warnings, version, seen)


def _write(
    work: Path, planned: Planned, config: StudyConfig, warnings: Sequence[str], version: str, seen: Seen
) -> Built:
    text = as_toml(config).encode()
    (work / CONFIG).write_bytes(text)
    (work / STIMULI).mkdir()
    stimuli: dict[str, str] = {}

    def kept(name: str, digest: str) -> None:
        stimuli[name] = digest
        seen(1)

    pairs = [pair for arm in planned.arms for pair in _pairs(work / STIMULI, planned.real, *arm, config, kept)]
    manifest = Manifest(
        study_id=secrets.token_hex(8),
        created_at=now(),
        version=version,
        seed=config.seed,
        config_sha256=hashlib.sha256(text).hexdigest(),
        size_px=config.exposure.size_px,
        real=_source(planned.real),
        algorithms=tuple(_source(fake) for fake, _ in planned.arms),
        pairs=tuple(pairs),
        stimuli=dict(sorted(stimuli.items())),
        warnings=tuple(warnings),
    )
    write_manifest(work, manifest)
    password = make_secrets(work)
    return Built(manifest, password, sum(file.stat().st_size for file in work.rglob("*") if file.is_file()))


def as_toml(config: StudyConfig) -> str:
    """All settings with their values and what they mean, as study.toml has them."""
    sections = config.model_dump(mode="json")
    values = {name: value for name, value in sections.items() if not isinstance(value, dict)}
    parts = [f"# Frozen when the study was built: with any change it would be another study.\n{tomli_w.dumps(values)}"]
    for name, table in sections.items():
        if isinstance(table, dict):
            parts.append(f"{_meaning(getattr(config, name))}{tomli_w.dumps({name: table})}")
    return "\n".join(parts)


def _meaning(section: Section | dict[str, dict[str, str]]) -> str:
    """What the section's class says of itself, as comments."""
    said = inspect.getdoc(type(section)) if isinstance(section, Section) else "Texts of the page to replace, by key."
    return "".join(f"# {line}\n" for line in (said or "").splitlines() if line)


def _pairs(folder: Path, real: Images, fake: Images, matches: Matches, config: StudyConfig, kept: Kept) -> list[Pair]:
    """One algorithm's, with their composites written; two images are in memory at a time."""
    name, size, made = fake.side.name, config.exposure.size_px, []
    for number, each in enumerate(matches.trials):
        files = write_composites(folder, fitted(each.real, size), fitted(each.fake, size), kept)
        made.append(_trial(f"{name}/{number:04}", real, fake, each, files))
    for number, each in enumerate(matches.catches):
        nothing = noise(f"{config.seed}/{name}/{number}", size)
        files = write_composites(folder, fitted(each.real, size), nothing, kept)
        made.append(_catch(f"{name}/catch-{number:04}", real, name, each, files))
    return made


def _trial(name: str, real: Images, fake: Images, each: Match, files: Composites) -> Pair:
    return Pair(
        id=name,
        algorithm=fake.side.name,
        kind="trial",
        real=each.real.relative_to(real.side.folder).as_posix(),
        fake=each.fake.relative_to(fake.side.folder).as_posix(),
        real_sha256=real.digests[each.real],
        fake_sha256=fake.digests[each.fake],
        left=files.left,
        right=files.right,
    )


def _catch(name: str, real: Images, algorithm: str, each: Match, files: Composites) -> Pair:
    return Pair(
        id=name,
        algorithm=algorithm,
        kind="catch",
        real=each.real.relative_to(real.side.folder).as_posix(),
        fake="noise",
        real_sha256=real.digests[each.real],
        fake_sha256="",
        left=files.left,
        right=files.right,
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
