"""Recognised results, a dataset and a user's claims go in; each part's direction and pairing come out, or one error."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cgeval.adopt.against import Against, ids_of
from cgeval.adopt.deciding import Decision, How, Looks, decide
from cgeval.adopt.layouts import FLAT, ForeignResults, Part
from cgeval.adopt.pairing import Pairing, Refusal, by_name, last
from cgeval.errors import ConfigError, DataError, LayoutError
from cgeval.images import find_images, image_id
from cgeval.runs import DIRECTIONS

LONG = {"ab": "AtoB", "ba": "BtoA"}
OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}
OWN_NAMES = "nothing, as no dataset was named: ids are the results' own names"
FIFTY = " (the PyTorch programs stop after 50 images unless --num_test says more)"


@dataclass(frozen=True)
class Claims:
    """What a user says of a folder of results that it does not say itself. None: it does, or a default holds.

    direction: "ab" or "ba", of the dataset's A and B; split: default is the results' own where the dataset has it,
    else test; real: folder of the input images, named as their translations are; partial: images of the split may be
    missing; set_name: of the image set, if there is only one.
    """

    direction: str | None = None
    split: str | None = None
    how: How = field(default_factory=How)
    real: Path | None = None
    partial: bool = False
    set_name: str | None = None


@dataclass(frozen=True)
class Resolved:
    """Translations one way, and whose they are. direction: of the dataset's domains; notes: what a user should know.

    split_count: images of the split that could have been translated, None without a dataset; missing_count: that many
    of them were not.
    """

    part: Part
    direction: str
    pairing: Pairing
    notes: tuple[str, ...] = ()
    split_count: int | None = None
    missing_count: int = 0


@dataclass(frozen=True)
class _Attempt:
    """A part, taken as translations in a direction."""

    part: Part
    direction: str


def resolve(found: ForeignResults, against: Against | None, claims: Claims) -> list[Resolved]:
    """Each part with its direction and pairing; of two, only the one that goes the claimed way, if one is claimed.

    Raises DataError, LayoutError or ConfigError where that is not certain, or where images of the split are missing.
    """
    _refuse_several(found, against)
    resolved = [_first_that_holds(attempts, found, against, claims) for attempts in _attempts(found, against, claims)]
    if len({each.direction for each in resolved}) < len(resolved):
        words = " and ".join(each.part.word for each in resolved)
        raise DataError(
            f"{found.root}: {words} both seem to go {resolved[0].direction}: add --direction ab or --direction ba."
        )
    return [_complete(each, against, claims) for each in resolved]


def _refuse_several(found: ForeignResults, against: Against | None) -> None:
    """Plain folders that have the same file names inside may be several results: only the dataset's ids tell."""
    names = list(found.parts[0].fakes)
    if found.layout is not FLAT or len({last(name) for name in names}) == len(names):
        return
    if against is None or not any(set(names) <= set(ids_of(against.domains[domain])) for domain in ("A", "B")):
        folders = sorted({name.rpartition("/")[0] or "." for name in names})
        more = ", ..." if len(folders) > 6 else ""
        raise LayoutError(
            f"{found.root} holds {len(folders)} folders with images of the same names ({', '.join(folders[:6])}{more}):"
            " name the one that holds the results."
        )


def _attempts(found: ForeignResults, against: Against | None, claims: Claims) -> list[list[_Attempt]]:
    """For each set to make, what it may be, the likeliest first.

    The reference's A and B are those of its options: under --direction BtoA its fake_B is of the dataset's A.
    """
    if claims.direction is None:
        return [[_Attempt(part, way) for way in _ways(part, against, claims)] for part in found.parts]
    wanted = LONG[claims.direction]
    parts = sorted(found.parts, key=lambda part: part.stated != wanted)
    return [[_Attempt(parts[0], wanted), *(_Attempt(part, wanted) for part in parts[1:] if part.reals)]]


def _ways(part: Part, against: Against | None, claims: Claims) -> list[str]:
    """The directions that a part may have: what its word says, and then, if input images can tell, the opposite."""
    can_tell = against is not None and bool(part.reals or claims.real)
    if part.stated is None and not can_tell:
        raise _unsaid(part, against)
    if part.stated is None:
        return list(DIRECTIONS)
    return [part.stated, OPPOSITE[part.stated]] if can_tell else [part.stated]


def _unsaid(part: Part, against: Against | None) -> ConfigError:
    dataset = " (and --dataset DIR, whose images they are of)" if against is None else ""
    return ConfigError(
        f"{part.word} does not say which way it was translated: add --direction ab (from A to B) or ba{dataset}."
    )


def _first_that_holds(
    attempts: Sequence[_Attempt], found: ForeignResults, against: Against | None, claims: Claims
) -> Resolved:
    """The first attempt that the input images bear out; else the likeliest, if it holds; else its refusal is raised."""
    likeliest = _decided(attempts[0], against, claims)
    outcome, tried = likeliest, attempts[0]
    for attempt in attempts[1:]:
        if isinstance(outcome, Decision) and outcome.borne_out:
            break
        outcome, tried = _decided(attempt, against, claims), attempt
    if isinstance(outcome, Decision) and outcome.borne_out:
        return _told(tried, outcome)
    if isinstance(likeliest, Refusal):
        raise DataError(
            f"{found.root}: {attempts[0].part.word} cannot be paired with {_where(attempts[0], against)}: "
            f"{likeliest.reason}: {likeliest.advice}."
        )
    if len(attempts) > 1 and attempts[0].part.stated is None:
        raise _unsaid(attempts[0].part, against)
    return _told(attempts[0], likeliest)


def _where(attempt: _Attempt, against: Against | None) -> str:
    split = f" of split {against.split!r}" if against else ""
    return f"domain {attempt.direction[0]}{split}"


def _told(attempt: _Attempt, decision: Decision) -> Resolved:
    part, direction = attempt.part, attempt.direction
    notes = [decision.note] if decision.note else []
    if part.stated not in (None, direction):
        why = "the input images show" if decision.borne_out else "--direction says"
        notes.append(
            f"{part.word} goes {direction} in this dataset, as {why}: under --direction BtoA, programs call B their A"
        )
    return Resolved(part, direction, decision.pairing, tuple(notes))


def _decided(attempt: _Attempt, against: Against | None, claims: Claims) -> Decision | Refusal:
    names = list(attempt.part.fakes)
    if against is None:
        return Decision(Pairing(OWN_NAMES, {name: name for name in names}, {}), borne_out=False)
    originals = against.inputs(attempt.direction)
    if not originals:
        return Refusal("there are no images", "name the right --dataset, --split and --direction")
    reals = attempt.part.reals if claims.real is None else _reals_in(claims.real, names)
    return decide(names, Looks(reals, originals), claims.how)


def _reals_in(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The input images in a folder of the user's, by the names of their translations; raises LayoutError."""
    paths = {image_id(path, folder): path for path in find_images(folder)}
    if not paths:
        raise LayoutError(f"{folder} holds no images: --real takes the folder of the input images.")
    pairing = by_name(names, list(paths))
    if isinstance(pairing, Refusal):
        raise LayoutError(f"--real {folder}: {pairing.reason}: the input images must be named as the results are.")
    return {name: paths[real] for name, real in pairing.ids.items()}


def _complete(each: Resolved, against: Against | None, claims: Claims) -> Resolved:
    """Refuse a split that is not all there, unless that is said to be known; tell it then."""
    if against is None:
        return each
    ids, there = ids_of(against.inputs(each.direction)), set(each.pairing.ids.values())
    missing = [image_id for image_id in ids if image_id not in there]
    each = replace(each, split_count=len(ids), missing_count=len(missing))
    if not missing:
        return each
    told = (
        f"{len(missing)} of the {len(ids)} images of split {against.split!r} have no translation in {each.part.word} "
        f"(first: {missing[0]!r})"
    )
    if not claims.partial:
        fifty = FIFTY if len(each.part.fakes) == 50 else ""
        raise DataError(f"{told}{fifty}: translate them, or add --partial to go on without them.")
    return replace(each, notes=(*each.notes, told))
