"""Whether the statistics of a study keep what they promise, on simulated studies; beside what must not be reported.

    python -m benchmarks.coverage --json benchmarks/results/coverage.json            the tables of docs/statistics.md

Participants are beta-binomial with 40 trials each (`study_server.analysis.simulation`), and every study is put through
the code that a report uses. Of each cell:

- the share of nominal 95 % intervals that hold the true rate: Korn and Graubard's, which a report shows first; the
  clustered t interval; the participant bootstrap; GEE; and Wilson's over all trials as if they were independent. Where
  GEE says nothing (nobody was fooled), it counts as a miss;
- false positives at 5 %, two algorithms with the same rate: of the permutation test, and of the pooled z-test.

Then false positives of the test of equivalence, whose true rate lies on the margin; and how often the number of
participants that the planner names finds the difference it was named for.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cgeval.files import write_json_atomic
from cgeval.runs import now
from study_server.analysis.bootstraps import participant_bootstrap
from study_server.analysis.clusters import Counts
from study_server.analysis.gee import gee
from study_server.analysis.intervals import Interval, clustered, equivalence, korn_graubard, pooled_wilson
from study_server.analysis.planning import Design, participants_for_power
from study_server.analysis.simulation import holds, pooled_z_test, simulate_power, simulated

PARTICIPANTS, RATES, ICCS = (10, 25, 50), (0.05, 0.27, 0.5), (0.02, 0.15, 0.25)
STUDIES, SLOW_STUDIES, TESTED_STUDIES = 10_000, 1000, 2000  # of intervals; of bootstrap and GEE; of tests
RESAMPLES = 1000
ALPHA = 0.05
MARGINS = (0.05, 0.1)
PLANS = (  # rate, other, icc, pairs, power
    (0.2, 0.3, 0.15, 1, 0.8),
    (0.27, 0.37, 0.15, 1, 0.9),
    (0.1, 0.2, 0.15, 1, 0.8),
    (0.05, 0.15, 0.25, 1, 0.8),
    (0.5, 0.6, 0.02, 1, 0.8),
    (0.3, 0.6, 0.15, 1, 0.8),
    (0.2, 0.4, 0.25, 3, 0.8),
    (0.4, 0.5, 0.15, 6, 0.9),
)


@dataclass(frozen=True)
class Cell:
    """Shares of studies, as fractions."""

    participants: int
    rate: float
    icc: float
    korn_graubard: float
    clustered: float
    bootstrap: float
    gee: float
    wilson: float
    permutation_test: float
    z_test: float


@dataclass(frozen=True)
class Margin:
    """equivalent: share of studies that found it, of a rate that is just not."""

    participants: int
    margin: float
    icc: float
    equivalent: float


@dataclass(frozen=True)
class Planned:
    """participants: what the planner names; power: share of studies that found the difference."""

    rate: float
    other: float
    icc: float
    pairs: int
    wanted: float
    participants: int
    power: float


def cell(participants: int, rate: float, icc: float) -> Cell:
    """All of one."""
    design = Design(icc=icc)
    drawn = list(simulated(design, rate, participants, STUDIES, np.random.default_rng(0)))
    few = drawn[:SLOW_STUDIES]
    return Cell(
        participants,
        rate,
        icc,
        _covered((korn_graubard(counts) for counts in drawn), rate),
        _covered((_or_none(clustered(counts)) for counts in drawn), rate),
        _covered((participant_bootstrap(counts, RESAMPLES, i) for i, counts in enumerate(few)), rate),
        _covered((found.interval if (found := gee(counts)) else None for counts in few), rate),
        _covered((pooled_wilson(counts) for counts in drawn), rate),
        simulate_power(design, rate, rate, participants, TESTED_STUDIES, seed=1).value,
        _share(pooled_z_test(one, two) <= ALPHA for one, two in _by_two(drawn)),
    )


def margin(participants: int, margin: float, icc: float) -> Margin:
    """Of a true rate of 0.5 - margin."""
    drawn = simulated(Design(icc=icc), 0.5 - margin, participants, STUDIES, np.random.default_rng(2))
    tested = (equivalence(counts, margin) for counts in drawn)
    return Margin(participants, margin, icc, _share(found is not None and found.p_value <= ALPHA for found in tested))


def planned(rate: float, other: float, icc: float, pairs: int, power: float) -> Planned:
    """By the planner's number of participants."""
    design = Design(icc=icc, pairs=pairs)
    needed = participants_for_power(design, rate, other, power)
    found = simulate_power(design, rate, other, needed, TESTED_STUDIES, seed=3)
    return Planned(rate, other, icc, pairs, power, needed, found.value)


def _or_none(found: tuple[float, Interval] | None) -> Interval | None:
    return found[1] if found else None


def _covered(intervals: Iterable[Interval | None], rate: float) -> float:
    return _share(found is not None and holds(found, rate) for found in intervals)


def _share(hits: Iterable[bool]) -> float:
    return float(np.mean([bool(hit) for hit in hits]))


def _by_two(drawn: list[Counts]) -> Iterator[tuple[Counts, Counts]]:
    return zip(islice(drawn, 0, None, 2), islice(drawn, 1, None, 2), strict=True)


def measure(processes: int) -> tuple[list[Cell], list[Margin], list[Planned]]:
    """All tables."""
    with ProcessPoolExecutor(processes) as pool:
        cells = [pool.submit(cell, *case) for case in product(PARTICIPANTS, RATES, ICCS)]
        margins = [pool.submit(margin, *case) for case in product(PARTICIPANTS, MARGINS, ICCS)]
        plans = [pool.submit(planned, *case) for case in PLANS]
        with tqdm(total=len(cells) + len(margins) + len(plans), unit="cell", disable=None, leave=False) as bar:
            jobs: list[Future[Any]] = [*cells, *margins, *plans]
            for job in jobs:
                job.add_done_callback(lambda _: bar.update(1))
            found = [job.result() for job in cells], [job.result() for job in margins]
            return *found, [job.result() for job in plans]


def lines(cells: list[Cell], margins: list[Margin], plans: list[Planned]) -> Iterator[str]:
    """The tables as they stand in the document."""
    heads = "Korn-Graubard | clustered t | bootstrap | GEE | pooled Wilson | permutation test | pooled z"
    yield f"| n | rate | ICC | {heads} |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for each in cells:
        shares = (each.korn_graubard, each.clustered, each.bootstrap, each.gee, each.wilson)
        tests = (each.permutation_test, each.z_test)
        told = " | ".join(f"{100 * share:.1f}" for share in (*shares, *tests))
        yield f"| {each.participants} | {each.rate:g} | {each.icc:g} | {told} |"
    yield ""
    yield "| n | margin | ICC | called equivalent |"
    yield "|---|---|---|---|"
    for found in margins:
        yield f"| {found.participants} | {found.margin:g} | {found.icc:g} | {100 * found.equivalent:.1f} |"
    yield ""
    yield "| rates | ICC | pairs | wanted | participants | found |"
    yield "|---|---|---|---|---|---|"
    for plan in plans:
        case = f"{plan.rate:g} and {plan.other:g} | {plan.icc:g} | {plan.pairs} | {100 * plan.wanted:.0f}"
        yield f"| {case} | {plan.participants} | {100 * plan.power:.1f} |"


def main() -> None:
    """Print the tables; --json writes the figures with the hardware."""
    from benchmarks.train_step import hardware  # brings torch, which the tests of the tables do without

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    began = time.perf_counter()
    cells, margins, plans = measure(options.processes)
    print("\n".join(lines(cells, margins, plans)))
    seconds = time.perf_counter() - began
    print(f"{seconds:.0f} s on {hardware()}", file=sys.stderr)
    if options.json:
        about = {
            "measured_at": now(),
            "hardware": hardware(),
            "processes": options.processes,
            "seconds": round(seconds, 1),
            "studies": {"intervals": STUDIES, "bootstrap and GEE": SLOW_STUDIES, "tests": TESTED_STUDIES},
        }
        content = {
            "cells": [asdict(each) for each in cells],
            "margins": [asdict(each) for each in margins],
            "plans": [asdict(each) for each in plans],
        }
        write_json_atomic(options.json, about | content)


if __name__ == "__main__":
    main()
