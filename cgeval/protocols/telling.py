"""A score goes in; the lines that a terminal shows of it come out."""

import textwrap

import numpy as np

from cgeval.metrics import METRICS, WORDS, Interval
from cgeval.protocols.planning import Job, Ruler
from cgeval.protocols.results import class_names
from cgeval.protocols.scoring import Line, Score
from cgeval.scorers.store import ScorerFile, ScorerInfo
from cgeval.tables import table_lines

CONVENTIONS = {
    "cityscapes": "classes without a pixel are left out, as cityscapesScripts does",
    "reference": "classes without a pixel count 0, as in the script released with pix2pix",
}
WIDTH = 100  # columns of the text; tables are as wide as they are
DIFFERS = 0.0005  # what would show in the third decimal


def score_lines(score: Score) -> list[str]:
    """Heading, the three numbers of each row, the table of classes, and what looks wrong."""
    return [
        *_heading(score),
        "",
        *_indented(_numbers(score)),
        "",
        *_indented(_classes(score)),
        *_other_convention(score),
        *_traps(score),
    ]


def _heading(score: Score) -> list[str]:
    job = score.job
    width, height = job.size_px
    sizes = " and ".join(f"{w}x{h}" for w, h in sorted(score.line.measured.truth_sizes)[:2])
    facts = {
        "images": f"{job.image_set.name}: {len(job.items)} of {width}x{height} px, truth of {sizes} "
        f"({job.labelled.name}, labels {job.labelled.labels.name})",
        "protocol": f"{job.protocol}: {_way(job)}",
        "scorer": _scorer(job.way.scorer) if isinstance(job.way, Ruler) else "",
        "intervals": score.sampling.interval,
        "means": CONVENTIONS[score.sampling.convention],
    }
    lines = [line for key, text in facts.items() if text for line in _wrapped(text, f"  {key:11}")]
    return [f"{job.run.path}  {_made(score)}, {job.direction}", *lines]


def _made(score: Score) -> str:
    """The row of the images: the method, and of a run with several sets of one direction which of them."""
    variant = score.job.image_set.extra.get("variant")
    return f"{score.line.name}, {variant}" if isinstance(variant, str) and variant else score.line.name


def _way(job: Job) -> str:
    way = job.way
    if not isinstance(way, Ruler):
        place = "at the images' size, ids enlarged" if way.classified_at == "output" else "after enlarging the images"
        colours = "all colours" if way.choice == "all" else "the scored colours"
        return f"nearest of {colours} by {way.distance}, {place} to the truth's size"
    if way.protocol == "paper":
        return "images enlarged to the truth's size, network there"
    width, height = way.scorer.info.size_px
    return f"network at {width}x{height}, where it was trained, logits enlarged to the truth's size"


def _scorer(scorer: ScorerFile) -> str:
    iou = scorer.info.validation.get("class_iou", {}).get("value")
    own = f", class IoU {iou:.3f} on its own validation photos" if iou is not None else ""
    return f"{scorer.info.name} ({network_of(scorer.info)}, sha256 {scorer.sha256[:12]}{own})"


def network_of(info: ScorerInfo) -> str:
    """The network in a few words, such as "segformer tu-resnet10t"."""
    named = [str(info.arguments[key]) for key in ("architecture", "encoder", "name") if key in info.arguments]
    return " ".join(named) or info.kind


def _numbers(score: Score) -> list[str]:
    rows = [_number_row(line, score) for line in (score.line, *score.beside)]
    return table_lines(("", "n", *(WORDS[metric] for metric in METRICS), ""), rows, numbers=(1,))


def _number_row(line: Line, score: Score) -> tuple[str, ...]:
    cells = (with_interval(line.value(metric), line.intervals[metric]) for metric in METRICS)
    what = "the ceiling" if line.name == score.job.ceiling else ""
    name = _made(score) if line is score.line else line.name
    return (name, str(len(line.measured.ids)), *cells, what)


def _classes(score: Score) -> list[str]:
    line, ceiling = score.line, score.ceiling
    true = line.counts[:-1].sum(axis=1)
    rows = [
        (
            name,
            _share(int(true[i]), int(true.sum())),
            with_interval(float(line.scores.accuracies[i]), line.by_class.accuracies[i]),
            with_interval(float(line.scores.ious[i]), line.by_class.ious[i]),
            _plain(float(ceiling.scores.ious[i])) if ceiling else "-",
        )
        for i, name in enumerate(class_names(score.job))
    ]
    heads = ("class", "of truth", "accuracy", "IoU", f"IoU of {score.job.ceiling}")
    return table_lines(heads, rows, numbers=(1, 4))


def _other_convention(score: Score) -> list[str]:
    """What the means would be under the other convention, where that shows."""
    name, scores = score.other
    changed = [m for m in METRICS if abs(float(getattr(scores, m)) - score.line.value(m)) >= DIFFERS]
    if not changed:
        return []
    told = ", ".join(f"{WORDS[metric]} {float(getattr(scores, metric)):.3f}" for metric in changed)
    return ["", *_wrapped(f"With --convention {name} ({CONVENTIONS[name]}): {told}.", "  ")]


def _traps(score: Score) -> list[str]:
    told = (_wrapped(f"Look out, {trap.name}: {trap.sentence}", "  ") for trap in score.traps)
    return [line for lines in told for line in ("", *lines)]


def with_interval(value: float, interval: Interval | None) -> str:
    """Three decimals, and the interval where there is one."""
    if np.isnan(value):
        return "-"
    return f"{value:.3f}" + (f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else "")


def _share(part: int, whole: int) -> str:
    """Percent; what is there and rounds to nothing is told from what is not there."""
    percent = 100 * part / whole
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def _plain(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _wrapped(text: str, head: str) -> list[str]:
    """The text after `head`, further lines set in as far."""
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
