"""`study-server rehearse`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from cgeval.errors import ConfigError

if TYPE_CHECKING:
    from study_server.rehearsal.rehearse import Rehearsed


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--participants", default=50, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--workers", default=8, show_default=True, type=click.IntRange(1, 5000), help="Participants at once.")
@click.option(
    "--skill", "skills", multiple=True, metavar="NAME=RATE", help="How often an algorithm fools people, 0..1."
)
@click.option("--icc", default=0.15, show_default=True, type=click.FloatRange(0, 0.99), help="How much people differ.")
@click.option("--think", default=0.0, show_default=True, type=click.FloatRange(0, 60), help="Seconds before an answer.")
@click.option("--drop-outs", default=0.0, show_default=True, type=click.FloatRange(0, 1), help="Share who leave.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Keep the copy with its answers: a new folder, to try `study-server report` on.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def rehearse(
    study: Path,
    participants: int,
    workers: int,
    skills: tuple[str, ...],
    icc: float,
    think: float,
    drop_outs: float,
    seed: int,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Let simulated people take part in a copy of STUDY, through the same requests that browsers make.

    A dry run before anybody is paid: does all of it work, is everything kept, how long does it take. The study itself
    is not touched. Exit code 1 where an acknowledged answer is missing or a request failed.
    """
    from study_server.building.place import refuse_place
    from study_server.rehearsal.people import Crowd
    from study_server.rehearsal.rehearse import rehearse as rehearse_study

    if keep is not None:
        refuse_place(keep)
    crowd = Crowd(_rates(skills), icc, think, drop_outs)
    with tqdm(total=participants, unit="person", desc="rehearsing", disable=None, leave=False) as bar:
        found = rehearse_study(
            study, participants, min(workers, participants), crowd, seed, lambda: bar.update(1), keep
        )
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else _text(found))
    if keep is not None and not as_json:
        click.echo(f"\nkept in {keep}. Next:\n  study-server report {keep}")
    click.get_current_context().exit(int(bool(found.lost or found.measured.failed)))


def _rates(skills: tuple[str, ...]) -> dict[str, float]:
    rates = {}
    for skill in skills:
        name, _, rate = skill.partition("=")
        try:
            rates[name] = float(rate)
        except ValueError:
            rates[name] = -1.0
        if not 0 <= rates[name] <= 1:
            raise ConfigError(f"--skill {skill}: NAME=RATE is expected, a rate from 0 to 1, such as cyclegan=0.27.")
    return rates


def _text(found: "Rehearsed") -> str:
    told = found.as_json()
    answer = told["requests"].get("answer", {"p50_ms": 0, "p99_ms": 0})
    lines = [
        f"{told['done']} of {told['participants']} participants done, {told['left']} left, in {told['seconds']} s",
        f"{told['answers']} answers acknowledged, {told['stored']} stored; {told['answers_per_second']} a second, "
        f"half within {answer['p50_ms']} ms, 99% within {answer['p99_ms']} ms",
        f"errors: {', '.join(f'{count} x {what}' for what, count in told['failed'].items()) or 'none'}",
        f"flags: {', '.join(f'{count} {flag}' for flag, count in told['flags'].items()) or 'none'}",
        *(
            f"{arm}: {rate['n']} done; fooled {rate['found']:.1%}, of a wanted {rate['wanted']:.0%}"
            for arm, rate in told["fooled"].items()
        ),
    ]
    return "\n".join(lines)
