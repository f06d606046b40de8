"""Whose numbers are used, and how they are changed, checked, written down and fitted to a network."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgeval.errors import ConfigError
from cgeval.gatys.settings import (
    PRESETS,
    GatysSettings,
    Stage,
    from_dict,
    gram_key,
    load_settings,
    parse_gram_key,
    preset_settings,
)

VGG19 = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu4_1", "relu4_2", "relu5_1")
SQUEEZENET = ("relu1", *(f"fire{i}" for i in range(2, 10)))


def test_without_a_word_the_authors_programs_are_followed():
    settings = load_settings()
    assert settings.preset == "notebook"
    assert settings.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    assert (settings.content_layer, settings.pooling, settings.start) == ("relu4_2", "max", "content")
    assert (settings.optimiser, settings.learning_rate, settings.history) == ("lbfgs", 1.3, 100)
    assert settings.stages[-1].scale == 1.0


def test_for_features_of_mean_1_they_have_other_weights_than_for_a_network_as_it_was_trained():
    unit, trained = load_settings(), load_settings(changes=["scale=as trained"])
    assert (unit.content_weight, unit.style_weight) == (1e6, 1e9)
    assert unit.style_weights == (0.2,) * 5
    assert (trained.content_weight, trained.style_weight) == (1.0, 1.0)
    assert trained.style_weights == tuple(1e3 / n**2 for n in (64, 128, 256, 512, 512))


def test_the_paper_pools_by_averages_starts_from_noise_and_has_its_own_ratio():
    paper = preset_settings("paper")
    assert (paper.pooling, paper.start, paper.gram) == ("average", "noise", "paper")
    assert paper.content_weight / paper.style_weight == pytest.approx(1e-3)
    assert paper.style_weights == (0.2,) * 5


def test_neural_style_has_its_numbers_for_a_network_as_it_was_trained_and_the_same_balance_for_mean_1():
    trained, unit = load_settings("neural-style", changes=["scale=as trained"]), preset_settings("neural-style")
    assert (trained.content_weight, trained.style_weight, trained.total_variation) == (5.0, 100.0, 1e-3)
    mean = 250.0  # what features are multiplied by, the content's loss by its square, the style's by its fourth power
    assert unit.content_weight == pytest.approx(5.0 * mean**2)
    assert unit.style_weight == pytest.approx(100.0 * mean**4)
    assert unit.total_variation == trained.total_variation


def test_a_change_is_read_as_toml_or_as_a_bare_word():
    changes = ["style_weight=2e9", "stages=1:500", "style_layers=relu1_1,relu2_1", "style_weights=1,0.5"]
    settings = load_settings(changes=[*changes, "keep_colours=true", "weights=random", "seed=7"])
    assert settings.style_weight == 2e9
    assert settings.stages == (Stage(1.0, 500),)
    assert (settings.style_layers, settings.style_weights) == (("relu1_1", "relu2_1"), (1.0, 0.5))
    assert (settings.keep_colours, settings.weights, settings.seed) == (True, "random", 7)
    listed = load_settings(changes=["stages=[[0.5, 10], [1, 20]]", 'style_layers=["relu1_1"]', "style_weights=3"])
    assert listed.stages == (Stage(0.5, 10), Stage(1.0, 20))
    assert (listed.style_layers, listed.style_weights) == (("relu1_1",), (3.0,))


def test_what_somebody_set_is_remembered():
    assert load_settings().changed == ()
    assert load_settings("paper", changes=["seed=0"]).changed == ("seed",)


def test_a_file_is_changed_by_the_command_line_and_its_preset_too(tmp_path):
    file = tmp_path / "gatys.toml"
    file.write_text('preset = "paper"\nstyle_weight = 5.0\nstages = [[1, 30]]\n')
    assert load_settings(file=file).preset == "paper"
    settings = load_settings("notebook", file, ["style_weight=6"], {"weights": "19"})
    assert (settings.preset, settings.style_weight, settings.stages) == ("notebook", 6.0, (Stage(1.0, 30),))
    assert settings.weights == "19"


def test_adam_goes_in_levels_unless_told_otherwise():
    assert load_settings(changes=["optimiser=adam"]).learning_rate == 10.0
    assert load_settings(changes=["optimiser=adam", "learning_rate=2"]).learning_rate == 2.0


def test_fewer_style_layers_share_the_weight():
    assert load_settings(changes=["style_layers=relu1_1,relu2_1"]).style_weights == (0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("stlye_weight=1", "unknown setting 'stlye_weight'; the known ones are preset, weights,"),
        ("style_weight=much", "style_weight is 'much': a finite number is expected"),
        ("style_weight=nan", "a finite number is expected"),
        ("style_weight=-1", "style_weight is -1.0: 0 or more is expected"),
        ("seed=1.5", "seed is 1.5: a whole number is expected"),
        ("seed=-1", "seed is -1: 0 to 4294967295"),
        ("keep_colours=yes", "keep_colours is 'yes': true or false is expected"),
        ("pooling=mean", "pooling is 'mean': max or average is expected"),
        ("preset=mine", "preset is 'mine': notebook or paper or neural-style is expected"),
        ("history=0", "history is 0: 1 or more is expected"),
        ("learning_rate=0", "learning_rate is 0.0: more than 0 is expected"),
        ("stages=0.5:300", "must end at scale 1"),
        ("stages=1:100,0.5:20,1:1", "each as large as the one before"),
        ("stages=0:100,1:20", "scales above 0, up to 1"),
        ("stages=1:0", "1 to 100000 steps"),
        ("stages=1:10.5", "stages is 10.5: a whole number is expected"),
        ("stages=quick", "scales with steps, such as"),
        ("stages=7", "scales with steps, such as"),
        ("style_layers=[]", "style_layers is empty"),
        ("style_layers=relu1_1,relu1_1", "different layers are expected"),
        ("style_weights=1,2", "style_weights has 2 numbers, and style_layers 5 layers"),
        ("style_weight", "is not of the form key=value"),
        ("=3", "is not of the form key=value"),
        ("scale=big", "scale is 'big': unit or as trained is expected"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(change, words):
    with pytest.raises(ConfigError, match=r"\.$") as caught:
        load_settings(changes=[change])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="nothing to lower"):
        load_settings(changes=["content_weight=0", "style_weight=0"])


def test_a_file_that_is_none_is_named(tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("style_weight = = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml is not valid TOML"):
        load_settings(file=broken)
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read"):
        load_settings(file=tmp_path / "absent.toml")


@given(
    preset=st.sampled_from(PRESETS),
    scale=st.sampled_from(("unit", "as trained")),
    steps=st.lists(st.integers(1, 900), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_settings_come_back_from_json_as_they_were(preset, scale, steps, seed):
    stages = [[0.25 * (i + 1) if i + 1 < len(steps) else 1.0, count] for i, count in enumerate(steps)]
    settings = load_settings(preset, values={"scale": scale, "seed": seed, "stages": stages})
    fitted = settings.for_network("vgg19", VGG19[:5])
    for each in (settings, fitted):
        again = from_dict(json.loads(json.dumps(each.to_dict())))
        assert again == each
        assert isinstance(again, GatysSettings)


def test_a_whole_vgg19_changes_nothing():
    settings = load_settings()
    assert settings.for_network("vgg19", VGG19) == settings
    assert settings.adapted == ""


def test_a_network_that_ends_early_gives_the_style_layers_that_it_has_and_its_deepest_for_the_content():
    fitted = load_settings().for_network("vgg19", VGG19[:5])
    assert fitted.style_layers == ("relu1_1", "relu2_1", "relu3_1")
    assert fitted.content_layer == "relu3_1"
    assert fitted.style_weights == pytest.approx((1 / 3,) * 3)
    for words in ("style layers are relu1_1, relu2_1, relu3_1", "the content layer is relu3_1", "ends at conv3_1"):
        assert words in fitted.adapted


def test_squeezenet_has_layers_of_its_own_and_the_notebooks_weights_go_by_its_filters():
    fitted = load_settings(changes=["scale=as trained"]).for_network("squeezenet1_1", SQUEEZENET)
    assert fitted.style_layers == ("relu1", "fire2", "fire4", "fire6")
    assert fitted.content_layer == "fire5"
    assert fitted.style_weights == tuple(1e3 / n**2 for n in (64, 128, 256, 384))
    assert fitted.adapted


def test_layers_that_were_asked_for_are_never_dropped():
    asked = load_settings(changes=["style_layers=relu1_1,relu4_1"])
    with pytest.raises(ConfigError, match="vgg19 has no layer 'relu4_1': it has relu1_1"):
        asked.for_network("vgg19", VGG19[:5])
    with pytest.raises(ConfigError, match="has no layer 'relu9_9'"):
        load_settings(changes=["content_layer=relu9_9"]).for_network("vgg19", VGG19)


def test_weights_that_were_given_for_layers_that_are_not_there_are_refused():
    given_weights = load_settings(changes=["style_weights=1,2,3,4,5"])
    with pytest.raises(ConfigError, match="style_weights has 5 numbers, and style_layers 3 layers"):
        given_weights.for_network("vgg19", VGG19[:5])


def test_a_style_needs_the_matrices_of_each_layer_at_each_scale():
    settings = load_settings(changes=["stages=0.5:1,0.5:1,1:1", "style_layers=relu1_1,relu2_1"])
    assert settings.gram_keys == ("relu1_1", "relu2_1", "relu1_1@0.5", "relu2_1@0.5")


@given(st.floats(0.01, 1))
def test_a_grams_name_tells_its_layer_and_scale(scale):
    assert parse_gram_key(gram_key("relu1_1", scale)) == ("relu1_1", scale)
