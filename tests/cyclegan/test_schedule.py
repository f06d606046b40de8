"""The three published learning-rate conventions, as tables."""

import pytest

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
