"""Configurations: the paper's defaults, one sentence for each mistake, and a round trip through TOML."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cgeval.errors import ConfigError
from cyclegan.config import TrainConfig, bound_keys, differing_keys, load_config, ready_configs
from cyclegan.step import TrainStep

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
    assert set(PAPERS) <= set(READY)
    assert {"small", "demo", "pix2pix_maps", "pix2pix_cityscapes"} <= set(READY)


# load and crop in pixels, generator, identity weight as a fraction of the cycle weight (arXiv 1703.10593, 5.2 and 7)
PAPERS = {
    "cityscapes": (143, 128, "resnet6", 0.0),
    "maps": (286, 256, "resnet9", 0.0),
    "facades": (286, 256, "resnet9", 0.0),
    "horse2zebra": (286, 256, "resnet9", 0.0),
    "summer2winter": (286, 256, "resnet9", 0.0),
    "monet2photo": (286, 256, "resnet9", 0.5),
    "flowers": (286, 256, "resnet9", 0.5),
}


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_experiments_have_the_papers_settings(name):
    config = load_config(name)
    found = (config.data.load_px, config.data.crop_px, config.networks.generator, config.objective.identity_weight)
    assert found == PAPERS[name]
    papers = TrainConfig()
    assert (config.translator, config.objective.name, config.objective.gan) == ("cyclegan", "full", "least_squares")
    assert config.optimiser == papers.optimiser.model_copy(update={"schedule": "paper"})
    assert (config.networks.width, config.networks.disc_width, config.networks.disc_layers) == (64, 64, 3)
    assert (config.networks.norm, config.networks.dropout, config.data.flip) == ("instance", False, True)


@pytest.mark.parametrize(
    ("name", "load", "crop", "net"),
    [("pix2pix_maps", 286, 256, "unet256"), ("pix2pix_cityscapes", 143, 128, "unet128")],
)
def test_pix2pix_has_its_own_papers_settings(name, load, crop, net):
    """arXiv 1611.07004, section 3 and appendix 6.2: U-Net, vanilla GAN, L1 100, batch 1, no pool."""
    config = load_config(name)
    assert (config.translator, config.networks.generator, config.networks.norm) == ("pix2pix", net, "batch")
    assert (config.data.load_px, config.data.crop_px) == (load, crop)
    assert (config.objective.gan, config.objective.l1_weight) == ("vanilla", 100)
    assert (config.optimiser.batch_size, config.optimiser.pool_size, config.optimiser.epochs) == (1, 0, 200)


@pytest.mark.parametrize("name", ["small", "demo"])
def test_small_machines_get_small_pictures_and_networks(name):
    config = load_config(name)
    assert config.data.crop_px <= 64
    assert config.networks.width <= 32
    assert config.optimiser.epochs <= 20


def test_a_path_to_a_ready_configuration_works_without_the_file():
    assert load_config("configs/maps.toml") == load_config("maps") == load_config("maps.toml")


def test_another_path_never_stands_for_a_ready_configuration(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(str(tmp_path / "maps.toml"))


def test_a_dataset_folder_of_the_same_name_is_not_in_the_way(tmp_path, monkeypatch):
    (tmp_path / "maps").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_config("maps").data.crop_px == 256
    (tmp_path / "small").write_text("seed = 3\n")
    assert load_config("small").seed == 3


def test_a_run_given_as_configuration_is_answered_with_its_file(tmp_path):
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ConfigError, match=r"is a folder \(there is .*config\.toml\)"):
        load_config(str(tmp_path))


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
        ("data.crop_px=66", ["multiple of 4", "64 and 68 work"]),
        ("networks.generator=unet256", ["unet256", "multiple of 256"]),
        ("nonsense", ["section.key=value"]),
        ("=1", ["section.key=value"]),
        ("data..path=1", ["section.key=value"]),
        ("seed.x=1", ["seed"]),
        ("data=5", ["data is a section", "crop_px", "found 5"]),
        ("optimizer.batch_size=4", ["optimizer", "optimiser"]),
        ("seed=true", ["seed", "integer", "True"]),
        ("seed=1.5", ["seed", "integer", "1.5"]),
        ('networks.width="8"', ["networks.width", "integer", "'8'"]),
        ("data.flip=yes", ["data.flip", "boolean", "'yes'"]),
        ("optimiser.learning_rate=inf", ["optimiser.learning_rate", "finite"]),
        ("optimiser.learning_rate=nan", ["optimiser.learning_rate", "finite"]),
        ("seed=-1", ["seed", "greater than or equal to 0"]),
        ("compute.threads=100000", ["compute.threads", "4096"]),
        ("compute.compile=reduce-overhead", ["compute.compile", "max-autotune-no-cudagraphs"]),
        ("data.path=\udcff", ["data.path", "Unicode"]),
    ],
)
def test_mistakes_get_one_sentence(change, words):
    with pytest.raises(ConfigError) as error:
        load_config("small", ["seed=1", "compute.cuda_graph=true", change])
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["compute.compile=default", "objective.gan=wgan_gp"], ["compute.compile", "wgan_gp"]),
        (["compute.compile=default", "networks.convolution=winograd4"], ["compute.compile", "direct"]),
        (["networks.disc_layers=5", "data.crop_px=64"], ["networks.disc_layers = 5", "at least 96", "64"]),
        (["networks.disc_layers=3", "data.crop_px=20"], ["networks.disc_layers = 3", "at least 24", "20"]),
    ],
)
def test_settings_that_cannot_go_together_are_refused(changes, words):
    with pytest.raises(ConfigError) as error:
        load_config("small", changes)
    for word in words:
        assert word in str(error.value)


def test_the_smallest_crop_for_a_discriminator_trains():
    config = load_config("small", ["networks.disc_layers=3", "data.crop_px=24", "data.load_px=28", "networks.width=4"])
    step = TrainStep(config, torch.device("cpu"))
    assert torch.isfinite(step(torch.rand(1, 3, 24, 24), torch.rand(1, 3, 24, 24), step.draws(0))).all()


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file.*horse2zebra"):
        load_config(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="folder"):
        load_config(str(tmp_path))
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(str(broken))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ("data.path=5", "5"),
        ("data.path=true", "true"),
        ("data.path=2024-01-01", "2024-01-01"),
        ("data.path=1e3", "1e3"),
        ("data.path=[x]", "[x]"),
        ("data.path=a b", "a b"),
        ("data.path=C:\\new\\data", "C:\\new\\data"),
        ("data.path=it's", "it's"),
        ('data.path="quoted"', "quoted"),
        ("data.path='quoted'", "quoted"),
        ("data.path=a=b", "a=b"),
        ("data.path=a\nseed = 3", "a\nseed = 3"),
        (" data.path = x ", "x"),
        ("data.path=", ""),
    ],
)
def test_a_text_may_look_like_anything(change, path):
    assert load_config("small", [change]).data.path == path


ODD_PATHS = [
    "5",
    "true",
    'a"b',
    '"a"',
    "'a'",
    "[1]",
    "{}",
    "C:\\new\\x",
    "a\nb",
    "# a",
    "a = b",
    " a ",
    "фото",
    "日本　語",
]


@pytest.mark.parametrize("path", ODD_PATHS)
def test_values_are_never_read_as_toml_and_survive_the_file(path, tmp_path):
    config = load_config("small", ["data.path=other"], {"data.path": path})
    assert config.data.path == path
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert load_config(str(tmp_path / "config.toml")).data.path == path


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_unicode_path_survives_the_file(tmp_path_factory, path):
    config = load_config("small", (), {"data.path": path})
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(config.to_toml().encode())
    assert load_config(str(file)) == config


def test_files_of_other_editors_are_read(tmp_path):
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbfseed = 3\r\n[data]\r\nflip = false\r\n")
    config = load_config(str(file))
    assert (config.seed, config.data.flip) == (3, False)
    file.write_bytes("seed = 3 # größer".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read as a TOML text file"):
        load_config(str(file))


@pytest.mark.parametrize("source", ["x" * 300, "small\0", "", "/"])
def test_names_that_no_file_can_have_are_answered(source):
    with pytest.raises(ConfigError):
        load_config(source)


def test_a_resumed_run_keeps_what_its_state_depends_on():
    free = ["logging.every_steps=7", "checkpoints.keep=all", "compute.device=cpu", "data.path=x", "data.path_b=y"]
    bound = ["seed=3", "data.crop_px=32", "networks.width=8", "objective.name=gan_alone", "optimiser.batch_size=2"]
    now = load_config("small", [*free, *bound])
    assert bound_keys(load_config("small"), now) == [change.partition("=")[0] for change in bound]
    assert bound_keys(load_config("small"), load_config("small", free)) == []
