"""What each program's results look like from outside, and what is refused as no results."""

import os

import pytest

from cgeval.adopt import recognise
from cgeval.errors import LayoutError, RunError
from tests.cgeval.adopt.foreign import SITES, WORDS, both_ways, labels, photo, results, save

NAMED = [layout for layout in WORDS if layout != "flat"]


@pytest.mark.parametrize("layout", NAMED)
def test_each_programs_layout_is_recognised_from_any_folder_above_the_images(tmp_path, layout):
    results(tmp_path / "results", layout, {"a": 0, "b": 1})
    parts = SITES[layout].split("/")
    for depth in range(len(parts) + 1):
        found = recognise((tmp_path / "results").joinpath(*parts[:depth]))
        assert (found.layout.name, found.root) == (layout, tmp_path / "results" / SITES[layout])
        assert found.experiment == "facades"
        (part,) = found.parts
        assert sorted(part.fakes) == sorted(part.reals) == ["a", "b"]
        assert part.fakes["a"].is_file()
        assert part.fakes["a"] != part.reals["a"]


@pytest.mark.parametrize(("layout", "word"), [("folders", "fake_B"), ("lua-pix2pix", "output")])
def test_the_folder_of_the_translations_alone_finds_the_inputs_beside_it(tmp_path, layout, word):
    results(tmp_path, layout, {"a": 0})
    found = recognise(tmp_path / SITES[layout] / word)
    assert (found.layout.name, found.parts[0].word, found.experiment) == (layout, word, "facades")
    assert list(found.parts[0].fakes) == list(found.parts[0].reals) == ["a"]


def test_any_other_folder_of_images_is_taken_as_translations_alone(tmp_path):
    found = recognise(results(tmp_path, "flat", {"a": 0, "b": 1}))
    assert (found.layout.name, found.experiment, found.phase) == ("flat", "facades", None)
    assert list(found.parts[0].fakes) == ["a", "b"]
    assert not found.parts[0].reals


@pytest.mark.parametrize(
    ("layout", "stated"), [("pytorch", True), ("folders", True), ("tensorflow", False), ("lua-pix2pix", False)]
)
def test_only_the_words_a_and_b_state_a_direction(tmp_path, layout, stated):
    found = recognise(results(tmp_path, layout, {"a": 0}))
    assert found.states_directions is stated
    assert found.parts[0].stated == ("AtoB" if stated else None)


def test_both_directions_are_found_and_reconstructions_are_not_taken_for_translations(tmp_path):
    found = recognise(both_ways(tmp_path, {"a": (0, 0), "b": (1, 1)}))
    assert [(part.word, part.stated) for part in found.parts] == [("fake_B", "AtoB"), ("fake_A", "BtoA")]
    assert [len(part.fakes) for part in found.parts] == [2, 2]
    assert found.passed_over == 0


@pytest.mark.parametrize(
    ("site", "phase"),
    [
        ("val_latest", "val"),
        ("test_latest_iter35000", "test"),
        ("latest_net_G_val", "val"),
        ("100_net_G_train", "train"),
        ("latest_test", "test"),
    ],
)
def test_the_split_is_read_off_the_folder_as_each_program_calls_it(tmp_path, site, phase):
    save(tmp_path / "maps" / site / "images" / "fake_B" / "1.png", photo(0))
    found = recognise(tmp_path / "maps")
    assert (found.experiment, found.phase) == ("maps", phase)


def test_names_keep_the_folders_that_lie_between(tmp_path):
    """As `cyclegan translate --export` writes the results of a dataset with cities."""
    for name in ("aachen/1", "bochum/1"):
        save(tmp_path / "run" / "test_latest" / "images" / f"{name}_fake_B.png", photo(0))
    assert list(recognise(tmp_path / "run").parts[0].fakes) == ["aachen/1", "bochum/1"]


def test_pictures_without_a_word_are_passed_over_and_counted(tmp_path):
    folder = results(tmp_path, "pytorch", {"a": 0, "b": 1})
    save(folder / "test_latest" / "images" / "grid.png", photo(5))
    save(folder / "losses.png", photo(6))
    assert recognise(folder).passed_over == 2


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_where_no_image_is_there_is_nothing_to_recognise(tmp_path, make):
    make(tmp_path / "results")
    assert recognise(tmp_path / "results") is None


@pytest.mark.parametrize("layout", ["pytorch", "folders", "lua-pix2pix", "tensorflow"])
def test_a_folder_of_real_images_only_is_refused(tmp_path, layout):
    save(tmp_path / f"{WORDS[layout][0].format(name='a')}.png", labels(0))
    with pytest.raises(LayoutError, match="only and no translated images"):
        recognise(tmp_path)


def test_results_of_two_epochs_are_refused_with_both_named(tmp_path):
    for site in ("test_100", "test_latest"):
        save(tmp_path / "maps" / site / "images" / "1_fake_B.png", photo(0))
    with pytest.raises(LayoutError, match=r"holds 2 results \(test_100/images, test_latest/images\): name one"):
        recognise(tmp_path / "maps")


def test_two_layouts_in_one_folder_are_refused(tmp_path):
    save(tmp_path / "1_fake_B.png", photo(0))
    save(tmp_path / "fake_B" / "1.png", photo(0))
    with pytest.raises(
        LayoutError, match="PyTorch CycleGAN and pix2pix and results of CUT or the Lua CycleGAN at once"
    ):
        recognise(tmp_path)


def test_a_trainings_snapshots_are_no_results(tmp_path):
    for epoch in ("epoch001", "epoch002"):
        for word in ("real_A", "fake_B"):
            save(tmp_path / "web" / "images" / f"{epoch}_{word}.png", photo(0))
    with pytest.raises(LayoutError, match="snapshots"):
        recognise(tmp_path)


def test_a_translation_that_is_there_twice_is_refused(tmp_path):
    save(tmp_path / "a_fake_B.png", photo(0))
    save(tmp_path / "a_fake_B.jpg", photo(0))
    with pytest.raises(LayoutError, match="both of 'a'"):
        recognise(tmp_path)


@pytest.mark.parametrize("file", ["run.json", "images/test_AtoB/set.json"])
def test_a_run_of_our_own_is_not_adopted(tmp_path, file):
    save(tmp_path / "run" / "images" / "test_AtoB" / "a.png", photo(0))
    (tmp_path / "run" / file).write_text("{}")
    for folder in (tmp_path, tmp_path / "run", tmp_path / "run" / "images", tmp_path / "run/images/test_AtoB"):
        if file == "run.json" and folder.name == "test_AtoB":
            continue
        with pytest.raises(RunError, match=r"is a run already|is an image set of the run"):
            recognise(folder)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX")
def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    save(tmp_path / "a_fake_B.png", photo(0)).rename(tmp_path / os.fsdecode(b"\xff_fake_B.png"))
    with pytest.raises(LayoutError, match="not UTF-8"):
        recognise(tmp_path)
