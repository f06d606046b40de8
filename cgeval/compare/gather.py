"""The front door: subjects go in, a `Comparison` comes out. It reads runs, records, matrices and studies; no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cgeval.compare.agreement import agreements
from cgeval.compare.agreement_tables import agreement_notes, agreement_tables
from cgeval.compare.comparison import Comparison, Subject
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
) -> Comparison:
    """Everything that is known of the subjects, the first of which is the main one.

    Fooling rates are those of all studies beside the runs, or of the one named by study, which must be of these images.
    dataset: where it is now, if not where the main run remembers it. wanted: by which of the main run's measures, if
    not by the newest. agreement: with what automatic numbers and people's answers have in common. Raises DataError and
    RecordError in one sentence.
    """
    main = subjects[0]
    runs = {subject.run.path: read_records(subject.run.path) for subject in subjects}
    opinions = read_studies(subjects, study)
    found = [each for subject in subjects for each in _measured(subject, runs[subject.run.path], opinions)]
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
            *_lacking(subjects, found, wanted),
            *_notes(subjects, found, runs | opinions),
            *_if_empty(main, found),
            *agreement_notes(agreed, subjects),
        ),
        dataset_path=dataset or _remembered(main),
        agreements=tuple(agreed),
    )


def _measured(subject: Subject, records: Sequence[Record], opinions: Read) -> list[Measured]:
    """Oldest first within the run, then what the studies say."""
    own = measured(subject, records, subject.run.path)
    return own + [each for path, judged in opinions.items() for each in measured(subject, judged, path)]


def _lacking(subjects: Sequence[Subject], found: Sequence[Measured], wanted: Wanted) -> list[str]:
    return missing_lines(missing(subjects, found, wanted), subjects[0].label)


def _notes(subjects: Sequence[Subject], found: Sequence[Measured], read: Read) -> list[str]:
    return [*stale_lines(subjects, read), *gone_lines(found), *set_lines(subjects), *superseded_lines(found)]


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
