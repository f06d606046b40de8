"""Judgements and the declared choices go in; everything that a report shows comes out, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from study_server.analysis.bootstraps import RESAMPLES, amt_standard_deviation, participant_bootstrap
from study_server.analysis.closer import Closer, look_closer
from study_server.analysis.clusters import Counts, counts_of, intraclass_correlation
from study_server.analysis.contrasts import PERMUTATIONS, Contrast, contrasts
from study_server.analysis.exclusions import Excluded, Rules, apply
from study_server.analysis.gee import Gee, gee
from study_server.analysis.intervals import (
    LEVEL,
    Equivalence,
    Interval,
    clustered,
    effective_trials,
    equivalence,
    korn_graubard,
)
from study_server.analysis.judgements import SCORED, Judgements
from study_server.analysis.twoway import TwoWay, two_way


@dataclass(frozen=True)
class Choices:
    """What is to be declared before the data are seen.

    margin: of equivalence to 50 %, None for no such test; pairs: of arms to compare, None for all.
    """

    rules: Rules = field(default_factory=Rules)
    margin: float | None = None
    pairs: tuple[tuple[str, str], ...] | None = None
    level: float = LEVEL
    seed: int = 0
    resamples: int = RESAMPLES
    permutations: int = PERMUTATIONS


@dataclass(frozen=True, eq=False)
class Estimate:
    """One arm's fooling rate over its participants, with all that is said of it.

    interval: Korn and Graubard's, the headline; effective: trials it stands on; error, clustered: the clustered
    standard error and its t interval; amt: the plus-minus of printed tables; bootstrap: percentile, over participants;
    icc and design_effect of this arm; checks: gee, two_way; equivalence: where a margin was declared. None: not known.
    """

    counts: Counts
    rate: float
    interval: Interval
    effective: float
    error: float | None
    clustered: Interval | None
    amt: float
    bootstrap: Interval | None
    icc: float | None
    design_effect: float | None
    gee: Gee | None
    two_way: TwoWay | None
    equivalence: Equivalence | None
    closer: Closer


@dataclass(frozen=True, eq=False)
class Arm:
    """finished: participants who came to their end; excluded: by rule; without: kept, but without a scored answer.

    estimate: over the others; None where nobody is left.
    """

    name: str
    finished: int
    excluded: Mapping[str, int]
    without: int
    estimate: Estimate | None


@dataclass(frozen=True, eq=False)
class Analysis:
    """arms: in the study's order; contrasts: of arms with an estimate; icc: pooled over arms."""

    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]
    excluded: tuple[Excluded, ...]
    icc: float | None
    choices: Choices

    @property
    def estimates(self) -> dict[str, Estimate]:
        """By arm, where there is one."""
        return {arm.name: arm.estimate for arm in self.arms if arm.estimate is not None}


def analyse(judgements: Judgements, choices: Choices) -> Analysis:
    """Exclude by the rules, then estimate each arm and compare all pairs. A million trials take seconds."""
    stays, excluded = apply(judgements, choices.rules)
    kept = judgements.of_participants(stays)
    answers = kept.of_phase(SCORED).per_participant() > 0
    by_arm = {
        name: kept.of_arm(name) for code, name in enumerate(kept.arms) if bool((answers & (kept.arm_of == code)).any())
    }
    counts = {name: counts_of(trials) for name, trials in by_arm.items()}
    icc = intraclass_correlation(counts.values())
    arms = tuple(
        Arm(
            name,
            int((kept.arm_of == code).sum()),
            {each.rule: int((each.participants & (kept.arm_of == code)).sum()) for each in excluded},
            int((stays & ~answers & (kept.arm_of == code)).sum()),
            estimate(by_arm[name], counts[name], icc, choices) if name in counts else None,
        )
        for code, name in enumerate(kept.arms)
    )
    compared = contrasts(
        counts, choices.pairs, icc, permutations=choices.permutations, seed=choices.seed, level=choices.level
    )
    return Analysis(arms, compared, excluded, icc, choices)


def estimate(trials: Judgements, counts: Counts, icc: float | None, choices: Choices) -> Estimate:
    """Of one arm's trials; icc: pooled over arms, for where this one cannot tell."""
    around = clustered(counts, choices.level)
    return Estimate(
        counts=counts,
        rate=counts.rate,
        interval=korn_graubard(counts, icc, choices.level),
        effective=effective_trials(counts, icc, choices.level),
        error=around[0] if around else None,
        clustered=around[1] if around else None,
        amt=amt_standard_deviation(counts, choices.resamples, choices.seed),
        bootstrap=participant_bootstrap(counts, choices.resamples, choices.seed, choices.level),
        icc=intraclass_correlation([counts]),
        design_effect=None if np.isnan(counts.design_effect) else counts.design_effect,
        gee=gee(counts, choices.level),
        two_way=two_way(trials),
        equivalence=equivalence(counts, choices.margin, icc) if choices.margin is not None else None,
        closer=look_closer(trials, choices.level),
    )
