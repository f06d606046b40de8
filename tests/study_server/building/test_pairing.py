from pathlib import Path

import numpy as np
import pytest

from cgeval.errors import DataError, SealError
from cgeval.images import write_png
from cgeval.runs import Run
from study_server.building.images import Images, images_of
from study_server.building.pairing import match
from study_server.checking.seen import look_at
from study_server.checking.sides import find_sides
from study_server.config import Trials


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def folder(path: Path, **pictures: int) -> Path:
    """Image files by name ("__" for "/") and the number of what they show."""
    for name, number in pictures.items():
        file = path / f"{name.replace('__', '/')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_png(file, picture(number))
    return path


def numbered(path: Path, count: int, first: int) -> Path:
    return folder(path, **{f"{i:03}": first + i for i in range(count)})


def sides(real: Path | str, fake: Path | str) -> tuple[Images, Images]:
    one, other = find_sides(str(real), [f"method={fake}"])
    return images_of(one, look_at(one, 1, 0, id)), images_of(other, look_at(other, 1, 0, id))


def trials(practice: int = 0, scored: int = 2, **more) -> Trials:
    return Trials(practice=practice, scored=scored, **more)


def names(real: Images, fake: Images, asked: Trials, seed: int = 0) -> set[tuple[str, str]]:
    found = match(real, fake, asked, seed)
    return {(each.real.stem, each.fake.stem) for each in (*found.trials, *found.catches)}


def test_paired_images_have_the_same_name_whatever_their_kind(tmp_path):
    reals, fakes = numbered(tmp_path / "real", 5, 0), numbered(tmp_path / "fake", 4, 100)
    (fakes / "003.png").rename(fakes / "003.tif")
    assert names(*sides(reals, fakes), trials()) == {(f"00{i}", f"00{i}") for i in range(4)}


def test_a_folder_more_above_the_name_does_not_part_a_pair(tmp_path):
    both = sides(
        folder(tmp_path / "real", aachen__a=0, bonn__b=1),
        folder(tmp_path / "fake", a=2, b=3),
    )
    assert names(*both, trials()) == {("a", "a"), ("b", "b")}


def test_a_name_that_two_images_have_in_two_folders_pairs_nothing(tmp_path):
    reals, fakes = folder(tmp_path / "real", a=0, b=1, c=2), folder(tmp_path / "fake", x__a=3, y__a=4, x__b=5, x__c=6)
    assert names(*sides(reals, fakes), trials()) == {("b", "b"), ("c", "c")}


def test_a_run_says_itself_what_its_images_aim_at(tmp_path):
    run = Run.create(tmp_path / "run", method="pix2pix", dataset={}, producer={"name": "test", "version": "1"})
    with run.write_image_set("test_AtoB", direction="AtoB", split="test", checkpoint=None) as images:
        images.add("input1", picture(10), source="input1", target="aim1")
        images.add("input2", picture(11), source="input2", target="aim2")
    reals = folder(tmp_path / "real", aim1=0, aim2=1, input1=2, input2=3)
    real, fake = sides(reals, run.path)
    assert names(real, fake, trials()) == {("aim1", "input1"), ("aim2", "input2")}
    assert (fake.run.info.run_id, fake.image_set.name) == ("run", "test_AtoB")


def test_what_is_not_in_a_sets_index_is_not_of_the_set_and_what_was_changed_is_refused(tmp_path):
    run = Run.create(tmp_path / "run", method="pix2pix", dataset={}, producer={"name": "test", "version": "1"})
    with run.write_image_set("set", direction="AtoB", split="test", checkpoint=None) as images:
        images.add("a", picture(10), source="a", target=None)
    place = run.path / "images" / "set"
    write_png(place / "stray.png", picture(11))
    reals = folder(tmp_path / "real", a=0, stray=1)
    _, fake = sides(reals, f"{run.path}:set")
    assert [file.name for file in fake.side.files] == ["a.png"]
    write_png(place / "a.png", picture(12))
    with pytest.raises(SealError):
        sides(reals, place)


@pytest.mark.parametrize("paired", [True, False])
def test_images_that_are_equal_stand_in_one_pair_whatever_their_files(tmp_path, paired):
    reals = folder(tmp_path / "real", a=0, b=0, c=1, d=2)
    fakes = folder(tmp_path / "fake", a=10, b=11, c=12, d=13, e=14)
    Path(fakes / "f.png").write_bytes((fakes / "d.png").read_bytes())
    found = match(*sides(reals, fakes), trials(paired=paired), 0).trials
    assert len(found) == 3
    assert len({each.real.stem for each in found} & {"a", "b"}) == 1


@pytest.mark.parametrize("paired", [True, False])
def test_a_generated_image_that_is_a_real_one_is_in_no_pair(tmp_path, paired):
    reals, fakes = folder(tmp_path / "real", a=0, b=1, c=2, d=3), folder(tmp_path / "fake", a=3, b=11, c=12, d=13)
    found = match(*sides(reals, fakes), trials(paired=paired), 0).trials
    assert {each.fake.stem for each in found}.isdisjoint({"a"})
    assert {each.real.stem for each in found}.isdisjoint({"d"})
    assert len(found) >= 2


def test_unpaired_draws_by_the_seed_without_replacement(tmp_path):
    both = sides(numbered(tmp_path / "real", 12, 0), numbered(tmp_path / "fake", 9, 100))
    asked = trials(paired=False)
    drawn = names(*both, asked, seed=1)
    assert drawn == names(*both, asked, seed=1)
    assert drawn != names(*both, asked, seed=2)
    assert len(drawn) == len({real for real, _ in drawn}) == len({fake for _, fake in drawn}) == 9


def test_catch_pairs_take_images_that_no_trial_has(tmp_path):
    both = sides(numbered(tmp_path / "real", 9, 0), numbered(tmp_path / "fake", 9, 100))
    found = match(*both, trials(catch=3), 0)
    assert (len(found.trials), len(found.catches)) == (6, 3)
    assert {each.real for each in found.trials}.isdisjoint(each.real for each in found.catches)


@pytest.mark.parametrize(("asked", "needed"), [(trials(2, 4), 6), (trials(1, 4, catch=1), 6)])
def test_too_few_pairs_say_what_was_found_what_is_needed_and_what_to_do(tmp_path, asked, needed):
    both = sides(numbered(tmp_path / "real", 8, 0), folder(tmp_path / "fake", **{"000": 100, "001": 101, "002": 101}))
    with pytest.raises(DataError) as error:
        match(*both, asked, 0)
    said = str(error.value)
    for part in ("8 real images", "3 (1 equal to others) of method", "2 pairs", f"takes {needed}", "paired=false"):
        assert part in said


def test_images_that_are_on_both_sides_are_told_where_pairs_are_too_few(tmp_path):
    both = sides(numbered(tmp_path / "real", 3, 0), numbered(tmp_path / "fake", 3, 0))
    with pytest.raises(DataError, match="3 on both sides"):
        match(*both, trials(), 0)


def test_catch_trials_need_pairs_of_their_own(tmp_path):
    both = sides(numbered(tmp_path / "real", 6, 0), numbered(tmp_path / "fake", 6, 100))
    with pytest.raises(DataError, match="practice, scored and catch"):
        match(*both, trials(2, 4, catch=1), 0)


def test_as_many_pairs_as_a_session_takes_are_enough(tmp_path):
    both = sides(numbered(tmp_path / "real", 6, 0), numbered(tmp_path / "fake", 6, 100))
    assert len(match(*both, trials(2, 4), 0).trials) == 6
