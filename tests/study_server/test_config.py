"""What a wrong setting is answered with: the key, the place that it came from, and what is expected."""

import pytest

from cgeval.errors import ConfigError
from study_server.config import make_config


@pytest.mark.parametrize(
    ("table", "change", "sentence"),
    [
        ({}, "trials.scored=3", r"^--set trials.scored=3: trials.scored is 3: an even number is expected"),
        ({"trials": {"scored": 3}}, "seed=1", r"^my.toml: trials.scored is 3: an even"),
        ({"trials": {"scored": 20}}, "trials.scoerd=4", r"^--set trials.scoerd=4: unknown setting 'trials.scoerd'"),
        ({"trails": {}}, "seed=1", r"^my.toml: unknown setting 'trails'"),
        ({}, "seed=-1", r"^--set seed=-1: seed is -1: Input should be"),
        ({"seed": -1}, "preset=isola2017", r"^my.toml: seed is -1"),
        ({}, "entry.platform=prolific", r"^--set entry.platform=prolific: entry.prolific_code_completed is expected"),
        ({}, "seed.more=1", r"^--set seed.more=1: "),
        ({}, "seed", r"^--set seed: KEY=VALUE is expected"),
    ],
)
def test_a_wrong_setting_is_named_with_the_place_it_came_from(table, change, sentence):
    with pytest.raises(ConfigError, match=sentence) as raised:
        make_config(table, (change,), "my.toml")
    assert str(raised.value).count("\n") == 0
