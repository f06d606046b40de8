"""What the documents say is so: links lead somewhere, commands can be typed, the written-out run is a run."""

import base64
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from cgeval import runs
from cgeval.datasets import FACTS
from cgeval.errors import SealError
from cgeval.images import read_rgb
from cgeval.labels import label_set
from cgeval.records import KINDS, current, read_records
from cgeval.runs import Run
from cyclegan.config import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_DIRECTORY = ROOT / "docs" / "run-directory.md"
PROGRAMS = ("cyclegan", "cgeval", "study-server")
COMMAND = re.compile(rf"(?:\$ )?(?:\w+=\S* )*(?:torchrun .*-m )?(?:\S+/bin/)?((?:{'|'.join(PROGRAMS)}) .*)")
SHELL_OPERATORS = {"|", "&&", ";", ">", "2>"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Links and pictures


def prose(document: Path) -> str:
    """The text without code, in which brackets are no links."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(document: Path) -> set[str]:
    """Names by which headings can be linked to, as forges make them."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_and_picture_leads_somewhere(document):
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            place = (document.parent / path) if path else document
            if not place.exists() or (anchor and anchor not in anchors(place)):
                dead.append(target)
    assert dead == []


# Commands


def code_in(document: Path) -> Iterator[str]:
    """Every line of a fenced block, and every piece of code in the text or in a block's remarks."""
    text = document.read_text(encoding="utf-8")
    for block in re.findall(r"^```(?:sh|bash|)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        yield from (line.strip() for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines())
    without_fences = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", without_fences))


def commands_in(document: Path) -> list[list[str]]:
    """The words of every command of ours; what stands two spaces further on is a remark."""
    found = []
    for line in filter(None, map(COMMAND.fullmatch, code_in(document))):
        words = shlex.split(re.split(r" {2,}|\s#\s", line[1])[0].replace("...", ""))
        words = words[: next((i for i, word in enumerate(words) if word in SHELL_OPERATORS), len(words))]
        found.append(words)
    return [words for words in found if len(words) > 1]


def program(name: str) -> click.Group:
    module = importlib.import_module({"study-server": "study_server.cli"}.get(name, f"{name}.cli"))
    groups = [value for value in vars(module).values() if isinstance(value, click.Group)]
    return groups[-1]


def parsed(words: list[str]) -> dict[str, object]:
    """What click understands of the command; it is parsed and not run. Raises a click.UsageError."""
    command: click.Command = program(words[0])
    context, rest = click.Context(command, info_name=words[0]), words[1:]
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        if not rest and isinstance(command, click.Group):
            return {}  # a group that is spoken of
    if len(words) == 2 and not rest:
        return {}  # a command that is spoken of, such as `cyclegan translate`
    return dict(command.make_context(words[0], rest, parent=context).params)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_can_be_typed(document):
    wrong = []
    for words in commands_in(document):
        try:
            parsed(words)
        except click.UsageError as error:
            wrong.append(f"{shlex.join(words)}: {error.format_message()}")
    assert wrong == []


def test_the_readme_names_a_command_of_each_program():
    assert {words[0] for words in commands_in(README)} == set(PROGRAMS)
    assert len(commands_in(README)) > 12


@pytest.mark.parametrize(
    "words",
    [
        ["cyclegan", "trian", "horse2zebra", "RUN"],
        ["cyclegan", "train", "horse2zebra", "RUN", "--epochs", "3"],
        ["cyclegan", "train", "horse2zebra"],
        ["cyclegan", "export", "RUN", "OUT", "--format", "pickle"],
        ["cgeval", "show", "RUN", "RUN"],
    ],
)
def test_a_command_that_cannot_be_typed_would_be_found(words):
    with pytest.raises(click.UsageError):
        parsed(words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_configuration_and_setting_that_is_named_exists(document):
    config = pytest.importorskip("cyclegan.config", reason="needs the extra `train`")
    for words in commands_in(document):
        if words[:2] == ["cyclegan", "train"] and len(words) > 2:
            source, changes = str(parsed(words)["config"]), parsed(words)["changes"]
            config.load_config("maps" if source.endswith(".toml") or source.isupper() else source, changes)
    for span in code_in(document):
        if span.startswith("--set ") and "=" in span and "key=" not in span.lower():
            config.load_config("maps", [span.removeprefix("--set ")])


# The layout


def test_the_rooms_of_the_house_are_modules_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [row for row in re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE) if "." in row]
    package, missing = "", []
    for name in (name for row in rooms for name in re.findall(r"`([\w.]+)`", row)):
        package = name.rpartition(".")[0] or package
        full = name if "." in name else f"{package}.{name}"
        if full.split(".")[0] in ("cgeval", "cyclegan", "study_server") and not importlib.util.find_spec(full):
            missing.append(full)
    assert len(rooms) > 10
    assert missing == []


# The run directory


def written_out() -> dict[str, bytes]:
    """The files of the example by their path: each stands in a block below its name."""
    text = RUN_DIRECTORY.read_text(encoding="utf-8")
    blocks = re.findall(r"^\*\*`(hello/[^`]+)`\*\*[^\n]*\n\n```(\w+)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return {name: base64.b64decode(body) if kind == "base64" else body.encode() for name, kind, body in blocks}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    for name, content in written_out().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path / "hello"


def test_the_example_is_a_run_that_can_be_opened_verified_and_scored(example):
    run = Run.open(example)
    (image_set,) = run.image_sets()
    image_set.verify()
    assert (run.info.run_id, image_set.name, image_set.count) == ("hello", "test_AtoB", 1)
    (row,) = image_set.rows
    assert read_rgb(image_set.path / row.file).tolist() == [[[220, 20, 60], [70, 130, 180]]]
    (entry,) = current(read_records(example))
    assert entry.record.index_sha256 == image_set.index_sha256
    assert entry.record.run_id == run.info.run_id


def test_the_example_would_not_pass_with_another_picture(example):
    (example / "images" / "test_AtoB" / "street" / "1.png").write_bytes(b"")
    with pytest.raises(SealError):
        Run.open(example).image_set("test_AtoB").verify()


def keys_below(heading: str) -> set[str]:
    """First column of the first table after these words."""
    text = RUN_DIRECTORY.read_text(encoding="utf-8")
    assert text.count(heading) == 1
    table = re.search(r"\| key \|.*?\n\n", text[text.index(heading) :], flags=re.DOTALL)
    assert table is not None
    return set(re.findall(r"^\| `(\w+)` \|", table[0], flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("\n## run.json\n", runs.RUN_KEYS.keys()),
        ("\n### index.jsonl\n", runs.ROW_KEYS.keys()),
        ("\n### set.json\n", runs.SET_KEYS.keys()),
        ("\n## records/&lt;protocol&gt;.jsonl\n", KINDS.keys() | {"schema"}),
    ],
)
def test_the_keys_that_are_described_are_those_that_are_checked(heading, keys):
    assert keys_below(heading) == set(keys)


def test_the_checkpoint_index_is_described_whole():
    state = pytest.importorskip("cyclegan.state", reason="needs the extra `train`")
    assert keys_below("Of each checkpoint:") == {field.name for field in fields(state.Saved)}
    assert keys_below("**checkpoints/index.json**") == state._index_to_json(state.Index()).keys()


def test_the_files_that_are_drawn_are_described():
    text = RUN_DIRECTORY.read_text(encoding="utf-8")
    drawing = re.search(r"^```\nruns/<name>/\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert drawing is not None
    for name in re.findall(r"^  (\S+)", drawing[1], flags=re.MULTILINE):
        last = name.rstrip("/").rpartition("/")[2].partition("<")[0].partition(".")[0]
        assert not last or last in text.replace(drawing[0], ""), name


# Settings, keys and figures


def test_every_setting_is_described():
    described = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    settings = dotted_names(TrainConfig().to_dict())
    assert [name for name in settings if f"`{name}`" not in described] == []


def dotted_names(settings: dict, prefix: str = "") -> list[str]:
    """Dotted names of all settings."""
    names: list[str] = []
    for key, value in settings.items():
        names += dotted_names(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def test_every_key_of_a_dataset_is_described_and_no_other():
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    section = page.split("## dataset.toml")[1].split("A label set of your own")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE) == list(FACTS)


def test_the_label_set_that_is_written_out_can_be_read(tmp_path):
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    (tmp_path / "kitchen.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    kitchen = label_set(tmp_path / "kitchen.toml")
    assert [(label.name, label.ignore) for label in kitchen.labels] == [("table", False), ("void", True)]


def test_the_figures_are_those_that_were_measured():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "benchmarks" / "results" / "train_step_cpu.json").read_text(encoding="utf-8"))
    for result in measured["results"]:
        faster, convolution = result["faster"], result["case"]["changes"][0].partition("=")[2]
        ratio = f"{faster['median']:.2f} [{faster['low']:.2f}, {faster['high']:.2f}]"
        row = f"| {result['case']['size_px']} | `{convolution}` | {ratio} | {result['losses_differ']:.1e} |"
        assert row in page


def test_the_costs_of_a_score_are_those_that_were_measured():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "benchmarks" / "results" / "fcn_score_cpu.json").read_text(encoding="utf-8"))
    for r in measured["matrix"]:
        ours, theirs, faster = 1000 * r["our_seconds"], 1000 * r["rival_seconds"], r["faster"]
        ratio = f"{faster['median']:.1f} [{faster['low']:.1f}, {faster['high']:.1f}]"
        assert f"| {r['maps']} | {r['rival']} | {ours:.1f} ms | {theirs:.1f} ms | {ratio} |" in page
    for step, ms in measured["image_ms"].items():
        assert f"| {step} | {ms:.1f} |" in page


def test_the_scores_are_those_that_were_measured():
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in ("docs/examples.md", "README.md")]
    measured = json.loads((ROOT / "benchmarks" / "results" / "fcn_score_camvid_cpu.json").read_text(encoding="utf-8"))
    told = {}
    for score in measured["scores"]:
        for row in score["rows"]:
            numbers = (row[metric] for metric in ("pixel_accuracy", "class_accuracy", "class_iou"))
            cells = (f"{n['value']:.3f} [{n['low']:.3f}, {n['high']:.3f}]" for n in numbers)
            told[f"{score['direction']} {row['name']}"] = " | ".join(cells)
    assert all(cells in pages[0] for cells in told.values())
    for name in ("real photos", "pix2pix", "cyclegan"):
        assert told[f"labels -> photo {name}"] in pages[1]
