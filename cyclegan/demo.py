"""A folder goes in; a generated dataset, a small CycleGAN, its score and its comparison with baselines come out there.

Each stage is skipped where its result is already whole, so a second call takes seconds and an interrupted one goes on.
"""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from cgeval.compare.making.steps import INTERRUPTED, run_program
from cgeval.errors import RunError
from cgeval.labelled import open_labelled
from cgeval.protocols.fcn_score import fcn_score
from cgeval.protocols.figures import write_figures
from cgeval.protocols.planning import Choices
from cgeval.protocols.results import write_results
from cgeval.records import read_records
from cgeval.runs import Run
from cgeval.scorers.recipe import Recipe
from cgeval.scorers.training import train_scorer
from cgeval.scorers.training_state import BEGUN
from cyclegan.config import load_config
from cyclegan.data.streets import write_streets
from cyclegan.session import Request, newest_step, train_run
from cyclegan.translate import load_generators, plan, translate_into_run

TRAIN_IMAGES, TEST_IMAGES, SIZE_PX = 200, 40, 128
EXAMPLES = 4
RECONSTRUCTION = "reconstruction"
GATYS = ("--size", "64", "--batch-size", "8", "--set", "stages=[[0.5,10],[1.0,10]]")
SCORER = Recipe(
    encoder="tu-test_resnet",
    options={"decoder_segmentation_channels": 64},
    zoom=(1.0, 1.5),
    learning_rate=8e-3,
    epochs=8,
    validations=4,
)


def run_demo(folder: Path, say: Callable[[str], None]) -> bool:
    """Run the stages; False if training was stopped on the way (its state is saved)."""
    streets, run_path = folder / "streets", folder / "runs" / "streets"
    if not streets.exists():
        say(f"1/7  drawing {TRAIN_IMAGES + TEST_IMAGES} street scenes into {streets}")
        write_streets(streets, train=TRAIN_IMAGES, test=TEST_IMAGES, size_px=SIZE_PX, seed=0)
    config = load_config("demo", values={"data.path": str(streets.resolve())})
    say(f"2/7  training a small CycleGAN into {run_path} (two to three minutes on two cores)")
    started = (run_path / "run.json").exists()
    if not train_run(Request(config, run_path, resume=started)).finished:
        return False
    say("3/7  translating the test images")
    _translate_missing(run_path)
    scorer = folder / "scorers" / "streets"
    say(f"4/7  training a scorer on the real photos into {scorer} (about a minute)")
    if train_scorer(open_labelled(streets), scorer, SCORER, resume=(scorer / BEGUN).exists(), say=say) is None:
        return False
    say("5/7  scoring the translations against their label maps")
    _score_missing(run_path, streets, scorer)
    return _compare(folder, say)


def _score_missing(run_path: Path, streets: Path, scorer: Path) -> None:
    run = Run.open(run_path)
    seals = {record.index_sha256 for record in read_records(run_path) if record.protocol != RECONSTRUCTION}
    if all(image_set.index_sha256 in seals for image_set in run.image_sets()):
        return
    for score in fcn_score(run, Choices(dataset=streets, scorer=str(scorer))):
        write_results(score)
        write_figures(score, EXAMPLES)


def _compare(folder: Path, say: Callable[[str], None]) -> bool:
    """Type what a user would type: the Gatys baseline with a network that needs no download, then the comparison."""
    streets, runs, out = (str(folder / name) for name in ("streets", "runs", "comparison"))
    say("6/7  the Gatys baseline, by a random VGG-19 and in few steps (under a minute)")
    gatys = ("cgeval", "gatys", streets, f"{runs}/streets-gatys", "--weights", "random", "--styles", "0", *GATYS)
    if not _type(gatys):
        return False
    say("7/7  training pix2pix on the same pictures (about a minute each way), then comparing all")
    compare = ("cgeval", "compare", f"{runs}/streets", "--baselines", "gatys,pix2pix", "--yes", "--out", out)
    return _type(compare)


def _type(command: tuple[str, ...]) -> bool:
    """Run a command as if it had been typed; False if it was stopped, RunError if it failed, which it has said."""
    code = run_program(command, results=True)
    if code and code not in INTERRUPTED:
        raise RunError(f"`{shlex.join(command)}` ended with exit code {code}, and says above why.")
    return code == 0


def _translate_missing(run_path: Path) -> None:
    run, generators = Run.open(run_path), load_generators(run_path)
    there = {image_set.name: image_set.checkpoint for image_set in run.image_sets()}
    for work in plan(run, generators, split="test", folder=None, direction=None, data=None):
        if there.get(work.set_name) != generators.checkpoint:
            translate_into_run(run, generators, work, overwrite=True)


def last_words(folder: Path) -> str:
    """Where to look and what to do next."""
    run_path = folder / "runs" / "streets"
    places = {
        str(folder / "comparison" / "report.html"): "the comparison with its baselines, in a browser",
        str(run_path / "samples" / "latest.png"): "labels -> photo and back, on test images",
        str(run_path / "losses.png"): "the losses",
        f"{run_path / 'images'}/": "every test image, translated both ways and sealed",
        f"{run_path / 'records' / 'figures'}/": "what the scorer sees in them, beside the truth",
    }
    commands = {
        "cyclegan data check DATA": "a folder with trainA trainB testA testB",
        "cyclegan train small RUN --data DATA": "",
        "cgeval scorer train DATA scorers/NAME": "where DATA has label maps: once, then",
        "cgeval fcn-score RUN": "",
        "cgeval compare --baselines gatys,pix2pix": "in a folder that holds runs/",
        f"cgeval show {run_path}": "what a run holds",
    }
    head = f"Done: a CycleGAN of {newest_step(run_path):,} steps. Look at"
    next_head = "On your own images (after `. .venv/bin/activate`, which finds the commands):"
    return "\n".join(["", head, *_columns(places), next_head, *_columns(commands)])


def _columns(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"  {key.ljust(width)}  {value}".rstrip() for key, value in rows.items()]
