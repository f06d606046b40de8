"""A labelled dataset and the scorers at hand go in; the one to measure with comes out, or a sentence that asks."""

from collections.abc import Sequence
from pathlib import Path

from cgeval.errors import WeightsError
from cgeval.labelled import Labelled
from cgeval.scorers.store import FOLDER, ScorerFile, find_scorers, fitting, open_scorer, refuse_other_classes


def choose_scorer(wanted: str | None, labelled: Labelled, folders: Sequence[Path] = (FOLDER,)) -> ScorerFile:
    """The scorer that was named, or the only one in the folders whose classes are the label set's.

    Of several, the one that was trained on this dataset is taken. Its digest is pinned. Raises WeightsError.
    """
    chosen = _fitting(labelled, folders) if wanted is None else _named(wanted, folders)
    refuse_other_classes(chosen.info, labelled.labels)
    chosen.sha256  # noqa: B018  # from here on another file in its place is noticed
    return chosen


def _named(wanted: str, folders: Sequence[Path]) -> ScorerFile:
    holding = [folder for folder in folders if (folder / wanted).is_dir()]
    return open_scorer(wanted, holding[0] if holding else folders[0])


def _fitting(labelled: Labelled, folders: Sequence[Path]) -> ScorerFile:
    found, broken = [], []
    for folder in folders:
        if folder.is_dir():
            readable, unreadable = find_scorers(folder)
            found += readable
            broken += unreadable
    if broken:
        raise WeightsError(f"{str(broken[0]).rstrip('.')}; or name another scorer by --scorer.")
    fit = list({scorer.path.resolve(): scorer for scorer in fitting(found, labelled.labels)}.values())
    own = [scorer for scorer in fit if scorer.info.trained_on.get("name") == labelled.name]
    for only in (fit, own):
        if len(only) == 1:
            return only[0]
    if fit:
        names = ", ".join(str(scorer.path.parent) for scorer in fit)
        raise WeightsError(f"{len(fit)} scorers have the classes of {labelled.name} ({names}): name one by --scorer.")
    raise WeightsError(
        f"no scorer in {' or '.join(map(str, folders))} has the {len(labelled.labels.classes)} classes of label set "
        f"{labelled.labels.name!r}: make one by `cgeval scorer train {labelled.root} {FOLDER / labelled.name}` (or "
        "`cgeval scorer import-caffe` for the paper's), name one by --scorer, or score photo -> labels alone, which "
        "needs none."
    )
