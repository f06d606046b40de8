"""A few small images go in; runs with sealed sets, records, matrices, reconstructions and studies come out, in moments.

`a_town(folder)` makes everything at once: a dataset, CycleGAN, pix2pix, Gatys in three styles, four ablations, a study.
The parts below it make one thing each, for tests of what is missing, stale or measured otherwise. What a label map
holds follows from the image's id alone, so that any two runs over the same ids have the same truth.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgeval.images import write_png
from cgeval.labels import label_set
from cgeval.matrices import Matrices, write_matrices
from cgeval.metrics import METRICS, Interval, bootstrap_classes, bootstrap_scores, interval_name, segmentation_scores
from cgeval.records import Record, append_records
from cgeval.runs import Run

LABELS = label_set("camvid11")
CLASSES = [label.name for label in LABELS.classes]
IDS = tuple(f"street/{i:03}" for i in range(8))
OTHER_IDS = tuple(f"road/{i:03}" for i in range(8))
SIZE = (16, 8)  # width, height of every picture
PIXELS = 480  # scored pixels of a label map
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
WORDS = {"AtoB": "labels -> photo", "BtoA": "photo -> labels"}
ABLATIONS = ("cycle_alone", "gan_alone", "gan_forward_cycle", "gan_backward_cycle")
STYLES = ("starry night", "the scream", "collection")


@dataclass(frozen=True)
class Town:
    """Where everything lies: `folder/runs`, `folder/studies`, `folder/streets` (the dataset); the main run."""

    folder: Path
    runs: Path
    dataset: Path
    study: Path
    main: Path


def a_town(folder: Path, ids: Sequence[str] = IDS) -> Town:
    """A dataset and every kind of run on it, scored both ways (pix2pix by two runs, Gatys only labels -> photo)."""
    dataset, runs = write_streets(folder / "streets", ids), folder / "runs"
    main = a_run(runs / "streets", "cyclegan", ids=ids, dataset=dataset)
    pix2pix = a_run(runs / "pix2pix", "pix2pix", ids=ids, dataset=dataset, directions=("AtoB",))
    back = a_run(runs / "pix2pix-BtoA", "pix2pix", ids=ids, dataset=dataset, directions=("BtoA",))
    gatys = a_run(runs / "gatys", "gatys", ids=ids, dataset=dataset, directions=())
    for style in STYLES:
        add_set(gatys, "AtoB", ids, variant=style)
    ablations = [a_run(runs / name, f"cyclegan:{name}", ids=ids, dataset=dataset) for name in ABLATIONS]
    for run, skill in [(main, 0.6), (pix2pix, 0.8), (back, 0.8), (gatys, 0.3), *((run, 0.4) for run in ablations)]:
        for image_set in run.image_sets():
            score(run, image_set.name, skill=skill, sanity=run is main)
        write_log(run)
    for direction in WORDS:
        reconstruct(main, f"test_{direction}")
    study = add_study(folder / "studies" / "streets", [(main, "test_AtoB", 0.25), (pix2pix, "test_AtoB", 0.4)])
    return Town(folder, runs, dataset, study, main.path)


def a_run(
    path: Path,
    method: str = "cyclegan",
    *,
    ids: Sequence[str] = IDS,
    directions: Sequence[str] = ("AtoB", "BtoA"),
    dataset: Path | str = "streets",
    created_at: str = EARLY,
) -> Run:
    """A run with a sealed set `test_<direction>` of each direction, and no number yet; dataset: a folder or a name."""
    facts = {
        "name": Path(dataset).name,
        "path": str(dataset),
        "paired": True,
        "domains": {"A": "labels", "B": "photos"},
        "label_set": "camvid11",
        "label_domain": "A",
    }
    run = Run.create(path, method=method, dataset=facts, producer={"name": "me", "version": "1"}, settings={"seed": 0})
    file = path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"created_at": created_at}))
    for direction in directions:
        add_set(run, direction, ids)
    return Run.open(path)


def add_set(
    run: Run,
    direction: str = "AtoB",
    ids: Sequence[str] = IDS,
    *,
    variant: str | None = None,
    split: str = "test",
    seed: int = 0,
    overwrite: bool = False,
) -> str:
    """Seal a set of coloured noise, other pictures for another seed; returns its name."""
    name = f"{split}_{direction}" + (f"-{variant.replace(' ', '-')}" if variant else "")
    extra = {"size_px": SIZE[0]} | ({"variant": variant} if variant else {})
    facts = {"direction": direction, "split": split, "checkpoint": None, "extra": extra, "overwrite": overwrite}
    with run.write_image_set(name, **facts) as writer:
        for image_id in ids:
            noise = _rng(run.info.run_id, name, image_id, seed).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
            writer.add(image_id, noise, source=image_id, target=image_id)
    return name


def score(
    run: Run,
    name: str = "test_AtoB",
    *,
    skill: float = 0.6,
    scorer: str = "camvid",
    convention: str = "cityscapes",
    protocol: str = "scorer-size",
    size_px: tuple[int, int] = SIZE,
    sanity: bool = False,
    traps: Sequence[str] = (),
    at: str = EARLY,
) -> list[Record]:
    """Add the three records of a score and the matrices behind them, in the form that `cgeval fcn-score` writes.

    skill: about the share of pixels that are right; the same run, set and skill give the same matrices.
    """
    image_set = run.image_set(name)
    ids = tuple(row.id for row in image_set.rows)
    photo = image_set.direction == "AtoB"
    seen = {"run": matrices_of(ids, skill, f"{run.info.run_id} {name}")}
    beside = {"real photos" if photo else "true labels": 0.9}
    if sanity:
        beside |= {"shuffled photos" if photo else "shuffled labels": 0.15, "noise": 0.05}
    seen |= {what: matrices_of(ids, skill_of_it, what) for what, skill_of_it in beside.items()}
    full = f"fcn-score-{protocol}" if photo else "label-score"
    file = write_matrices(run.path, f"{full}-{name}", {key: Matrices(ids, each) for key, each in seen.items()})
    choices = {"absent class": convention, "label set": "camvid11", "truth": truth_digest(seen["run"])}
    if photo:
        choices |= {"scorer": scorer, "scorer_sha256": hashlib.sha256(scorer.encode()).hexdigest()}
    else:
        choices |= {"colours": "scored", "distance": "L2", "classified at": "output size"}
    facts = {
        "direction": WORDS[image_set.direction],
        "dataset": str(run.info.dataset["name"]),
        "split": image_set.split,
        "size_px": list(size_px),
        "truth_size_px": [[30, 16]],
        "scorer_validation": {"class_iou": {"value": 0.7}, "n": 5} if photo else {},
        "resamples": 2000,
        "seed": 0,
    }
    numbers = {what: _numbers(each, convention) for what, each in seen.items()}
    records = []
    for metric in METRICS:
        number = numbers["run"][metric]
        extra = facts | {
            "beside": {what: numbers[what][metric] | {"n": len(ids)} for what in beside},
            "by_class": _by_class(seen["run"], metric, convention),
            "other_convention": {"reference": number["value"]},
            "traps": list(traps),
            "matrices": file,
        }
        about = {"image_set": name, "index_sha256": image_set.index_sha256, "created_at": at, "producer": "cgeval 0"}
        number |= {"metric": metric, "n": len(ids), "interval": interval_name(), "convention": choices, "extra": extra}
        records.append(Record(protocol=full, run_id=run.info.run_id, **about, **number))
    append_records(run.path, records)
    return records


def reconstruct(run: Run, name: str = "test_AtoB", *, error: float = 0.1, at: str = EARLY) -> Record:
    """Add a reconstruction error as `cyclegan reconstruct` writes it: mean |back - input|, by image in `extra`."""
    image_set = run.image_set(name)
    ids = [row.id for row in image_set.rows]
    values = {i: float(error * _rng("back", run.info.run_id, name, i).uniform(0.5, 1.5)) for i in ids}
    mean = float(np.mean(list(values.values())))
    record = Record(
        protocol="reconstruction",
        metric="reconstruction_l1",
        value=mean,
        n=len(ids),
        run_id=run.info.run_id,
        image_set=name,
        index_sha256=image_set.index_sha256,
        created_at=at,
        producer="cyclegan 0",
        low=0.9 * mean,
        high=1.1 * mean,
        interval=interval_name(),
        convention={"levels": "[0, 1]"},
        extra={"direction": WORDS[image_set.direction], "size_px": list(SIZE), "per_image": values},
    )
    append_records(run.path, [record])
    return record


def add_study(
    path: Path, rates: Sequence[tuple[Run, str, float]], *, n: int = 25, protocol: str = "fooling-zhu2017"
) -> Path:
    """A study's folder with one fooling rate for each (run, set, rate), over n participants."""
    records = []
    for run, name, rate in rates:
        image_set = run.image_set(name)
        records.append(
            Record(
                protocol=protocol,
                metric="fooling_rate",
                value=rate,
                n=n,
                run_id=run.info.run_id,
                image_set=name,
                index_sha256=image_set.index_sha256,
                created_at=LATE,
                producer="study-server 0",
                low=rate - 0.05,
                high=rate + 0.05,
                interval="Korn-Graubard over participants, 95 %",
                convention={"asked": "real", "exposure": "1000 ms"},
                extra={"direction": WORDS[image_set.direction]},
            )
        )
    append_records(path, records)
    return path


def seal_again(run: Run, name: str = "test_AtoB") -> None:
    """Replace a set by other pictures of the same ids: every record of it is stale from then on."""
    old = run.image_set(name)
    variant = old.extra.get("variant")
    ids = [row.id for row in old.rows]
    add_set(run, old.direction, ids, variant=variant, split=old.split, seed=1, overwrite=True)


def write_log(run: Run, rows: int = 6) -> Path:
    """A trainer's log.jsonl, with losses that fall."""
    names = ("gan_ab", "gan_ba", "cycle_a", "cycle_b", "disc_a", "disc_b")
    lines = [
        {"step": 10 * (i + 1), "epoch": 1 + i // 3, **{name: (k + 2) / (i + 2) for k, name in enumerate(names)}}
        | {"learning_rate": 0.0002, "images_per_s": 5.0}
        for i in range(rows)
    ]
    path = run.path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_streets(root: Path, ids: Sequence[str] = IDS) -> Path:
    """A labelled, paired dataset: label maps in colour (A), photos that are the same but darker (B), ids."""
    for image_id in ids:
        classes = _rng("map", image_id).integers(0, 11, (2, 4))
        ids_map = np.kron(classes, np.ones((SIZE[1] // 2, SIZE[0] // 4), int)).astype(np.uint8)
        coloured = LABELS.colours_of(ids_map)
        for folder, picture in (("test_ids", ids_map), ("testA", coloured), ("testB", coloured // 2)):
            path = root / folder / f"{image_id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, picture)
    facts = (
        'name = "streets"',
        'domains = ["labels", "photos"]',
        'label_set = "camvid11"',
        'label_domain = "A"',
        'truth = "{split}_ids"',
        "paired = true",
    )
    (root / "dataset.toml").write_text("\n".join(facts) + "\n")
    return root


def matrices_of(ids: Sequence[str], skill: float, seed: str) -> np.ndarray:
    """int64 [n, 12, 12] over 11 classes: the truth of each id, predicted right in about `skill` of the pixels."""
    counts = np.zeros((len(ids), 12, 12), dtype=np.int64)
    for i, image_id in enumerate(ids):
        truth = _rng("truth", image_id).multinomial(PIXELS, np.full(11, 1 / 11))
        rng = _rng("seen", image_id, seed, skill)
        right = float(np.clip(rng.normal(skill, 0.04), 0, 1))
        for t, pixels in enumerate(truth):
            shares = np.full(12, (1 - right) / 11)
            shares[t] = right
            counts[i, t] = rng.multinomial(pixels, shares / shares.sum())
    return counts


def truth_digest(matrices: np.ndarray) -> str:
    """As `cgeval.protocols.results` names the truth in a record's convention."""
    return hashlib.sha256(np.ascontiguousarray(matrices.sum(axis=-1)).astype("<i8").tobytes()).hexdigest()[:12]


def _numbers(matrices: np.ndarray, convention: str) -> dict:
    """By metric: value, low, high."""
    values, intervals = segmentation_scores(matrices.sum(axis=0), convention), bootstrap_scores(matrices, convention)
    return {metric: {"value": float(getattr(values, metric)), **_ends(intervals[metric])} for metric in METRICS}


def _by_class(matrices: np.ndarray, metric: str, convention: str) -> dict:
    if metric == "pixel_accuracy":
        return {}
    field = {"class_accuracy": "accuracies", "class_iou": "ious"}[metric]
    values = getattr(segmentation_scores(matrices.sum(axis=0), convention), field)
    ends = getattr(bootstrap_classes(matrices, convention), field)
    return {name: {"value": float(value), **_ends(end)} for name, value, end in zip(CLASSES, values, ends, strict=True)}


def _ends(interval: Interval | None) -> dict:
    return {"low": interval.low if interval else None, "high": interval.high if interval else None}


def _rng(*words: object) -> np.random.Generator:
    digest = hashlib.sha256("\n".join(map(str, words)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
