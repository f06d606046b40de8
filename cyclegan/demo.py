"""A folder goes in; a generated dataset, a small trained CycleGAN and its translations come out there.

Each stage is skipped where its result is already whole, so a second call takes seconds and an interrupted one goes on.
"""

from collections.abc import Callable
from pathlib import Path

from cgeval.runs import Run
from cyclegan.config import load_config
from cyclegan.data.streets import write_streets
from cyclegan.session import Request, newest_step, train_run
from cyclegan.translate import load_generators, plan, translate_into_run

TRAIN_IMAGES, TEST_IMAGES, SIZE_PX = 200, 40, 128


def run_demo(folder: Path, say: Callable[[str], None]) -> bool:
    """Run the stages; False if training was stopped on the way (its state is saved)."""
    streets, run_path = folder / "streets", folder / "runs" / "streets"
    if not streets.exists():
        say(f"1/3  drawing {TRAIN_IMAGES + TEST_IMAGES} street scenes into {streets}")
        write_streets(streets, train=TRAIN_IMAGES, test=TEST_IMAGES, size_px=SIZE_PX, seed=0)
    config = load_config("demo", values={"data.path": str(streets.resolve())})
    say(f"2/3  training a small CycleGAN into {run_path} (two to three minutes on two cores)")
    started = (run_path / "run.json").exists()
    if not train_run(Request(config, run_path, resume=started)).finished:
        return False
    say("3/3  translating the test images")
    _translate_missing(run_path)
    return True


def _translate_missing(run_path: Path) -> None:
    run, generators = Run.open(run_path), load_generators(run_path)
    there = {image_set.name: image_set.checkpoint for image_set in run.image_sets()}
    for work in plan(run, generators, split="test", folder=None, direction=None, data=None):
        if there.get(work.set_name) != generators.checkpoint:
            translate_into_run(run, generators, work, overwrite=True)


def last_words(folder: Path) -> str:
    """Where to look and what to do next."""
    run_path = folder / "runs" / "streets"
    return "\n".join(
        [
            "",
            f"Done: a CycleGAN of {newest_step(run_path):,} steps. Look at",
            f"  {run_path / 'samples' / 'latest.png'}   labels -> photo and back, on test images",
            f"  {run_path / 'losses.png'}           the losses",
            f"  {run_path / 'images'}/             every test image, translated both ways and sealed",
            "On your own images (after `. .venv/bin/activate`, which finds the commands):",
            "  cyclegan data check DATA            a folder with trainA trainB testA testB",
            "  cyclegan train small RUN --data DATA",
            f"What a run holds: cgeval show {run_path}",
        ]
    )
