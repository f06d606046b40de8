"""Comparisons made by hand, for tests of what shows them: no file is read or written, and every number is known.

`rich` has all that a comparison can hold; `plain` is the smallest that is one; `labelled` is `plain` with rows of any
label. Nothing lies at the paths: who wants pictures or logs makes them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cgeval.compare.comparison import Comparison, Difference, Measure, Number, Row, Subject, Table
from cgeval.records import Record
from cgeval.runs import ImageSet, Run, RunInfo

FCN = ("pixel_accuracy", "class_accuracy", "class_iou")
INTERVAL = "bootstrap over images, percentile, 95 %, 2000 resamples"
WILSON = "Wilson score, 95 %"
SCORED = {"absent class": "cityscapes", "label set": "camvid11", "truth": "153ec7e7ff80"}
BY_SCORER = SCORED | {"scorer": "camvid", "scorer_sha256": "dbea7b08" * 8}
BY_COLOUR = SCORED | {"colours": "scored", "distance": "L2", "classified at": "output size"}
WEIRD = "weird_label & 50% #1 ~^\\{x} | *b* `c` <i>$2$</i> [d](e) — “f”…"
WIDE = "画風変換 (cafe\u0301)"
FORMULA = '=HYPERLINK("http://example.org";"click")'

LABELS_TO_PHOTO = Measure(
    title="labels -> photo",
    protocol="fcn-score-scorer-size",
    direction="AtoB",
    metrics=FCN,
    n=233,
    convention=BY_SCORER,
    size_px=(128, 128),
    facts={
        "protocol": "fcn-score-scorer-size: network at 320x240, where it was trained, logits enlarged to 480x360",
        "scorer": "camvid (segformer tu-resnet10t, sha256 dbea7b081c22, class IoU 0.589 on its own validation photos)",
        "images": "233 of 128x128 px",
        "intervals": INTERVAL,
        "means": "classes without a pixel are left out, as cityscapesScripts does",
    },
)
PHOTO_TO_LABELS = Measure(
    title="photo -> labels",
    protocol="label-score",
    direction="BtoA",
    metrics=FCN,
    n=233,
    convention=BY_COLOUR,
    size_px=(128, 128),
    facts={
        "protocol": "label-score: nearest of the scored colours by L2, at the images' size, ids enlarged",
        "images": "233 of 128x128 px",
        "intervals": INTERVAL,
        "means": "classes without a pixel are left out, as cityscapesScripts does",
    },
)
FOOLING = Measure(
    title="labels -> photo",
    protocol="fooling-paper",
    direction="AtoB",
    metrics=("fooling_rate",),
    n=1000,
    convention={"exposure_ms": 1000, "practice trials": "left out"},
    size_px=None,
    facts={"protocol": "fooling-paper: pairs, 1000 ms, 25 participants per algorithm", "intervals": WILSON},
)
RECONSTRUCTION = Measure(
    title="labels -> photo -> labels",
    protocol="reconstruction",
    direction="AtoB",
    metrics=("reconstruction_l1",),
    n=233,
    convention={"levels": "[0, 1]"},
    size_px=(128, 128),
    higher_is_better=False,
    facts={"protocol": "reconstruction: mean |back - input|, levels in [0, 1]", "intervals": INTERVAL},
)
GROUPS = (LABELS_TO_PHOTO, PHOTO_TO_LABELS, FOOLING, RECONSTRUCTION)


def run(name: str, method: str) -> Run:
    """A run of the dataset camvid, in memory."""
    info = RunInfo(
        run_id=name,
        method=method,
        dataset={"name": "camvid", "path": "data/camvid", "paired": True, "domains": {"A": "labels", "B": "photos"}},
        producer={"name": "cyclegan", "version": "0.1.0"},
        created_at="2025-01-31T12:00:00Z",
    )
    return Run(Path("runs") / name, info)


def subject(name: str, method: str, label: str, kind="method", *, directions=("AtoB", "BtoA"), variant="") -> Subject:
    """A run of that method with a set of 233 images for each direction."""
    of = run(name, method)
    suffix, extra = (f"-{variant}", {"variant": variant}) if variant else ("", {})
    sets = {
        way: ImageSet(
            path=of.path / "images" / f"test_{way}{suffix}",
            name=f"test_{way}{suffix}",
            direction=way,
            split="test",
            checkpoint=None,
            count=233,
            index_sha256=f"{len(name):02x}{ord(way[0]):02x}" * 16,
            created_at="2025-01-31T12:10:00Z",
            extra=extra,
        )
        for way in directions
    }
    return Subject(of, label, kind, sets)


MAIN = subject("camvid", "cyclegan", "CycleGAN", "main")
PIX2PIX = subject("camvid-pix2pix", "pix2pix", "pix2pix", directions=("AtoB",))
STARRY, SCREAM, COLLECTION = (
    subject("camvid-gatys", "gatys", f"Gatys, {name}", directions=("AtoB",), variant=variant)
    for name, variant in (("starry night", "starry"), ("the scream", "scream"), ("average of 367 photos", "average"))
)
WEIRD_ONE = subject("weird", "weird", WEIRD)
WIDE_ONE = subject("wide", "wide", WIDE)
FORMULA_ONE = subject("formula", "formula", FORMULA)
ABLATIONS = tuple(
    subject(f"camvid-{name}", f"cyclegan:{name}", label, "ablation")
    for name, label in (
        ("cycle_alone", "Cycle alone"),
        ("gan_alone", "GAN alone"),
        ("gan_forward_cycle", "GAN + forward cycle"),
        ("gan_backward_cycle", "GAN + backward cycle"),
    )
)
SUBJECTS = (MAIN, PIX2PIX, STARRY, SCREAM, COLLECTION, WEIRD_ONE, WIDE_ONE, FORMULA_ONE, *ABLATIONS)

# subject -> the value of each column of the first table; None: not measured
VALUES = {
    "CycleGAN": (0.44697635273126896, 0.21469342, 0.15349684, 0.54026806, 0.2598191, 0.17501, 0.268, 0.04871),
    "pix2pix": (0.7312, 0.4102, 0.3147, None, None, None, 0.294, None),
    "Gatys, starry night": (0.3121, 0.1433, 0.0876, None, None, None, None, None),
    "Gatys, the scream": (0.2904, 0.1391, 0.0802, None, None, None, None, None),
    "Gatys, average of 367 photos": (0.3555, 0.1601, 0.1023, None, None, None, 0.012, None),
    WEIRD: (0.4471, 0.2144, 0.1532, 0.5399, 0.2581, 0.1744, None, 0.05112),
    WIDE: (0.1, 0.09, 0.01, 0.2, 0.1, 0.05, None, 0.21),
    FORMULA: (0.0, 0.0, 0.0, 1.0, 1.0, 1.0, None, 0.0),
    "Cycle alone": (0.2201, 0.0712, 0.0211, 0.1014, 0.0533, 0.0209, None, 0.01204),
    "GAN alone": (0.5103, 0.1129, 0.0811, 0.5302, 0.1107, 0.0701, None, 0.19331),
    "GAN + forward cycle": (0.5497, 0.1808, 0.1203, 0.4904, 0.1106, 0.0698, None, 0.03107),
    "GAN + backward cycle": (0.3901, 0.1402, 0.0604, 0.0103, 0.0611, 0.0104, None, 0.17755),
}
BEST = {
    ("pix2pix", 0, "pixel_accuracy"),
    ("pix2pix", 0, "class_accuracy"),
    ("pix2pix", 0, "class_iou"),
    (FORMULA, 1, "pixel_accuracy"),
    (FORMULA, 1, "class_accuracy"),
    (FORMULA, 1, "class_iou"),
    ("pix2pix", 2, "fooling_rate"),
    ("CycleGAN", 2, "fooling_rate"),
    (FORMULA, 3, "reconstruction_l1"),
}
COLUMNS = tuple((place, metric) for place, group in enumerate(GROUPS) for metric in group.metrics)


def record(of: Subject, group: Measure, metric: str, value: float, half: float) -> Record:
    """A record of the subject's set of the group's direction."""
    image_set = of.sets[group.direction]
    return Record(
        protocol=group.protocol,
        metric=metric,
        value=value,
        n=group.n,
        run_id=of.run.info.run_id,
        image_set=image_set.name,
        index_sha256=image_set.index_sha256,
        created_at="2025-01-31T12:20:00Z",
        producer="cgeval 0.1.0",
        low=max(0.0, value - half),
        high=min(1.0, value + half),
        interval=group.facts["intervals"],
        convention=group.convention,
        extra={"size_px": list(group.size_px or ()), "by_class": {}},
    )


def number(of: Subject, group: Measure, metric: str, value: float, *, best: bool = False) -> Number:
    """A cell with the record behind it; intervals are about as wide as real ones."""
    kept = record(of, group, metric, value, half=0.0021 if metric == "reconstruction_l1" else 0.012)
    return Number(value, group.n, kept.low, kept.high, kept.interval, best, kept)


def difference(value: float, main: float) -> Difference:
    """Of a row to the main one, with p-values that grow as it shrinks."""
    by = value - main
    p_value = 0.0005 if abs(by) > 0.02 else 0.0315 if abs(by) > 0.002 else 0.8125
    return Difference(by, by - 0.0148, by + 0.0152, p_value, min(1.0, 3 * p_value))


def measured(of: Subject) -> Row:
    """The subject's row of the first table."""
    values = {column: value for column, value in zip(COLUMNS, VALUES[of.label], strict=True) if value is not None}
    main = dict(zip(COLUMNS, VALUES["CycleGAN"], strict=True))
    return Row(
        label=of.label,
        kind=of.kind,
        numbers={
            (place, metric): number(of, GROUPS[place], metric, value, best=(of.label, place, metric) in BEST)
            for (place, metric), value in values.items()
        },
        differences={}
        if of.kind == "main"
        else {key: difference(value, main[key]) for key, value in values.items() if key[0] != 2},
    )


def beside(label: str, kind, place: int, values: Sequence[float], note: str = "") -> dict:
    """The cells of a row that stands beside the main one: no record of its own."""
    cells = {
        (place, metric): Number(value, 233, max(0.0, value - 0.01), value + 0.01, INTERVAL)
        for metric, value in zip(FCN, values, strict=True)
    }
    return {"label": label, "kind": kind, "numbers": cells, "note": note}


def first_table() -> Table:
    """All kinds of rows but printed ones, both directions, four groups."""
    real = beside("real images", "ceiling", 0, (0.8096, 0.5801, 0.4382), note="the ceiling")
    real["numbers"] |= beside("", "ceiling", 1, (0.9712, 0.9296, 0.8604))["numbers"]
    return Table(
        title="camvid, split test",
        groups=GROUPS,
        rows=(
            Row(**real),
            *(measured(of) for of in SUBJECTS),
            Row(**beside("shuffled photos", "sanity", 0, (0.5552, 0.2780, 0.1988))),
            Row(**beside("shuffled labels", "sanity", 1, (0.4133, 0.1402, 0.0921))),
            Row(**beside("noise", "sanity", 0, (0.0111, 0.0928, 0.0011))),
        ),
        footnotes=("Differences: paired bootstrap over the same 233 images, 2000 resamples; p-values by Holm.",),
    )


def other_table() -> Table:
    """What was measured otherwise: other images, another scorer."""
    group = replace(LABELS_TO_PHOTO, n=60, convention=BY_SCORER | {"scorer": "big", "scorer_sha256": "aa" * 32})
    group = replace(group, facts={"protocol": "fcn-score-scorer-size", "scorer": "big (fcn8s)", "intervals": INTERVAL})
    values = zip(FCN, (0.4811, 0.2212, 0.1609), strict=True)
    cells = {(0, metric): replace(number(MAIN, group, metric, value), n=60) for metric, value in values}
    return Table("n = 60, not 233; scorer big, not camvid", (group,), (Row("CycleGAN", "main", cells),))


def published_table() -> Table:
    """Printed elsewhere: two decimals, one of them unsure, no interval; fooling rates with a printed +-."""
    fcn = replace(LABELS_TO_PHOTO, n=500, protocol="printed", convention={}, facts={"protocol": "Cityscapes, 128x128"})
    amt = replace(FOOLING, title="map -> photo", protocol="printed", convention={}, facts={}, metrics=("fooling_rate",))
    lines = {
        "CoGAN": ((0.40, 0.10, 0.06), (0.006, 0.005)),
        "GAN + forward cycle": ((0.49, 0.11, 0.07), None),
        "CycleGAN": ((0.52, 0.17, 0.11), (0.268, 0.028)),
        "pix2pix": ((0.71, 0.25, 0.18), None),
    }
    rows = []
    for label, (scores, rate) in lines.items():
        unsure = label == "GAN + forward cycle"
        cells = {(0, m): Number(v, 500, unsure=unsure and v == 0.07) for m, v in zip(FCN, scores, strict=True)}
        if rate:
            value, half = rate
            cells[1, "fooling_rate"] = Number(value, 1000, value - half, value + half, "printed, method not said")
        rows.append(Row(label, "published", cells))
    title = "printed in Zhu et al., arXiv 1703.10593, Table 2; other images, another scorer: not to be compared"
    return Table(title, (fcn, amt), tuple(rows))


def rich() -> Comparison:
    """Everything at once."""
    return Comparison(
        dataset=MAIN.run.info.dataset,
        split="test",
        main="CycleGAN",
        subjects=SUBJECTS,
        tables=(first_table(), other_table(), published_table()),
        notes=(
            "pix2pix has no photo -> labels: `cyclegan train --set direction=BtoA` trains the other way.",
            "No study in studies/ for 9 of 12 methods: `study-server new` makes one.",
        ),
        dataset_path=Path("data/camvid"),
    )


def plain() -> Comparison:
    """Two runs, one direction, one group: nothing that need not be."""
    first = replace(first_table(), groups=GROUPS[:1], footnotes=())
    rows = tuple(only(measured(of), 0) for of in (MAIN, PIX2PIX))
    return Comparison(MAIN.run.info.dataset, "test", "CycleGAN", (MAIN, PIX2PIX), (replace(first, rows=rows),))


def labelled(*labels: str, title: str = "measured alike", note: str = "") -> Comparison:
    """`plain` whose further rows have these labels, in a table of that title, with that note."""
    others = tuple(subject(f"run-{i}", "other", label, directions=("AtoB",)) for i, label in enumerate(labels))
    values = (0.1, 0.2, 0.3)
    rows = [
        Row(
            of.label,
            "method",
            {(0, m): number(of, LABELS_TO_PHOTO, m, v) for m, v in zip(FCN, values, strict=True)},
            {(0, m): difference(v, 0.2) for m, v in zip(FCN, values, strict=True)},
        )
        for of in others
    ]
    table = Table(title, GROUPS[:1], (only(measured(MAIN), 0), *rows))
    notes = (note,) if note else ()
    return Comparison(MAIN.run.info.dataset, "test", "CycleGAN", (MAIN, *others), (table,), notes)


def only(row: Row, place: int) -> Row:
    """The row without the numbers of other groups."""
    return replace(
        row,
        numbers={key: cell for key, cell in row.numbers.items() if key[0] == place},
        differences={key: cell for key, cell in row.differences.items() if key[0] == place},
    )
