"""`cgeval compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cgeval.cli.comparing import compared, refuse_foreign, say, shared, show, typed, view_of

if TYPE_CHECKING:
    from cgeval.runs import Run

RUNS = Path("runs")


@click.command()
@click.argument("run_paths", metavar="[RUN]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--baselines",
    metavar="NAMES",
    help="gatys,pix2pix: their runs are taken, or made beside the main run; pix2pix:ab or :ba: one way only.",
)
@click.option(
    "--main", type=click.Path(path_type=Path), help="The run that others are held against; default: CycleGAN."
)
@click.option("--dataset", metavar="NAME|DIR", help="Which, where runs are of several; or where it is now.")
@click.option("--gatys-weights", metavar="WEIGHTS", help="As `cgeval gatys --weights` takes them.")
@click.option(
    "--out", default="comparison", show_default=True, type=click.Path(path_type=Path), help="For report and tables."
)
@shared
def compare(
    run_paths: tuple[Path, ...],
    baselines: str | None,
    main: Path | None,
    dataset: str | None,
    gatys_weights: str | None,
    out: Path,
    split: str,
    scorer: str | None,
    protocol: str | None,
    convention: str | None,
    yes: bool,
    dry_run: bool,
    **shown: Any,
) -> None:
    """Compare the runs of one dataset, by default all below ./runs: one table, and a report to look at.

    What is missing is made by commands that you could type: baselines if you agree, then scores as the main run has
    them. What was measured otherwise stands in a table of its own.
    """
    from cgeval.compare.making.baselines import Likeness, read_baselines
    from cgeval.compare.making.plan import Consent, make, plan_comparison
    from cgeval.compare.making.scoring import Wish
    from cgeval.compare.subjects import find_subjects, left_out, runs_of_one_dataset

    names = read_baselines(baselines) if baselines is not None else ()
    view = view_of(out, shown)
    runs = runs_of_one_dataset(run_paths, RUNS, dataset)
    subjects = find_subjects(runs, split, main)
    first = subjects[0].run
    wish = Wish(scorer, protocol, convention, _moved_data(dataset, first.info.dataset.get("path")))
    folder = first.path.parent if run_paths else RUNS
    like = Likeness(first, tuple(subjects[0].sets.values()), split, folder, wish.data, gatys_weights)
    plan = plan_comparison(subjects, names, _siblings(first, folder) if names else [], like, wish)
    if plan.left:
        refuse_foreign(subjects, split, view, wish)
    if make(plan, Consent(yes, dry_run, typed()), say):
        if plan.steps:
            runs = runs_of_one_dataset((*run_paths, *plan.runs) if run_paths else (), RUNS, dataset)
            subjects = find_subjects(runs, split, main)
        notes = (*plan.notes, *left_out(runs, split))
        show(compared(subjects, split, view, wish, notes, plan.unscored), view)


def _siblings(run: "Run", folder: Path) -> "list[Run]":
    """The runs of the same dataset in the folder, among which baselines may be."""
    from cgeval.compare.subjects import runs_of_one_dataset

    return runs_of_one_dataset((), folder, str(run.info.dataset.get("name")))


def _moved_data(dataset: str | Path | None, remembered: str | None) -> Path | None:
    """Where the dataset is now, if it is a folder that was named and the runs remember another, which is gone."""
    if dataset is None or not Path(dataset).is_dir() or (remembered and Path(remembered).is_dir()):
        return None
    return Path(dataset)
