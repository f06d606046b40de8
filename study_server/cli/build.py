"""`study-server build`."""

import signal
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from cgeval.errors import ConfigError, DataError

if TYPE_CHECKING:
    from study_server.building.build import Built, Planned
    from study_server.checking.seen import ImagesSeen
    from study_server.checking.sides import Side
    from study_server.config import StudyConfig

SAMPLE = 200  # images measured per side, as `study-server check` does


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--real", "real_at", required=True, metavar="WHERE", help="The real images.")
@click.option("--fake", "fakes", required=True, multiple=True, metavar="NAME=WHERE", help="An algorithm's; repeat it.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings, as study.toml has them.")
@click.option("--preset", type=click.Choice(["zhu2017", "isola2017", "simultaneous"]), help="Whose protocol.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeat it.")
@click.option("--seed", type=click.IntRange(0), help="Of pairs, trials and sides.")
@click.option("--allow-tells", is_flag=True, help="Build although something gives the answer away.")
@click.option("--dry-run", is_flag=True, help="Only say what would be built.")
def build(
    study: Path,
    real_at: str,
    fakes: tuple[str, ...],
    config_file: Path | None,
    preset: str | None,
    changes: tuple[str, ...],
    seed: int | None,
    allow_tells: bool,
    dry_run: bool,
) -> None:
    """Freeze a study: pairs, blinded images, settings, seed.

    STUDY is a new folder. WHERE is a folder of images, a run, or RUN:IMAGE_SET. Without other settings the protocol is
    that of the CycleGAN paper: 10 practice trials with feedback, 40 scored ones, each image for a second.
    """
    from study_server.building.build import build as build_study
    from study_server.building.build import plan
    from study_server.building.place import refuse_place
    from study_server.checking.sides import find_sides

    given = {"preset": preset, "seed": seed}
    config = _config(config_file, changes, {key: value for key, value in given.items() if value is not None})
    refuse_place(study)
    sides = find_sides(real_at, fakes)
    looks = _look_at_all(sides)
    warnings, bad = _find_tells(looks)
    planned = plan(sides, looks, config)
    if bad and not allow_tells:
        raise DataError(
            f"{'; '.join(bad)} would give the answer away or spoil the study (see above, and `study-server check`): "
            "mend the images, or build all the same with --allow-tells, which the manifest remembers."
        )
    _say_plan(planned, config, len(warnings))
    if dry_run:
        click.echo(f"Nothing is written in a dry run; without it, {planned.composites} stimuli would be.")
        return
    with (
        _ended_cleanly(),
        tqdm(total=planned.composites, unit="img", desc="making stimuli", disable=None, leave=False) as bar,
    ):
        built = build_study(study, planned, config, warnings, version("cgeval"), bar.update)
    _say_built(study, built)


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """Within the block SIGTERM and a closed terminal end the program as Ctrl-C does; `nohup` is obeyed."""
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _config(file: Path | None, changes: tuple[str, ...], given: dict[str, Any]) -> "StudyConfig":
    from study_server.config import make_config

    if file is None:
        return make_config(given, changes)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as TOML ({error}): mend it, or leave --config away.") from None
    return make_config(table | given, changes, str(file))


def _look_at_all(sides: "Sequence[Side]") -> "list[ImagesSeen]":
    from study_server.checking.seen import look_at

    files = sum(len(side.files) for side in sides)
    with tqdm(total=files, unit="img", desc="looking for tells", disable=None, leave=False) as bar:
        return [look_at(side, SAMPLE, 0, bar.update) for side in sides]


def _find_tells(looks: "Sequence[ImagesSeen]") -> tuple[list[str], list[str]]:
    """What was found, which is told, and the names of what should stop the build."""
    from study_server.checking.findings import Severity
    from study_server.checking.tells import find_tells

    real, *others = looks
    told, bad = [], []
    for fake in others:
        for finding in find_tells(real, fake):
            if finding.tell == "pairs" or finding.severity is Severity.NOTE:
                continue  # how many pairs there must be, the plan says
            told.append(f"{fake.name}: {finding.tell} {finding.severity.value}. {finding.found} {finding.todo}")
            bad += [f"{fake.name}: {finding.tell}"] if finding.severity.fails else []
    for line in told:
        click.echo(line, err=True)
    return told, bad


def _say_plan(planned: "Planned", config: "StudyConfig", warnings: int) -> None:
    counts = config.trials
    catch = f" + {counts.catch} catch" if counts.catch else ""
    wanted = config.participants.per_algorithm
    people = f"{wanted} participant{'' if wanted == 1 else 's'}"
    click.echo(
        f"preset   {config.preset}: asks for the {config.asked} one, {config.layout}, {config.exposure.shown_ms} ms"
    )
    click.echo(f"session  {counts.practice} practice + {counts.scored} scored{catch} trials, one algorithm each")
    for fake, matches in planned.arms:
        click.echo(f"arm      {fake.side.name}: {len(matches.trials)} pairs, {people}")
    click.echo(f"warnings {warnings or 'none'}{', told above and kept in manifest.json' if warnings else ''}")


def _say_built(study: Path, built: "Built") -> None:
    click.echo(f"\n{study}: {len(built.manifest.stimuli)} stimuli, {built.size_bytes / 1e6:.1f} MB.")
    click.echo(f"The admin's password, told this once: {built.password}")
    click.echo(f"\nNext:\n  study-server rehearse {study}\n  study-server prereg {study}\n  study-server serve {study}")
