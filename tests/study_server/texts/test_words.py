import re
from pathlib import Path

import pytest

from cgeval.errors import ConfigError
from study_server import web
from study_server.config import LANGUAGES
from study_server.texts import all_words, words

STATIC = Path(web.__file__).parent / "static"


def braces(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_language_says_the_same_things_with_the_same_blanks_to_fill():
    english = words("en")
    for language in LANGUAGES:
        others = words(language)
        assert others.keys() == english.keys()
        assert {key: braces(text) for key, text in others.items()} == {
            key: braces(text) for key, text in english.items()
        }
        assert all(text.strip() for text in others.values())


def test_every_text_that_the_page_asks_for_is_there_and_none_is_for_nothing():
    script = "".join(path.read_text() for path in STATIC.glob("*.js"))
    known = words("en").keys()
    assert set(re.findall(r'say\("(\w+)"', script)) <= known
    composed = [re.sub(r"\$\{[^}]*\}", r"\\w+", text) for text in re.findall(r"say\(`([^`]*)`", script)]
    used = {key for key in known if f'"{key}"' in script or any(re.fullmatch(text, key) for text in composed)}
    assert known - used == {"language", "noscript", "loading"}


def test_a_study_has_its_own_wording_where_it_wants_it():
    own = words("en", {"welcome_heading": "Hello"})
    assert own["welcome_heading"] == "Hello"
    assert own["welcome_text"] == words("en")["welcome_text"]
    assert words("en")["welcome_heading"] != "Hello"


@pytest.mark.parametrize(
    ("language", "overrides", "named"),
    [
        ("en", {"welcome_headline": "Hello"}, "'welcome_headline'"),
        ("zh", {"consent_age": "{years}"}, "{years}"),
        ("fr", {}, "'fr'"),
    ],
)
def test_a_wording_that_the_page_cannot_use_is_refused_by_name(language, overrides, named):
    with pytest.raises(ConfigError, match=re.escape(named)):
        words(language, overrides)


def test_the_page_gets_every_language_of_the_study():
    both = all_words(("zh", "en"), {"zh": {"go_on": "好"}})
    assert list(both) == ["zh", "en"]
    assert both["zh"]["go_on"] == "好"
    assert both["en"] == words("en")
