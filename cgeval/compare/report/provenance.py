"""A comparison goes in; how each of its numbers was made comes out: commands, versions, seeds, digests and times.

A command is what a user types to make the same again, written from the run's and the record's own facts; where these do
not tell one, there is none.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cgeval.compare.comparison import Comparison, Number, Row, Subject, Table
from cgeval.compare.renderers.wording import columns, metric_words, number_words, one_line
from cgeval.compare.report.explain import Source, method_source
from cgeval.compare.settings import flat_settings
from cgeval.metrics.bootstrap import RESAMPLES
from cgeval.records import Record
from cgeval.runs import ImageSet, Run, direction_words

SHORT = {"AtoB": "ab", "BtoA": "ba"}
USUAL_SPLIT, USUAL_CONVENTION, USUAL_SEED = "test", "cityscapes", 0
SHUFFLED = ("shuffled photos", "shuffled labels", "noise")  # what --sanity adds
MOST_LETTERS = 300  # of a setting
AGAIN = "-again"  # what a run's folder is called that is made once more

Words = tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """title: what it does; text: to be pasted into a shell."""

    title: str
    text: str


@dataclass(frozen=True)
class Fact:
    """is_code: the text is a name, a digest or a path, and stands in a fixed width."""

    heading: str
    text: str
    is_code: bool = False


@dataclass(frozen=True)
class Batch:
    """Numbers that were measured together. values: metric and number, as they stand in the table."""

    title: str
    values: tuple[tuple[str, str], ...]
    command: Command | None
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Made:
    """All that is known of how a subject's images and numbers came to be. settings: of the producer, key by key."""

    label: str
    method: str
    source: Source | None
    facts: tuple[Fact, ...]
    commands: tuple[Command, ...]
    batches: tuple[Batch, ...]
    settings: tuple[tuple[str, str], ...]


def how_it_was_made(comparison: Comparison) -> list[Made]:
    """One entry for each run of each subject, in their order; where a subject has two, with the direction in words."""
    return [
        _made(comparison, part, _label(subject, part)) for subject in comparison.subjects for part in subject.by_run()
    ]


def _made(comparison: Comparison, subject: Subject, label: str) -> Made:
    run = subject.run
    return Made(
        label=one_line(label),
        method=run.info.method,
        source=method_source(run.info.method),
        facts=tuple(_run_facts(subject)),
        commands=tuple(_run_commands(comparison, subject)),
        batches=tuple(_batches(comparison, subject)),
        settings=tuple(_flat(run.info.settings)),
    )


def _label(subject: Subject, part: Subject) -> str:
    """With the direction of the part where another run has the other."""
    ways = [direction_words(part.run.info.dataset, way) for way in part.sets] if subject.elsewhere else []
    return ", ".join([subject.label, *(words.replace(" -> ", " → ") for words in ways)])


def _run_facts(subject: Subject) -> list[Fact]:
    info = subject.run.info
    seed, digest = info.settings.get("seed"), info.dataset.get("training_digest")
    facts = [
        Fact("run", str(subject.run.path), is_code=True),
        Fact("made by", f"{_program(info.producer)}, {_time(info.created_at)}"),
        Fact("seed", "" if seed is None else str(seed)),
        Fact("trained on", "" if digest is None else str(digest), is_code=True),
    ]
    return [fact for fact in facts if fact.text] + [_of_set(each) for each in subject.sets.values()]


def _of_set(image_set: ImageSet) -> Fact:
    by = f" by {image_set.checkpoint}" if image_set.checkpoint else ""
    style = image_set.extra.get("style")
    like = f" in the style {style.get('name')} ({style.get('digest')})" if isinstance(style, Mapping) else ""
    text = f"{image_set.count} images{by}{like}, sealed {_time(image_set.created_at)}, {image_set.index_sha256}"
    return Fact(image_set.name, one_line(text))


def _run_commands(comparison: Comparison, subject: Subject) -> list[Command]:
    run, producer = subject.run, subject.run.info.producer.get("name")
    if producer == "cgeval adopt":
        return [Command("bring the results in", shlex.join(_adopt(run, subject)))]
    if run.info.method.partition(":")[0] == "gatys":
        return [Command("stylise", shlex.join(_gatys(comparison, subject)))]
    if producer == "cyclegan" and (run.path / "config.toml").is_file():
        return _trained(comparison, run)
    return []


def _trained(comparison: Comparison, run: Run) -> list[Command]:
    """Into another folder: this one holds a run, which no training replaces. Imported weights were not trained here."""
    if "imported_weights" in run.info.producer:
        return []
    again = f"{run.path}{AGAIN}"
    train = ("cyclegan", "train", str(run.path / "config.toml"), again, *_data(comparison, run))
    translate = ("cyclegan", "translate", again, *_split(comparison.split))
    return [Command("train", shlex.join(train)), Command("translate", shlex.join(translate))]


def _data(comparison: Comparison, run: Run) -> Words:
    """Where its dataset is, as far as the run knows; the second folder, too, where it was trained from two."""
    own = run.info.settings.get("data")
    places = own if isinstance(own, Mapping) else {}
    if _has_moved(comparison):
        return ("--data", str(comparison.dataset_path))
    one, other = places.get("path") or run.info.dataset.get("path"), places.get("path_b")
    return (*(("--data", str(one)) if one else ()), *(("--data-b", str(other)) if one and other else ()))


def _adopt(run: Run, subject: Subject) -> Words:
    source, data = run.info.settings.get("source", "RESULTS"), run.info.dataset.get("path")
    dataset = ("--dataset", str(data)) if data else ()
    ways = [SHORT[way] for way in subject.sets]
    direction = ("--direction", ways[0]) if len(ways) == 1 else ()
    return ("cgeval", "adopt", str(source), str(run.path), "--method", run.info.method, *direction, *dataset)


def _gatys(comparison: Comparison, subject: Subject) -> Words:
    """As `cgeval gatys` was called. STYLE stands for the file of a single style, which a run does not remember."""
    image_set, settings = next(iter(subject.sets.values())), subject.run.info.settings
    content = str(image_set.extra.get("source") or comparison.dataset.get("path") or "CONTENT")
    size, preset, weights = image_set.extra.get("size_px"), settings.get("preset"), settings.get("weights")
    changed = [key for key in settings.get("changed") or () if key != "weights" and key in settings]
    return (
        *("cgeval", "gatys", content, str(subject.run.path), "--direction", SHORT[image_set.direction]),
        *(("--size", str(size)) if size else ()),
        *(("--preset", str(preset)) if preset else ()),
        *(("--weights", str(weights)) if weights else ()),
        *(word for key in changed for word in ("--set", f"{key}={_toml(settings[key])}")),
        *(() if _has_own_styles(subject.run) else ("--style", "STYLE")),
        *_split(comparison.split),
    )


def _has_own_styles(run: Run) -> bool:
    """Whether its styles are a dataset's own: the average of the whole collection is one of them."""
    return any(image_set.extra.get("variant") == "collection" for image_set in run.image_sets())


def _toml(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _batches(comparison: Comparison, subject: Subject) -> list[Batch]:
    return [
        _batch(comparison, subject, table, place, row)
        for table in comparison.tables
        for row in table.rows
        if row.label == subject.label and row.kind != "published"
        for place, group in enumerate(table.groups)
        if group.direction in subject.sets
        and any(key[0] == place and number.record for key, number in row.numbers.items())
    ]


def _batch(comparison: Comparison, subject: Subject, table: Table, place: int, row: Row) -> Batch:
    """The row's numbers in one group, with the newest of their records; those of a score are of one moment."""
    numbers = [(column, row.numbers[column.key]) for column in columns(table, place) if column.key in row.numbers]
    records = [number.record for _, number in numbers if number.record]
    record = max(records, key=lambda each: each.created_at)
    words = [(column, number_words(number, column)) for column, number in numbers]
    values = tuple((metric_words(column.metric), f"{each.value} {each.interval}".strip()) for column, each in words)
    made_by = _record_command(comparison, subject, record)
    command = Command("measure", shlex.join(made_by)) if made_by else None
    return Batch(one_line(table.groups[place].title), values, command, tuple(_facts(record, [n for _, n in numbers])))


def _record_command(comparison: Comparison, subject: Subject, record: Record) -> Words:
    """None is known of a study's numbers: people made them."""
    path, split = str(subject.run.path), _split(comparison.split)
    if record.protocol == "reconstruction":
        return ("cyclegan", "reconstruct", path, *split)
    if record.protocol.startswith("fcn-score-") or record.protocol == "label-score":
        way = next((way for way, each in subject.sets.items() if each.name == record.image_set), None)
        direction = ("--direction", SHORT[way]) if way else ()
        return ("cgeval", "fcn-score", path, *direction, *_ruler(record), *_choices(comparison, record), *split)
    return ()


def _ruler(record: Record) -> Words:
    """By which scorer and protocol, or by which reading of colours."""
    said = record.convention
    if record.protocol.startswith("fcn-score-"):
        protocol = ("--protocol", record.protocol.removeprefix("fcn-score-"))
        return ("--scorer", str(said.get("scorer", "?")), *protocol)
    options = {"distance": "L2", "colours": "scored", "classified at": "output size"}
    names = {"distance": "--distance", "colours": "--palette", "classified at": "--classified-at"}
    return tuple(
        word
        for key, usual in options.items()
        if (value := str(said.get(key, usual))) != usual
        for word in (names[key], value.removesuffix(" size"))
    )


def _choices(comparison: Comparison, record: Record) -> list[str]:
    extra, convention = record.extra, str(record.convention.get("absent class", USUAL_CONVENTION))
    seed, resamples = extra.get("seed", USUAL_SEED), extra.get("resamples", RESAMPLES)
    beside = extra.get("beside", {})
    return [
        "--convention",
        convention,
        *(["--seed", str(seed)] if seed != USUAL_SEED else []),
        *(["--resamples", str(resamples)] if resamples != RESAMPLES else []),
        *(["--sanity"] if any(name in beside for name in SHUFFLED) else []),
        *(["--dataset", str(comparison.dataset_path)] if _has_moved(comparison) else []),
    ]


def _has_moved(comparison: Comparison) -> bool:
    return comparison.dataset_path is not None and str(comparison.dataset_path) != str(comparison.dataset.get("path"))


def _split(split: str) -> Words:
    return ("--split", split) if split != USUAL_SPLIT else ()


def _facts(record: Record, numbers: Sequence[Number]) -> list[Fact]:
    extra, said = record.extra, record.convention
    facts = [
        Fact("protocol", record.protocol, is_code=True),
        Fact("over", f"n = {numbers[0].n}, {record.image_set}"),
        Fact("interval", record.interval or "none"),
        Fact("seed", f"{extra['seed']}" if "seed" in extra else ""),
        Fact("choices", "; ".join(f"{key}: {value}" for key, value in said.items() if not key.startswith("scorer"))),
        Fact("scorer", f"{said['scorer']}, {said.get('scorer_sha256', '')}" if "scorer" in said else ""),
        Fact("its own validation", _validation(extra.get("scorer_validation"))),
        Fact("traps", ", ".join(map(str, extra.get("traps") or ()))),
        Fact("measured by", f"{record.producer}, {_time(record.created_at)}"),
        Fact("matrices", str(extra.get("matrices") or ""), is_code=True),
        Fact("images' seal", record.index_sha256, is_code=True),
    ]
    return [Fact(fact.heading, one_line(fact.text), fact.is_code) for fact in facts if fact.text]


def _validation(found: Any) -> str:
    """Such as "per-pixel accuracy 0.882, class IoU 0.589 on 101 images of val"."""
    if not isinstance(found, Mapping):
        return ""
    numbers = [
        f"{metric_words(metric)} {each['value']:.3f}"
        for metric, each in found.items()
        if isinstance(each, Mapping) and isinstance(each.get("value"), float)
    ]
    over = f" on {found['n']} images" if "n" in found else ""
    split = f" of {found['split']}" if "split" in found else ""
    return ", ".join(numbers) + over + split if numbers else ""


def _program(producer: Mapping[str, Any]) -> str:
    return " ".join(str(producer[key]) for key in ("name", "version") if key in producer) or "an unknown program"


def _time(text: str) -> str:
    """2025-01-31T12:00:00Z as 2025-01-31 12:00 UTC."""
    return f"{text[:10]} {text[11:16]} UTC" if len(text) == 20 and text.endswith("Z") else text


def _flat(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By dotted key."""
    texts = {key: one_line(str(value)) for key, value in flat_settings(settings).items()}
    return [(key, text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]} …") for key, text in texts.items()]
