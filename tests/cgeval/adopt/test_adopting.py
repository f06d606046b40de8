"""A folder of another program's results becomes a run whose sets say of every image what it is of."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgeval.adopt import Claims, How, adopt
from cgeval.cli import main
from cgeval.errors import ConfigError, DataError, ImageError, LayoutError, RunBusyError, RunError
from cgeval.files import lock
from cgeval.images import read_rgb
from cgeval.runs import Run, find_runs
from tests.cgeval.adopt.foreign import WORDS, both_ways, dataset, labels, photo, results, save, translated
from tests.cgeval.test_console import called_as

IDS = ["aachen/a_1", "aachen/a_2", "bochum/b_1", "bochum/b_2"]
BY_LAST = {"a_1": 0, "a_2": 1, "b_1": 2, "b_2": 3}
SHUFFLED = {"0": 2, "1": 0, "2": 3, "3": 1}
INDEX = How("index", 0, "natural")


@pytest.fixture
def streets(tmp_path):
    return dataset(tmp_path / "streets", IDS)


def content(run: Run, name: str) -> dict[str, np.ndarray]:
    """The pictures of a set that is verified, by id."""
    image_set = run.image_set(name)
    image_set.verify()
    return {row.id: read_rgb(image_set.path / row.file) for row in image_set.rows}


def everything_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# Round trips


@pytest.mark.parametrize("layout", list(WORDS))
def test_each_layout_becomes_a_verified_run_of_the_datasets_ids(tmp_path, streets, layout):
    folder = results(tmp_path / "results", layout, BY_LAST)
    adopted = adopt(folder, tmp_path / "run", method="CoGAN", dataset=streets, claims=Claims(direction="ab"))
    run = Run.open(tmp_path / "run")
    pictures = content(run, "test_AtoB")
    assert list(pictures) == IDS
    for n, image_id in enumerate(IDS):
        np.testing.assert_array_equal(pictures[image_id], translated(labels(n, 32)))
    assert [(row.source, row.target) for row in run.image_set("test_AtoB").rows] == [(i, i) for i in IDS]
    assert adopted.sets[0].how == "the last part of their names"


@pytest.mark.parametrize("layout", [layout for layout in WORDS if layout != "flat"])
def test_the_direction_is_seen_where_input_images_lie_there(tmp_path, streets, layout):
    folder = results(tmp_path / "results", layout, BY_LAST)
    adopt(folder, tmp_path / "run", dataset=streets)
    assert [s.direction for s in Run.open(tmp_path / "run").image_sets()] == ["AtoB"]


def test_a_run_says_who_made_it_from_what_and_how(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", SHUFFLED)
    run = adopt(folder, tmp_path / "run", method="CoGAN", dataset=streets).run
    assert (run.info.method, run.info.producer["name"], run.info.run_id) == ("CoGAN", "cgeval adopt", "run")
    assert run.info.dataset == {
        "name": "streets",
        "path": str(streets),
        "paired": True,
        "domains": {"A": "labels", "B": "photos"},
        "label_set": None,
        "label_domain": "A",
    }
    assert run.info.settings == {
        "source": str(folder / "test_latest" / "images"),
        "layout": "pytorch",
        "pairing": {"test_AtoB": "what the input images show"},
    }
    extra = run.image_set("test_AtoB").extra
    assert (extra["layout"], extra["word"], extra["source"]) == ("pytorch", "fake_B", run.info.settings["source"])
    assert (extra["source_formats"], extra["source_sizes"]) == ({"PNG": 4}, {"32x32": 4})
    assert extra["source_names"] == {IDS[n]: name for name, n in SHUFFLED.items()}


def test_the_method_is_called_as_the_folder_calls_the_experiment(tmp_path, streets):
    assert adopt(results(tmp_path / "r", "pytorch", BY_LAST), tmp_path / "run", dataset=streets).run.info.method == (
        "facades"
    )


def test_both_directions_become_two_sets_of_one_run(tmp_path, streets):
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)})
    adopt(folder, tmp_path / "run", dataset=streets)
    run = Run.open(tmp_path / "run")
    assert [s.name for s in run.image_sets()] == ["test_AtoB", "test_BtoA"]
    np.testing.assert_array_equal(content(run, "test_BtoA")[IDS[1]], translated(photo(1, 32)))


def test_of_two_directions_one_can_be_asked_for(tmp_path, streets):
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)})
    adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(direction="ba", set_name="theirs"))
    assert [(s.name, s.direction) for s in Run.open(tmp_path / "run").image_sets()] == [("theirs", "BtoA")]


def test_jpeg_predictions_are_noted_and_kept_as_they_decode(tmp_path, streets):
    folder = results(tmp_path / "results", "lua-pix2pix", BY_LAST, px=96, suffix="jpg")
    adopted = adopt(folder, tmp_path / "run", dataset=streets)
    assert "JPEG predictions: 4 of 4 files are JPEG, which changes a score" in adopted.sets[0].notes
    image_set = adopted.run.image_set("test_AtoB")
    assert image_set.extra["source_formats"] == {"JPEG": 4}
    decoded = read_rgb(folder / "latest_net_G_test" / "images" / "output" / "a_1.jpg")
    np.testing.assert_array_equal(content(adopted.run, "test_AtoB")[IDS[0]], decoded)


def test_without_a_dataset_ids_are_the_results_own_names(tmp_path):
    run = adopt(results(tmp_path / "results", "pytorch", BY_LAST), tmp_path / "run").run
    rows = run.image_set("test_AtoB").rows
    assert [(row.id, row.source, row.target) for row in rows] == [(name, name, None) for name in BY_LAST]
    assert run.info.dataset["name"] == "unknown"


def test_the_split_is_the_results_own_where_the_dataset_has_it(tmp_path):
    root = dataset(tmp_path / "streets", IDS, split="val")
    folder = tmp_path / "results" / "maps" / "latest_net_G_val" / "images"
    for name in BY_LAST:
        save(folder / "output" / f"{name}.png", photo(0))
    run = adopt(tmp_path / "results", tmp_path / "run", dataset=root, claims=Claims(direction="ab")).run
    assert [(s.name, s.split) for s in run.image_sets()] == [("val_AtoB", "val")]


def test_val_is_read_as_test_where_the_dataset_has_no_val(tmp_path, streets):
    """Cityscapes' val is the paper's test split."""
    folder = tmp_path / "results" / "maps" / "latest_net_G_val" / "images"
    for name in BY_LAST:
        save(folder / "output" / f"{name}.png", photo(0))
    run = adopt(tmp_path / "results", tmp_path / "run", dataset=streets, claims=Claims(direction="ab")).run
    assert [s.name for s in run.image_sets()] == ["test_AtoB"]


def test_aligned_pictures_are_matched_half_by_half(tmp_path):
    for n, name in enumerate(("1", "2", "3")):
        save(tmp_path / "facades" / "test" / f"{name}.png", np.hstack([photo(n), labels(n)]))
    folder = results(tmp_path / "results", "pytorch", {"0": 2, "5": 0, "9": 1})
    adopted = adopt(folder, tmp_path / "run", dataset=tmp_path / "facades")
    assert [(s.image_set.direction, s.image_set.count) for s in adopted.sets] == [("BtoA", 3)]
    assert adopted.run.image_set("test_BtoA").extra["source_names"] == {"1": "5", "2": "9", "3": "0"}


def test_camvid_as_it_comes_is_a_dataset_of_label_maps_and_photos(tmp_path, shared_data):
    camvid = shared_data / "camvid"
    maps = sorted((camvid / "val" / "label").iterdir())[:12:2]
    for path in maps:
        ids = np.asarray(Image.open(path))
        save(tmp_path / "r" / "val_latest" / "images" / f"{path.stem}_fake_A.png", np.dstack([ids * 20] * 3))
    adopted = adopt(tmp_path / "r", tmp_path / "run", dataset=camvid, claims=Claims(partial=True))
    run = Run.open(tmp_path / "run")
    assert (run.info.dataset["label_set"], run.info.dataset["label_domain"]) == ("camvid11", "A")
    assert [row.target for row in run.image_set("val_BtoA").rows] == [path.stem for path in maps]
    assert "95 of the 101 images of split 'val' have no translation" in adopted.sets[0].notes[0]


# Which images: names, and what the pictures say to them


def test_names_that_say_nothing_are_left_for_what_the_input_images_show(tmp_path, streets):
    adopted = adopt(results(tmp_path / "results", "folders", SHUFFLED), tmp_path / "run", dataset=streets)
    pictures = content(adopted.run, "test_AtoB")
    for n, image_id in enumerate(IDS):
        np.testing.assert_array_equal(pictures[image_id], translated(labels(n, 32)))


def test_names_counted_from_0_against_ids_from_1_are_refused_with_what_to_type(tmp_path):
    root = dataset(tmp_path / "maps", ["1", "2", "3"])
    folder = results(tmp_path / "results", "flat", {"0": 0, "1": 1, "2": 2})
    with pytest.raises(DataError, match=r"off by one.*--pair index --index-from 0 --index-order natural"):
        adopt(folder, tmp_path / "run", dataset=root, claims=Claims("ab"))
    run = adopt(folder, tmp_path / "run", dataset=root, claims=Claims("ab", how=INDEX)).run
    np.testing.assert_array_equal(content(run, "test_AtoB")["1"], translated(labels(0, 32)))


def test_off_by_one_names_are_mended_by_the_input_images(tmp_path):
    root = dataset(tmp_path / "maps", ["1", "2", "3"])
    run = adopt(results(tmp_path / "r", "pytorch", {"0": 0, "1": 1, "2": 2}), tmp_path / "run", dataset=root).run
    assert run.image_set("test_AtoB").extra["source_names"] == {"1": "0", "2": "1", "3": "2"}


def test_names_that_fit_are_not_believed_against_the_input_images(tmp_path):
    """Sorted otherwise: the same names, counted in another order."""
    root = dataset(tmp_path / "maps", ["1", "2", "10"])
    folder = results(tmp_path / "results", "pytorch", {"1": 0, "2": 2, "10": 1})
    adopted = adopt(folder, tmp_path / "run", dataset=root)
    assert adopted.run.image_set("test_AtoB").extra["source_names"] == {"2": "10", "10": "2"}
    assert adopted.sets[0].notes == (
        "names were not believed: '2' is '2' by their names, and its input image shows '10'",
    )
    with pytest.raises(DataError, match="its input image shows '10': leave --pair out, or take --pair content"):
        adopt(folder, tmp_path / "run2", dataset=root, claims=Claims(how=How("name")))


def test_a_wrong_index_convention_is_found_out_by_the_input_images(tmp_path):
    """The reference sorts 1, 10, 2; counting 1, 2, 10 gives a score of other images."""
    root = dataset(tmp_path / "maps", ["1", "2", "10"])
    folder = results(tmp_path / "results", "tensorflow", {"0": 0, "1": 2, "2": 1})
    with pytest.raises(DataError, match="'1' is '2' by the number in the name, from 0, in natural order"):
        adopt(folder, tmp_path / "run", dataset=root, claims=Claims("ab", how=INDEX))
    run = adopt(folder, tmp_path / "run", dataset=root, claims=Claims("ab", how=How("index", 0, "lexicographic"))).run
    assert run.image_set("test_AtoB").extra["source_names"] == {"1": "0", "10": "1"}
    np.testing.assert_array_equal(content(run, "test_AtoB")["2"], translated(labels(1, 32)))


def test_inputs_that_are_cut_out_do_not_bear_names_out_and_the_user_can_insist(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", BY_LAST)
    for n, name in enumerate(BY_LAST):
        save(folder / "test_latest" / "images" / f"{name}_real_A.png", labels(n, 90)[30:60, 30:60])
    with pytest.raises(DataError, match=r"the names fit, but .* look like none there.*add --pair name"):
        adopt(folder, tmp_path / "run", dataset=streets)
    adopted = adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(how=How("name")))
    assert adopted.sets[0].notes[0].startswith("the input images do not bear this out: ")


def test_results_of_the_references_direction_b_to_a_are_turned_round(tmp_path, streets):
    """Its A is the input, whatever the dataset calls it: the paper's photos are trainA, and ours are B."""
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1)}, turned=True)
    adopted = adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(partial=True))
    assert [(s.word, s.image_set.direction) for s in adopted.sets] == [("fake_B", "BtoA"), ("fake_A", "AtoB")]
    assert "fake_B goes BtoA in this dataset, as the input images show" in adopted.sets[0].notes[0]
    np.testing.assert_array_equal(content(adopted.run, "test_AtoB")[IDS[0]], translated(labels(0, 32)))
    one = adopt(folder, tmp_path / "one", dataset=streets, claims=Claims("ab", partial=True))
    assert [(s.word, s.image_set.direction) for s in one.sets] == [("fake_A", "AtoB")]


def test_a_claimed_direction_against_the_word_is_believed_where_nothing_can_tell(tmp_path, streets):
    for name in BY_LAST:
        save(tmp_path / "results" / f"{name}_fake_B.png", photo(0))
    adopted = adopt(tmp_path / "results", tmp_path / "run", dataset=streets, claims=Claims("ba"))
    assert [s.image_set.direction for s in adopted.sets] == ["BtoA"]
    assert "as --direction says" in adopted.sets[0].notes[0]


def test_the_way_back_of_unpaired_data_bears_the_other_domains_names(tmp_path):
    """n.png of testB is not what lies in n_fake_A.png: that is named after the A beside it."""
    root = dataset(tmp_path / "horses", ["h1", "h2", "h3"], paired=False)
    for path in sorted((root / "testB").iterdir()):
        path.rename(path.with_name(path.name.replace("h", "z")))
    folder = both_ways(tmp_path / "results", {"h1": (0, 0), "h2": (1, 1), "h3": (2, 2)})
    run = adopt(folder, tmp_path / "run", dataset=root).run
    rows = run.image_set("test_BtoA").rows
    assert [(row.source, row.target) for row in rows] == [("z1", None), ("z2", None), ("z3", None)]
    assert run.image_set("test_BtoA").extra["source_names"] == {"z1": "h1", "z2": "h2", "z3": "h3"}


def test_the_smaller_domain_is_gone_round_and_repeats_are_left_out(tmp_path):
    root = dataset(tmp_path / "horses", ["h1", "h2", "h3"], paired=False)
    (root / "testB" / "h3.png").unlink()
    folder = both_ways(tmp_path / "results", {"h1": (0, 0), "h2": (1, 1), "h3": (2, 0)})
    adopted = adopt(folder, tmp_path / "run", dataset=root)
    assert [s.image_set.count for s in adopted.sets] == [3, 2]
    assert "1 results are there twice and left out the second time (first: 'h3' is 'h1')" in adopted.sets[1].notes
    save(folder / "test_latest" / "images" / "h3_fake_A.png", photo(9))
    with pytest.raises(DataError, match="'h3' and 'h1' in fake_A are different translations of the same input image"):
        adopt(folder, tmp_path / "run2", dataset=root)


def test_input_images_may_lie_in_a_folder_of_their_own(tmp_path, streets):
    folder = results(tmp_path / "results", "flat", SHUFFLED)
    for name, n in SHUFFLED.items():
        save(tmp_path / "inputs" / f"{name}_real_A.jpg", labels(n, 64), quality=90)
    run = adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(real=tmp_path / "inputs")).run
    np.testing.assert_array_equal(content(run, "test_AtoB")[IDS[2]], translated(labels(2, 32)))


def test_the_datasets_ids_tell_nested_folders_from_several_results(tmp_path):
    ids = ["s1/1", "s1/2", "s2/1", "s2/2"]
    for n, image_id in enumerate(ids):
        save(tmp_path / "results" / f"{image_id}.png", photo(n))
    with pytest.raises(LayoutError, match=r"2 folders with images of the same names \(s1, s2\): name the one"):
        adopt(tmp_path / "results", tmp_path / "run", claims=Claims("ab"))
    root = dataset(tmp_path / "videos", ids)
    run = adopt(tmp_path / "results", tmp_path / "run", dataset=root, claims=Claims("ab")).run
    assert [row.id for row in run.image_set("test_AtoB").rows] == ids


# Refusals


@pytest.mark.parametrize(
    ("claims", "kind", "sentence"),
    [
        (Claims(), ConfigError, "facades does not say which way it was translated: add --direction ab"),
        (Claims("ab", split="val"), LayoutError, "has no split 'val'"),
        (Claims("ab", how=How("content")), DataError, "no input images lie beside them"),
        (Claims("ab"), DataError, "0 of 4 results have the name of an image there.*--real FOLDER"),
        (Claims("ab", real=Path("nowhere")), LayoutError, "nowhere holds no images"),
        (Claims("ab", how=How("index", 1, "natural")), DataError, "numbered 0 to 3, and from 1 the 4 images"),
    ],
)
def test_what_is_not_certain_is_refused_in_one_sentence(tmp_path, streets, claims, kind, sentence):
    folder = results(tmp_path / "results", "flat", SHUFFLED)
    with pytest.raises(kind, match=sentence) as told:
        adopt(folder, tmp_path / "run", dataset=streets, claims=claims)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_a_folder_without_images_is_refused(tmp_path, make):
    make(tmp_path / "results")
    with pytest.raises(
        LayoutError, match=r"(is not there|holds no images .*|is a file): a folder of translated images"
    ):
        adopt(tmp_path / "results", tmp_path / "run")


def test_input_images_that_the_dataset_lacks_are_refused(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", {"0": 2, "1": 0, "2": 3, "3": 9})
    with pytest.raises(DataError, match="1 of 4 input images look like none there"):
        adopt(folder, tmp_path / "run", dataset=streets)


def test_extra_results_are_refused(tmp_path, streets):
    folder = results(tmp_path / "results", "flat", BY_LAST | {"c_1": 4})
    with pytest.raises(DataError, match="4 of 5 results have the name of an image there"):
        adopt(folder, tmp_path / "run", dataset=streets, claims=Claims("ab"))


def test_missing_results_are_counted_and_need_a_word(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", {"a_1": 0, "b_1": 2})
    with pytest.raises(DataError, match=r"2 of the 4 images of split 'test' have no translation in fake_B .*--partial"):
        adopt(folder, tmp_path / "run", dataset=streets)
    adopted = adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(partial=True))
    assert [row.id for row in adopted.run.image_set("test_AtoB").rows] == [IDS[0], IDS[2]]


@pytest.mark.parametrize(("names", "partial", "counts"), [(["a_1", "b_1"], True, (4, 2)), (BY_LAST, False, (4, 0))])
def test_the_seal_says_how_many_images_of_the_split_are_missing(tmp_path, streets, names, partial, counts):
    folder = results(tmp_path / "results", "pytorch", {name: BY_LAST[name] for name in names})
    adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(partial=partial))
    extra = Run.open(tmp_path / "run").image_set("test_AtoB").extra
    assert (extra["split_count"], extra["missing_count"]) == counts


def test_without_a_dataset_nobody_knows_how_many_images_the_split_has(tmp_path):
    adopted = adopt(results(tmp_path / "results", "pytorch", BY_LAST), tmp_path / "run")
    extra = adopted.run.image_set("test_AtoB").extra
    assert (extra["split_count"], extra["missing_count"]) == (None, 0)


def test_fifty_results_remind_of_the_references_default(tmp_path):
    root = dataset(tmp_path / "maps", [str(n) for n in range(60)], px=8)
    folder = results(tmp_path / "results", "flat", {str(n): n for n in range(50)}, px=8)
    with pytest.raises(DataError, match="stop after 50 images unless --num_test says more"):
        adopt(folder, tmp_path / "run", dataset=root, claims=Claims("ab"))


def test_a_split_without_images_of_the_domain_is_refused(tmp_path, streets):
    for path in (streets / "testA").rglob("*.png"):
        path.unlink()
    (streets / "dataset.toml").unlink()
    folder = results(tmp_path / "results", "flat", BY_LAST)
    with pytest.raises(DataError, match="there are no images"):
        adopt(folder, tmp_path / "run", dataset=streets, claims=Claims("ab"))


def test_one_name_for_two_sets_is_refused(tmp_path, streets):
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)})
    with pytest.raises(ConfigError, match="--name names one image set"):
        adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(set_name="theirs"))


def test_two_parts_that_would_go_the_same_way_are_refused(tmp_path, streets):
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)}, turned=True)
    for path in folder.rglob("*_real_B.png"):
        path.unlink()
    with pytest.raises(DataError, match="fake_B and fake_A both seem to go BtoA: add --direction"):
        adopt(folder, tmp_path / "run", dataset=streets)


@pytest.mark.parametrize("name", ["../../streets", "a/b", ".hidden", ""])
def test_a_name_that_is_none_touches_nothing(tmp_path, streets, name):
    there = everything_below(tmp_path)
    folder = results(tmp_path / "results", "pytorch", BY_LAST)
    with pytest.raises(ConfigError, match="cannot name an image set"):
        adopt(folder, tmp_path / "run", dataset=streets, claims=Claims(set_name=name, split="test"))
    with pytest.raises(ConfigError, match="cannot name an image set"):
        adopt(folder, tmp_path / "run", claims=Claims(split=name or "/"))
    assert set(there) <= set(everything_below(tmp_path))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("where", ["results", "results/facades", "results/run"])
def test_a_run_among_the_results_is_refused(tmp_path, where):
    results(tmp_path / "results", "pytorch", BY_LAST)
    with pytest.raises(ConfigError, match="lies in the results themselves"):
        adopt(tmp_path / "results", tmp_path / where)


@pytest.mark.parametrize(
    ("how", "sentence"), [(("index", None, None), "needs its convention"), ((None, 0, None), "go with --pair index")]
)
def test_a_convention_is_stated_whole_or_not_at_all(how, sentence):
    with pytest.raises(ConfigError, match=sentence):
        How(*how)


# Runs that are there


def test_adopting_the_same_folder_again_changes_nothing(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", BY_LAST)
    adopt(folder, tmp_path / "run", dataset=streets)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    again = adopt(folder / "test_latest", tmp_path / "run", dataset=streets)
    assert [s.unchanged for s in again.sets] == [True]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


def test_the_missing_direction_is_added_to_the_run(tmp_path, streets):
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)})
    adopt(folder, tmp_path / "run", dataset=streets, claims=Claims("ab"))
    seal = Run.open(tmp_path / "run").image_set("test_AtoB").created_at
    added = adopt(folder, tmp_path / "run", dataset=streets)
    assert [(s.image_set.name, s.unchanged) for s in added.sets] == [("test_AtoB", True), ("test_BtoA", False)]
    assert Run.open(tmp_path / "run").image_set("test_AtoB").created_at == seal


def test_changed_results_replace_a_set_only_when_told_to(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", BY_LAST)
    adopt(folder, tmp_path / "run", dataset=streets)
    save(folder / "test_latest" / "images" / "a_1_fake_B.png", photo(9, 32))
    with pytest.raises(RunError, match="already holds test_AtoB of other files or pairs: add --overwrite"):
        adopt(folder, tmp_path / "run", dataset=streets)
    run = adopt(folder, tmp_path / "run", dataset=streets, overwrite=True).run
    np.testing.assert_array_equal(content(run, "test_AtoB")[IDS[0]], photo(9, 32))


def test_another_source_method_or_dataset_needs_another_run(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", BY_LAST)
    adopt(folder, tmp_path / "run", method="CoGAN", dataset=streets)
    other = results(tmp_path / "other", "pytorch", dict.fromkeys(BY_LAST, 5))
    name = Claims(how=How("name"))
    with pytest.raises(RunError, match=r"was adopted from .*results.*: name a new folder for .*other"):
        adopt(other, tmp_path / "run", method="CoGAN", dataset=streets, claims=name, overwrite=True)
    renamed = Claims(set_name="again")
    with pytest.raises(RunError, match="has the method 'CoGAN', and yours is 'facades'"):
        adopt(folder, tmp_path / "run", dataset=streets, claims=renamed)
    with pytest.raises(RunError, match=r"was adopted against .*streets: name a new folder"):
        adopt(folder, tmp_path / "run", method="CoGAN", claims=renamed)


@pytest.mark.parametrize("paired", [True, False])
def test_a_run_without_a_dataset_gets_one_when_told_to(tmp_path, paired):
    """Unpaired, the sets are the same with a dataset and without: what the run says of it is not."""
    root = dataset(tmp_path / "streets", ["1", "2"], paired=paired)
    folder = results(tmp_path / "results", "pytorch", {"1": 0, "2": 1})
    adopt(folder, tmp_path / "run")
    made = Run.open(tmp_path / "run").info.created_at
    with pytest.raises(
        RunError, match=r"adopted against no dataset: add --overwrite to adopt it anew against .*streets"
    ):
        adopt(folder, tmp_path / "run", dataset=root)
    assert Run.open(tmp_path / "run").info.dataset["name"] == "unknown"
    adopted = adopt(folder, tmp_path / "run", dataset=root, overwrite=True)
    run = Run.open(tmp_path / "run")
    assert adopted.run == run
    assert (run.info.dataset["name"], run.info.dataset["path"], run.info.created_at) == ("streets", str(root), made)
    assert run.info.settings["pairing"] == {"test_AtoB": "their names"}
    assert [row.target for row in run.image_set("test_AtoB").rows] == (["1", "2"] if paired else [None, None])
    assert [s.unchanged for s in adopt(folder, tmp_path / "run", dataset=root).sets] == [True]


def test_a_run_does_not_get_a_dataset_for_a_part_of_its_sets(tmp_path, streets):
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)})
    adopt(folder, tmp_path / "run")
    with pytest.raises(RunError, match="would keep test_BtoA of that: name a new folder"):
        adopt(folder, tmp_path / "run", dataset=streets, claims=Claims("ab"), overwrite=True)
    adopt(folder, tmp_path / "run", dataset=streets, overwrite=True)
    assert [len(content(Run.open(tmp_path / "run"), name)) for name in ("test_AtoB", "test_BtoA")] == [4, 4]


@pytest.mark.parametrize("named", [True, False])
def test_two_folders_of_one_method_share_a_run_if_they_go_opposite_ways(tmp_path, streets, named):
    root = streets if named else None
    ab, ba = (results(tmp_path / way, "flat", BY_LAST) for way in ("ab", "ba"))
    adopt(ab, tmp_path / "run", method="CoGAN", dataset=root, claims=Claims("ab"))
    with pytest.raises(RunError, match="has the method 'CoGAN', and yours is 'facades'"):
        adopt(ba, tmp_path / "run", dataset=root, claims=Claims("ba"))
    run = adopt(ba, tmp_path / "run", method="CoGAN", dataset=root, claims=Claims("ba")).run
    assert [(s.name, s.extra["source"]) for s in run.image_sets()] == [("test_AtoB", str(ab)), ("test_BtoA", str(ba))]
    for folder, way in ((ab, "ab"), (ba, "ba")):
        again = adopt(folder, tmp_path / "run", method="CoGAN", dataset=root, claims=Claims(way))
        assert [s.unchanged for s in again.sets] == [True]
    save(ba / "a_1.png", photo(9))
    with pytest.raises(RunError, match=r"holds test_AtoB, which was adopted from .*ab/facades: name a new folder"):
        adopt(ba, tmp_path / "run", method="CoGAN", dataset=root, claims=Claims("ab"), overwrite=True)


def test_the_opposite_way_of_another_dataset_needs_another_run(tmp_path, streets):
    other = dataset(tmp_path / "other", IDS)
    adopt(results(tmp_path / "ab", "flat", BY_LAST), tmp_path / "run", dataset=streets, claims=Claims("ab"))
    with pytest.raises(RunError, match=r"was adopted against .*streets: name a new folder"):
        adopt(results(tmp_path / "ba", "flat", BY_LAST), tmp_path / "run", dataset=other, claims=Claims("ba"))


def test_a_run_of_another_program_is_left_alone(tmp_path, streets):
    Run.create(tmp_path / "run", method="cyclegan", dataset={}, producer={"name": "cyclegan"})
    with pytest.raises(RunError, match="is a run that was made by cyclegan: name a new folder"):
        adopt(results(tmp_path / "r", "pytorch", BY_LAST), tmp_path / "run", dataset=streets)
    assert everything_below(tmp_path / "run") == ["run.json"]


@pytest.mark.parametrize("there", ["notes.txt", "images/holiday.png", "images/test_BtoA/set.json"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path, streets, there):
    (tmp_path / "run" / there).parent.mkdir(parents=True)
    (tmp_path / "run" / there).write_text("x")
    with pytest.raises(RunError, match="and is no run: name a new folder"):
        adopt(results(tmp_path / "r", "pytorch", BY_LAST), tmp_path / "run", dataset=streets)
    assert (tmp_path / "run" / there).read_text() == "x"


# Nothing half-written


def test_a_broken_result_is_named_and_nothing_is_written(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", BY_LAST)
    file = folder / "test_latest" / "images" / "b_2_fake_B.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ImageError, match=re.escape(str(file))):
        adopt(folder, tmp_path / "run", dataset=streets)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("failing", [1, 6])
def test_what_fails_while_writing_leaves_no_run(tmp_path, streets, monkeypatch, failing):
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)})
    written = []

    def read(path):
        written.append(path)
        if len(written) == failing:
            raise OSError(28, "No space left on device")
        return read_rgb(path)

    monkeypatch.setattr("cgeval.adopt.writing.read_rgb", read)
    with pytest.raises(OSError, match="No space"):
        adopt(folder, tmp_path / "run", dataset=streets)
    assert not (tmp_path / "run").exists()
    assert find_runs(tmp_path) == ([], [])


def test_a_run_that_another_process_adopts_into_is_busy(tmp_path, streets):
    folder = results(tmp_path / "results", "pytorch", BY_LAST)
    (tmp_path / "run" / "images").mkdir(parents=True)
    with lock(tmp_path / "run" / "images" / ".adopting.lock"), pytest.raises(RunBusyError, match="is being written"):
        adopt(folder, tmp_path / "run", dataset=streets)
    adopt(folder, tmp_path / "run", dataset=streets)
    assert len(content(Run.open(tmp_path / "run"), "test_AtoB")) == 4


def test_what_a_kill_left_is_replaced(tmp_path, streets):
    """Killed after its first set was sealed, before run.json: no run, and the next one begins anew."""
    folder = both_ways(tmp_path / "results", {"a_1": (0, 0), "a_2": (1, 1), "b_1": (2, 2), "b_2": (3, 3)})
    adopt(folder, tmp_path / "run", dataset=streets, claims=Claims("ab"))
    (tmp_path / "run" / "run.json").unlink()
    (tmp_path / "run" / "images" / ".writing-test_BtoA").mkdir()
    adopt(folder, tmp_path / "run", dataset=streets)
    run = Run.open(tmp_path / "run")
    assert [len(content(run, s.name)) for s in run.image_sets()] == [4, 4]
    assert not (tmp_path / "run" / "images" / ".writing-test_BtoA").exists()


# The command


@pytest.fixture
def cgeval(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        with called_as("cgeval", *map(str, arguments)), pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return call


def test_the_command_says_what_it_saw_and_what_to_do_next(cgeval, tmp_path, streets):
    results(tmp_path / "results", "folders", SHUFFLED)
    code, out, _ = cgeval("adopt", "results/facades", "runs/cogan", "--method", "CoGAN", "--dataset", "streets")
    assert code == 0
    assert out.splitlines() == [
        "results/facades/test_latest/images: results of CUT or the Lua CycleGAN",
        "  test_AtoB: 4 images from fake_B; paired by: what the input images show",
        "score it: cgeval fcn-score runs/cogan",
    ]
    code, out, _ = cgeval("adopt", "results/facades", "runs/cogan", "--method", "CoGAN", "--dataset", "streets")
    assert "adopted before and unchanged" in out
    assert cgeval("verify", "runs/cogan")[0] == 0
    assert json.loads(cgeval("show", "runs/cogan", "--json")[1])["run"]["method"] == "CoGAN"


def test_the_next_step_can_be_typed_as_it_stands(cgeval, tmp_path):
    results(tmp_path / "results", "flat", BY_LAST)
    code, out, _ = cgeval("adopt", "results", "runs/my run", "--direction", "ab")
    assert (code, out.splitlines()[-1]) == (0, "score it: cgeval fcn-score 'runs/my run' --dataset DIR")


def test_the_commands_notes_are_told(cgeval, tmp_path, streets):
    results(tmp_path / "results", "lua-pix2pix", BY_LAST, px=96, suffix="jpg")
    code, out, _ = cgeval("adopt", "results", "run", "--dataset", "streets", "--direction", "ab")
    assert (code, "    note: JPEG predictions: 4 of 4 files are JPEG" in out) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere", "run"],
        ["results", "run", "--dataset", "nowhere"],
        ["results", "run", "--direction", "up"],
        ["results", "run", "--pair", "index"],
        ["results", "run", "--index-from", "0"],
        ["results", "run"],
        ["results", "run", "--name", "a/b", "--direction", "ab"],
    ],
)
def test_the_commands_mistakes_are_one_sentence_and_2(cgeval, tmp_path, arguments):
    results(tmp_path / "results", "flat", BY_LAST)
    code, _, err = cgeval("adopt", *arguments)
    told = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert (code, len(told)) == (2, 1)
    assert "Traceback" not in err
    assert everything_below(tmp_path / "run") == []
