"""Figures say what was measured, in the label set's colours, with nothing on top of anything else."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from cgeval import plots
from cgeval.errors import DataError
from cgeval.images import find_images, read_ids, read_rgb
from cgeval.labels import Label, LabelSet, label_set
from cgeval.metrics import bootstrap_classes, segmentation_scores
from cgeval.plots import ClassSeries, Example, confusion_figure, examples_figure, per_class_figure

CAMVID, CITYSCAPES = label_set("camvid11"), label_set("cityscapes19")
HEADS = ("label map", "generated", "predicted labels", "truth")
MANY = LabelSet("many", tuple(Label(i, f"class {i}", (i, 255 - i, i // 2), False, i) for i in range(36)))
SETS = {"camvid11": CAMVID, "cityscapes19": CITYSCAPES, "36 classes": MANY}


@pytest.fixture
def sheet(monkeypatch):
    """The page of the figure that was written last, as a list that holds it."""
    seen = []
    save = plots._Sheet.save

    def keep(page, path):
        seen[:] = [page]
        save(page, path)

    monkeypatch.setattr(plots._Sheet, "save", keep)
    return seen


def texts(sheet):
    """Every word on the page, of the page itself and of its axes."""
    (page,) = sheet
    found = page.figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [text for text in found if text.get_text() and text.get_visible()]


def words(sheet):
    return [text.get_text().strip() for text in texts(sheet)]


def example(name="a", labels=CAMVID, size=(60, 80), seed=0, right=0.9):
    rng = np.random.default_rng(seed)
    truth = np.sort(rng.integers(0, len(labels.classes) + 1, size), axis=0).astype(np.uint8)
    other = rng.integers(0, len(labels.classes), size)
    predicted = np.where(rng.random(size) < right, truth, other).astype(np.uint8)
    photo = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return Example(name, labels.class_colours[truth], photo, predicted, truth)


def matrices(labels, n=12, seed=0, absent=()):
    """int64 [n, K + 1, K + 1] in which the diagonal is heaviest and nothing is true of the absent classes."""
    rng, count = np.random.default_rng(seed), len(labels.classes)
    found = rng.integers(0, 9, (n, count + 1, count + 1)) * (rng.random((n, count + 1, count + 1)) < 0.2)
    found[:, range(count), range(count)] += rng.integers(20, 400, (n, count))
    found[:, list(absent)] = 0
    return found.astype(np.int64)


def series(name, labels, **how):
    found = matrices(labels, **how)
    intervals = bootstrap_classes(found, "cityscapes", resamples=40)
    return ClassSeries(name, len(found), "paper", segmentation_scores(found.sum(axis=0), "cityscapes"), intervals)


def write(kind, path, labels):
    if kind == "examples":
        rows = [example(f"city/frame_{i:06d}_leftImg8bit", labels, (48, 96), seed=i) for i in range(3)]
        examples_figure(path, rows, labels, HEADS)
    elif kind == "confusion":
        confusion_figure(path, matrices(labels, absent=(1, 2)).sum(axis=0), labels, "a run: test, 12 images, paper")
    else:
        both = [series("a run", labels, absent=(1,)), series("real photos", labels, seed=1, absent=(1,))]
        per_class_figure(path, both, labels, "a run on a dataset: scores of each class")


# On the page


@pytest.mark.parametrize("labels", SETS.values(), ids=SETS)
@pytest.mark.parametrize("kind", ["examples", "confusion", "per class"])
def test_no_word_lies_on_another_or_beyond_the_page(tmp_path, sheet, kind, labels):
    write(kind, tmp_path / "figure.png", labels)
    (page,) = sheet
    width, height = page.width * plots.DPI, page.height * plots.DPI
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(sheet)]
    assert len(boxes) > 10
    for told, box in boxes:
        assert box.x0 >= 0, told
        assert box.y0 >= 0, told
        assert box.x1 <= width, told
        assert box.y1 <= height, told
    for (one, a), (other, b) in combinations(boxes, 2):
        apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 2 or b.y1 <= a.y0 + 2  # pixels of line spacing
        assert apart, (one, other)


@pytest.mark.parametrize("kind", ["examples", "confusion", "per class"])
def test_a_figure_is_one_png_that_leaves_nothing_else_behind_and_is_the_same_every_time(tmp_path, kind):
    for name in ("one.png", "two.png"):
        write(kind, tmp_path / name, CAMVID)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert read_rgb(tmp_path / "one.png").shape[1] >= 1000


def test_matplotlib_is_loaded_by_drawing_and_not_by_importing():
    code = "import sys, cgeval.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_no_global_state_of_matplotlib_is_touched(tmp_path):
    write("confusion", tmp_path / "figure.png", CAMVID)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_signs_that_mean_mathematics_to_matplotlib_are_words_here(tmp_path, sheet):
    labels = LabelSet(
        "money", tuple(Label(i, name, (i, 0, 0), False, i) for i, name in enumerate(("$a$", "b_$^$", "c")))
    )
    confusion_figure(tmp_path / "f.png", matrices(labels).sum(axis=0), labels, "$x$")
    assert words(sheet).count("$a$") == 2
    assert not any(text.get_parse_math() for text in texts(sheet) if "$" in text.get_text())


# Examples


def test_examples_carry_their_ids_and_the_accuracy_of_what_is_scored(tmp_path, sheet):
    truth = np.array([[0, 0, 1, 11]] * 4, dtype=np.uint8)
    predicted = np.array([[0, 0, 11, 5]] * 4, dtype=np.uint8)  # 2 of 3 scored pixels a row; void predicted is wrong
    photo = np.zeros((4, 4, 3), dtype=np.uint8)
    examples_figure(tmp_path / "f.png", [Example("day/0001", photo, photo, predicted, truth)], CAMVID, HEADS)
    assert {"day/0001", "pixel accuracy 66.7 %", *HEADS} <= set(words(sheet))


def test_the_legend_has_the_classes_that_occur_in_the_sets_order_and_void_last(tmp_path, sheet):
    truth = np.array([[3, 0], [0, 11]], dtype=np.uint8)
    predicted = np.array([[3, 0], [5, 5]], dtype=np.uint8)
    photo = np.zeros((2, 2, 3), dtype=np.uint8)
    examples_figure(tmp_path / "f.png", [Example("a", photo, photo, predicted, truth)], CAMVID, HEADS)
    assert words(sheet)[-4:] == ["sky", "road", "tree", "void"]


def test_maps_are_shown_in_the_sets_colours_with_void_black(tmp_path):
    truth = np.repeat(np.array([[4, 11]], dtype=np.uint8), 2, axis=0)
    photo = np.full((2, 2, 3), 255, dtype=np.uint8)
    examples_figure(tmp_path / "f.png", [Example("a", photo, photo, truth, truth)], CAMVID, HEADS)
    picture = read_rgb(tmp_path / "f.png")
    middle = picture[picture.shape[0] // 2]  # through the four pictures
    right_half = [tuple(colour) for colour in middle[picture.shape[1] // 2 :].tolist()]
    assert right_half.count((60, 40, 222)) > 200
    assert right_half.count((0, 0, 0)) > 200


def test_pictures_keep_their_shape(tmp_path, sheet):
    truth = np.zeros((100, 200), dtype=np.uint8)
    square = np.zeros((64, 64, 3), dtype=np.uint8)
    examples_figure(tmp_path / "f.png", [Example("a", square, square, truth, truth)] * 2, CAMVID, HEADS)
    boxes = [axes.get_window_extent() for axes in sheet[0].figure.axes]
    assert [box.width / box.height for box in boxes] == pytest.approx([1, 1, 2, 2] * 2)
    assert len({round(box.height, 6) for box in boxes}) == 1


def test_an_image_of_void_alone_has_no_accuracy(tmp_path, sheet):
    void = np.full((4, 4), 11, dtype=np.uint8)
    photo = np.zeros((4, 4, 3), dtype=np.uint8)
    examples_figure(tmp_path / "f.png", [Example("a", photo, photo, void, void)], CAMVID, HEADS)
    assert "nothing to score" in words(sheet)


def test_long_ids_are_shortened_in_their_middle(tmp_path, sheet):
    examples_figure(tmp_path / "f.png", [example("begin/" + "very" * 60 + "_end")], CAMVID, HEADS)
    (told,) = [word for word in words(sheet) if word.startswith("begin/")]
    assert told.endswith("_end")
    assert "…" in told


def test_a_prediction_of_another_size_than_its_truth_is_refused_and_nothing_written(tmp_path):
    wrong = example()
    wrong = Example("night/7", wrong.input, wrong.generated, wrong.predicted[:30, :40], wrong.truth)
    with pytest.raises(DataError, match=r"^the prediction of night/7 is 40x30 and its truth 80x60: enlarge"):
        examples_figure(tmp_path / "f.png", [wrong], CAMVID, HEADS)
    assert not list(tmp_path.iterdir())


def test_real_photos_of_camvid_fill_a_row(tmp_path, sheet, shared_data):
    folder = shared_data / "camvid" / "test"
    (photo, *_), (maps, *_) = find_images(folder / "photo"), find_images(folder / "label")
    truth = CAMVID.class_map(read_ids(maps))
    row = Example(maps.stem, CAMVID.class_colours[truth], read_rgb(photo), truth, truth)
    examples_figure(tmp_path / "f.png", [row], CAMVID, HEADS)
    assert {maps.stem, "pixel accuracy 100.0 %"} <= set(words(sheet))


# Confusion


def test_cells_are_percent_of_the_true_class_and_void_stands_apart(tmp_path, sheet):
    counts = np.zeros((12, 12), dtype=np.int64)
    counts[0, 0], counts[0, 3], counts[0, 11] = 600, 250, 150
    counts[3, 3] = 3000
    counts[11, 0] = 10**6  # void is not asked for
    confusion_figure(tmp_path / "f.png", counts, CAMVID, "title")
    matrix, void, totals = sheet[0].figure.axes
    assert [text.get_text() for text in matrix.texts] == ["60", "25", "100"]
    assert [text.get_text() for text in void.texts] == ["15"]
    assert [text.get_text().strip() for text in totals.texts][:4] == ["25.0 %", "", "", "75.0 %"]


def test_a_class_that_the_truth_has_and_nobody_finds_shows_a_zero(tmp_path, sheet):
    counts = np.zeros((12, 12), dtype=np.int64)
    counts[4, 5] = 100
    confusion_figure(tmp_path / "f.png", counts, CAMVID, "title")
    assert [text.get_text() for text in sheet[0].figure.axes[0].texts] == ["0", "100"]


def test_classes_absent_from_the_truth_are_grey_and_said_to_be(tmp_path, sheet):
    confusion_figure(tmp_path / "f.png", matrices(CAMVID, absent=(2,)).sum(axis=0), CAMVID, "title")
    colours = {text.get_text(): text.get_color() for text in texts(sheet)}
    assert colours["pole"] == plots.FAINT
    assert colours["road"] == plots.INK
    assert any(word.endswith("grey: not in the truth") for word in words(sheet))
    assert sheet[0].figure.axes[0].images[0].get_array().mask[:, 0].tolist() == [i == 2 for i in range(11)]


def test_no_grey_is_mentioned_where_there_is_none(tmp_path, sheet):
    confusion_figure(tmp_path / "f.png", matrices(CAMVID).sum(axis=0), CAMVID, "title")
    assert not any("grey" in word for word in words(sheet))


def test_cells_too_small_for_numbers_have_a_scale_in_words(tmp_path, sheet):
    confusion_figure(tmp_path / "f.png", matrices(MANY).sum(axis=0), MANY, "title")
    assert not sheet[0].figure.axes[0].texts
    assert any("white (none) to dark (all)" in word for word in words(sheet))


def test_nothing_counted_is_drawn_as_nothing(tmp_path, sheet):
    confusion_figure(tmp_path / "f.png", np.zeros((12, 12), dtype=np.int64), CAMVID, "title")
    assert not sheet[0].figure.axes[0].texts


# Bars


def test_bars_carry_values_intervals_n_and_protocol(tmp_path, sheet):
    one = series("CycleGAN", CAMVID)
    per_class_figure(tmp_path / "f.png", [one], CAMVID, "title")
    iou, accuracy = sheet[0].figure.axes
    assert [text.get_text() for text in iou.texts] == [f"{value:.2f}" for value in one.scores.ious]
    assert [text.get_text() for text in accuracy.texts] == [f"{value:.2f}" for value in one.scores.accuracies]
    assert [bar.get_width() for bar in iou.patches] == one.scores.ious.tolist()
    ends = [tuple(line.get_xdata()) for line in iou.lines[1::2]]  # each has a white one below it
    assert ends == [(interval.low, interval.high) for interval in one.intervals.ious]
    assert "CycleGAN: n = 12, protocol paper" in words(sheet)


def test_several_series_have_colours_of_their_own_and_stand_in_the_sets_order(tmp_path, sheet):
    both = [series("a run", CAMVID), series("real photos", CAMVID, seed=1)]
    per_class_figure(tmp_path / "f.png", both, CAMVID, "title")
    bars = sheet[0].figure.axes[0].patches
    assert len({bar.get_facecolor() for bar in bars}) == 2
    for first, second in zip(bars[:11], bars[11:], strict=True):
        assert first.get_y() < second.get_y()
    assert [word for word in words(sheet) if word in {c.name for c in CAMVID.classes}] == [
        c.name for c in CAMVID.classes
    ]


def test_a_class_without_a_score_has_a_dash_that_is_explained(tmp_path, sheet):
    per_class_figure(tmp_path / "f.png", [series("a run", CAMVID, absent=(1,))], CAMVID, "title")
    assert sheet[0].figure.axes[1].texts[1].get_text() == "–"
    assert any("–: a class without a score" in word for word in words(sheet))


def test_one_image_has_bars_and_no_lines(tmp_path, sheet):
    per_class_figure(tmp_path / "f.png", [series("a run", CAMVID, n=1)], CAMVID, "title")
    assert not sheet[0].figure.axes[0].lines
    assert not any("bootstrap" in word for word in words(sheet))
