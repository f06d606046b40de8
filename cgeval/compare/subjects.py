"""Folders go in; the runs of one dataset come out, and of these what is compared: subjects with labels, the main first.

A run with several sets of one direction says in each set's `extra.variant` which is which (a style, ...), and is then
as many subjects. What is found does not depend on the order in which runs are named; only the order of rows does.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from cgeval.compare.comparison import Direction, Subject
from cgeval.compare.joining import joined
from cgeval.datasets import find_dataset
from cgeval.errors import CgevalError, DataError, RunError
from cgeval.runs import ImageSet, Run, find_runs

ABLATIONS = {
    "cycle_alone": "Cycle alone",
    "gan_alone": "GAN alone",
    "gan_forward_cycle": "GAN + forward cycle",
    "gan_backward_cycle": "GAN + backward cycle",
}
METHODS = {"cyclegan": "CycleGAN", "pix2pix": "pix2pix", "gatys": "Gatys"}
MAKES = {  # what makes images of a split, by a run's producer
    "cyclegan": "`cyclegan translate {run} --split {split}` makes it",
    "cgeval gatys": "`cgeval gatys {data} {run} --split {split}` makes it",
    "cgeval adopt": "`cgeval adopt RESULTS {run} --split {split}` takes it in",
}
NETWORKS = {
    "vgg19-random": "random VGG-19",
    "vgg19-conv3_1": "VGG-19 up to conv3_1",
    "squeezenet1_1": "SqueezeNet 1.1",
}


def runs_of_one_dataset(paths: Sequence[Path], folder: Path, dataset: str | None) -> list[Run]:
    """The runs at the paths, or without paths every run below the folder; each once, all of one dataset.

    dataset: its name or its folder, where the runs are of several. Raises RunError where there is no run or one cannot
    be read, DataError for runs of several datasets.
    """
    runs = _each_once([Run.open(path) for path in paths] if paths else _below(folder))
    if dataset is None:
        return _refuse_several(runs)
    chosen = [run for run in runs if _is_of(run, dataset)]
    if not chosen and Path(dataset).is_dir() and len({_dataset(run) for run in runs}) == 1:
        return runs  # the folder was renamed
    if not chosen:
        raise DataError(f"no run is of the dataset {dataset!r}; there are {_datasets(runs)}.")
    return _refuse_several(chosen)


def find_subjects(runs: Sequence[Run], split: str, main: Path | None) -> tuple[Subject, ...]:
    """What is compared: main first, then methods in the order of the runs, then ablations in the paper's order.

    main: the run that the others are compared with, by path or folder's name. Without it: the newest CycleGAN, else
    the newest of the other trained methods, of ablations, of Gatys. Runs without a sealed set of the split are left
    out (see `left_out`); two of a method that knows one direction are one subject (see `joined`). Raises RunError for
    no run, an unknown main, and a main without a sealed set of the split; DataError for runs of several datasets.
    """
    if not runs:
        raise RunError("there is no run to compare: `cyclegan train CONFIG RUN --data DATA` makes one.")
    runs = _refuse_several(_each_once(runs))
    first = _main(runs, split, main)
    others = [run for run in runs if run is not first]
    subjects = [subject for run in [first, *others] for subject in _subjects(run, split)]
    in_order = sorted(joined([replace(subjects[0], kind="main"), *subjects[1:]]), key=_place)
    return tuple(_with_names(in_order))


def left_out(runs: Sequence[Run], split: str) -> tuple[str, ...]:
    """A sentence on each run that has nothing to compare yet."""
    return tuple(_nothing_sealed(run, split) for run in _each_once(runs) if not _sets(run, split))


def other_sets(subject: Subject) -> list[ImageSet]:
    """Older sealed sets of the same split, directions and variant, which the subject's newest ones stand for."""
    own = list(subject.sets.values())
    sets = [each for run in subject.runs for each in _sets(run, own[0].split)]
    return [each for each in sets if _variant(each) == _variant(own[0]) and each not in own]


def _below(folder: Path) -> list[Run]:
    runs, broken = find_runs(folder)
    if broken:
        raise RunError(f"{str(broken[0]).rstrip('.')}; or name the runs to compare, without this one.")
    if not runs:
        raise RunError(
            f"there is no run below {folder}: `cyclegan train CONFIG {folder / 'NAME'} --data DATA` makes one, "
            f"`cgeval adopt RESULTS {folder / 'NAME'}` one of another program's results, or name the folder of a run."
        )
    return runs


def _each_once(runs: Iterable[Run]) -> list[Run]:
    return list({run.path.resolve(): run for run in runs}.values())


def _refuse_several(runs: list[Run]) -> list[Run]:
    if len({_dataset(run) for run in runs}) > 1:
        raise DataError(
            f"the runs are of several datasets, and only runs of one can be compared: {_datasets(runs)}; choose one by "
            "--dataset NAME, or name the runs of one."
        )
    return runs


def _dataset(run: Run) -> str:
    return str(run.info.dataset.get("name") or "no dataset that run.json names")


def _datasets(runs: Iterable[Run]) -> str:
    """Such as "camvid (2 runs), maps (1 run)"."""
    counts = sorted(Counter(map(_dataset, runs)).items())
    return ", ".join(f"{name} ({count} run{'s' if count > 1 else ''})" for name, count in counts)


def _is_of(run: Run, dataset: str) -> bool:
    """By name; a folder is also that which the run remembers, or one of the same name."""
    folder, remembered = Path(dataset), str(run.info.dataset.get("path") or "")
    if _dataset(run) == dataset:
        return True
    if not folder.is_dir():
        return False
    same_place = bool(remembered) and Path(remembered).resolve() == folder.resolve()
    return same_place or _dataset(run) == _name_of(folder)


def _name_of(folder: Path) -> str:
    file = folder / "dataset.toml"
    try:
        facts = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise DataError(f"{file} is not TOML ({error}): mend it.") from None
    return str(facts.get("name", folder.resolve().name))


def _main(runs: Sequence[Run], split: str, main: Path | None) -> Run:
    if main is not None:
        found = _named(runs, main)
        if not _sets(found, split):
            raise RunError(_nothing_sealed(found, split))
        return found
    able = [run for run in runs if _sets(run, split)]
    if not able:
        more = f", and so it is with the other {len(runs) - 1}" if len(runs) > 1 else ""
        raise RunError(_nothing_sealed(runs[0], split).rstrip(".") + more + ".")
    rank = min(map(_rank, able))
    return max((run for run in able if _rank(run) == rank), key=lambda run: (run.info.created_at, str(run.path)))


def _named(runs: Sequence[Run], main: Path) -> Run:
    """The run at the path, or the only one in a folder of that name."""
    at = [run for run in runs if run.path.resolve() == main.resolve()]
    called = [run for run in runs if run.path.resolve().name == str(main)]
    if len(at or called) != 1:
        there = ", ".join(str(run.path) for run in runs)
        raise RunError(f"{main} is none of the runs that are compared: name one of {there}, or add it to them.")
    return (at or called)[0]


def _rank(run: Run) -> int:
    method = run.info.method
    if method == "cyclegan":
        return 0
    return 3 if _is_gatys(method) else 2 if _is_ablation(method) else 1


def _sets(run: Run, split: str) -> list[ImageSet]:
    return [image_set for image_set in run.image_sets() if image_set.split == split]


def _nothing_sealed(run: Run, split: str) -> str:
    there = ", ".join(image_set.name for image_set in run.image_sets()) or "none"
    producer = str(run.info.producer.get("name"))
    facts = {"run": run.path, "split": split, "data": run.info.dataset.get("path", "DATA"), "producer": producer}
    makes = MAKES.get(producer, "{producer}, which made the run, makes it").format(**facts)
    if known := _splits_without(run, split):
        makes = f"its dataset has no such split, but {', '.join(known)}"
    splits = sorted({image_set.split for image_set in run.image_sets()})
    other = f", or say --split {' or '.join(splits)}" if splits else ""
    return f"{run.path} holds no sealed image set of split {split!r} (sealed: {there}): {makes}{other}."


def _splits_without(run: Run, split: str) -> list[str]:
    """The splits of the run's dataset, where it is there and this one is none of them."""
    path = run.info.dataset.get("path")
    try:
        splits = find_dataset(Path(path)).splits if isinstance(path, str) and Path(path).is_dir() else {}
    except CgevalError:
        return []
    return sorted(splits) if split not in splits else []


def _subjects(run: Run, split: str) -> list[Subject]:
    """One of each variant; of several sets of a variant and direction the newest."""
    by_variant: dict[str | None, dict[Direction, ImageSet]] = {}
    for image_set in sorted(_sets(run, split), key=lambda each: (each.created_at, each.name)):
        by_variant.setdefault(_variant(image_set), {})[cast(Direction, image_set.direction)] = image_set
    kind = "ablation" if _is_ablation(run.info.method) else "method"
    return [
        Subject(run, _label(run.info.method, variant), kind, dict(sorted(sets.items())))  # type: ignore[arg-type]
        for variant, sets in sorted(by_variant.items(), key=_order_of_sealing)
    ]


def _order_of_sealing(item: tuple[str | None, dict[Direction, ImageSet]]) -> tuple[str, str]:
    variant, sets = item
    return (min(image_set.created_at for image_set in sets.values()), variant or "")


def _variant(image_set: ImageSet) -> str | None:
    variant = image_set.extra.get("variant")
    return variant if isinstance(variant, str) and variant else None


def _label(method: str, variant: str | None) -> str:
    family, _, name = method.partition(":")
    label = METHODS.get(method, method)
    if _is_ablation(method):
        label = ABLATIONS.get(name, method)
    elif family == "gatys" and name:
        label = f"{METHODS[family]} ({NETWORKS.get(name, name)})"
    return f"{label}, {variant}" if variant else label


def _is_ablation(method: str) -> bool:
    return method.startswith("cyclegan:")


def _is_gatys(method: str) -> bool:
    return method.partition(":")[0] == "gatys"


def _place(subject: Subject) -> tuple[int, int]:
    kinds = ("main", "method", "ablation")
    known = list(ABLATIONS)
    name = subject.run.info.method.partition(":")[2]
    order = known.index(name) if subject.kind == "ablation" and name in known else len(known)
    return (kinds.index(subject.kind), order if subject.kind == "ablation" else 0)


def _with_names(subjects: Sequence[Subject]) -> list[Subject]:
    """Two of one label get the name of their run added, and where these are equal too, the path."""
    for name in (lambda run: run.path.resolve().name, lambda run: str(run.path)):
        often = Counter(subject.label for subject in subjects)
        subjects = [
            replace(each, label=f"{_bare(each)} ({' and '.join(map(name, each.runs))})")
            if often[each.label] > 1
            else each
            for each in subjects
        ]
    return list(subjects)


def _bare(subject: Subject) -> str:
    (image_set, *_) = subject.sets.values()
    return _label(subject.run.info.method, _variant(image_set))
