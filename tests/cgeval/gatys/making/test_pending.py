"""Finished pictures wait across kills, and are not mixed with those of other settings."""

import json

import numpy as np
import pytest

from cgeval.errors import RunError
from cgeval.gatys.making.pending import Losses, Pending
from tests.cgeval.gatys.pictures import photo

FACTS = {"settings": {"content_weight": 1.0, "style_layers": ("relu1_1",)}, "content_sha256": "ab" * 32}
LOSSES = Losses(3.0, 1.0, 2.0)


def begun(path, facts=FACTS, *, overwrite=False):
    pending = Pending(path, "test_AtoB-night")
    pending.begin(facts, overwrite=overwrite)
    return pending


def test_finished_pictures_are_found_again(tmp_path):
    begun(tmp_path).add("aachen/1", photo(1), LOSSES)
    again = begun(tmp_path)
    assert again.losses == {"aachen/1": LOSSES}
    assert np.array_equal(again.read("aachen/1"), photo(1))


def test_a_picture_without_its_line_is_made_again_and_so_is_a_line_without_its_picture(tmp_path):
    pending = begun(tmp_path)
    for name in ("a", "b", "c"):
        pending.add(name, photo(1), LOSSES)
    (pending.folder / "pictures" / "a.png").unlink()
    lines = (pending.folder / "losses.jsonl").read_bytes()
    (pending.folder / "losses.jsonl").write_bytes(lines[:-5])
    again = begun(tmp_path)
    assert list(again.losses) == ["b"]
    again.add("c", photo(1), LOSSES)
    assert list(begun(tmp_path).losses) == ["b", "c"]


def test_leftovers_of_a_kill_are_removed(tmp_path):
    pending = begun(tmp_path)
    pending.add("x/y", photo(1), LOSSES)
    for folder in ("", "pictures", "pictures/x"):
        (pending.folder / folder / ".tmp-1.png-abc").write_bytes(b"half")
    begun(tmp_path)
    assert not list(pending.folder.rglob(".tmp-*"))


def test_other_settings_are_refused_by_name_unless_thrown_away(tmp_path):
    begun(tmp_path).add("a", photo(1), LOSSES)
    other = {**FACTS, "settings": {**FACTS["settings"], "content_weight": 2.0}}
    with pytest.raises(RunError, match=r"another settings\.content_weight \(1\.0, and now 2\.0\)"):
        begun(tmp_path, other)
    assert list(begun(tmp_path).losses) == ["a"]
    assert begun(tmp_path, other, overwrite=True).losses == {}
    with pytest.raises(RunError):
        begun(tmp_path)


def test_a_folder_without_facts_is_begun_anew(tmp_path):
    pending = begun(tmp_path)
    pending.add("a", photo(1), LOSSES)
    (pending.folder / "facts.json").write_bytes(b"{")
    assert begun(tmp_path).losses == {}


def test_finishing_moves_the_losses_and_removes_the_folder(tmp_path):
    for _ in range(2):  # the second time in the place of the first
        pending = begun(tmp_path)
        pending.add("a", photo(1), LOSSES)
        pending.finish()
    other = Pending(tmp_path, "test_AtoB-scream")
    other.begin(FACTS, overwrite=False)
    other.add("a", photo(1), LOSSES)
    Pending(tmp_path, "test_AtoB-scream").finish()  # after a kill between sealing and finishing
    Pending(tmp_path, "test_AtoB-scream").finish()
    rows = [json.loads(line) for line in (tmp_path / "gatys" / "losses.jsonl").read_text().splitlines()]
    assert [row["set"] for row in rows] == ["test_AtoB-night", "test_AtoB-scream"]
    assert rows[0] == {"set": "test_AtoB-night", "id": "a", "total": 3.0, "content": 1.0, "style": 2.0}
    assert sorted(path.name for path in (tmp_path / "gatys").iterdir()) == ["losses.jsonl"]
