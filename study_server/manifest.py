"""What a study was frozen to: which images stand in which pairs, under which names nobody can guess, by which seed.

STUDY/manifest.json is written once by `study-server build` and never again; the server and the analysis only read it.
A pair has two composites, one for each side on which the real image can be; both are PNG files of one size, and their
names in STUDY/stimuli tell nothing. A participant's browser sees neither the names nor the manifest.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from cgeval.errors import RunError, SchemaError
from cgeval.files import write_json_atomic

SCHEMA = 1
FILE, CONFIG, STIMULI = "manifest.json", "study.toml", "stimuli"
IMPORTED = "imported.json"  # in place of the manifest, where answers came from elsewhere
Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
SIMULATED = "The participants are simulated, by `study-server rehearse --keep`: no people answered."  # a warning


@dataclass(frozen=True)
class Source:
    """Where the images of one side are from, as the user named it. name: "real", or the algorithm's.

    run_id, image_set, index_sha256: of a run's sealed set, "" of a folder; digest: over all image files, in order.
    """

    name: str
    where: str
    images: int
    digest: str
    run_id: str = ""
    image_set: str = ""
    index_sha256: str = ""


@dataclass(frozen=True)
class Pair:
    """A real and a generated image. kind "catch": what stands for the generated one is noise.

    left, right: file names in stimuli/ of the composite with the real image on that side; real, fake: the files' paths
    within their sources; the digests are of these files.
    """

    id: str
    algorithm: str
    kind: Literal["trial", "catch"]
    real: str
    fake: str
    real_sha256: str
    fake_sha256: str
    left: str
    right: str

    def stimulus(self, real_side: Side) -> str:
        """The file of the composite with the real image there."""
        return self.left if real_side == "left" else self.right


@dataclass(frozen=True)
class Manifest:
    """The frozen study. study_id: random; config_sha256: of study.toml's bytes; stimuli: SHA-256 by file name."""

    study_id: str
    created_at: str
    version: str
    seed: int
    config_sha256: str
    size_px: int
    real: Source
    algorithms: tuple[Source, ...]
    pairs: tuple[Pair, ...]
    stimuli: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    schema: int = SCHEMA

    @cached_property
    def by_id(self) -> Mapping[str, Pair]:
        """Pairs by id."""
        return {pair.id: pair for pair in self.pairs}

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the algorithms, in the order of the command."""
        return tuple(source.name for source in self.algorithms)

    @property
    def is_simulated(self) -> bool:
        """Whether it is the kept copy of a rehearsal."""
        return SIMULATED in self.warnings

    def pairs_of(self, algorithm: str, kind: str = "trial") -> tuple[Pair, ...]:
        """Those that a session of the arm draws from."""
        return tuple(pair for pair in self.pairs if pair.algorithm == algorithm and pair.kind == kind)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Into the study's folder, whole or not at all."""
    write_json_atomic(folder / FILE, asdict(manifest))


def _no_study(folder: Path) -> str:
    if (folder / IMPORTED).is_file():
        return f"{folder} was imported, and this needs a study that was built here; `study-server report` takes it."
    return f"{folder} is no study: `study-server build --help` says how to make one."


def read_manifest(folder: Path) -> Manifest:
    """Raises RunError where there is none, SchemaError for one of another version."""
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(_no_study(folder)) from None
    except ValueError as error:
        raise RunError(f"{path} is not whole ({error}): restore it from a backup.") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise SchemaError(f"{path} has another schema than {SCHEMA}: use the version of cgeval that made it.")
    try:
        parts = {
            "real": Source(**content["real"]),
            "algorithms": tuple(Source(**each) for each in content["algorithms"]),
            "pairs": tuple(Pair(**each) for each in content["pairs"]),
            "warnings": tuple(content["warnings"]),
        }
        return Manifest(**content | parts)
    except (KeyError, TypeError) as error:
        raise RunError(f"{path} is not whole ({error!r}): restore it from a backup.") from None
