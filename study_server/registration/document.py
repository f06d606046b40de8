"""A built study and the declared choices go in; what a pre-registration says comes out, as JSON and for people."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import combinations
from typing import Any

from cgeval.files import sha256_file
from study_server.analysis.analysis import Choices
from study_server.judged import Judged
from study_server.manifest import CONFIG, FILE, SIMULATED, Source

SCHEMA = 1
PACKAGES = ("cgeval", "numpy", "scipy")
COME_BY = {
    "open": "the study's address, a session a browser",
    "links": "signed personal links",
    "mturk": "Mechanical Turk",
    "prolific": "Prolific",
}
PRIMARY = "mean of participants' fooling rates, Korn-Graubard interval over participants"
TEST = "permutation test of participants' mean rates (two-sided, studentised), Holm over the contrasts"


def document(judged: Judged, choices: Choices, created_at: str) -> dict[str, Any]:
    """Everything that decides what the report will say, before there is anything to report. judged: a hosted study."""
    manifest, config = judged.manifest, judged.config
    if manifest is None or config is None:
        raise ValueError("an import has no manifest")
    pairs = choices.pairs if choices.pairs is not None else tuple(combinations(manifest.arms, 2))
    return {
        "schema": SCHEMA,
        "created_at": created_at,
        "versions": versions(),
        "study": judged.study_id,
        "manifest_sha256": sha256_file(judged.folder / FILE),
        "config_sha256": sha256_file(judged.folder / CONFIG),
        "protocol": {
            "preset": config.preset,
            "asked": config.asked,
            "layout": config.layout,
            "trials": config.trials.model_dump(),
            "exposure": config.exposure.model_dump(),
            "participants": config.participants.model_dump(),
            "entry": config.entry.platform,
            "seed": manifest.seed,
        },
        "images": {"real": _source(manifest.real), **{each.name: _source(each) for each in manifest.algorithms}},
        "pairs": {arm: len(manifest.pairs_of(arm)) for arm in manifest.arms},
        "target": dict.fromkeys(manifest.arms, config.participants.per_algorithm),
        "stopping": "an arm ends with its target of finished sessions; who is excluded afterwards is not replaced",
        "accepted": [each for each in manifest.warnings if each != SIMULATED],
        "exclusions": {"rules": vars(choices.rules), "in_order": _rules(choices)},
        "primary": {"estimator": PRIMARY, "level": choices.level},
        "contrasts": {
            "pairs": [list(pair) for pair in pairs],
            "test": TEST,
            "permutations": choices.permutations,
        },
        "equivalence": _equivalence(choices),
        "analysis_seed": choices.seed,
        "resamples": choices.resamples,
    }


def versions() -> dict[str, str]:
    """Of Python and of what computes the numbers."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def second(at: str) -> str:
    """A time of the database or of a document, without fractions of a second."""
    return f"{at[:19]}Z" if at[19:20] == "." else at


def as_markdown(content: Mapping[str, Any], digest: str) -> str:
    """For people, and for a registry. digest: SHA-256 of the JSON file, by which the document can be held to it."""
    protocol, trials = content["protocol"], content["protocol"]["trials"]
    exposure = protocol["exposure"]
    lines = [
        "# Pre-registration of a real-vs-fake study",
        "",
        f"Frozen on {second(content['created_at'])}, before anybody took part. Study `{content['study']}`; SHA-256 of "
        f"`preregistration.json`: `{digest}`.",
        "",
        "## Question",
        "",
        "How often do people take images of each algorithm for real (the fooling rate), and which algorithms differ?",
        "",
        "## Protocol",
        "",
        f"- Preset `{protocol['preset']}`: the participant clicks the image thought to be **{protocol['asked']}**; "
        f"images are shown {protocol['layout'].replace('simultaneous', 'at once').replace('sequential', 'in turn')}, "
        f"{exposure['shown_ms']} ms each, at {exposure['size_px']} px. Time to answer is not limited.",
        f"- A session has {trials['practice']} practice trials with feedback, {trials['scored']} scored ones and "
        f"{trials['catch']} catch trial{'' if trials['catch'] == 1 else 's'}; one algorithm a session, one session a "
        "participant.",
        f"- Pairs are {'of one input' if trials['paired'] else 'unpaired'}, drawn without replacement; the real image "
        f"is left as often as right. Seed {protocol['seed']}.",
        f"- Participants come by {COME_BY[protocol['entry']]}. Small screens: {protocol['participants']['phones']}.",
        "",
        "## Images",
        "",
        "| side | images | pairs | digest (SHA-256) |",
        "|---|---:|---:|---|",
        *[
            f"| {name} | {source['images']} | {content['pairs'].get(name, '')} | `{source['digest']}` |"
            for name, source in content["images"].items()
        ],
        "",
        *_accepted(content["accepted"]),
        "## How many, and when it stops",
        "",
        *[f"- {arm}: {count} finished sessions." for arm, count in content["target"].items()],
        f"- {content['stopping'][0].upper()}{content['stopping'][1:]}.",
        "- Rates are not looked at before; whoever looks is written down.",
        "",
        "## Exclusions, in this order",
        "",
        *_numbered(content["exclusions"]["in_order"], "Nobody is excluded."),
        "",
        "Nobody is excluded for being fooled. A trial without an answer is missing, which is no answer.",
        "",
        "## Analysis",
        "",
        f"- Primary: {content['primary']['estimator']}, {100 * content['primary']['level']:g} %.",
        f"- Contrasts: {', '.join(' against '.join(pair) for pair in content['contrasts']['pairs']) or 'none'}; "
        f"{content['contrasts']['test']}; {content['contrasts']['permutations']:,} deals.",
        f"- Equivalence: {content['equivalence']['sentence']}.",
        f"- Seed {content['analysis_seed']}, {content['resamples']:,} resamples of each bootstrap.",
        "",
        "## Made with",
        "",
        ", ".join(f"{name} {number}" for name, number in content["versions"].items())
        + f". `manifest.json` `{content['manifest_sha256']}`, `study.toml` `{content['config_sha256']}`.",
    ]
    return "\n".join(lines) + "\n"


def as_bytes(content: Mapping[str, Any]) -> bytes:
    """As it stands in the file, of which the digest is."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _source(source: Source) -> dict[str, Any]:
    return {"images": source.images, "digest": source.digest, "run": source.run_id, "image_set": source.image_set}


def _rules(choices: Choices) -> list[str]:
    return [f"{rule}: {meaning}" for rule, meaning in choices.rules.sentences() if meaning]


def _accepted(warnings: Sequence[str]) -> list[str]:
    """What might give the answer away, and was known."""
    told = [f"- {each}" for each in warnings]
    return ["Known when the study was built, and accepted:", "", *told, ""] if told else []


def _equivalence(choices: Choices) -> dict[str, Any]:
    if choices.margin is None:
        return {"margin": None, "sentence": "not tested"}
    margin = f"{100 * choices.margin:g} points"
    sentence = f"two one-sided tests (TOST) over participants that a rate lies within {margin} of 50 %"
    return {"margin": choices.margin, "sentence": sentence}


def _numbered(sentences: Sequence[str], nothing: str) -> list[str]:
    return [f"{i}. {sentence[0].upper()}{sentence[1:]}." for i, sentence in enumerate(sentences, 1)] or [nothing]
