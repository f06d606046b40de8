"""A report goes in; what is to be known beside its tables comes out: which study it is, and what to be careful of."""

from collections.abc import Iterator

from study_server.judged import Judged
from study_server.registration import FILE as REGISTERED
from study_server.registration.document import second
from study_server.reporting import page_summary
from study_server.reporting.report import Report
from study_server.reporting.wording import LAYOUTS, how_asked, plain

DIGEST_LETTERS = 12
BRIEFLY = ("unfinished", "protocol", "sessions")  # what stands over numbers wherever they are shown


def title(report: Report) -> str:
    """The name of the study's folder."""
    return f"Study {report.judged.folder.resolve().name}"


def facts(report: Report) -> tuple[tuple[str, str], ...]:
    """Heading and text of each."""
    judged = report.judged
    return tuple(
        (heading, text)
        for heading, text in (
            ("unfinished", _unfinished(judged)),
            ("study", f"{judged.study_id}, built {second(judged.created_at)}"),
            ("protocol", _protocol(judged)),
            ("sessions", _sessions(judged)),
            ("registered", _registered(judged)),
            ("made", _made(report)),
        )
        if text
    )


def cautions(report: Report) -> tuple[str, ...]:
    """What may make the numbers worth less than they seem, the gravest first."""
    return tuple(plain(each) for each in (*page_summary.cautions(report), *_nobody(report)))


def notes(report: Report) -> tuple[str, ...]:
    """What a reader should know beside."""
    return tuple(plain(each) for each in page_summary.notes(report))


def _nobody(report: Report) -> Iterator[str]:
    for arm, said in zip(report.analysis.arms, page_summary.headlines(report), strict=True):
        if arm.estimate is None:
            yield said


def _unfinished(judged: Judged) -> str:
    return ", ".join(f"{arm} has {done} of {judged.wanted}" for arm, done in judged.unfinished.items())


def _protocol(judged: Judged) -> str:
    if judged.config is None:
        return how_asked(judged)
    counts, exposure = judged.config.trials, judged.config.exposure
    catch = f" + {counts.catch} catch" if counts.catch else ""
    shown = f"{LAYOUTS[judged.config.layout]}, {exposure.shown_ms} ms each at {exposure.size_px} px"
    trials = f"{counts.practice} practice + {counts.scored} scored{catch} trials, one algorithm a session"
    return f"{how_asked(judged)}; {shown}; {trials}"


def _sessions(judged: Judged) -> str:
    states = ", ".join(f"{count} {state}" for state, count in judged.states.items()) or "none yet"
    when = f"; {judged.first_at[:10]} to {judged.last_at[:10]}" if judged.first_at and judged.last_at else ""
    return f"{states}{when}"


def _registered(judged: Judged) -> str:
    if judged.registration:
        return f"yes, SHA-256 {judged.registration[:DIGEST_LETTERS]}"
    if judged.manifest is not None and judged.manifest.is_simulated and (judged.folder / REGISTERED).is_file():
        return "no; analysed as was registered for the study that was rehearsed"
    return "no" if judged.manifest is not None else ""


def _made(report: Report) -> str:
    by = f" by `{report.command}`" if report.command else ""
    return f"{report.created_at[:19]}Z, cgeval {report.version}{by}"
