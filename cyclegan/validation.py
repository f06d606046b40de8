"""A training step's generators and held-out images go in; one number to choose the best checkpoint by comes out.

paired_l1_ab, paired_l1_ba: mean |translation - truth| in [0, 2], paired data; cycle_l1: mean of both cycles'
|reconstruction - input|; label_accuracy: share of all pixels, void ones too, of the photo's translation whose nearest
palette colour (L2 in sRGB) is the truth's. All at the crop size, of networks as they translate, over
`checkpoints.validation_images` images, each with the same weight.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cgeval.datasets import Dataset
from cgeval.errors import ConfigError
from cgeval.labels import label_set
from cyclegan.config import MetricName
from cyclegan.inputs import Inputs
from cyclegan.models.translator import Made, Translator
from cyclegan.show import to_pictures, undisturbed
from cyclegan.step import TrainStep

NEEDED_IMAGE: Mapping[MetricName, str] = {
    "paired_l1_ab": "fake_b",
    "paired_l1_ba": "fake_a",
    "cycle_l1": "cycle_a",
}
HIGHER_IS_BETTER: frozenset[MetricName] = frozenset({"label_accuracy"})


def improves(metric: MetricName, value: float | None, best: float | None) -> bool:
    """Whether `value` is better than the best so far."""
    if value is None or best is None:
        return value is not None
    return value > best if metric in HIGHER_IS_BETTER else value < best


def refuse_unusable(metric: MetricName, translator: Translator, dataset: Dataset) -> None:
    """Raise ConfigError for a metric that this translator's images or this dataset cannot have."""
    needed = NEEDED_IMAGE[metric] if metric != "label_accuracy" else f"fake_{(dataset.label_domain or 'A').lower()}"
    if needed not in (panel.key for panel in translator.panels):
        raise ConfigError(f"checkpoints.best_by = {metric!r} needs {needed}, which this translator does not make.")
    if metric != "cycle_l1" and not dataset.paired:
        raise ConfigError(f"checkpoints.best_by = {metric!r} needs paired data, and {dataset.root} is not paired.")
    if metric == "label_accuracy" and (dataset.label_set is None or dataset.label_domain is None):
        raise ConfigError(
            "checkpoints.best_by = 'label_accuracy' needs paired data whose dataset.toml names label_set and "
            "label_domain."
        )


def validate(step: TrainStep, inputs: Inputs, metric: MetricName) -> float:
    """The metric's mean over the validation images, each alone; nothing of the step changes."""
    refuse_unusable(metric, step.translator, inputs.dataset)
    with undisturbed(step):
        values = [
            _value(metric, step.translator.show(real_a.to(step.device), real_b.to(step.device)), inputs.dataset)
            for real_a, real_b in inputs.validation
        ]
    if not values:
        raise ConfigError(f"checkpoints.best_by = {metric!r} has no image in {inputs.dataset.root} to be measured on.")
    return float(np.mean(values))


def _value(metric: MetricName, made: Made, dataset: Dataset) -> float:
    if metric == "cycle_l1":
        return (_l1(made["cycle_a"], made["real_a"]) + _l1(made["cycle_b"], made["real_b"])) / 2
    if metric == "label_accuracy":
        assert dataset.label_set is not None
        assert dataset.label_domain is not None
        return _label_accuracy(made, dataset.label_set, dataset.label_domain.lower())
    target = "b" if metric == "paired_l1_ab" else "a"
    return _l1(made[f"fake_{target}"], made[f"real_{target}"])


def _l1(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().mean())


def _label_accuracy(made: Made, name: str, domain: str) -> float:
    palette = np.array(sorted({label.colour for label in label_set(name).labels}), dtype=np.float32)
    fake, real = (torch.from_numpy(np.stack(to_pictures(made[f"{kind}_{domain}"]))) for kind in ("fake", "real"))
    colours = torch.from_numpy(palette)
    agree = _nearest(fake, colours) == _nearest(real, colours)
    return float(agree.float().mean())


def _nearest(pictures: Tensor, palette: Tensor) -> Tensor:
    return torch.cdist(pictures.flatten(0, 2).float(), palette).argmin(1)
