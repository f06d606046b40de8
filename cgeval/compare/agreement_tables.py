"""Agreements go in; tables as every other rendering sets them come out, and notes on what has no number, and why."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from cgeval.compare.agreement import OVER_METHODS, PRESET, study_name
from cgeval.compare.comparison import Agreement, Kind, Measure, Number, Row, Subject, Table
from cgeval.compare.measures import JUDGED_BY, STUDY, STUDY_ID, STUDY_IN
from cgeval.metrics import Coefficient, interval_name
from cgeval.metrics.rank_agreement import ALL_ORDERS_TO, RESAMPLES

PROTOCOL = "rank-agreement"
RHO, TAU, CHANCE = "spearman_rho", "kendall_tau_b", "order_by_chance"
REDRAWN = f"participants and images drawn again, methods the same, percentile, 95 %, {RESAMPLES} draws"
FEW_IMAGES, FEW_JUDGEMENTS, FEW_METHODS = 30, 5, 10
SIGN = "above 0 where what the number calls better fools people more often; 1 is people's order, -1 the reverse"
ORDERS = (
    "p: the share of all orders of these methods whose rho is as far from 0, two-sided, not corrected for the number "
    "of rows"
)
ALONE = "the number is that of each image alone, whose class scores are over the classes of that image"
NO_IMAGES = "their records say nothing by image (per_image); evaluate the study again by `study-server report`"


@dataclass(frozen=True)
class Told:
    """A table, and the agreements whose coefficients it holds."""

    table: Table
    agreements: tuple[Agreement, ...]


def agreement_tables(agreed: Sequence[Agreement], subjects: Sequence[Subject]) -> list[Told]:
    """Of each study and direction one table over methods and one over images, as far as there are numbers."""
    made = list[Told]()
    for study in _studies(agreed):
        found = [each for each in agreed if each.study is study and each.rho is not None]
        over_methods = tuple(each for each in found if each.over == OVER_METHODS)
        over_images = tuple(each for each in found if each.over != OVER_METHODS)
        made += [Told(_of_methods(study, over_methods), over_methods)] if over_methods else []
        made += [Told(_of_images(study, over_images, subjects), over_images)] if over_images else []
    return made


def agreement_notes(agreed: Sequence[Agreement], subjects: Sequence[Subject]) -> list[str]:
    """Why something has no number: one sentence for each reason; and which methods' images nobody can look at."""
    notes = list[str]()
    for study in _studies(agreed):
        reasons: dict[tuple[str, str], list[str]] = {}
        for each in agreed:
            if each.study is study and each.why:
                reasons.setdefault((each.over, each.why), []).append(each.name)
        for (over, why), names in reasons.items():
            about = "methods" if over == OVER_METHODS else f"the images of {over}"
            notes.append(f"{title_of(study)}, no agreement over {about} for {_listed(names)}: {why}.")
        if not any(each.study is study and each.over != OVER_METHODS for each in agreed):
            labels = _listed([subject.label for subject in subjects if _has_point(agreed, study, subject.label)])
            notes.append(f"{title_of(study)}, no agreement over the images of {labels}: {NO_IMAGES}.")
    return notes


def is_agreement(table: Table) -> bool:
    """Whether its numbers are coefficients of agreement."""
    return any(group.protocol == PROTOCOL for group in table.groups)


def _studies(agreed: Iterable[Agreement]) -> list[Measure]:
    found: dict[int, Measure] = {id(each.study): each.study for each in agreed}
    return list(found.values())


def _has_point(agreed: Iterable[Agreement], study: Measure, label: str) -> bool:
    return any(each.study is study and any(point.label == label for point in each.points) for each in agreed)


def title_of(study: Measure) -> str:
    """Of the tables that hold numbers against a study: whose people, which direction, which study."""
    words, _, people = study.title.partition(JUDGED_BY)
    return f"Agreement with {people or 'people'}, {words} ({study_name(study)})"


def _measure(study: Measure, title: str, metrics: tuple[str, ...], n: int, facts: dict[str, str]) -> Measure:
    kept = {key: study.convention[key] for key in (STUDY, STUDY_ID, STUDY_IN, PRESET) if key in study.convention}
    held = {"held against": study.metrics[0], "people's protocol": study.protocol} | kept
    people = {"people": told} if (told := study.facts.get("intervals")) else {}
    return Measure(title, PROTOCOL, study.direction, metrics, n, held, None, facts={"agreement": SIGN} | facts | people)


def _of_methods(study: Measure, agreed: Sequence[Agreement]) -> Table:
    """A row for each automatic number."""
    most = max(len(each.points) for each in agreed)
    measure = _measure(study, "over methods", (RHO, TAU, CHANCE), most, {"by chance": ORDERS})
    rows = tuple(Row(each.name, "agreement", _numbers(each, 0, REDRAWN)) for each in agreed)
    return Table(f"{title_of(study)}: over methods", (measure,), rows, tuple(_about_few(agreed)))


def _of_images(study: Measure, agreed: Sequence[Agreement], subjects: Sequence[Subject]) -> Table:
    """A group for each automatic number, a row for each method."""
    names = list(dict.fromkeys(each.name for each in agreed))
    groups = tuple(
        _measure(
            study,
            name,
            (RHO, TAU),
            max(len(each.points) for each in agreed if each.name == name),
            {"images": ALONE},
        )
        for name in names
    )
    rows = []
    for subject in subjects:
        own = [each for each in agreed if each.over == subject.label]
        numbers = {key: cell for each in own for key, cell in _numbers(each, names.index(each.name)).items()}
        rows += [Row(subject.label, _kind(subject), numbers)] if numbers else []
    footnotes = [_about_judgements(agreed), *_about_few_images(agreed)]
    return Table(f"{title_of(study)}: over images", groups, tuple(rows), tuple(footnotes))


def _kind(subject: Subject) -> Kind:
    return subject.kind


def _numbers(each: Agreement, place: int, interval: str = "") -> dict[tuple[int, str], Number]:
    n, found = len(each.points), dict[tuple[int, str], Number]()
    for metric, coefficient in ((RHO, each.rho), (TAU, each.tau)):
        if coefficient is not None:
            found[place, metric] = _number(coefficient, n, interval or interval_name(RESAMPLES))
    if each.p_value is not None:
        found[place, CHANCE] = Number(each.p_value, n)
    return found


def _number(coefficient: Coefficient, n: int, interval: str) -> Number:
    return Number(coefficient.value, n, coefficient.low, coefficient.high, interval)


def _about_few(agreed: Iterable[Agreement]) -> list[str]:
    """How little an order of so few methods tells."""
    few = sorted({len(each.points) for each in agreed if len(each.points) <= FEW_METHODS})
    if not few:
        return []
    orders = "; ".join(_orders_words(n) for n in few if n <= ALL_ORDERS_TO)
    least = f" ({orders})" if orders else ""
    counts = " or ".join(map(str, few))
    return [
        f"Look out: an order of {counts} methods tells little{least}. The intervals say how far other participants and "
        "other images would move these methods past each other; of other methods they say nothing."
    ]


def _orders_words(n: int) -> str:
    orders = math.factorial(n)
    return f"{n} have {orders:,} orders, so that p cannot be below {2 / orders:.2g}"


def _about_judgements(agreed: Iterable[Agreement]) -> str:
    parts = [f"{label} {judged:.1f}" for label, judged in _judgements(agreed).items()]
    return f"Judgements of each image, on average: {'; '.join(parts)}."


def _about_few_images(agreed: Sequence[Agreement]) -> list[str]:
    counts = {each.over: max(len(a.points) for a in agreed if a.over == each.over) for each in agreed}
    few = [f"{label} ({n})" for label, n in counts.items() if n < FEW_IMAGES]
    rare = [label for label, judged in _judgements(agreed).items() if judged < FEW_JUDGEMENTS]
    notes = []
    if few:
        notes.append(f"Look out: fewer than {FEW_IMAGES} images, so that hardly any order is told: {_listed(few)}.")
    if rare:
        notes.append(
            f"Look out: fewer than {FEW_JUDGEMENTS} judgements of each image, whose rates are then mostly chance, "
            f"which pulls every agreement towards 0: {_listed(rare)}."
        )
    return notes


def _judgements(agreed: Iterable[Agreement]) -> dict[str, float]:
    """By method, over the images of the number that has most of them."""
    most: dict[str, Agreement] = {}
    for each in agreed:
        if each.over not in most or len(each.points) > len(most[each.over].points):
            most[each.over] = each
    return {label: fmean(point.judgements for point in each.points) for label, each in most.items()}


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "no method"
