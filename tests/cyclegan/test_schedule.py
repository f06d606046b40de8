"""The three published learning-rate conventions, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclegan.schedule import learning_rate_factor

TABLES = {
    # epoch counted from 0: factor
    "reference": {0: 1, 99: 1, 100: 1, 101: 100 / 101, 150: 51 / 101, 199: 2 / 101},
    "classic": {0: 1, 99: 1, 100: 100 / 101, 101: 99 / 101, 150: 50 / 101, 199: 1 / 101},
    "paper": {0: 1, 99: 1, 100: 1, 101: 0.99, 150: 0.5, 199: 0.01},
}


@pytest.mark.parametrize("name", TABLES)
def test_factors(name):
    for epoch, factor in TABLES[name].items():
        assert learning_rate_factor(name, epoch, 100, 100) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_never_rises_and_never_reaches_zero(name):
    factors = [learning_rate_factor(name, epoch, 3, 5) for epoch in range(8)]
    assert factors == sorted(factors, reverse=True)
    assert min(factors) > 0
    assert learning_rate_factor(name, 7, 8, 0) == 1


def test_lua_convention_by_its_own_recurrence():
    rate = 1.0
    for epoch in range(200):
        assert learning_rate_factor("paper", epoch, 100, 100) == pytest.approx(rate)
        if epoch + 1 > 100:
            rate -= 1 / 100


# 3 constant and 4 falling epochs, in whole parts of the rate, counted on paper
WHOLE_TABLES = {
    "reference": ([5, 5, 5, 5, 4, 3, 2], 5),
    "classic": ([5, 5, 5, 4, 3, 2, 1], 5),
    "paper": ([4, 4, 4, 4, 3, 2, 1], 4),
}


@pytest.mark.parametrize("name", WHOLE_TABLES)
def test_a_whole_short_schedule(name):
    parts, whole = WHOLE_TABLES[name]
    found = [learning_rate_factor(name, epoch, 3, 4) * whole for epoch in range(7)]
    assert found == pytest.approx(parts)


@pytest.mark.parametrize("name", WHOLE_TABLES)
def test_without_constant_epochs_it_falls_from_the_start(name):
    assert [learning_rate_factor(name, epoch, 0, 2) for epoch in range(2)] == pytest.approx(
        {"reference": [1, 2 / 3], "classic": [2 / 3, 1 / 3], "paper": [1, 1 / 2]}[name]
    )


def lambda_rule(epoch: int, epoch_count: int, constant: int, decay: int) -> float:
    """The PyTorch reference's own formula; epoch_count is 0 since 2025 and was 1 before."""
    return 1.0 - max(0, epoch + epoch_count - constant) / float(decay + 1)


@given(constant=st.integers(0, 300), decay=st.integers(1, 300), data=st.data())
def test_against_the_formulas_of_the_two_pytorch_versions(constant, decay, data):
    epoch = data.draw(st.integers(0, constant + decay - 1))
    assert learning_rate_factor("reference", epoch, constant, decay) == lambda_rule(epoch, 0, constant, decay)
    assert learning_rate_factor("classic", epoch, constant, decay) == lambda_rule(epoch, 1, constant, decay)


@given(constant=st.integers(0, 300), decay=st.integers(1, 300), data=st.data())
def test_the_three_differ_by_less_than_one_falling_epoch(constant, decay, data):
    epoch = data.draw(st.integers(0, constant + decay - 1))
    factors = [learning_rate_factor(name, epoch, constant, decay) for name in TABLES]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) - min(factors) <= 1 / decay
