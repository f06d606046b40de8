"""The figures' pictures: the runs' own bytes, inputs and truths of the dataset, and a word where one is missing."""

import base64
import io
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cgeval.compare.gather import compare, find_subjects
from cgeval.compare.report import examples as module
from cgeval.compare.report.examples import figures
from cgeval.compare.report.pictures import MOST_PX, Missing, Shown, embedded, sealed_file
from cgeval.errors import DataError
from cgeval.files import sha256_file
from cgeval.images import encode_png, read_rgb, resize, write_png
from cgeval.labels import label_set
from cgeval.runs import Run
from tests.cgeval.compare.runs_with_records import IDS, SIZE, a_run, write_streets


def drawn(comparison, examples=3, seed=0, ids=None):
    return figures(comparison, examples=examples, seed=seed, ids=ids)


def data_of(cell):
    return base64.b64decode(cell.uri.partition("base64,")[2])


def pixels_of(cell):
    return np.asarray(Image.open(io.BytesIO(data_of(cell))).convert("RGB"))


def compared(*runs):
    return compare(find_subjects(runs, "test", None), "test")


@pytest.fixture
def streets(tmp_path):
    """A run and its dataset, to be altered."""
    dataset = write_streets(tmp_path / "streets")
    return a_run(tmp_path / "run", dataset=dataset), dataset


# What stands where


def test_both_directions_are_figures_with_input_methods_and_truth(whole):
    to_photo, to_labels = drawn(whole)
    methods = [subject.label for subject in whole.subjects]
    assert list(to_photo.heads) == ["Input: labels", *methods, "Truth: photos"]
    assert to_labels.heads[0] == "Input: photos"
    assert to_labels.heads[-1] == "Truth: labels"
    assert "pix2pix" in to_labels.heads  # by its other run
    assert "Gatys, collection" not in to_labels.heads  # it translates one way
    assert all(len(row.cells) == len(figure.heads) for figure in (to_photo, to_labels) for row in figure.rows)


def test_a_translation_is_the_runs_own_file_byte_by_byte(whole):
    figure, _ = drawn(whole)
    for row in figure.rows:
        for subject, cell in zip(whole.subjects, row.cells[1:-1], strict=True):
            assert data_of(cell) == (subject.sets["AtoB"].path / f"{row.id}.png").read_bytes()


def test_inputs_and_truths_are_the_datasets_at_the_size_of_the_translations(whole, town):
    labels = label_set("camvid11")
    to_photo, to_labels = drawn(whole)
    for row in to_photo.rows:
        ids = np.asarray(Image.open(town.dataset / "test_ids" / f"{row.id}.png"))
        assert np.array_equal(pixels_of(row.cells[0]), labels.colours_of(resize(ids, *SIZE, "nearest")))
        photo = read_rgb(town.dataset / "testB" / f"{row.id}.png")
        assert np.array_equal(pixels_of(row.cells[-1]), resize(photo, *SIZE, "bicubic"))
    assert [row.cells[0].uri for row in to_labels.rows] == [row.cells[-1].uri for row in to_photo.rows]


def test_a_large_label_map_comes_to_its_size_without_new_colours(streets):
    run, dataset = streets
    ids = np.random.default_rng(0).integers(0, 11, (90, 170)).astype(np.uint8)
    write_png(dataset / "test_ids" / f"{IDS[0]}.png", ids)
    cell = drawn(compared(run), ids=[IDS[0]])[0].rows[0].cells[0]
    known = {label.colour for label in label_set("camvid11").labels}
    assert cell.size_px == SIZE
    assert {tuple(colour) for colour in pixels_of(cell).reshape(-1, 3).tolist()} <= known


# Which rows


def test_the_seed_draws_the_same_images_for_both_directions_as_a_score_does(whole):
    for seed in range(5):
        to_photo, to_labels = drawn(whole, examples=3, seed=seed)
        expected = sorted(random.Random(seed).sample(sorted(IDS), 3))
        assert [row.id for row in to_photo.rows] == expected == [row.id for row in to_labels.rows]
        assert f"seed {seed} out of {len(IDS)}" in to_photo.drawn


def test_named_images_come_in_the_order_in_which_they_are_named(whole):
    figure, _ = drawn(whole, ids=[IDS[5], IDS[1]])
    assert [row.id for row in figure.rows] == [IDS[5], IDS[1]]
    assert "chosen by their ids" in figure.drawn


def test_an_unknown_id_is_one_sentence_that_names_some_that_are_there(whole):
    with pytest.raises(DataError) as error:
        drawn(whole, ids=[IDS[0], "nowhere/1", "nowhere/2"])
    assert str(error.value) == (
        "the rows of the figure name 'nowhere/1' (2 unknown of 3), and the main run has no such image: name ids of its "
        "images, such as 'street/000', 'street/001', 'street/002'."
    )


def test_no_examples_are_no_figures_and_nothing_is_read(whole, monkeypatch):
    monkeypatch.setattr(module, "_choices", lambda *given: 1 / 0)
    assert drawn(whole, examples=0) == []


def test_more_examples_than_images_are_all_images(whole):
    assert [row.id for row in drawn(whole, examples=99)[0].rows] == sorted(IDS)


# What is missing


def test_a_picture_that_is_gone_broken_or_another_one_is_a_cell_that_says_so(streets):
    run, _ = streets
    folder = run.image_set("test_AtoB").path
    (folder / f"{IDS[0]}.png").unlink()
    write_png(folder / f"{IDS[1]}.png", np.zeros((8, 16, 3), np.uint8))
    rows = drawn(compared(run), ids=IDS[:3])[0].rows
    assert rows[0].cells[1] == Missing("the file is gone")
    assert rows[1].cells[1] == Missing("changed after it was sealed")
    assert isinstance(rows[2].cells[1], Shown)


def test_an_image_that_another_method_did_not_translate_is_a_cell_that_says_so(streets, tmp_path):
    run, dataset = streets
    other = a_run(tmp_path / "other", "pix2pix", ids=IDS[:2], dataset=dataset, directions=("AtoB",))
    rows = drawn(compared(run, other), ids=[IDS[0], IDS[7]])[0].rows
    assert isinstance(rows[0].cells[2], Shown)
    assert rows[1].cells[2] == Missing("not translated")


def test_without_its_dataset_the_figure_has_translations_and_says_why_no_more(streets):
    run, dataset = streets
    comparison = compared(run)
    shutil.rmtree(dataset)
    figure, _ = drawn(comparison)
    assert any("Inputs are not shown" in note and "not there" in note for note in figure.notes)
    assert all(isinstance(row.cells[1], Shown) for row in figure.rows)
    assert all(isinstance(row.cells[i], Missing) for row in figure.rows for i in (0, 2))


def test_a_run_that_never_knew_its_dataset_has_a_figure_too(streets):
    run, _ = streets
    comparison = replace(compared(run), dataset={"name": "unknown", "path": ""}, dataset_path=None)
    figure, _ = drawn(comparison)
    assert figure.heads == ("Input: A", "CycleGAN")
    assert "no run says where its dataset is" in figure.notes[0]


def test_one_broken_original_costs_only_its_own_cell(streets):
    run, dataset = streets
    (dataset / "testB" / f"{IDS[0]}.png").write_bytes(b"no image")
    rows = drawn(compared(run), ids=IDS[:2])[0].rows
    assert "not an image" in rows[0].cells[-1].why
    assert isinstance(rows[1].cells[-1], Shown)


def test_unpaired_data_without_labels_has_inputs_and_no_truth(tmp_path):
    data = tmp_path / "horses"
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for folder in ("testA", "testB"):
        (data / folder).mkdir(parents=True)
        for i in range(2):
            write_png(data / folder / f"{folder[-1]}{i}.png", noise)
    facts = {"name": "horses", "path": str(data), "paired": False, "domains": {"A": "horse", "B": "zebra"}}
    run = Run.create(tmp_path / "run", method="cyclegan", dataset=facts, producer={"name": "me"})
    with run.write_image_set("test_AtoB", direction="AtoB", split="test", checkpoint=None) as writer:
        writer.add("A0", noise[:20, :20], source="A0", target=None)
    (figure,) = drawn(compared(Run.open(run.path)))
    assert figure.heads == ("Input: horse", "CycleGAN")
    assert figure.rows[0].cells[0].size_px == (20, 20)
    assert "unpaired" in " ".join(figure.notes)


# How large


def test_a_large_picture_is_made_smaller_photos_as_jpeg_label_maps_as_png(tmp_path):
    rng = np.random.default_rng(0)
    for name, picture, kind in (
        ("photo", rng.integers(0, 256, (300, 600, 3), dtype=np.uint8), "jpeg"),
        ("map", np.kron(rng.integers(0, 2, (30, 60, 1)) * 255, np.ones((10, 10, 3))).astype(np.uint8), "png"),
    ):
        write_png(tmp_path / name, picture)
        cell = sealed_file(tmp_path / name, sha256_file(tmp_path / name), name, 10**6)
        assert cell.uri.startswith(f"data:image/{kind};")
        assert cell.size_px == (MOST_PX, MOST_PX // 2)
        assert cell.changed


def test_a_label_map_that_is_made_smaller_has_no_new_colours(tmp_path):
    picture = label_set("camvid11").class_colours[np.random.default_rng(0).integers(0, 12, (300, 500))]
    write_png(tmp_path / "map", picture)
    cell = sealed_file(tmp_path / "map", sha256_file(tmp_path / "map"), "map", 10**6)
    assert {*map(tuple, pixels_of(cell).reshape(-1, 3))} <= {*map(tuple, picture.reshape(-1, 3))}


def test_jpeg_is_near_the_photo(tmp_path):
    smooth = np.linspace(0, 255, 128 * 128 * 3).reshape(128, 128, 3).astype(np.uint8)
    error = np.abs(pixels_of(embedded(smooth, "x")).astype(int) - smooth)
    assert error.mean() < 2


def test_translations_heavier_than_the_page_may_be_become_jpeg_together(streets, monkeypatch):
    run, _ = streets
    light = drawn(compared(run))
    monkeypatch.setattr(module, "BUDGET", 600)
    heavy = drawn(compared(run))
    cells = [cell for figure in heavy for row in figure.rows for cell in row.cells[1:-1]]
    assert all(not cell.changed for figure in light for row in figure.rows for cell in row.cells[1:-1])
    assert all(cell.changed and cell.uri.startswith("data:image/jpeg") for cell in cells)
    assert "JPEG of quality 92" in heavy[0].notes[-1]


@pytest.mark.parametrize(("width", "columns", "shown", "whole"), [
    (128, 4, 256, True), (128, 8, 128, True), (128, 12, 84, False), (256, 4, 256, True), (256, 3, 256, True),
    (16, 4, 128, True), (200, 2, 200, True), (256, 40, 64, False),
])  # fmt: skip
def test_pictures_are_enlarged_by_whole_numbers_and_all_columns_fit(width, columns, shown, whole):
    assert module._shown_px(width, columns) == (shown, whole)


def test_a_file_that_just_fits_is_put_in_as_it_is(tmp_path):
    data = encode_png(np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "a.png").write_bytes(data)
    cell = sealed_file(tmp_path / "a.png", sha256_file(tmp_path / "a.png"), "a", len(data))
    assert data_of(cell) == data
