"""Configurations: the paper's defaults, one sentence for each mistake, and a round trip through TOML."""

import pytest

from cgeval.errors import ConfigError
from cyclegan.config import TrainConfig, differing_keys, load_config, ready_configs

READY = sorted(ready_configs())


def test_defaults_are_the_papers():
    config = TrainConfig()
    assert (config.objective.gan, config.objective.cycle_weight_a, config.objective.cycle_weight_b) == (
        "least_squares",
        10,
        10,
    )
    assert (config.optimiser.learning_rate, config.optimiser.beta1, config.optimiser.beta2) == (2e-4, 0.5, 0.999)
    assert (config.optimiser.batch_size, config.optimiser.pool_size, config.optimiser.epochs) == (1, 50, 200)
    assert (config.networks.generator, config.networks.init_std) == ("resnet9", 0.02)


@pytest.mark.parametrize("name", READY)
def test_ready_configurations_load_and_explain_themselves(name):
    load_config(name)
    first = ready_configs()[name].splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 20


def test_the_papers_experiments_are_ready():
    papers = {"cityscapes", "maps", "horse2zebra", "monet2photo", "summer2winter", "facades", "flowers"}
    assert papers <= set(READY)
    assert load_config("cityscapes").networks.generator == "resnet6"
    assert load_config("monet2photo").objective.identity_weight == 0.5


def test_a_path_to_a_ready_configuration_works_without_the_file():
    assert load_config("configs/maps.toml") == load_config("maps")


def test_toml_round_trip(tmp_path):
    config = load_config("small", ["seed=7", "objective.name=gan_alone"])
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())
    assert load_config(str(path)) == config


def test_changes_are_typed_and_named():
    config = load_config("maps", ["optimiser.batch_size=4", "data.flip=false", "compute.device=cpu", "data.path=a b"])
    assert (config.optimiser.batch_size, config.data.flip, config.compute.device, config.data.path) == (
        4,
        False,
        "cpu",
        "a b",
    )
    assert differing_keys(load_config("maps"), config) == [
        "data.path",
        "data.flip",
        "optimiser.batch_size",
        "compute.device",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimiser.batchsize=4", ["optimiser.batchsize", "batch_size"]),
        ("optimiser.batch_size=0", ["optimiser.batch_size", "found 0"]),
        ("optimiser.batch_size=many", ["optimiser.batch_size", "'many'"]),
        ("objective.gan=hinge", ["objective.gan", "least_squares"]),
        ("data.crop_px=999", ["crop_px 999", "load_px"]),
        ("data.crop_px=66", ["multiple of 4"]),
        ("networks.generator=unet256", ["unet256", "multiple of 256"]),
        ("nonsense", ["section.key=value"]),
        ("seed.x=1", ["seed"]),
    ],
)
def test_mistakes_get_one_sentence(change, words):
    with pytest.raises(ConfigError) as error:
        load_config("small", ["seed=1", change])
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file.*horse2zebra"):
        load_config(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="folder"):
        load_config(str(tmp_path))
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(str(broken))
