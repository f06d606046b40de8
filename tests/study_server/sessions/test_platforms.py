"""Who comes from which platform is who the platform says, once, and nobody comes by a link that somebody made up."""

import json
import shutil
import time
from functools import cache
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from study_server.sessions import lifecycle
from study_server.sessions.platforms import at_the_door, personal_link, sign
from study_server.sessions.refusals import RefusedError
from study_server.sessions.study import open_study
from tests.study_server.small_study import small_study

TRIALS = {"practice": 2, "scored": 4}
MTURK = {"assignmentId": "A1", "hitId": "H", "workerId": "W1", "turkSubmitTo": "https://www.mturk.com"}
PROLIFIC = {"platform": "prolific", "prolific_code_completed": "DONE1"}
PERSON = {"PROLIFIC_PID": "p1", "STUDY_ID": "s1", "SESSION_ID": "submission1"}
KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a study of the platform, whose tables are there."""

    @cache
    def call(**entry):
        folder = small_study(tmp_path_factory.mktemp("platform"), ("one",), 6, trials=TRIALS, entry=entry)
        open_study(folder).close()
        return folder

    return call


@pytest.fixture
def opened(built, tmp_path):
    """A study of the platform in which nobody was."""
    studies = []

    def call(**entry):
        studies.append(open_study(Path(shutil.copytree(built(**entry), tmp_path / "study"))))
        return studies[-1]

    yield call
    for study in studies:
        study.close()


def entrance(study, query, visitor=""):
    return at_the_door(study, query, visitor, "en", "page", {})


def refused(code: str):
    return pytest.raises(RefusedError, check=lambda error: error.code == code)


@pytest.mark.parametrize("visitor", ["", " ", "a b", "é", "x" * 129])
def test_an_open_study_needs_a_browser_that_says_which_it_is(opened, visitor):
    study = opened()
    assert entrance(study, {}, "number").name == "number"
    with refused("bad_link"):
        entrance(study, {}, visitor)


def test_a_personal_link_is_for_its_name_and_its_study(opened):
    study = opened(platform="links")
    link = personal_link("https://study.example.org/", study, "ann+1@x.org")
    assert link.startswith("https://study.example.org/?p=ann%2B1@x.org&s=")
    signature = link.rsplit("=", 1)[1]
    assert entrance(study, {"p": "ann+1@x.org", "s": signature}).name == "ann+1@x.org"
    of_another_study = sign(study.secrets.link_key, "another", "ann")
    for query in (
        {},
        {"p": "ann"},
        {"p": "bob", "s": signature},
        {"p": "ann", "s": of_another_study},
        {"s": signature},
    ):
        with refused("bad_link"):
            entrance(study, query)


def test_a_worker_hands_in_to_mturk_with_the_sessions_number(opened):
    study = opened(platform="mturk")
    ticket = lifecycle.enter(study, entrance(study, MTURK | {"turkSubmitTo": "https://workersandbox.mturk.com/"}))
    assert ticket.view.content["submit"] == {
        "url": "https://workersandbox.mturk.com/mturk/externalSubmit",
        "fields": {"assignmentId": "A1", "session": ticket.view.session},
    }
    again = lifecycle.enter(study, entrance(study, MTURK | {"assignmentId": "A2"}))
    assert again.view.session == ticket.view.session, "another assignment is the same worker"


@pytest.mark.parametrize("query", [{}, {"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE"}])
def test_a_preview_is_nobody(opened, query):
    assert entrance(opened(platform="mturk"), query) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"workerId": ""},
        {"assignmentId": "a b"},
        *(
            {"turkSubmitTo": to}
            for to in (
                "", "http://www.mturk.com", "https://www.mturk.com.evil.org", "https://www.mturk.com@evil.org",
                "https://evil.org/www.mturk.com", "https://www.mturk.com:8443", "https://[", "javascript:alert(1)",
            )
        ),
    ],
)  # fmt: skip
def test_work_is_handed_in_nowhere_but_at_mturk(opened, wrong):
    with refused("bad_link"):
        entrance(opened(platform="mturk"), MTURK | wrong)


# Prolific's signed links


def key_set(*keys: tuple[str, rsa.RSAPrivateKey]) -> str:
    listed = [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": name} for name, key in keys]
    return json.dumps({"keys": listed})


def signed(key=KEY, name="k1", **changes) -> dict[str, str]:
    claims = {"sub": "submission1", "aud": "https://x.org", "exp": time.time() + 60, "prolific": PERSON} | changes
    return {"prolific_token": jwt.encode(claims, key, "RS256", headers={"kid": name})}


@pytest.fixture
def signing(opened):
    """A study that takes signed links alone."""
    study = opened(**PROLIFIC, prolific_jwks="keys.json")
    (study.folder / "keys.json").write_text(key_set(("k0", OTHER), ("k1", KEY)))
    return study


def test_an_unsigned_link_of_prolific_names_the_participant(opened):
    study = opened(**PROLIFIC)
    assert entrance(study, PERSON).name == "p1"
    with refused("bad_link"):
        entrance(study, {"STUDY_ID": "s1"})


def test_a_signed_link_names_the_person_and_not_the_submission(signing):
    assert entrance(signing, signed()).name == "p1"
    again = signed(sub="submission2", prolific=PERSON | {"SESSION_ID": "submission2"})
    assert entrance(signing, again).name == "p1", "the same person with another submission is the same person"


def test_what_is_not_signed_so_is_refused(signing):
    forged = jwt.encode({"exp": time.time() + 60, "prolific": PERSON}, "secret" * 8, "HS256", headers={"kid": "k1"})
    without_end = {"prolific_token": jwt.encode({"prolific": PERSON}, KEY, "RS256", headers={"kid": "k1"})}
    for query in (
        PERSON,
        {"prolific_token": "a.b.c"},
        {"prolific_token": forged},
        {"prolific_token": jwt.encode({"exp": time.time() + 60, "prolific": PERSON}, None, "none")},
        signed(OTHER),
        signed(name="k2"),
        signed(exp=time.time() - 60),
        without_end,
        signed(prolific={}),
        signed(prolific="p1"),
        signed(prolific={"PROLIFIC_PID": ["p1"]}),
    ):
        with refused("bad_link"):
            entrance(signing, query)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"keys": []}', '{"keys": 1}', "\xff"])
def test_keys_that_are_missing_or_damaged_are_told_as_such(signing, content):
    file = signing.folder / "keys.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with refused("keys"):
        entrance(signing, signed())
