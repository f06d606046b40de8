"""What is missing of baselines and scores goes in; it is told, asked about and made, and the tables become files.

Whatever is made is made by commands that anybody can type (`cgeval.compare.making.steps`), so an interrupted making
goes on when it is asked for again: what is there is recognised from the files.
"""

import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from cgeval.compare.comparison import Comparison, Subject
from cgeval.compare.making.baselines import Baseline, Likeness, plan_baselines
from cgeval.compare.making.scoring import Candidate, Wish, measuring
from cgeval.compare.making.steps import Say, Step, plan_lines, run_steps, timed, total_words
from cgeval.compare.making.trained import comes_back, sealed_sets
from cgeval.errors import ConfigError, OutputError
from cgeval.files import LEFTOVER, write_atomic
from cgeval.runs import Run

REPORT = "report.html"
FILES = (REPORT, "table.md", "table.tex", "numbers.csv", "comparison.json")


@dataclass(frozen=True)
class Plan:
    """What is to be done, in order. runs: that the baselines are, or will be; notes: what stays unmeasured, and why.

    unscored: the directions that the notes are on; is_scored: whether any direction is scored, or will be.
    """

    steps: tuple[Step, ...] = ()
    runs: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()
    is_scored: bool = True

    @property
    def left(self) -> list[Step]:
        """The steps that are not done."""
        return [step for step in self.steps if not step.done]


@dataclass(frozen=True)
class Consent:
    """How the user stands to a plan. yes: agreed before; look: only to be shown; again: what was typed."""

    yes: bool
    look: bool
    again: str


@dataclass(frozen=True)
class Pictures:
    """What the report shows: so many examples, drawn by the seed, or the images of these ids."""

    examples: int = 4
    seed: int = 0
    ids: tuple[str, ...] | None = None


def plan_comparison(
    subjects: Sequence[Subject], names: Sequence[str], siblings: Sequence[Run], like: Likeness, wish: Wish
) -> Plan:
    """Make each baseline that is named and not there, then measure every run as the main one, the first subject, is.

    siblings: the runs among which baselines are looked for. Raises a CgevalError for what cannot be made.
    """
    baselines = plan_baselines(names, siblings, like)
    candidates, of_main = _candidates(subjects, baselines, like), len(subjects[0].runs)
    measured = measuring(candidates[:of_main], candidates[of_main:], like.split, wish)
    making = tuple(step for baseline in baselines for step in baseline.steps)
    paths = tuple(each.path for each in baselines)
    return Plan((*making, *measured.steps), paths, measured.notes, measured.unscored, measured.is_scored)


def make(plan: Plan, consent: Consent, say: Say) -> bool:
    """Do what is left of the plan, once the user agrees; False where the user does not, or only wants to look.

    What measures is not asked about. Who would get no score at all has to say yes, and not only to press Enter. Raises
    ConfigError where nobody can be asked, and what `timed` and `run_steps` raise.
    """
    asks = any(step.is_making for step in plan.left)
    if asks and not (consent.yes or consent.look or sys.stdin.isatty()):
        raise ConfigError(_unasked(plan))
    if asks or consent.look:
        plan = replace(plan, steps=_timed(plan.steps, say))
        say("\n".join([f"To do: {total_words(plan.steps)}.", *plan_lines(plan.steps), *_unscored_lines(plan)]))
    if consent.look:
        return False
    if asks and not consent.yes and not click.confirm("Go on?", default=plan.is_scored, err=True):
        say("Nothing was made.")
        return False
    run_steps(plan.steps, again=consent.again, say=say)
    return True


def write_outputs(comparison: Comparison, out: Path, pictures: Pictures, command: str) -> list[Path]:
    """Write FILES into the folder `out`, which is made; either all are new or none is. Returns them.

    Raises OutputError where the folder cannot be written into.
    """
    from cgeval.compare.renderers import as_csv, as_json, as_latex, as_markdown
    from cgeval.compare.report import write_report

    renderers = (as_markdown, as_latex, as_csv, as_json)
    try:
        with _folder_in(out) as work:
            for name, render in zip(FILES[1:], renderers, strict=True):
                write_atomic(work / name, (render(comparison).rstrip("\n") + "\n").encode())
            shown = {"examples": pictures.examples, "seed": pictures.seed}
            write_report(comparison, work / REPORT, **shown, ids=pictures.ids, command=command)
            for name in FILES:
                (work / name).replace(out / name)
    except OSError as error:
        raise OutputError(f"{out} cannot be written into ({error.strerror}): name another folder.") from None
    return [out / name for name in FILES]


@contextmanager
def _folder_in(out: Path) -> Iterator[Path]:
    """A folder in `out` that is gone afterwards, and `out` too where it was not there before and nothing came of it."""
    new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=LEFTOVER, dir=out) as work:
            yield Path(work)
    finally:
        if new and not any(out.iterdir()):
            out.rmdir()


def refuse_output(out: Path) -> None:
    """Raise OutputError, before anything is made, where the tables could not be written in the end."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise OutputError(f"{there} is a file, and a folder is expected for the report and the tables: name another.")


def _candidates(subjects: Sequence[Subject], baselines: Sequence[Baseline], like: Likeness) -> list[Candidate]:
    """One for each run, those of the main row first; of baselines that are yet to be made, what they will be."""
    found: dict[Path, Candidate] = {}
    for part in (part for subject in subjects for part in subject.by_run()):
        before = found.get(part.run.path, Candidate(part.run.path, part.run.info.dataset))
        found[part.run.path] = replace(before, sets=(*before.sets, *part.sets.values()))
    for baseline in baselines:
        path = baseline.path
        if path not in found:
            found[path] = Candidate(path, like.main.info.dataset, sealed_sets(path, like.split))
        found[path] = replace(found[path], planned=baseline.planned)
    trained = {path: Run.open(path) for path, each in found.items() if each.sets}
    return [
        replace(each, is_both_ways=path in trained and comes_back(trained[path], each.sets))
        for path, each in found.items()
    ]


def _timed(steps: Sequence[Step], say: Say) -> tuple[Step, ...]:
    """With their times, as the commands' own dry runs measure them; of steps that are alike by the one with most work.

    A measurement takes seconds, so it is said what is measured.
    """
    paces: dict[str, float | None] = {}
    measured: dict[int, Step] = {}
    for i in sorted(range(len(steps)), key=lambda i: -steps[i].work):
        step = steps[i]
        if not step.can_be_timed or step.alike in paces:
            continue
        say(f"Measuring how long it takes here to {step.title} ...")
        measured[i] = timed(step)
        if step.alike:
            seconds = measured[i].seconds
            paces[step.alike] = seconds / step.work if seconds is not None and step.work else None
    return tuple(measured.get(i, _at_pace(step, paces)) for i, step in enumerate(steps))


def _at_pace(step: Step, paces: Mapping[str, float | None]) -> Step:
    pace = paces.get(step.alike) if step.can_be_timed else None
    return replace(step, seconds=pace * step.work) if pace is not None else step


def _unscored_lines(plan: Plan) -> list[str]:
    """What stays unmeasured and why; and what is left to look at where that is all."""
    lines = list(plan.notes)
    if lines:
        lines.append("Once that is mended, now or later, the same command typed again makes the scores.")
    if not plan.is_scored:
        why = (
            "So no FCN score comes of this" if lines else "No FCN score comes of this, since the dataset has no labels"
        )
        lines.append(f"{why}: what is left are reconstruction errors, the report's pictures, and studies.")
    return lines


def _unasked(plan: Plan) -> str:
    first = next(step for step in plan.left if step.is_making)
    return (
        f"to do: {total_words(plan.steps)}, beginning with `{shlex.join(first.command)}`, and there is no terminal to "
        "ask on: add --yes to go on, or --dry-run to see everything and how long it will take."
    )
