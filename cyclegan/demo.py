"""A folder goes in; a generated dataset, a small trained CycleGAN, its translations and their score come out there.

Each stage is skipped where its result is already whole, so a second call takes seconds and an interrupted one goes on.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from cgeval.labelled import open_labelled
from cgeval.protocols.fcn_score import fcn_score
from cgeval.protocols.figures import write_figures
from cgeval.protocols.planning import Choices
from cgeval.protocols.results import write_results
from cgeval.protocols.telling import score_lines
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
        say(f"1/5  drawing {TRAIN_IMAGES + TEST_IMAGES} street scenes into {streets}")
        write_streets(streets, train=TRAIN_IMAGES, test=TEST_IMAGES, size_px=SIZE_PX, seed=0)
    config = load_config("demo", values={"data.path": str(streets.resolve())})
    say(f"2/5  training a small CycleGAN into {run_path} (two to three minutes on two cores)")
    started = (run_path / "run.json").exists()
    if not train_run(Request(config, run_path, resume=started)).finished:
        return False
    say("3/5  translating the test images")
    _translate_missing(run_path)
    scorer = folder / "scorers" / "streets"
    say(f"4/5  training a scorer on the real photos into {scorer} (about a minute)")
    if train_scorer(open_labelled(streets), scorer, SCORER, resume=(scorer / BEGUN).exists(), say=say) is None:
        return False
    say("5/5  scoring the translations against their label maps")
    return True


def score_demo(folder: Path) -> str:
    """Score the demonstration's run, keep what was measured, and return the tables."""
    streets, run_path, scorer = folder / "streets", folder / "runs" / "streets", folder / "scorers" / "streets"
    scores = fcn_score(Run.open(run_path), Choices(dataset=streets, scorer=str(scorer)))
    for score in scores:
        write_results(score)
        write_figures(score, EXAMPLES)
    return "\n\n".join("\n".join(score_lines(score)) for score in scores)


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
        f"cgeval show {run_path}": "what a run holds",
    }
    head = f"Done: a CycleGAN of {newest_step(run_path):,} steps. Look at"
    next_head = "On your own images (after `. .venv/bin/activate`, which finds the commands):"
    return "\n".join(["", head, *_columns(places), next_head, *_columns(commands)])


def _columns(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"  {key.ljust(width)}  {value}".rstrip() for key, value in rows.items()]
