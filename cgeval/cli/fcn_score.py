"""`cgeval fcn-score`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from cgeval.errors import RunError
from cgeval.runs import Run

if TYPE_CHECKING:
    from cgeval.protocols.scoring import Score


@click.command("fcn-score")
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--scorer", help="Folder, file or name of a scorer; default: the one in ./scorers of these classes.")
@click.option("--dataset", type=click.Path(path_type=Path), help="Where the run's dataset is now.")
@click.option("--label-set", help="cityscapes, cityscapes19, camvid11 or a TOML file; default: the dataset's.")
@click.option("--split", help="Split whose image sets are scored; default: test.")
@click.option("--direction", default="both", show_default=True, type=click.Choice(["ab", "ba", "both"]))
@click.option(
    "--protocol",
    type=click.Choice(["paper", "scorer-size"]),
    help="labels -> photo: the network at the truth's size, or at the size it was trained at; default: the scorer's.",
)
@click.option(
    "--convention",
    default="cityscapes",
    show_default=True,
    type=click.Choice(["cityscapes", "reference"]),
    help="What a class without a pixel counts: nothing (left out), or 0 as in the released script.",
)
@click.option(
    "--distance",
    default="L2",
    show_default=True,
    type=click.Choice(["L2", "L1"]),
    help="photo -> labels: between colours.",
)
@click.option(
    "--palette",
    default="scored",
    show_default=True,
    type=click.Choice(["scored", "all"]),
    help="photo -> labels: colours of the scored classes, or of every label.",
)
@click.option(
    "--classified-at",
    default="output",
    show_default=True,
    type=click.Choice(["output", "truth"]),
    help="photo -> labels: before or after enlarging to the truth's size.",
)
@click.option("--sanity", is_flag=True, help="Rows of other scenes and of noise too: what a number is worth.")
@click.option("--examples", default=6, show_default=True, type=click.IntRange(0, 100), help="Pictured; 0: no pictures.")
@click.option("--resamples", default=2000, show_default=True, type=click.IntRange(100), help="Of the bootstrap.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the bootstrap and the examples.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:N.")
@click.option("--batch-size", default=4, show_default=True, type=click.IntRange(1))
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="That share the images.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option(
    "--evaluation-results",
    "results_folder",
    type=click.Path(path_type=Path),
    help="Folder for <set>/evaluation_results.txt as the released script writes it.",
)
def fcn_score(
    run_path: Path,
    scorer: str | None,
    dataset: Path | None,
    label_set: str | None,
    split: str | None,
    direction: str,
    protocol: str | None,
    convention: str,
    distance: Literal["L1", "L2"],
    palette: Literal["scored", "all"],
    classified_at: str,
    sanity: bool,
    examples: int,
    resamples: int,
    seed: int,
    device: str,
    batch_size: int,
    processes: int,
    as_json: bool,
    results_folder: Path | None,
) -> None:
    """Score RUN's translations against their label maps, both ways, with intervals and the ceiling beside.

    labels -> photo: what a segmentation network sees in the photos. photo -> labels: by the nearest colour. RUN may
    also be another program's folder of results, which is first made a run of.
    """
    from cgeval.protocols.fcn_score import fcn_score as score_run
    from cgeval.protocols.planning import Choices
    from cgeval.protocols.scoring import Sampling

    choices = Choices(
        dataset, label_set, split, direction, scorer, protocol, distance, palette, classified_at, sanity=sanity
    )
    run, sampling = _run_of(run_path, dataset, split, direction), Sampling(convention, resamples, seed)
    try:
        scores = score_run(run, choices, sampling, device=device, batch_size=batch_size, processes=processes)
    except KeyboardInterrupt:
        click.echo("\nStopped. What was predicted is kept: the same command goes on from there.", err=True)
        raise
    written = _keep(scores, results_folder)
    figures = _draw(scores, examples, seed) if examples else []
    _show_json(scores) if as_json else _show(scores, written, figures)


def _run_of(path: Path, dataset: Path | None, split: str | None, direction: str) -> Run:
    """The run, or the one that is made of another program's results where they say everything themselves."""
    if (path / "run.json").is_file() or not path.is_dir():
        return Run.open(path)
    from cgeval.adopt import Claims, adopt, recognise

    found = recognise(path)
    if found is None:
        return Run.open(path)
    place = Path("runs") / found.experiment
    tells_direction = all(part.stated or part.reals for part in found.parts)
    if dataset is None or not tells_direction:
        missing = [] if tells_direction else ["--direction ab|ba"]
        words = " ".join(["--method NAME", *missing, *(["--dataset DIR"] if dataset is None else [])])
        raise RunError(
            f"{path} is no run but results of another program ({found.layout.about}), which do not say all that a "
            f"score needs: `cgeval adopt {path} {place} {words}` makes a run of them."
        )
    one_way = None if direction == "both" else direction
    adopted = adopt(path, place, dataset=dataset, claims=Claims(direction=one_way, split=split))
    click.echo(f"{path}: {found.layout.about}, adopted into {place}", err=True)
    for each in adopted.sets:
        click.echo("; ".join([f"  {each.image_set.name} paired by {each.how}", *each.notes]), err=True)
    return adopted.run


def _keep(scores: "list[Score]", results_folder: Path | None) -> list[Path]:
    """Everything is measured: write the released script's files where they are asked for, then the records."""
    from cgeval.protocols.results import evaluation_results, write_results

    written = [evaluation_results(score, results_folder) for score in scores if results_folder is not None]
    for score in scores:
        write_results(score)
    return written


def _draw(scores: "list[Score]", examples: int, seed: int) -> list[Path]:
    from cgeval.protocols.figures import write_figures

    return [write_figures(score, examples, seed) for score in scores]


def _show_json(scores: "list[Score]") -> None:
    from cgeval.protocols.results import as_json

    click.echo(json.dumps([as_json(score) for score in scores], indent=2, ensure_ascii=False))


def _show(scores: "list[Score]", written: list[Path], figures: list[Path]) -> None:
    from cgeval.protocols.telling import score_lines

    for score in scores:
        click.echo("\n".join(score_lines(score)) + "\n")
    for score in scores:
        click.echo(f"records  {score.job.run.path / 'records' / score.job.protocol}.jsonl")
    for path in written:
        click.echo(f"numbers  {path}")
    for folder in figures:
        click.echo(f"figures  {folder}/{{examples,confusion,classes}}.png")
