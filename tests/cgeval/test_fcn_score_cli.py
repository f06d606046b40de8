"""`cgeval fcn-score` as a user meets it: the table, the files, and one sentence with exit code 2 for every mistake."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cgeval.cli import main
from cgeval.images import read_ids, read_rgb, write_png
from cgeval.labels import label_set
from cgeval.protocols import sharding
from cgeval.records import read_records
from tests.cgeval.protocols.streets import LABELS, NearestHalfColour, write_dataset, write_header, write_run

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user stands: data/, runs/cityscapes (of CamVid's classes), scorers/halves."""
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sharding, "load_scorer", NearestHalfColour)
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "data", n=5)
    write_header(tmp_path / "scorers" / "halves")
    write_run(tmp_path / "runs" / "cityscapes", tmp_path / "data")
    return tmp_path


@pytest.fixture
def cgeval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Type the command; exit code, output, errors."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cgeval", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


# What a user sees


def test_typed_as_the_readme_says(place, cgeval):
    code, out, _ = cgeval("fcn-score", "runs/cityscapes")
    assert code == 0
    for words in (
        "runs/cityscapes  cyclegan, labels -> photo",
        "images     test_AtoB: 5 of 12x8 px, truth of 24x16 (data, labels camvid11)",
        "protocol   fcn-score-scorer-size",
        "scorer     halves (unet resnet18, sha256 ",
        "runs/cityscapes  cyclegan, photo -> labels",
        "images     test_BtoA: 5 of 12x8 px",
        "protocol   label-score: nearest of the scored colours by L2",
        "bootstrap over images, percentile, 95 %, 2000 resamples",
        "per-pixel accuracy",
        "real photos",
        "true labels",
        "the ceiling",
        "sign symbol",
    ):
        assert words in out
    records = read_records(place / "runs" / "cityscapes")
    assert [(r.protocol, r.metric) for r in records] == [
        (protocol, metric)
        for protocol in ("fcn-score-scorer-size", "label-score")
        for metric in ("pixel_accuracy", "class_accuracy", "class_iou")
    ]


def test_the_figures_are_pictures_of_what_was_scored(place, cgeval):
    cgeval("fcn-score", "runs/cityscapes", "--examples", 2)
    folder = place / "runs" / "cityscapes" / "records" / "figures"
    assert sorted(path.name for path in folder.iterdir()) == [
        "fcn-score-scorer-size-test_AtoB",
        "label-score-test_BtoA",
    ]
    for each in folder.iterdir():
        assert sorted(path.name for path in each.iterdir()) == ["classes.png", "confusion.png", "examples.png"]
        for path in each.iterdir():
            assert min(read_rgb(path).shape[:2]) > 200


def test_no_pictures_where_none_are_asked_for(place, cgeval):
    assert "figures" not in cgeval("fcn-score", "runs/cityscapes", "--examples", 0)[1]
    assert not (place / "runs" / "cityscapes" / "records" / "figures").exists()


def test_json_is_all_that_is_printed(place, cgeval):
    code, out, _ = cgeval("fcn-score", "runs/cityscapes", "--json", "--sanity", "--examples", 0)
    photo, labels = json.loads(out)
    assert code == 0
    assert [row["name"] for row in photo["rows"]] == ["cyclegan", "real photos", "shuffled photos", "noise"]
    assert labels["rows"][1]["pixel_accuracy"]["value"] == 1
    assert photo["rows"][0]["class_iou"]["n"] == 5


def test_a_class_that_never_occurs_is_told_where_it_moves_the_means(place, cgeval):
    for path in truths(place):
        ids = read_ids(path)
        write_png(path, np.where(ids == 10, 0, ids).astype(np.uint8))
    _, out, _ = cgeval("fcn-score", "runs/cityscapes", "--direction", "ba")
    assert "With --convention reference (classes without a pixel count 0" in " ".join(out.split())


def test_swapped_classes_are_pointed_out(place, cgeval):
    swap = {LABELS.labels[5].colour: LABELS.labels[1].colour, LABELS.labels[1].colour: LABELS.labels[5].colour}
    run = write_run(place / "runs" / "swapped", place / "data", wrong_rows=0)
    with run.write_image_set("test_BtoA", direction="BtoA", split="test", checkpoint=None, overwrite=True) as writer:
        for path in sorted((place / "data" / "testA" / "drive").iterdir()):
            picture = read_rgb(path)
            swapped = [[swap.get(tuple(pixel), tuple(pixel)) for pixel in row] for row in picture.tolist()]
            name = f"drive/{path.stem}"
            writer.add(name, np.array(swapped, np.uint8), source=name, target=name)
    _, out, _ = cgeval("fcn-score", "runs/swapped", "--direction", "ba")
    assert "Look out, swapped classes: The prediction has building and tree the wrong way round" in " ".join(
        out.split()
    )
    assert read_records(run.path)[0].extra["traps"] == ["swapped classes"]


# Another program's results


def results_of_the_reference(place: Path, words: str = "fake_B") -> Path:
    folder = place / "results" / "facades_model" / "test_latest" / "images"
    for path in sorted((place / "data" / "testB" / "drive").iterdir()):
        for word, source in ((words, "testB"), ("real_A", "testA")):
            file = folder / f"{path.stem}_{word}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_png(file, read_rgb(place / "data" / source / "drive" / path.name))
    return folder.parent


def test_results_of_the_reference_are_adopted_and_scored(place, cgeval):
    folder = results_of_the_reference(place)
    code, out, err = cgeval("fcn-score", folder.relative_to(place), "--dataset", "data")
    assert code == 0, err
    assert "adopted into runs/facades_model" in err
    assert "runs/facades_model  facades_model, labels -> photo" in out
    assert len(read_records(place / "runs" / "facades_model")) == 3
    assert cgeval("fcn-score", folder, "--dataset", "data")[0] == 0
    assert len(read_records(place / "runs" / "facades_model")) == 6


def test_results_that_do_not_say_enough_are_answered_with_what_to_type(place, cgeval):
    code, out, err = cgeval("fcn-score", results_of_the_reference(place))
    assert (code, out) == (2, "")
    assert "`cgeval adopt" in err
    assert "--dataset DIR` makes a run of them" in err


# Mistakes


def truths(place: Path) -> list[Path]:
    return sorted((place / "data" / "test_ids" / "drive").iterdir())


def no_run(place: Path) -> list[object]:
    return ["runs/nothing"]


def unsealed(place: Path) -> list[object]:
    for name in ("AtoB", "BtoA"):
        (place / "runs" / "cityscapes" / "images" / f"test_{name}" / "set.json").unlink()
    return []


def empty_folder(place: Path) -> list[object]:
    (place / "empty").mkdir()
    return ["empty"]


def missing_truth(place: Path) -> list[object]:
    truths(place)[3].unlink()
    return []


def sixteen_bits(place: Path) -> list[object]:
    write_png(truths(place)[0], np.full((16, 24), 26001, np.int32))
    return []


def out_of_range(place: Path) -> list[object]:
    write_png(truths(place)[0], np.full((16, 24), 77, np.uint8))
    return []


def wrong_classes(place: Path) -> list[object]:
    write_header(place / "scorers" / "streets", labels=label_set("cityscapes"), outputs=19)
    return ["runs/cityscapes", "--scorer", "streets"]


def corrupt_weights(place: Path) -> list[object]:
    file = place / "scorers" / "halves" / "scorer.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    return ["runs/cityscapes", "--scorer", "halves"]


def blurred_truth(place: Path) -> list[object]:
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    write_png(truths(place)[0], noise)
    return []


def no_such_device(place: Path) -> list[object]:
    return ["runs/cityscapes", "--device", "cuda:99"]


MISTAKES = {
    no_run: "runs/nothing is not there",
    unsealed: "is not sealed: it has no set.json",
    empty_folder: "empty is not a run: it holds no run.json",
    missing_truth: "1 of 5 images of runs/cityscapes/images/test_AtoB have no label map",
    sixteen_bits: "16-bit maps count objects",
    out_of_range: "0.png holds the id 77 that label set",
    wrong_classes: "scorer 'streets' has 19 classes",
    corrupt_weights: "was cut off or changed",
    blurred_truth: "probably it was resized with an interpolating filter",
    no_such_device: "CUDA devices are here",
}


@pytest.mark.parametrize("spoil", MISTAKES, ids=lambda spoil: spoil.__name__)
def test_a_mistake_is_one_sentence_exit_code_2_and_no_record(place, cgeval, spoil):
    words = spoil(place) or ["runs/cityscapes"]
    code, out, err = cgeval("fcn-score", *words)
    sentence = err.rpartition("Error: ")[2]
    assert code == 2, err
    assert out == ""
    assert MISTAKES[spoil] in sentence
    assert sentence.count("\n") == 1
    assert not (place / "runs" / "cityscapes" / "records").exists()
