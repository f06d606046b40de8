"""Counts of a few people go in; judgements as a study has them come out."""

import numpy as np

from study_server.analysis.clusters import Counts
from study_server.analysis.judgements import Judgements, judgements_of


def counts(fooled, trials=40) -> Counts:
    """Of each participant: fooled so often in so many trials."""
    hits = np.array(fooled, float)
    return Counts(hits, np.broadcast_to(np.array(trials, float), hits.shape).copy())


def crowd(participants: int, rate: float, icc: float, seed: int, trials: int = 40) -> Counts:
    source, spread = np.random.default_rng(seed), 1 / icc - 1
    own = source.beta(rate * spread, (1 - rate) * spread, participants)
    return counts(source.binomial(trials, own), trials)


def judged(arms, trials: int = 8, practice: int = 2, catch_wrong=None, images: int = 12, seed: int = 0) -> Judgements:
    """arms: {name: [fooled of each participant]}; sides alternate, images go round, 700 ms each."""
    source = np.random.default_rng(seed)
    sessions, rows = [], []
    for arm, people in arms.items():
        for number, fooled in enumerate(people):
            name = f"{arm}-{number}"
            sessions.append((name, arm))
            hits = source.permutation(np.arange(trials) < fooled)
            for index in range(practice + trials):
                is_fooled = index >= practice and bool(hits[index - practice])
                side = "left" if index % 2 else "right"
                other = "right" if side == "left" else "left"
                rows.append(
                    {
                        "session": name,
                        "image": f"{arm}/{(index + number) % images}",
                        "index": index,
                        "phase": "practice" if index < practice else "scored",
                        "real_side": side,
                        "clicked": other if is_fooled else side,
                        "fooled": is_fooled,
                        "rt_ms": 700.0,
                        "shown_ms": 1000.0,
                    }
                )
            for wrong in [False] * 2 if catch_wrong is None else [i < catch_wrong.get(name, 0) for i in range(2)]:
                rows.append(rows[-1] | {"index": rows[-1]["index"] + 1, "phase": "catch", "fooled": wrong})
    return judgements_of(sessions, rows, tuple(arms))
