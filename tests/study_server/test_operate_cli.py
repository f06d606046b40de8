"""The commands of whoever runs a study: what they print, and one sentence with exit code 2 for every wrong input."""

import io
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select
from werkzeug.security import check_password_hash

from study_server.building.secrets import read_secrets
from study_server.cli import main
from study_server.operating.export import FILES
from study_server.sessions.platforms import at_the_door
from study_server.sessions.study import open_study
from study_server.store.models import Event, Session
from tests.study_server.operating.answered import PASSWORD, all_come, build, copied, some_come
from tests.study_server.small_study import small_study


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="module")
def with_links(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("links")
    return small_study(place, ("one",), 6, trials={"practice": 0, "scored": 2}, entry={"platform": "links"})


@pytest.fixture
def folder(built, tmp_path) -> Path:
    return copied(built, tmp_path)


@pytest.fixture
def study(folder):
    opened = open_study(folder)
    yield opened
    opened.close()


@pytest.fixture
def run(monkeypatch, capsys):
    """The command; its exit code, what it printed, and what it said on the error stream. typed: at its questions."""

    def call(*arguments, typed: tuple[str, ...] = ()) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study-server", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
        lines = iter(typed)
        monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: next(lines))
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return call


def events(study) -> list[str]:
    with study.database.read() as found:
        return list(found.scalars(select(Event.kind).where(Event.session_id.is_(None)).order_by(Event.id)))


def is_one_sentence(result: tuple[int, str, str], *words: str) -> bool:
    code, out, err = result
    assert (code, out) == (2, ""), result
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err
    return True


# status


def test_status_has_arms_drop_outs_and_flags_and_no_rate(run, study):
    some_come(study)
    code, out, _ = run("status", study.folder)
    assert code == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    assert sorted([rows["one"], rows["two"]]) == [["0", "1", "2", "0"], ["1", "0", "2", "4"]]
    assert "1 DECLINED" in out
    assert "1 hidden" in out
    assert "running" in out
    assert "%" not in out
    assert events(study) == []


def test_rates_are_told_to_whoever_asks_which_is_an_event(run, study):
    some_come(study)
    assert "fooled" not in json.loads(run("status", study.folder, "--json")[1])
    _, out, _ = run("status", study.folder, "--show-rates")
    assert "% (1)" in out
    rates = json.loads(run("status", study.folder, "--show-rates", "--json")[1])["rates"]
    assert [told["sessions"] for told in rates.values()] == [1]
    assert 0 <= next(iter(rates.values()))["fooled"] <= 1
    assert events(study) == ["rates_shown", "rates_shown"]


def test_rates_of_a_complete_study_are_told(run, study):
    all_come(study)
    code, out, _ = run("status", study.folder)
    assert code == 0
    assert out.count("% (2)") == 2
    assert "complete" in out
    told = json.loads(run("status", study.folder, "--json")[1])
    assert told["complete"]
    assert set(told["rates"]) == {"one", "two"}
    assert events(study) == []


def test_status_of_a_study_that_nobody_came_to(run, folder):
    code, out, _ = run("status", folder, "--show-rates")
    assert code == 0
    assert "none yet" in out


# export, backup


def test_export_names_its_files_and_is_written_down_before_the_end(run, study, tmp_path):
    some_come(study)
    code, out, _ = run("export", study.folder, "--out", tmp_path / "out")
    assert code == 0
    assert {Path(line).name for line in out.splitlines()} == FILES
    assert all(Path(line).is_file() for line in out.splitlines())
    assert is_one_sentence(run("export", study.folder, "--out", tmp_path / "out"), "--overwrite")
    assert run("export", study.folder, "--out", tmp_path / "out", "--overwrite", "--format", "csv")[0] == 0
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert events(study) == ["exported", "exported"]


def test_backup_opens_and_says_how_to_go_back(run, study, tmp_path):
    some_come(study)
    code, out, _ = run("backup", study.folder, tmp_path / "copy.db")
    assert code == 0
    assert "copy.db" in out
    with closing(sqlite3.connect(tmp_path / "copy.db")) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert is_one_sentence(run("backup", study.folder, tmp_path / "copy.db"), "there already")


# purge-ids


def test_identities_are_forgotten_when_that_is_meant(run, study):
    some_come(study)

    def known() -> int:
        with study.database.read() as found:
            return len(list(found.scalars(select(Session.id).where(Session.identity.is_not(None)))))

    assert "Nothing was forgotten" in run("purge-ids", study.folder, typed=("n",))[1]
    assert known() == 4
    code, out, _ = run("purge-ids", study.folder, "--yes")
    assert code == 0
    assert out.startswith("3 identities forgotten. 1 ")
    assert known() == 1


# password


def test_a_password_is_drawn_and_told_once(run, folder):
    before = read_secrets(folder)
    code, out, _ = run("password", folder, "--draw")
    assert code == 0
    after = read_secrets(folder)
    assert check_password_hash(after.admin_hash, out.split()[-1])
    assert (after.hmac_key, after.link_key) == (before.hmac_key, before.link_key)


def test_a_password_is_typed_twice_and_not_told(run, folder):
    code, out, err = run("password", folder, typed=("a new password", "a new password"))
    assert code == 0
    assert "a new password" not in out + err
    assert check_password_hash(read_secrets(folder).admin_hash, "a new password")


@pytest.mark.parametrize(
    ("typed", "word"),
    [(("short",), "5 characters"), (("x" * 257,), "257 characters"), (("a new password", "a mistyped one"), "differ")],
    ids=["short", "long", "mistyped"],
)
def test_a_password_that_cannot_be_changes_nothing(run, folder, typed, word):
    assert is_one_sentence(run("password", folder, typed=typed), word)
    assert check_password_hash(read_secrets(folder).admin_hash, PASSWORD)


# links


def test_a_link_lets_in_whom_it_names(run, with_links, tmp_path):
    (tmp_path / "names").write_text("\ufeffbob\r\n\n  carol+1@example.org \nalice\n", encoding="utf-8")
    code, out, _ = run("links", with_links, "alice", f"@{tmp_path / 'names'}", "--base", "https://study.example.org/")
    assert code == 0
    links = dict(line.split("\t") for line in out.splitlines())
    assert list(links) == ["alice", "bob", "carol+1@example.org"]
    opened = open_study(with_links)
    for name, link in links.items():
        assert link.startswith("https://study.example.org/?")
        query = dict(parse_qsl(urlsplit(link).query))
        assert at_the_door(opened, query, "", "en", "page", {}).name == name
    opened.close()


def test_one_bad_name_and_no_link_is_printed(run, with_links, tmp_path):
    assert is_one_sentence(run("links", with_links, "alice", "two words"), "two words")
    assert is_one_sentence(run("links", with_links, "alice", f"@{tmp_path / 'nothing'}"), "nothing")
    (tmp_path / "empty").touch()
    assert is_one_sentence(run("links", with_links, f"@{tmp_path / 'empty'}"), "empty")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert is_one_sentence(run("links", with_links, f"@{tmp_path / 'bytes'}"), "UTF-8")


@pytest.mark.parametrize(
    "base", ["study.example.org", "ftp://example.org", "", "https://", "https://a b", "http://a/?b"]
)
def test_an_address_that_is_none(run, with_links, base):
    assert is_one_sentence(run("links", with_links, "alice", "--base", base), "--base")


def test_a_study_without_links_says_how_to_have_them(run, folder):
    assert is_one_sentence(run("links", folder, "alice"), "entry.platform")


# Wrong input of all of them

COMMANDS = {
    "status": (),
    "export": ("--out", "{place}/out"),
    "backup": ("{place}/copy.db",),
    "purge-ids": ("--yes",),
    "password": ("--draw",),
    "links": ("alice",),
}


def arguments(command: str, study: Path, place: Path) -> tuple[str, ...]:
    return (command, str(study), *(each.format(place=place) for each in COMMANDS[command]))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_is_no_study(run, tmp_path, command):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for place in ("empty", "nowhere", "file"):
        assert is_one_sentence(run(*arguments(command, tmp_path / place, tmp_path)), place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_without_its_secrets(run, folder, tmp_path, command):
    (folder / "secrets.toml").unlink()
    assert is_one_sentence(run(*arguments(command, folder, tmp_path)), "secrets.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"password"}))
def test_a_database_that_is_none(run, folder, tmp_path, command):
    (folder / "study.db").write_bytes(b"no database at all, " * 100)
    assert is_one_sentence(run(*arguments(command, folder, tmp_path)), "study.db")
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"password"}))
def test_a_database_of_another_study(run, folder, tmp_path, command):
    with closing(sqlite3.connect(f"{open_and_close(folder)}")) as opened, opened:
        opened.execute("UPDATE settings SET value = 'another' WHERE name = 'study_id'")
    assert is_one_sentence(run(*arguments(command, folder, tmp_path)), "another")


def open_and_close(folder: Path) -> Path:
    open_study(folder).close()
    return folder / "study.db"


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"password"}))
def test_an_address_of_no_database(run, folder, tmp_path, command):
    for address in ("nonsense", "mysql://host/name"):
        wrong = (*arguments(command, folder, tmp_path), "--database-url", address)
        assert is_one_sentence(run(*wrong), "--database-url")


@pytest.mark.parametrize(
    "wrong",
    [
        ("status",),
        ("status", "x", "--nothing"),
        ("export", "x"),
        ("export", "x", "--out", "y", "--format", "xml"),
        ("backup", "x"),
        ("links", "x"),
    ],
    ids=" ".join,
)
def test_what_is_missing_or_unknown(run, wrong):
    assert is_one_sentence(run(*wrong), "--help")
