"""Two class maps per image go in; how well they agree comes out, with intervals. Only numpy: no files, no networks.

    one ConfusionMatrix per image  ->  their sum      ->  segmentation_scores
                                   ->  stack of them  ->  bootstrap_scores, bootstrap_classes, paired_bootstrap
          stacks of several methods over the same images  ->  resample_scores  ->  paired_differences of any two
                  two numbers of each method or image  ->  agreement_of_draws, agreement_over_images

Matrices are kept, scores are not: another convention, another interval or another comparison is one more call.
"""

from cgeval.metrics.bootstrap import (
    ClassIntervals,
    Interval,
    PairedDifference,
    Resampled,
    bootstrap_classes,
    bootstrap_mean,
    bootstrap_scores,
    interval_name,
    paired_bootstrap,
    paired_differences,
    resample_means,
    resample_scores,
)
from cgeval.metrics.confusion import ConfusionMatrix, stack
from cgeval.metrics.permutation import Permutation, best_permutation
from cgeval.metrics.rank_agreement import (
    Coefficient,
    RankAgreement,
    agreement_of_draws,
    agreement_over_images,
    average_ranks,
    kendall_tau_b,
    order_by_chance,
    spearman_rho,
)
from cgeval.metrics.segmentation import CONVENTIONS, METRICS, WORDS, SegmentationScores, segmentation_scores

__all__ = [
    "CONVENTIONS",
    "METRICS",
    "WORDS",
    "ClassIntervals",
    "Coefficient",
    "ConfusionMatrix",
    "Interval",
    "PairedDifference",
    "Permutation",
    "RankAgreement",
    "Resampled",
    "SegmentationScores",
    "agreement_of_draws",
    "agreement_over_images",
    "average_ranks",
    "best_permutation",
    "bootstrap_classes",
    "bootstrap_mean",
    "bootstrap_scores",
    "interval_name",
    "kendall_tau_b",
    "order_by_chance",
    "paired_bootstrap",
    "paired_differences",
    "resample_means",
    "resample_scores",
    "segmentation_scores",
    "spearman_rho",
    "stack",
]
