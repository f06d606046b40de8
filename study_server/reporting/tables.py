"""A report goes in; its tables come out, as words, for every format that is not a page."""

from collections.abc import Iterator
from dataclasses import dataclass

from study_server.analysis.analysis import Arm, Estimate
from study_server.analysis.closer import ImageRate, Mean
from study_server.judged import Judged
from study_server.reporting.extremes import convincing
from study_server.reporting.report import Report
from study_server.reporting.wording import (
    NOTHING,
    brackets,
    digits,
    level,
    number,
    points,
    probability,
    quartiles,
    signed_brackets,
    whose,
)

EXTREMES = 5  # images at each end; all of them are in images.csv


@dataclass(frozen=True)
class Table:
    """name: for files and labels; title: says what of whom, by which protocol; words: so many columns from the left
    are words, the others are numbers; notes: sentences under it."""

    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    words: int = 1


def tables(report: Report) -> tuple[Table, ...]:
    """All of them, the headline first; those without a row are left out."""
    found = (
        rates(report),
        contrasts(report),
        equivalence(report),
        flow(report),
        checks(report),
        closer(report),
        images(report),
    )
    return tuple(each for each in found if each.rows)


def headline(report: Report) -> tuple[Table, ...]:
    """The few that a terminal shows unless it is asked for all."""
    return tuple(each for each in (rates(report), contrasts(report), equivalence(report)) if each.rows)


def rates(report: Report) -> Table:
    """One row for each algorithm, also where nobody is left."""
    choices = report.analysis.choices
    share = level(choices.level)
    return Table(
        "rates",
        f"Fooling rate ({whose(report.judged)})",
        (
            "algorithm",
            "fooled %",
            f"{share} interval",
            "n",
            "trials",
            "excluded",
            "SE",
            "± AMT",
            "ICC",
            "DEFF",
        ),
        tuple(_rate_row(arm) for arm in report.analysis.arms),
        (
            f"Mean of the participants' rates with the Korn-Graubard {share} interval over n participants.",
            "SE: clustered in participants; ± AMT: the plus-minus of tables made by the AMT tool, SD of a two-level "
            f"bootstrap ({choices.resamples:,} resamples, seed {choices.seed}); both in points. ICC: how alike one "
            "participant's answers are; DEFF: the design effect, the rate's variance over that of independent trials.",
        ),
    )


def contrasts(report: Report) -> Table:
    """Pairs of algorithms."""
    choices = report.analysis.choices
    counts = {name: str(each.counts.participants) for name, each in report.analysis.estimates.items()}
    rows = tuple(
        (
            f"{each.one} - {each.other}",
            points(each.difference),
            signed_brackets(each.low, each.high),
            f"{counts[each.one]}, {counts[each.other]}",
            probability(each.p_value),
            probability(each.adjusted),
        )
        for each in report.analysis.contrasts
    )
    pairs = "the registered pairs" if choices.pairs is not None else "all pairs"
    return Table(
        "contrasts",
        f"Differences of fooling rates ({whose(report.judged)})",
        ("algorithms", "points", f"{level(choices.level)} interval", "n", "p", "p (Holm)"),
        rows,
        (
            "Welch's interval of the difference of participants' means; p: two-sided permutation test of these means "
            f"({choices.permutations:,} deals at most, seed {choices.seed}), then adjusted after Holm over {pairs}.",
        ),
    )


def equivalence(report: Report) -> Table:
    """To 50 %, where a margin was declared."""
    choices = report.analysis.choices
    alpha = 1 - choices.level
    rows = []
    for name, found in report.analysis.estimates.items():
        tested = found.equivalence
        if choices.margin is not None:
            verdict = NOTHING if tested is None else "yes" if tested.is_shown(choices.level) else "not shown"
            p_value = probability(tested.p_value if tested else None)
            rows.append((name, digits(found.rate), brackets(found.interval), _people(found), p_value, verdict))
    margin = digits(choices.margin)
    return Table(
        "equivalence",
        f"Equivalence to 50 % within {margin} points ({whose(report.judged)})",
        ("algorithm", "fooled %", f"{level(choices.level)} interval", "n", "p (TOST)", "equivalent"),
        tuple(rows),
        (f"Two one-sided t tests over participants; equivalent where p is at most {alpha:.3g}.",),
    )


def flow(report: Report) -> Table:
    """Who finished, whom each rule took out, who is left."""
    excluded = report.analysis.excluded
    heads = ("algorithm", "finished", *(each.rule for each in excluded), "no scored answer", "analysed")
    rows = tuple(
        (
            arm.name,
            str(arm.finished),
            *(str(arm.excluded.get(each.rule, 0)) for each in excluded),
            str(arm.without),
            str(arm.finished - sum(arm.excluded.values()) - arm.without),
        )
        for arm in report.analysis.arms
    )
    rules = [f"{each.rule}: {each.meaning}" for each in excluded]
    told = f"Rules as declared, in their order: {'; '.join(rules)}." if rules else "No rule was declared."
    return Table("exclusions", f"Participants ({whose(report.judged)})", heads, rows, (told,))


def checks(report: Report) -> Table:
    """The same rates by other roads."""
    share = level(report.analysis.choices.level)
    heads = ("algorithm", "n", "t interval", "bootstrap", "GEE %", "GEE interval", "worth", "two-way SE", "images")
    rows = tuple(
        (
            name,
            _people(each),
            brackets(each.clustered),
            brackets(each.bootstrap),
            digits(each.gee.rate if each.gee else None),
            brackets(each.gee.interval if each.gee else None),
            number(each.effective, 0),
            digits(each.two_way.error if each.two_way else None),
            number(each.two_way.images if each.two_way else None, 0),
        )
        for name, each in report.analysis.estimates.items()
    )
    return Table(
        "checks",
        f"The same by other roads, {share} intervals ({whose(report.judged)})",
        heads,
        rows,
        (
            "t interval: by the clustered SE; bootstrap: of participants, percentiles. GEE: logit link, exchangeable "
            "within participants, Mancl-DeRouen errors. Worth: so many independent trials would tell as much. Two-way "
            "SE, in points: over participants and images, where other images might have been shown too (Cameron, "
            "Gelbach, Miller); not to be trusted below about 200 images.",
        ),
    )


def closer(report: Report) -> Table:
    """What lies behind the rates: a row for each algorithm and question."""
    share = level(report.analysis.choices.level)
    rows = [(name, *row) for name, each in report.analysis.estimates.items() for row in _behind(each)]
    return Table(
        "closer",
        f"Behind the rates ({whose(report.judged)})",
        ("algorithm", "what", "value", "interval", "n"),
        tuple(rows),
        (
            f"Shares and rates in percent, means over n participants with {share} t intervals; times are medians with "
            "quartiles, over n trials.",
        ),
        words=2,
    )


def images(report: Report) -> Table:
    """The most and the least convincing images of each algorithm."""
    share = level(report.analysis.choices.level)
    rows = [
        (name, end, image_name(report.judged, image.image), str(image.fooled), str(image.trials), *_rate(image))
        for name, each in report.analysis.estimates.items()
        for end, part in zip(("most", "least"), convincing(each.closer.images, EXTREMES), strict=True)
        for image in part
    ]
    return Table(
        "images",
        f"Which images fool, the {EXTREMES} most and least convincing ({whose(report.judged)})",
        ("algorithm", "convincing", "image", "fooled", "judged", "fooled %", f"{share} interval"),
        tuple(rows),
        (
            "Ranked by the end of the interval that is nearer to the middle, lest those that few have judged come "
            "first. Clopper-Pearson intervals over an image's judgements; one of twenty misses by chance. All images "
            "are in images.csv.",
        ),
        words=3,
    )


def image_name(judged: Judged, pair_id: str) -> str:
    """Of the generated image in a pair, as it is called where it came from."""
    pair = judged.manifest.by_id.get(pair_id) if judged.manifest else None
    return pair.fake if pair else pair_id


def _rate_row(arm: Arm) -> tuple[str, ...]:
    excluded, found = str(sum(arm.excluded.values())), arm.estimate
    if found is None:
        return (arm.name, NOTHING, NOTHING, "0", "0", excluded, *(NOTHING,) * 4)
    return (
        arm.name,
        digits(found.rate),
        brackets(found.interval),
        _people(found),
        number(found.counts.total, 0),
        excluded,
        digits(found.error),
        digits(found.amt),
        number(found.icc, 2),
        number(found.design_effect, 1),
    )


def _people(found: Estimate) -> str:
    return number(found.counts.participants, 0)


def _rate(image: ImageRate) -> tuple[str, str]:
    return digits(image.rate), brackets(image.interval)


def _behind(found: Estimate) -> Iterator[tuple[str, str, str, str]]:
    told = found.closer
    yield ("scored", digits(found.rate), brackets(found.interval), _people(found))
    yield from _mean("practice", told.practice)
    for name, third in zip(("first", "middle", "last"), told.thirds, strict=False):
        yield from _mean(f"{name} third", third)
    if told.tiring is not None:
        ends = told.tiring.interval
        interval = signed_brackets(ends.low, ends.high) if ends else NOTHING
        yield ("last third - first, points", points(told.tiring.value), interval, str(told.tiring.participants))
    yield from _mean("clicked left", told.left)
    yield from _mean("real image left", told.by_side[0])
    yield from _mean("real image right", told.by_side[1])
    timed = {
        "reaction time, ms": told.rt,
        "where fooled, ms": told.rt_fooled,
        "where not fooled, ms": told.rt_not,
        "exposure measured, ms": told.shown,
    }
    for name, times in timed.items():
        if times is not None:
            yield (name, *quartiles(times), number(times.trials, 0))
    yield ("exposures flagged", digits(told.flagged), NOTHING, number(found.counts.total, 0))
    yield ("scored, not answered", str(told.missing), NOTHING, number(found.counts.total + told.missing, 0))


def _mean(name: str, found: Mean | None) -> Iterator[tuple[str, str, str, str]]:
    if found is not None:
        yield (name, digits(found.value), brackets(found.interval), str(found.participants))
