"""study.toml goes in; one frozen, checked `StudyConfig` comes out. An unknown key is an error, as is a wrong type.

Defaults are those of the CycleGAN paper's study (arXiv 1703.10593, section 5.1.1): 10 practice trials with feedback,
40 scored ones, one algorithm a session, 25 participants for each; images shown for 1 second, as in the pix2pix paper
(arXiv 1611.07004, section 3.2). They live here and nowhere else.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cgeval.errors import ConfigError

Preset = Literal["zhu2017", "isola2017", "simultaneous"]
Asked = Literal["real", "fake"]
Layout = Literal["sequential", "simultaneous"]
Policy = Literal["allow", "block", "flag"]
Platform = Literal["open", "links", "mturk", "prolific"]

PRESETS: dict[str, tuple[Asked, Layout]] = {
    "zhu2017": ("real", "sequential"),
    "isola2017": ("fake", "sequential"),
    "simultaneous": ("real", "simultaneous"),
}
LANGUAGES = ("en", "zh")


class Section(BaseModel):
    """A frozen table of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class About(Section):
    """What participants read of the study. contact: whom they can ask, such as an e-mail address; "" for nobody."""

    title: str = "Which image is real?"
    contact: str = ""
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")


class Trials(Section):
    """How many trials of each kind.

    catch: scored-looking trials that no attentive person gets wrong (an algorithm's image replaced by noise), spread
    among the scored ones and counted apart. paired: the real image of a pair is the one that the fake was made from or
    aims at (equal file stems); otherwise any. break_after: scored trials after which a pause is offered, 0 for none.
    """

    practice: int = Field(10, ge=0, le=200)
    scored: int = Field(40, ge=2, le=1000)
    catch: int = Field(0, ge=0, le=100)
    paired: bool = True
    break_after: int = Field(20, ge=0)

    @model_validator(mode="after")
    def _is_balanced(self) -> "Trials":
        if self.scored % 2:
            raise ValueError(
                f"trials.scored is {self.scored}: an even number is expected, half of it with the real one left"
            )
        return self


class Exposure(Section):
    """How long what is seen, in milliseconds; the blanks are the AMT tool's.

    tolerance_ms: by how much a measured exposure may miss before the trial is flagged. feedback_ms: of practice.
    """

    shown_ms: int = Field(1000, ge=50, le=60_000)
    blank_first_ms: int = Field(900, ge=0, le=10_000)
    blank_between_ms: int = Field(600, ge=0, le=10_000)
    blank_last_ms: int = Field(100, ge=0, le=10_000)
    feedback_ms: int = Field(2400, ge=0, le=60_000)
    tolerance_ms: int = Field(50, ge=1, le=1000)
    size_px: int = Field(256, ge=16, le=2048)


class Participants(Section):
    """Who takes part. per_algorithm: sessions wanted of each arm.

    lease_minutes: how long a session holds its place without a sign of life. phones: screens narrower than 600 px.
    minimum_age: asked for in the consent; 0 for none.
    """

    per_algorithm: int = Field(25, ge=1, le=100_000)
    lease_minutes: float = Field(15.0, gt=0, le=24 * 60)
    phones: Policy = "flag"
    minimum_age: int = Field(18, ge=0, le=99)
    demographics: bool = False
    questionnaire: bool = True


class Entry(Section):
    """How participants come. prolific_codes: completion codes of those who finish, decline, or are screened out.

    prolific_jwks: file of the public key set of signed study links, "" where links are not signed.
    """

    platform: Platform = "open"
    prolific_code_completed: str = ""
    prolific_code_declined: str = ""
    prolific_code_screened_out: str = ""
    prolific_jwks: str = ""

    @model_validator(mode="after")
    def _has_codes(self) -> "Entry":
        if self.platform == "prolific" and not self.prolific_code_completed:
            raise ValueError("entry.prolific_code_completed is expected with Prolific, from the study's page there")
        return self


class Exclusions(Section):
    """Rules declared before anybody takes part, applied in this order when the study is evaluated; 0 or 1: not used.

    catch_wrong: more catch trials wrong than this many; fast_share: more than this share of answers under fast_ms;
    one_sided_share: more than this share of answers on one side; invalid_share: more than this share of exposures
    flagged. Nobody is ever excluded for being fooled.
    """

    catch_wrong: int = Field(1, ge=0)
    fast_ms: int = Field(200, ge=0)
    fast_share: float = Field(0.2, ge=0, le=1)
    one_sided_share: float = Field(0.95, ge=0.5, le=1)
    invalid_share: float = Field(0.2, ge=0, le=1)


class StudyConfig(Section):
    """The whole study.toml."""

    preset: Preset = "zhu2017"
    seed: int = Field(0, ge=0)
    about: About = About()
    trials: Trials = Trials()
    exposure: Exposure = Exposure()
    participants: Participants = Participants()
    entry: Entry = Entry()
    exclusions: Exclusions = Exclusions()
    texts: dict[Literal["en", "zh"], dict[str, str]] = {}

    @property
    def asked(self) -> Asked:
        """Which image participants are asked to click."""
        return PRESETS[self.preset][0]

    @property
    def layout(self) -> Layout:
        """One after the other, or both at once."""
        return PRESETS[self.preset][1]

    @property
    def length(self) -> int:
        """Trials of a session."""
        return self.trials.practice + self.trials.scored + self.trials.catch


def read_config(path: Path, changes: tuple[str, ...] = ()) -> StudyConfig:
    """study.toml and changes such as "trials.scored=20"; raises ConfigError in one sentence that names the key."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: restore it from a backup, or build the study anew.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as TOML ({error}): mend it, or start from the defaults.") from None
    return make_config(table, changes, str(path))


def make_config(table: dict[str, Any], changes: tuple[str, ...] = (), where: str = "--set") -> StudyConfig:
    """From a table as study.toml has it."""
    for change in changes:
        _set(table, change)
    try:
        return StudyConfig.model_validate_json(_json(table))
    except ValidationError as error:
        raise ConfigError(_sentence(error, _blamed(error, changes) or where)) from None


def _json(table: dict[str, Any]) -> str:
    """As JSON, in which strict types let a list be a tuple."""
    return json.dumps(table)


def _set(table: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals:
        raise ConfigError(f"--set {change}: KEY=VALUE is expected, such as trials.scored=20.")
    *sections, name = key.split(".")
    place = table
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {change}: {section} is no table of settings.")
    try:
        place[name] = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        place[name] = text


def _blamed(error: ValidationError, changes: tuple[str, ...]) -> str | None:
    """The change that the mistake came in by; None where it was there before."""
    place = [str(part) for part in error.errors()[0]["loc"]]
    for change in changes:
        key = change.partition("=")[0].split(".")
        if all(one == other for one, other in zip(key, place, strict=False)):
            return f"--set {change}"
    return None


def _sentence(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "study.toml"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown setting {key!r}; docs/hosting-a-study.md lists the known ones."
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}: {said}." if isinstance(first["input"], dict) else f"{where}: {key} is {first['input']!r}: {said}."
