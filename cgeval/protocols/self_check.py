"""A scorer and a labelled dataset go in; what the scorer makes of the real photos comes out, beside what it should.

The original weights, given Cityscapes' real validation photos at 256 px, reach the row "Ground truth" of Isola et al.
(arXiv 1611.07004, table 1). Who cannot reach it has other weights, another truth or another way of resizing, and
should not believe any score before this one. A scorer of one's own is held against its own validation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tqdm import tqdm

from cgeval.errors import DataError
from cgeval.labelled import Labelled
from cgeval.metrics import METRICS
from cgeval.protocols.pictures_in import Item, RealPhoto, Size
from cgeval.protocols.planning import REAL_PHOTOS, Ruler
from cgeval.protocols.scoring import Line, Sampling, line_of
from cgeval.protocols.sharding import Machine, Networks, measure_by_network
from cgeval.scorers.store import ScorerFile, refuse_other_classes

PAPER: Mapping[str, float] = {"pixel_accuracy": 0.80, "class_accuracy": 0.26, "class_iou": 0.21}
PAPER_SIZE: Size = (256, 256)
ROUNDED = 0.0051  # the paper's table has two decimals
MEASURED_AGAIN = 0.002  # another processor's rounding moves single pixels


@dataclass(frozen=True)
class SelfCheck:
    """line: what was measured; expected: what it should be, by metric, {} where nothing is known; within: how near."""

    line: Line
    expected: Mapping[str, float]
    source: str
    within: float

    @property
    def passed(self) -> bool:
        """Whether every number that is known was reached, within rounding."""
        return all(abs(self.line.value(metric) - value) <= self.within for metric, value in self.expected.items())


def self_check(
    scorer: ScorerFile, labelled: Labelled, split: str | None, size_px: Size | None, machine: Machine
) -> SelfCheck:
    """Measure the real photos of a split, by default the one on which something is known of the scorer.

    size_px: what photos are squashed to first; None: 256 for the paper's weights, else as the scorer was validated, by
    their own size. Raises DataError or WeightsError in one sentence.
    """
    refuse_other_classes(scorer.info, labelled.labels)
    is_papers = scorer.info.kind == "fcn8s"
    known = scorer.info.validation
    split = split or ("test" if is_papers or known.get("split") not in labelled.splits else str(known["split"]))
    items = _items(labelled, split, size_px or (PAPER_SIZE if is_papers else None))
    ruler = Ruler(scorer, scorer.info.protocol, labelled.labels)
    with tqdm(total=len(items), desc=f"{split}, {REAL_PHOTOS}", unit="img", dynamic_ncols=True, leave=False) as bar:
        measured = measure_by_network(Networks(machine), ruler, items, bar.update)
    sampling = Sampling("reference" if is_papers else str(known.get("convention", "cityscapes")))
    line = line_of(REAL_PHOTOS, measured, sampling)
    if is_papers:
        return SelfCheck(line, PAPER, "Isola et al. 2017, table 1, ground truth", ROUNDED)
    trained_here = "train" in labelled.splits and scorer.info.trained_on.get("digest") == labelled.digest("train")
    same = trained_here and size_px is None and known.get("split") == split
    expected = {metric: float(known[metric]["value"]) for metric in METRICS if same and metric in known}
    return SelfCheck(line, expected, "its own validation when it was trained", MEASURED_AGAIN)


def _items(labelled: Labelled, split: str, size_px: Size | None) -> list[Item]:
    pairs = labelled.split(split).pairs()
    if not pairs:
        raise DataError(f"split {split!r} of {labelled.root} has no photo with a label map: name another --split.")
    return [Item(name, RealPhoto(photo, size_px), truth) for name, photo, truth in pairs]
