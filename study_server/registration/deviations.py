"""A study as it was answered goes in, and how it is analysed; in what that is not as registered comes out."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import combinations
from typing import Any

import numpy as np

from cgeval.errors import RunError
from cgeval.files import sha256_file
from study_server.analysis.analysis import Choices
from study_server.analysis.exclusions import Rules
from study_server.judged import Judged
from study_server.manifest import CONFIG
from study_server.manifest import FILE as MANIFEST
from study_server.registration.document import SCHEMA, second, versions
from study_server.registration.freezing import FILE

NEEDED = frozenset({"created_at", "versions", "study", "manifest_sha256", "config_sha256", "target", "exclusions"}) | {
    *("primary", "contrasts", "equivalence", "analysis_seed", "resamples")
}


def registered_choices(judged: Judged) -> Choices | None:
    """What was declared, in a rehearsal's copy of the study that was rehearsed; None where nothing was.

    Raises RunError for a document that cannot be read.
    """
    content = _read(judged)
    if content is None:
        return None
    try:
        return Choices(
            rules=Rules(**content["exclusions"]["rules"]),
            margin=content["equivalence"]["margin"],
            pairs=tuple((one, other) for one, other in content["contrasts"]["pairs"]),
            level=content["primary"]["level"],
            seed=content["analysis_seed"],
            resamples=content["resamples"],
            permutations=content["contrasts"]["permutations"],
        )
    except (KeyError, TypeError, ValueError):
        raise _not_whole(judged) from None


def deviations(judged: Judged, choices: Choices) -> tuple[str, ...]:
    """A sentence for each; none where all is as registered, or nothing was registered, or it is a rehearsal."""
    if judged.manifest is not None and judged.manifest.is_simulated:
        return ()
    content = _read(judged)
    if content is None:
        gone = f"The pre-registration that was frozen (SHA-256 {judged.registration}) is not there any more."
        return (gone,) if judged.registration else ()
    return (*_document(judged), *_study(judged, content), *_answers(judged, content), *_analysis(choices, content))


def _read(judged: Judged) -> dict[str, Any] | None:
    path = judged.folder / FILE
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}): restore it from where it was registered.") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or not content.keys() >= NEEDED:
        raise _not_whole(judged)
    return content


def _not_whole(judged: Judged) -> RunError:
    return RunError(
        f"{judged.folder / FILE} is no whole pre-registration of schema {SCHEMA}: restore it from where it was "
        "registered."
    )


def _document(judged: Judged) -> Iterator[str]:
    found = hashlib.sha256((judged.folder / FILE).read_bytes()).hexdigest()
    if not judged.registration:
        yield "The study's database knows of no pre-registration: the document was put there afterwards."
    elif found != judged.registration:
        yield f"The pre-registration was changed: SHA-256 {found}, frozen as {judged.registration}."


def _study(judged: Judged, content: Mapping[str, Any]) -> Iterator[str]:
    for file, key in ((MANIFEST, "manifest_sha256"), (CONFIG, "config_sha256")):
        if sha256_file(judged.folder / file) != content[key]:
            yield f"{file} was changed after the registration."
    if content["study"] != judged.study_id:
        yield f"The registration is of another study, {content['study']}."
    newer = [
        f"{name} {number} (registered: {content['versions'].get(name, 'none')})"
        for name, number in versions().items()
        if content["versions"].get(name) != number
    ]
    if newer:
        yield f"Other versions compute the numbers: {', '.join(newer)}."


def _answers(judged: Judged, content: Mapping[str, Any]) -> Iterator[str]:
    if judged.first_at and judged.first_at < content["created_at"]:
        came, created = second(judged.first_at), second(content["created_at"])
        yield f"The first participant came at {came}, before the registration at {created}."
    arms = judged.judgements.arms
    done = np.bincount(judged.judgements.arm_of, minlength=len(arms))
    for arm, wanted in content["target"].items():
        count = int(done[arms.index(arm)]) if arm in arms else 0
        if count != wanted:
            than = "fewer" if count < wanted else "more"
            sessions = f"{count} finished session{'' if count == 1 else 's'}"
            yield f"{arm} has {sessions}, {than} than the {wanted} registered."
    if judged.looks:
        when = ", ".join(second(at) for at in judged.looks)
        yield f"Rates or answers were seen at {when}, before all arms were complete."


def _analysis(choices: Choices, content: Mapping[str, Any]) -> Iterator[str]:
    rules = content["exclusions"]["rules"]
    for field in fields(Rules):
        used, declared = getattr(choices.rules, field.name), rules.get(field.name)
        if used != declared:
            yield f"Exclusions: {field.name} is {used}, registered as {declared}."
    wanted = choices.pairs if choices.pairs is not None else combinations(content["target"], 2)
    pairs = [list(pair) for pair in wanted]
    found = {
        "The level of intervals": (choices.level, content["primary"]["level"]),
        "The margin of equivalence": (choices.margin, content["equivalence"]["margin"]),
        "The seed of the analysis": (choices.seed, content["analysis_seed"]),
        "The number of resamples": (choices.resamples, content["resamples"]),
        "The number of permutations": (choices.permutations, content["contrasts"]["permutations"]),
        "The list of contrasts": (pairs, content["contrasts"]["pairs"]),
    }
    for name, (used, declared) in found.items():
        if used != declared:
            yield f"{name} is {used}, registered as {declared}."
