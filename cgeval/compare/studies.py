"""Folders of studies go in; their fooling rates come out. They lie beside the runs, and belong to images by seal."""

from collections.abc import Sequence
from pathlib import Path

from cgeval.compare.comparison import Subject
from cgeval.compare.measures import FOOLING, family
from cgeval.errors import DataError
from cgeval.records import Record, read_records

FOLDER = "studies"


def find_studies(subjects: Sequence[Subject]) -> tuple[Path, ...]:
    """The folders in `studies` here and beside the folder that holds the runs, each once, by path."""
    beside = {run.path.resolve().parent.parent / FOLDER for subject in subjects for run in subject.runs}
    found = {path.resolve(): path for place in (*beside, Path(FOLDER)) for path in place.glob("[!.]*/")}
    return tuple(sorted(found.values(), key=lambda path: str(path.resolve())))


def read_studies(subjects: Sequence[Subject], study: Path | None) -> dict[Path, list[Record]]:
    """The fooling rates of each study that is found, or of the one that is named, in the order of writing.

    Raises DataError where the one that is named is not there, or judges images of none of the subjects.
    """
    if study is None:
        return {path: _rates(path) for path in find_studies(subjects)}
    if not study.is_dir():
        raise DataError(f"there is no study at {study}: name the folder of a study that is evaluated.")
    found = _rates(study)
    if not found:
        raise DataError(f"{study} has no fooling rate in its records yet: evaluate the study, or name another --study.")
    seals = {image_set.index_sha256 for subject in subjects for image_set in subject.sets.values()}
    if not any(record.index_sha256 in seals for record in found):
        judged = ", ".join(dict.fromkeys(f"{record.run_id}/{record.image_set}" for record in found))
        raise DataError(
            f"the study {study} judges other images than are compared ({judged}, as they were sealed then): name the "
            "study of these images, or compare the runs that it is of."
        )
    return {study: found}


def _rates(path: Path) -> list[Record]:
    return [record for record in read_records(path) if family(record.protocol) == FOOLING]
