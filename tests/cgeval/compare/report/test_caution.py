"""Where the main run is below pictures of other scenes, the page says so before anything else."""

from dataclasses import replace

import pytest

from cgeval.compare.comparison import Number, Row
from cgeval.compare.report import write_report
from cgeval.compare.report.caution import cautions
from cgeval.compare.tabulate import NOISE, SHUFFLED
from tests.cgeval.compare.renderers.comparisons import FCN, GROUPS, plain, rich
from tests.cgeval.compare.report.pages import page_of

HALF = 0.01  # of every interval


def row(label, kind, *values, place=0, half=HALF):
    """A row with these values of the three metrics, all with intervals unless half is None."""
    ends = (lambda value: (None, None)) if half is None else (lambda value: (value - half, value + half))
    return Row(label, kind, {(place, m): Number(v, 233, *ends(v)) for m, v in zip(FCN, values, strict=False)})


def compared(*rows, groups=GROUPS[:1]):
    return replace(plain(), tables=(replace(plain().tables[0], groups=groups, rows=rows),))


def test_below_other_scenes_is_told_with_both_numbers():
    main, other = row("CycleGAN", "main", 0.40, 0.30, 0.10), row(SHUFFLED, "sanity", 0.56, 0.20, 0.19)
    (told,) = cautions(compared(main, other))
    assert told.startswith(
        "From labels to photo, CycleGAN scores below real photos of other scenes (Shuffled images): "
    )
    assert "per-pixel accuracy 0.400 against 0.560 and class IoU 0.100 against 0.190." in told
    assert "per-class" not in told


@pytest.mark.parametrize("half", [0.2, None])
def test_where_intervals_touch_or_are_missing_it_is_only_no_higher(half):
    main, other = row("CycleGAN", "main", 0.55, half=half), row(SHUFFLED, "sanity", 0.56, half=half)
    (told,) = cautions(compared(main, other))
    assert "scores no higher than real photos" in told


def test_each_direction_is_told_for_itself():
    rows = [row("CycleGAN", "main", 0.9, 0.9, 0.9), row(SHUFFLED, "sanity", 0.5, 0.5, 0.5)]
    below = [row("CycleGAN", "main", 0.1, 0.1, 0.1, place=1), row(SHUFFLED, "sanity", 0.5, 0.5, 0.5, place=1)]
    both = [replace(a, numbers={**a.numbers, **b.numbers}) for a, b in zip(rows, below, strict=True)]
    (told,) = cautions(compared(*both, groups=GROUPS[:2]))
    assert told.startswith("From photo to labels, CycleGAN scores below real labels of other scenes")
    assert "accuracy 0.100 against 0.500, per-class accuracy 0.100 against 0.500 and class IoU" in told


@pytest.mark.parametrize(
    "rows",
    [
        (row("CycleGAN", "main", 0.9, 0.9, 0.9), row(SHUFFLED, "sanity", 0.5, 0.5, 0.5)),
        (row("CycleGAN", "main", 0.1), row(NOISE, "sanity", 0.5)),
        (row("pix2pix", "method", 0.1), row(SHUFFLED, "sanity", 0.5)),
        (row("CycleGAN", "main", 0.1),),
        (),
    ],
)
def test_nothing_is_told_of_a_run_above_or_without_such_a_row(rows):
    assert cautions(compared(*rows)) == []


def test_without_any_table_there_is_nothing_to_tell():
    assert cautions(replace(plain(), tables=())) == []


def test_of_an_error_the_higher_is_the_worse():
    error = {(0, "reconstruction_l1"): Number(0.2, 8, 0.19, 0.21)}
    less = {(0, "reconstruction_l1"): Number(0.1, 8, 0.09, 0.11)}
    main, other = Row("CycleGAN", "main", error), Row(SHUFFLED, "sanity", less)
    assert "scores below" in cautions(compared(main, other, groups=GROUPS[3:]))[0]
    assert cautions(compared(replace(main, numbers=less), replace(other, numbers=error), groups=GROUPS[3:])) == []


def test_the_page_begins_with_it(tmp_path):
    comparison = compared(row("CycleGAN", "main", 0.1, 0.1, 0.1), row(SHUFFLED, "sanity", 0.5, 0.5, 0.5))
    page = page_of(write_report(comparison, tmp_path / "r.html", examples=0, command="x"))
    (first, *_) = [each for each in page.all("p") if "lead" in each.attributes.get("class", "").split()]
    assert "scores below real photos of other scenes" in first.text
    assert "strong" not in {
        each.tag for each in page_of(write_report(rich(), tmp_path / "s.html", examples=0, command="x")).elements
    }
