import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_server.checking.odds import area_under_roc, right_by_amount, right_by_kind, right_by_mark

amounts = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=12)
kinds = st.lists(st.sampled_from("abc"), min_size=1, max_size=10)  # of 20 images together, one is not rare
marks = st.lists(st.booleans(), min_size=1, max_size=15)


@given(real=amounts, fake=amounts)
def test_the_area_is_the_share_of_pairs_in_which_real_has_more_with_ties_halved(real, fake):
    pairs = [1.0 if r > f else 0.5 if r == f else 0.0 for r in real for f in fake]
    area, low, high = area_under_roc(real, fake)
    assert area == pytest.approx(np.mean(pairs))
    assert 0 <= low <= area <= high <= 1


@given(real=amounts, fake=amounts)
def test_swapping_the_sides_swaps_the_word_and_not_the_odds(real, fake):
    one, other = right_by_amount(real, fake), right_by_amount(fake, real)
    assert one.right == pytest.approx(other.right)
    assert (one.low, one.high) == pytest.approx((other.low, other.high))
    assert one.low <= one.right <= one.high
    assert one.right == pytest.approx(0.5) or one.real_has_more != other.real_has_more


def test_more_of_it_on_the_real_side_is_said_so():
    assert right_by_amount([2.0], [1.0]).real_has_more
    assert not right_by_amount([1.0], [2.0]).real_has_more


def test_the_interval_is_hanley_and_mcneils():
    """By hand for area 0.8, 20 and 20: Q1 = 0.66667, Q2 = 0.71111, standard error 0.07102."""
    area, low, high = area_under_roc([2.0] * 12 + [1.0] * 8, [1.0] * 20)
    assert area == pytest.approx(0.8)
    assert (area - low) / 1.96 == pytest.approx(0.07102, abs=1e-5)
    assert (high - area) / 1.96 == pytest.approx(0.07102, abs=1e-5)


@given(real=kinds, fake=kinds)
def test_right_by_kind_is_what_the_best_rule_gets(real, fake):
    """For each pair of kinds, the rule picks the arrangement that is more likely, and is right that often."""
    p, q = ({kind: side.count(kind) / len(side) for kind in "abc"} for side in (real, fake))
    best = sum(max(p[a] * q[b], p[b] * q[a]) for a in "abc" for b in "abc") / 2
    assert right_by_kind(real, fake) == pytest.approx(best)


@given(real=marks, fake=marks)
def test_a_mark_is_a_kind_of_two(real, fake):
    assert right_by_mark(real, fake) == pytest.approx(right_by_kind(real, fake))


def test_sizes_that_no_two_images_share_are_nobodys_mark():
    assert right_by_kind([f"{i}x1" for i in range(100)], [f"{i}x2" for i in range(100)]) == 0.5
    assert right_by_kind([f"{i}x1" for i in range(100)], ["256x256"] * 100) == 1.0
