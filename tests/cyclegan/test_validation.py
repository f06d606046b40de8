"""Each validation metric against a calculation by hand, and the rule by which a checkpoint becomes the best."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cgeval.errors import ConfigError
from cgeval.labels import label_set
from cyclegan import state
from cyclegan.distributed import World
from cyclegan.inputs import Inputs, open_inputs
from cyclegan.session import Request, train_run
from cyclegan.step import TrainStep
from cyclegan.validation import HIGHER_IS_BETTER, improves, validate

CPU = torch.device("cpu")
PIX2PIX = ["translator=pix2pix", "optimiser.pool_size=0", "objective.gan=vanilla", "networks.norm=batch"]
SKY, ROAD, CAR = (70, 130, 180), (128, 64, 128), (0, 0, 142)


@pytest.fixture
def paired(small, images):
    """A is label maps in Cityscapes colours, B pictures; three pairs in val, each picture of one colour a half."""
    for folder in images.iterdir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    halves = [(SKY, ROAD), (SKY, CAR), (CAR, ROAD)]
    for split in ("train", "val"):
        for domain in "AB":
            (images / f"{split}{domain}").mkdir()
        for number, colours in enumerate(halves):
            labels = np.zeros((32, 32, 3), dtype=np.uint8)
            labels[:16], labels[16:] = colours
            Image.fromarray(labels).save(images / f"{split}A" / f"{number}.png")
            Image.fromarray(255 - labels).save(images / f"{split}B" / f"{number}.png")
    facts = 'paired = true\nlabel_set = "cityscapes"\nlabel_domain = "A"\n'
    (images / "dataset.toml").write_text(facts)

    def make(metric: str, *changes: str) -> tuple[TrainStep, Inputs]:
        config = small(f"checkpoints.best_by={metric}", *changes)
        return TrainStep(config, CPU), open_inputs(config, World())

    return make


class Shows:
    """A translator whose images are given: its `show` answers with one dictionary after the other."""

    def __init__(self, step: TrainStep, *answers: dict[str, torch.Tensor]) -> None:
        self.answers = iter(answers)
        step.translator.show = lambda real_a, real_b: {"real_a": real_a, "real_b": real_b} | next(self.answers)


def grey(value: float) -> torch.Tensor:
    return torch.full((1, 3, 32, 32), value)


# --- by hand


@pytest.mark.parametrize(("metric", "domain"), [("paired_l1_ab", "b"), ("paired_l1_ba", "a")])
def test_paired_l1_is_the_mean_distance_to_the_truth(paired, metric, domain):
    step, inputs = paired(metric)
    values = [0.1, -0.3, 0.8]
    Shows(step, *({f"fake_{domain}": grey(value)} for value in values))
    truths = [pair["ab".index(domain)].numpy() for pair in inputs.validation]
    expected = np.mean([np.abs(value - truth).mean() for value, truth in zip(values, truths, strict=True)])
    assert validate(step, inputs, metric) == pytest.approx(expected, rel=1e-5)


def test_cycle_l1_is_the_mean_of_both_cycles(paired):
    step, inputs = paired("cycle_l1")
    real = [(a.numpy(), b.numpy()) for a, b in inputs.validation]
    Shows(step, *({"cycle_a": grey(0.5), "cycle_b": grey(-0.25)} for _ in real))
    expected = np.mean([(np.abs(0.5 - a).mean() + np.abs(-0.25 - b).mean()) / 2 for a, b in real])
    assert validate(step, inputs, "cycle_l1") == pytest.approx(expected, rel=1e-5)


def colour(rgb: tuple[int, int, int]) -> torch.Tensor:
    return (torch.tensor(rgb, dtype=torch.float32) / 127.5 - 1).reshape(1, 3, 1, 1).expand(1, 3, 32, 32)


def test_label_accuracy_is_the_share_of_pixels_with_the_right_nearest_colour(paired):
    """The truths are half sky half road, half sky half car, half car half road."""
    step, inputs = paired("label_accuracy")
    near_sky = (75, 125, 185)
    Shows(step, *({"fake_a": colour(rgb)} for rgb in (near_sky, near_sky, near_sky)))
    assert validate(step, inputs, "label_accuracy") == pytest.approx((0.5 + 0.5 + 0) / 3)
    Shows(step, *({"fake_a": colour(rgb)} for rgb in (ROAD, CAR, CAR)))
    assert validate(step, inputs, "label_accuracy") == pytest.approx(0.5)
    step.translator.show = lambda real_a, real_b: {"real_a": real_a, "real_b": real_b, "fake_a": real_a}
    assert validate(step, inputs, "label_accuracy") == 1.0


def test_label_accuracy_against_a_slow_search_for_the_nearest_colour(paired):
    step, inputs = paired("label_accuracy")
    palette = sorted({label.colour for label in label_set("cityscapes").labels})
    rng, expected, answers = np.random.default_rng(0), [], []
    for real_a, _ in inputs.validation:
        fake = rng.integers(0, 256, (1, 3, 32, 32)).astype(np.float32)
        answers.append({"fake_a": torch.from_numpy(fake / 127.5 - 1)})
        real = np.rint((real_a.numpy() + 1) * 127.5)
        nearest = [
            [min(palette, key=lambda c: sum((c[i] - p[i]) ** 2 for i in range(3))) for p in pixels[0].reshape(3, -1).T]
            for pixels in (fake, real)
        ]
        expected.append(np.mean([one == other for one, other in zip(*nearest, strict=True)]))
    Shows(step, *answers)
    assert validate(step, inputs, "label_accuracy") == pytest.approx(np.mean(expected), abs=1e-6)


def test_the_real_generators_are_measured_as_they_translate(paired):
    step, inputs = paired("paired_l1_ab", "networks.dropout=true", "networks.init_std=0.5")
    first, second = (validate(step, inputs, "paired_l1_ab") for _ in range(2))
    assert first == second
    network = step.translator.networks["gen_ab"].eval()
    with torch.no_grad():
        expected = np.mean([(network(a) - b).abs().mean().item() for a, b in inputs.validation])
    assert first == pytest.approx(expected, rel=1e-5)


def test_no_more_than_the_wanted_images_are_measured(paired):
    step, inputs = paired("cycle_l1", "checkpoints.validation_images=2")
    Shows(step, *({"cycle_a": grey(0), "cycle_b": grey(0)} for _ in range(2)))
    validate(step, inputs, "cycle_l1")


# --- what cannot be measured


def test_metrics_of_pairs_refuse_unpaired_data(small, images):
    for metric in ("paired_l1_ab", "paired_l1_ba", "label_accuracy"):
        config = small(f"checkpoints.best_by={metric}", "checkpoints.validation_split=test")
        with pytest.raises(ConfigError, match=rf"best_by = '{metric}' needs paired data, and .*images is not paired"):
            validate(TrainStep(config, CPU), open_inputs(config, World()), metric)


def test_label_accuracy_needs_a_label_set(paired, images):
    (images / "dataset.toml").write_text("paired = true\n")
    step, inputs = paired("label_accuracy")
    with pytest.raises(ConfigError, match="label_set and label_domain"):
        validate(step, inputs, "label_accuracy")


@pytest.mark.parametrize("metric", ["paired_l1_ba", "cycle_l1", "label_accuracy"])
def test_pix2pix_has_neither_the_other_direction_nor_a_cycle(paired, metric):
    step, inputs = paired(metric, *PIX2PIX)
    with pytest.raises(ConfigError, match="which this translator does not make"):
        validate(step, inputs, metric)


def test_nothing_to_measure_on_is_an_error_and_no_number(paired):
    step, inputs = paired("cycle_l1")
    with pytest.raises(ConfigError, match="no image"):
        validate(step, replace(inputs, validation_files=((), ())), "cycle_l1")


# --- which is best


@pytest.mark.parametrize(
    ("metric", "value", "best", "expected"),
    [
        ("cycle_l1", 0.5, None, True),
        ("cycle_l1", 0.4, 0.5, True),
        ("cycle_l1", 0.5, 0.5, False),
        ("cycle_l1", 0.6, 0.5, False),
        ("label_accuracy", 0.6, 0.5, True),
        ("label_accuracy", 0.5, 0.5, False),
        ("label_accuracy", 0.4, 0.5, False),
        ("cycle_l1", None, 0.5, False),
        ("cycle_l1", None, None, False),
    ],
)
def test_which_value_is_better(metric, value, best, expected):
    assert improves(metric, value, best) is expected
    assert {"label_accuracy"} == HIGHER_IS_BETTER


def test_the_best_checkpoint_of_a_training_is_the_one_with_the_best_value(paired, small, tmp_path, monkeypatch):
    values = iter([0.3, 0.6, 0.5])
    monkeypatch.setattr("cyclegan.loop.validate", lambda step, inputs, metric: next(values))
    config = small("checkpoints.best_by=label_accuracy", "checkpoints.keep=last")
    train_run(Request(config, tmp_path / "run", resume=False))
    index = state.read_index(tmp_path / "run" / "checkpoints")
    assert [(saved.step, saved.metric) for saved in index.saved] == [(6, 0.6), (9, 0.5)]
    assert state.find(tmp_path / "run" / "checkpoints", "best").name == "step-00000006.pt"
