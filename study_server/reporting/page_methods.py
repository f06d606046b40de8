"""A report goes in; how each of its numbers was made comes out: methods with sources, and facts with digests."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from study_server.analysis.clusters import USUAL_ICC
from study_server.judged import Judged
from study_server.manifest import Manifest, Source
from study_server.registration.document import second
from study_server.reporting.page_words import count, day, level
from study_server.reporting.report import Report


@dataclass(frozen=True)
class Term:
    """A word of the page and what it means; source: where it is from, "" where it is common knowledge."""

    word: str
    text: str
    source: str = ""


@dataclass(frozen=True)
class Fact:
    """is_code: to be set as one types it."""

    heading: str
    text: str
    is_code: bool = False


def terms(report: Report) -> list[Term]:
    """The methods that occur, in the order of the page; none where there is no rate."""
    if not report.analysis.estimates:
        return []
    return [
        Term(
            "fooling rate",
            "Each participant’s share of scored trials in which the generated image was taken for the real one; then "
            "the mean over participants, so that each counts alike. Practice and catch trials do not count.",
            "Zhu, Park, Isola, Efros 2017, section 5.1.1",
        ),
        Term(
            "Korn–Graubard",
            "The headline. One participant’s answers are alike, so trials tell less than as many independent ones "
            "would. The interval is Clopper and Pearson’s on the effective number of trials, corrected by Student’s t "
            "for few participants; it is also defined at 0 and 100 %. Where at most a quarter of the participants tell "
            f"how people differ, an intraclass correlation of {USUAL_ICC} or more is assumed.",
            "Korn and Graubard 1998, Survey Methodology 24, section 3",
        ),
        Term(
            "clustered standard error",
            "The spread of participants’ rates over the root of their number; the interval is the rate ∓ Student’s t "
            "times it, cut at 0 and 100 %. At these two it is a point, which says too much.",
        ),
        Term(
            "bootstrap of participants",
            f"The middle {level(report.analysis.choices.level)} of the rates of groups of participants drawn from the "
            "same, with replacement.",
            "Efron 1979, Annals of Statistics 7",
        ),
        Term(
            "GEE",
            "Generalised estimating equations of the log-odds, answers of one participant equally correlated, with the "
            "standard error corrected for few participants. A check by another road.",
            "Liang and Zeger 1986, Biometrika 73; Mancl and DeRouen 2001, Biometrics 57",
        ),
        Term(
            "participants and images",
            "The standard error if both participants and images had been others, around the rate over all trials; "
            "Student’s t with one degree of freedom less than the fewer of both.",
            "Cameron, Gelbach, Miller 2011, Journal of Business & Economic Statistics 29; Cameron and Miller 2015, "
            "Journal of Human Resources 50",
        ),
        Term(
            "± AMT",
            "One standard deviation of a bootstrap of sessions, then of trials within each: what tables printed after "
            "the AMT tool’s script state. For comparison with them only.",
            "the AMT tool: AMT_Real_vs_Fake by P. Isola",
        ),
        Term(
            "ICC, design effect",
            "The intraclass correlation of answers within participants (0: no more alike than those of different "
            "people), and by how much the variance of the rate is larger than with independent trials.",
            "Ridout, Demétrio, Firth 1999, Biometrics 55",
        ),
        *_of_pairs(report),
        *_of_margin(report),
        Term(
            "single images",
            "Clopper and Pearson’s interval over an image’s own judgements.",
            "Clopper and Pearson 1934, Biometrika 26",
        ),
    ]


def made(report: Report) -> list[Fact]:
    """Commands, versions and choices, then what the study was frozen to."""
    return [*_run(report), *_study(report.judged), *_images(report.judged.manifest)]


def _of_pairs(report: Report) -> Iterator[Term]:
    if report.analysis.contrasts:
        yield Term(
            "difference of two algorithms",
            "Of their rates, with Welch’s interval, or, where few participants of one tell how people differ, one "
            "that is combined of both rates’ intervals. The p-value is of a two-sided permutation test: participants’ "
            "rates are dealt to the algorithms anew, and Welch’s statistic is compared. Holm’s adjustment keeps the "
            "chance of any false difference among all pairs.",
            "Welch 1947, Biometrika 34; Zou and Donner 2008, Statistics in Medicine 27; "
            "Chung and Romano 2013, Annals of Statistics 41; Holm 1979, Scandinavian "
            "Journal of Statistics 6",
        )


def _of_margin(report: Report) -> Iterator[Term]:
    margin = report.analysis.choices.margin
    if margin is not None:
        yield Term(
            "TOST",
            f"Two one-sided tests of whether the rate lies within {100 * margin:g} points of 50 %; the larger of both "
            "p-values.",
            "Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15",
        )


def _run(report: Report) -> Iterator[Fact]:
    choices = report.analysis.choices
    if report.command:
        yield Fact("command", report.command, is_code=True)
    yield Fact("made on", f"{day(report.created_at)} ({second(report.created_at)})")
    programs = (f"{name} {version(name)}" for name in ("numpy", "scipy"))
    yield Fact("versions", f"cgeval {report.version}, Python {platform.python_version()}, {', '.join(programs)}")
    yield Fact("level of intervals", level(choices.level))
    yield Fact("seed", str(choices.seed))
    yield Fact("resamples", f"{choices.resamples:,} of each bootstrap; {choices.permutations:,} permutations at most")
    yield Fact("margin", "none declared" if choices.margin is None else f"{100 * choices.margin:g} points around 50 %")


def _study(judged: Judged) -> Iterator[Fact]:
    yield Fact("study", judged.study_id, is_code=True)
    yield Fact("preset", judged.preset or "not said")
    yield Fact("asked for", f"the image that is {judged.asked}" if judged.asked else "not said")
    if judged.created_at:
        heading = "built on" if judged.manifest else "imported on"
        yield Fact(heading, f"{day(judged.created_at)} ({second(judged.created_at)})")
    if judged.first_at:
        yield Fact("first came, last ended", f"{second(judged.first_at)}, {second(judged.last_at) or 'nobody yet'}")
    if judged.wanted:
        yield Fact("wanted", f"{count(judged.wanted, 'participant')} for each algorithm")
    if judged.manifest is not None:
        yield Fact("built by", f"cgeval {judged.manifest.version}, seed {judged.manifest.seed}")
        yield Fact("registered", f"SHA-256 {judged.registration}" if judged.registration else "no", is_code=True)
        yield Fact("study.toml", f"SHA-256 {judged.manifest.config_sha256}", is_code=True)


def _images(manifest: Manifest | None) -> Iterator[Fact]:
    if manifest is not None:
        for source in (manifest.real, *manifest.algorithms):
            yield Fact(f"images, {source.name}", _source(source), is_code=True)


def _source(source: Source) -> str:
    sealed = f"; run {source.run_id}, set {source.image_set}, index {source.index_sha256}" if source.run_id else ""
    return f"{source.where} ({count(source.images, 'image')}, SHA-256 {source.digest}{sealed})"
