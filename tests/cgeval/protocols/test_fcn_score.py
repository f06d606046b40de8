"""A run whose faults are known is scored, both ways: the numbers are those that one computes by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cgeval.errors import SealError, WeightsError
from cgeval.images import read_ids, resize, write_png
from cgeval.matrices import read_matrices
from cgeval.metrics import METRICS, segmentation_scores
from cgeval.protocols import sharding
from cgeval.protocols.fcn_score import fcn_score
from cgeval.protocols.measuring import measure
from cgeval.protocols.planning import Choices, plan
from cgeval.protocols.results import as_json, evaluation_results, write_results
from cgeval.protocols.scoring import Sampling
from cgeval.records import current, read_records
from cgeval.runs import Run
from tests.cgeval.protocols.streets import (
    LABELS,
    SIZE,
    TRUTH_SIZE,
    NearestHalfColour,
    write_dataset,
    write_header,
    write_run,
)

ROAD = 3


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of six images whose two uppermost rows, of eight, are road."""
    monkeypatch.setenv("CGEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sharding, "load_scorer", NearestHalfColour)
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "data", n=6)
    write_header(tmp_path / "scorers" / "halves")
    return write_run(tmp_path / "runs" / "one", tmp_path / "data")


def by_hand(run: Run) -> np.ndarray:
    """The matrix of all images, counted pixel by pixel: right but in the upper quarter, where road is seen."""
    counts = np.zeros((12, 12), np.int64)
    for path in sorted((Path(run.info.dataset["path"]) / "test_ids" / "drive").iterdir()):
        truth = read_ids(path)
        seen = resize(resize(truth, 12, 8, "nearest"), *TRUTH_SIZE, "nearest")
        seen[:4] = ROAD
        for true, predicted in zip(truth.ravel(), seen.ravel(), strict=True):
            counts[true, predicted] += 1
    return counts


def test_photo_to_labels_is_what_counting_by_hand_gives(run):
    (score,) = fcn_score(run, Choices(direction="ba"))
    assert np.array_equal(score.line.counts[:-1], by_hand(run)[:-1])
    assert score.ceiling.value("pixel_accuracy") == 1
    expected = segmentation_scores(by_hand(run), "cityscapes")
    assert all(score.line.value(metric) == float(getattr(expected, metric)) for metric in METRICS)
    assert all(score.line.intervals[m].low < score.line.value(m) < score.line.intervals[m].high for m in METRICS)


def test_labels_to_photo_is_what_the_network_sees(run):
    """Blocks of labels are as large as pixels of photos are enlarged, so the nearest colour is nearly always right."""
    (score,) = fcn_score(run, Choices(direction="ab", sanity=True))
    worth = {line.name: line.value("pixel_accuracy") for line in (score.line, *score.beside)}
    assert worth["real photos"] > 0.7
    assert 0.6 < worth["cyclegan"] / worth["real photos"] < 0.85
    assert worth["shuffled photos"] < 0.25
    assert worth["noise"] < 0.25
    assert score.line.counts[:-1].sum(axis=1).tolist() == by_hand(run)[:-1].sum(axis=1).tolist()


@pytest.mark.parametrize(("protocol", "seen_at"), [("paper", TRUTH_SIZE), ("scorer-size", (6, 4))])
def test_the_network_runs_at_the_size_that_the_protocol_says(run, monkeypatch, protocol, seen_at):
    sizes = set()
    logits = NearestHalfColour.logits

    def noting(scorer, images):
        sizes.add((images.shape[3], images.shape[2]))
        return logits(scorer, images)

    monkeypatch.setattr(NearestHalfColour, "logits", noting)
    write_header(Path("scorers") / "small", size_px=(6, 4))
    (score,) = fcn_score(run, Choices(direction="ab", protocol=protocol, scorer="small"))
    assert sizes == {seen_at}
    assert score.line.measured.truth_sizes == {TRUTH_SIZE}


def test_by_the_papers_protocol_the_image_is_enlarged_by_pil_and_told_there(run):
    (score,) = fcn_score(run, Choices(direction="ab", protocol="paper"))
    scorer = NearestHalfColour(score.job.way.scorer, None)
    for item, matrix in zip(score.job.items, score.line.measured.matrices, strict=True):
        picture = np.array(Image.open(item.picture.path).resize(TRUTH_SIZE, Image.Resampling.BILINEAR))
        seen = scorer.logits(torch.from_numpy(picture).permute(2, 0, 1)[None]).argmax(dim=1)[0].numpy()
        counts = np.zeros((12, 12), np.int64)
        np.add.at(counts, (read_ids(item.truth), seen), 1)
        assert np.array_equal(matrix, counts)


def test_the_ceilings_photos_are_squashed_as_a_trainer_squashes_them(run):
    (job,) = plan(run, Choices(direction="ab"))
    picture = job.beside["real photos"][0].picture
    own = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    write_png(picture.file.path, own)
    expected = np.array(Image.fromarray(own).resize(SIZE, Image.Resampling.BICUBIC))
    assert np.array_equal(picture.pixels(), expected)


def test_another_scorer_of_the_same_name_is_not_answered_from_the_cache(run):
    first = fcn_score(run, Choices(direction="ab"))[0]
    (Path("scorers") / "halves" / "scorer.safetensors").unlink()
    write_header(Path("scorers") / "halves", producer="another 2")
    second = fcn_score(run, Choices(direction="ab"))[0]
    assert (first.line.measured.predicted, second.line.measured.predicted) == (6, 6)


def test_a_set_that_is_replaced_while_it_is_scored_is_not_counted(run):
    (job,) = plan(run, Choices(direction="ba"))
    write_png(job.items[2].picture.path, np.zeros((8, 12, 3), np.uint8))
    with pytest.raises(SealError, match="was changed while it was being scored"):
        measure(job.items, LABELS, job.way)


def test_another_truth_is_another_number_and_supersedes_nothing(run, tmp_path):
    write_results(fcn_score(run, Choices(direction="ba"))[0])
    shutil.copytree(tmp_path / "data", tmp_path / "small")
    for path in (tmp_path / "small" / "test_ids" / "drive").iterdir():
        write_png(path, resize(read_ids(path), *SIZE, "nearest"))
    write_results(fcn_score(run, Choices(direction="ba", dataset=tmp_path / "small"))[0])
    assert [entry.superseded for entry in current(read_records(run.path))] == [0] * 6


def test_records_say_all_that_the_number_needs(run):
    for score in fcn_score(run, sampling=Sampling(resamples=200, seed=3)):
        write_results(score)
    found = {(entry.record.protocol, entry.record.metric): entry.record for entry in current(read_records(run.path))}
    assert len(found) == 6
    photo, labels = found["fcn-score-scorer-size", "class_iou"], found["label-score", "class_iou"]
    assert photo.convention["scorer"] == "halves"
    assert len(photo.convention["scorer_sha256"]) == 64
    assert labels.convention["truth"] == photo.convention["truth"]
    assert labels.convention == {
        "truth": labels.convention["truth"],
        "absent class": "cityscapes",
        "label set": "camvid11",
        "colours": "scored",
        "distance": "L2",
        "classified at": "output size",
    }
    assert photo.n == 6
    assert photo.low <= photo.value <= photo.high
    assert photo.interval == "bootstrap over images, percentile, 95 %, 200 resamples"
    assert photo.index_sha256 == run.image_set("test_AtoB").index_sha256
    assert photo.extra["beside"]["real photos"]["value"] > photo.value
    assert list(photo.extra["by_class"]) == [label.name for label in LABELS.classes]


def test_kept_matrices_give_the_numbers_again_and_under_the_other_convention(run):
    (score,) = fcn_score(run, Choices(direction="ba"))
    record = write_results(score)[2]
    counts = read_matrices(run.path, record)["run"].matrices.sum(axis=0)
    assert float(segmentation_scores(counts, "cityscapes").class_iou) == record.value
    other = fcn_score(run, Choices(direction="ba"), Sampling("reference"))[0].line.value("class_iou")
    assert float(segmentation_scores(counts, "reference").class_iou) == other
    assert record.extra["other_convention"] == {"reference": other}


def test_a_second_scoring_supersedes_and_runs_no_network(run, monkeypatch):
    first = fcn_score(run)
    monkeypatch.setattr(NearestHalfColour, "logits", None)
    second = fcn_score(run)
    assert [s.line.measured.predicted for s in second] == [0, 6]  # colours are told again
    for score in (*first, *second):
        write_results(score)
    assert {entry.superseded for entry in current(read_records(run.path))} == {1}
    assert len(list((run.path / "records" / "matrices").iterdir())) == 2


def test_a_mistake_in_one_direction_leaves_no_record_of_the_other(run):
    (Path("scorers") / "halves" / "scorer.safetensors").unlink()
    with pytest.raises(WeightsError):
        fcn_score(run)
    assert not (run.path / "records").exists()


def test_json_has_every_row_and_no_number_that_json_does_not_know(run):
    content = [as_json(score) for score in fcn_score(run, Choices(sanity=True))]
    again = json.loads(json.dumps(content, allow_nan=False))
    assert [row["name"] for row in again[0]["rows"]] == ["cyclegan", "real photos", "shuffled photos", "noise"]
    assert again[1]["rows"][1]["class_iou"]["value"] == 1
    assert np.sum(again[1]["rows"][0]["confusion_matrix"]) == 6 * 24 * 16


def test_the_released_scripts_file_is_written_as_it_writes_it(run, tmp_path):
    (score,) = fcn_score(run, Choices(direction="ba"), Sampling("reference"))
    path = evaluation_results(score, tmp_path / "out")
    assert path == tmp_path / "out" / "test_BtoA" / "evaluation_results.txt"
    lines = path.read_text().splitlines()
    assert lines[0] == f"Mean pixel accuracy: {score.line.value('pixel_accuracy'):.6f}"
    assert lines[2].startswith("Mean class IoU: 0.")
    assert lines[3] == "************ Per class numbers below ************"
    assert len(lines) == 4 + 11
    assert lines[4].startswith("sky            : acc = ")
    assert ", iou = " in lines[4]
