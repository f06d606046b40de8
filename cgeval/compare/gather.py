"""The front door: subjects go in, a `Comparison` comes out. It reads runs, records, matrices and studies; no torch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from cgeval.compare.agreement import agreements
from cgeval.compare.agreement_tables import agreement_notes, agreement_tables
from cgeval.compare.comparison import Comparison, Subject
from cgeval.compare.joining import joined_lines
from cgeval.compare.measures import NEWEST, Measured, Wanted, measured, newest
from cgeval.compare.missing import MissingScore, can_be_scored, missing, missing_lines, missing_scores
from cgeval.compare.notes import gone_lines, set_lines, stale_lines, superseded_lines
from cgeval.compare.published import published_tables
from cgeval.compare.studies import find_studies, read_studies
from cgeval.compare.subjects import find_subjects, left_out, runs_of_one_dataset
from cgeval.compare.tabulate import tables
from cgeval.records import Record, read_records

__all__ = [
    "MissingScore",
    "Wanted",
    "compare",
    "find_studies",
    "find_subjects",
    "left_out",
    "missing_scores",
    "published_tables",
    "runs_of_one_dataset",
]

Read = Mapping[Path, Sequence[Record]]  # records of each run or study, by its folder


def compare(
    subjects: Sequence[Subject],
    split: str,
    *,
    study: Path | None = None,
    published: bool = False,
    dataset: Path | None = None,
    wanted: Wanted = NEWEST,
    agreement: bool = False,
    told: Collection[str] = (),
) -> Comparison:
    """Everything that is known of the subjects, the first of which is the main one.

    Fooling rates are those of all studies beside the runs, or of the one named by study, which must be of these images.
    dataset: where it is now, if not where the main run remembers it. wanted: by which of the main run's measures, if
    not by the newest. told: directions of which somebody else says that they cannot be scored, and why.
    agreement: with what automatic numbers and people's answers have in common. Raises DataError and RecordError in one
    sentence.
    """
    main = subjects[0]
    runs = {run.path: read_records(run.path) for subject in subjects for run in subject.runs}
    opinions = read_studies(subjects, study)
    found = [each for subject in subjects for each in _measured(subject, runs, opinions)]
    first = newest((each for each in found if each.subject is main), wanted)
    name = str(main.run.info.dataset.get("name", "?"))
    made = tables(f"{name}, split {split}", subjects, found, first)
    agreed = agreements(subjects, found, [each.measure for each in first]) if agreement else []
    held = [each.table for each in agreement_tables(agreed, subjects)]
    return Comparison(
        dataset=main.run.info.dataset,
        split=split,
        main=main.label,
        subjects=tuple(subjects),
        tables=(*made, *held, *(published_tables() if published else [])),
        notes=(
            *_lacking(subjects, found, wanted, told),
            *_notes(subjects, found, runs | opinions),
            *_if_empty(main, found),
            *agreement_notes(agreed, subjects),
        ),
        dataset_path=dataset or _remembered(main),
        agreements=tuple(agreed),
    )


def _measured(subject: Subject, runs: Read, opinions: Read) -> list[Measured]:
    """Oldest first within each run, then what the studies say."""
    own = {run.path: runs[run.path] for run in subject.runs}
    return [each for path, records in (own | dict(opinions)).items() for each in measured(subject, records, path)]


def _lacking(
    subjects: Sequence[Subject], found: Sequence[Measured], wanted: Wanted, told: Collection[str]
) -> list[str]:
    absent = [each for each in missing(subjects, found, wanted) if each.direction not in told]
    return missing_lines(absent, subjects[0].label)


def _notes(subjects: Sequence[Subject], found: Sequence[Measured], read: Read) -> list[str]:
    about_numbers = [*stale_lines(subjects, read), *gone_lines(found)]
    return [*joined_lines(subjects), *about_numbers, *set_lines(subjects), *superseded_lines(found)]


def _if_empty(main: Subject, found: Sequence[Measured]) -> list[str]:
    """What to do where nothing is measured and no score is missing, as of a dataset without labels."""
    if found or any(can_be_scored(main, direction) for direction in main.sets):
        return []
    return [
        f"Nothing is measured yet, and without labels there is no FCN score: `cyclegan reconstruct {main.run.path}` "
        f"measures how well cycles come back, and a study asks people (`study-server check --real REAL --fake "
        f"NAME={main.run.path}` begins one)."
    ]


def _remembered(main: Subject) -> Path | None:
    """The dataset's folder as the main run knows it, if it is still there."""
    path = main.run.info.dataset.get("path")
    return Path(path) if isinstance(path, str) and Path(path).is_dir() else None
