"""A language and a study's own wording go in; all that a participant reads in it comes out, by key.

Texts are plain; <b> and </b> are the only marks that the page knows, an empty line parts paragraphs, and {braces} name
what the page fills in.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from cgeval.errors import ConfigError
from study_server.config import LANGUAGES


def words(language: str, overrides: Mapping[str, str] | None = None) -> dict[str, str]:
    """The shipped texts of a language, with a study's own in their place.

    Raises ConfigError for a language that is not shipped, for a key that is in no shipped text, and for braces that
    the text in its place has not.
    """
    shipped = _shipped(language)
    for key, text in (overrides or {}).items():
        if key not in shipped:
            raise ConfigError(
                f"texts.{language}: unknown text {key!r}; study_server/texts/{language}.toml has them all."
            )
        if odd := _braces(text) - _braces(shipped[key]):
            raise ConfigError(
                f"texts.{language}.{key} has {{{min(odd)}}}, which the page cannot fill in; "
                f"it knows {_listed(_braces(shipped[key]))} there."
            )
    return shipped | dict(overrides or {})


def all_words(languages: tuple[str, ...], overrides: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The same for each of a study's languages, as the page embeds it."""
    return {language: words(language, overrides.get(language)) for language in languages}


@cache
def _shipped(language: str) -> dict[str, str]:
    if language not in LANGUAGES:
        raise ConfigError(f"there are no texts in {language!r}; {', '.join(LANGUAGES)} are shipped.")
    return tomllib.loads((files(__package__) / f"{language}.toml").read_text(encoding="utf-8"))


def _braces(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"
