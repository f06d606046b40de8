"""The rules that a study declared before anybody took part, applied in their order; nobody goes for being fooled."""

from dataclasses import dataclass

import numpy as np

from study_server.analysis.judgements import CATCH, SCORED, Flags, Judgements


@dataclass(frozen=True)
class Rules:
    """As in study.toml's [exclusions], by the same names. Defaults exclude nobody."""

    catch_wrong: int | None = None
    fast_ms: float = 0
    fast_share: float = 1
    one_sided_share: float = 1
    invalid_share: float = 1

    def __bool__(self) -> bool:
        """Whether anybody could be excluded."""
        return any(sentence for _, sentence in self.sentences())

    def sentences(self) -> tuple[tuple[str, str], ...]:
        """Name and meaning of each rule in order; no meaning: not used."""
        return (
            (
                "catch trials",
                "" if self.catch_wrong is None else f"more than {_catch_trials(self.catch_wrong)} wrong",
            ),
            (
                "too fast",
                f"more than {self.fast_share:.0%} of answers under {self.fast_ms:g} ms"
                if self.fast_ms > 0 and self.fast_share < 1
                else "",
            ),
            (
                "one side",
                f"more than {self.one_sided_share:.0%} of answers on one side" if self.one_sided_share < 1 else "",
            ),
            (
                "exposures",
                f"more than {self.invalid_share:.0%} of exposures flagged" if self.invalid_share < 1 else "",
            ),
        )


def _catch_trials(number: int) -> str:
    return f"{number} catch trial{'' if number == 1 else 's'}"


@dataclass(frozen=True, eq=False)
class Excluded:
    """What one rule took out: bool [participants], of those whom no earlier rule had."""

    rule: str
    meaning: str
    participants: Flags


def apply(judgements: Judgements, rules: Rules) -> tuple[Flags, tuple[Excluded, ...]]:
    """Who stays, bool [participants], and whom each rule in use took out, in order.

    All rules are over scored trials with an answer, but for the first, which is over catch trials. Times that were not
    measured are not fast.
    """
    scored, catch = judgements.of_phase(SCORED), judgements.of_phase(CATCH)
    answers = np.maximum(scored.per_participant(), 1)
    left = scored.per_participant(scored.clicked_left) / answers
    found = (
        catch.per_participant(catch.fooled) > (np.inf if rules.catch_wrong is None else rules.catch_wrong),
        scored.per_participant(scored.rt_ms < rules.fast_ms) / answers > rules.fast_share,
        np.maximum(left, 1 - left) * (scored.per_participant() > 0) > rules.one_sided_share,
        scored.per_participant(scored.invalid) / answers > rules.invalid_share,
    )
    stays = np.ones(len(judgements.participants), bool)
    excluded = []
    for (rule, meaning), caught in zip(rules.sentences(), found, strict=True):
        if meaning:
            excluded.append(Excluded(rule, meaning, caught & stays))
            stays = stays & ~caught
    return stays, tuple(excluded)
