"""Who is marked in a column: the best, and whoever is not told from it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cgeval.compare.best import best
from cgeval.metrics import Resampled, resample_means
from cgeval.records import Record


def number(value, half=None):
    ends = {} if half is None else {"low": value - half, "high": value + half}
    return Record("p", "m", value, 10, "run", "set", "0" * 64, "2026-01-01T00:00:00Z", "me", **ends)


def drawn(value, *differences):
    """Resamples that differ from 0.5 as said."""
    return Resampled({"m": value}, {"m": 0.5 + np.array(differences)})


def test_the_highest_is_the_best_and_with_errors_the_lowest():
    records = {"low": number(0.1, 0.01), "high": number(0.9, 0.01)}
    assert best(records, {}, higher_is_better=True) == {"high"}
    assert best(records, {}, higher_is_better=False) == {"low"}


def test_who_is_not_told_from_the_best_is_marked_too_and_who_is_told_is_not():
    records = {"best": number(0.6, 0.3), "near": number(0.59, 0.3), "far": number(0.58, 0.3)}
    steady = np.zeros(100)
    resampled = {
        "best": drawn(0.6, *steady),
        "near": drawn(0.59, *np.linspace(-0.05, 0.01, 100)),  # the interval of near - best holds 0
        "far": drawn(0.58, *np.linspace(-0.05, -0.01, 100)),  # that of far - best does not
    }
    assert best(records, resampled, higher_is_better=True) == {"best", "near"}


def test_without_anything_by_image_an_interval_that_holds_the_best_is_marked():
    records = {"best": number(0.6, 0.01), "wide": number(0.5, 0.1), "narrow": number(0.55, 0.01)}
    assert best(records, {}, higher_is_better=True) == {"best", "wide"}


def test_one_of_two_without_anything_by_image_is_held_by_its_interval():
    records = {"best": number(0.6, 0.01), "other": number(0.5, 0.2)}
    assert best(records, {"best": drawn(0.6, 0.1, 0.1)}, higher_is_better=True) == {"best", "other"}


def test_equal_numbers_are_equally_good_even_without_intervals():
    records = {"one": number(0.5), "two": number(0.5), "three": number(0.4)}
    assert best(records, {}, higher_is_better=True) == {"one", "two"}


def test_a_number_alone_is_not_marked():
    assert best({"one": number(0.5, 0.1)}, {}, higher_is_better=True) == frozenset()
    assert best({}, {}, higher_is_better=True) == frozenset()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.booleans(), st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_best_is_always_marked_and_the_order_of_rows_does_not_matter(values, higher, seed):
    rng = np.random.default_rng(seed)
    samples = {str(i): np.clip(value + 0.1 * rng.standard_normal(9), 0, 1) for i, value in enumerate(values)}
    records = {label: number(float(sample.mean()), 0.1) for label, sample in samples.items()}
    resampled = dict(zip(samples, resample_means(list(samples.values()), "m", resamples=99), strict=True))
    marked = best(records, resampled, higher_is_better=higher)
    most = (max if higher else min)(records, key=lambda label: records[label].value)
    assert most in marked
    assert best(dict(reversed(records.items())), resampled, higher_is_better=higher) == marked
