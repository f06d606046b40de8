"""A town for every test that only reads, and the comparison of all its runs: one for all of them."""

import pytest

from cgeval.compare.comparison import Comparison
from cgeval.compare.gather import compare, find_subjects, runs_of_one_dataset
from tests.cgeval.compare.runs_with_records import Town, a_town


@pytest.fixture(scope="session")
def town(tmp_path_factory) -> Town:
    """A dataset, every kind of run on it with its numbers, and a study; not to be written into."""
    return a_town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="session")
def whole(town) -> Comparison:
    """The town's runs, compared."""
    return compare(find_subjects(runs_of_one_dataset((), town.runs, None), "test", None), "test")
