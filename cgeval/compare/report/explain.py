"""A comparison goes in; what its numbers mean comes out, in plain words with sources, and only what occurs in it."""

from collections.abc import Iterable
from dataclasses import dataclass

from cgeval.compare.comparison import Comparison


@dataclass(frozen=True)
class Source:
    """key: as terms cite it; arxiv: its number there, where it has one."""

    key: str
    short: str
    title: str
    arxiv: str = ""


@dataclass(frozen=True)
class Cited:
    """A source and the place in it."""

    source: Source
    place: str = ""


@dataclass(frozen=True)
class Term:
    """A word of the report and what it means; cited: where it is from."""

    word: str
    text: str
    cited: tuple[Cited, ...] = ()


ZHU = Source(
    "zhu",
    "Zhu et al. 2017",
    "J.-Y. Zhu, T. Park, P. Isola, A. A. Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial "
    "Networks. ICCV 2017",
    "1703.10593",
)
ISOLA = Source(
    "isola",
    "Isola et al. 2017",
    "P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros: Image-to-Image Translation with Conditional Adversarial Networks. CVPR "
    "2017",
    "1611.07004",
)
GATYS = Source(
    "gatys",
    "Gatys et al. 2015",
    "L. A. Gatys, A. S. Ecker, M. Bethge: A Neural Algorithm of Artistic Style",
    "1508.06576",
)
LONG = Source(
    "long",
    "Long et al. 2015",
    "J. Long, E. Shelhamer, T. Darrell: Fully Convolutional Networks for Semantic Segmentation. CVPR 2015",
    "1411.4038",
)
EFRON = Source(
    "efron", "Efron 1979", "B. Efron: Bootstrap Methods: Another Look at the Jackknife. Annals of Statistics 7 (1979)"
)
HOLM = Source(
    "holm",
    "Holm 1979",
    "S. Holm: A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 6 (1979)",
)
SPEARMAN = Source(
    "spearman",
    "Spearman 1904",
    "C. Spearman: The Proof and Measurement of Association between Two Things. American Journal of Psychology 15 "
    "(1904)",
)
KENDALL = Source(
    "kendall", "Kendall 1945", "M. G. Kendall: The Treatment of Ties in Ranking Problems. Biometrika 33 (1945)"
)
METHODS = {"cyclegan": ZHU, "pix2pix": ISOLA, "gatys": GATYS}

FCN = Term(
    "FCN score",
    "A segmentation network that was trained on real photos looks at each translated photo. The more it finds again of "
    "the label map from which the photo was made, the better.",
    (Cited(ISOLA, "section 4.1"), Cited(ZHU, "section 5.1")),
)
PROTOCOLS = {
    "fcn-score-paper": Term(
        "fcn-score-paper", "Each image is enlarged to the size of its label map, and the network looks at it there."
    ),
    "fcn-score-scorer-size": Term(
        "fcn-score-scorer-size",
        "Each image is brought to the size at which the network was trained, and what it sees to the size of the label "
        "map.",
    ),
    "label-score": Term(
        "label-score",
        "The other way round: each pixel of a translated label map counts as the class whose colour is nearest, and is "
        "held against the true map.",
        (Cited(ZHU, "section 5.1"),),
    ),
}
METRICS = {
    "pixel_accuracy": Term(
        "per-pixel accuracy", "The share of all pixels whose class is right. Large classes decide it.", (Cited(LONG),)
    ),
    "class_accuracy": Term(
        "per-class accuracy",
        "Of each class, the share of its pixels that is found; then the mean over classes, so that small ones count as "
        "much as large ones.",
        (Cited(LONG),),
    ),
    "class_iou": Term(
        "class IoU",
        "Of each class, the pixels that are both predicted and true, divided by those that are one or the other; then "
        "the mean over classes. What is wrongly predicted costs, too.",
        (Cited(LONG),),
    ),
    "fooling_rate": Term(
        "fooling rate",
        "The share of trials in which people took the translated image for the real one. At 50 % they cannot tell them "
        "apart.",
        (Cited(ZHU, "section 5.1"),),
    ),
    "reconstruction_l1": Term(
        "reconstruction error",
        "An image is translated there and back; the mean absolute difference to itself, with levels from 0 to 1. The "
        "lower, the better; it says nothing of what the translation in between looks like.",
        (Cited(ZHU, "section 3.2"),),
    ),
    "spearman_rho": Term(
        "Spearman's rho",
        "How far two numbers put things into one order: the correlation of the ranks. 1 is the same order, 0 none, -1 "
        "the reverse.",
        (Cited(SPEARMAN),),
    ),
    "kendall_tau_b": Term(
        "Kendall's tau-b",
        "The same by pairs: those that both numbers put into one order, less those that they do not, as a share, with "
        "a correction for ties.",
        (Cited(KENDALL),),
    ),
}
CEILING = Term(
    "the ceiling",
    "The same measurement of the real images, brought to the size of the translations. Only beside it does a score say "
    "how good a translation is.",
)
SANITY = Term(
    "rows that should be bad", "Images of other scenes and noise, measured alike. A method should be far above."
)
BEST = Term(
    "best",
    "Marked are the best of a column among the methods, and each method whose difference to it is not told from 0.",
)
BOOTSTRAP = Term(
    "[low, high]",
    "Where the number lies in 95 % of draws of the test images with replacement. It says how far the number would move "
    "with other images of the same kind, and not how far with another training.",
    (Cited(EFRON),),
)
DIFFERENCE = Term(
    "p, Holm",
    "p, two-sided: the same images are redrawn for both methods, and p is small where nearly all draws have the "
    "difference on the same side of 0. Holm: p adjusted for all differences of the table, which bounds the chance of "
    "even one wrong claim among them.",
    (Cited(EFRON), Cited(HOLM)),
)


def terms(comparison: Comparison) -> list[Term]:
    """Protocols, metrics, rows that are no methods, intervals and tests, as far as they occur."""
    groups = [group for table in comparison.tables for group in table.groups]
    protocols = dict.fromkeys(group.protocol for group in groups)
    found = [FCN] if any(name.startswith("fcn-score") for name in protocols) else []
    found += [PROTOCOLS[name] for name in protocols if name in PROTOCOLS]
    found += [term for name, term in METRICS.items() if any(name in group.metrics for group in groups)]
    return found + _of_rows(comparison)


def _of_rows(comparison: Comparison) -> list[Term]:
    rows = [row for table in comparison.tables for row in table.rows]
    cells = [cell for row in rows for cell in row.numbers.values()]
    kinds = {row.kind for row in rows}
    occurs = (
        (CEILING, "ceiling" in kinds),
        (SANITY, "sanity" in kinds),
        (BEST, any(cell.best for cell in cells)),
        (BOOTSTRAP, any(cell.interval and cell.interval.startswith("bootstrap over images") for cell in cells)),
        (DIFFERENCE, any(row.differences for row in rows)),
    )
    return [term for term, does in occurs if does]


def method_source(method: str) -> Source | None:
    """Where a method is from; ablations and variants are their method's."""
    return METHODS.get(method.partition(":")[0].lower())


def sources(comparison: Comparison, found: Iterable[Term]) -> list[Source]:
    """Each source once, those of the methods first."""
    of_methods = (method_source(subject.run.info.method) for subject in comparison.subjects)
    cited = (each.source for term in found for each in term.cited)
    return list(dict.fromkeys(source for source in (*of_methods, *cited) if source is not None))
