"""`cgeval ablations`."""

from pathlib import Path
from typing import Any

import click

from cgeval.cli.comparing import compared, refuse_foreign, say, shared, show, typed, view_of


@click.command()
@click.argument("config_or_run", metavar="CONFIG|RUN")
@click.option("--data", type=click.Path(path_type=Path), help="Dataset folder, if CONFIG names none or it has moved.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one setting of all five runs.")
@click.option("--out", type=click.Path(path_type=Path), help="For the runs; default: runs, or beside RUN.")
@click.option(
    "--tables",
    default="ablations",
    show_default=True,
    type=click.Path(path_type=Path),
    help="For report and tables.",
)
@shared
def ablations(
    config_or_run: str,
    data: Path | None,
    changes: tuple[str, ...],
    out: Path | None,
    tables: Path,
    split: str,
    scorer: str | None,
    protocol: str | None,
    convention: str | None,
    yes: bool,
    dry_run: bool,
    **shown: Any,
) -> None:
    """Train the paper's five objectives alike, and compare them: the equivalent of its tables 4 and 5.

    CONFIG is a TOML file or a ready configuration of `cyclegan configs`; RUN, a trained CycleGAN, is the full objective
    itself. What is there is taken, what was begun is gone on with.
    """
    from cgeval.compare.making.ablations import ablation_source, plan_ablations
    from cgeval.compare.making.plan import Consent, make
    from cgeval.compare.making.scoring import Wish
    from cgeval.compare.making.trained import sealed_sets
    from cgeval.compare.subjects import find_subjects, runs_of_one_dataset
    from cgeval.runs import Run

    view = view_of(tables, shown)
    source = ablation_source(config_or_run, data, out, changes)
    wish = Wish(scorer, protocol, convention, source.moved)
    plan = plan_ablations(source, split, wish)
    paths = tuple(source.places.values())
    if plan.left and sealed_sets(paths[0], split):
        refuse_foreign(find_subjects([Run.open(paths[0])], split, paths[0]), split, view, wish)
    if make(plan, Consent(yes, dry_run, typed()), say):
        subjects = find_subjects(runs_of_one_dataset(paths, paths[0].parent, None), split, paths[0])
        show(compared(subjects, split, view, wish, plan.notes, plan.unscored), view)
