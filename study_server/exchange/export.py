"""A study and the name of a form go in; a folder that another program reads comes out, whole or not at all."""

from pathlib import Path

from cgeval.errors import RunError
from study_server.exchange.amt_export import write_amt
from study_server.exchange.jspsych import write_jspsych
from study_server.exchange.lme4 import write_lme4
from study_server.judged import read_judged
from study_server.manifest import IMPORTED
from study_server.operating.export import made_or_replaced
from study_server.sessions.study import Study


def is_import(folder: Path) -> bool:
    """Whether a study was imported, and not hosted."""
    return (folder / IMPORTED).is_file()


def export_imported(folder: Path, out: Path, form: str, *, overwrite: bool) -> tuple[list[Path], list[str]]:
    """Of an imported study; lme4 alone is of use there. Raises RunError for another form."""
    if form != "lme4":
        raise RunError(f"{folder} was imported, and an import is exported by --format lme4 alone: its files are there.")
    with made_or_replaced(out, overwrite) as work:
        told = write_lme4(read_judged(folder), work)
    return sorted(out.iterdir()), told


def export_study(
    study: Study, database_url: str | None, out: Path, form: str, *, overwrite: bool
) -> tuple[list[Path], list[str]]:
    """form: amt, jspsych or lme4. The files, and sentences on what is in them. The study may be running."""
    with made_or_replaced(out, overwrite) as work:
        if form == "jspsych":
            told = write_jspsych(study.database, study.manifest, work)
        else:
            told = {"amt": write_amt, "lme4": write_lme4}[form](read_judged(study.folder, database_url), work)
    return sorted(out.iterdir()), told
