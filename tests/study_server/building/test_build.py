import hashlib
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from cgeval.images import read_rgb
from study_server.building.build import as_toml, build, plan
from study_server.building.verify import verify_study
from study_server.checking.seen import look_at
from study_server.checking.sides import find_sides
from study_server.config import make_config, read_config
from study_server.manifest import Pair, read_manifest
from tests.study_server.small_study import SMALL, small_study, write_images

FEW = {"practice": 2, "scored": 4}


def pixels(study: Path) -> dict[str, tuple[str, str]]:
    """Digests of both composites by pair."""
    manifest = read_manifest(study)
    return {pair.id: (manifest.stimuli[pair.left], manifest.stimuli[pair.right]) for pair in manifest.pairs}


def without_names(pair: Pair) -> tuple[str, ...]:
    return pair.id, pair.algorithm, pair.kind, pair.real, pair.fake, pair.real_sha256, pair.fake_sha256


def test_the_manifest_says_where_each_pair_is_from(tmp_path):
    study = small_study(tmp_path, pairs=8, trials=FEW)
    manifest = read_manifest(study)
    pair = manifest.pairs_of("two")[0]
    real, fake = tmp_path / "images" / "real" / pair.real, tmp_path / "images" / "two" / pair.fake
    assert (manifest.arms, len(manifest.pairs)) == (("one", "two"), 16)
    assert pair.real_sha256 == hashlib.sha256(real.read_bytes()).hexdigest()
    assert pair.fake_sha256 == hashlib.sha256(fake.read_bytes()).hexdigest()
    composite = read_rgb(study / "stimuli" / pair.stimulus("right"))
    assert (composite[:, :16] == read_rgb(fake)).all()
    assert (composite[:, 16:] == read_rgb(real)).all()


def test_each_file_is_of_one_pair_and_side_and_nothing_else_lies_there(tmp_path):
    study = small_study(tmp_path, pairs=8, trials=FEW)
    manifest = read_manifest(study)
    used = Counter(name for pair in manifest.pairs for name in (pair.left, pair.right))
    assert set(used.values()) == {1}
    assert used.keys() == manifest.stimuli.keys() == {path.name for path in (study / "stimuli").iterdir()}
    assert {path.name for path in study.iterdir()} == {"study.toml", "manifest.json", "secrets.toml", "stimuli"}
    assert list(manifest.stimuli) == sorted(manifest.stimuli)


def test_the_same_seed_gives_the_same_pairs_and_pixels_under_other_names(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    trials = {**FEW, "paired": False, "catch": 1}
    first, second = (small_study(tmp_path / name, pairs=8, seed=7, trials=trials) for name in "ab")
    one, other = read_manifest(first), read_manifest(second)
    assert [without_names(pair) for pair in one.pairs] == [without_names(pair) for pair in other.pairs]
    assert pixels(first) == pixels(second)
    assert one.stimuli.keys().isdisjoint(other.stimuli.keys())
    assert one.study_id != other.study_id
    assert (one.real.digest, one.config_sha256) == (other.real.digest, other.config_sha256)


def test_another_seed_gives_other_pairs(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (
        small_study(tmp_path / name, pairs=8, seed=seed, trials={**FEW, "paired": False})
        for name, seed in (("a", 1), ("b", 2))
    )
    pairs = [{(pair.real, pair.fake) for pair in read_manifest(study).pairs} for study in (first, second)]
    assert pairs[0] != pairs[1]


def test_catch_pairs_show_noise_beside_a_real_image_that_no_trial_shows(tmp_path):
    manifest = read_manifest(small_study(tmp_path, pairs=8, trials={**FEW, "catch": 2}))
    caught = manifest.pairs_of("one", "catch")
    assert len(caught) == 2
    assert {(pair.fake, pair.fake_sha256) for pair in caught} == {("noise", "")}
    assert {pair.real for pair in caught}.isdisjoint(pair.real for pair in manifest.pairs_of("one"))


def test_study_toml_has_every_setting_and_is_read_back_as_it_was():
    texts = {"zh": {"title": "哪张是真的?"}}
    config = make_config({"seed": 3, "texts": texts, "about": {"title": 'a "quoted" one'}}, ("preset=isola2017",))
    text = as_toml(config)
    path_free = {line.partition(" = ")[0] for line in text.splitlines() if " = " in line and not line.startswith("#")}
    assert {"scored", "shown_ms", "per_algorithm", "platform", "catch_wrong", "contact"} <= path_free
    assert make_config(tomllib.loads(text)) == config


def test_study_toml_in_the_folder_is_the_one_the_manifest_pins(tmp_path):
    study = small_study(tmp_path, pairs=8, trials=FEW)
    assert read_config(study / "study.toml").trials.scored == 4
    assert verify_study(study) == []


def test_what_was_changed_or_removed_after_the_build_is_named(tmp_path):
    study = small_study(tmp_path, pairs=8, trials=FEW)
    one, other = sorted((study / "stimuli").iterdir())[:2]
    one.write_bytes(other.read_bytes())
    other.unlink()
    with (study / "study.toml").open("a") as file:
        file.write("\n")
    found = verify_study(study)
    assert len(found) == 3
    assert all(any(name in sentence for sentence in found) for name in (one.name, other.name, "study.toml"))


@pytest.mark.parametrize("after", [0, 5, 23])
def test_a_build_that_is_interrupted_leaves_nothing(tmp_path, after):
    sides = find_sides(
        str(write_images(tmp_path / "images" / "real", 6, 0)),
        [f"{arm}={write_images(tmp_path / 'images' / arm, 6, seed)}" for arm, seed in (("one", 1), ("two", 2))],
    )
    config = make_config({**SMALL, "trials": FEW})
    planned = plan(sides, [look_at(side, 1, 0, id) for side in sides], config)
    written = []

    def interrupt(_: int) -> None:
        written.append(1)
        if len(written) > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "study", planned, config, (), "test", interrupt)
    assert planned.composites == 24
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
