"""A manifest, an arm and a seed go in; a session's trials come out.

Pairs are drawn without replacement, so what is practised on is never scored. The real image stands left in exactly
half of the scored trials; everything is shuffled. Catch trials lie among the scored ones, never first.
"""

import random
from dataclasses import dataclass

from study_server.config import StudyConfig
from study_server.manifest import SIDES, Manifest, Pair, Side


@dataclass(frozen=True)
class Drawn:
    """One trial: its phase, pair, and where the real image is."""

    phase: str
    pair: Pair
    real_side: Side


def draw(manifest: Manifest, config: StudyConfig, arm: str, seed: int) -> list[Drawn]:
    """In the order in which they are asked; the same for the same seed."""
    source = random.Random(seed)
    counts = config.trials
    pairs = source.sample(manifest.pairs_of(arm), counts.practice + counts.scored)
    practice = _trials("practice", pairs[: counts.practice], source)
    scored = _trials("scored", pairs[counts.practice :], source)
    for caught in _trials("catch", source.sample(manifest.pairs_of(arm, "catch"), counts.catch), source):
        scored.insert(source.randint(1, len(scored)), caught)
    return practice + scored


def _trials(phase: str, pairs: list[Pair], source: random.Random) -> list[Drawn]:
    """With sides as even as their number allows, shuffled."""
    first = source.randrange(2)
    sides = [SIDES[(first + i) % 2] for i in range(len(pairs))]
    source.shuffle(sides)
    return [Drawn(phase, pair, side) for pair, side in zip(pairs, sides, strict=True)]
